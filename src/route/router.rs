//! Which server of a pool owns a key.

use std::cell::Cell;

use super::hash_ring::{self, HashRing, HashRingError, HashRingMode, ServerIndex};
use super::key_hash::KeyHash;
use super::placement::{Distribution, HashTag, Placement};
use super::server_spec::ServerSpec;

/// The servers of a pool, and the way from a key to one of them.
#[derive(Debug, Clone)]
pub struct Router {
    placement: Placement,
    key_hash: KeyHash,
    hash_tag: Option<HashTag>,
    /// There is one server. The originals hash nothing then.
    is_single: bool,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    /// There is one server, and nothing to explain.
    Only,
    Ring(HashRing),
    Modula(Modula),
    Random {
        server_count: u64,
        /// Of SplitMix64; each shard has its own.
        state: Cell<u64>,
    },
}

/// The servers one after the other, each as often as it counts.
#[derive(Debug, Clone)]
struct Modula {
    /// How often all count together. Not 0.
    total: u32,
    /// Where the next server begins, and which server ends there. Ascending.
    ends: Box<[(u32, ServerIndex)]>,
}

/// Why a key is where it is: for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The part of the key that is hashed, if it is not the whole key.
    pub hashed: Option<Vec<u8>>,
    /// The way to the owner.
    pub step: Step,
    /// The owner. With [`Step::Random`] it is any server.
    pub server: ServerIndex,
}

/// What leads from a key to its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The hash is at or before a point of the ring.
    Point {
        /// The key's hash.
        key_hash: u32,
        /// The point's value.
        point: u32,
        /// How many points there are.
        point_count: usize,
        /// What the point was made from.
        label: String,
    },
    /// The hash is divided, and the remainder counts.
    Remainder {
        /// The key's hash.
        key_hash: u32,
        /// How often the servers count together.
        total: u32,
        /// What is left of the hash.
        remainder: u32,
    },
    /// Nothing about the key does.
    Random,
}

impl Router {
    /// The way to `servers`; a [`ServerIndex`] is a position in this slice.
    ///
    /// # Errors
    ///
    /// If the original could not place keys so: [`HashRingError`] lists the cases.
    pub fn build(placement: Placement, servers: &[ServerSpec]) -> Result<Self, HashRingError> {
        let Placement {
            hash_ring: mode,
            key_hash,
            distribution,
            hash_tag,
        } = placement;
        let is_default = key_hash.is_none() && distribution == Distribution::Ketama;
        if !is_default && !mode.has_choice() {
            return Err(HashRingError::NoChoice { mode });
        }
        if distribution == Distribution::Random && mode != HashRingMode::Twemproxy {
            return Err(HashRingError::NoRandom { mode });
        }
        let key_hash = key_hash.unwrap_or_else(|| mode.key_hash_default());
        let way = match distribution {
            // Even where it decides nothing the list is checked, and there is something to explain.
            Distribution::Ketama => Way::Ring(HashRing::build_for(mode, key_hash, servers)?),
            Distribution::Modula => Way::Modula(Modula::new(mode, servers)?),
            Distribution::Random => {
                let server_count = hash_ring::label_texts(mode, servers)?.len() as u64;
                let state = Cell::new(0);
                Way::Random {
                    server_count,
                    state,
                }
            }
        };
        let way = match way {
            Way::Modula(_) | Way::Random { .. } if servers.len() == 1 => Way::Only,
            way => way,
        };
        Ok(Self {
            placement,
            key_hash,
            hash_tag,
            is_single: servers.len() == 1,
            way,
        })
    }

    /// The server that owns `key`. Allocates nothing.
    pub fn owner(&self, key: &[u8]) -> ServerIndex {
        if self.is_single {
            return ServerIndex(0);
        }
        let hashed = self.hashed(key);
        match &self.way {
            Way::Ring(ring) => ring.owner(hashed),
            Way::Only => ServerIndex(0),
            Way::Modula(modula) => modula.owner(self.hash(hashed)),
            Way::Random {
                server_count,
                state,
            } => ServerIndex((split_mix(state) % server_count) as u16),
        }
    }

    /// The owner of `key` and how it came to it: for people, not for the hot path.
    pub fn explain(&self, key: &[u8]) -> Reason {
        let hashed = self.hashed(key);
        let (step, server) = match &self.way {
            Way::Ring(ring) => {
                let explanation = ring.explain(hashed);
                let step = Step::Point {
                    key_hash: explanation.key_hash,
                    point: explanation.point,
                    point_count: ring.points().len(),
                    label: explanation.label,
                };
                (step, explanation.server)
            }
            Way::Modula(modula) => {
                let key_hash = self.hash(hashed);
                let total = modula.total;
                let step = Step::Remainder {
                    key_hash,
                    total,
                    remainder: key_hash % total,
                };
                (step, modula.owner(key_hash))
            }
            Way::Only if self.placement.distribution == Distribution::Modula => {
                let key_hash = self.hash(hashed);
                let step = Step::Remainder {
                    key_hash,
                    total: 1,
                    remainder: 0,
                };
                (step, ServerIndex(0))
            }
            Way::Only | Way::Random { .. } => (Step::Random, ServerIndex(0)),
        };
        Reason {
            hashed: (hashed.len() != key.len()).then(|| hashed.to_vec()),
            step,
            server,
        }
    }

    /// How keys are placed.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// The hash of keys.
    pub fn key_hash(&self) -> KeyHash {
        self.key_hash
    }

    fn hashed<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        match &self.hash_tag {
            Some(tag) => tag.hashed(key),
            None => key,
        }
    }

    fn hash(&self, hashed: &[u8]) -> u32 {
        hash_ring::hash(self.placement.hash_ring, self.key_hash, hashed)
    }
}

impl Modula {
    fn new(mode: HashRingMode, servers: &[ServerSpec]) -> Result<Self, HashRingError> {
        let label_texts = hash_ring::label_texts(mode, servers)?;
        let mut total = 0_u32;
        let mut ends = Vec::with_capacity(servers.len());
        for index in hash_ring::build_order(mode, &label_texts) {
            // `SERVERS_MAX` servers of `WEIGHT_MAX` are less than 2^32.
            total += match mode {
                HashRingMode::Twemproxy => servers[index].weight,
                _ => 1,
            };
            ends.push((total, ServerIndex(index as u16)));
        }
        if total == 0 {
            return Err(HashRingError::NoPoints);
        }
        Ok(Self {
            total,
            ends: ends.into_boxed_slice(),
        })
    }

    fn owner(&self, hash: u32) -> ServerIndex {
        let remainder = hash % self.total;
        let index = self.ends.partition_point(|(end, _)| *end <= remainder);
        self.ends[index].1
    }
}

/// The next number of SplitMix64.
fn split_mix(state: &Cell<u64>) -> u64 {
    let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    state.set(next);
    let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
