//! Writes to servers that stand in for others: they are to live for a while only
//! (`--failover-ttl`), so that nothing old is found there once all who could delete it are gone.
//!
//! Only the time in a request is changed, in the server's own words; a request without one is given
//! one, if it may have it. What cannot have one goes as it is: docs/consistency.md has the list.

use crate::{
    config::Protocol,
    protocol::{
        Parsed, number,
        resp::{self, Args, Limits, reply},
    },
    store::UnixMs,
};

/// memcached takes what is longer than thirty days for a date, in seconds.
const RELATIVE_SECONDS_MAX: i64 = 30 * 24 * 60 * 60;

const MS_PER_SECOND: i64 = 1_000;

/// How long what is written may live, from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) ms: u64,
    pub(super) now: UnixMs,
}

impl Bound {
    /// Appends a request with the time that it may have.
    pub(super) fn encode(self, out: &mut Vec<u8>, protocol: Protocol, request: &[u8]) {
        let start = out.len();
        let is_changed = match protocol {
            Protocol::Memcache => self.memcache(out, request),
            Protocol::Resp => self.resp(out, request),
        };
        if is_changed.is_none() {
            out.truncate(start);
            out.extend_from_slice(request);
        }
    }

    fn ms(self) -> i64 {
        // At most thirty days.
        self.ms as i64
    }

    /// Whole ones: there is at least one.
    fn seconds(self) -> i64 {
        self.ms() / MS_PER_SECOND
    }

    fn now_ms(self) -> i64 {
        i64::try_from(self.now.0).unwrap_or(i64::MAX)
    }

    /// memcached's time: 0 is for ever, less than that is over.
    fn exptime(self, text: &[u8]) -> Option<i64> {
        let exptime = number::signed(text)?;
        let left = match exptime {
            ..0 => return Some(exptime),
            0 => i64::MAX,
            1..=RELATIVE_SECONDS_MAX => exptime,
            date => date.saturating_sub(self.now_ms() / MS_PER_SECOND),
        };
        Some(match left > self.seconds() {
            true => self.seconds(),
            false => exptime,
        })
    }

    /// `None` if the request is to go as it is.
    fn memcache(self, out: &mut Vec<u8>, request: &[u8]) -> Option<()> {
        let line_end = memchr::memchr(b'\n', request)? + 1;
        let (line, data) = request.split_at(line_end);
        let words = || {
            let words = line.trim_ascii_end().split(|byte| *byte == b' ');
            words.filter(|word| !word.is_empty())
        };
        let verb = words().next()?;
        match verb {
            b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" => {
                self.with_exptime(out, words(), 3)?;
            }
            b"touch" => self.with_exptime(out, words(), 2)?,
            b"gat" | b"gats" => self.with_exptime(out, words(), 1)?,
            b"ms" => self.with_flags(out, words(), 3, true)?,
            b"mg" | b"ma" | b"md" => self.with_flags(out, words(), 2, false)?,
            _ => return None,
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(data);
        Some(())
    }

