//! Inline requests: one line of words, as typed into `telnet`, with the quoting rules of Redis's
//! `sdssplitargs`.
//!
//! A word in quotes without escapes is borrowed without the quotes. One with escapes, or with
//! quotes in its middle, has to be built; [`count_words`] tells, and [`unescape`] builds.

/// Quotes that do not match, or a closing one that something other than a blank follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unbalanced;

/// One word of a line.
pub(super) struct Word<'b> {
    /// The word; as it stands in the line, if it is `escaped`.
    pub(super) text: &'b [u8],
    /// Whether `text` is not yet what is meant.
    escaped: bool,
    /// Where in the line to look for the next one.
    pub(super) end: usize,
}

/// How many words a line has, and whether any of them is escaped.
pub(super) fn count_words(line: &[u8]) -> Result<(usize, bool), Unbalanced> {
    let (mut count, mut escaped, mut at) = (0, false, 0);
    while let Some(word) = next_word(line, at)? {
        count += 1;
        escaped |= word.escaped;
        at = word.end;
    }
    Ok((count, escaped))
}

/// The first word at or after `at`. A NUL ends the line.
pub(super) fn next_word(line: &[u8], at: usize) -> Result<Option<Word<'_>>, Unbalanced> {
    let Some(start) = word_start(line, at) else {
        return Ok(None);
    };
    let end = walk_word(line, start, |_| {})?;
    let raw = &line[start..end];
    let bare = |text: &[u8]| !text.iter().any(|byte| matches!(byte, b'"' | b'\'' | b'\\'));
    let word = match raw {
        [b'"', text @ .., b'"'] | [b'\'', text @ .., b'\''] if bare(text) => Word {
            text,
            escaped: false,
            end,
        },
        // A backslash outside quotes is a byte like any other.
        _ => Word {
            text: raw,
            escaped: raw.iter().any(|b| matches!(b, b'"' | b'\'')),
            end,
        },
    };
    Ok(Some(word))
}

/// Appends the words of a line, unquoted and unescaped. What follows unbalanced quotes is left out.
pub(super) fn unescape(line: &[u8], words: &mut Vec<Vec<u8>>) {
    let mut at = 0;
    while let Some(start) = word_start(line, at) {
        let mut word = Vec::new();
        let Ok(end) = walk_word(line, start, |byte| word.push(byte)) else {
            return;
        };
        words.push(word);
        at = end;
    }
}

/// Where the next word starts, if there is one.
fn word_start(line: &[u8], at: usize) -> Option<usize> {
    let rest = line.get(at..)?;
    let start = at + rest.iter().position(|&byte| !is_blank(byte))?;
    (line[start] != 0).then_some(start)
}

/// Walks one word, gives its bytes to `sink`, and returns where it ends.
fn walk_word(line: &[u8], start: usize, mut sink: impl FnMut(u8)) -> Result<usize, Unbalanced> {
    // Past the end is a NUL, as in C, and so is a NUL.
    let byte_at = |at: usize| line.get(at).copied().unwrap_or(0);
    let mut quote = None;
    let mut at = start;
    loop {
        let byte = byte_at(at);
        match (quote, byte) {
            (None, b' ' | b'\n' | b'\r' | b'\t' | 0) => return Ok(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(_), 0) => return Err(Unbalanced),
            (Some(open), _) if open == byte => {
                let after = byte_at(at + 1);
                return if after == 0 || is_blank(after) {
                    Ok(at + 1)
                } else {
                    Err(Unbalanced)
                };
            }
            (Some(b'"'), b'\\') if byte_at(at + 1) != 0 => {
                let (escaped, length) = escape(&line[at + 1..]);
                sink(escaped);
                at += length;
            }
            (Some(b'\''), b'\\') if byte_at(at + 1) == b'\'' => {
                sink(b'\'');
                at += 1;
            }
            _ => sink(byte),
        }
        at += 1;
    }
}

/// What a backslash before `rest` (which is not empty) means, and how many bytes of `rest` that
/// takes.
fn escape(rest: &[u8]) -> (u8, usize) {
    if let [b'x', high, low, ..] = *rest
        && let (Some(high), Some(low)) = (hex_digit(high), hex_digit(low))
    {
        return (high * 16 + low, 3);
    }
    let byte = match rest[0] {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    };
    (byte, 1)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// C's `isspace`.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line, and its words.
    type Row = (&'static [u8], Option<&'static [&'static [u8]]>);

    #[test]
    fn words_are_split_as_redis_splits_them() {
        // `None`: the quotes do not match.
        let table: &[Row] = &[
            (b"\r\n", Some(&[])),
            (b" \t\x0b\n", Some(&[])),
            (b"a  b\tc\r\n", Some(&[b"a", b"b", b"c"])),
            (b"\"a b\" 'c d'\n", Some(&[b"a b", b"c d"])),
            (b"\"\" ''\n", Some(&[b"", b""])),
            (b"a\"b c\"\n", Some(&[b"ab c"])),
            (b"\"a\\x41\\n\\q\\x4\\\"\"\n", Some(&[b"aA\nqx4\""])),
            (b"'a\\'b\\n'\n", Some(&[b"a'b\\n"])),
            (b"a\\n\n", Some(&[b"a\\n"])),
            (b"\"a'b\" c\n", Some(&[b"a'b", b"c"])),
            (b"a\0b c\n", Some(&[b"a"])),
            (b"\"a\"b\n", None),
            (b"\"a\n", None),
            (b"'a\\'\n", None),
            (b"\"a\\", None),
        ];
        for (line, expected) in table {
            let text = line.escape_ascii();
            let counted = count_words(line).ok();
            assert_eq!(
                counted.map(|(count, _)| count),
                expected.map(<[_]>::len),
                "{text}"
            );
            let (Some((_, escaped)), Some(expected)) = (counted, expected) else {
                continue;
            };
            let mut words = Vec::new();
            unescape(line, &mut words);
            assert_eq!(&words, expected, "{text}");
            let (mut borrowed, mut at) = (Vec::new(), 0);
            while let Ok(Some(word)) = next_word(line, at) {
                borrowed.push(word.text);
                at = word.end;
            }
            assert_eq!(borrowed == words, !escaped, "{text}");
        }
    }
}
