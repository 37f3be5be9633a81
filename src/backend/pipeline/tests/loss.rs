//! Deadlines, lost connections, and what is sent again.

use super::*;

const READ: Terms = Terms {
    on_loss: OnLoss::Repeat,
    ..TERMS
};

const OWN: Terms = Terms {
    on_loss: OnLoss::Forget,
    ..TERMS
};

fn at(ms: u64) -> UnixMs {
    UnixMs(NOW.0 + ms)
}

fn pipeline(protocol: Protocol) -> Pipeline<u32> {
    Pipeline::new(protocol, KeyHasher::new(1), 100)
}

fn push(pipeline: &mut Pipeline<u32>, tag: u32, terms: Terms, now: UnixMs) {
    let line = format!("r{tag}\r\n");
    pipeline
        .push(tag, Expects::Line, terms, now)
        .extend_from_slice(line.as_bytes());
}

fn get(pipeline: &mut Pipeline<u32>, tag: u32, key: &str) {
    let key = KeyHasher::new(1).key(key.as_bytes());
    pipeline.push_get(tag, key, Spelling::Text, READ, NOW);
}

/// Sends what there is.
fn send(pipeline: &mut Pipeline<u32>, now: UnixMs) -> String {
    let output = pipeline.take_output(Vec::new(), now);
    let text = String::from_utf8(output.clone()).unwrap();
    pipeline.sent(output);
    text
}

fn failed(pipeline: &mut Pipeline<u32>) -> Vec<(u32, Failure)> {
    std::iter::from_fn(|| pipeline.poll_failed()).collect()
}

/// What the replies in `wire` go to; `None` for those that nobody waits for.
fn hear(pipeline: &mut Pipeline<u32>, wire: &[u8]) -> Vec<Option<u32>> {
    let mut start = 0;
    let mut heard = Vec::new();
    while start < wire.len() {
        start += match pipeline.receive(&wire[start..]) {
            Received::Complete { tag, consumed, .. } => {
                heard.push(Some(tag));
                consumed
            }
            Received::Unheard { consumed } => {
                heard.push(None);
                consumed
            }
            other => panic!("{other:?}"),
        };
    }
    heard
}

#[test]
fn a_deadline_fails_one_request_and_its_late_reply_is_nobodys() {
    let mut pipeline = pipeline(Protocol::Resp);
    let short = Terms {
        patience_ms: 100,
        ..READ
    };
    push(&mut pipeline, 1, READ, NOW);
    push(&mut pipeline, 2, short, NOW);
    push(&mut pipeline, 3, READ, NOW);
    // Waiting to be sent does not count.
    send(&mut pipeline, at(90));
    pipeline.expire(at(189), |_| None);
    assert_eq!(failed(&mut pipeline), []);
    let due = pipeline.next_deadline().unwrap();
    assert!(due > at(189) && due <= at(190), "{due:?}");
    pipeline.expire(at(190), |_| None);
    assert_eq!(failed(&mut pipeline), [(2, Failure::Late)]);
    pipeline.expire(at(500), |_| None);
    assert_eq!(failed(&mut pipeline), []);
    assert_eq!(
        hear(&mut pipeline, b":1\r\n:2\r\n:3\r\n"),
        [Some(1), None, Some(3)]
    );
    assert_eq!(pipeline.next_deadline(), None);
}

#[test]
fn an_heir_gets_the_late_reply_and_hears_of_a_loss() {
    let mut pipeline = pipeline(Protocol::Resp);
    push(&mut pipeline, 1, TERMS, NOW);
    push(&mut pipeline, 2, TERMS, NOW);
    send(&mut pipeline, NOW);
    pipeline.expire(at(1_000), |tag| Some(tag + 10));
    let late = [(1, Failure::Late), (2, Failure::Late)];
    assert_eq!(failed(&mut pipeline), late);
    assert_eq!(pipeline.next_deadline(), None);
    assert_eq!(hear(&mut pipeline, b"+OK\r\n"), [Some(11)]);
    pipeline.lose(at(1_001));
    assert_eq!(failed(&mut pipeline), [(12, Failure::Lost)]);
}

#[test]
fn members_of_one_get_expire_by_themselves() {
    let mut pipeline = pipeline(Protocol::Memcache);
    get(&mut pipeline, 1, "a");
    let key = KeyHasher::new(1).key(b"b");
    let short = Terms {
        patience_ms: 10,
        ..READ
    };
    pipeline.push_get(2, key, Spelling::Text, short, NOW);
    get(&mut pipeline, 3, "c");
    assert_eq!(send(&mut pipeline, NOW), "get a b c\r\n");
    pipeline.expire(at(10), |_| None);
    assert_eq!(failed(&mut pipeline), [(2, Failure::Late)]);
    let wire = b"VALUE b 0 1\r\nB\r\nVALUE c 0 1\r\nC\r\nEND\r\n";
    assert_eq!(hear(&mut pipeline, wire), [Some(1), None, Some(3)]);
}

#[test]
fn what_was_not_sent_in_time_is_not_sent_at_all() {
    let mut pipeline = pipeline(Protocol::Memcache);
    let short = Terms {
        patience_ms: 10,
        ..TERMS
    };
    push(&mut pipeline, 1, TERMS, NOW);
    get(&mut pipeline, 2, "a");
    push(&mut pipeline, 3, short, NOW);
    get(&mut pipeline, 4, "b");
    pipeline.expire(at(10), |_| panic!("nothing is late that was not sent"));
    assert_eq!(failed(&mut pipeline), [(3, Failure::Unsent)]);
    // Nothing stands between the two any more.
    assert_eq!(send(&mut pipeline, at(10)), "r1\r\nget a b\r\n");
    push(&mut pipeline, 5, TERMS, NOW);
    pipeline.fail_unsent();
    assert_eq!(failed(&mut pipeline), [(5, Failure::Unsent)]);
    assert_eq!(
        hear(&mut pipeline, b"OK\r\nEND\r\n"),
        [Some(1), Some(2), Some(4)]
    );
}

