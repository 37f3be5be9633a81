//! Decides whether a history of concurrent calls on one key can be put into one order: a linearizability checker.
//!
//! The algorithm is Wing and Gong's search ("Testing and Verifying Concurrent Objects", 1993) with Lowe's memory
//! of visited configurations ("Testing for linearizability", 2017): take any call that no other call has returned
//! before, apply it to the model, and go on; come back when the model disagrees. A configuration (which calls are
//! applied, what the key holds) that was left without success is never entered twice.
//!
//! The model is a register of a number. Whoever records a history writes each number once, so a number also
//! names the write it came from, and `cas` can be told by the number that its unique was read with.

use std::collections::HashSet;

/// What was asked of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Get,
    Set(u64),
    /// Stores where nothing is (memcache `add`, `SETNX`).
    Add(u64),
    /// Stores where `expected` is.
    Cas {
        expected: u64,
        new: u64,
    },
    /// Adds where a number is (memcache `incr`).
    Incr(u64),
    /// Adds, to zero where nothing is (`INCRBY`).
    IncrOrCreate(u64),
    Delete,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Value(Option<u64>),
    Stored,
    NotStored,
    /// `cas` found another value.
    Exists,
    NotFound,
    Deleted,
}

/// One call with the times between which it took effect, on one clock, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) called_ns: u64,
    pub(crate) returned_ns: u64,
    pub(crate) call: Call,
    pub(crate) outcome: Outcome,
}

/// True when the operations on one key, which was empty at first, can have happened one after another.
pub(crate) fn is_linearizable(history: &[Operation]) -> bool {
    let mut search = Search::new(history);
    while search.applied.len() < history.len() {
        match search.next_candidate() {
            Some((operation, value)) => search.apply(operation, value),
            None if search.applied.is_empty() => return false,
            None => search.take_back(),
        }
    }
    true
}

struct Search<'h> {
    /// By time of call.
    operations: Vec<&'h Operation>,
    is_applied: Vec<bool>,
    /// The first that is not applied.
    first: usize,
    value: Option<u64>,
    /// What was applied, in order, with the value before it.
    applied: Vec<(usize, Option<u64>)>,
    /// Where to go on looking for candidates: after the one that was taken back.
    resume: usize,
    visited: HashSet<(usize, Vec<usize>, Option<u64>)>,
}

impl<'h> Search<'h> {
    fn new(history: &'h [Operation]) -> Self {
        let mut operations: Vec<_> = history.iter().collect();
        operations.sort_by_key(|operation| operation.called_ns);
        Self {
            is_applied: vec![false; operations.len()],
            operations,
            first: 0,
            value: None,
            applied: Vec::new(),
            resume: 0,
            visited: HashSet::new(),
        }
    }

    /// A call that may come next: no other waiting call had returned before it was called, the model gives its
    /// outcome, and what it leads to is new.
    fn next_candidate(&mut self) -> Option<(usize, Option<u64>)> {
        let mut earliest_return_ns = u64::MAX;
        for index in self.first..self.operations.len() {
            let operation = self.operations[index];
            if operation.called_ns > earliest_return_ns {
                break;
            }
            if self.is_applied[index] {
                continue;
            }
            earliest_return_ns = earliest_return_ns.min(operation.returned_ns);
            if index < self.resume {
                continue;
            }
            let (outcome, value) = step(self.value, operation.call);
            if outcome == operation.outcome && self.is_new(index, value) {
                return Some((index, value));
            }
        }
        None
    }

    /// Applied calls are a prefix and a few beyond it: that names a configuration shortly.
    fn is_new(&mut self, candidate: usize, value: Option<u64>) -> bool {
        self.is_applied[candidate] = true;
        let prefix = (self.first..self.operations.len())
            .find(|&index| !self.is_applied[index])
            .unwrap_or(self.operations.len());
        let last = self
            .applied
            .iter()
            .map(|(index, _)| *index)
            .max()
            .unwrap_or(0)
            .max(candidate);
        let beyond = (prefix..=last)
            .filter(|&index| self.is_applied[index])
            .collect();
        self.is_applied[candidate] = false;
        self.visited.insert((prefix, beyond, value))
    }

    fn apply(&mut self, operation: usize, value: Option<u64>) {
        self.applied.push((operation, self.value));
        self.is_applied[operation] = true;
        self.value = value;
        self.resume = 0;
        while self.is_applied.get(self.first) == Some(&true) {
            self.first += 1;
        }
    }

    fn take_back(&mut self) {
        let Some((operation, value)) = self.applied.pop() else {
            return;
        };
        self.is_applied[operation] = false;
        self.value = value;
        self.first = self.first.min(operation);
        self.resume = operation + 1;
    }
}

