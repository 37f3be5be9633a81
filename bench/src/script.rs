//! The requests of a run, encoded before it starts.
//!
//! A generator that draws keys and formats requests while it measures spends on that what it
//! should spend on load. So the run's requests are drawn once and laid out in a row; a connection
//! sends slices of the row, each connection from a place of its own, and begins again at the end.

use crate::item::Items;
use crate::protocol::{Asked, Op, Protocol};
use crate::rng::Rng;
use crate::zipf::KeyChoice;

/// Bytes of requests kept at most; large values make the script short, not the generator large.
const SCRIPT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Requests in a script: at least this many, unless the bytes forbid.
const STEP_COUNT_MIN: usize = 1 << 16;

/// Requests in a script: at most this many. Beyond ten million keys a run sees a part of them.
const STEP_COUNT_MAX: usize = 1 << 22;

/// The same requests in every run.
const SEED: u64 = 0x5eed;

/// What is asked for, before it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Workload {
    pub(crate) protocol: Protocol,
    /// Keys, at least 1.
    pub(crate) keys: u32,
    /// Zipf exponent; 0 = every key alike.
    pub(crate) zipf: f64,
    pub(crate) items: Items,
    /// Share of reads, 0 to 1; the rest writes.
    pub(crate) read_ratio: f64,
}

/// Requests in a row, to be sent over and over.
pub(crate) struct Script {
    bytes: Vec<u8>,
    steps: Vec<Step>,
}

/// One request. Invariant: it ends where the next begins.
#[derive(Clone, Copy)]
struct Step {
    end: u32,
    asked: Asked,
}

impl Script {
    /// Draws the requests. Their number is a multiple of `depth`, so that a batch of that many
    /// never runs over the end.
    pub(crate) fn draw(workload: &Workload, depth: usize) -> Self {
        let keys = KeyChoice::new(workload.keys, workload.zipf);
        let mut rng = Rng::new(SEED);
        let wanted = (workload.keys as usize * 2).clamp(STEP_COUNT_MIN, STEP_COUNT_MAX);
        let mut script = Self {
            bytes: Vec::new(),
            steps: Vec::new(),
        };
        while script.steps.len() < wanted && script.bytes.len() < SCRIPT_BYTES_MAX {
            for _ in 0..depth {
                let op = if rng.unit() < workload.read_ratio {
                    Op::Read
                } else {
                    Op::Write
                };
                script.push(
                    workload,
                    Asked {
                        op,
                        key_index: keys.draw(&mut rng),
                    },
                );
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
        let mut script = Self {
            bytes: Vec::new(),
            steps: Vec::new(),
        };
        while script.bytes.len() < bytes_max {
            let Some(key_index) = key_indexes.next() else {
                break;
            };
            script.push(
                workload,
                Asked {
                    op: Op::Write,
                    key_index,
                },
            );
        }
        script
    }

    fn push(&mut self, workload: &Workload, asked: Asked) {
        let (protocol, items) = (workload.protocol, workload.items);
        protocol.append_request(&mut self.bytes, asked.op, asked.key_index, items);
        // One batch over the limit of bytes still fits: `cli` bounds depth times value.
        self.steps.push(Step {
            end: self.bytes.len() as u32,
            asked,
        });
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn step_count(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn asked(&self, step_index: usize) -> Asked {
        self.steps[step_index].asked
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::ValueSizes;

    fn workload(read_ratio: f64) -> Workload {
        Workload {
            protocol: Protocol::Memcache,
            keys: 100,
            zipf: 0.0,
            items: Items {
                prefix: *b"key:",
                sizes: ValueSizes::new(1, 9).unwrap(),
            },
            read_ratio,
        }
    }

    #[test]
    fn draws_whole_batches_in_the_asked_mix() {
        let script = Script::draw(&workload(0.75), 7);
        assert_eq!(script.step_count() % 7, 0);
        assert!(script.step_count() >= STEP_COUNT_MIN);
        let reads = (0..script.step_count())
            .filter(|&step_index| script.asked(step_index).op == Op::Read)
            .count();
        let share = reads as f64 / script.step_count() as f64;
        assert!((0.74..0.76).contains(&share), "{share}");
    }

    #[test]
    fn pure_mixes_hold_one_kind() {
        for (read_ratio, op) in [(0.0, Op::Write), (1.0, Op::Read)] {
            let script = Script::draw(&workload(read_ratio), 1);
            assert!((0..script.step_count()).all(|index| script.asked(index).op == op));
        }
    }

    #[test]
    fn spans_add_up_over_the_end() {
        let mut keys = 0..5;
        let script = Script::writes(&workload(0.0), &mut keys, usize::MAX);
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
            let script = Script::writes(&workload(0.0), &mut keys, 60);
            seen.extend((0..script.step_count()).map(|index| script.asked(index).key_index));
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }
}
