//! An L1 whose servers tell of changes: whoever changes a key and whatever breaks, no read goes back behind what was
//! acknowledged or seen, and when all is quiet no old copy is left.

use std::collections::{HashMap, VecDeque};

use ringfort::config::{Protocol, WritePolicy};
use ringfort::io::ListenerId;
use ringfort::io::sim::{ClientId, Faults, ServerState};

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::l1::{end, expect};
use crate::pool::{connect_all, trouble};
use crate::sim::redis::request;
use crate::sim::{Backend, Fleet, PoolSetup, Setup, address};

pub(crate) const KEYS: [&str; 3] = ["a", "b", "c"];

/// Clients and strangers set and get few keys while servers come and go. Each value is written once, so a value says
/// which version it is.
#[test]
fn no_read_goes_back_behind_what_was_acknowledged_or_seen() {
    for_each_seed(400, |seed| {
        let mut fleet = fleet(seed);
        let mut world = Readers::new(&fleet, 5);
        for number in 0..150 {
            if seed % 3 > 0 && fleet.rng.chance(40) {
                trouble(&mut fleet);
            }
            if seed % 3 == 2 && fleet.rng.chance(60) {
                let is_listener = fleet.rng.chance(500);
                break_one(&mut fleet, is_listener);
            }
            let key = KEYS[fleet.rng.below(KEYS.len())];
            let value = format!("v{number}");
            let client = fleet.rng.below(world.clients.len());
            match fleet.rng.below(10) {
                0 => stranger(&fleet, key, &["SET", key, &value]),
                1 if fleet.rng.chance(200) => stranger(&fleet, key, &["FLUSHALL"]),
                1 | 2 => world.set(&fleet, client, key, &value),
                _ => world.get(&fleet, client, key),
            }
            for _ in 0..fleet.rng.below(6) {
                fleet.round();
                world.hear(&fleet);
            }
        }
        fleet.heal();
        let is_answered = fleet.run_until(PATIENCE_MS, |fleet| {
            world.hear(fleet);
            world.is_answered()
        });
        assert!(is_answered);
        check_quiet(&mut fleet);
        let clients: Vec<_> = world.clients.iter().map(|client| client.id).collect();
        end(&mut fleet, &clients);
    });
}

/// The server has read the value, its reply is late, and meanwhile the key is changed and its change told.
#[test]
fn a_value_that_its_change_overtakes_is_not_kept() {
    for_each_seed(100, |seed| {
        let mut fleet = fleet_of(seed, 1);
        stranger(&fleet, "a", &["SET", "a", "old"]);
        let reader = client(&fleet, 0);
        let pairs = redis(&fleet, "a", |redis| redis.tracked.pairs());
        assert_eq!(
            pairs.len(),
            fleet.shard_count() * (1 + seed as usize / 2 % 2)
        );
        let hold = |fleet: &Fleet, is_held| {
            for (link, _) in &pairs {
                fleet.world.hold_connection(*link, is_held);
            }
        };
        hold(&fleet, true);
        fleet.world.send(reader, &ask(&["GET", "a"]));
        fleet.run_until_idle();
        assert_eq!(get_count(&fleet, "a"), 1, "the server has answered");
        stranger(&fleet, "a", &["SET", "a", "new"]);
        fleet.run_until_idle();
        hold(&fleet, false);
        expect(&mut fleet, reader, "$3\r\nold\r\n");
        check_value(&mut fleet, "a", "new");
        end(&mut fleet, &[reader]);
    });
}

/// One of the two connections breaks, and before it is there again a stranger writes: the server tells nobody.
#[test]
fn either_connection_takes_what_it_covered_with_it() {
    for_each_seed(100, |seed| {
        let mut fleet = fleet_of(seed, 1);
        for (round, is_listener) in [true, false, true, false].into_iter().enumerate() {
            let value = round.to_string();
            stranger(&fleet, "a", &["SET", "a", &value]);
            fleet.run_until(5_000, |_| false);
            check_value(&mut fleet, "a", &value);
            while break_one(&mut fleet, is_listener) {}
            stranger(&fleet, "a", &["SET", "a", "new"]);
            fleet.run_until_idle();
            check_value(&mut fleet, "a", "new");
        }
        end(&mut fleet, &[]);
    });
}

/// Breaks one connection of the servers, one that hears of changes, or one that others hear for.
fn break_one(fleet: &mut Fleet, is_listener: bool) -> bool {
    for key in KEYS {
        let pairs = redis(fleet, key, |redis| redis.tracked.pairs());
        if !pairs.is_empty() {
            let (link, listener) = pairs[fleet.rng.below(pairs.len())];
            let victim = if is_listener { listener } else { link };
            let address = address(fleet.server_of(key.as_bytes()));
            fleet.world.break_connection(address, victim);
            return true;
        }
    }
    false
}

