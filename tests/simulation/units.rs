//! What one server does as one (transactions, changes of several keys): whole, and never followed by an old value
//! from the L1, whoever owns the keys and whatever breaks.

use ringfort::config::{Protocol, WritePolicy};
use ringfort::io::ListenerId;
use ringfort::io::sim::{ClientId, Faults};

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::l1::{end, expect};
use crate::pool::{connect_all, trouble};
use crate::sim::redis::request;
use crate::sim::{Backend, Fleet, PoolSetup, Setup, address};

/// The fills have read the old values, their replies are late, and meanwhile the keys are changed over another
/// connection than theirs.
#[test]
fn fills_that_cross_a_change_of_several_keys_are_not_kept() {
    for_each_seed(300, |seed| {
        let mut fleet = fleet(seed);
        let shard_count = fleet.shard_count();
        put(&fleet, "from", "new");
        put(&fleet, "to", "old");
        let reader = client(&fleet, 0);
        let writer = client(&fleet, shard_count - 1);
        for shard in 0..shard_count {
            if fleet.rng.chance(700) {
                fleet.world.hold_answers(address(0), shard, true);
            }
        }
        let reads = [ask(&["GET", "to"]), ask(&["GET", "from"])].concat();
        fleet.world.send(reader, &reads);
        if fleet.rng.chance(500) {
            fleet.run_until_idle();
        }
        fleet.world.send(writer, &ask(&["RENAME", "from", "to"]));
        // Who reads while the keys change is answered, too.
        let between = client(&fleet, shard_count / 2);
        fleet.world.send(between, &reads);
        fleet.run_until_idle();
        fleet.heal();
        expect(&mut fleet, writer, "+OK\r\n");
        for shard in 0..shard_count {
            let late = client(&fleet, shard);
            for _ in 0..2 {
                fleet.world.send(late, &reads);
                expect(&mut fleet, late, "$3\r\nnew\r\n$-1\r\n");
            }
            fleet.world.close(late);
        }
        end(&mut fleet, &[reader, writer, between]);
    });
}

/// Two steps up at a time: nobody ever sees an odd number, and none is counted twice.
#[test]
fn a_transaction_is_done_whole_or_not_whatever_breaks() {
    for_each_seed(300, |seed| {
        let mut fleet = fleet(seed);
        let shard_count = fleet.shard_count();
        let clients: Vec<_> = (0..5)
            .map(|number| client(&fleet, number % shard_count))
            .collect();
        let one = ask(&["INCRBY", "n", "1"]);
        let transaction = [ask(&["MULTI"]), one.clone(), one, ask(&["EXEC"])].concat();
        let mut heard = vec![Vec::new(); clients.len()];
        for _ in 0..60 {
            if seed % 3 > 0 && fleet.rng.chance(40) {
                trouble(&mut fleet);
            }
            let number = fleet.rng.below(clients.len());
            match fleet.rng.below(2) {
                0 => fleet.world.send(clients[number], &transaction),
                _ => fleet.world.send(clients[number], &ask(&["GET", "n"])),
            }
            for _ in 0..fleet.rng.below(5) {
                fleet.round();
            }
        }
        fleet.heal();
        clients
            .iter()
            .for_each(|client| fleet.world.send(*client, &ask(&["ECHO", "end"])));
        for (client, heard) in clients.iter().zip(&mut heard) {
            let is_whole = fleet.run_until(PATIENCE_MS, |fleet| {
                heard.extend(fleet.world.take_received(*client));
                heard.ends_with(b"$3\r\nend\r\n")
            });
            assert!(is_whole, "{}", heard.escape_ascii());
        }
        let mut pairs: Vec<u64> = heard.iter().flat_map(|heard| check(heard)).collect();
        pairs.sort_unstable();
        let count = pairs.len();
        pairs.dedup();
        assert_eq!(pairs.len(), count, "no number was given out twice");
        end(&mut fleet, &clients);
    });
}

/// Looks at what a client heard; the first number of each of its transactions.
fn check(heard: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(heard);
    let mut lines = text.lines();
    let mut firsts = Vec::new();
    while let Some(line) = lines.next() {
        if line == "*2" {
            let [first, second] = [(); 2].map(|()| -> u64 {
                let line = lines.next().expect("two numbers");
                line.trim_start_matches(':').parse().expect("a number")
            });
            assert_eq!((first % 2, second), (1, first + 1), "{text}");
            firsts.push(first);
        } else if let Ok(seen) = line.parse::<u64>() {
            assert_eq!(seen % 2, 0, "{text}");
        }
    }
    firsts
}

fn fleet(seed: u64) -> Fleet {
    let pool = PoolSetup {
        protocol: Protocol::Resp,
        is_crossed: false,
        write: WritePolicy::Through,
        l1_ms: [Some(600_000), Some(20)][seed as usize / 3 % 2],
        server_count: 1,
    };
    let mut fleet = Fleet::new(seed, &Setup::pool(1 + seed as usize % 3, pool));
    connect_all(&mut fleet);
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}

fn ask(words: &[&str]) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    request(&words)
}

fn client(fleet: &Fleet, shard: usize) -> ClientId {
    fleet.world.connect(shard, ListenerId::Resp)
}

fn put(fleet: &Fleet, key: &str, value: &str) {
    let Backend::Redis(redis) = &fleet.backends[0] else {
        panic!("Redis");
    };
    redis.borrow_mut().items.insert(key.into(), value.into());
}
