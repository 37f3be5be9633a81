//! Replies as literals: whole, at every split, and followed by more.

use clap::ValueEnum;

use super::*;
use crate::workload::item;
use crate::workload::item::tests::items;

const KEYS: [u32; 3] = [3, 5, 9];

fn one(op: Op) -> Asked<'static> {
    Asked {
        op,
        keys: &KEYS[..1],
    }
}

const THREE: Asked<'static> = Asked {
    op: Op::Read,
    keys: &KEYS,
};

const HIT: Outcome = Outcome::Read { hits: 1, misses: 0 };
const MISS: Outcome = Outcome::Read { hits: 0, misses: 1 };

fn value_of(key_index: u32, value_bytes: usize) -> Vec<u8> {
    let mut value = Vec::new();
    item::append_value(&mut value, key_index, value_bytes);
    value
}

/// A value in a reply, under the key where the protocol has it there.
fn element(protocol: Protocol, key_index: u32, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let header = match protocol {
        Protocol::Memcache => format!("VALUE key:{key_index:012} 0 {length}\r\n"),
        Protocol::Meta => format!("VA {length} kkey:{key_index:012}\r\n"),
        Protocol::Resp | Protocol::Resp3 => format!("${length}\r\n"),
    };
    [header.as_bytes(), value, b"\r\n"].concat()
}

/// The reply to a read of one key.
fn hit(protocol: Protocol, key_index: u32, value: &[u8]) -> Vec<u8> {
    let end: &[u8] = if protocol == Protocol::Memcache {
        b"END\r\n"
    } else {
        b""
    };
    [&element(protocol, key_index, value), end].concat()
}

/// The reply to a read of several; in RESP, `None` is a key without a value.
fn row(protocol: Protocol, elements: &[Option<u32>]) -> Vec<u8> {
    let null: &[u8] = match protocol {
        Protocol::Resp => b"$-1\r\n",
        Protocol::Resp3 => b"_\r\n",
        Protocol::Memcache | Protocol::Meta => b"",
    };
    let values = elements.iter().map(|found| match found {
        Some(key_index) => element(protocol, *key_index, &value_of(*key_index, 20)),
        None => null.to_vec(),
    });
    let values = values.collect::<Vec<_>>().concat();
    match protocol {
        Protocol::Memcache => [&values[..], b"END\r\n"].concat(),
        Protocol::Meta => [&values[..], b"MN\r\n"].concat(),
        Protocol::Resp | Protocol::Resp3 => {
            [format!("*{}\r\n", elements.len()).as_bytes(), &values].concat()
        }
    }
}

fn lines(protocol: Protocol) -> &'static [(Op, &'static str, Outcome)] {
    const GONE: Outcome = Outcome::Deleted { was_there: true };
    const ABSENT: Outcome = Outcome::Deleted { was_there: false };
    match protocol {
        Protocol::Memcache => &[
            (Op::Read, "END\r\n", MISS),
            (Op::Write, "END\r\n", Outcome::Wrong),
            (Op::Write, "STORED\r\n", Outcome::Stored),
            (Op::Read, "STORED\r\n", Outcome::Wrong),
            (Op::Write, "NOT_STORED\r\n", Outcome::Error),
            (Op::Delete, "DELETED\r\n", GONE),
            (Op::Delete, "NOT_FOUND\r\n", ABSENT),
            (Op::Write, "DELETED\r\n", Outcome::Wrong),
            (Op::Read, "ERROR\r\n", Outcome::Error),
            (Op::Write, "SERVER_ERROR out of memory\r\n", Outcome::Error),
            (Op::Write, "CLIENT_ERROR bad data chunk\r\n", Outcome::Error),
        ],
        Protocol::Meta => &[
            (Op::Read, "EN\r\n", MISS),
            (Op::Write, "EN\r\n", Outcome::Wrong),
            (Op::Write, "HD\r\n", Outcome::Stored),
            (Op::Delete, "HD\r\n", GONE),
            (Op::Delete, "NF\r\n", ABSENT),
            (Op::Read, "HD\r\n", Outcome::Wrong),
            (Op::Write, "NS\r\n", Outcome::Error),
            (Op::Write, "SERVER_ERROR out of memory\r\n", Outcome::Error),
        ],
        Protocol::Resp => &[
            (Op::Read, "$-1\r\n", MISS),
            (Op::Write, "$-1\r\n", Outcome::Wrong),
            (Op::Write, "+OK\r\n", Outcome::Stored),
            (Op::Read, "+OK\r\n", Outcome::Wrong),
            (Op::Delete, ":1\r\n", GONE),
            (Op::Delete, ":0\r\n", ABSENT),
            (Op::Read, ":0\r\n", Outcome::Wrong),
            (Op::Write, "-OOM no room\r\n", Outcome::Error),
        ],
        Protocol::Resp3 => &[
            (Op::Read, "_\r\n", MISS),
            (Op::Write, "_\r\n", Outcome::Wrong),
        ],
    }
}

