//! The promise: whatever is asked, and however it comes, ringfort answers as memcached and Redis do, byte for byte,
//! but for what `differential/differences.rs` lists.
//!
//! Commands are made from a seed, which is the same in every run unless the environment says otherwise:
//! `RINGFORT_DIFFERENTIAL_SEED`, `_COMMANDS` (for each of the tests), `_FAMILIES` (names out of the generators, or
//! `all`), and `_SEQUENCE` (the seed of a single sequence, as a failure prints it). `scripts/differential` sets them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

#[path = "differential/counts.rs"]
mod counts;
#[path = "differential/differences.rs"]
mod differences;
#[path = "support/differential/mod.rs"]
mod harness;
mod support;
#[path = "support/transcript.rs"]
mod transcript;

use harness::driver::{Contest, Delivery, Disagreement};
use harness::generate::{Generator, unserved};
use harness::minimize::{Minimal, minimize};
use harness::{Protocol, Sequence, report};
use support::backends::Backend;
use support::ringfort::Ringfort;
use transcript::Script;

#[test]
fn memcache_text_on_one_shard() {
    against_memcached(Protocol::Text, 1);
}

#[test]
fn memcache_text_on_two_shards() {
    against_memcached(Protocol::Text, 2);
}

#[test]
fn memcache_binary_on_one_shard() {
    against_memcached(Protocol::Binary, 1);
}

#[test]
fn memcache_binary_on_two_shards() {
    against_memcached(Protocol::Binary, 2);
}

#[test]
fn resp_on_one_shard() {
    against_redis(1);
}

#[test]
fn resp_on_two_shards() {
    against_redis(2);
}

/// Who serves a family takes it into the test: as long as it is not in there, it is answered differently.
#[test]
fn what_is_not_served_is_not_answered_the_same() {
    let (memcached, redis) = (Backend::still_memcached(), Backend::redis());
    let ringfort = Ringfort::embedded();
    for (protocol, real, ours) in [
        (Protocol::Text, memcached.address(), ringfort.memcache()),
        (Protocol::Binary, memcached.address(), ringfort.memcache()),
        (Protocol::Resp, redis.address(), ringfort.resp()),
    ] {
        for family in unserved(protocol) {
            let generator = Generator::new(protocol, Some(family));
            let mut contest = Contest::new(protocol, real, ours, PATIENCE_WHEN_MINIMIZING);
            let mut sequences = (0..20).map(|seed| generator.sequence(seed));
            assert!(
                sequences.any(|sequence| contest.play(&sequence, Delivery::Plain).is_err()),
                "{family} is answered as it should be: set it to be served in tests/support/differential"
            );
        }
    }
}

/// What a real server answers now one way and now another cannot be asked: two of them have to agree, also about
/// families that ringfort does not serve yet.
#[test]
fn memcached_agrees_with_itself() {
    for protocol in [Protocol::Text, Protocol::Binary] {
        let (one, other) = (Backend::still_memcached(), Backend::still_memcached());
        Run::of(protocol, REAL_TWICE, one.address(), other.address()).finish();
    }
}

#[test]
fn redis_agrees_with_itself() {
    let (one, other) = (Backend::redis(), Backend::redis());
    Run::of(Protocol::Resp, REAL_TWICE, one.address(), other.address()).finish();
}

/// The harness notices what is there to be noticed, and tells it in a way that can be kept.
#[test]
fn a_difference_is_found_and_told_briefly() {
    let large = Ringfort::start(&["--item-size-max", "1MiB"]);
    let small = Ringfort::start(&["--item-size-max", "1KiB"]);
    let run = Run::of(Protocol::Text, 1, large.memcache(), small.memcache());
    let generator = Generator::new(Protocol::Text, Some("storage,retrieval"));
    let mut contest = run.contest(PATIENCE);
    let sequences = (0..1000).map(|seed| generator.sequence(seed));
    let minimal = sequences
        .filter(|sequence| contest.play(sequence, Delivery::Rough).is_err())
        .find_map(|sequence| minimize(&mut run.contest(PATIENCE), &sequence))
        .expect("a value that is too large for one of the two");
    // One value, or one and what is appended to it.
    let command_count = minimal.sequence.command_count();
    assert!(command_count <= 4, "{command_count} commands");
    let told = report::transcript(Protocol::Text, &minimal);
    assert!(
        told.contains("\nS(ringfort): SERVER_ERROR object too large for cache\n"),
        "{told}"
    );
    Script::parse("memcache_told", &told).unwrap_or_else(|error| panic!("{error} in\n{told}"));
}

fn against_memcached(protocol: Protocol, shards: usize) {
    let memcached = Backend::still_memcached();
    let ringfort = Ringfort::start(&["--shards", &shards.to_string()]);
    let run = Run::of(protocol, shards, memcached.address(), ringfort.memcache());
    run.finish();
}

