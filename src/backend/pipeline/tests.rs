//! Replies read byte by byte, alone and joined.

mod large;
mod loss;

use super::*;
use crate::backend::Meaning;

const NOW: UnixMs = UnixMs(5);

const TERMS: Terms = Terms {
    on_loss: OnLoss::Fail,
    patience_ms: 1_000,
};

fn run(protocol: Protocol, expects: &[Expects], wire: &[u8]) -> Vec<(usize, String, String)> {
    let mut pipeline = Pipeline::new(protocol, KeyHasher::new(1), 100);
    for (tag, expects) in expects.iter().enumerate() {
        pipeline
            .push(tag, *expects, TERMS, NOW)
            .extend_from_slice(b"asked");
    }
    pipeline.take_output(Vec::new(), NOW);
    let mut replies = Vec::new();
    let (mut start, mut end) = (0, 0);
    // Byte by byte: no reply may come early or twice.
    loop {
        match pipeline.receive(&wire[start..end]) {
            Received::Broken => panic!("broken at {end}"),
            other @ (Received::Push { .. }
            | Received::Skipped { .. }
            | Received::Unheard { .. }) => panic!("{other:?}"),
            Received::Incomplete { want } => {
                assert!(want > end - start, "it wants more than there is");
                if end == wire.len() {
                    assert_eq!(start, end, "something is left over");
                    return replies;
                }
                end += 1;
            }
            Received::Complete {
                tag,
                reply,
                consumed,
            } => {
                let frame = String::from_utf8_lossy(reply.frame).into_owned();
                replies.push((tag, frame, format!("{:?}", reply.meaning)));
                start += consumed;
            }
        }
    }
}

#[test]
fn memcache_replies_match_their_requests() {
    use Expects::{Line, Retrieval};
    let wire = b"VALUE k 3 2\r\nab\r\nEND\r\nEND\r\nSTORED\r\nSERVER_ERROR busy\r\n";
    let replies = run(
        Protocol::Memcache,
        &[Retrieval, Retrieval, Line, Retrieval],
        wire,
    );
    assert_eq!(replies.len(), 4);
    assert_eq!(replies[0].1, "VALUE k 3 2\r\nab\r\n");
    assert!(replies[0].2.starts_with("Hit"), "{}", replies[0].2);
    assert_eq!(replies[1].2, "Miss");
    assert_eq!(replies[2].2, "Other");
    assert_eq!((replies[3].0, &replies[3].2[..]), (3, "Error"));
}

#[test]
fn resp_replies_match_their_requests() {
    let wire = b"$2\r\nab\r\n$-1\r\n+OK\r\n-ERR no\r\n:5\r\n*2\r\n$1\r\na\r\n:1\r\n";
    let replies = run(Protocol::Resp, &[Expects::Line; 6], wire);
    let meanings: Vec<&str> = replies
        .iter()
        .map(|reply| reply.2.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        meanings,
        ["Hit", "Miss", "Other", "Error", "Other", "Other"]
    );
    assert_eq!(replies[5].1, "*2\r\n$1\r\na\r\n:1\r\n");
}

/// A pipeline that has sent one request.
fn asked(protocol: Protocol, expects: Expects) -> Pipeline<u32> {
    let mut pipeline = Pipeline::new(protocol, KeyHasher::new(1), 100);
    pipeline
        .push(1, expects, TERMS, NOW)
        .extend_from_slice(b"asked");
    pipeline.take_output(Vec::new(), NOW);
    pipeline
}

#[test]
fn unasked_and_unexpected_bytes_break_it() {
    for protocol in [Protocol::Memcache, Protocol::Resp] {
        let mut pipeline = Pipeline::<u32>::new(protocol, KeyHasher::new(1), 100);
        assert!(matches!(pipeline.receive(b"+STORED\r\n"), Received::Broken));
        // A reply before the request was sent is another's.
        pipeline
            .push(1, Expects::Line, TERMS, NOW)
            .extend_from_slice(b"unsent");
        assert!(matches!(pipeline.receive(b"+STORED\r\n"), Received::Broken));
    }
    let mut pipeline = asked(Protocol::Memcache, Expects::Line);
    assert!(matches!(pipeline.receive(b"END\r\n"), Received::Broken));
    let mut pipeline = asked(Protocol::Memcache, Expects::Retrieval);
    let two = b"VALUE a 0 1\r\nx\r\nVALUE b 0 1\r\n";
    assert!(matches!(pipeline.receive(two), Received::Broken));
}

