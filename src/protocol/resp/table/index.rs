//! Finding a command by its name: a table of slots, filled when the program is compiled.
//!
//! Three letters and the length of a name choose a slot; the multiplier is one of many that were
//! tried, and leaves two names of 71 without the slot they would have. Such a name stands in the
//! next free one. Rows come in the order of how busy they are, so the busy ones are at home.

use super::CommandSpec;

const SLOT_COUNT: usize = 256;
const MULTIPLIER: u32 = 0x1df6_c5e5;
/// Turns letters small. What it does to other bytes makes no name of one that is not: the whole
/// name is compared in the end.
const SMALL_LETTERS: u32 = 0x0020_2020;

/// Where each command stands in the table.
pub(super) struct Index {
    /// One more than the row's number; 0 is empty.
    slots: [u8; SLOT_COUNT],
}

impl Index {
    pub(super) const fn new(rows: &[CommandSpec]) -> Self {
        // So a number fits a byte, and a search ends.
        assert!(rows.len() < u8::MAX as usize);
        let mut slots = [0; SLOT_COUNT];
        let mut row = 0;
        while row < rows.len() {
            let mut slot = home(rows[row].name.as_bytes());
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOT_COUNT;
            }
            row += 1;
            slots[slot] = row as u8;
        }
        Self { slots }
    }

    #[inline]
    pub(super) fn find<'t>(&self, name: &[u8], rows: &'t [CommandSpec]) -> Option<&'t CommandSpec> {
        let mut slot = home(name);
        loop {
            let row = usize::from(self.slots[slot]).checked_sub(1)?;
            let spec = rows.get(row)?;
            if name.eq_ignore_ascii_case(spec.name.as_bytes()) {
                return Some(spec);
            }
            slot = (slot + 1) % SLOT_COUNT;
        }
    }
}

/// The slot that a name would have if it were alone.
#[inline]
const fn home(name: &[u8]) -> usize {
    let (Some(first), Some(last)) = (name.first(), name.last()) else {
        return 0;
    };
    let middle = name[name.len() / 2];
    let letters = u32::from_le_bytes([*first, middle, *last, 0]) | SMALL_LETTERS;
    let mixed = (letters ^ (name.len() as u32) << 24).wrapping_mul(MULTIPLIER);
    (mixed >> 24) as usize
}
