//! What is asked and how an answer is judged, in the words of either protocol.

mod memcache;
mod resp;

use crate::item::{self, Items};

/// Longest line of a reply, bytes; an error text that is longer is not one.
const LINE_BYTES_MAX: usize = 2048;

/// How the server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// memcache, classic text: `get` and `set`
    Memcache,
    /// RESP2: `GET` and `SET`
    Resp,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memcache => "memcache",
            Self::Resp => "resp",
        }
    }

    /// Appends a request for this key; a write carries the key's value.
    pub(crate) fn append_request(self, out: &mut Vec<u8>, op: Op, key_index: u32, items: Items) {
        match self {
            Self::Memcache => memcache::append_request(out, op, key_index, items),
            Self::Resp => resp::append_request(out, op, key_index, items),
        }
    }

    /// Length of the reply to a read that hits or a write that is done.
    pub(crate) fn reply_bytes(self, op: Op, value_bytes: usize) -> usize {
        match self {
            Self::Memcache => memcache::reply_bytes(op, value_bytes),
            Self::Resp => resp::reply_bytes(op, value_bytes),
        }
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Read,
    Write,
}

/// The request that a reply must answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) op: Op,
    pub(crate) key_index: u32,
}

/// How replies are taken apart and judged.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// As the protocol says: the kind of reply, the key, the length and every byte of the value.
    Whole { protocol: Protocol, items: Items },
    /// By length alone: for the floor, which answers by rote.
    Length { reply_bytes: usize },
}

/// What the first bytes of a stream of replies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// More bytes are needed.
    Incomplete,
    /// One reply, this long.
    Complete {
        reply_bytes: usize,
        outcome: Outcome,
    },
    /// The protocol is broken: where the next reply begins is not known.
    Invalid,
}

/// What one reply means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Hit,
    Miss,
    Stored,
    /// Of the right length, not looked into.
    Unchecked,
    /// The server refused.
    Error,
    /// A well-formed reply to something else than what was asked, or with wrong bytes in it.
    Wrong,
}

impl Check {
    /// Judges the reply at the start of `bytes`.
    pub(crate) fn parse(&self, bytes: &[u8], asked: Asked) -> Parsed {
        match *self {
            Self::Whole { protocol, items } => match protocol {
                Protocol::Memcache => memcache::parse(bytes, asked, items),
                Protocol::Resp => resp::parse(bytes, asked, items),
            },
            Self::Length { reply_bytes } if bytes.len() < reply_bytes => Parsed::Incomplete,
            Self::Length { reply_bytes } => Parsed::Complete {
                reply_bytes,
                outcome: Outcome::Unchecked,
            },
        }
    }
}

/// The first line without its end, and where the next begins.
fn line(bytes: &[u8]) -> Result<(&[u8], usize), Parsed> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        let endless = bytes.len() > LINE_BYTES_MAX;
        return Err(if endless {
            Parsed::Invalid
        } else {
            Parsed::Incomplete
        });
    };
    match bytes[..end].split_last() {
        Some((b'\r', line)) => Ok((line, end + 1)),
        _ => Err(Parsed::Invalid),
    }
}

/// A decimal number of at most ten digits, all of `digits`.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + usize::from(digit - b'0'))
    })
}

/// A hit is right if the value is as long as the key's and byte for byte the same.
fn judge_value(value: &[u8], asked: Asked, items: Items) -> Outcome {
    let right = asked.op == Op::Read
        && value.len() == items.sizes.bytes_of(asked.key_index)
        && item::is_value_of(value, asked.key_index);
    if right { Outcome::Hit } else { Outcome::Wrong }
}

