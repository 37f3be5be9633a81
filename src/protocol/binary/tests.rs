//! The binary protocol on the wire: what memcached was seen to do, and what must hold of any bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::header::HEADER_BYTES;
use super::*;
use crate::protocol::Parsed;
use crate::protocol::memcache::{Direction, Exptime, KEY_BYTES_MAX, StoreVerb};
use crate::protocol::testing::{Seen, check_pieces, config};

const LIMITS: Limits = Limits { value_bytes_max: 8 };
const OPAQUE: u32 = 0xdead_beef;

/// A request as it is sent. What a test does not name is 0 or empty.
#[derive(Clone, Debug, Default)]
struct Wire<'w> {
    opcode: u8,
    extras: &'w [u8],
    key: &'w [u8],
    value: &'w [u8],
    cas: u64,
    /// The body's length, if it is not that of extras, key and value.
    body_bytes: Option<u32>,
}

impl Wire<'_> {
    fn bytes(&self) -> Vec<u8> {
        let body = [self.extras, self.key, self.value].concat();
        let body_bytes = self.body_bytes.unwrap_or(body.len() as u32);
        let mut wire = vec![REQUEST_MAGIC, self.opcode];
        wire.extend((self.key.len() as u16).to_be_bytes());
        // Data type and vbucket mean nothing.
        wire.extend([self.extras.len() as u8, 1, 2, 3]);
        wire.extend(body_bytes.to_be_bytes());
        wire.extend(OPAQUE.to_be_bytes());
        wire.extend(self.cas.to_be_bytes());
        wire.extend(body);
        wire
    }

    fn echo(&self) -> Echo {
        Echo {
            opcode: self.opcode,
            opaque: OPAQUE,
        }
    }

    fn reads_key(&self, is_quiet: bool, command: KeyCommand<'_>) {
        self.reads(is_quiet, Command::OfKey(command));
    }

    fn reads(&self, is_quiet: bool, command: Command<'_>) {
        let wire = self.bytes();
        let request = Request {
            echo: self.echo(),
            is_quiet,
            command,
        };
        let expected = Parsed::Complete {
            request: format!("{request:?}"),
            consumed: wire.len(),
        };
        assert_eq!(check_pieces(&wire, outcome), expected, "{self:?}");
    }

    fn is_refused(&self, status: Status, swallow: usize, unlink: Option<&[u8]>) {
        self.is_refused_with(status, swallow, false, unlink);
    }

    fn closes(&self, status: Status) {
        self.is_refused_with(status, 0, true, None);
    }

    fn is_refused_with(&self, status: Status, swallow: usize, close: bool, unlink: Option<&[u8]>) {
        let wire = self.bytes();
        let refusal = Refusal {
            echo: self.echo(),
            status: Some(status),
            swallow,
            close,
            unlink,
        };
        let expected = Parsed::Refused {
            refusal: format!("{refusal:?}"),
            consumed: HEADER_BYTES + self.extras.len() + self.key.len(),
        };
        assert_eq!(check_pieces(&wire, outcome), expected, "{self:?}");
    }
}

fn outcome(input: &[u8]) -> Seen {
    parse(input, &LIMITS).seen()
}

const KEY: &[u8] = b"a key\r\n\0";

#[test]
fn retrievals_are_read() {
    for (opcode, is_quiet, shows_key) in [
        (0x00, false, false),
        (0x09, true, false),
        (0x0c, false, true),
        (0x0d, true, true),
    ] {
        let (key, cas) = (KEY, 9);
        let wire = Wire {
            opcode,
            key,
            cas,
            ..Wire::default()
        };
        wire.reads_key(is_quiet, KeyCommand::Get { key, shows_key });
    }
    for (opcode, is_quiet, shows_key) in [
        (0x1d, false, false),
        (0x1e, true, false),
        (0x23, false, true),
        (0x24, true, true),
    ] {
        let wire = Wire {
            opcode,
            key: KEY,
            extras: &[0, 0, 1, 0],
            ..Wire::default()
        };
        let command = KeyCommand::GetAndTouch {
            key: KEY,
            shows_key,
            exptime: Exptime(256),
        };
        wire.reads_key(is_quiet, command);
    }
}

#[test]
fn stores_are_read() {
    for (opcode, is_quiet, verb) in [
        (0x01, false, StoreVerb::Set),
        (0x11, true, StoreVerb::Set),
        (0x02, false, StoreVerb::Add),
        (0x12, true, StoreVerb::Add),
        (0x03, false, StoreVerb::Replace),
        (0x13, true, StoreVerb::Replace),
    ] {
        for (value, cas) in [(&b""[..], 0), (b"12345678", u64::MAX)] {
            let wire = Wire {
                opcode,
                key: KEY,
                extras: b"\0\0\x01\x02\xff\xff\xff\xfe",
                value,
                cas,
                ..Wire::default()
            };
            let store = KeyCommand::Store {
                verb,
                key: KEY,
                flags: 0x102,
                exptime: Exptime(0xffff_fffe),
                value,
                cas,
            };
            wire.reads_key(is_quiet, store);
        }
    }
    for (opcode, is_quiet, verb) in [
        (0x0e, false, StoreVerb::Append),
        (0x19, true, StoreVerb::Append),
        (0x0f, false, StoreVerb::Prepend),
        (0x1a, true, StoreVerb::Prepend),
    ] {
        let wire = Wire {
            opcode,
            key: b"k",
            value: b"more",
            cas: 3,
            ..Wire::default()
        };
        let store = KeyCommand::Store {
            verb,
            key: b"k",
            flags: 0,
            exptime: Exptime::NEVER,
            value: b"more",
            cas: 3,
        };
        wire.reads_key(is_quiet, store);
    }
}