/// Each shard shows this value.
pub(crate) fn check_value(fleet: &mut Fleet, key: &str, value: &str) {
    for shard in 0..fleet.shard_count() {
        let client = client(fleet, shard);
        fleet.world.send(client, &ask(&["GET", key]));
        let expected = format!("${}\r\n{value}\r\n", value.len());
        expect(fleet, client, &expected);
        fleet.world.close(client);
    }
}

/// Once nothing is on its way, each shard shows what the server has, out of a copy, and what a stranger writes then.
pub(crate) fn check_quiet(fleet: &mut Fleet) {
    // Connections that failed last are tried again within that, and are told of changes then.
    fleet.run_until(5_000, |_| false);
    for key in KEYS {
        for value in ["last", "very last"] {
            stranger(fleet, key, &["SET", key, value]);
            fleet.run_until(50, |_| false);
            let count = get_count(fleet, key);
            check_value(fleet, key, value);
            assert_eq!(get_count(fleet, key), count + 1, "one fetch for all shards");
        }
    }
}

/// The connection stands, and nothing comes: that is found out in the time that the documents promise.
#[test]
fn a_server_that_is_silently_gone_leaves_no_copy_for_long() {
    for_each_seed(100, |seed| {
        const TOLD_WITHIN_MS: u64 = 1_000 + 5_000;
        let mut fleet = fleet_of(seed, 1);
        stranger(&fleet, "a", &["SET", "a", "old"]);
        let client = client(&fleet, 0);
        fleet.run_until(2_000, |_| false);
        fleet.world.send(client, &ask(&["GET", "a"]));
        expect(&mut fleet, client, "$3\r\nold\r\n");
        fleet.world.set_server(address(0), ServerState::Hanging);
        stranger(&fleet, "a", &["SET", "a", "new"]);
        fleet.run_until(TOLD_WITHIN_MS + 50, |_| false);
        fleet.world.send(client, &ask(&["GET", "a"]));
        let mut heard = Vec::new();
        fleet.run_until(PATIENCE_MS, |fleet| {
            heard.extend(fleet.world.take_received(client));
            heard.ends_with(b"\r\n")
        });
        assert!(heard.starts_with(b"-ERR "), "{}", heard.escape_ascii());
        end(&mut fleet, &[client]);
    });
}

/// A server of before 6.0 serves, and nothing of it is kept.
#[test]
fn a_server_that_does_not_tell_is_asked_each_time() {
    for_each_seed(50, |seed| {
        let setup = setup(seed, 1);
        let mut fleet = Fleet::new(seed, &setup);
        redis(&fleet, "a", |redis| redis.refuses_tracking = true);
        let client = client(&fleet, 0);
        stranger(&fleet, "a", &["SET", "a", "v"]);
        for count in 1..5 {
            fleet.world.send(client, &ask(&["GET", "a"]));
            expect(&mut fleet, client, "$1\r\nv\r\n");
            assert_eq!(get_count(&fleet, "a"), count);
        }
        end(&mut fleet, &[client]);
    });
}

/// What a client waits for.
#[derive(Debug, Clone)]
enum Waiting {
    /// The value of a key, of this version or later.
    Get {
        key: &'static str,
        floor: usize,
    },
    Set {
        key: &'static str,
        value: String,
    },
}

impl Waiting {
    fn raise(&mut self, key: &str, version: usize) {
        match self {
            Self::Get { key: read, floor } if *read == key => *floor = (*floor).max(version),
            _ => {}
        }
    }
}

pub(crate) struct Reader {
    pub(crate) id: ClientId,
    waiting: VecDeque<Waiting>,
    unread: Vec<u8>,
}

/// Clients, and the newest version of each key that any of them was told of.
pub(crate) struct Readers {
    pub(crate) clients: Vec<Reader>,
    known: HashMap<&'static str, usize>,
}

impl Readers {
    pub(crate) fn new(fleet: &Fleet, count: usize) -> Self {
        let shard_count = fleet.shard_count();
        let reader = |number| Reader {
            id: client(fleet, number % shard_count),
            waiting: VecDeque::new(),
            unread: Vec::new(),
        };
        Self {
            clients: (0..count).map(reader).collect(),
            known: HashMap::new(),
        }
    }

    pub(crate) fn set(&mut self, fleet: &Fleet, client: usize, key: &'static str, value: &str) {
        let value = value.to_owned();
        let client = &mut self.clients[client];
        fleet.world.send(client.id, &ask(&["SET", key, &value]));
        client.waiting.push_back(Waiting::Set { key, value });
    }

