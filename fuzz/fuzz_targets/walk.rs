//! What holds for every parser here, whatever the bytes.

use std::fmt::Debug;

use ringfort::protocol::Parsed;

/// Parses requests off the front of `input` until it ends or one is refused, and checks each step:
/// it takes something, no more than is there, and exactly as much when it is cut off behind it; a
/// part of it is a part, never something else, and knows what it wants at least.
pub(crate) fn walk<'b, T: Debug, R: Debug>(
    input: &'b [u8],
    parse: impl Fn(&'b [u8]) -> Parsed<T, R>,
) {
    let mut rest = input;
    while !rest.is_empty() {
        match parse(rest) {
            Parsed::Incomplete { want } => {
                assert!(want > rest.len(), "wants {want} of {}", rest.len());
                return;
            }
            Parsed::Refused { consumed, .. } => {
                assert!(consumed <= rest.len());
                return;
            }
            Parsed::Complete { request, consumed } => {
                assert!(0 < consumed && consumed <= rest.len(), "took {consumed}");
                let (whole, behind) = rest.split_at(consumed);
                let alone = parse(whole);
                assert!(
                    matches!(&alone, Parsed::Complete { consumed: same, .. } if *same == consumed),
                    "{request:?} alone is {alone:?}"
                );
                let part = parse(&whole[..consumed / 2]);
                assert!(
                    matches!(part, Parsed::Incomplete { want } if want <= consumed),
                    "half of {request:?} is {part:?}"
                );
                rest = behind;
            }
        }
    }
}
