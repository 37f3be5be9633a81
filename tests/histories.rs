//! The promise: whatever befalls the servers of a pool and the ways to them, no read returns a value older than the
//! last one that was acknowledged through this ringfort, and no request gets another's reply. Many connections make
//! calls on a few keys while servers are killed, stopped and started empty, and connections are cut, delayed,
//! swallowed and filled with garbage; a checker looks for one order of all that was seen.

mod support;

#[path = "support/linearizability.rs"]
mod checker;
#[path = "support/sim/register.rs"]
mod register;
#[path = "histories/speaker.rs"]
mod speaker;

use std::time::{Duration, Instant};

use checker::{Call, Operation, Outcome, told};
use speaker::{KEY_COUNT, Speaker, Stage};
use support::backends::Backend;
use support::gate::Fault;
use support::gated::{GatedPool, Protocol, Server, Speech};
use support::over_when_dropped;
use support::wire::Wire;

const SERVER_COUNT: usize = 3;
const SPEAKER_COUNT: u64 = 8;

/// How long servers fail, one after the other: each of the faults comes up once or twice.
const DURATION: Duration = Duration::from_secs(12);

/// Longer than a request may take, and than a server may say nothing: what lasts so long is found out.
const FOUND_OUT: Duration = Duration::from_millis(1_300);

const COMMON: [&str; 6] = [
    "--shards",
    "2",
    "--backend-timeout",
    "400ms",
    "--eject-after",
    "2",
];

/// Who speaks what, how many servers stand in for others, and flags.
type Setup<'a> = (Speech, usize, &'a [&'a str]);

#[test]
fn through() {
    let four = ["--backend-connections", "4", "--on-eject", "miss"];
    check_all(&[
        (Speech::MEMCACHE, 0, &["--l1", "60s"]),
        (Speech::RESP, 0, &["--l1", "60s"]),
        (Speech::MEMCACHE, 0, &four),
        // Who is never ejected is asked more while replies are late: those are not to get them.
        (Speech::RESP, 0, &["--eject-after", "off"]),
    ]);
}

#[test]
fn rehash() {
    let four = ["--on-eject", "rehash", "--backend-connections", "4"];
    let flush = ["--on-eject", "rehash", "--readmit", "flush", "--l1", "60s"];
    let l1 = ["--on-eject", "rehash", "--l1", "60s"];
    check_all(&[
        (Speech::MEMCACHE, 0, &four),
        (Speech::MEMCACHE, 0, &flush),
        (Speech::RESP, 0, &l1),
    ]);
}

#[test]
fn failover() {
    let four = ["--on-eject", "failover", "--backend-connections", "4"];
    let l1 = ["--on-eject", "failover", "--l1", "60s"];
    check_all(&[(Speech::MEMCACHE, 2, &l1), (Speech::RESP, 2, &four)]);
}

#[test]
fn crossed() {
    let flags = ["--on-eject", "rehash", "--l1", "60s"];
    check_all(&[
        (Speech::MEMCACHE_OVER_REDIS, 0, &flags),
        (Speech::RESP_OVER_MEMCACHED, 0, &flags),
    ]);
}

/// At the same time, as each of them mostly waits.
fn check_all(setups: &[Setup<'_>]) {
    std::thread::scope(|scope| {
        for (speech, spare_count, flags) in setups {
            scope.spawn(|| check(*speech, *spare_count, flags));
        }
    });
}

/// The checker notices what it is there to notice: two servers that pretend to be one.
#[test]
fn two_copies_are_refused() {
    let backends = [Backend::memcached(), Backend::memcached()];
    let connect = |number: u64| backends[number as usize % 2].connect();
    let histories = record(connect, Protocol::Memcache, || {
        std::thread::sleep(Duration::from_millis(500));
    });
    let is_refused = |history: &Vec<Operation>| !register::is_linearizable(history);
    assert!(histories.0.iter().any(is_refused));
}

/// And accepts what is known to be right.
#[test]
fn one_server_is_accepted() {
    let backend = Backend::redis();
    let (histories, error_count) = record(
        |_| backend.connect(),
        Protocol::Resp,
        || std::thread::sleep(Duration::from_millis(500)),
    );
    assert_accepted(&histories);
    assert_eq!(error_count, 0);
}

fn check(speech: Speech, spare_count: usize, flags: &[&str]) {
    let counts = (SERVER_COUNT, spare_count);
    let mut pool = GatedPool::start(speech, counts, &[&COMMON[..], flags].concat());
    let mut servers: Vec<Server> = pool
        .servers
        .drain(..)
        .chain(pool.spares.drain(..))
        .collect();
    let (histories, error_count) = record(
        |_| pool.connect(),
        speech.clients,
        || {
            let start = Instant::now();
            let mut round = 0;
            while start.elapsed() < DURATION {
                befall(round, &mut servers);
                round += 1;
                std::thread::sleep(Duration::from_millis(250));
            }
        },
    );
    assert!(error_count > 0, "the faults were felt");
    assert_accepted(&histories);
}

/// Something happens to one server, or to two at once, and is over at the end.
fn befall(round: usize, servers: &mut [Server]) {
    const GARBAGE: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let count = servers.len();
    // All pairs of a fault and a server come up in time.
    let (victim, second) = (round * 5 % count, (round * 5 + 1) % count);
    match round % 8 {
        0 => {
            servers[victim].backend.pause();
            std::thread::sleep(FOUND_OUT);
            servers[victim].backend.resume();
        }
        1 => {
            servers[victim].backend.stop();
            std::thread::sleep(Duration::from_millis(300));
            servers[victim].backend.restart();
        }
        2 => struck(&servers[victim], Fault::Cut(7), 3),
        3 => {
            for server in [victim, second] {
                servers[server].gate.strike(Fault::Swallow);
            }
            std::thread::sleep(FOUND_OUT);
            for server in [victim, second] {
                servers[server].gate.heal();
            }
        }
        4 => struck(&servers[victim], Fault::Instead(GARBAGE), 3),
        5 => {
            servers[victim].gate.shut();
            servers[second].backend.pause();
            std::thread::sleep(FOUND_OUT);
            servers[victim].gate.open();
            servers[second].backend.resume();
        }
        6 => struck(&servers[victim], Fault::Late(Duration::from_millis(500)), 4),
        _ => {
            // It goes, and while it is gone who may stand in for it goes, too.
            servers[victim].gate.shut();
            std::thread::sleep(Duration::from_millis(500));
            servers[second].backend.stop();
            std::thread::sleep(Duration::from_millis(500));
            servers[victim].gate.open();
            servers[second].backend.restart();
        }
    }
}

/// Has this befall some replies, which come at once if anything is asked.
fn struck(server: &Server, fault: Fault, count: usize) {
    server.gate.strike_times(fault, count);
    let start = Instant::now();
    while !server.gate.is_spent() && start.elapsed() < 2 * FOUND_OUT {
        std::thread::sleep(Duration::from_millis(10));
    }
    server.gate.heal();
}

/// Lets all speakers loose on the same keys while `meanwhile` runs; what they saw, by key, and the errors that they
/// heard.
fn record(
    connect: impl Fn(u64) -> Wire,
    protocol: Protocol,
    meanwhile: impl FnOnce(),
) -> (Vec<Vec<Operation>>, usize) {
    let stage = Stage::new();
    let speakers: Vec<_> = (1..=SPEAKER_COUNT)
        .map(|number| Speaker::new(&stage, connect(number), protocol, number))
        .collect();
    let seen: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = speakers
            .into_iter()
            .map(|speaker| scope.spawn(|| speaker.speak()))
            .collect();
        let over = over_when_dropped(&stage.is_over);
        meanwhile();
        drop(over);
        let threads = threads.into_iter();
        threads
            .map(|thread| thread.join().expect("a speaker"))
            .collect()
    });
    let mut histories = vec![Vec::new(); KEY_COUNT];
    let mut error_count = 0;
    for (heard, errors) in seen {
        error_count += errors;
        for (key, operation) in heard {
            histories[key].push(operation);
        }
    }
    (histories, error_count)
}