fn cases(protocol: Protocol) -> Vec<(Asked<'static>, Vec<u8>, Outcome)> {
    let value = value_of(3, 20);
    let mut cases = vec![
        (one(Op::Read), hit(protocol, 3, &value), HIT),
        (
            one(Op::Read),
            hit(protocol, 3, &value[..19]),
            Outcome::Wrong,
        ),
        (
            one(Op::Read),
            hit(protocol, 3, &value_of(4, 20)),
            Outcome::Wrong,
        ),
        (one(Op::Write), hit(protocol, 3, &value), Outcome::Wrong),
        (
            THREE,
            row(protocol, &[Some(3), Some(5), Some(9)]),
            Outcome::Read { hits: 3, misses: 0 },
        ),
        (
            THREE,
            row(protocol, &[Some(3), None, Some(9)]),
            Outcome::Read { hits: 2, misses: 1 },
        ),
        (
            THREE,
            row(protocol, &[None, None, None]),
            Outcome::Read { hits: 0, misses: 3 },
        ),
        (
            THREE,
            row(protocol, &[Some(3), Some(4), Some(9)]),
            Outcome::Wrong,
        ),
    ];
    let is_keyed = matches!(protocol, Protocol::Memcache | Protocol::Meta);
    let in_turn = row(protocol, &[Some(9), Some(3), Some(5)]);
    let judged = if is_keyed {
        Outcome::Read { hits: 3, misses: 0 }
    } else {
        Outcome::Wrong
    };
    cases.push((THREE, in_turn, judged));
    let twice = row(protocol, &[Some(3), Some(3), Some(9)]);
    cases.push((THREE, twice, Outcome::Wrong));
    cases.extend(
        lines(protocol)
            .iter()
            .map(|&(op, line, outcome)| (one(op), line.into(), outcome)),
    );
    if protocol == Protocol::Meta {
        let refused = [
            b"SERVER_ERROR x\r\n".to_vec(),
            row(protocol, &[Some(5), None, None]),
        ]
        .concat();
        cases.push((THREE, refused, Outcome::Error));
    }
    if protocol == Protocol::Resp {
        cases.push((THREE, hit(protocol, 3, &value), Outcome::Wrong));
    }
    cases
}

#[test]
fn replies_are_judged_whole_and_incomplete_at_every_split() {
    for &protocol in Protocol::value_variants() {
        let check = Check::Whole {
            protocol,
            items: items(20),
        };
        for (asked, reply, outcome) in cases(protocol) {
            let shown = format!("{protocol:?} {}", reply.escape_ascii());
            for split in 0..reply.len() {
                assert_eq!(
                    check.parse(&reply[..split], asked),
                    Parsed::Incomplete,
                    "{shown}"
                );
            }
            let complete = Parsed::Complete {
                reply_bytes: reply.len(),
                outcome,
            };
            assert_eq!(check.parse(&reply, asked), complete, "{shown}");
            let followed = [&reply[..], b"VALUE $"].concat();
            assert_eq!(check.parse(&followed, asked), complete, "{shown}, followed");
        }
    }
}

#[test]
fn a_value_under_another_key_is_wrong() {
    for protocol in [Protocol::Memcache, Protocol::Meta] {
        let reply = hit(protocol, 4, &value_of(3, 20));
        let check = Check::Whole {
            protocol,
            items: items(20),
        };
        let complete = Parsed::Complete {
            reply_bytes: reply.len(),
            outcome: Outcome::Wrong,
        };
        assert_eq!(check.parse(&reply, one(Op::Read)), complete);
    }
}

#[test]
fn broken_framing_is_invalid() {
    let endless = "x".repeat(LINE_BYTES_MAX + 1);
    let nested = "*3\r\n".to_owned() + &"$-2\r\n".repeat(3);
    for (protocol, asked, reply) in [
        (
            Protocol::Memcache,
            one(Op::Read),
            "VALUE key:000000000003 0 x\r\n",
        ),
        (
            Protocol::Memcache,
            one(Op::Read),
            "VALUE key:000000000003 0 1\r\nxyEND\r\n\r\n\r\n",
        ),
        (
            Protocol::Memcache,
            one(Op::Read),
            "VALUE key:000000000003\r\n",
        ),
        (
            Protocol::Memcache,
            one(Op::Read),
            "VALUE key:000000000003 0 9999999999\r\n",
        ),
        (Protocol::Memcache, one(Op::Read), "END\n"),
        (Protocol::Memcache, one(Op::Read), "HELLO\r\n"),
        (Protocol::Memcache, one(Op::Read), &endless),
        (Protocol::Meta, one(Op::Read), "VA 1\r\n"),
        (
            Protocol::Meta,
            one(Op::Read),
            "VA 1 kkey:000000000003\r\nxyz\r\n",
        ),
        (Protocol::Meta, one(Op::Read), "VA 9999999999 kk\r\n"),
        (Protocol::Meta, THREE, "EN\r\n"),
        (Protocol::Resp, one(Op::Read), "$1\r\nxy\r\n"),
        (Protocol::Resp, one(Op::Read), "$x\r\n"),
        (Protocol::Resp, one(Op::Read), "$-2\r\n"),
        (Protocol::Resp, one(Op::Read), "_\r\n"),
        (Protocol::Resp3, one(Op::Read), "$-1\r\n"),
        (Protocol::Resp, one(Op::Read), "*1\r\n$-1\r\n"),
        (Protocol::Resp, THREE, "*2\r\n$-1\r\n$-1\r\n"),
        (Protocol::Resp, THREE, &nested),
        (Protocol::Resp, one(Op::Read), ":2\r\n"),
        (Protocol::Resp, one(Op::Read), "\r\n"),
    ] {
        let check = Check::Whole {
            protocol,
            items: items(20),
        };
        assert_eq!(
            check.parse(reply.as_bytes(), asked),
            Parsed::Invalid,
            "{protocol:?} {reply:?}"
        );
    }
}

