//! The promise: a server of a pool that fails is found out in time and asked no more, its keys are treated as
//! `--on-eject` says, nobody else feels it, and when it is back nothing old is read from it.

use std::time::{Duration, Instant};

mod support;

use support::backends::Backend;
use support::ringfort::Ringfort;
use support::wait_for;
use support::wire::Wire;

const SERVER_COUNT: usize = 3;
const KEY_COUNT: usize = 60;

/// How long a request may take while a server is ejected: with the tests' `--backend-timeout` a server that hangs
/// is found out after four seconds.
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn error_tells_so_at_once_and_the_server_serves_again() {
    for mut pool in both(&["--on-eject", "error"]) {
        let mut wire = pool.connect();
        pool.set_all(&mut wire, "old");
        let lost = pool.keys_of(1);
        pool.backends[1].stop();
        pool.wait_for_get(&mut wire, lost[0], Got::Error);
        for key in 0..KEY_COUNT {
            let expected = match lost.contains(&key) {
                true => Got::Error,
                false => Got::Value("old".into()),
            };
            assert_eq!(pool.get(&mut wire, key), expected);
        }
        pool.backends[1].restart();
        // It comes back empty.
        pool.wait_for_get(&mut wire, lost[0], Got::Miss);
        assert!(pool.set(&mut wire, lost[0], "new"));
        assert_eq!(pool.get(&mut wire, lost[0]), Got::Value("new".into()));
    }
}

#[test]
fn miss_answers_reads_with_nothing_and_writes_with_an_error() {
    for pool in both(&["--on-eject", "miss"]) {
        let mut wire = pool.connect();
        pool.set_all(&mut wire, "old");
        let lost = pool.keys_of(1);
        pool.backends[1].pause();
        pool.wait_for_get(&mut wire, lost[0], Got::Miss);
        let started = Instant::now();
        for &key in &lost {
            assert_eq!(pool.get(&mut wire, key), Got::Miss);
            assert!(!pool.set(&mut wire, key, "new"));
        }
        assert!(
            started.elapsed() < PATIENCE,
            "nobody waits for an ejected server"
        );
        pool.backends[1].resume();
        // It was told nothing, so it has what it had.
        pool.wait_for_get(&mut wire, lost[0], Got::Value("old".into()));
        let (misses, errors) = (
            pool.stat(&mut wire, "backend_eject_misses"),
            pool.stat(&mut wire, "backend_failures"),
        );
        assert!(misses as usize > lost.len(), "{misses}");
        assert!(errors as usize >= lost.len(), "{errors}");
    }
}

#[test]
fn rehash_goes_to_the_others_and_comes_home_without_old_values() {
    for pool in both(&["--on-eject", "rehash"]) {
        goes_elsewhere_and_comes_home(pool);
    }
}

#[test]
fn failover_goes_to_servers_that_are_there_for_it() {
    let spares = [Backend::memcached(), Backend::redis()];
    let address = |spare: &Backend| spare.address().to_string();
    let flags = |address: &str| {
        let flags = ["--on-eject", "failover", "--failover-server", address];
        flags.map(str::to_owned)
    };
    for (spare, kind) in spares.iter().zip([Kind::Memcached, Kind::Redis]) {
        let flags = flags(&address(spare));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        goes_elsewhere_and_comes_home(Pool::new(kind, &flags));
    }
}

#[test]
fn flush_empties_a_server_before_it_serves_again() {
    for pool in both(&["--on-eject", "rehash", "--readmit", "flush"]) {
        let mut wire = pool.connect();
        pool.set_all(&mut wire, "old");
        let lost = pool.keys_of(1);
        pool.backends[1].pause();
        pool.wait_for_get(&mut wire, lost[0], Got::Miss);
        pool.backends[1].resume();
        wait_for("the server to be flushed", || {
            pool.keys_of(1).is_empty().then_some(())
        });
        wait_for("the server to be home again", || {
            pool.set(&mut wire, lost[0], "new");
            pool.keys_of(1).contains(&lost[0]).then_some(())
        });
        assert!(
            lost[1..]
                .iter()
                .all(|&key| pool.get(&mut wire, key) == Got::Miss)
        );
    }
}

