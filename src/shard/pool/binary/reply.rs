//! What a memcached said to a meta command, as a binary packet.

use crate::protocol::{
    Parsed,
    binary::{Echo, Status, reply as wire},
    memcache::{
        meta::reply::{self as meta, MetaReply, parse_reply, returned},
        reply as memcache,
    },
    number,
};
use crate::shard::pool::over_resp;

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PacketWanted {
    /// The value, and its key if that is shown.
    Value { shows_key: bool },
    /// The flags.
    Touched,
    /// The CAS id of what was stored; the status where it was not.
    Stored(Status),
    /// The number.
    Number,
    /// Nothing but that it is done.
    Done,
}

/// The packet that a server's answer becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) struct Packet {
    pub(super) echo: Echo,
    pub(super) is_quiet: bool,
    pub(super) wanted: PacketWanted,
}

/// The line for a value in place of something else.
const UNASKED: &[u8] = b"SERVER_ERROR backend sent a value that nobody asked for";

impl Packet {
    /// What it repeats of the request.
    pub(in crate::shard) fn echo(self) -> Echo {
        self.echo
    }

    /// Whether the value is to be shown where there is one.
    pub(in crate::shard) fn shows_value(self) -> bool {
        self.wanted != PacketWanted::Touched
    }

    /// Appends the packet for an answer, or an error line; `key` is what was asked for.
    pub(in crate::shard) fn encode(self, key: &[u8], answer: &[u8], out: &mut Vec<u8>) {
        let parsed = parse_reply(answer, answer.len());
        match parsed {
            Parsed::Complete {
                request: MetaReply::Value { data },
                ..
            } => self.found(key, answer, data, out),
            Parsed::Complete {
                request: MetaReply::Line(line),
                ..
            } => self.told(key, line, out),
            _ => error(self.echo, answer, out),
        }
    }

    fn found(self, key: &[u8], answer: &[u8], data: &[u8], out: &mut Vec<u8>) {
        let cas = flag(answer, b'c');
        match self.wanted {
            PacketWanted::Value { shows_key } => {
                let key = shows_key.then_some(key);
                // Fits: the server got it as 32 bits.
                let flags = flag(answer, b'f') as u32;
                wire::value(out, self.echo, key, flags, data, cas);
            }
            PacketWanted::Number if self.is_quiet => {}
            PacketWanted::Number => {
                let digits = number::unsigned(data.trim_ascii_end());
                wire::number(out, self.echo, digits.unwrap_or(0), cas);
            }
            _ => error(self.echo, UNASKED, out),
        }
    }

    fn told(self, key: &[u8], line: &[u8], out: &mut Vec<u8>) {
        let word = line.get(..2).unwrap_or_default();
        let status = match (word, self.wanted) {
            (meta::DONE, PacketWanted::Touched) => {
                let flags = flag(line, b'f') as u32;
                return wire::touched(out, self.echo, flags, flag(line, b'c'));
            }
            (meta::DONE, _) if self.is_quiet => return,
            (meta::DONE, _) => return wire::done(out, self.echo, flag(line, b'c')),
            (meta::MISS | meta::NOT_FOUND, PacketWanted::Value { .. }) if self.is_quiet => return,
            (meta::MISS | meta::NOT_FOUND, PacketWanted::Value { shows_key: true }) => {
                return wire::miss_with_key(out, self.echo, key);
            }
            (meta::MISS | meta::NOT_FOUND, _) => Status::NotFound,
            (meta::EXISTS, _) => Status::Exists,
            (meta::NOT_STORED, PacketWanted::Stored(status)) => status,
            (meta::NOT_STORED, _) => Status::NotStored,
            _ => return error(self.echo, line, out),
        };
        wire::error(out, self.echo, status);
    }
}

/// Appends an error line of either protocol's servers, or ringfort's own, as a packet.
pub(in crate::shard) fn error(echo: Echo, line: &[u8], out: &mut Vec<u8>) {
    let status = match line {
        memcache::NON_NUMERIC => Status::NonNumeric,
        memcache::TOO_LARGE => Status::TooLarge,
        memcache::OUT_OF_MEMORY | memcache::OUT_OF_MEMORY_STORING => Status::OutOfMemory,
        _ if over_resp::is_too_large(line) => Status::TooLarge,
        _ if line.starts_with(b"-OOM ") => Status::OutOfMemory,
        _ if line.starts_with(b"-") => {
            return wire::refusal(out, echo, Status::Internal, over_resp::error_text(line));
        }
        _ => {
            let line = line.trim_ascii_end();
            let text = line
                .strip_prefix(b"SERVER_ERROR ")
                .or_else(|| line.strip_prefix(b"CLIENT_ERROR "));
            let text = text.unwrap_or(b"backend does not know memcache's meta commands");
            return wire::refusal(out, echo, Status::Internal, text);
        }
    };
    wire::error(out, echo, status);
}