#[test]
fn counts_are_read() {
    let extras = |exptime: u32| {
        let mut extras = 2_u64.to_be_bytes().to_vec();
        extras.extend(u64::MAX.to_be_bytes());
        extras.extend(exptime.to_be_bytes());
        extras
    };
    for (opcode, is_quiet, direction) in [
        (0x05, false, Direction::Incr),
        (0x15, true, Direction::Incr),
        (0x06, false, Direction::Decr),
        (0x16, true, Direction::Decr),
    ] {
        for (exptime, initial) in [
            (0, Some((u64::MAX, Exptime(0)))),
            (0xffff_fffe, Some((u64::MAX, Exptime(0xffff_fffe)))),
            (u32::MAX, None),
        ] {
            let wire = Wire {
                opcode,
                key: b"n",
                extras: &extras(exptime),
                cas: 1,
                ..Wire::default()
            };
            let count = KeyCommand::Count {
                key: b"n",
                direction,
                delta: 2,
                initial,
                cas: 1,
            };
            wire.reads_key(is_quiet, count);
        }
    }
}

#[test]
fn what_is_rare_is_read() {
    let wire = |opcode, extras, key| Wire {
        opcode,
        extras,
        key,
        cas: 5,
        ..Wire::default()
    };
    let table: &[(Wire<'_>, bool, Command<'_>)] = &[
        (
            wire(0x1c, &[0xff; 4], b"k"),
            false,
            Command::OfKey(KeyCommand::Touch {
                key: b"k",
                exptime: Exptime(0xffff_ffff),
            }),
        ),
        (
            wire(0x04, &[], b"k"),
            false,
            Command::OfKey(KeyCommand::Delete { key: b"k", cas: 5 }),
        ),
        (
            wire(0x14, &[], b"k"),
            true,
            Command::OfKey(KeyCommand::Delete { key: b"k", cas: 5 }),
        ),
        (
            wire(0x08, &[], b""),
            false,
            Command::Flush { delay: Exptime(0) },
        ),
        (
            wire(0x18, &[0, 0, 0, 9], b""),
            true,
            Command::Flush { delay: Exptime(9) },
        ),
        (wire(0x10, &[], b""), false, Command::Stat { argument: b"" }),
        (
            wire(0x10, &[], b"items"),
            false,
            Command::Stat { argument: b"items" },
        ),
        (wire(0x0b, &[], b""), false, Command::Version),
        (wire(0x0a, &[], b""), false, Command::NoOp),
        (wire(0x07, &[], b""), false, Command::Quit),
        (wire(0x17, &[], b""), true, Command::Quit),
    ];
    for (wire, is_quiet, command) in table {
        wire.reads(*is_quiet, *command);
    }
}