    /// The words, of which the one at `place` is a time.
    fn with_exptime<'w>(
        self,
        out: &mut Vec<u8>,
        words: impl Iterator<Item = &'w [u8]>,
        place: usize,
    ) -> Option<()> {
        for (index, word) in words.enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            match index == place {
                true => number::write(out, self.exptime(word)?),
                false => out.extend_from_slice(word),
            }
        }
        Some(())
    }

    /// The words of a meta command, whose flags begin at `from`: `T` is a time, and `N` that of what
    /// is made if nothing is there.
    fn with_flags<'w>(
        self,
        out: &mut Vec<u8>,
        words: impl Iterator<Item = &'w [u8]>,
        from: usize,
        must_have: bool,
    ) -> Option<()> {
        let mut has_time = false;
        for (index, word) in words.enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            match word {
                [letter @ (b'T' | b'N'), time @ ..] if index >= from => {
                    has_time |= *letter == b'T';
                    out.push(*letter);
                    number::write(out, self.exptime(time)?);
                }
                _ => out.extend_from_slice(word),
            }
        }
        if must_have && !has_time {
            out.extend_from_slice(b" T");
            number::write(out, self.seconds());
        }
        Some(())
    }

    /// `None` if the request is to go as it is.
    fn resp(self, out: &mut Vec<u8>, request: &[u8]) -> Option<()> {
        let limits = Limits::for_replies(request.len());
        let Parsed::Complete { request: args, .. } = resp::parse(request, &limits) else {
            return None;
        };
        let is = |name: &[u8]| {
            args.get(0)
                .is_some_and(|word| word.eq_ignore_ascii_case(name))
        };
        if is(b"SET") {
            return self.with_option(out, &args, 3, true);
        }
        if is(b"GETEX") {
            return self.with_option(out, &args, 2, false);
        }
        let unit = match () {
            () if is(b"SETEX") || is(b"EXPIRE") => Unit::Seconds,
            () if is(b"PSETEX") || is(b"PEXPIRE") => Unit::Ms,
            () if is(b"EXPIREAT") => Unit::AtSecond,
            () if is(b"PEXPIREAT") => Unit::AtMs,
            () => return None,
        };
        let time = self.within(unit, args.get(2)?)?;
        reply::array_header(out, args.count());
        for (index, word) in args.iter().enumerate() {
            match index == 2 {
                true => bulk_number(out, time),
                false => reply::bulk(out, word),
            }
        }
        Some(())
    }

    /// A time of this unit, no later than is allowed.
    fn within(self, unit: Unit, text: &[u8]) -> Option<i64> {
        let time = number::signed(text)?;
        Some(time.min(match unit {
            Unit::Seconds => self.seconds(),
            Unit::Ms => self.ms(),
            Unit::AtSecond => self.now_ms().saturating_add(self.ms()) / MS_PER_SECOND,
            Unit::AtMs => self.now_ms().saturating_add(self.ms()),
        }))
    }

    /// A command whose options begin at `from` and may have a time among them; it is given one if
    /// it must have one. What was written under KEEPTTL before has been bounded then.
    fn with_option(
        self,
        out: &mut Vec<u8>,
        args: &Args<'_>,
        from: usize,
        must_have: bool,
    ) -> Option<()> {
        let (mut count, mut time) = (from, None);
        let mut rest = args.iter_from(from);
        while let Some(word) = rest.next() {
            match Unit::of_option(word) {
                Some(unit) => time = Some((unit, self.within(unit, rest.next()?)?)),
                None if word.eq_ignore_ascii_case(b"KEEPTTL") => return None,
                None if word.eq_ignore_ascii_case(b"PERSIST") => {
                    time = Some((Unit::Ms, self.ms()));
                }
                None => count += 1,
            }
        }
        let time = match (time, must_have) {
            (None, false) => return None,
            (None, true) => (Unit::Ms, self.ms()),
            (Some(time), _) => time,
        };
        reply::array_header(out, count + 2);
        args.iter()
            .take(from)
            .for_each(|word| reply::bulk(out, word));
        let mut rest = args.iter_from(from);
        while let Some(word) = rest.next() {
            if Unit::of_option(word).is_some() {
                rest.next();
            } else if !word.eq_ignore_ascii_case(b"PERSIST") {
                reply::bulk(out, word);
            }
        }
        reply::bulk(out, time.0.option());
        bulk_number(out, time.1);
        Some(())
    }
}

fn bulk_number(out: &mut Vec<u8>, number: i64) {
    reply::bulk(out, itoa::Buffer::new().format(number).as_bytes());
}

/// How Redis is told a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Ms,
    AtSecond,
    AtMs,
}

impl Unit {
    const ALL: [Self; 4] = [Self::Seconds, Self::Ms, Self::AtSecond, Self::AtMs];