/// What is whole and no answer to what was asked is another's: it is nobody's.
#[test]
fn a_reply_of_another_kind_breaks_it() {
    use Expects::{Line, Meta, Retrieval};
    let wire_of = |expects, wire: &'static [u8]| (Some(expects), wire);
    for (expects, wire) in [
        wire_of(Line, b"HTTP/1.1 400 Bad Request\r\n"),
        wire_of(Line, b"+OK\r\n"),
        wire_of(Line, b"220 mail.example.org\r\n"),
        wire_of(Line, b"\r\n"),
        wire_of(Line, b"VALUE k 0 1\r\nx\r\nEND\r\n"),
        wire_of(Retrieval, b"STORED\r\n"),
        wire_of(Retrieval, b"5\r\n"),
        wire_of(Meta, b"STORED\r\n"),
        wire_of(Meta, b"END\r\n"),
        // One key of a `get` that may have several.
        (None, b"DELETED\r\n"),
        (None, b"HD\r\n"),
    ] {
        let mut pipeline = match expects {
            Some(expects) => asked(Protocol::Memcache, expects),
            None => asked_value(Protocol::Memcache),
        };
        let received = pipeline.receive(wire);
        let text = wire.escape_ascii();
        assert!(matches!(received, Received::Broken), "{text}: {received:?}");
    }
    for wire in [&b"+OK\r\n"[..], b":5\r\n", b"*1\r\n:5\r\n"] {
        let received = asked_value(Protocol::Resp).receive(wire);
        assert!(matches!(received, Received::Broken), "{received:?}");
    }
    for wire in [&b"$-1\r\n"[..], b"$1\r\nx\r\n", b"-ERR no\r\n", b"_\r\n"] {
        let received = asked_value(Protocol::Resp).receive(wire);
        assert!(
            matches!(received, Received::Complete { .. }),
            "{received:?}"
        );
    }
}

#[test]
fn a_value_of_another_key_breaks_it_where_the_key_is_known() {
    let wire = b"VALUE b 0 1 7\r\nx\r\nEND\r\n";
    for (key, is_right) in [(None, true), (Some("b"), true), (Some("a"), false)] {
        let mut pipeline = Pipeline::new(Protocol::Memcache, KeyHasher::new(1), 100);
        pipeline
            .push(1, Expects::Retrieval, TERMS, NOW)
            .extend_from_slice(b"gets\r\n");
        if let Some(key) = key {
            pipeline.name_key(KeyHasher::new(1).hash(key.as_bytes()));
        }
        pipeline.take_output(Vec::new(), NOW);
        let is_answered = matches!(pipeline.receive(wire), Received::Complete { .. });
        assert_eq!(is_answered, is_right, "{key:?}");
    }
}

/// One value of a key was asked for.
fn asked_value(protocol: Protocol) -> Pipeline<u32> {
    let hasher = KeyHasher::new(1);
    let mut pipeline = Pipeline::new(protocol, hasher, 100);
    pipeline.push_get(0, hasher.key(b"k"), Spelling::Text, TERMS, NOW);
    pipeline.take_output(Vec::new(), NOW);
    pipeline
}

