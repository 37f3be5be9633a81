//! Redis' patterns, as far as names of settings need them: `*`, `?`, `[…]` and `\`, in any case.

/// Whether a name matches a pattern.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go on if what follows the last star does not match: the star takes one byte more.
    let (mut pattern, mut name) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            pattern = rest;
            retry = Some((rest, name));
            continue;
        }
        let step = match (pattern, name) {
            ([], []) => return true,
            (_, [byte, after @ ..]) => one(pattern, *byte).map(|rest| (rest, after)),
            _ => None,
        };
        match (step, retry) {
            (Some((rest, after)), _) => (pattern, name) = (rest, after),
            (None, Some((after_star, [_, shorter @ ..]))) => {
                (pattern, name) = (after_star, shorter);
                retry = Some((after_star, shorter));
            }
            (None, _) => return false,
        }
    }
}

/// What is left of the pattern if its first piece, which is no star, matches the byte.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let is = |other: u8| other.eq_ignore_ascii_case(&byte);
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'\\', escaped, rest @ ..] => is(*escaped).then_some(rest),
        [b'[', rest @ ..] => {
            let (negated, rest) = match rest {
                [b'^', rest @ ..] => (true, rest),
                _ => (false, rest),
            };
            let end = rest.iter().position(|byte| *byte == b']');
            let (class, rest) = rest.split_at(end.unwrap_or(rest.len()));
            let rest = rest.get(1..).unwrap_or_default();
            (in_class(class, byte) != negated).then_some(rest)
        }
        [other, rest @ ..] => is(*other).then_some(rest),
        [] => None,
    }
}

fn in_class(mut class: &[u8], byte: u8) -> bool {
    let byte = byte.to_ascii_lowercase();
    loop {
        class = match class {
            [] => return false,
            [from, b'-', to, rest @ ..] => {
                let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
                if (from.min(to)..=from.max(to)).contains(&byte) {
                    return true;
                }
                rest
            }
            [one, rest @ ..] => {
                if one.eq_ignore_ascii_case(&byte) {
                    return true;
                }
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, name, expected) in [
            ("*", "save", true),
            ("*", "", true),
            ("max*", "maxmemory", true),
            ("MAXMEMORY", "maxmemory", true),
            ("max*y", "maxmemory-policy", true),
            ("*a*b*c", "xxaxxbxxbc", true),
            ("*a*b*c", "xxaxxbxxb", false),
            ("sav?", "save", true),
            ("sav?", "sav", false),
            ("save", "saved", false),
            ("sa[uv]e", "save", true),
            ("sa[^uv]e", "save", false),
            ("sa[t-w]e", "save", true),
            ("sa[w-t]e", "save", true),
            ("sa[v", "sav", true),
            ("\\save", "save", true),
            ("", "x", false),
        ] {
            let found = matches(pattern.as_bytes(), name.as_bytes());
            assert_eq!(found, expected, "{pattern} {name}");
        }
    }
}