#[test]
fn wrong_lengths_close() {
    type Row = (u8, &'static [u8], &'static [u8], &'static [u8]);
    let table: &[Row] = &[
        (0x00, b"", b"", b""),
        (0x00, b"1234", b"k", b""),
        (0x00, b"", b"k", b"v"),
        (0x0d, b"", b"", b""),
        (0x01, b"", b"k", b"v"),
        (0x01, b"1234", b"k", b"v"),
        (0x01, b"12345678", b"", b"v"),
        (0x11, b"123456789012", b"k", b"v"),
        (0x0e, b"1234", b"k", b"v"),
        (0x0e, b"", b"", b"v"),
        (0x04, b"", b"", b""),
        (0x04, b"", b"k", b"v"),
        (0x05, b"12345678", b"k", b""),
        (0x05, b"12345678901234567890", b"", b""),
        (0x05, b"12345678901234567890", b"k", b"v"),
        (0x05, b"123456789012345678901", b"k", b""),
        (0x1c, b"", b"k", b""),
        (0x1c, b"1234", b"", b""),
        (0x1c, b"1234", b"k", b"v"),
        (0x1d, b"12345", b"k", b""),
        (0x24, b"1234", b"", b""),
        (0x08, b"12345678", b"", b""),
        (0x08, b"", b"k", b""),
        (0x10, b"1234", b"", b""),
        (0x10, b"", b"k", b"v"),
        (0x0b, b"", b"k", b""),
        (0x0a, b"", b"", b"v"),
        (0x07, b"", b"k", b""),
        (0x20, b"", b"k", b""),
        (0x21, b"", b"", b"v"),
        (0x22, b"1234", b"PLAIN", b"v"),
    ];
    for &(opcode, extras, key, value) in table {
        let wire = Wire {
            opcode,
            extras,
            key,
            value,
            ..Wire::default()
        };
        wire.closes(Status::InvalidArguments);
    }
}

#[test]
fn keys_and_bodies_have_their_limits() {
    let key = &[b'k'; KEY_BYTES_MAX + 1];
    let (longest, too_long) = (&key[1..], &key[..]);
    let get = |key, body_bytes| Wire {
        key,
        body_bytes,
        ..Wire::default()
    };
    get(longest, None).reads_key(
        false,
        KeyCommand::Get {
            key: longest,
            shows_key: false,
        },
    );
    get(too_long, None).closes(Status::InvalidArguments);
    let longest_of_all = get(&[b'k'; 65535], None).bytes();
    assert!(matches!(
        parse(&longest_of_all, &LIMITS),
        Parsed::Refused { refusal, .. } if refusal.close
    ));
    get(b"kkkk", Some(3)).closes(Status::UnknownCommand);
    get(too_long, Some(0)).closes(Status::UnknownCommand);
    get(b"kkkk", Some(u32::MAX)).closes(Status::InvalidArguments);
}

#[test]
fn values_over_the_limit_are_thrown_away() {
    for (opcode, unlinks) in [
        (0x01, true),
        (0x11, true),
        (0x02, false),
        (0x03, false),
        (0x0e, false),
        (0x1a, false),
    ] {
        for value_bytes in [9, u32::MAX as usize - 16] {
            let extras: &[u8] = if opcode < 0x0e || opcode == 0x11 {
                b"12345678"
            } else {
                b""
            };
            let wire = Wire {
                opcode,
                extras,
                key: b"k",
                body_bytes: Some((extras.len() + 1 + value_bytes) as u32),
                ..Wire::default()
            };
            let unlink = unlinks.then_some(&b"k"[..]);
            wire.is_refused(Status::TooLarge, value_bytes, unlink);
        }
    }
}

#[test]
fn what_is_unknown_is_thrown_away() {
    for opcode in [0x1b, 0x1f, 0x25, 0x30, 0x3d, 0x50, 0xff] {
        let wire = Wire {
            opcode,
            extras: b"1234",
            key: b"key",
            value: b"value",
            ..Wire::default()
        };
        wire.is_refused(Status::UnknownCommand, 5, None);
    }
    // SASL where there is none.
    for (opcode, key, value) in [(0x20, "", ""), (0x21, "PLAIN", "\0u\0p"), (0x22, "P", "")] {
        let wire = Wire {
            opcode,
            key: key.as_bytes(),
            value: value.as_bytes(),
            ..Wire::default()
        };
        wire.is_refused(Status::UnknownCommand, value.len(), None);
    }
}

#[test]
fn a_wrong_magic_ends_the_conversation() {
    for magic in [b'g', 0x81, 0] {
        let wire = [magic];
        let Parsed::Refused { refusal, .. } = parse(&wire, &LIMITS) else {
            panic!("{magic}");
        };
        assert!(refusal.close && refusal.status.is_none());
    }
}

/// Wires that make sense, wires whose lengths do not, and now and then a byte that was not there.
fn wires() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![4 => 0u8..0x26, 1 => any::<u8>()];
    let extras = prop_oneof![Just(0), Just(4), Just(8), Just(20), 0usize..24];
    let body = prop_oneof![4 => Just(0i64), 1 => -9i64..9, 1 => Just(1 << 20)];
    let parts = (opcode, extras, 0usize..5, 0usize..12, body, any::<u64>());
    let wire = parts.prop_map(|(opcode, extras, key, value, body, cas)| {
        let wire = Wire {
            opcode,
            extras: &[0xe0; 24][..extras],
            key: &b"kkkkk"[..key],
            value: &b"vvvvvvvvvvvv"[..value],
            cas,
            body_bytes: None,
        };
        let body_bytes = (extras + key + value) as i64 + body;
        Wire {
            body_bytes: u32::try_from(body_bytes).ok(),
            ..wire
        }
        .bytes()
    });
    let mutations = vec((any::<prop::sample::Index>(), any::<u8>()), 0..2);
    (wire, mutations).prop_map(|(mut wire, mutations)| {
        for (index, byte) in mutations {
            let index = index.index(wire.len());
            wire[index] = byte;
        }
        wire
    })
}

proptest! {
    #![proptest_config(config())]

    /// However it is cut, a request is read the same; and whoever is not hung up on is in step.
    #[test]
    fn any_bytes_are_read_in_step(wire in wires()) {
        check_pieces(&wire, outcome);
        let body_bytes = u32::from_be_bytes([wire[8], wire[9], wire[10], wire[11]]) as usize;
        let end = HEADER_BYTES + body_bytes;
        match parse(&wire, &LIMITS) {
            Parsed::Complete { request, consumed } => {
                prop_assert_eq!(consumed, end);
                prop_assert_eq!(request.echo.opcode, wire[1]);
            }
            Parsed::Refused { refusal, consumed } if !refusal.close => {
                prop_assert_eq!(consumed + refusal.swallow, end);
            }
            Parsed::Refused { .. } => {}
            Parsed::Incomplete { want } => prop_assert!(want > wire.len()),
        }
    }
}
