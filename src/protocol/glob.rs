//! Redis' patterns, as KEYS, SCAN, CONFIG GET and COMMAND LIST have them: `*`, `?`, `[a-z]`, `[^…]`
//! and `\`.
//!
//! Every element but `*` takes exactly one byte, whatever comes after it. So when something does
//! not match, only the last `*` needs to take one byte more, and the work is bounded by the length
//! of the pattern times that of the text; Redis goes back to every `*` there was.

/// Whether letters match each other in either case (ASCII only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// They do not: keys.
    Sensitive,
    /// They do: names of settings and commands.
    Ignored,
}

/// Whether a pattern matches all of a text.
///
/// As in Redis, an empty text is matched by the empty pattern and by `*`, but not by `**`; a class
/// without its `]` ends with the pattern; bytes from 0x80 on come before the others in ranges; and
/// a letter after a `\` in a class matches in its own case only.
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    if pattern == b"*" {
        return true;
    }
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut pattern, mut text) = (pattern, text);
    // What follows the last `*`, and the text from where that `*` ends.
    let mut retry: Option<(&[u8], &[u8])> = None;
    while let Some((byte, rest)) = text.split_first() {
        if let [b'*', after @ ..] = pattern {
            pattern = after;
            retry = Some((pattern, text));
            if pattern.is_empty() {
                return true;
            }
            continue;
        }
        if let Some(after) = step(pattern, *byte, case) {
            (pattern, text) = (after, rest);
            continue;
        }
        let Some((after, [_, shorter @ ..])) = retry else {
            return false;
        };
        (pattern, text) = (after, shorter);
        retry = Some((after, shorter));
    }
    pattern.iter().all(|byte| *byte == b'*')
}

/// Matches the pattern's first element, which is no `*`, with a byte; what follows it, if it does.
fn step(pattern: &[u8], byte: u8, case: Case) -> Option<&[u8]> {
    let (wanted, after) = match pattern {
        [] => return None,
        [b'?', after @ ..] => return Some(after),
        [b'[', class @ ..] => return step_class(class, byte, case),
        [b'\\', wanted, after @ ..] | [wanted, after @ ..] => (*wanted, after),
    };
    are_equal(wanted, byte, case).then_some(after)
}

/// The same for a class, without its `[`.
fn step_class(class: &[u8], byte: u8, case: Case) -> Option<&[u8]> {
    let (is_inverted, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut is_in = false;
    let after = loop {
        (is_in, rest) = match rest {
            [b'\\', wanted, rest @ ..] => (is_in || *wanted == byte, rest),
            [b']', rest @ ..] => break rest,
            [] => break rest,
            [one, b'-', other, rest @ ..] => (is_in || is_between(*one, *other, byte, case), rest),
            [wanted, rest @ ..] => (is_in || are_equal(*wanted, byte, case), rest),
        };
    };
    (is_in != is_inverted).then_some(after)
}

fn are_equal(wanted: u8, byte: u8, case: Case) -> bool {
    wanted == byte || (case == Case::Ignored && wanted.eq_ignore_ascii_case(&byte))
}

/// Whether a byte is in a range, whose ends may come in any order. They are put in order before
/// their case is lost, so that `[Z-a]` matches nothing where case is ignored.
fn is_between(one: u8, other: u8, byte: u8, case: Case) -> bool {
    // Redis compares C's `char`, which has a sign on x86-64.
    let ends = [one.cast_signed(), other.cast_signed()];
    let fold = |byte: i8| match case {
        Case::Sensitive => byte,
        Case::Ignored => byte.cast_unsigned().to_ascii_lowercase().cast_signed(),
    };
    let (first, last) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
    (fold(first)..=fold(last)).contains(&fold(byte.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_redis() {
        use Case::{Ignored, Sensitive};
        let table: &[(&[u8], &[u8], Case, bool)] = &[
            (b"*", b"", Sensitive, true),
            (b"**", b"", Sensitive, false),
            (b"", b"", Sensitive, true),
            (b"", b"x", Sensitive, false),
            (b"h?llo", b"hello", Sensitive, true),
            (b"h?llo", b"hllo", Sensitive, false),
            (b"h*llo", b"heeeello", Sensitive, true),
            (b"h*", b"h", Sensitive, true),
            (b"*a*b*", b"xxaxxbxx", Sensitive, true),
            (b"*ab", b"aab", Sensitive, true),
            (b"*ab?c", b"abxabyc", Sensitive, true),
            (b"h[ae]llo", b"hallo", Sensitive, true),
            (b"h[^e]llo", b"hello", Sensitive, false),
            (b"h[a-b]llo", b"hbllo", Sensitive, true),
            (b"[b-a]", b"b", Sensitive, true),
            (b"[]", b"]", Sensitive, false),
            (b"[]]", b"]]", Sensitive, false),
            (b"[^]x", b"yx", Sensitive, true),
            (b"[\\]]", b"]", Sensitive, true),
            (b"[a-]", b"-", Sensitive, false),
            (b"[a-]", b"^", Sensitive, true),
            (b"[a-]]", b"]", Sensitive, true),
            (b"[", b"[", Sensitive, false),
            (b"[^", b"x", Sensitive, true),
            (b"[ab", b"b", Sensitive, true),
            (b"[ab*", b"*", Sensitive, true),
            (b"[\\", b"\\", Sensitive, true),
            (b"\\", b"\\", Sensitive, true),
            (b"\\*", b"*", Sensitive, true),
            (b"\\*", b"x", Sensitive, false),
            (b"HELLO", b"hello", Sensitive, false),
            (b"HELLO", b"hello", Ignored, true),
            (b"[A-C]", b"b", Ignored, true),
            (b"[Z-a]", b"z", Ignored, false),
            (b"[\\A]", b"a", Ignored, false),
            (b"[A]", b"a", Ignored, true),
            (b"[\x7f-\x80]", b"\xff", Sensitive, true),
            (b"[\x01-\xff]", b"\x01", Sensitive, true),
            (b"[\x01-\xff]", b"\x02", Sensitive, false),
        ];
        for &(pattern, text, case, expected) in table {
            let shown = (pattern.escape_ascii(), text.escape_ascii());
            let seen = matches(pattern, text, case);
            assert_eq!(seen, expected, "{} {} {case:?}", shown.0, shown.1);
        }
    }

    /// Goes back to every `*`, as the definition has it.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([b'*', after @ ..], _) => {
                (0..=text.len()).any(|skipped| naive(after, &text[skipped..]))
            }
            (_, []) => pattern.is_empty(),
            (_, [byte, rest @ ..]) => {
                step(pattern, *byte, Case::Sensitive).is_some_and(|after| naive(after, rest))
            }
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_one() {
        let pattern = "a*".repeat(10_000) + "b";
        assert!(!matches(
            pattern.as_bytes(),
            &[b'a'; 20_000],
            Case::Sensitive
        ));
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_twin(pattern in "[ab*?\\[\\]^\\\\-]{0,9}", text in "[ab\\]-]{1,9}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text, Case::Sensitive), naive(pattern, text));
        }
    }
}
