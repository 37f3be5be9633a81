//! What a RESP3 client is to get for a reply that came in RESP2.
//!
//! Servers of a pool are spoken to in RESP2, whoever asks: so clients of both versions share
//! connections, fills and the L1, and most replies are the same in both. Those that are not are
//! rewritten here, by what the command answers in Redis 7.0.15. The other way round, RESP3 to
//! RESP2, every reply to most clients would have to be rewritten, and no more could be told: which
//! null it was, and where pairs were flat, RESP3 does not say either.

use super::{args::Args, reply};
use crate::protocol::number;

/// How a reply is to be rewritten. A null is RESP3's in any case, at any depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retype {
    /// It stays.
    Plain,
    /// Names and values are a map.
    Map,
    /// An array of such maps.
    Maps,
    /// A map, and so are what stands in it below `groups` and `consumers`.
    Stream,
    /// Members are a set.
    Set,
    /// A number with a fraction.
    Double,
    /// An array of them.
    Doubles,
    /// Pairs of coordinates.
    Coordinates,
    /// What is told of places, of each its coordinates last.
    Places,
    /// Names and values are pairs.
    Pairs,
    /// Members and scores are pairs.
    Scores,
    /// A member and its score.
    Score,
    /// A key, and an array of pairs of members and scores.
    Popped,
    /// The second of these.
    PoppedMembers,
    /// Pairs of a name and what it has are a map.
    Named,
    /// What is told of one place, its coordinates last.
    Place,
}

impl Retype {
    /// How the reply to a request is to be rewritten.
    pub fn of(args: &Args<'_>) -> Self {
        let has = |word: &[u8]| args.iter().any(|other| other.eq_ignore_ascii_case(word));
        let second = || args.at(1).to_ascii_lowercase();
        match args.name().to_ascii_lowercase().as_slice() {
            b"hgetall" => Self::Map,
            b"smembers" | b"sinter" | b"sunion" | b"sdiff" => Self::Set,
            b"spop" if args.count() > 2 => Self::Set,
            b"zscore" | b"zincrby" => Self::Double,
            b"zadd" if has(b"incr") => Self::Double,
            b"zmscore" => Self::Doubles,
            b"zrange" | b"zrevrange" | b"zrangebyscore" | b"zrevrangebyscore" | b"zunion"
            | b"zinter" | b"zdiff" | b"zrandmember"
                if has(b"withscores") =>
            {
                Self::Scores
            }
            b"zpopmin" | b"zpopmax" if args.count() > 2 => Self::Scores,
            b"zpopmin" | b"zpopmax" => Self::Score,
            b"zrank" | b"zrevrank" if has(b"withscore") => Self::Score,
            b"zmpop" => Self::Popped,
            b"hrandfield" if has(b"withvalues") => Self::Pairs,
            b"xread" | b"xreadgroup" => Self::Named,
            b"xinfo" if second() == b"stream" => Self::Stream,
            b"xinfo" => Self::Maps,
            b"geopos" => Self::Coordinates,
            b"geosearch"
            | b"georadius"
            | b"georadius_ro"
            | b"georadiusbymember"
            | b"georadiusbymember_ro"
                if has(b"withcoord") =>
            {
                Self::Places
            }
            b"lcs" if has(b"idx") => Self::Map,
            _ => Self::Plain,
        }
    }

    /// As a byte that [`Self::of_code`] knows.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// From a byte.
    pub fn of_code(code: u8) -> Self {
        const ALL: [Retype; 16] = [
            Retype::Plain,
            Retype::Map,
            Retype::Maps,
            Retype::Stream,
            Retype::Set,
            Retype::Double,
            Retype::Doubles,
            Retype::Coordinates,
            Retype::Places,
            Retype::Pairs,
            Retype::Scores,
            Retype::Score,
            Retype::Popped,
            Retype::PoppedMembers,
            Retype::Named,
            Retype::Place,
        ];
        ALL.get(usize::from(code)).copied().unwrap_or(Self::Plain)
    }

    /// Appends a whole reply, rewritten. What is not as the command answers stays as it is.
    pub fn encode(self, frame: &[u8], out: &mut Vec<u8>) {
        let mut frames = Frames { rest: frame };
        self.value(&mut frames, out, 0);
        out.extend_from_slice(frames.rest);
    }

    /// Appends the reply to a transaction, each of whose elements has its own way.
    pub fn encode_all(codes: &[u8], frame: &[u8], out: &mut Vec<u8>) {
        let mut frames = Frames { rest: frame };
        match frames.count() {
            Some(count) => {
                reply::array_header(out, count);
                for place in 0..count {
                    let code = codes.get(place).copied().unwrap_or_default();
                    Self::of_code(code).value(&mut frames, out, 0);
                }
            }
            None => frames.copy(out),
        }
        out.extend_from_slice(frames.rest);
    }

