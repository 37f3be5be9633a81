//! The requests of a run, encoded before it starts.
//!
//! A generator that draws keys and formats requests while it measures spends on that what it
//! should spend on load. So the run's requests are drawn once and laid out in a row; a connection
//! sends slices of the row, each connection from a place of its own, and begins again at the end.

use crate::wire::{Asked, Op, Protocol};
use crate::workload::item::Items;
use crate::workload::popularity::{KeyChoice, Popularity};
use crate::workload::rng::Rng;

/// Bytes of requests kept at most; large values make the script short, not the generator large.
const SCRIPT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Requests in a script: at least this many, unless the bytes forbid.
const STEP_COUNT_MIN: usize = 1 << 16;

/// Requests in a script: at most this many. Beyond ten million keys a run sees a part of them.
const STEP_COUNT_MAX: usize = 1 << 22;

/// The same requests in every run, unless another number is given.
pub(crate) const SEED: u64 = 0x5eed;

/// What is asked for, before it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Workload {
    pub(crate) protocol: Protocol,
    /// Keys, at least 1.
    pub(crate) keys: u32,
    pub(crate) popularity: Popularity,
    pub(crate) items: Items,
    pub(crate) mix: Mix,
    /// Keys that one read asks for, 1 to [`MULTI_GET_MAX`] and not above `keys`.
    pub(crate) multi_get: u32,
    /// How long what is written lives, seconds; 0 = without end.
    pub(crate) ttl_s: u32,
    pub(crate) seed: u64,
}

/// Keys of one read at most, as a reply marks each in one word.
pub(crate) const MULTI_GET_MAX: u32 = 128;

/// Shares of the kinds of requests, each 0 to 1, together at most 1; the rest writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mix {
    pub(crate) reads: f64,
    pub(crate) deletes: f64,
}

/// Requests in a row, to be sent over and over.
#[derive(Default)]
pub(crate) struct Script {
    bytes: Vec<u8>,
    keys: Vec<u32>,
    steps: Vec<Step>,
}

/// One request. Invariant: its bytes and its keys end where the next one's begin.
#[derive(Clone, Copy)]
struct Step {
    end: u32,
    keys_end: u32,
    op: Op,
}

impl Script {
    /// Draws the requests. Their number is a multiple of `depth`, so that a batch of that many
    /// never runs over the end.
    pub(crate) fn draw(workload: &Workload, depth: usize) -> Self {
        let mut choice = KeyChoice::new(workload.keys, workload.popularity);
        let mut rng = Rng::new(workload.seed);
        let wanted = (workload.keys as usize * 2).clamp(STEP_COUNT_MIN, STEP_COUNT_MAX);
        let mut script = Self::default();
        let mut keys = Vec::new();
        while script.steps.len() < wanted && script.bytes.len() < SCRIPT_BYTES_MAX {
            for _ in 0..depth {
                let op = workload.mix.draw(&mut rng);
                keys.clear();
                let count = if op == Op::Read {
                    workload.multi_get
                } else {
                    1
                };
                for _ in 0..count {
                    let drawn = choice.draw(&mut rng, op == Op::Write);
                    keys.push(not_among(&keys, drawn, workload.keys));
                }
                script.push_drawn(workload, op, &keys);
            }
        }
        script
    }

    /// A write of each of these keys in turn, as many as fit `bytes_max` but at least one.
    pub(crate) fn writes(
        workload: &Workload,
        key_indexes: &mut std::ops::Range<u32>,
        bytes_max: usize,
    ) -> Self {
        let mut script = Self::default();
        while script.bytes.len() < bytes_max {
            let Some(key_index) = key_indexes.next() else {
                break;
            };
            script.push_drawn(workload, Op::Write, &[key_index]);
        }
        script
    }

    fn push_drawn(&mut self, workload: &Workload, op: Op, keys: &[u32]) {
        let Workload {
            protocol,
            items,
            ttl_s,
            ..
        } = workload;
        // One batch over the limit of bytes still fits: `cli` bounds depth times value.
        match op {
            Op::Read => self.push(op, keys, |out| protocol.append_read(out, keys, items)),
            Op::Write => self.push(op, keys, |out| {
                let value_bytes = items.value_bytes(keys[0]);
                protocol.append_write(out, keys[0], value_bytes, *ttl_s, items);
            }),
            Op::Delete => self.push(op, keys, |out| protocol.append_delete(out, keys[0], items)),
        }
    }

