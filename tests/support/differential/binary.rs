//! memcache's binary protocol, right and wrong.

use super::dice::Dice;
use super::generate::{Family, Made};
use super::{CasForm, Command, Piece, UNSHOWN_CAS, pools};

/// Whether ringfort serves it.
const IS_SERVED: bool = true;

pub(super) const FAMILIES: &[Family] = &[
    family("binary-get", 20, get),
    family("binary-store", 24, store),
    family("binary-concat", 8, concat),
    family("binary-delete", 6, delete),
    family("binary-arithmetic", 12, arithmetic),
    family("binary-touch", 8, touch),
    family("binary-admin", 4, admin),
    family("binary-odd", 6, odd),
    family("binary-lost", 1, lost),
];

const fn family(name: &'static str, weight: u32, make: fn(&mut Dice) -> Made) -> Family {
    Family {
        name,
        weight,
        is_served: IS_SERVED,
        make,
    }
}

const NO_OP: u8 = 0x0a;

/// A request in the making; lengths are counted when it ends, unless they are set wrong.
struct Packet {
    opcode: u8,
    extras: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
    cas: Cas,
    magic: u8,
    data_type: u8,
    key_length: Option<u16>,
    extras_length: Option<u8>,
}

enum Cas {
    Number(u64),
    /// What the key was last shown with.
    Known,
}

impl Packet {
    fn new(opcode: u8, key: Vec<u8>) -> Self {
        Self {
            opcode,
            extras: Vec::new(),
            key,
            value: Vec::new(),
            cas: Cas::Number(0),
            magic: 0x80,
            data_type: 0,
            key_length: None,
            extras_length: None,
        }
    }

    fn extra32(mut self, number: u32) -> Self {
        self.extras.extend(number.to_be_bytes());
        self
    }

    fn extra64(mut self, number: u64) -> Self {
        self.extras.extend(number.to_be_bytes());
        self
    }

    /// Now and then a cas unique, mostly the right one.
    fn with_cas(mut self, dice: &mut Dice, permille: u32) -> Self {
        if dice.chance(permille) {
            self.cas = match dice.below(4) {
                0 => Cas::Number(UNSHOWN_CAS + 1),
                1 => Cas::Number(u64::MAX),
                _ => Cas::Known,
            };
        }
        self
    }

    /// Now and then something that is not as the opcode wants it, the packet still being whole.
    fn with_odd_parts(mut self, dice: &mut Dice, permille: u32) -> Self {
        if dice.chance(permille) {
            match dice.below(5) {
                0 => self.extras.truncate(self.extras.len().saturating_sub(4)),
                1 => self.extras.extend([0; 4]),
                2 => self.key.clear(),
                3 => self.value.extend(b"more"),
                _ => self.data_type = 1,
            }
        }
        self
    }

    fn end(self, dice: &mut Dice) -> Command {
        let body = self.extras.len() + self.key.len() + self.value.len();
        let key_length = self.key_length.unwrap_or(self.key.len() as u16);
        let mut head = vec![self.magic, self.opcode];
        head.extend(key_length.to_be_bytes());
        head.push(self.extras_length.unwrap_or(self.extras.len() as u8));
        head.push(self.data_type);
        head.extend([0, 0]);
        head.extend((body as u32).to_be_bytes());
        // Below those of the markers.
        head.extend((dice.number() as u32 & 0x7fff_ffff).to_be_bytes());
        let mut rest = self.extras;
        rest.extend(&self.key);
        rest.extend(self.value);
        let pieces = match self.cas {
            Cas::Number(number) => {
                head.extend(number.to_be_bytes());
                head.extend(rest);
                vec![Piece::Bytes(head)]
            }
            Cas::Known => {
                let cas = Piece::Cas {
                    key: self.key.clone(),
                    form: CasForm::Binary,
                };
                vec![Piece::Bytes(head), cas, Piece::Bytes(rest)]
            }
        };
        Command {
            pieces,
            key: Some(self.key),
            ..Command::default()
        }
    }
}

fn key(dice: &mut Dice) -> Vec<u8> {
    match dice.below(40) {
        0 => vec![b'k'; dice.between(251, 300)],
        1 => b"with blank".to_vec(),
        2 => b"\0".to_vec(),
        _ => pools::memcache_key(dice),
    }
}

/// An expiration that does not come during a test.
fn expiration(dice: &mut Dice) -> u32 {
    *dice.pick(&[
        0,
        0,
        0,
        0,
        100,
        3600,
        2_592_000,
        2_592_001,
        2_000_000_000,
        u32::MAX,
        1 << 31,
    ])
}

fn flags(dice: &mut Dice) -> u32 {
    *dice.pick(&[0, 0, 1, 123, 0xdead_beef, u32::MAX])
}

fn get(dice: &mut Dice) -> Made {
    // get, getq, getk, getkq
    let opcode = *dice.pick(&[0x00, 0x00, 0x09, 0x0c, 0x0d]);
    let packet = Packet::new(opcode, key(dice)).with_odd_parts(dice, 10);
    Made::One(packet.end(dice))
}