    fn option(self) -> &'static [u8] {
        match self {
            Self::Seconds => b"EX",
            Self::Ms => b"PX",
            Self::AtSecond => b"EXAT",
            Self::AtMs => b"PXAT",
        }
    }

    fn of_option(word: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|unit| word.eq_ignore_ascii_case(unit.option()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::reply::encode_command;

    /// Some time in 2033.
    const NOW: UnixMs = UnixMs(2_000_000_000_000);

    const BOUND: Bound = Bound {
        ms: 60_900,
        now: NOW,
    };

    fn memcache(request: &str) -> String {
        let mut out = b"before".to_vec();
        BOUND.encode(&mut out, Protocol::Memcache, request.as_bytes());
        String::from_utf8(out.split_off(6)).unwrap()
    }

    fn resp(request: &str) -> String {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let (mut wire, mut out) = (Vec::new(), Vec::new());
        encode_command(&mut wire, &words);
        BOUND.encode(&mut out, Protocol::Resp, &wire);
        let Parsed::Complete { request, consumed } = resp::parse(&out, &Limits::for_replies(100))
        else {
            panic!("{}", out.escape_ascii());
        };
        assert_eq!(consumed, out.len());
        let words: Vec<_> = request.iter().map(String::from_utf8_lossy).collect();
        words.join(" ")
    }

    #[test]
    fn memcached_is_told_the_nearer_of_two_times() {
        for (request, sent) in [
            ("set k 7 0 1\r\nx\r\n", "set k 7 60 1\r\nx\r\n"),
            ("set k 7 61 1\r\nx\r\n", "set k 7 60 1\r\nx\r\n"),
            ("set k 7 5 1\r\nx\r\n", "set k 7 5 1\r\nx\r\n"),
            ("set k 7 -1 1\r\nx\r\n", "set k 7 -1 1\r\nx\r\n"),
            // Dates: far, near, past.
            ("add k 0 2000000061 1\r\nx\r\n", "add k 0 60 1\r\nx\r\n"),
            (
                "add k 0 2000000059 1\r\nx\r\n",
                "add k 0 2000000059 1\r\nx\r\n",
            ),
            (
                "add k 0 1900000000 1\r\nx\r\n",
                "add k 0 1900000000 1\r\nx\r\n",
            ),
            ("cas k 0 0 1 99\r\nx\r\n", "cas k 0 60 1 99\r\nx\r\n"),
            ("append k 0 0 1\r\n\n\r\n", "append k 0 60 1\r\n\n\r\n"),
            ("touch k 0\r\n", "touch k 60\r\n"),
            ("gat 100 k\r\n", "gat 60 k\r\n"),
            ("gats 3 k\r\n", "gats 3 k\r\n"),
            ("ms k 1 c\r\nx\r\n", "ms k 1 c T60\r\nx\r\n"),
            ("ms k 1 T0 c\r\nx\r\n", "ms k 1 T60 c\r\nx\r\n"),
            ("ms T9 1 T30\r\nx\r\n", "ms T9 1 T30\r\nx\r\n"),
            ("mg N90 v N90\r\n", "mg N90 v N60\r\n"),
            ("ma k N0 J5\r\n", "ma k N60 J5\r\n"),
            ("md k I T100\r\n", "md k I T60\r\n"),
        ] {
            assert_eq!(memcache(request), sent);
        }
    }

    #[test]
    fn what_has_no_time_or_a_wrong_one_goes_as_it_is() {
        for request in [
            "incr k 1\r\n",
            "delete k\r\n",
            "mg k v\r\n",
            "ma k\r\n",
            "md k\r\n",
            "set k 0 soon 1\r\nx\r\n",
            "ms k 1 Tx\r\nx\r\n",
            "no line",
            "\r\n",
        ] {
            assert_eq!(memcache(request), request);
        }
        for request in [
            "INCR k",
            "SETNX k v",
            "GETEX k",
            "SET k v KEEPTTL",
            "SET k v EX soon",
            "SET k v EX",
            "SETEX k soon v",
            "PERSIST k",
            "EXPIRE k",
        ] {
            assert_eq!(resp(request), request);
        }
    }

    #[test]
    fn redis_is_told_the_nearer_of_two_times() {
        for (request, sent) in [
            ("SET k v", "SET k v PX 60900"),
            ("set k v nx get", "set k v nx get PX 60900"),
            ("SET k v EX 61", "SET k v EX 60"),
            ("SET k v XX px 5", "SET k v XX PX 5"),
            ("SET k v PX 70000 NX", "SET k v NX PX 60900"),
            ("SET k v EXAT 2000000100", "SET k v EXAT 2000000060"),
            ("SET k v PXAT 2000000100000", "SET k v PXAT 2000000060900"),
            ("SET k v PXAT 1", "SET k v PXAT 1"),
            // The later one counts, as in Redis.
            ("SET k v EX 5 PX 70000", "SET k v PX 60900"),
            ("SETEX k 100 v", "SETEX k 60 v"),
            ("PSETEX k 100 v", "PSETEX k 100 v"),
            ("GETEX k PERSIST", "GETEX k PX 60900"),
            ("GETEX k EX 100", "GETEX k EX 60"),
            ("EXPIRE k 100 NX", "EXPIRE k 60 NX"),
            ("EXPIRE k -1", "EXPIRE k -1"),
            ("PEXPIRE k 100000", "PEXPIRE k 60900"),
            ("EXPIREAT k 2000000100", "EXPIREAT k 2000000060"),
            ("PEXPIREAT k 2000000100000", "PEXPIREAT k 2000000060900"),
        ] {
            assert_eq!(resp(request), sent);
        }
    }
}
