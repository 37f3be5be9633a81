//! A RESP reply, parsed.

use crate::protocol::number;

/// Replies nested deeper than this are not taken apart: no command answers so.
const DEPTH_MAX: usize = 32;

/// What a command answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A short text, as `OK`.
    Simple(String),
    /// An error inside of an array; one that is the whole reply is an
    /// [`Error::Server`](super::Error::Server).
    Error(String),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// A number with a fraction.
    Double(f64),
    /// Yes or no.
    Boolean(bool),
    /// A number of any length, in digits.
    BigNumber(String),
    /// Text for people.
    Verbatim(String),
    /// Values in order; also a push's, with its kind first.
    Array(Vec<Self>),
    /// Values without an order.
    Set(Vec<Self>),
    /// Pairs.
    Map(Vec<(Self, Self)>),
}

impl Value {
    /// Takes a whole frame apart; `None` if it is none.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: frame };
        let value = reader.value(DEPTH_MAX)?;
        reader.rest.is_empty().then_some(value)
    }

    /// The bytes of a bulk or of a text.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(bytes) => Some(bytes),
            Self::Simple(text) | Self::Verbatim(text) => Some(text.as_bytes()),
            _ => None,
        }
    }
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let (kind, line) = self.line()?;
        let text = || String::from_utf8_lossy(line).into_owned();
        Some(match kind {
            b'+' => Value::Simple(text()),
            b'-' => Value::Error(text()),
            b':' => Value::Integer(number::signed(line)?),
            b'_' => Value::Null,
            b'#' => Value::Boolean(line == b"t"),
            b',' => Value::Double(text().parse().ok()?),
            b'(' => Value::BigNumber(text()),
            b'$' | b'*' if line == b"-1" => Value::Null,
            b'$' => Value::Bulk(self.body(line)?.to_vec()),
            b'!' => Value::Error(String::from_utf8_lossy(self.body(line)?).into_owned()),
            b'=' => {
                let body = self.body(line)?.get("txt:".len()..)?;
                Value::Verbatim(String::from_utf8_lossy(body).into_owned())
            }
            b'*' | b'>' => Value::Array(self.values(line, depth)?),
            b'~' => Value::Set(self.values(line, depth)?),
            b'%' => {
                let count = number::unsigned(line)?;
                let mut pairs = Vec::new();
                for _ in 0..count {
                    pairs.push((self.value(depth)?, self.value(depth)?));
                }
                Value::Map(pairs)
            }
            // Attributes are about the reply, not part of it.
            b'|' => {
                for _ in 0..number::unsigned(line)?.checked_mul(2)? {
                    self.value(depth)?;
                }
                return self.value(depth);
            }
            _ => return None,
        })
    }

    fn values(&mut self, line: &[u8], depth: usize) -> Option<Vec<Value>> {
        (0..number::unsigned(line)?)
            .map(|_| self.value(depth))
            .collect()
    }
}

impl<'b> Reader<'b> {
    fn line(&mut self) -> Option<(u8, &'b [u8])> {
        let (kind, rest) = self.rest.split_first()?;
        let end = memchr::memchr(b'\n', rest)?;
        self.rest = &rest[end + 1..];
        Some((*kind, rest[..end].strip_suffix(b"\r")?))
    }

    fn body(&mut self, line: &[u8]) -> Option<&'b [u8]> {
        let length = usize::try_from(number::unsigned(line)?).ok()?;
        let (body, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest.strip_prefix(b"\r\n")?;
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_frame_has_its_value() {
        let bulk = |text: &str| Value::Bulk(text.as_bytes().to_vec());
        let table = [
            ("+OK\r\n", Value::Simple("OK".into())),
            (":-7\r\n", Value::Integer(-7)),
            ("$-1\r\n", Value::Null),
            ("*-1\r\n", Value::Null),
            ("_\r\n", Value::Null),
            ("$4\r\na\r\nb\r\n", bulk("a\r\nb")),
            ("#t\r\n", Value::Boolean(true)),
            (",1.5\r\n", Value::Double(1.5)),
            (",inf\r\n", Value::Double(f64::INFINITY)),
            (
                "(12345678901234567890\r\n",
                Value::BigNumber("12345678901234567890".into()),
            ),
            ("=6\r\ntxt:hi\r\n", Value::Verbatim("hi".into())),
            ("!5\r\nERR x\r\n", Value::Error("ERR x".into())),
            (
                "*2\r\n:1\r\n-no\r\n",
                Value::Array(vec![Value::Integer(1), Value::Error("no".into())]),
            ),
            ("~1\r\n$1\r\na\r\n", Value::Set(vec![bulk("a")])),
            (
                "%1\r\n+k\r\n*0\r\n",
                Value::Map(vec![(Value::Simple("k".into()), Value::Array(vec![]))]),
            ),
            ("|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n", bulk("v")),
            (
                ">1\r\n+hi\r\n",
                Value::Array(vec![Value::Simple("hi".into())]),
            ),
        ];
        for (wire, value) in table {
            assert_eq!(Value::parse(wire.as_bytes()), Some(value), "{wire:?}");
            for cut in 0..wire.len() {
                assert_eq!(
                    Value::parse(&wire.as_bytes()[..cut]),
                    None,
                    "{wire:?} at {cut}"
                );
            }
        }
        assert_eq!(Value::parse(b"+OK\r\n+OK\r\n"), None);
        assert_eq!(Value::parse("*1\r\n".repeat(100).as_bytes()), None);
        assert_eq!(Value::parse(b"*18446744073709551615\r\n"), None);
    }
}