fn assert_accepted(histories: &[Vec<Operation>]) {
    for (key, history) in histories.iter().enumerate() {
        let is_hit = |operation: &&Operation| matches!(operation.outcome, Outcome::Value(_));
        let hit_count = history.iter().filter(is_hit).count();
        assert!(hit_count > 50, "k{key} was found {hit_count} times only");
        assert!(
            register::is_linearizable(history),
            "no order explains k{key}:\n{}",
            told_by_two_values(history)
        );
    }
}

/// Two values that cannot both be right are enough to tell the story.
fn told_by_two_values(history: &[Operation]) -> String {
    let value_of = |operation: &Operation| match (operation.call, operation.outcome) {
        (Call::Set(value), _) | (_, Outcome::Value(Some(value))) => value,
        other => panic!("{other:?} is not recorded"),
    };
    let mut values: Vec<u64> = history.iter().map(value_of).collect();
    values.sort_unstable();
    values.dedup();
    let only = |one: u64, other: u64| -> Vec<Operation> {
        let is_one = |operation: &&Operation| [one, other].contains(&value_of(operation));
        history.iter().filter(is_one).copied().collect()
    };
    let pairs = values.iter().enumerate().flat_map(|(place, one)| {
        let rest = values[place..].iter();
        rest.map(move |other| (*one, *other))
    });
    let wrong = pairs
        .map(|(one, other)| only(one, other))
        .find(|operations| !register::is_linearizable(operations));
    told(&wrong.unwrap_or_default())
}
