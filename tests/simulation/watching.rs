//! WATCH is exact: where requests do not overlap, EXEC is refused if, and only if, a watched key
//! was changed since, whoever changed it, on whichever shard, and even if it was put back.

use std::collections::HashMap;

use ringfort::io::sim::{Faults, SimRng};

use crate::for_each_seed;
use crate::sim::talker::{Talker, Value};
use crate::sim::{Fleet, Setup};

const KEY_COUNT: usize = 4;

/// What keys hold: a value, and whether it has a deadline, which is far off.
#[derive(Default)]
struct Model {
    keys: HashMap<usize, bool>,
    /// Per watcher, what it watches and whether that has changed since.
    watches: Vec<HashMap<usize, bool>>,
}

impl Model {
    fn touch(&mut self, key: usize) {
        let watched = self.watches.iter_mut();
        watched
            .filter_map(|watches| watches.get_mut(&key))
            .for_each(|is_changed| *is_changed = true);
    }

    /// A request that may change something, by anybody; what it is answered.
    fn any_request(&mut self, rng: &mut SimRng) -> (String, Value) {
        let key = rng.below(KEY_COUNT);
        let there = self.keys.get(&key).copied();
        let number = |number| Value::Number(number);
        let ok = Value::Text("OK".into());
        match rng.below(10) {
            0 | 1 => {
                self.keys.insert(key, false);
                self.touch(key);
                (format!("SET k{key} v"), ok)
            }
            2 => {
                if there.is_none() {
                    self.keys.insert(key, false);
                    self.touch(key);
                }
                let is_set = there.is_none().into();
                (format!("SETNX k{key} v"), number(is_set))
            }
            3 | 4 => {
                if self.keys.remove(&key).is_some() {
                    self.touch(key);
                }
                (format!("DEL k{key}"), number(there.is_some().into()))
            }
            5 => {
                if let Some(has_deadline) = self.keys.get_mut(&key) {
                    *has_deadline = true;
                    self.touch(key);
                }
                // To the very deadline that it may have.
                let line = format!("PEXPIREAT k{key} 99999999999999");
                (line, number(there.is_some().into()))
            }
            6 => {
                if there == Some(true) {
                    self.keys.insert(key, false);
                    self.touch(key);
                }
                let is_changed = (there == Some(true)).into();
                (format!("PERSIST k{key}"), number(is_changed))
            }
            7 => (
                format!("GET k{key}"),
                there.map_or(Value::Null, |_| Value::Text("v".into())),
            ),
            8 => (
                format!("EXISTS k{key} k{key}"),
                number(2 * i64::from(there.is_some())),
            ),
            _ if rng.chance(300) => {
                let keys: Vec<usize> = self.keys.drain().map(|(key, _)| key).collect();
                keys.into_iter().for_each(|key| self.touch(key));
                ("FLUSHALL".into(), ok)
            }
            _ => ("PING".into(), Value::Text("PONG".into())),
        }
    }

    /// A request of a watcher about what it watches, or nothing.
    fn watch(&mut self, watcher: usize, rng: &mut SimRng) -> Vec<(String, Value)> {
        let ok = Value::Text("OK".into());
        let watches = &mut self.watches[watcher];
        match rng.below(6) {
            0 | 1 => {
                let key = rng.below(KEY_COUNT);
                watches.entry(key).or_insert(false);
                vec![(format!("WATCH k{key}"), ok)]
            }
            2 => {
                watches.clear();
                vec![("UNWATCH".into(), ok)]
            }
            3 | 4 => {
                let is_refused = watches.drain().any(|(_, is_changed)| is_changed);
                let reply = if is_refused {
                    Value::Null
                } else {
                    Value::List(vec![Value::Text("PONG".into())])
                };
                vec![
                    ("MULTI".into(), ok),
                    ("PING".into(), Value::Text("QUEUED".into())),
                    ("EXEC".into(), reply),
                ]
            }
            _ => Vec::new(),
        }
    }
}

#[test]
fn exec_is_refused_exactly_if_a_watched_key_has_changed() {
    for_each_seed(200, |seed| {
        let mut fleet = Fleet::new(seed, &Setup::embedded(1 + seed as usize % 4));
        fleet.world.set_faults(Faults::NETWORK);
        let mut talkers: Vec<Talker> = (0..6)
            .map(|_| {
                let shard = fleet.rng.below(fleet.shard_count());
                Talker::connect(&fleet, shard)
            })
            .collect();
        let mut model = Model {
            watches: vec![HashMap::new(); talkers.len()],
            ..Model::default()
        };
        for step in 0..300 {
            let number = fleet.rng.below(talkers.len());
            let talk = if fleet.rng.chance(600) {
                vec![model.any_request(&mut fleet.rng)]
            } else {
                model.watch(number, &mut fleet.rng)
            };
            for (line, expected) in talk {
                let reply = talkers[number].ask(&mut fleet, &line);
                assert_eq!(reply, expected, "step {step}: {line} by {number}");
            }
            if fleet.rng.chance(20) {
                fleet.world.reset(talkers[number].client);
                let shard = fleet.rng.below(fleet.shard_count());
                talkers[number] = Talker::connect(&fleet, shard);
                model.watches[number].clear();
            }
        }
        for talker in &talkers {
            fleet.world.close(talker.client);
        }
        fleet.check_end();
    });
}

/// Time changes keys, too, but not those that it had taken before.
#[test]
fn what_expires_under_a_watch_is_a_change() {
    for_each_seed(100, |seed| {
        let mut fleet = Fleet::new(seed, &Setup::embedded(1 + seed as usize % 4));
        let shards = fleet.shard_count();
        let mut watcher = Talker::connect(&fleet, 0);
        let mut other = Talker::connect(&fleet, shards - 1);
        for (wait_before, wait_after, is_refused) in [(0, 0, false), (0, 60, true), (60, 60, false)]
        {
            other.ask(&mut fleet, "SET soon v PX 50");
            fleet.world.advance(wait_before);
            watcher.ask(&mut fleet, "WATCH soon");
            fleet.world.advance(wait_after);
            // Whoever looks removes it.
            if fleet.rng.chance(500) {
                other.ask(&mut fleet, "GET soon");
            }
            if fleet.rng.chance(500) {
                other.ask(&mut fleet, "DEL none soon-not");
            }
            watcher.ask(&mut fleet, "MULTI");
            let reply = watcher.ask(&mut fleet, "EXEC");
            let expected = if is_refused {
                Value::Null
            } else {
                Value::List(Vec::new())
            };
            assert_eq!(reply, expected, "{wait_before} {wait_after}");
            fleet.world.advance(100);
        }
        fleet.world.close(watcher.client);
        fleet.world.close(other.client);
        fleet.check_end();
    });
}
