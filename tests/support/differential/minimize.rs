//! Makes a sequence as short as it can be while the servers still disagree about it (delta debugging: Zeller and
//! Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).

use super::driver::{Contest, Delivery, Disagreement};
use super::{Batch, Sequence};

/// A short sequence that two servers answer differently.
pub(crate) struct Minimal {
    pub(crate) sequence: Sequence,
    pub(crate) delivery: Delivery,
    pub(crate) disagreement: Box<Disagreement>,
}

/// Plays enough for a sequence of a hundred batches to be worn down to a few.
const PLAY_COUNT_MAX: usize = 600;

/// Shortens `sequence`; `None` when the servers agree about it after all.
pub(crate) fn minimize(contest: &mut Contest, sequence: &Sequence) -> Option<Minimal> {
    let mut attempts = Attempts {
        contest,
        plays_left: PLAY_COUNT_MAX,
    };
    let mut minimal = [Delivery::Plain, Delivery::Rough]
        .into_iter()
        .find_map(|delivery| attempts.fails(sequence.clone(), delivery))?;
    loop {
        let before = minimal.sequence.command_count();
        attempts.drop_batches(&mut minimal);
        attempts.drop_commands(&mut minimal);
        if minimal.sequence.command_count() == before {
            return Some(minimal);
        }
    }
}

struct Attempts<'c> {
    contest: &'c mut Contest,
    plays_left: usize,
}

impl Attempts<'_> {
    /// The sequence up to where the servers disagree, if they do.
    fn fails(&mut self, mut sequence: Sequence, delivery: Delivery) -> Option<Minimal> {
        self.plays_left = self.plays_left.checked_sub(1)?;
        let disagreement = self.contest.play(&sequence, delivery).err()?;
        sequence.batches.truncate(disagreement.heard.len());
        Some(Minimal {
            sequence,
            delivery,
            disagreement,
        })
    }

    /// Leaves out halves, then quarters, then ever smaller stretches of the batches.
    fn drop_batches(&mut self, minimal: &mut Minimal) {
        let mut length = minimal.sequence.batches.len().div_ceil(2);
        while length > 0 {
            let mut start = 0;
            while start < minimal.sequence.batches.len() {
                let mut shorter = minimal.sequence.clone();
                let end = (start + length).min(shorter.batches.len());
                shorter.batches.drain(start..end);
                match self.fails(shorter, minimal.delivery) {
                    Some(found) => *minimal = found,
                    None => start += length,
                }
            }
            length /= 2;
        }
    }

    /// Leaves out single commands, but for those that hold a bracket together.
    fn drop_commands(&mut self, minimal: &mut Minimal) {
        for batch in (0..minimal.sequence.batches.len()).rev() {
            let mut index = 0;
            while let Some(shorter) = without_command(&minimal.sequence, batch, index) {
                match self.fails(shorter, minimal.delivery) {
                    Some(found) => *minimal = found,
                    None => index += 1,
                }
            }
        }
    }
}

/// `None` when there is no such command to leave out.
fn without_command(sequence: &Sequence, batch: usize, index: usize) -> Option<Sequence> {
    let Batch {
        commands,
        is_bracket,
        ..
    } = sequence.batches.get(batch)?;
    let place = index + usize::from(*is_bracket);
    let end = commands.len() - usize::from(*is_bracket);
    if place >= end || commands.len() == 1 {
        return None;
    }
    let mut shorter = sequence.clone();
    shorter.batches[batch].commands.remove(place);
    Some(shorter)
}