    /// Rewrites the next value.
    fn value(self, frames: &mut Frames<'_>, out: &mut Vec<u8>, depth: usize) {
        /// XINFO STREAM FULL has the deepest: its groups' consumers.
        const DEPTH_MAX: usize = 4;
        if self == Self::Double {
            return frames.double(out);
        }
        if self == Self::Plain || depth > DEPTH_MAX {
            return frames.copy(out);
        }
        let Some(count) = frames.count() else {
            return frames.copy(out);
        };
        match self {
            Self::Map | Self::Stream => {
                header(out, b'%', count / 2);
                for _ in 0..count / 2 {
                    let name = frames.bulk();
                    frames.copy(out);
                    let below = match name {
                        Some(b"groups" | b"consumers") if self == Self::Stream => Self::Stream,
                        _ => Self::Plain,
                    };
                    match below {
                        Self::Stream => below.each(frames, out, depth + 1),
                        _ => frames.copy(out),
                    }
                }
            }
            Self::Set => {
                header(out, b'~', count);
                (0..count).for_each(|_| frames.copy(out));
            }
            Self::Named => {
                header(out, b'%', count);
                for _ in 0..count {
                    frames.count();
                    frames.copy(out);
                    frames.copy(out);
                }
            }
            Self::Pairs | Self::Scores => {
                reply::array_header(out, count / 2);
                for _ in 0..count / 2 {
                    reply::array_header(out, 2);
                    frames.copy(out);
                    match self {
                        Self::Scores => frames.double(out),
                        _ => frames.copy(out),
                    }
                }
            }
            _ => {
                reply::array_header(out, count);
                for place in 0..count {
                    self.element(place, count).value(frames, out, depth + 1);
                }
            }
        }
    }

    /// Rewrites each element of an array so, if it is one.
    fn each(self, frames: &mut Frames<'_>, out: &mut Vec<u8>, depth: usize) {
        match frames.count() {
            Some(count) => {
                reply::array_header(out, count);
                (0..count).for_each(|_| self.value(frames, out, depth));
            }
            None => frames.copy(out),
        }
    }

    /// How an element of an array that stays one is rewritten.
    fn element(self, place: usize, count: usize) -> Self {
        let is_last = place + 1 == count;
        match self {
            Self::Doubles => Self::Double,
            Self::Coordinates => Self::Doubles,
            Self::Maps => Self::Map,
            Self::Score if is_last => Self::Double,
            Self::Popped if is_last => Self::PoppedMembers,
            Self::PoppedMembers => Self::Score,
            Self::Place if is_last => Self::Doubles,
            Self::Places => Self::Place,
            _ => Self::Plain,
        }
    }
}

fn header(out: &mut Vec<u8>, kind: u8, count: usize) {
    out.push(kind);
    number::write(out, count);
    out.extend_from_slice(b"\r\n");
}

/// The frames of a RESP2 reply that is known to be whole.
struct Frames<'b> {
    rest: &'b [u8],
}

impl<'b> Frames<'b> {
    /// The first line of the next frame, without its end, and what is behind it.
    fn line(&self) -> (&'b [u8], &'b [u8]) {
        let end = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
        let (line, behind) = self.rest.split_at(end);
        (line.strip_suffix(b"\r\n").unwrap_or(line), behind)
    }

    /// Steps into the next frame if it is an array; how many elements it has.
    fn count(&mut self) -> Option<usize> {
        let (line, behind) = self.line();
        let count = number::unsigned(line.strip_prefix(b"*")?)?;
        let count = usize::try_from(count).ok()?;
        self.rest = behind;
        Some(count)
    }

    /// The next frame's body, if it is a bulk. Does not step over it.
    fn bulk(&self) -> Option<&'b [u8]> {
        let (line, behind) = self.line();
        let length = number::unsigned(line.strip_prefix(b"$")?)?;
        behind.get(..usize::try_from(length).ok()?)
    }

    /// Appends the next value with all that is in it, nulls as RESP3 has them.
    fn copy(&mut self, out: &mut Vec<u8>) {
        let mut owed = 1_usize;
        while owed > 0 && !self.rest.is_empty() {
            owed -= 1;
            let (line, behind) = self.line();
            let mut len = self.rest.len() - behind.len();
            if line == b"$-1" || line == b"*-1" {
                out.extend_from_slice(b"_\r\n");
                self.rest = behind;
                continue;
            }
            let number = line.get(1..).and_then(number::unsigned);
            let number = number.and_then(|number| usize::try_from(number).ok());
            match (line.first(), number) {
                (Some(b'*'), Some(count)) => owed = owed.saturating_add(count),
                (Some(b'$'), Some(length)) => {
                    len = len
                        .saturating_add(length)
                        .saturating_add(2)
                        .min(self.rest.len());
                }
                _ => {}
            }
            let (frame, rest) = self.rest.split_at(len);
            out.extend_from_slice(frame);
            self.rest = rest;
        }
    }

    /// Appends the next value as a number, if it is a bulk.
    fn double(&mut self, out: &mut Vec<u8>) {
        let Some(text) = self.bulk() else {
            return self.copy(out);
        };
        out.push(b',');
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
        self.copy(&mut Vec::new());
    }
}