/// The number that an answer gives back behind a letter; 0 if none.
fn flag(answer: &[u8], letter: u8) -> u64 {
    returned(answer, letter)
        .and_then(number::unsigned)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo {
        opcode: 0x0c,
        opaque: 7,
    };

    fn said(wanted: PacketWanted, is_quiet: bool, answer: &str) -> Vec<u8> {
        let packet = Packet {
            echo: ECHO,
            is_quiet,
            wanted,
        };
        let mut out = Vec::new();
        packet.encode(b"key", answer.as_bytes(), &mut out);
        out
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn every_answer_has_its_packet() {
        let value = PacketWanted::Value { shows_key: false };
        let with_key = PacketWanted::Value { shows_key: true };
        let add = PacketWanted::Stored(Status::Exists);
        let error = |status| written(|out| wire::error(out, ECHO, status));
        let table = [
            (
                value,
                "VA 2 f5 c9\r\nhi\r\n",
                written(|out| wire::value(out, ECHO, None, 5, b"hi", 9)),
            ),
            (
                with_key,
                "VA 2 c9 f4294967295 W\r\n\r\n\r\n",
                written(|out| wire::value(out, ECHO, Some(b"key"), u32::MAX, b"\r\n", 9)),
            ),
            (value, "EN\r\n", error(Status::NotFound)),
            (
                with_key,
                "EN\r\n",
                written(|out| wire::miss_with_key(out, ECHO, b"key")),
            ),
            (
                PacketWanted::Touched,
                "HD f5 c9\r\n",
                written(|out| wire::touched(out, ECHO, 5, 9)),
            ),
            (PacketWanted::Touched, "EN\r\n", error(Status::NotFound)),
            (add, "HD c9\r\n", written(|out| wire::done(out, ECHO, 9))),
            (add, "NS\r\n", error(Status::Exists)),
            (add, "NF\r\n", error(Status::NotFound)),
            (add, "EX\r\n", error(Status::Exists)),
            (
                add,
                "SERVER_ERROR object too large for cache\r\n",
                error(Status::TooLarge),
            ),
            (
                PacketWanted::Number,
                "VA 3 c9\r\n42 \r\n",
                written(|out| wire::number(out, ECHO, 42, 9)),
            ),
            (PacketWanted::Number, "NF\r\n", error(Status::NotFound)),
            (
                PacketWanted::Number,
                "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
                error(Status::NonNumeric),
            ),
            (
                PacketWanted::Done,
                "HD\r\n",
                written(|out| wire::done(out, ECHO, 0)),
            ),
            (
                PacketWanted::Done,
                "SERVER_ERROR backend is unavailable\r\n",
                written(|out| {
                    wire::refusal(out, ECHO, Status::Internal, b"backend is unavailable");
                }),
            ),
            (
                value,
                "ERROR\r\n",
                written(|out| {
                    let text = b"backend does not know memcache's meta commands";
                    wire::refusal(out, ECHO, Status::Internal, text);
                }),
            ),
        ];
        for (wanted, answer, packet) in table {
            let said = said(wanted, false, answer);
            let escape = |bytes: &[u8]| bytes.escape_ascii().to_string();
            assert_eq!(escape(&said), escape(&packet), "{wanted:?} {answer:?}");
        }
    }

    #[test]
    fn errors_of_redis_have_their_packets() {
        let internal = b"backend is unavailable";
        for (line, packet) in [
            (
                "-ERR backend is unavailable\r\n",
                written(|out| wire::refusal(out, ECHO, Status::Internal, internal)),
            ),
            (
                "-OOM full\r\n",
                written(|out| wire::error(out, ECHO, Status::OutOfMemory)),
            ),
        ] {
            assert_eq!(said(PacketWanted::Done, true, line), packet, "{line:?}");
        }
    }

    #[test]
    fn quiet_requests_are_answered_by_what_is_worth_knowing() {
        let value = PacketWanted::Value { shows_key: true };
        let set = PacketWanted::Stored(Status::NotFound);
        for (wanted, silent, told) in [
            (value, "EN\r\n", "VA 2 f5 c9\r\nhi\r\n"),
            (set, "HD c9\r\n", "EX\r\n"),
            (PacketWanted::Number, "VA 1 c9\r\n4\r\n", "NF\r\n"),
            (PacketWanted::Done, "HD\r\n", "NF\r\n"),
        ] {
            assert!(said(wanted, true, silent).is_empty(), "{silent:?}");
            assert_eq!(said(wanted, true, told), said(wanted, false, told));
        }
    }
}