/// Replies of one client are in order, so one that asks a paused server waits; others do not.
#[test]
fn a_paused_server_is_not_felt_by_who_asks_others() {
    for pool in both(&["--backend-timeout", "5s"]) {
        let mut wire = pool.connect();
        pool.set_all(&mut wire, "value");
        let lost = pool.keys_of(1);
        let mut waiting: Vec<Wire> = (0..8).map(|_| pool.connect()).collect();
        pool.backends[1].pause();
        waiting.iter_mut().for_each(|wire| {
            let request = pool.get_request(lost[0]);
            wire.send(request.repeat(50).as_bytes());
        });
        let mut took = Vec::new();
        for round in 0..10 {
            for key in (0..KEY_COUNT).filter(|key| !lost.contains(key)) {
                let started = Instant::now();
                assert_eq!(
                    pool.get(&mut wire, key),
                    Got::Value("value".into()),
                    "{round}"
                );
                took.push(started.elapsed());
            }
        }
        took.sort_unstable();
        let p99 = took[took.len() * 99 / 100];
        // Far below what the server may take, and far above what a busy machine adds.
        assert!(p99 < Duration::from_millis(500), "{p99:?}");
        pool.backends[1].resume();
        for wire in &mut waiting {
            for _ in 0..50 {
                assert!(matches!(pool.read(wire), Got::Value(_) | Got::Error));
            }
        }
        pool.wait_for_get(&mut wire, lost[0], Got::Value("value".into()));
    }
}

#[test]
fn beyond_the_limit_in_flight_clients_wait_and_then_hear_why() {
    let flags = ["--backend-in-flight-max", "4", "--eject-after", "off"];
    for pool in both(&flags) {
        let mut wire = pool.connect();
        pool.set_all(&mut wire, "value");
        let key = pool.keys_of(1)[0];
        // Few at a time, but all get their turn.
        wire.send(pool.get_request(key).repeat(500).as_bytes());
        for _ in 0..500 {
            assert_eq!(pool.read(&mut wire), Got::Value("value".into()));
        }
        pool.backends[1].pause();
        wire.send(pool.get_request(key).repeat(20).as_bytes());
        let started = Instant::now();
        for _ in 0..20 {
            assert_eq!(pool.read(&mut wire), Got::Error);
        }
        assert!(started.elapsed() < 2 * PATIENCE);
        assert!(pool.stat(&mut wire, "backend_in_flight_refused") > 0);
        pool.backends[1].resume();
        pool.wait_for_get(&mut wire, key, Got::Value("value".into()));
    }
}

fn goes_elsewhere_and_comes_home(pool: Pool) {
    let mut wire = pool.connect();
    pool.set_all(&mut wire, "old");
    let lost = pool.keys_of(1);
    // Twice: what stood in for it the first time must not show the second time.
    for value in ["first", "second"] {
        pool.backends[1].pause();
        // Each shard finds out by itself.
        for &key in &lost {
            pool.wait_for_get(&mut wire, key, Got::Miss);
        }
        let (written, left) = lost.split_at(lost.len() / 2);
        for &key in written {
            assert!(pool.set(&mut wire, key, value));
            assert_eq!(pool.get(&mut wire, key), Got::Value(value.into()));
        }
        pool.backends[1].resume();
        // Keys that nobody wrote meanwhile are there, the others are not.
        for &key in left {
            pool.wait_for_get(&mut wire, key, Got::Value("old".into()));
        }
        // Their shards may be later than the others' to find out that it is back.
        for &key in written {
            pool.wait_for_get(&mut wire, key, Got::Miss);
        }
    }
    assert!(pool.stat(&mut wire, "backend_ejects") >= 2);
    assert!(pool.stat(&mut wire, "backend_readmits") >= 2);
}

/// Pools of three memcacheds and of three Redis servers.
fn both(flags: &[&str]) -> [Pool; 2] {
    [Kind::Memcached, Kind::Redis].map(|kind| Pool::new(kind, flags))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Memcached,
    Redis,
}