fn store(dice: &mut Dice) -> Made {
    // set, add, replace, and the quiet ones
    let opcode = *dice.pick(&[0x01, 0x01, 0x01, 0x02, 0x03, 0x11, 0x12, 0x13]);
    let mut packet = Packet::new(opcode, key(dice))
        .extra32(flags(dice))
        .extra32(expiration(dice));
    packet.value = pools::value(dice);
    let packet = packet.with_cas(dice, 200).with_odd_parts(dice, 10);
    Made::One(packet.end(dice))
}

fn concat(dice: &mut Dice) -> Made {
    // append, prepend, and the quiet ones
    let mut packet = Packet::new(*dice.pick(&[0x0e, 0x0f, 0x19, 0x1a]), key(dice));
    packet.value = pools::value(dice);
    let packet = packet.with_cas(dice, 150).with_odd_parts(dice, 10);
    Made::One(packet.end(dice))
}

fn delete(dice: &mut Dice) -> Made {
    let packet = Packet::new(*dice.pick(&[0x04, 0x14]), key(dice));
    let packet = packet.with_cas(dice, 200).with_odd_parts(dice, 10);
    Made::One(packet.end(dice))
}

fn arithmetic(dice: &mut Dice) -> Made {
    // increment, decrement, and the quiet ones
    const NUMBERS: &[u64] = &[0, 1, 2, 10, 1 << 32, i64::MAX as u64, u64::MAX];
    let opcode = *dice.pick(&[0x05, 0x06, 0x15, 0x16]);
    // Of all ones: not to be created.
    let expiration = *dice.pick(&[0, 0, 100, u32::MAX, u32::MAX, 2_592_001]);
    let packet = Packet::new(opcode, key(dice))
        .extra64(*dice.pick(NUMBERS))
        .extra64(*dice.pick(NUMBERS))
        .extra32(expiration);
    let packet = packet.with_cas(dice, 100).with_odd_parts(dice, 10);
    Made::One(packet.end(dice))
}

fn touch(dice: &mut Dice) -> Made {
    // touch, gat, gatq, gatk, gatkq
    let opcode = *dice.pick(&[0x1c, 0x1c, 0x1d, 0x1e, 0x23, 0x24]);
    let packet = Packet::new(opcode, key(dice)).extra32(expiration(dice));
    Made::One(packet.with_odd_parts(dice, 10).end(dice))
}

fn admin(dice: &mut Dice) -> Made {
    let packet = match dice.below(12) {
        0..=2 => Packet::new(0x0b, Vec::new()),
        3 | 4 => Packet::new(NO_OP, Vec::new()),
        5 => Packet::new(0x08, Vec::new()),
        6 => Packet::new(*dice.pick(&[0x08, 0x18]), Vec::new()).extra32(*dice.pick(&[0, 100_000])),
        7 => Packet::new(0x18, Vec::new()),
        8 => Packet::new(0x1b, Vec::new()).extra32(0),
        9 => Packet::new(0x10, dice.word(&["", "settings", "reset"])),
        _ => Packet::new(*dice.pick(&[0x07, 0x17]), Vec::new()),
    };
    Made::One(packet.with_odd_parts(dice, 60).end(dice))
}

/// Opcodes that nobody serves, with any body.
fn odd(dice: &mut Dice) -> Made {
    let opcode = *dice.pick(&[0x1f, 0x25, 0x30, 0x3c, 0x40, 0x60, 0x7f, 0x80, 0xff]);
    let mut packet = Packet::new(
        opcode,
        if dice.chance(500) {
            key(dice)
        } else {
            Vec::new()
        },
    );
    if dice.chance(300) {
        packet = packet.extra32(0);
    }
    if dice.chance(300) {
        packet.value = pools::value(dice);
    }
    Made::One(packet.end(dice))
}

/// Packets after which nobody knows where the next one begins, with as many bytes behind as they may wait for.
fn lost(dice: &mut Dice) -> Made {
    let mut packet = Packet::new(*dice.pick(&[0x00, 0x01, 0x05]), b"a".to_vec());
    let mut behind = 0;
    match dice.below(4) {
        0 => packet.magic = *dice.pick(&[0x81, 0x00, 0xff, b'g']),
        1 => {
            behind = dice.between(2, 10_000);
            packet.key_length = Some(behind as u16);
        }
        2 => {
            behind = dice.between(1, 255);
            packet.extras_length = Some(behind as u8);
        }
        _ => {
            packet.key_length = Some(u16::MAX);
            packet.extras_length = Some(u8::MAX);
            behind = usize::from(u16::MAX) + usize::from(u8::MAX);
        }
    }
    // A connection speaks binary once its first packet has.
    let no_op = Packet::new(NO_OP, Vec::new()).end(dice);
    let mut command = packet.end(dice);
    command.pieces.splice(0..0, no_op.pieces);
    command.pieces.push(Piece::Bytes(vec![0; behind]));
    Made::One(command)
}
