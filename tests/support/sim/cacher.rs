//! A client that keeps copies of what it reads, and drops them when it is told to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ringfort::io::sim::SimRng;

use super::Fleet;
use super::talker::{Talker, Value};

/// How a cacher tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Default,
    Optin,
    Noloop,
    Bcast,
    /// Broadcast under one prefix: other keys are not kept.
    Prefix(&'static str),
    /// RESP2, told on a second connection.
    Redirect,
}

pub(crate) const MODES: [Mode; 6] = [
    Mode::Default,
    Mode::Optin,
    Mode::Noloop,
    Mode::Bcast,
    Mode::Prefix("b"),
    Mode::Redirect,
];

/// A copy: `None` if the key is known to be missing.
type Copy = Option<String>;

pub(crate) struct Cacher {
    pub(crate) mode: Mode,
    /// Where it asks, and is told unless it redirects.
    pub(crate) talker: Talker,
    /// Where it is told if it redirects.
    pub(crate) listener: Option<Talker>,
    waiting: VecDeque<Waiting>,
    copies: BTreeMap<String, Copy>,
    /// What may not be kept when it comes, as it was dropped while it was on its way.
    crossed: BTreeSet<String>,
    /// How often it was told something of use.
    pub(crate) told_count: usize,
}

/// What a reply is for.
#[derive(Debug, Clone)]
enum Waiting {
    /// `+OK` or a number.
    Word,
    Get(String),
    MGet(Vec<String>),
    /// Its own write; what comes of it is not kept.
    Write(String),
}

impl Cacher {
    /// Connects, and tracks once it is served.
    pub(crate) fn connect(fleet: &mut Fleet, mode: Mode) -> Self {
        let shard = fleet.rng.below(fleet.shard_count());
        let mut talker = Talker::connect(fleet, shard);
        let mut listener = None;
        let options = match mode {
            Mode::Default => String::new(),
            Mode::Optin => " OPTIN".into(),
            Mode::Noloop => " NOLOOP".into(),
            Mode::Bcast => " BCAST".into(),
            Mode::Prefix(prefix) => format!(" BCAST PREFIX {prefix}"),
            Mode::Redirect => {
                let shard = fleet.rng.below(fleet.shard_count());
                let mut other = Talker::connect(fleet, shard);
                let id = other.ask(fleet, "CLIENT ID").number();
                other.ask(fleet, "SUBSCRIBE __redis__:invalidate");
                listener = Some(other);
                format!(" REDIRECT {id}")
            }
        };
        if mode != Mode::Redirect {
            talker.ask(fleet, "HELLO 3");
        }
        let reply = talker.ask(fleet, &format!("CLIENT TRACKING ON{options}"));
        assert_eq!(reply, Value::Text("OK".into()));
        Self {
            mode,
            talker,
            listener,
            waiting: VecDeque::new(),
            copies: BTreeMap::new(),
            crossed: BTreeSet::new(),
            told_count: 0,
        }
    }

    /// Asks for something that it has no copy of, or writes.
    pub(crate) fn act(&mut self, fleet: &mut Fleet, keys: &[String], value: u64) {
        let key = &keys[fleet.rng.below(keys.len())];
        match fleet.rng.below(10) {
            0 => {
                let other = &keys[fleet.rng.below(keys.len())];
                let wanted = vec![key.clone(), other.clone()];
                self.read(fleet, format!("MGET {key} {other}"), Waiting::MGet(wanted));
            }
            1 => {
                self.copies.remove(key);
                self.crossed.insert(key.clone());
                self.say(
                    fleet,
                    &format!("SET {key} {value}"),
                    Waiting::Write(key.clone()),
                );
            }
            _ if self.copies.contains_key(key) => {}
            _ => self.read(fleet, format!("GET {key}"), Waiting::Get(key.clone())),
        }
    }

    fn read(&mut self, fleet: &Fleet, line: String, waiting: Waiting) {
        if self.mode == Mode::Optin {
            self.say(fleet, "CLIENT CACHING yes", Waiting::Word);
        }
        self.say(fleet, &line, waiting);
    }

    fn say(&mut self, fleet: &Fleet, line: &str, waiting: Waiting) {
        self.talker.say(fleet, line);
        self.waiting.push_back(waiting);
    }