    /// Adds one request, which `append` encodes.
    pub(crate) fn push(&mut self, op: Op, keys: &[u32], append: impl FnOnce(&mut Vec<u8>)) {
        append(&mut self.bytes);
        self.keys.extend_from_slice(keys);
        self.steps.push(Step {
            end: self.bytes.len() as u32,
            keys_end: self.keys.len() as u32,
            op,
        });
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn step_count(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn asked(&self, step_index: usize) -> Asked<'_> {
        let Step { keys_end, op, .. } = self.steps[step_index];
        let keys_start = step_index
            .checked_sub(1)
            .map_or(0, |before| self.steps[before].keys_end);
        Asked {
            op,
            keys: &self.keys[keys_start as usize..keys_end as usize],
        }
    }

    /// Where in [`Script::bytes`] a request begins.
    pub(crate) fn start_of(&self, step_index: usize) -> usize {
        step_index
            .checked_sub(1)
            .map_or(0, |before| self.steps[before].end as usize)
    }

    /// Bytes of `count` requests from this one on, over the end if need be.
    pub(crate) fn span_bytes(&self, step_index: usize, count: usize) -> usize {
        let laps = count / self.steps.len() * self.bytes.len();
        let last = step_index + count % self.steps.len();
        let end = match last.checked_sub(self.steps.len()) {
            None | Some(0) => self.start_of(last),
            Some(wrapped) => self.bytes.len() + self.start_of(wrapped),
        };
        laps + end - self.start_of(step_index)
    }

    /// The request `count` further on.
    pub(crate) fn after(&self, step_index: usize, count: usize) -> usize {
        (step_index + count) % self.steps.len()
    }
}

impl Mix {
    fn draw(&self, rng: &mut Rng) -> Op {
        let unit = rng.unit();
        if unit < self.reads {
            Op::Read
        } else if unit < self.reads + self.deletes {
            Op::Delete
        } else {
            Op::Write
        }
    }
}

/// `key_index`, or the first one after it that is not among `keys`, which leave one of `0..end` free.
fn not_among(keys: &[u32], mut key_index: u32, end: u32) -> u32 {
    while keys.contains(&key_index) {
        key_index = if key_index + 1 == end {
            0
        } else {
            key_index + 1
        };
    }
    key_index
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::workload::item::tests::items;
    use crate::workload::sizes::Sizes;

    /// A hundred keys, each as often as another, read with this share.
    pub(crate) fn workload(protocol: Protocol, reads: f64) -> Workload {
        Workload {
            protocol,
            keys: 100,
            popularity: Popularity::Uniform,
            items: Items {
                sizes: Sizes::parse("1-9").unwrap(),
                ..items(1)
            },
            mix: Mix {
                reads,
                deletes: 0.0,
            },
            multi_get: 1,
            ttl_s: 0,
            seed: SEED,
        }
    }

    fn share_of(script: &Script, op: Op) -> f64 {
        let steps = 0..script.step_count();
        let found = steps.filter(|&index| script.asked(index).op == op).count();
        found as f64 / script.step_count() as f64
    }

    #[test]
    fn draws_whole_batches_in_the_asked_mix() {
        let mut workload = workload(Protocol::Memcache, 0.75);
        workload.mix.deletes = 0.05;
        let script = Script::draw(&workload, 7);
        assert_eq!(script.step_count() % 7, 0);
        assert!(script.step_count() >= STEP_COUNT_MIN);
        for (op, share) in [(Op::Read, 0.75), (Op::Delete, 0.05), (Op::Write, 0.2)] {
            let drawn = share_of(&script, op);
            assert!((drawn - share).abs() < 0.01, "{op:?} {drawn}");
        }
    }

    #[test]
    fn pure_mixes_hold_one_kind() {
        for (reads, op) in [(0.0, Op::Write), (1.0, Op::Read)] {
            let script = Script::draw(&workload(Protocol::Memcache, reads), 1);
            assert_eq!(share_of(&script, op), 1.0);
        }
    }

    #[test]
    fn a_read_of_several_keys_asks_for_no_key_twice() {
        let mut workload = workload(Protocol::Resp, 0.9);
        (workload.keys, workload.multi_get) = (24, 24);
        workload.popularity = Popularity::zipf(1.2);
        let script = Script::draw(&workload, 1);
        for index in 0..1000 {
            let Asked { op, keys } = script.asked(index);
            let mut keys = keys.to_vec();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), if op == Op::Read { 24 } else { 1 });
        }
    }

    #[test]
    fn spans_add_up_over_the_end() {
        let mut keys = 0..5;
        let script = Script::writes(&workload(Protocol::Memcache, 0.0), &mut keys, usize::MAX);
        let total = script.bytes().len();
        assert_eq!(script.step_count(), 5);
        for first in 0..5 {
            for count in 0..12 {
                let one_by_one: usize = (0..count)
                    .map(|n| script.span_bytes(script.after(first, n), 1))
                    .sum();
                assert_eq!(
                    script.span_bytes(first, count),
                    one_by_one,
                    "{first}, {count}"
                );
            }
            assert_eq!(script.span_bytes(first, 5), total);
        }
    }

    #[test]
    fn writes_take_each_key_once_in_pieces() {
        let mut keys = 0..10;
        let mut seen = Vec::new();
        while !keys.is_empty() {
            let script = Script::writes(&workload(Protocol::Memcache, 0.0), &mut keys, 60);
            seen.extend((0..script.step_count()).map(|index| script.asked(index).keys[0]));
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }
}
