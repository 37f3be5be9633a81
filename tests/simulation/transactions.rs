//! Transactions: seen whole or not at all by everybody, whatever happens to who sent them.

use std::collections::VecDeque;

use ringfort::io::sim::Faults;

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::sim::talker::{Talker, Value};
use crate::sim::{Fleet, Setup};

/// Where money lies. Which shards own them depends on the seed.
const ACCOUNTS: &str = "a b c d e";
/// Together on all accounts.
const TOTAL: i64 = 5_000;

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// `+OK` or `+QUEUED`.
    Word,
    /// EXEC of a transfer.
    Transferred,
    /// EXEC of reads.
    Seen,
    /// An MGET without MULTI.
    SeenPlainly,
    /// Whatever.
    Anything,
}

/// A client that moves money, or looks at it.
struct Banker {
    talker: Talker,
    waiting: VecDeque<Waiting>,
}

impl Banker {
    fn connect(fleet: &mut Fleet) -> Self {
        let shard = fleet.rng.below(fleet.shard_count());
        Self {
            talker: Talker::connect(fleet, shard),
            waiting: VecDeque::new(),
        }
    }

    fn say(&mut self, fleet: &Fleet, line: &str, waiting: Waiting) {
        self.talker.say(fleet, line);
        self.waiting.push_back(waiting);
    }

    fn transact(&mut self, fleet: &Fleet, lines: &[&str], waiting: Waiting) {
        self.say(fleet, "MULTI", Waiting::Word);
        for line in lines {
            self.say(fleet, line, Waiting::Word);
        }
        self.say(fleet, "EXEC", waiting);
    }

    fn act(&mut self, fleet: &mut Fleet) {
        let names: Vec<&str> = ACCOUNTS.split(' ').collect();
        let amount = fleet.rng.below(50);
        let (from, to) = (fleet.rng.below(names.len()), fleet.rng.below(names.len()));
        let look = format!("MGET began ended {ACCOUNTS}");
        match fleet.rng.below(10) {
            0..=3 => {
                let take = format!("DECRBY {} {amount}", names[from]);
                let give = format!("INCRBY {} {amount}", names[to]);
                let lines = ["INCR began", &take, &give, "INCR ended", &look];
                self.transact(fleet, &lines, Waiting::Transferred);
            }
            4 => self.transact(fleet, &[&look], Waiting::Seen),
            5 => {
                let gets: Vec<_> = names.iter().map(|name| format!("GET {name}")).collect();
                let mut lines = vec!["GET began", "GET ended"];
                lines.extend(gets.iter().map(String::as_str));
                self.transact(fleet, &lines, Waiting::Seen);
            }
            6 => self.say(fleet, &look, Waiting::SeenPlainly),
            // What is on its way between shards when the world stops.
            7 => self.say(fleet, "MSET v 1 w 2 x 3 y 4 z 5", Waiting::Anything),
            8 => self.say(fleet, "DEL v w x y z", Waiting::Anything),
            _ => self.say(fleet, "INCR x", Waiting::Anything),
        }
    }

    fn hear(&mut self, fleet: &Fleet) {
        while let Some(&waiting) = self.waiting.front() {
            let Some(value) = self.talker.hear(fleet) else {
                return;
            };
            self.waiting.pop_front();
            match (waiting, value) {
                (Waiting::Anything, _) => {}
                (Waiting::Word, Value::Text(word)) => assert!(word == "OK" || word == "QUEUED"),
                (Waiting::SeenPlainly, seen) => check(&seen.list()),
                (Waiting::Transferred, done) => check(&done.list().pop().expect("MGET").list()),
                (Waiting::Seen, seen) => {
                    let mut list = seen.list();
                    if list.len() == 1 {
                        list = list.remove(0).list();
                    }
                    check(&list);
                }
                (waiting, value) => panic!("{waiting:?} got {value:?}"),
            }
        }
    }
}