    pub(crate) fn get(&mut self, fleet: &Fleet, client: usize, key: &'static str) {
        let floor = self.known.get(key).copied().unwrap_or(0);
        let client = &mut self.clients[client];
        fleet.world.send(client.id, &ask(&["GET", key]));
        client.waiting.push_back(Waiting::Get { key, floor });
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.clients.iter().all(|client| client.waiting.is_empty())
    }

    pub(crate) fn hear(&mut self, fleet: &Fleet) {
        let Self { clients, known } = self;
        for client in clients {
            client.unread.extend(fleet.world.take_received(client.id));
            while let Some((said, len)) = read(&client.unread) {
                client.unread.drain(..len);
                let waiting = client.waiting.pop_front().expect("it was asked for");
                let (key, version) = match (&waiting, said) {
                    (_, Said::Error) => continue,
                    (Waiting::Set { key, value }, Said::Ok) => {
                        let version = newest(fleet, key, Some(value)).expect("it is stored");
                        // The client sees it in all that it has pipelined behind.
                        for behind in &mut client.waiting {
                            behind.raise(key, version);
                        }
                        (*key, version)
                    }
                    (Waiting::Get { key, floor }, Said::Value(value)) => {
                        let version = newest(fleet, key, value.as_deref()).expect("a version");
                        assert!(
                            version >= *floor,
                            "{key}: {value:?} of {version} after {floor}"
                        );
                        (*key, version)
                    }
                    (waiting, _) => panic!("an answer to {waiting:?}"),
                };
                let known = known.entry(key).or_default();
                *known = (*known).max(version);
            }
        }
    }
}

enum Said {
    Ok,
    Value(Option<String>),
    Error,
}

/// The reply at the front of what has come, and its length.
fn read(bytes: &[u8]) -> Option<(Said, usize)> {
    let text = String::from_utf8_lossy(bytes);
    let (line, rest) = text.split_once("\r\n")?;
    let line_len = line.len() + 2;
    match line.split_at(1) {
        ("+", _) => Some((Said::Ok, line_len)),
        ("-", _) => Some((Said::Error, line_len)),
        ("$", "-1") => Some((Said::Value(None), line_len)),
        ("$", _) => {
            let (value, _) = rest.split_once("\r\n")?;
            Some((
                Said::Value(Some(value.to_owned())),
                line_len + value.len() + 2,
            ))
        }
        _ => panic!("{text}"),
    }
}

/// The last version of a key that had this value.
fn newest(fleet: &Fleet, key: &str, value: Option<&str>) -> Option<usize> {
    redis(fleet, key, |redis| {
        let versions = redis.versions.get(key.as_bytes());
        let value = value.map(str::as_bytes);
        match versions {
            None => value.is_none().then_some(0),
            Some(versions) => versions
                .iter()
                .rposition(|version| version.as_deref() == value),
        }
    })
}

fn setup(seed: u64, server_count: usize) -> Setup {
    let pool = PoolSetup {
        protocol: Protocol::Resp,
        is_crossed: false,
        write: WritePolicy::Through,
        l1_ms: None,
        server_count,
    };
    Setup {
        is_tracked: true,
        ..Setup::pool(1 + seed as usize % 3, pool)
    }
}

fn fleet_of(seed: u64, server_count: usize) -> Fleet {
    let mut fleet = Fleet::new(seed, &setup(seed, server_count));
    connect_all(&mut fleet);
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}

fn fleet(seed: u64) -> Fleet {
    fleet_of(seed, 1 + seed as usize / 3 % 2)
}

pub(crate) fn client(fleet: &Fleet, shard: usize) -> ClientId {
    fleet.world.connect(shard, ListenerId::Resp)
}

fn ask(words: &[&str]) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    request(&words)
}

/// Looks into the server of a key.
fn redis<R>(fleet: &Fleet, key: &str, look: impl FnOnce(&mut crate::sim::redis::Redis) -> R) -> R {
    if let Some(nodes) = &fleet.nodes {
        return look(&mut nodes.borrow_mut().redis);
    }
    let Backend::Redis(redis) = &fleet.backends[fleet.server_of(key.as_bytes())] else {
        panic!("Redis");
    };
    look(&mut redis.borrow_mut())
}

/// Somebody asks the server of a key without us.
pub(crate) fn stranger(fleet: &Fleet, key: &str, words: &[&str]) {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    if let Some(nodes) = &fleet.nodes {
        return nodes.borrow_mut().run_for_a_stranger(&words);
    }
    redis(fleet, key, |redis| redis.run_for_a_stranger(&words));
}

pub(crate) fn get_count(fleet: &Fleet, key: &str) -> usize {
    redis(fleet, key, |redis| {
        redis.get_counts.get(key.as_bytes()).copied().unwrap_or(0)
    })
}
