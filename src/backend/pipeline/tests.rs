//! Replies read byte by byte, alone and joined.

use super::*;

const NOW: UnixMs = UnixMs(5);

fn run(protocol: Protocol, expects: &[Expects], wire: &[u8]) -> Vec<(usize, String, String)> {
    let mut pipeline = Pipeline::new(protocol, KeyHasher::new(1), 100);
    for (tag, expects) in expects.iter().enumerate() {
        pipeline.push(tag, *expects, NOW);
    }
    let mut replies = Vec::new();
    let (mut start, mut end) = (0, 0);
    // Byte by byte: no reply may come early or twice.
    loop {
        match pipeline.receive(&wire[start..end]) {
            Received::Broken => panic!("broken at {end}"),
            Received::Skipped { .. } => panic!("skipped at {end}"),
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

#[test]
fn unasked_and_unexpected_bytes_break_it() {
    let mut pipeline = Pipeline::<u32>::new(Protocol::Memcache, KeyHasher::new(1), 100);
    assert!(matches!(pipeline.receive(b"STORED\r\n"), Received::Broken));
    pipeline.push(1, Expects::Line, NOW);
    assert!(matches!(pipeline.receive(b"END\r\n"), Received::Broken));
    let mut pipeline = Pipeline::new(Protocol::Memcache, KeyHasher::new(1), 100);
    pipeline.push(1, Expects::Retrieval, NOW);
    let two = b"VALUE a 0 1\r\nx\r\nVALUE b 0 1\r\n";
    assert!(matches!(pipeline.receive(two), Received::Broken));
    assert_eq!(pipeline.oldest(), Some(NOW));
    assert_eq!(pipeline.abandon(), Some(1));
    assert_eq!(pipeline.abandon(), None);
}

/// Asks for the keys, joined as they are, and gives what each got.
fn get_joined(keys: &[&str], wire: &[u8]) -> (String, Vec<String>) {
    let hasher = KeyHasher::new(1);
    let mut pipeline = Pipeline::new(Protocol::Memcache, hasher, 100);
    for (tag, key) in keys.iter().enumerate() {
        pipeline.push_get(tag, hasher.key(key.as_bytes()), Spelling::Text, NOW);
    }
    let request = String::from_utf8(pipeline.take_output(Vec::new())).unwrap();
    let (mut start, mut end) = (0, 0);
    let mut got = Vec::new();
    while got.len() < keys.len() {
        match pipeline.receive(&wire[start..end]) {
            Received::Broken => {
                got.push("broken".to_owned());
                break;
            }
            Received::Skipped { consumed } => start += consumed,
            Received::Incomplete { .. } => end += 1,
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
    let (_, got) = get_joined(&["a", "b"], b"VALUE x 0 1\r\nX\r\nEND\r\n");
    assert_eq!(got, ["Miss", "broken"]);
}

#[test]
fn a_get_is_closed_by_other_requests_by_sending_and_by_its_limit() {
    let hasher = KeyHasher::new(1);
    let mut pipeline = Pipeline::new(Protocol::Memcache, hasher, 100);
    pipeline.push_get(0, hasher.key(b"a"), Spelling::Text, NOW);
    pipeline
        .push(1, Expects::Line, NOW)
        .extend_from_slice(b"delete a\r\n");
    pipeline.push_get(2, hasher.key(b"b"), Spelling::Text, NOW);
    assert_eq!(
        pipeline.take_output(Vec::new()),
        b"get a\r\ndelete a\r\nget b\r\n"
    );
    for tag in 0..=GET_KEYS_MAX {
        pipeline.push_get(tag, hasher.key(b"k"), Spelling::Text, NOW);
    }
    let output = pipeline.take_output(Vec::new());
    assert_eq!(output.iter().filter(|byte| **byte == b'\n').count(), 2);
    assert!(output.ends_with(b" k\r\nget k\r\n"));
}

/// What each request got, with the bytes parted at `cuts`.
fn received(
    pipeline: &mut Pipeline<usize>,
    wire: &[u8],
    mut cuts: impl Iterator<Item = usize>,
) -> Vec<String> {
    let mut got = Vec::new();
    let (mut start, mut end) = (0, 0);
    loop {
        match pipeline.receive(&wire[start..end]) {
            Received::Broken => panic!("broken at {start} of {}", wire.escape_ascii()),
            Received::Skipped { consumed } => start += consumed,
            Received::Incomplete { want } => {
                assert!(want > end - start, "it wants more than there is");
                if end == wire.len() {
                    assert_eq!(start, end, "something is left over");
                    return got;
                }
                end = cuts.next().unwrap_or(wire.len());
            }
            Received::Complete {
                tag,
                reply,
                consumed,
            } => {
                assert_eq!(tag, got.len());
                start += consumed;
                got.push(reply.frame.escape_ascii().to_string());
            }
        }
    }
}

/// Every request gets the same, wherever the bytes are parted.
fn assert_received(
    pipeline: impl Fn() -> Pipeline<usize>,
    wire: &[u8],
    expected: &[&[u8]],
    kept_bytes_max: usize,
) {
    let expected: Vec<String> = expected
        .iter()
        .map(|frame| frame.escape_ascii().to_string())
        .collect();
    for cut in 0..wire.len() {
        let got = received(&mut pipeline(), wire, std::iter::once(cut));
        assert_eq!(got, expected, "cut at {cut}");
    }
    let mut pipeline = pipeline();
    assert_eq!(received(&mut pipeline, wire, 0..), expected, "byte by byte");
    assert!(wire.len() > kept_bytes_max, "there is something to skip");
}

const TOO_LARGE: &[u8] = memcache::reply::TOO_LARGE;

#[test]
fn a_value_that_is_too_large_is_one_memcache_requests_affair() {
    let large = "x".repeat(101);
    let requests = |expects: &'static [Expects]| {
        move || {
            let mut pipeline = Pipeline::new(Protocol::Memcache, KeyHasher::new(1), 100);
            for (tag, expects) in expects.iter().enumerate() {
                pipeline.push(tag, *expects, NOW);
            }
            pipeline
        }
    };
    let wire = format!("VALUE k 0 101 7\r\n{large}\r\nEND\r\nVALUE k 0 1\r\ny\r\nEND\r\n");
    assert_received(
        requests(&[Expects::Retrieval; 2]),
        wire.as_bytes(),
        &[TOO_LARGE, b"VALUE k 0 1\r\ny\r\n"],
        100,
    );
    let wire = format!("VA 101 f0 s101\r\n{large}\r\nHD\r\n");
    let expected: &[&[u8]] = &[TOO_LARGE, b"HD\r\n"];
    assert_received(
        requests(&[Expects::Meta; 2]),
        wire.as_bytes(),
        expected,
        100,
    );
}

/// Of keys that share a `get` each has its own.
#[test]
fn a_value_that_is_too_large_is_one_keys_affair() {
    let large = "x".repeat(101);
    let joined = || {
        let hasher = KeyHasher::new(1);
        let mut pipeline = Pipeline::new(Protocol::Memcache, hasher, 100);
        for (tag, key) in [b"a", b"b", b"c"].into_iter().enumerate() {
            pipeline.push_get(tag, hasher.key(key), Spelling::Text, NOW);
        }
        pipeline.push(3, Expects::Line, NOW);
        pipeline
    };
    let value = |key: &str| format!("VALUE {key} 0 1\r\ny\r\n");
    let oversized = |key: &str| format!("VALUE {key} 0 101\r\n{large}\r\n");
    let (a, c) = (value("a"), value("c"));
    for (wire, expected) in [
        (
            [&a, &oversized("b"), &c].map(String::as_str).concat(),
            [a.as_bytes(), TOO_LARGE, c.as_bytes()],
        ),
        (oversized("c"), [b"", b"", TOO_LARGE]),
        (oversized("a"), [TOO_LARGE, b"", b""]),
    ] {
        let wire = format!("{wire}END\r\nSTORED\r\n");
        let [first, second, third] = expected;
        let expected = [first, second, third, b"STORED\r\n"];
        assert_received(joined, wire.as_bytes(), &expected, 100);
    }
}

#[test]
fn a_value_that_is_too_large_is_one_resp_requests_affair() {
    let large = "x".repeat(101);
    let requests = || {
        let mut pipeline = Pipeline::new(Protocol::Resp, KeyHasher::new(1), 100);
        for tag in 0..2 {
            pipeline.push(tag, Expects::Line, NOW);
        }
        pipeline
    };
    for frame in [
        format!("$101\r\n{large}\r\n"),
        format!("=101\r\n{large}\r\n"),
        format!("*3\r\n$1\r\na\r\n$101\r\n{large}\r\n:1\r\n"),
        format!("*2\r\n*1\r\n$101\r\n{large}\r\n%1\r\n+k\r\n$101\r\n{large}\r\n"),
        format!("*4\r\n$-1\r\n*-1\r\n*0\r\n$101\r\n{large}\r\n"),
        format!("|1\r\n+k\r\n$101\r\n{large}\r\n*1\r\n|1\r\n+k\r\n:1\r\n$1\r\na\r\n"),
    ] {
        let wire = format!("{frame}$1\r\ny\r\n");
        let expected: &[&[u8]] = &[VALUE_TOO_LARGE, b"$1\r\ny\r\n"];
        assert_received(requests, wire.as_bytes(), expected, 100);
    }
}

/// Values of which each may be kept, but not all.
#[test]
fn a_reply_that_is_too_large_is_not_kept() {
    let value = vec![b'x'; 1 << 20];
    let mut pipeline = Pipeline::new(Protocol::Resp, KeyHasher::new(1), value.len());
    pipeline.push(0, Expects::Line, NOW);
    pipeline.push(1, Expects::Line, NOW);
    let mut wire = b"*65\r\n".to_vec();
    (0..65).for_each(|_| resp::reply::bulk(&mut wire, &value));
    wire.extend_from_slice(b"+OK\r\n");
    let (mut start, mut end) = (0, 0);
    let mut got = Vec::new();
    while start < wire.len() {
        match pipeline.receive(&wire[start..end]) {
            Received::Broken => panic!("broken at {start}"),
            Received::Skipped { consumed } => start += consumed,
            Received::Incomplete { want } => {
                assert!(want <= REPLY_BYTES_MAX, "nobody waits for all of it");
                end = (start + want).max(end + 16_384).min(wire.len());
            }
            Received::Complete {
                reply, consumed, ..
            } => {
                start += consumed;
                got.push(reply.frame.to_vec());
            }
        }
    }
    assert_eq!(got, [REPLY_TOO_LARGE, b"+OK\r\n"]);
}

#[test]
fn a_value_that_is_too_large_still_has_to_end() {
    let large = "x".repeat(101);
    for (protocol, expects, wire) in [
        (Protocol::Resp, Expects::Line, format!("$101\r\n{large}xx")),
        (
            Protocol::Resp,
            Expects::Line,
            format!("*2\r\n$101\r\n{large}\r\n?1\r\n"),
        ),
        (
            Protocol::Memcache,
            Expects::Meta,
            format!("VA 101\r\n{large}\rx"),
        ),
        (
            Protocol::Memcache,
            Expects::Retrieval,
            format!("VALUE k 0 101\r\n{large}\r\nVALUE"),
        ),
        (
            Protocol::Memcache,
            Expects::Line,
            "VALUE k 0 101\r\n".to_owned(),
        ),
    ] {
        let mut pipeline = Pipeline::new(protocol, KeyHasher::new(1), 100);
        pipeline.push(0, expects, NOW);
        let mut start = 0;
        let last = loop {
            match pipeline.receive(&wire.as_bytes()[start..]) {
                Received::Complete { consumed, .. } | Received::Skipped { consumed } => {
                    start += consumed;
                }
                last => break last,
            }
        };
        assert!(matches!(last, Received::Broken), "{wire}: {last:?}");
    }
}

#[test]
fn a_connection_that_is_given_up_has_nothing_left_to_skip() {
    let mut pipeline = Pipeline::new(Protocol::Resp, KeyHasher::new(1), 100);
    pipeline.push(0, Expects::Line, NOW);
    assert!(matches!(
        pipeline.receive(b"$101\r\nx"),
        Received::Complete { .. }
    ));
    assert_eq!(pipeline.abandon(), None);
    pipeline.push(0, Expects::Line, NOW);
    assert_eq!(received(&mut pipeline, b"+OK\r\n", 0..), [r"+OK\r\n"]);
}