/// Nothing is half done: as many transfers have ended as have begun, and no money is lost.
fn check(seen: &[Value]) {
    let numbers: Vec<i64> = seen.iter().map(Value::number).collect();
    assert_eq!(numbers[0], numbers[1], "{numbers:?}");
    assert_eq!(numbers[2..].iter().sum::<i64>(), TOTAL, "{numbers:?}");
}

fn bank(seed: u64) -> (Fleet, Vec<Banker>) {
    let mut fleet = Fleet::new(seed, &Setup::embedded(1 + seed as usize % 4));
    fleet.world.set_faults(Faults::NETWORK);
    let mut founder = Talker::connect(&fleet, 0);
    for name in ACCOUNTS.split(' ') {
        let each = TOTAL / 5;
        founder.ask(&mut fleet, &format!("SET {name} {each}"));
    }
    fleet.world.close(founder.client);
    let bankers = (0..7).map(|_| Banker::connect(&mut fleet)).collect();
    (fleet, bankers)
}

/// Some steps of all. Some read slowly, some are gone in the middle of what they say.
fn bustle(fleet: &mut Fleet, bankers: &mut [Banker]) {
    for _ in 0..80 {
        let number = fleet.rng.below(bankers.len());
        let window = match fleet.rng.below(5) {
            0 => fleet.rng.below(40),
            _ => usize::MAX,
        };
        let client = bankers[number].talker.client;
        fleet.world.set_window(client, window);
        for _ in 0..1 + fleet.rng.below(3) {
            bankers[number].act(fleet);
        }
        for _ in 0..fleet.rng.below(6) {
            fleet.round();
            bankers.iter_mut().for_each(|banker| banker.hear(fleet));
        }
        if fleet.rng.chance(100) {
            match fleet.rng.below(3) {
                0 => {
                    fleet.world.set_window(client, usize::MAX);
                    fleet.world.finish(client);
                }
                1 => fleet.world.close(client),
                _ => fleet.world.reset(client),
            }
            bankers[number] = Banker::connect(fleet);
        }
    }
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    for_each_seed(400, |seed| {
        let (mut fleet, mut bankers) = bank(seed);
        bustle(&mut fleet, &mut bankers);
        for banker in &bankers {
            fleet.world.set_window(banker.talker.client, usize::MAX);
        }
        let are_served = fleet.run_until(PATIENCE_MS, |fleet| {
            bankers.iter_mut().for_each(|banker| banker.hear(fleet));
            bankers.iter().all(|banker| banker.waiting.is_empty())
        });
        assert!(are_served, "somebody waits for ever");
        let look = format!("MGET began ended {ACCOUNTS}");
        check(&bankers[0].talker.ask(&mut fleet, &look).list());
        for banker in &bankers {
            fleet.world.close(banker.talker.client);
        }
        fleet.check_end();
    });
}

/// The end comes in the middle of transactions: replies are whole or not there, and it does not
/// wait for its last moment.
#[test]
fn a_drain_ends_transactions_first() {
    const DRAIN_MS_MAX: u64 = 10_000;
    for_each_seed(400, |seed| {
        let (mut fleet, mut bankers) = bank(seed);
        bustle(&mut fleet, &mut bankers);
        for banker in &bankers {
            fleet.world.set_window(banker.talker.client, usize::MAX);
        }
        let began = fleet.world.now().0;
        fleet.stop();
        assert!(fleet.run_until(PATIENCE_MS, |fleet| fleet.has_ended()));
        let took_ms = fleet.world.now().0 - began;
        assert!(took_ms < DRAIN_MS_MAX / 2, "the drain took {took_ms} ms");
        for banker in &mut bankers {
            banker.hear(&fleet);
            assert!(!banker.talker.has_partial_reply(), "a reply was cut");
        }
    });
}

/// Read, watch, write what was read and one more: the loop that WATCH is for.
struct Counter {
    talker: Talker,
    step: Step,
    raised: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Reading,
    Writing,
}

impl Counter {
    fn begin(&mut self, fleet: &Fleet) {
        // In one piece: the read must not be served before the watch stands.
        for line in ["WATCH counter", "GET counter"] {
            self.talker.say(fleet, line);
        }
        self.step = Step::Reading;
    }

