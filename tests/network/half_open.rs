//! A server that restarts while it is cut off, with empty tables: it knows nothing of the connections that its clients
//! believe in, and nobody has told them.

use std::time::{Duration, Instant};

use crate::client::{Client, Heard};
use crate::far::FarPool;
use crate::namespaces::Network;
use crate::support::gated::{Protocol, Speech};
use crate::support::{DEADLINE, wait_for};
use crate::{assert_in_step, spread};

/// A connection that stood for so long is expected back at once when it is lost.
const SETTLED: Duration = Duration::from_millis(1_100);

/// Has the far server be another one, and nobody notice: there was no traffic.
fn replace_unnoticed(network: &Network, pool: &mut FarPool<'_>) {
    network.cut();
    pool.far.backend.stop();
    pool.far.restart();
    network.heal();
}

#[test]
fn the_first_request_finds_out_and_is_answered_well_if_it_is_safe_to_repeat() {
    Network::run(|network| {
        for speech in [Speech::MEMCACHE, Speech::RESP] {
            let flags = ["--shards", "1"];
            let mut pool = FarPool::start(network, speech, 0, &flags);
            let keys = spread(&pool).far;
            let mut client = Client::new(pool.connect(), speech.clients);
            std::thread::sleep(SETTLED);
            replace_unnoticed(network, &mut pool);
            // A read is sent again, to the one that is there now.
            assert_eq!(client.get(&keys[0]).0, Heard::Nothing, "{speech:?}");
            for key in &keys {
                assert_eq!(client.set(key, key).0, Heard::Stored, "{speech:?}");
            }
            assert_in_step(&mut client, &keys);
            std::thread::sleep(SETTLED);
            replace_unnoticed(network, &mut pool);
            // A write may have been done, for all that is known here.
            let heard = client.set(&keys[0], "new").0;
            assert_eq!(heard, Heard::error(Heard::LOST), "{speech:?}");
            for key in &keys {
                assert_eq!(client.get(key).0, Heard::Nothing, "{speech:?}");
            }
        }
    });
}

/// Both connections to the server are half open: the one that values come over, and the one that tells of changes.
#[test]
fn tracked_copies_go_with_the_server_that_promised_to_tell() {
    /// A second until it is asked, a second until it has not answered; the rest is for a loaded machine.
    const FOUND_OUT: Duration = Duration::from_secs(1 + 1 + 6);
    Network::run(|network| {
        let flags = [
            "--shards",
            "2",
            "--l1",
            "tracked",
            "--backend-timeout",
            "1s",
        ];
        let mut pool = FarPool::start(network, Speech::RESP, 0, &flags);
        let mut clients: Vec<_> = (0..4)
            .map(|_| Client::new(pool.connect(), Protocol::Resp))
            .collect();
        wait_for("the server to be there", || {
            (clients[0].set("key", "old").0 == Heard::Stored).then_some(())
        });
        for client in &mut clients {
            wait_for("a copy", || {
                (client.get("key").0 == Heard::value("old")).then_some(())
            });
        }
        replace_unnoticed(network, &mut pool);
        let mut stranger = Client::new(pool.far.connect(), Protocol::Resp);
        assert_eq!(stranger.set("key", "new").0, Heard::Stored);
        let start = Instant::now();
        while clients[0].get("key").0 != Heard::value("new") {
            assert!(start.elapsed() < FOUND_OUT, "{:?}", start.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
        // Whoever asks, on whichever shard: nobody goes back behind what one has seen.
        for client in &mut clients {
            assert_eq!(client.get("key").0, Heard::value("new"));
        }
        // And it is told of changes again.
        assert_eq!(stranger.set("key", "newest").0, Heard::Stored);
        let told = start.elapsed() + DEADLINE;
        while clients[1].get("key").0 != Heard::value("newest") {
            assert!(start.elapsed() < told, "{:?}", start.elapsed());
        }
    });
}