/// The model: what a call answers when the key holds `value`, and what the key holds then.
fn step(value: Option<u64>, call: Call) -> (Outcome, Option<u64>) {
    match (call, value) {
        (Call::Get, _) => (Outcome::Value(value), value),
        (Call::Set(new), _) | (Call::Add(new), None) => (Outcome::Stored, Some(new)),
        (Call::Add(_), Some(_)) => (Outcome::NotStored, value),
        (Call::Cas { .. } | Call::Incr(_) | Call::Delete, None) => (Outcome::NotFound, None),
        (Call::Cas { expected, new }, Some(held)) if held == expected => {
            (Outcome::Stored, Some(new))
        }
        (Call::Cas { .. }, Some(_)) => (Outcome::Exists, value),
        (Call::Incr(delta) | Call::IncrOrCreate(delta), Some(held)) => {
            let sum = Some(held.wrapping_add(delta));
            (Outcome::Value(sum), sum)
        }
        (Call::IncrOrCreate(delta), None) => (Outcome::Value(Some(delta)), Some(delta)),
        (Call::Delete, Some(_)) => (Outcome::Deleted, None),
    }
}

/// A line for each operation, by the time of its call.
pub(crate) fn told(history: &[Operation]) -> String {
    let mut history = history.to_vec();
    history.sort_by_key(|operation| operation.called_ns);
    let line = |operation: &Operation| {
        let Operation {
            called_ns,
            returned_ns,
            call,
            outcome,
        } = operation;
        format!("{called_ns}..{returned_ns} {call:?} -> {outcome:?}\n")
    };
    history.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(called_ns: u64, returned_ns: u64, call: Call, outcome: Outcome) -> Operation {
        Operation {
            called_ns,
            returned_ns,
            call,
            outcome,
        }
    }

    #[test]
    fn one_after_another() {
        let mut history = vec![
            at(0, 1, Call::Get, Outcome::Value(None)),
            at(2, 3, Call::Set(7), Outcome::Stored),
            at(4, 5, Call::Add(8), Outcome::NotStored),
            at(
                6,
                7,
                Call::Cas {
                    expected: 7,
                    new: 9,
                },
                Outcome::Stored,
            ),
            at(8, 9, Call::Incr(1), Outcome::Value(Some(10))),
            at(10, 11, Call::Delete, Outcome::Deleted),
            at(12, 13, Call::IncrOrCreate(4), Outcome::Value(Some(4))),
        ];
        assert!(is_linearizable(&history));
        history.swap(0, 5);
        assert!(
            is_linearizable(&history),
            "the order of recording does not matter"
        );
    }

    #[test]
    fn overlapping_calls_take_effect_in_either_order() {
        for seen in [1, 2] {
            assert!(is_linearizable(&[
                at(0, 10, Call::Set(1), Outcome::Stored),
                at(0, 10, Call::Set(2), Outcome::Stored),
                at(11, 12, Call::Get, Outcome::Value(Some(seen))),
            ]));
        }
    }

    #[test]
    fn a_stale_read_is_refused() {
        assert!(!is_linearizable(&[
            at(0, 1, Call::Set(1), Outcome::Stored),
            at(2, 3, Call::Set(2), Outcome::Stored),
            at(4, 5, Call::Get, Outcome::Value(Some(1))),
        ]));
    }

    #[test]
    fn a_read_that_goes_back_is_refused() {
        // While the write is under way either value may be seen, but not the old one after the new one.
        let history = |first, second| {
            [
                at(0, 1, Call::Set(1), Outcome::Stored),
                at(2, 20, Call::Set(2), Outcome::Stored),
                at(3, 4, Call::Get, Outcome::Value(Some(first))),
                at(5, 6, Call::Get, Outcome::Value(Some(second))),
            ]
        };
        assert!(is_linearizable(&history(1, 2)));
        assert!(!is_linearizable(&history(2, 1)));
    }

    #[test]
    fn a_lost_increment_is_refused() {
        assert!(!is_linearizable(&[
            at(0, 10, Call::IncrOrCreate(5), Outcome::Value(Some(5))),
            at(0, 10, Call::IncrOrCreate(5), Outcome::Value(Some(5))),
        ]));
    }

    #[test]
    fn two_winners_of_a_cas_are_refused() {
        let cas = |new| at(2, 9, Call::Cas { expected: 1, new }, Outcome::Stored);
        assert!(!is_linearizable(&[
            at(0, 1, Call::Set(1), Outcome::Stored),
            cas(2),
            cas(3)
        ]));
    }

    #[test]
    fn a_value_from_nowhere_is_refused() {
        assert!(!is_linearizable(&[at(
            0,
            1,
            Call::Get,
            Outcome::Value(Some(3))
        )]));
    }

    /// Without the memory of configurations this takes 20! steps.
    #[test]
    fn a_bad_history_with_many_overlaps_is_refused_soon() {
        let mut history: Vec<_> = (0..14)
            .map(|value| at(0, 100, Call::Set(value), Outcome::Stored))
            .collect();
        history.push(at(101, 102, Call::Get, Outcome::Value(Some(99))));
        assert!(!is_linearizable(&history));
    }
}
