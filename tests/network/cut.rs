//! A server that falls silent: what its keys are answered and when, that others' are not touched, and that it serves
//! again when it is heard again.

use std::time::{Duration, Instant};

use crate::client::{Client, Heard};
use crate::far::FarPool;
use crate::namespaces::{Direction, Network};
use crate::support::gated::Speech;
use crate::support::wait_for;
use crate::{Keys, assert_in_step, spread, stat};

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// No answer takes longer, with room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// Nobody waits for a server that is known to be silent: five that did would take longer.
const AT_ONCE: Duration = Duration::from_secs(8);

const COMMON: [&str; 4] = ["--shards", "2", "--backend-timeout", "2s"];

const SPEECHES: [Speech; 4] = [
    Speech::MEMCACHE,
    Speech::RESP,
    Speech::MEMCACHE_OVER_REDIS,
    Speech::RESP_OVER_MEMCACHED,
];

/// At the same time, as each mostly waits.
fn for_all_speeches(flags: &[&str], check: fn(&Network, FarPool<'_>)) {
    std::thread::scope(|scope| {
        for speech in SPEECHES {
            let flags = [&COMMON[..], flags].concat();
            scope.spawn(move || {
                Network::run(|network| {
                    check(network, FarPool::start(network, speech, 1, &flags));
                });
            });
        }
    });
}

#[test]
fn silence_is_told_in_time_and_not_felt_by_who_asks_others() {
    for_all_speeches(&[], |network, pool| {
        let keys = spread(&pool);
        let mut client = Client::new(pool.connect(), pool.speech.clients);
        for direction in [None, Some(Direction::ToFar), Some(Direction::ToNear)] {
            match direction {
                None => network.cut(),
                Some(direction) => network.cut_one_way(direction),
            }
            is_told_in_time(&pool, &keys, &mut client);
            network.heal();
            wait_for("the server to be heard again", || {
                (client.get(&keys.far[0]).0 == Heard::value(&keys.far[0])).then_some(())
            });
            // Who set it was told of an error: whatever came of it.
            wait_for("what was set to be so again", || {
                (client.set(&keys.far[1], &keys.far[1]).0 == Heard::Stored).then_some(())
            });
            assert_in_step(&mut client, &keys.far);
            assert_in_step(&mut client, &keys.near);
        }
    });
}

fn is_told_in_time(pool: &FarPool<'_>, keys: &Keys, client: &mut Client) {
    std::thread::scope(|scope| {
        let other = Client::new(pool.connect(), pool.speech.clients);
        let others = scope.spawn(|| p99_of(other, &keys.near));
        let (heard, took) = client.get(&keys.far[0]);
        assert_eq!(heard, Heard::error(Heard::LATE), "{:?}", pool.speech);
        // Timers count in whole milliseconds.
        assert!(took + Duration::from_millis(5) >= TIMEOUT, "{took:?}");
        assert!(took < PATIENCE, "{took:?}");
        let p99 = others.join().expect("who asks others");
        assert!(p99 < TIMEOUT, "{p99:?}");
    });
    wait_for("the silence to be noticed", || {
        let heard = client.set(&keys.far[1], "lost").0;
        (heard == Heard::error(Heard::UNAVAILABLE)).then_some(())
    });
    let start = Instant::now();
    for key in &keys.far[..5] {
        assert_eq!(client.get(key).0, Heard::error(Heard::UNAVAILABLE));
    }
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
}

/// What one in a hundred requests for these keys takes at least; all are answered.
fn p99_of(mut client: Client, keys: &[String]) -> Duration {
    let ask = |key: &String| {
        let (heard, took) = client.get(key);
        assert_eq!(heard, Heard::value(key));
        took
    };
    let mut took: Vec<Duration> = keys.iter().cycle().take(400).map(ask).collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// Nobody takes the connection, and nobody refuses it.
#[test]
fn a_server_that_is_silent_from_the_start_is_found_when_it_is_there() {
    Network::run(|network| {
        network.cut();
        let pool = FarPool::start(network, Speech::RESP, 0, &COMMON);
        let mut client = Client::new(pool.connect(), pool.speech.clients);
        let (heard, took) = client.get("key");
        assert_eq!(heard, Heard::error(Heard::UNAVAILABLE));
        assert!(took < PATIENCE, "{took:?}");
        network.heal();
        wait_for("the server to be found", || {
            (client.set("key", "value").0 == Heard::Stored).then_some(())
        });
        assert_eq!(client.get("key").0, Heard::value("value"));
    });
}

/// What was written elsewhere is never read old again, also if it is the own server that had been silent.
#[test]
fn a_server_that_was_silent_is_quarantined() {
    for_all_speeches(&["--on-eject", "rehash", "--l1", "60s"], |network, pool| {
        let keys = spread(&pool);
        let mut client = Client::new(pool.connect(), pool.speech.clients);
        let (written, left) = keys.far.split_at(keys.far.len() / 2);
        // Twice: what stood in for it the first time must not show the second time.
        for (round, value) in [(1, "first"), (2, "second")] {
            network.cut();
            for key in written {
                wait_for("its keys to be taken elsewhere", || {
                    (client.set(key, value).0 == Heard::Stored).then_some(())
                });
                assert_eq!(client.get(key).0, Heard::value(value));
            }
            network.heal();
            let mut watch = pool.connect();
            wait_for("the server to be home on both shards", || {
                for key in written {
                    let heard = client.get(key).0;
                    let is_old = matches!(&heard, Heard::Value(other) if other != value);
                    assert!(!is_old, "{key}: {heard:?}");
                }
                let count = stat(&mut watch, pool.speech.clients, "backend_readmits");
                (count >= 2 * round).then_some(())
            });
            for key in left {
                wait_for("what nobody wrote to be there", || {
                    (client.get(key).0 == Heard::value(key)).then_some(())
                });
            }
            // What was read there may have been copied: that is no older than what was acknowledged.
            for key in written {
                let heard = client.get(key).0;
                let is_right = [Heard::Nothing, Heard::value(value)].contains(&heard);
                assert!(is_right, "{key}: {heard:?}");
            }
        }
    });
}
