//! What the list of differences is made of, and how it is looked up.

pub(crate) mod admin;
pub(crate) mod binary;
pub(crate) mod meta;
pub(crate) mod resp;
pub(crate) mod text;

use std::collections::HashMap;

use super::compare::{Outcome, Token};
use super::{Batch, Command, Protocol, replies};
use crate::differences::LIST;

/// One way in which ringfort's answers may differ from the real server's.
pub(crate) struct Difference {
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) reason: &'static str,
    pub(crate) kind: Kind,
}

/// What is done about it.
pub(crate) enum Kind {
    /// Such commands are not asked.
    Avoided(fn(&Command) -> bool),
    /// What comes of several commands, and the generator has an eye on.
    Arranged,
    /// Such commands are asked once all before them is answered.
    Alone(fn(&Command) -> bool),
    /// Such replies, for which it gives tokens, are compared as those.
    Normalised(fn(&Reply<'_>) -> Option<Vec<Token>>),
    Explained {
        /// What the real server would have said if it did as ringfort does, given what both said to the batch.
        rewrites: fn(&Batch, &Outcome, &Outcome) -> Option<Outcome>,
        /// What is stored differs as well from here on: the sequence ends.
        parts_ways: bool,
    },
}

/// A reply, and what is known of what it answers.
pub(crate) struct Reply<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) batch: &'a Batch,
    /// If each command of the batch had one reply.
    pub(crate) command: Option<&'a Command>,
    pub(crate) bytes: &'a [u8],
}

fn of(protocol: Protocol) -> impl Iterator<Item = &'static Difference> {
    LIST.iter()
        .filter(move |difference| difference.protocol == protocol)
}

/// Whether `command` is one of those that are avoided.
pub(crate) fn is_avoided(protocol: Protocol, command: &Command) -> bool {
    of(protocol)
        .any(|difference| matches!(difference.kind, Kind::Avoided(is_met) if is_met(command)))
}

/// Whether `command` is asked only when all before is answered.
pub(crate) fn stands_alone(protocol: Protocol, command: &Command) -> bool {
    of(protocol).any(|difference| matches!(difference.kind, Kind::Alone(is_met) if is_met(command)))
}

/// A reply as it is compared.
pub(crate) fn normalised(reply: &Reply<'_>) -> Vec<Token> {
    of(reply.protocol)
        .find_map(|difference| match difference.kind {
            Kind::Normalised(tokens) => tokens(reply),
            _ => None,
        })
        .unwrap_or_else(|| vec![Token::Bytes(reply.bytes.to_vec())])
}

/// What the real server would have said without some of the differences.
pub(crate) struct Explanation {
    pub(crate) names: Vec<&'static str>,
    pub(crate) outcome: Outcome,
    pub(crate) parts_ways: bool,
}

/// All that might explain what the two said: each difference alone, and then one after the other.
pub(crate) fn explanations(
    protocol: Protocol,
    batch: &Batch,
    real: &Outcome,
    ringfort: &Outcome,
) -> Vec<Explanation> {
    let mut all = Explanation {
        names: Vec::new(),
        outcome: real.clone(),
        parts_ways: false,
    };
    let mut explanations = Vec::new();
    for difference in of(protocol) {
        let Kind::Explained {
            rewrites,
            parts_ways,
        } = difference.kind
        else {
            continue;
        };
        if let Some(outcome) = rewrites(batch, real, ringfort) {
            explanations.push(Explanation {
                names: vec![difference.name],
                outcome,
                parts_ways,
            });
        }
        if let Some(outcome) = rewrites(batch, &all.outcome, ringfort) {
            all.names.push(difference.name);
            all.outcome = outcome;
            all.parts_ways |= parts_ways;
        }
    }
    explanations.push(all);
    explanations
}

/// The line that a command starts with, whatever its cas unique.
pub(crate) fn line(command: &Command) -> Vec<u8> {
    let mut bytes = command.bytes(&HashMap::new());
    let end = bytes.iter().position(|byte| *byte == b'\n');
    bytes.truncate(end.unwrap_or(bytes.len()));
    bytes
}

/// The words of the line.
pub(crate) fn words(command: &Command) -> Vec<Vec<u8>> {
    let line = line(command);
    let words = line.split(|byte| *byte == b' ').map(<[u8]>::trim_ascii);
    words
        .filter(|word| !word.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// The first of them.
pub(crate) fn verb(command: &Command) -> Vec<u8> {
    words(command).into_iter().next().unwrap_or_default()
}

pub(crate) fn bytes(text: &str) -> Vec<Token> {
    vec![Token::Bytes(text.as_bytes().to_vec())]
}

/// A reply with the cas unique that it shows as such.
pub(crate) fn cas_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let shown = replies::shown_cas(reply.protocol, reply.batch, reply.bytes)?;
    Some(vec![
        Token::Bytes(reply.bytes[..shown.place.start].to_vec()),
        Token::Cas(shown.unique),
        Token::Bytes(reply.bytes[shown.place.end..].to_vec()),
    ])
}

#[test]
fn every_difference_has_a_name_and_a_reason() {
    let mut names = std::collections::HashSet::new();
    for Difference { name, reason, .. } in LIST {
        assert!(names.insert(name), "{name} stands twice");
        assert!(reason.len() > 10, "{name} wants a reason");
    }
}
