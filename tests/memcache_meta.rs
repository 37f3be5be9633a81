//! The promise: of many clients that meet at one key, on whichever shards, one is told to fill or renew it, and
//! counts and CAS ids are as if they had come one after another.

mod support;

use std::sync::Barrier;

use support::ringfort::Ringfort;
use support::wire::Wire;

const CLIENTS: usize = 8;
const KEYS: usize = 200;

/// Has as many clients ask for `line` of each key, all of a key at the same time; the replies' first lines, by key.
fn asked_by_all(
    ringfort: &Ringfort,
    line: impl Fn(usize) -> String + Sync,
) -> Vec<[String; CLIENTS]> {
    let (barrier, address) = (Barrier::new(CLIENTS), ringfort.memcache());
    let ask = || {
        let mut wire = Wire::connect(address);
        let mut replies = Vec::new();
        for key in 0..KEYS {
            barrier.wait();
            wire.send(format!("{}\r\nmn\r\n", line(key)).as_bytes());
            let first = wire.line();
            replies.push(first.clone());
            let mut line = first;
            while line != "MN" {
                line = wire.line();
            }
        }
        replies
    };
    let by_client: Vec<Vec<String>> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(&ask)).collect();
        let joined = clients.into_iter().map(|client| client.join());
        joined.map(|replies| replies.expect("a client")).collect()
    });
    (0..KEYS)
        .map(|key| std::array::from_fn(|client| by_client[client][key].clone()))
        .collect()
}

fn assert_one_wins(replies: &[[String; CLIENTS]], winner: &str, others: &str) {
    for (key, replies) in replies.iter().enumerate() {
        let wins = replies.iter().filter(|reply| *reply == winner).count();
        let waits = replies.iter().filter(|reply| *reply == others).count();
        assert_eq!((wins, waits), (1, CLIENTS - 1), "key {key}: {replies:?}");
    }
}

#[test]
fn one_client_is_told_to_fill_or_renew() {
    let ringfort = Ringfort::embedded();
    let fills = asked_by_all(&ringfort, |key| format!("mg key{key} N100 v"));
    assert_one_wins(&fills, "VA 0 W", "VA 0 Z");
    let mut wire = Wire::connect(ringfort.memcache());
    for key in 0..KEYS {
        wire.ask(format!("ms key{key} 1 T100\r\nx\r\n"), "HD\r\n");
    }
    let renewals = asked_by_all(&ringfort, |key| format!("mg key{key} R200 s"));
    assert_one_wins(&renewals, "HD s1 W", "HD s1 Z");
    for key in 0..KEYS {
        wire.ask(format!("md key{key} I\r\n"), "HD\r\n");
    }
    let stale = asked_by_all(&ringfort, |key| format!("mg key{key} v"));
    assert_one_wins(&stale, "VA 1 X W", "VA 1 Z X");
}

#[test]
fn one_client_compares_in_time() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.memcache());
    let mut cas = Vec::new();
    for key in 0..KEYS {
        wire.send(format!("ms key{key} 1 c\r\nx\r\n").as_bytes());
        let reply = wire.line();
        cas.push(reply.strip_prefix("HD c").expect("a CAS id").to_owned());
    }
    let line = |key: usize| format!("ms key{key} 1 C{}\r\ny", cas[key]);
    assert_one_wins(&asked_by_all(&ringfort, line), "HD", "EX");
}

#[test]
fn no_count_is_lost() {
    let ringfort = Ringfort::embedded();
    let counts = asked_by_all(&ringfort, |key| format!("ma key{key} N0 J1 q"));
    for replies in &counts {
        // Who makes the number is told.
        let made = replies.iter().filter(|reply| *reply == "HD").count();
        assert_eq!(made, 1, "{replies:?}");
    }
    let mut wire = Wire::connect(ringfort.memcache());
    for key in 0..KEYS {
        wire.ask(
            format!("mg key{key} v\r\n"),
            format!("VA 1\r\n{CLIENTS}\r\n"),
        );
    }
}