    /// True once it has raised the counter again.
    fn go_on(&mut self, fleet: &Fleet) {
        while let Some(value) = self.talker.hear(fleet) {
            match (self.step, value) {
                (_, Value::Text(word)) if word == "OK" || word == "QUEUED" => {}
                (Step::Reading, value) => {
                    let next = value.number() + 1;
                    let set = format!("SET counter {next}");
                    let lines = ["MULTI", "INCR attempts", &set, "EXEC"];
                    for line in lines {
                        self.talker.say(fleet, line);
                    }
                    self.step = Step::Writing;
                }
                (Step::Writing, value) => {
                    self.raised += i64::from(value != Value::Null);
                    self.begin(fleet);
                }
            }
        }
    }
}

#[test]
fn no_update_is_lost_that_watches_what_it_read() {
    for_each_seed(200, |seed| {
        let mut fleet = Fleet::new(seed, &Setup::embedded(1 + seed as usize % 4));
        fleet.world.set_faults(Faults::NETWORK);
        let mut counters: Vec<Counter> = (0..5)
            .map(|number| Counter {
                talker: Talker::connect(&fleet, number % fleet.shard_count()),
                step: Step::Reading,
                raised: 0,
            })
            .collect();
        counters
            .iter_mut()
            .for_each(|counter| counter.begin(&fleet));
        let mut bystander = Talker::connect(&fleet, 0);
        let mut raised = 0;
        for _ in 0..40 {
            for _ in 0..fleet.rng.below(60) {
                fleet.round();
                counters
                    .iter_mut()
                    .for_each(|counter| counter.go_on(&fleet));
            }
            bystander.ask(&mut fleet, "INCR counter");
            raised += 1;
        }
        fleet.run_until(PATIENCE_MS, |fleet| {
            counters.iter_mut().for_each(|counter| counter.go_on(fleet));
            counters.iter().map(|counter| counter.raised).sum::<i64>() > 20
        });
        // Nobody starts again, and what is under way may end either way.
        for counter in &counters {
            fleet.world.finish(counter.talker.client);
        }
        fleet.run_until_idle();
        counters
            .iter_mut()
            .for_each(|counter| counter.go_on(&fleet));
        raised += counters.iter().map(|counter| counter.raised).sum::<i64>();
        let counter = bystander.ask(&mut fleet, "GET counter").number();
        assert_eq!(counter, raised, "an increment was lost");
        let attempts = bystander.ask(&mut fleet, "GET attempts").number();
        assert!(attempts > 20, "the clients did nothing");
        assert_eq!(raised, attempts + 40, "an attempt was half done");
        fleet.world.close(bystander.client);
        fleet.check_end();
    });
}

/// Whoever was held goes on as soon as it can, not when a clock strikes.
#[test]
fn nobody_waits_for_the_clock() {
    const ROUNDS: usize = 5;
    for_each_seed(200, |seed| {
        let mut fleet = Fleet::new(seed, &Setup::embedded(1 + seed as usize % 4));
        let mut talkers: Vec<Talker> = (0..6)
            .map(|number| Talker::connect(&fleet, number % fleet.shard_count()))
            .collect();
        for (number, talker) in talkers.iter().enumerate() {
            for line in ["MULTI", "INCR a", "INCR b", "EXEC", "INCR a", "GET b"].repeat(ROUNDS) {
                // Some only wait for the others.
                let is_plain = !matches!(line, "MULTI" | "EXEC");
                if number % 2 == 0 || is_plain {
                    talker.say(&fleet, line);
                }
            }
        }
        let began = fleet.world.now().0;
        fleet.run_until_idle();
        assert!(
            fleet.world.now().0 < began + 50,
            "the test itself let time pass"
        );
        for (number, talker) in talkers.iter_mut().enumerate() {
            let count = if number % 2 == 0 { 6 } else { 4 } * ROUNDS;
            for _ in 0..count {
                talker.hear(&fleet).expect("a reply");
            }
            fleet.world.close(talker.client);
        }
        fleet.check_end();
    });
}
