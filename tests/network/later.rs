//! Writes that are to reach a server later, and a server that is silent meanwhile: they are acknowledged at once, read
//! back, and there when it is heard again, also if ringfort was killed in between.

use std::time::{Duration, Instant};

use crate::client::{Client, Heard};
use crate::far::FarPool;
use crate::namespaces::Network;
use crate::support::gated::{Speech, start_in_front_of};
use crate::support::process::ScratchFolder;
use crate::support::wait_for;

/// Nobody waits for a server that is told later: a hundred who did would take ten times as long.
const AT_ONCE: Duration = Duration::from_secs(5);

const COMMON: [&str; 4] = ["--shards", "2", "--backend-timeout", "500ms"];

/// Whether all of these keys are so at the server itself.
fn has_arrived(pool: &FarPool<'_>, keys: &[String], expected: &Heard) -> bool {
    let mut direct = Client::new(pool.far.connect(), pool.speech.servers);
    keys.iter().all(|key| direct.get(key).0 == *expected)
}

/// Writes all keys, twice, and checks how long that takes and what is read.
fn write_into_silence(pool: &FarPool<'_>, keys: &[String], expected: &Heard) {
    let mut client = Client::new(pool.connect(), pool.speech.clients);
    // The first may be on their way when the server falls silent; the last are known to wait.
    for (value, pause) in [("first", Duration::from_secs(2)), ("last", Duration::ZERO)] {
        let start = Instant::now();
        for key in keys {
            assert_eq!(client.set(key, value).0, Heard::Stored);
        }
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
        std::thread::sleep(pause);
    }
    for key in keys {
        assert_eq!(client.get(key).0, *expected, "{key}");
    }
}

#[test]
fn what_was_acknowledged_arrives_when_the_server_is_heard_again() {
    std::thread::scope(|scope| {
        for speech in [Speech::MEMCACHE, Speech::RESP] {
            for (policy, expected) in [
                ("behind", Heard::value("last")),
                ("invalidate", Heard::Nothing),
            ] {
                scope.spawn(move || {
                    Network::run(|network| {
                        let flags = [&COMMON[..], &["--write", policy]].concat();
                        let pool = FarPool::start(network, speech, 0, &flags);
                        let keys = filled(&pool);
                        network.cut();
                        write_into_silence(&pool, &keys, &expected);
                        network.heal();
                        wait_for("all writes to arrive", || {
                            has_arrived(&pool, &keys, &expected).then_some(())
                        });
                        let mut client = Client::new(pool.connect(), speech.clients);
                        for key in &keys {
                            is_read_soon(&mut client, key, &expected);
                        }
                    });
                });
            }
        }
    });
}

/// While the server is still ejected that is an error, but never anything else.
fn is_read_soon(client: &mut Client, key: &str, expected: &Heard) {
    wait_for("the server to serve again", || {
        let heard = client.get(key).0;
        let is_right = heard == *expected || heard == Heard::error(Heard::UNAVAILABLE);
        assert!(is_right, "{key}: {heard:?}");
        (heard == *expected).then_some(())
    });
}

#[test]
fn what_is_in_the_spool_arrives_although_ringfort_was_killed_in_the_silence() {
    std::thread::scope(|scope| {
        for (policy, expected) in [
            ("behind", Heard::value("last")),
            ("invalidate", Heard::Nothing),
        ] {
            scope.spawn(move || {
                let spool = ScratchFolder::new();
                let folder = spool.path().display().to_string();
                Network::run(|network| {
                    let more = ["--write", policy, "--spool", &folder];
                    let flags = [&COMMON[..], &more].concat();
                    let mut pool = FarPool::start(network, Speech::RESP, 0, &flags);
                    let keys = filled(&pool);
                    network.cut();
                    write_into_silence(&pool, &keys, &expected);
                    let next = |pool: &FarPool<'_>| {
                        let server = pool.far.address().to_string();
                        start_in_front_of(Speech::RESP, &[server], &flags)
                    };
                    pool.kill_ringfort(next);
                    network.heal();
                    wait_for("all writes to arrive", || {
                        has_arrived(&pool, &keys, &expected).then_some(())
                    });
                });
            });
        }
    });
}

/// Keys that the server has, with an old value each, put there by somebody else.
fn filled(pool: &FarPool<'_>) -> Vec<String> {
    let keys: Vec<String> = (0..100).map(|number| format!("key-{number}")).collect();
    let mut direct = Client::new(pool.far.connect(), pool.speech.servers);
    for key in &keys {
        assert_eq!(direct.set(key, "old").0, Heard::Stored);
    }
    let mut client = Client::new(pool.connect(), pool.speech.clients);
    wait_for("the server to be there", || {
        (client.get(&keys[0]).0 == Heard::value("old")).then_some(())
    });
    keys
}
