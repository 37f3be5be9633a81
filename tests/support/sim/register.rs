//! Decides whether reads and writes of one register can be put into one order, where each write has a value of
//! its own: Gibbons and Korach, "Testing Shared Memories", 1997.
//!
//! With unique values every read names its write, and the two stand together in any order there is. Between the
//! first end and the last start of such a cluster, if they are that way round, the register must have held the
//! value (a forward zone); else it held it at some moment between the two (a backward zone). An order exists
//! exactly if no two forward zones overlap, no backward zone lies within a forward one, and nothing is read
//! before it was written. That takes no search, so writes which may be done at any later time cost nothing.

use std::collections::HashMap;

use crate::checker::{Call, Operation, Outcome};

#[derive(Debug, Clone, Copy)]
struct Cluster {
    /// When the write was called; none if nobody wrote the value.
    written: Option<u64>,
    first_end: u64,
    last_start: u64,
}

/// True when the gets and sets of one key, which was empty at first, can have happened one after another.
pub(crate) fn is_linearizable(history: &[Operation]) -> bool {
    let mut clusters: HashMap<Option<u64>, Cluster> = HashMap::new();
    let unseen = Cluster {
        written: None,
        first_end: u64::MAX,
        last_start: 0,
    };
    // Before all, nothing was written.
    let nothing = Cluster {
        written: Some(0),
        first_end: 0,
        ..unseen
    };
    clusters.insert(None, nothing);
    for operation in history {
        let value = match (operation.call, operation.outcome) {
            (Call::Set(value), Outcome::Stored) => Some(value),
            (Call::Get, Outcome::Value(value)) => value,
            other => panic!("a register does not know {other:?}"),
        };
        let cluster = clusters.entry(value).or_insert(unseen);
        if operation.call != Call::Get {
            assert_eq!(cluster.written, None, "{value:?} is written twice");
            cluster.written = Some(operation.called_ns);
        }
        cluster.first_end = cluster.first_end.min(operation.returned_ns);
        cluster.last_start = cluster.last_start.max(operation.called_ns);
    }
    // What may never have been done, and was never seen, constrains nothing.
    let clusters: Vec<Cluster> = clusters.into_values().collect();
    let has_cause = |cluster: &Cluster| {
        cluster
            .written
            .is_some_and(|written| written <= cluster.first_end)
    };
    clusters.iter().all(has_cause)
        && clusters.iter().enumerate().all(|(index, one)| {
            clusters[..index]
                .iter()
                .all(|other| one.is_compatible(other))
        })
}

impl Cluster {
    fn is_forward(&self) -> bool {
        self.first_end < self.last_start
    }

    fn is_compatible(&self, other: &Self) -> bool {
        let (low, high) = self.zone();
        let (other_low, other_high) = other.zone();
        match (self.is_forward(), other.is_forward()) {
            (true, true) => high < other_low || other_high < low,
            (true, false) => !(low < other_low && other_high < high),
            (false, true) => !(other_low < low && high < other_high),
            (false, false) => true,
        }
    }

    fn zone(&self) -> (u64, u64) {
        let (one, other) = (self.first_end, self.last_start);
        (one.min(other), one.max(other))
    }
}

#[cfg(test)]
mod tests {
    use ringfort::io::sim::SimRng;

    use super::*;

    /// The search that needs no unique values is the twin.
    #[test]
    fn agrees_with_the_search() {
        let mut counts = [0; 2];
        for seed in 0..20_000 {
            let history = any_history(&mut SimRng::new(seed));
            let expected = crate::checker::is_linearizable(&history);
            assert_eq!(is_linearizable(&history), expected, "{history:#?}");
            counts[usize::from(expected)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 2_000), "{counts:?}");
    }

    fn any_history(rng: &mut SimRng) -> Vec<Operation> {
        let mut moments: Vec<u64> = (1..=12).collect();
        rng.shuffle(&mut moments);
        let value_count = 1 + rng.below(3);
        moments
            .chunks(2)
            .enumerate()
            .map(|(number, pair)| {
                let (call, outcome) = if number < value_count {
                    (Call::Set(number as u64), Outcome::Stored)
                } else {
                    let seen = rng.below(value_count + 1).checked_sub(1);
                    let value = seen.map(|seen| seen as u64);
                    (Call::Get, Outcome::Value(value))
                };
                Operation {
                    called_ns: pair[0].min(pair[1]),
                    returned_ns: pair[0].max(pair[1]),
                    call,
                    outcome,
                }
            })
            .collect()
    }
}