/// What a client got for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Got {
    Value(String),
    Miss,
    Error,
}

struct Pool {
    kind: Kind,
    ringfort: Ringfort,
    backends: [Backend; SERVER_COUNT],
}

impl Pool {
    fn new(kind: Kind, flags: &[&str]) -> Self {
        let backends = [(); SERVER_COUNT].map(|()| match kind {
            Kind::Memcached => Backend::memcached(),
            Kind::Redis => Backend::redis(),
        });
        let servers = backends.each_ref().map(|one| one.address().to_string());
        let mut line = match kind {
            Kind::Memcached => vec!["--memcache", "127.0.0.1:0", "--pool", "memcache"],
            Kind::Redis => vec!["--resp", "127.0.0.1:0", "--pool", "resp"],
        };
        line.extend(["--shards", "2", "--memory", "64MiB"]);
        if !flags.contains(&"--backend-timeout") {
            line.extend(["--backend-timeout", "2s"]);
        }
        servers
            .iter()
            .for_each(|server| line.extend(["--server", server]));
        line.extend(flags);
        Self {
            kind,
            ringfort: Ringfort::start_exactly(&line),
            backends,
        }
    }

    fn connect(&self) -> Wire {
        Wire::connect(match self.kind {
            Kind::Memcached => self.ringfort.memcache(),
            Kind::Redis => self.ringfort.resp(),
        })
    }

    fn set_all(&self, wire: &mut Wire, value: &str) {
        (0..KEY_COUNT).for_each(|key| assert!(self.set(wire, key, value)));
    }

    /// Whether it was stored; else it was an error.
    fn set(&self, wire: &mut Wire, key: usize, value: &str) -> bool {
        let request = match self.kind {
            Kind::Memcached => format!("set key-{key} 0 0 {}\r\n{value}\r\n", value.len()),
            Kind::Redis => format!("SET key-{key} {value}\r\n"),
        };
        wire.send(request.as_bytes());
        match &wire.line()[..] {
            "STORED" | "+OK" => true,
            line => {
                assert!(is_error(line), "{line:?}");
                false
            }
        }
    }

    fn get_request(&self, key: usize) -> String {
        match self.kind {
            Kind::Memcached => format!("get key-{key}\r\n"),
            Kind::Redis => format!("GET key-{key}\r\n"),
        }
    }

    fn get(&self, wire: &mut Wire, key: usize) -> Got {
        wire.send(self.get_request(key).as_bytes());
        self.read(wire)
    }

    fn read(&self, wire: &mut Wire) -> Got {
        match &wire.line()[..] {
            "END" | "$-1" => Got::Miss,
            line if is_error(line) => Got::Error,
            line => {
                assert!(
                    line.starts_with("VALUE key-") || line.starts_with('$'),
                    "{line:?}"
                );
                let value = wire.line();
                if self.kind == Kind::Memcached {
                    assert_eq!(wire.line(), "END");
                }
                Got::Value(value)
            }
        }
    }

    /// Reads a key until it is answered so; each answer comes in time.
    fn wait_for_get(&self, wire: &mut Wire, key: usize, expected: Got) {
        wait_for("the right answer", || {
            let started = Instant::now();
            let got = self.get(wire, key);
            assert!(
                started.elapsed() < PATIENCE,
                "{got:?} took {:?}",
                started.elapsed()
            );
            (got == expected).then_some(())
        });
    }

    /// The keys that a server holds.
    fn keys_of(&self, server: usize) -> Vec<usize> {
        let mut wire = self.backends[server].connect();
        let has = |key: &usize| self.get(&mut wire, *key) != Got::Miss;
        (0..KEY_COUNT).filter(has).collect()
    }

    fn stat(&self, wire: &mut Wire, name: &str) -> u64 {
        match self.kind {
            Kind::Memcached => wire.stat("", name),
            Kind::Redis => wire.info("stats", name),
        }
    }
}

fn is_error(line: &str) -> bool {
    line.starts_with("SERVER_ERROR backend ") || line.starts_with("-ERR backend ")
}