    /// Takes what has come.
    pub(crate) fn hear(&mut self, fleet: &Fleet) {
        while let Some(message) = self.listener.as_mut().and_then(|other| other.hear(fleet)) {
            let parts = message.list();
            assert_eq!(parts[1], Value::Text("__redis__:invalidate".into()));
            self.told(parts.into_iter().nth(2).expect("three parts"));
        }
        while let Some(value) = self.talker.hear(fleet) {
            match value {
                Value::Push(parts) => {
                    assert_eq!(parts[0], Value::Text("invalidate".into()));
                    self.told(parts.into_iter().nth(1).expect("two parts"));
                }
                reply => self.replied(reply),
            }
        }
    }

    fn told(&mut self, keys: Value) {
        let Value::List(keys) = keys else {
            assert_eq!(keys, Value::Null);
            self.told_count += self.copies.len();
            self.copies.clear();
            for waiting in &self.waiting {
                self.crossed.extend(waiting.keys().iter().cloned());
            }
            return;
        };
        for key in keys {
            let Value::Text(key) = key else {
                panic!("{key:?} is no key");
            };
            if let Mode::Prefix(prefix) = self.mode {
                assert!(key.starts_with(prefix), "{key}");
            }
            self.told_count += usize::from(self.copies.remove(&key).is_some());
            self.crossed.insert(key);
        }
    }

    fn replied(&mut self, reply: Value) {
        let waiting = self.waiting.pop_front().expect("a reply to nothing");
        match &waiting {
            Waiting::Word => assert!(matches!(reply, Value::Text(_) | Value::Number(_))),
            Waiting::Write(_) => assert_eq!(reply, Value::Text("OK".into())),
            Waiting::Get(key) => self.keep(key, reply),
            Waiting::MGet(keys) => {
                for (key, value) in keys.iter().zip(reply.list()) {
                    self.keep(key, value);
                }
            }
        }
        let is_awaited = |key: &String| self.waiting.iter().any(|one| one.keys().contains(key));
        self.crossed.retain(is_awaited);
    }

    /// On one connection the order tells what is old; on two, what crossed a message is not kept.
    fn keep(&mut self, key: &str, value: Value) {
        let is_kept = match self.mode {
            Mode::Redirect => !self.crossed.contains(key),
            Mode::Prefix(prefix) => key.starts_with(prefix),
            _ => true,
        };
        let has_own_write = |one: &Waiting| matches!(one, Waiting::Write(own) if own == key);
        if !is_kept || self.waiting.iter().any(has_own_write) {
            return;
        }
        let copy = match value {
            Value::Null => None,
            Value::Text(text) => Some(text),
            other => panic!("{other:?} is no value"),
        };
        self.copies.insert(key.to_owned(), copy);
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Holds every copy against what is there.
    pub(crate) fn check(&self, there: &BTreeMap<String, Copy>) {
        for (key, copy) in &self.copies {
            assert_eq!(
                copy, &there[key],
                "{:?} has an old copy of {key}",
                self.mode
            );
        }
    }

    /// Goes away in some way.
    pub(crate) fn leave(&self, fleet: &mut Fleet) {
        let talkers = [Some(&self.talker), self.listener.as_ref()];
        for talker in talkers.into_iter().flatten() {
            match fleet.rng.below(3) {
                0 => fleet.world.finish(talker.client),
                1 => fleet.world.close(talker.client),
                _ => fleet.world.reset(talker.client),
            }
        }
    }

    /// Reads only so much for now.
    pub(crate) fn set_window(&self, fleet: &Fleet, bytes: usize) {
        fleet.world.set_window(self.talker.client, bytes);
        if let Some(listener) = &self.listener {
            fleet.world.set_window(listener.client, bytes);
        }
    }
}

impl Waiting {
    fn keys(&self) -> &[String] {
        match self {
            Self::Word => &[],
            Self::Get(key) | Self::Write(key) => std::slice::from_ref(key),
            Self::MGet(keys) => keys,
        }
    }
}

/// Any way to track.
pub(crate) fn any_mode(rng: &mut SimRng) -> Mode {
    MODES[rng.below(MODES.len())]
}