#[test]
fn pushes_are_no_replies_wherever_they_stand() {
    let push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    let with_attributes = [&b"|1\r\n+ttl\r\n:3\r\n"[..], push].concat();
    let monitor = b"+1339518083.107412 [0 127.0.0.1:60866] \"KEYS\" \"*\"\r\n";
    for push in [&push[..], &with_attributes, monitor] {
        let wire = [push, push, b"+OK\r\n", push].concat();
        let mut pipeline = asked(Protocol::Resp, Expects::Line);
        pipeline.hear_monitor();
        let (mut start, mut end) = (0, 0);
        let mut said = Vec::new();
        while end <= wire.len() {
            match pipeline.receive(&wire[start..end]) {
                Received::Incomplete { want } => {
                    assert!(want > end - start);
                    end += 1;
                }
                Received::Push { frame, consumed } => {
                    assert_eq!(
                        frame.escape_ascii().to_string(),
                        push.escape_ascii().to_string()
                    );
                    said.push("push");
                    start += consumed;
                }
                Received::Complete { tag, consumed, .. } => {
                    assert_eq!(tag, 1);
                    said.push("reply");
                    start += consumed;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(said, ["push", "push", "reply", "push"]);
    }
}

#[test]
fn a_reply_with_attributes_is_a_reply() {
    let mut pipeline = asked(Protocol::Resp, Expects::Line);
    let wire = b"|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n";
    let Received::Complete { reply, .. } = pipeline.receive(wire) else {
        panic!("a reply");
    };
    assert_eq!(reply.frame, wire);
    let meaning = Meaning::Hit {
        value: b"v",
        flags: 0,
    };
    assert_eq!(reply.meaning, meaning);
}

/// Asks for the keys, joined as they are, and gives what each got.
fn get_joined(keys: &[&str], wire: &[u8]) -> (String, Vec<String>) {
    let hasher = KeyHasher::new(1);
    let mut pipeline = Pipeline::new(Protocol::Memcache, hasher, 100);
    for (tag, key) in keys.iter().enumerate() {
        pipeline.push_get(tag, hasher.key(key.as_bytes()), Spelling::Text, TERMS, NOW);
    }
    let request = String::from_utf8(pipeline.take_output(Vec::new(), NOW)).unwrap();
    let (mut start, mut end) = (0, 0);
    let mut got = Vec::new();
    while got.len() < keys.len() {
        match pipeline.receive(&wire[start..end]) {
            Received::Broken => {
                got.push("broken".to_owned());
                break;
            }
            Received::Incomplete { .. } => end += 1,
            other @ (Received::Push { .. }
            | Received::Skipped { .. }
            | Received::Unheard { .. }) => panic!("{other:?}"),
            Received::Complete {
                tag,
                reply,
                consumed,
            } => {
                assert_eq!(tag, got.len());
                start += consumed;
                got.push(match reply.meaning {
                    Meaning::Hit { value, .. } => String::from_utf8_lossy(value).into_owned(),
                    other => format!("{other:?}"),
                });
            }
        }
    }
    if got.last().is_some_and(|last| last != "broken") {
        assert_eq!(start, wire.len(), "all of it is read");
    }
    (request, got)
}

#[test]
fn retrievals_share_one_get_and_part_its_values() {
    let value = |key: &str| format!("VALUE {key} 0 1\r\n{}\r\n", key.to_uppercase());
    for (values, expected) in [
        (vec!["a", "b", "c"], ["A", "B", "C"]),
        (vec!["b"], ["Miss", "B", "Miss"]),
        (vec!["a", "c"], ["A", "Miss", "C"]),
        (vec![], ["Miss", "Miss", "Miss"]),
    ] {
        let wire: String = values.iter().map(|key| value(key)).collect();
        let (request, got) = get_joined(&["a", "b", "c"], format!("{wire}END\r\n").as_bytes());
        assert_eq!(request, "get a b c\r\n");
        assert_eq!(got, expected, "{values:?}");
    }
}

#[test]
fn an_error_is_every_remaining_keys_answer() {
    let wire = b"VALUE a 0 1\r\nA\r\nSERVER_ERROR out of memory\r\n";
    let (_, got) = get_joined(&["a", "b", "c"], wire);
    assert_eq!(got, ["A", "Error", "Error"]);
}

#[test]
fn a_value_that_nobody_asked_for_breaks_it() {
    // It says nothing of those who wait, either: none of them was not found.
    for (wire, expected) in [
        ("VALUE x 0 1\r\nX\r\nEND\r\n", &["broken"][..]),
        ("VALUE a 0 1\r\nA\r\nVALUE x 0 1\r\nX\r\n", &["A", "broken"]),
        (
            "VALUE b 0 1\r\nB\r\nVALUE x 0 1\r\nX\r\n",
            &["Miss", "B", "broken"],
        ),
        (
            "VALUE b 0 1\r\nB\r\nVALUE a 0 1\r\nA\r\n",
            &["Miss", "B", "broken"],
        ),
        ("VALUE x 0 200\r\n", &["broken"]),
    ] {
        let (_, got) = get_joined(&["a", "b", "c"], wire.as_bytes());
        assert_eq!(got, expected, "{wire:?}");
    }
    // That of a key of the next `get` is nobody's, either.
    let hasher = KeyHasher::new(1);
    let mut pipeline = Pipeline::new(Protocol::Memcache, hasher, 100);
    for (tag, key) in ["a", "b"].into_iter().enumerate() {
        pipeline.push_get(tag, hasher.key(key.as_bytes()), Spelling::Text, TERMS, NOW);
        pipeline.take_output(Vec::new(), NOW);
    }
    let received = pipeline.receive(b"VALUE b 0 1\r\nB\r\nEND\r\n");
    assert!(matches!(received, Received::Broken), "{received:?}");
}

#[test]
fn a_get_is_closed_by_other_requests_by_sending_and_by_its_limit() {
    let hasher = KeyHasher::new(1);
    let mut pipeline = Pipeline::new(Protocol::Memcache, hasher, 100);
    pipeline.push_get(0, hasher.key(b"a"), Spelling::Text, TERMS, NOW);
    pipeline
        .push(1, Expects::Line, TERMS, NOW)
        .extend_from_slice(b"delete a\r\n");
    pipeline.push_get(2, hasher.key(b"b"), Spelling::Text, TERMS, NOW);
    assert_eq!(
        pipeline.take_output(Vec::new(), NOW),
        b"get a\r\ndelete a\r\nget b\r\n"
    );
    let key_count = (GET_LINE_BYTES_MAX - b"get".len()).div_ceil(b" k".len());
    for tag in 0..=key_count {
        pipeline.push_get(tag, hasher.key(b"k"), Spelling::Text, TERMS, NOW);
    }
    let output = pipeline.take_output(Vec::new(), NOW);
    assert_eq!(output.iter().filter(|byte| **byte == b'\n').count(), 2);
    assert!(output.ends_with(b" k\r\nget k\r\n"));
}
