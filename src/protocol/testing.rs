//! What the tests of both protocols share: input that comes in pieces, and generators of bad input.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;

use super::Parsed;

/// A parser's outcome without lifetimes, to compare and to print.
pub(super) type Seen = Parsed<String, String>;

impl<T: Debug, R: Debug> Parsed<T, R> {
    /// This outcome as text.
    pub(super) fn seen(&self) -> Seen {
        match self {
            Self::Incomplete { want } => Parsed::Incomplete { want: *want },
            Self::Complete { request, consumed } => Parsed::Complete {
                request: format!("{request:?}"),
                consumed: *consumed,
            },
            Self::Refused { refusal, consumed } => Parsed::Refused {
                refusal: format!("{refusal:?}"),
                consumed: *consumed,
            },
        }
    }
}

/// Gives `wire` to a parser whole, cut at every byte, and as `want` asks for it, and holds the
/// outcomes against each other: a prefix is `Incomplete` until the request is whole, then nothing
/// after it matters.
pub(super) fn check_pieces(wire: &[u8], parse: impl Fn(&[u8]) -> Seen) -> Seen {
    let text = wire.escape_ascii();
    let whole = parse(wire);
    for cut in 0..wire.len() {
        match (&whole, parse(&wire[..cut])) {
            (_, Parsed::Incomplete { want }) => {
                assert!(want > cut, "{text} cut at {cut} wants {want}");
                let needed = match &whole {
                    Parsed::Incomplete { .. } => usize::MAX,
                    Parsed::Complete { consumed, .. } => *consumed,
                    Parsed::Refused { .. } => wire.len(),
                };
                assert!(
                    want <= needed,
                    "{text} cut at {cut} wants {want}, needs {needed}"
                );
                for short in cut + 1..want.min(wire.len()) {
                    let early = parse(&wire[..short]);
                    assert!(
                        matches!(early, Parsed::Incomplete { .. }),
                        "{text} cut at {cut} wants {want}, but {short} gives {early:?}"
                    );
                }
            }
            (Parsed::Complete { consumed, .. }, early) => {
                assert!(cut >= *consumed, "{text} complete at {cut}");
                assert_eq!(early, whole, "{text} cut at {cut}");
            }
            // A connection that is given up may be given up with less in hand.
            (Parsed::Refused { refusal, .. }, Parsed::Refused { refusal: early, .. }) => {
                assert_eq!(&early, refusal, "{text} cut at {cut}");
            }
            (_, early) => panic!("{text} cut at {cut}: {early:?}, then {whole:?}"),
        }
    }
    whole
}

/// Enough cases to meet the rare ones in about a second; failures belong into a table, not into a
/// seed file.
pub(super) fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Whole wires of pieces that mean something, pieces of them, and now and then a byte that was not
/// there.
pub(super) fn wires(pieces: &'static [&'static [u8]], max: usize) -> BoxedStrategy<Vec<u8>> {
    let built = vec(proptest::sample::select(pieces), 0..max).prop_map(|pieces| pieces.concat());
    let mutations = vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3);
    let mutated = (built.clone(), mutations).prop_map(|(mut wire, mutations)| {
        for (index, byte) in mutations {
            if !wire.is_empty() {
                let index = index.index(wire.len());
                wire[index] = byte;
            }
        }
        wire
    });
    prop_oneof![6 => built, 3 => mutated, 1 => vec(any::<u8>(), 0..64)].boxed()
}