#[test]
fn a_loss_fails_what_was_sent_and_leaves_what_was_not() {
    let mut pipeline = pipeline(Protocol::Resp);
    for (tag, terms) in [(1, TERMS), (2, READ), (3, OWN), (4, READ)] {
        push(&mut pipeline, tag, terms, NOW);
    }
    send(&mut pipeline, NOW);
    assert_eq!(hear(&mut pipeline, b":1\r\n"), [Some(1)]);
    for (tag, terms) in [(5, TERMS), (6, OWN), (7, READ)] {
        push(&mut pipeline, tag, terms, at(1));
    }
    pipeline.lose(at(2));
    assert_eq!(
        failed(&mut pipeline),
        [(3, Failure::Lost), (6, Failure::Unsent)]
    );
    assert_eq!(send(&mut pipeline, at(3)), "r2\r\nr4\r\nr5\r\nr7\r\n");
    let heard = hear(&mut pipeline, b":2\r\n:4\r\n:5\r\n:7\r\n");
    assert_eq!(heard, [2, 4, 5, 7].map(Some));
    assert_eq!(pipeline.in_flight(), 0);
}

#[test]
fn a_get_that_was_answered_in_part_is_repeated_for_the_rest() {
    let mut pipeline = pipeline(Protocol::Memcache);
    for (tag, key) in [(1, "a"), (2, "get"), (3, "c")] {
        get(&mut pipeline, tag, key);
    }
    assert_eq!(send(&mut pipeline, NOW), "get a get c\r\n");
    assert_eq!(hear(&mut pipeline, b"VALUE a 0 1\r\nA\r\n"), [Some(1)]);
    get(&mut pipeline, 4, "d");
    pipeline.lose(NOW);
    assert_eq!(failed(&mut pipeline), []);
    assert_eq!(send(&mut pipeline, NOW), "get get c d\r\n");
    let wire = b"VALUE c 0 1\r\nC\r\nEND\r\n";
    assert_eq!(hear(&mut pipeline, wire), [2, 3, 4].map(Some));
}

#[test]
fn repeats_end_after_three_and_at_the_deadline() {
    let mut pipeline = pipeline(Protocol::Resp);
    push(&mut pipeline, 1, READ, NOW);
    for repeat in 0..=u64::from(REPEATS_MAX) {
        assert_eq!(send(&mut pipeline, at(repeat)), "r1\r\n");
        assert_eq!(failed(&mut pipeline), []);
        pipeline.lose(at(repeat));
    }
    assert_eq!(failed(&mut pipeline), [(1, Failure::Lost)]);
    push(&mut pipeline, 2, READ, NOW);
    send(&mut pipeline, NOW);
    pipeline.lose(at(900));
    // It waits for a connection only as long as it would have for the reply.
    pipeline.expire(at(999), |_| None);
    assert!(pipeline.has_output());
    pipeline.expire(at(1_000), |_| None);
    assert_eq!(failed(&mut pipeline), [(2, Failure::Lost)]);
    push(&mut pipeline, 3, READ, NOW);
    send(&mut pipeline, NOW);
    pipeline.lose(at(1_000));
    assert_eq!(failed(&mut pipeline), [(3, Failure::Lost)]);
    assert!(!pipeline.has_output());
}

#[test]
fn what_was_being_sent_when_the_connection_went_cannot_be_repeated() {
    let mut pipeline = pipeline(Protocol::Resp);
    push(&mut pipeline, 1, READ, NOW);
    pipeline.take_output(Vec::new(), NOW);
    pipeline.lose(NOW);
    assert_eq!(failed(&mut pipeline), [(1, Failure::Lost)]);
}

#[test]
fn nobody_waits_for_a_heartbeat() {
    let mut pipeline = pipeline(Protocol::Resp);
    pipeline
        .push_unheard(OWN, NOW)
        .extend_from_slice(b"PING\r\n");
    push(&mut pipeline, 1, READ, NOW);
    send(&mut pipeline, NOW);
    pipeline.expire(at(1_000), |_| None);
    assert_eq!(failed(&mut pipeline), [(1, Failure::Late)]);
    assert_eq!(hear(&mut pipeline, b"+PONG\r\n:1\r\n"), [None, None]);
}

#[test]
fn patience_without_end_never_expires() {
    let mut pipeline = pipeline(Protocol::Resp);
    let terms = Terms {
        patience_ms: Terms::FOR_EVER,
        ..TERMS
    };
    push(&mut pipeline, 1, terms, NOW);
    send(&mut pipeline, NOW);
    assert_eq!(pipeline.next_deadline(), None);
    pipeline.expire(UnixMs(u64::MAX - 1), |_| None);
    assert_eq!(failed(&mut pipeline), []);
}

#[test]
fn buffers_come_back_once_all_in_them_is_answered() {
    let mut pipeline = pipeline(Protocol::Resp);
    push(&mut pipeline, 1, READ, NOW);
    send(&mut pipeline, NOW);
    assert_eq!(pipeline.take_released(), None);
    hear(&mut pipeline, b":1\r\n");
    assert!(pipeline.take_released().is_some());
    // What cannot be repeated is not kept.
    push(&mut pipeline, 2, TERMS, NOW);
    send(&mut pipeline, NOW);
    assert!(pipeline.take_released().is_some());
}