/// `outcome` if that answers this kind of request, otherwise wrong.
fn only_to(op: Op, asked: Asked, outcome: Outcome) -> Outcome {
    if asked.op == op {
        outcome
    } else {
        Outcome::Wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::ValueSizes;

    fn items_of(value_bytes: u32) -> Items {
        Items {
            prefix: *b"key:",
            sizes: ValueSizes::new(value_bytes, value_bytes).unwrap(),
        }
    }

    fn value_of(key_index: u32, value_bytes: usize) -> Vec<u8> {
        let mut value = Vec::new();
        item::append_value(&mut value, key_index, value_bytes);
        value
    }

    fn hit(protocol: Protocol, key_index: u32, value: &[u8]) -> Vec<u8> {
        let header = match protocol {
            Protocol::Memcache => {
                let key = items_of(20).key(key_index);
                format!(
                    "VALUE {} 0 {}\r\n",
                    str::from_utf8(&key).unwrap(),
                    value.len()
                )
            }
            Protocol::Resp => format!("${}\r\n", value.len()),
        };
        let footer: &[u8] = match protocol {
            Protocol::Memcache => b"\r\nEND\r\n",
            Protocol::Resp => b"\r\n",
        };
        [header.as_bytes(), value, footer].concat()
    }

    fn cases(protocol: Protocol) -> Vec<(Op, Vec<u8>, Outcome)> {
        let value = value_of(3, 20);
        let mut cases = vec![
            (Op::Read, hit(protocol, 3, &value), Outcome::Hit),
            (Op::Read, hit(protocol, 3, &value[..19]), Outcome::Wrong),
            (Op::Read, hit(protocol, 3, &value_of(4, 20)), Outcome::Wrong),
            (Op::Write, hit(protocol, 3, &value), Outcome::Wrong),
        ];
        let lines: &[(Op, &str, Outcome)] = match protocol {
            Protocol::Memcache => &[
                (Op::Read, "END\r\n", Outcome::Miss),
                (Op::Write, "END\r\n", Outcome::Wrong),
                (Op::Write, "STORED\r\n", Outcome::Stored),
                (Op::Read, "STORED\r\n", Outcome::Wrong),
                (Op::Write, "NOT_STORED\r\n", Outcome::Error),
                (Op::Read, "ERROR\r\n", Outcome::Error),
                (Op::Write, "SERVER_ERROR out of memory\r\n", Outcome::Error),
                (Op::Write, "CLIENT_ERROR bad data chunk\r\n", Outcome::Error),
            ],
            Protocol::Resp => &[
                (Op::Read, "$-1\r\n", Outcome::Miss),
                (Op::Read, "_\r\n", Outcome::Miss),
                (Op::Write, "$-1\r\n", Outcome::Wrong),
                (Op::Write, "+OK\r\n", Outcome::Stored),
                (Op::Read, "+OK\r\n", Outcome::Wrong),
                (Op::Write, "-OOM no room\r\n", Outcome::Error),
            ],
        };
        cases.extend(
            lines
                .iter()
                .map(|&(op, line, outcome)| (op, line.into(), outcome)),
        );
        cases
    }

    #[test]
    fn replies_are_judged_whole_and_incomplete_at_every_split() {
        for protocol in [Protocol::Memcache, Protocol::Resp] {
            let check = Check::Whole {
                protocol,
                items: items_of(20),
            };
            for (op, reply, outcome) in cases(protocol) {
                let asked = Asked { op, key_index: 3 };
                let shown = reply.escape_ascii().to_string();
                for split in 0..reply.len() {
                    assert_eq!(
                        check.parse(&reply[..split], asked),
                        Parsed::Incomplete,
                        "{shown}"
                    );
                }
                let complete = Parsed::Complete {
                    reply_bytes: reply.len(),
                    outcome,
                };
                assert_eq!(check.parse(&reply, asked), complete, "{shown}");
                let followed = [&reply[..], b"VALUE $"].concat();
                assert_eq!(check.parse(&followed, asked), complete, "{shown}, followed");
            }
        }
    }

    #[test]
    fn a_memcache_value_under_another_key_is_wrong() {
        let reply = hit(Protocol::Memcache, 4, &value_of(3, 20));
        let check = Check::Whole {
            protocol: Protocol::Memcache,
            items: items_of(20),
        };
        let complete = Parsed::Complete {
            reply_bytes: reply.len(),
            outcome: Outcome::Wrong,
        };
        assert_eq!(
            check.parse(
                &reply,
                Asked {
                    op: Op::Read,
                    key_index: 3
                }
            ),
            complete
        );
    }

    #[test]
    fn broken_framing_is_invalid() {
        let asked = Asked {
            op: Op::Read,
            key_index: 3,
        };
        let endless = "x".repeat(LINE_BYTES_MAX + 1);
        for (protocol, reply) in [
            (Protocol::Memcache, "VALUE key:000000000003 0 x\r\n"),
            (
                Protocol::Memcache,
                "VALUE key:000000000003 0 1\r\nxyEND\r\n\r\n\r\n",
            ),
            (Protocol::Memcache, "VALUE key:000000000003\r\n"),
            (
                Protocol::Memcache,
                "VALUE key:000000000003 0 9999999999\r\n",
            ),
            (Protocol::Memcache, "END\n"),
            (Protocol::Memcache, "HELLO\r\n"),
            (Protocol::Memcache, &endless),
            (Protocol::Resp, "$1\r\nxy\r\n"),
            (Protocol::Resp, "$x\r\n"),
            (Protocol::Resp, "$-2\r\n"),
            (Protocol::Resp, ":1\r\n"),
            (Protocol::Resp, "\r\n"),
        ] {
            let check = Check::Whole {
                protocol,
                items: items_of(20),
            };
            assert_eq!(
                check.parse(reply.as_bytes(), asked),
                Parsed::Invalid,
                "{reply:?}"
            );
        }
    }

    #[test]
    fn stated_reply_lengths_are_those_of_real_replies() {
        for (protocol, stored) in [
            (Protocol::Memcache, &b"STORED\r\n"[..]),
            (Protocol::Resp, &b"+OK\r\n"[..]),
        ] {
            let value = value_of(3, 20);
            assert_eq!(
                protocol.reply_bytes(Op::Read, 20),
                hit(protocol, 3, &value).len()
            );
            assert_eq!(protocol.reply_bytes(Op::Write, 20), stored.len());
        }
    }

    #[test]
    fn requests_are_encoded() {
        let items = items_of(3);
        let mut out = Vec::new();
        Protocol::Memcache.append_request(&mut out, Op::Read, 5, items);
        assert_eq!(out, b"get key:000000000005\r\n");
        out.clear();
        Protocol::Resp.append_request(&mut out, Op::Read, 5, items);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000005\r\n");
        out.clear();
        Protocol::Memcache.append_request(&mut out, Op::Write, 5, items);
        let value = value_of(5, 3);
        assert_eq!(
            out,
            [b"set key:000000000005 0 0 3\r\n", &value[..], b"\r\n"].concat()
        );
        out.clear();
        Protocol::Resp.append_request(&mut out, Op::Write, 5, items);
        let head = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000005\r\n$3\r\n";
        assert_eq!(out, [&head[..], &value[..], b"\r\n"].concat());
    }
}