fn against_redis(shards: usize) {
    let redis = Backend::redis();
    let ringfort = Ringfort::start(&["--shards", &shards.to_string()]);
    let run = Run::of(Protocol::Resp, shards, redis.address(), ringfort.resp());
    run.finish();
}

/// Commands that each test asks when nobody says otherwise: two tests a protocol make 100,000.
const COMMAND_COUNT: usize = 50_000;
/// How long a server may be silent before that counts as an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same while a failure is made shorter, which asks again and again.
const PATIENCE_WHEN_MINIMIZING: Duration = Duration::from_secs(2);
/// Disagreements that are reported before a run ends.
const FAILURE_COUNT_MAX: usize = 5;

/// In place of a number of shards: there is no ringfort, and all families are asked.
const REAL_TWICE: usize = 0;

/// A protocol, and the two servers to compare.
struct Run {
    protocol: Protocol,
    shards: usize,
    real: SocketAddr,
    ringfort: SocketAddr,
}

impl Run {
    const fn of(protocol: Protocol, shards: usize, real: SocketAddr, ringfort: SocketAddr) -> Self {
        Self {
            protocol,
            shards,
            real,
            ringfort,
        }
    }

    /// Plays sequences until enough was asked; panics with those that were answered differently.
    fn finish(&self) {
        let families =
            setting("FAMILIES").or_else(|| (self.shards == REAL_TWICE).then(|| "all".to_owned()));
        let generator = Generator::new(self.protocol, families.as_deref());
        if !generator.has_families()
            || setting("PROTOCOL").is_some_and(|name| name != self.protocol.name())
        {
            return;
        }
        let patience = if self.shards == REAL_TWICE {
            PATIENCE_WHEN_MINIMIZING
        } else {
            PATIENCE
        };
        let mut contest = self.contest(patience);
        let (mut command_count, mut failures, mut explained) = (0, Vec::new(), BTreeMap::new());
        for seed in self.seeds() {
            let sequence = generator.sequence(seed);
            match contest.play(&sequence, Delivery::Rough) {
                Ok(played) => {
                    command_count += played.command_count;
                    for (name, count) in played.explained {
                        *explained.entry(name).or_insert(0) += count;
                    }
                }
                Err(disagreement) => {
                    failures.push(self.report(seed, sequence, disagreement));
                    contest = self.contest(patience);
                }
            }
            if command_count >= self.command_count() || failures.len() >= FAILURE_COUNT_MAX {
                break;
            }
        }
        println!(
            "{} commands of {} on {} shards answered the same, but for {explained:?}",
            command_count,
            self.protocol.name(),
            self.shards
        );
        assert!(
            failures.is_empty(),
            "{} sequences of {} on {} shards were answered differently:\n\n{}",
            failures.len(),
            self.protocol.name(),
            self.shards,
            failures.join("\n")
        );
    }

    fn command_count(&self) -> usize {
        let count = if self.shards == REAL_TWICE {
            COMMAND_COUNT / 2
        } else {
            COMMAND_COUNT
        };
        number_setting("COMMANDS").map_or(count, |count| count as usize)
    }

    /// The seeds of the sequences: those that follow from the run's, or a single one.
    fn seeds(&self) -> Box<dyn Iterator<Item = u64>> {
        const SEED: u64 = 1;
        if let Some(only) = number_setting("SEQUENCE") {
            return Box::new(std::iter::once(only));
        }
        let seed = number_setting("SEED").unwrap_or(SEED);
        // One shard and two are asked different things.
        let first = seed.wrapping_mul(2).wrapping_add(self.shards as u64 % 2);
        Box::new((0..).map(move |index: u64| (first << 32).wrapping_add(index)))
    }

    fn contest(&self, patience: Duration) -> Contest {
        let contest = Contest::new(self.protocol, self.real, self.ringfort, patience);
        match self.shards {
            REAL_TWICE => contest.between_equals(),
            _ => contest,
        }
    }

    /// The shortest sequence that shows it; the whole one if it shows only once.
    fn report(&self, seed: u64, sequence: Sequence, disagreement: Box<Disagreement>) -> String {
        let mut contest = self.contest(PATIENCE_WHEN_MINIMIZING);
        let mut head = format!("== RINGFORT_DIFFERENTIAL_SEQUENCE={seed}\n");
        let minimal = minimize(&mut contest, &sequence).unwrap_or_else(|| {
            head.push_str("# Not when played again.\n");
            Minimal {
                sequence,
                delivery: Delivery::Rough,
                disagreement,
            }
        });
        head + &report::transcript(self.protocol, &minimal) + "\n" + &report::replies(&minimal)
    }
}

fn setting(name: &str) -> Option<String> {
    let value = std::env::var(format!("RINGFORT_DIFFERENTIAL_{name}")).ok()?;
    (!value.is_empty()).then_some(value)
}

fn number_setting(name: &str) -> Option<u64> {
    let value = setting(name)?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("RINGFORT_DIFFERENTIAL_{name}={value} is no number")),
    )
}
