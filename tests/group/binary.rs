//! Clients that speak memcache's binary protocol.

use super::{
    group,
    support::{
        binary::{Reply, packet, packet_with, reply},
        origin::{Answer, Origin},
        wire::Wire,
    },
};

const GET: u8 = 0x00;
const SET: u8 = 0x01;
const ADD: u8 = 0x02;
const REPLACE: u8 = 0x03;
const DELETE: u8 = 0x04;
const INCREMENT: u8 = 0x05;
const DECREMENT: u8 = 0x06;
const GETQ: u8 = 0x09;
const NOOP: u8 = 0x0a;
const GETK: u8 = 0x0c;
const GETKQ: u8 = 0x0d;
const APPEND: u8 = 0x0e;
const PREPEND: u8 = 0x0f;
const TOUCH: u8 = 0x1c;
const GAT: u8 = 0x1d;

const NOT_FOUND: u16 = 0x01;
const NOT_SUPPORTED: u16 = 0x83;
const INTERNAL: u16 = 0x84;

/// Each key is its own value, but for one that is not there and one that fails.
fn origin() -> Origin {
    Origin::start(|path| match path {
        "/none" => Answer::status(404),
        "/bad" => Answer::status(500),
        path => Answer::value(&path[1..]),
    })
}

/// What is said to these, in order.
fn told(wire: &mut Wire, requests: &[(u8, &str)]) -> Vec<Reply> {
    for (opcode, key) in requests {
        wire.send(&packet(*opcode, key.as_bytes(), b""));
    }
    wire.send(&packet(NOOP, b"", b""));
    let replies = std::iter::from_fn(|| Some(reply(wire)).filter(|reply| reply.opcode != NOOP));
    replies.collect()
}

#[test]
fn what_is_missing_is_loaded_for_each_way_to_get() {
    let origin = origin();
    let ringfort = group(&origin, &[]);
    let mut binary = Wire::connect(ringfort.memcache());
    let mut wire = Wire::connect(ringfort.memcache());
    let mut rounds = Vec::new();
    for round in 1..=2 {
        let replies = told(
            &mut binary,
            &[
                (GETKQ, "a"),
                (GETKQ, "none"),
                (GETQ, "none"),
                (GETQ, "b"),
                (GETK, "c"),
                (GET, "d"),
                (GET, "none"),
                (GETK, "none"),
                (GET, "bad"),
                (GETK, "bad"),
                (GETKQ, "bad"),
            ],
        );
        let shown: Vec<_> = replies
            .iter()
            .map(|reply| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (
                    reply.opcode,
                    reply.status,
                    text(&reply.key),
                    text(&reply.value),
                )
            })
            .collect();
        let fails = "origin answered 500 Internal Server Error";
        let expected = [
            (GETKQ, 0, "a", "a"),
            (GETQ, 0, "", "b"),
            (GETK, 0, "c", "c"),
            (GET, 0, "", "d"),
            (GET, NOT_FOUND, "", "Not found"),
            (GETK, NOT_FOUND, "none", ""),
            (GET, INTERNAL, "", fails),
            (GETK, INTERNAL, "", fails),
            (GETKQ, INTERNAL, "", fails),
        ];
        let expected = expected
            .map(|(opcode, status, key, value)| (opcode, status, key.to_owned(), value.to_owned()));
        assert_eq!(shown, expected);
        for hit in replies.iter().filter(|reply| reply.status == 0) {
            assert_eq!(hit.extras, [0; 4], "no flags");
            assert_ne!(hit.cas, 0);
        }
        // Those that ask together are answered by one load.
        assert!(origin.asked("none") >= round, "it is not kept");
        assert!(origin.asked("bad") >= round, "nor is an error");
        rounds.push(replies);
    }
    assert_eq!(rounds[0], rounds[1], "loaded and kept");
    assert_eq!(["a", "b", "c", "d"].map(|key| origin.asked(key)), [1; 4]);
    assert_eq!(wire.stat("groups", "Gets"), 2 * 11);
    assert_eq!(wire.stat("groups", "CacheHits"), 4);
}

#[test]
fn what_a_group_cannot_do_is_refused() {
    let origin = origin();
    let ringfort = group(&origin, &[]);
    let mut wire = Wire::connect(ringfort.memcache());
    let cannot = "a key of a group can only be read, set and deleted";
    let no_flags = "a value of a group has no flags";
    let (plain, flagged) = ([0; 8], [0, 0, 0, 1, 0, 0, 0, 0]);
    let number = [&[0; 7][..], &[1], &[0; 12]].concat();
    let refused = [
        (packet_with(SET, b"k", &flagged, b"v", 0), no_flags),
        (packet_with(SET, b"k", &plain, b"v", 7), cannot),
        (packet_with(ADD, b"k", &plain, b"v", 0), cannot),
        (packet_with(REPLACE, b"k", &plain, b"v", 0), cannot),
        (packet_with(APPEND, b"k", b"", b"v", 0), cannot),
        (packet_with(PREPEND, b"k", b"", b"v", 0), cannot),
        (packet_with(DELETE, b"k", b"", b"", 7), cannot),
        (packet(INCREMENT, b"k", &number), cannot),
        (packet(DECREMENT, b"k", &number), cannot),
        (packet(TOUCH, b"k", &[0; 4]), cannot),
        (packet(GAT, b"k", &[0; 4]), cannot),
    ];
    for (request, text) in refused {
        wire.send(&request);
        let said = reply(&mut wire);
        let told = (said.opcode, said.status, said.value.as_slice());
        assert_eq!(told, (request[1], NOT_SUPPORTED, text.as_bytes()));
    }
    assert_eq!(origin.asked_in_all(), 0, "nothing of that loads anything");
    wire.send(&packet_with(SET, b"k", &plain, b"mine", 0));
    assert_eq!(reply(&mut wire).status, 0);
    assert_eq!(told(&mut wire, &[(GET, "k")])[0].value, b"mine");
    assert_eq!(told(&mut wire, &[(DELETE, "k")])[0].status, 0);
    assert_eq!(told(&mut wire, &[(GET, "k")])[0].value, b"k");
    assert_eq!(origin.asked("k"), 1);
}