#[test]
fn stated_reply_lengths_are_those_of_real_replies() {
    for &protocol in Protocol::value_variants() {
        let stored = match protocol {
            Protocol::Memcache => "STORED\r\n",
            Protocol::Meta => "HD\r\n",
            Protocol::Resp | Protocol::Resp3 => "+OK\r\n",
        };
        let read = hit(protocol, 0, &value_of(0, 20));
        assert_eq!(protocol.reply_bytes(Op::Read, &items(20)), read.len());
        assert_eq!(protocol.reply_bytes(Op::Write, &items(20)), stored.len());
    }
}

fn requests(protocol: Protocol) -> [Vec<u8>; 5] {
    let items = items(3);
    let encoded = |append: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        append(&mut out);
        out
    };
    [
        encoded(&|out| protocol.append_read(out, &[5], &items)),
        encoded(&|out| protocol.append_read(out, &[5, 6], &items)),
        encoded(&|out| protocol.append_write(out, 5, 3, 0, &items)),
        encoded(&|out| protocol.append_write(out, 5, 3, 60, &items)),
        encoded(&|out| protocol.append_delete(out, 5, &items)),
    ]
}

#[test]
fn requests_are_encoded() {
    let value = value_of(5, 3);
    let with_value =
        |head: &str, tail: &str| [head.as_bytes(), &value[..], tail.as_bytes()].concat();
    let memcache = [
        b"get key:000000000005\r\n".to_vec(),
        b"get key:000000000005 key:000000000006\r\n".to_vec(),
        with_value("set key:000000000005 0 0 3\r\n", "\r\n"),
        with_value("set key:000000000005 0 60 3\r\n", "\r\n"),
        b"delete key:000000000005\r\n".to_vec(),
    ];
    assert_eq!(requests(Protocol::Memcache), memcache);
    let meta = [
        b"mg key:000000000005 k v\r\n".to_vec(),
        b"mg key:000000000005 k v q\r\nmg key:000000000006 k v q\r\nmn\r\n".to_vec(),
        with_value("ms key:000000000005 3\r\n", "\r\n"),
        with_value("ms key:000000000005 3 T60\r\n", "\r\n"),
        b"md key:000000000005\r\n".to_vec(),
    ];
    assert_eq!(requests(Protocol::Meta), meta);
    let resp = [
        b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000005\r\n".to_vec(),
        b"*3\r\n$4\r\nMGET\r\n$16\r\nkey:000000000005\r\n$16\r\nkey:000000000006\r\n".to_vec(),
        with_value(
            "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000005\r\n$3\r\n",
            "\r\n",
        ),
        with_value(
            "*5\r\n$3\r\nSET\r\n$16\r\nkey:000000000005\r\n$3\r\n",
            "\r\n$2\r\nEX\r\n$2\r\n60\r\n",
        ),
        b"*2\r\n$3\r\nDEL\r\n$16\r\nkey:000000000005\r\n".to_vec(),
    ];
    assert_eq!(requests(Protocol::Resp), resp);
    assert_eq!(requests(Protocol::Resp3), resp);
}

#[test]
fn the_answer_to_hello_is_waited_for_whole() {
    let answer = b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nmodules\r\n*1\r\n*0\r\n";
    for split in 0..answer.len() {
        assert_eq!(
            Protocol::Resp3.is_greeted(&answer[..split]),
            None,
            "{split}"
        );
    }
    assert_eq!(Protocol::Resp3.is_greeted(answer), Some(true));
    for refusal in [
        "-ERR unknown command 'HELLO'\r\n",
        "+OK\r\n",
        "?\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
    ] {
        assert_eq!(
            Protocol::Resp3.is_greeted(refusal.as_bytes()),
            Some(false),
            "{refusal}"
        );
    }
}
