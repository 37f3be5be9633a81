//! Replies that are too large to be kept.

use super::*;
use crate::backend::reply::{REPLY_BYTES_MAX, REPLY_TOO_LARGE, VALUE_TOO_LARGE};

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
            other @ (Received::Push { .. } | Received::Unheard { .. }) => panic!("{other:?}"),
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
                pipeline.push(tag, *expects, TERMS, NOW);
            }
            pipeline.take_output(Vec::new(), NOW);
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
            pipeline.push_get(tag, hasher.key(key), Spelling::Text, TERMS, NOW);
        }
        pipeline.push(3, Expects::Line, TERMS, NOW);
        pipeline.take_output(Vec::new(), NOW);
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
            pipeline.push(tag, Expects::Line, TERMS, NOW);
        }
        pipeline.take_output(Vec::new(), NOW);
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
    pipeline.push(0, Expects::Line, TERMS, NOW);
    pipeline.push(1, Expects::Line, TERMS, NOW);
    pipeline.take_output(Vec::new(), NOW);
    let mut wire = b"*65\r\n".to_vec();
    (0..65).for_each(|_| resp::reply::bulk(&mut wire, &value));
    wire.extend_from_slice(b"+OK\r\n");
    let (mut start, mut end) = (0, 0);
    let mut got = Vec::new();
    while start < wire.len() {
        match pipeline.receive(&wire[start..end]) {
            Received::Broken => panic!("broken at {start}"),
            Received::Skipped { consumed } => start += consumed,
            other @ (Received::Push { .. } | Received::Unheard { .. }) => panic!("{other:?}"),
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
        pipeline.push(0, expects, TERMS, NOW);
        pipeline.take_output(Vec::new(), NOW);
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
fn a_connection_that_is_lost_has_nothing_left_to_skip() {
    let mut pipeline = asked(Protocol::Resp, Expects::Line);
    assert!(matches!(
        pipeline.receive(b"$101\r\nx"),
        Received::Complete { .. }
    ));
    pipeline.lose(NOW);
    assert_eq!(pipeline.poll_failed(), None);
    pipeline.push(0, Expects::Line, TERMS, NOW);
    pipeline.take_output(Vec::new(), NOW);
    let reply = pipeline.receive(b"+OK\r\n");
    assert!(
        matches!(reply, Received::Complete { tag: 0, .. }),
        "{reply:?}"
    );
}

/// What a server says unasked is thrown away when it is too large, and answers nothing.
#[test]
fn a_push_that_is_too_large_is_nobodys_affair() {
    let large = "x".repeat(101);
    let wire = format!(">2\r\n+message\r\n$101\r\n{large}\r\n+OK\r\n");
    let mut pipeline = asked(Protocol::Resp, Expects::Line);
    let mut start = 0;
    loop {
        match pipeline.receive(&wire.as_bytes()[start..]) {
            Received::Skipped { consumed } => start += consumed,
            Received::Complete {
                reply, consumed, ..
            } => {
                assert_eq!(reply.frame, b"+OK\r\n");
                assert_eq!(start + consumed, wire.len());
                return;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What has been read of a reply is not read again, and nothing of it is lost.
#[test]
fn replies_of_many_frames_are_read_on_where_they_were_left() {
    let requests = || {
        let mut pipeline = Pipeline::new(Protocol::Resp, KeyHasher::new(1), 100);
        for tag in 0..3 {
            pipeline.push(tag, Expects::Line, TERMS, NOW);
        }
        pipeline.take_output(Vec::new(), NOW);
        pipeline
    };
    for frame in [
        "*3\r\n*2\r\n$1\r\na\r\n:1\r\n*0\r\n%1\r\n+k\r\n~1\r\n_\r\n",
        "|1\r\n+k\r\n*1\r\n:1\r\n*2\r\n|1\r\n+k\r\n:1\r\n$1\r\na\r\n-ERR no\r\n",
        "*2\r\n$-1\r\n*-1\r\n",
    ] {
        let wire = format!("{frame}$1\r\ny\r\n{frame}");
        let expected = [frame, "$1\r\ny\r\n", frame].map(str::as_bytes);
        assert_received(requests, wire.as_bytes(), &expected, 0);
    }
}
