//! Whether two servers said the same.

use std::collections::HashMap;

use super::{Batch, Protocol, known};

/// What a server said to a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Without that to the marker.
    pub(crate) replies: Vec<Vec<u8>>,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// By the marker: it is in step.
    #[default]
    InStep,
    /// By a close.
    Closed,
    /// By nothing more, though more was due.
    Silent,
}

/// A stretch of a reply, as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The same on both sides.
    Bytes(Vec<u8>),
    /// A cas unique: which number it is does not matter, that the same one comes again does.
    Cas(u64),
    /// A time that is left, or one on the clock, within so much.
    Time { value: i64, tolerance: i64 },
}

/// Which cas unique of one server is which of the other's, as far as replies have told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uniques {
    of_ringfort: HashMap<u64, u64>,
    of_real: HashMap<u64, u64>,
}

impl Uniques {
    /// The same with the two servers in each other's place.
    pub(crate) fn swapped(&self) -> Self {
        Self {
            of_ringfort: self.of_real.clone(),
            of_real: self.of_ringfort.clone(),
        }
    }

    fn match_up(&mut self, real: u64, ringfort: u64) -> bool {
        *self.of_ringfort.entry(real).or_insert(ringfort) == ringfort
            && *self.of_real.entry(ringfort).or_insert(real) == real
    }
}

/// What is known about a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// By the entries of these names; no more can be compared if one parts their ways.
    Explained {
        names: Vec<&'static str>,
        parts_ways: bool,
    },
    Different,
}

/// Compares what both said to `batch`.
pub(crate) fn compare(
    protocol: Protocol,
    batch: &Batch,
    real: &Outcome,
    ringfort: &Outcome,
    uniques: &mut Uniques,
) -> Verdict {
    if real == ringfort && protocol == Protocol::Resp && real.end != End::Silent {
        return Verdict::Same;
    }
    if real.end == End::Silent && ringfort.end == End::Silent {
        // Nothing to be learnt, and nothing that ought to be asked.
        return Verdict::Different;
    }
    let said = tokens(protocol, batch, ringfort);
    let is_same = |really: &Outcome, uniques: &mut Uniques| {
        really.end == ringfort.end && are_same(&tokens(protocol, batch, really), &said, uniques)
    };
    // A trial that fails must not leave behind what it matched up.
    let mut trial = uniques.clone();
    if is_same(real, &mut trial) {
        *uniques = trial;
        return Verdict::Same;
    }
    for explanation in known::explanations(protocol, batch, real, ringfort) {
        let mut trial = uniques.clone();
        if is_same(&explanation.outcome, &mut trial) {
            *uniques = trial;
            return Verdict::Explained {
                names: explanation.names,
                parts_ways: explanation.parts_ways,
            };
        }
    }
    Verdict::Different
}

fn are_same(left: &[Token], right: &[Token], uniques: &mut Uniques) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|pair| match pair {
            (Token::Bytes(left), Token::Bytes(right)) => left == right,
            (Token::Cas(left), Token::Cas(right)) => uniques.match_up(*left, *right),
            (Token::Time { value, tolerance }, Token::Time { value: other, .. }) => {
                value.abs_diff(*other) <= tolerance.unsigned_abs()
            }
            _ => false,
        })
}

/// An outcome as it is compared.
fn tokens(protocol: Protocol, batch: &Batch, outcome: &Outcome) -> Vec<Token> {
    let commands: Vec<_> = batch
        .commands
        .iter()
        .filter(|command| !command.is_empty_frame())
        .collect();
    let (reply_count, command_count) = (outcome.replies.len(), commands.len());
    // After a close there may be fewer.
    let is_aligned =
        reply_count == command_count || (outcome.end == End::Closed && reply_count < command_count);
    let mut tokens = Vec::new();
    for (index, reply) in outcome.replies.iter().enumerate() {
        let command = commands.get(index).copied().filter(|_| is_aligned);
        tokens.extend(known::normalised(&known::Reply {
            protocol,
            batch,
            command,
            bytes: reply,
        }));
    }
    tokens
}
