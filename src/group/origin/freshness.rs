//! How long an HTTP response is good, as RFC 9111 has it for a cache that many share.
//!
//! `no-store`, `no-cache` and `private` make it good for those only who wait for it; then
//! `s-maxage` counts, then `max-age`, then `Expires` less `Date`, each less `Age`. A response that says
//! nothing of this is good for ever, as all values of groupcache are. A number that cannot be read is
//! 0, and of two the smaller counts.
//!
//! Directives are read whatever their case, as the RFC wants and crates that parse them (`headers`
//! 0.4, `http-cache-semantics` 3.0) do not: a `No-Store` that is not heeded would be kept for ever.

use core::time::Duration;
use std::time::SystemTime;

use hyper::{
    HeaderMap,
    header::{AGE, CACHE_CONTROL, DATE, EXPIRES, PRAGMA},
};

/// The longest that is told apart from for ever, by peers as by origins: RFC 9111's own, 2^31
/// seconds, and no sum of it overflows.
pub(in crate::group) const SECONDS_MAX: u64 = 1 << 31;

/// How long the response with these headers is good from `now` on; `None` for ever.
pub(super) fn ttl(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let directives = Directives::of(headers);
    if directives.is_not_kept {
        return Some(Duration::ZERO);
    }
    let age_max = directives.s_maxage.or(directives.max_age);
    let lifetime = age_max.or_else(|| expires_in(headers, now))?;
    let age = headers.get(AGE).map_or(0, |age| seconds(age.as_bytes()));
    Some(Duration::from_secs(lifetime.saturating_sub(age)))
}

/// What `Cache-Control` says that matters here.
#[derive(Default)]
struct Directives {
    is_not_kept: bool,
    /// Seconds.
    s_maxage: Option<u64>,
    /// Seconds.
    max_age: Option<u64>,
}

impl Directives {
    fn of(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for line in headers.get_all(CACHE_CONTROL) {
            split_unquoted(line.as_bytes()).for_each(|one| directives.add(one));
            // What stands behind a quote that does not end might be that it is not to be kept.
            directives.is_not_kept |= is_left_open(line.as_bytes());
        }
        // HTTP/1.0's way, which counts where the new one is not used.
        if !headers.contains_key(CACHE_CONTROL)
            && let Some(pragma) = headers.get(PRAGMA)
        {
            split_unquoted(pragma.as_bytes())
                .filter(|one| one.eq_ignore_ascii_case(b"no-cache"))
                .for_each(|one| directives.add(one));
        }
        directives
    }

    fn add(&mut self, directive: &[u8]) {
        let (name, value) = match directive.iter().position(|byte| *byte == b'=') {
            Some(at) => (&directive[..at], &directive[at + 1..]),
            None => (directive, &b""[..]),
        };
        let least = |known: Option<u64>| {
            let given = seconds(value);
            Some(known.map_or(given, |known| known.min(given)))
        };
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"no-store" | b"no-cache" | b"private" => self.is_not_kept = true,
            b"s-maxage" => self.s_maxage = least(self.s_maxage),
            b"max-age" => self.max_age = least(self.max_age),
            _ => {}
        }
    }
}

/// Seconds until `Expires`, by the clock of who wrote it. A date that cannot be read is over.
fn expires_in(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let date = |name| {
        let text = headers.get(name)?.to_str().ok();
        Some(text.and_then(|text| httpdate::parse_http_date(text).ok()))
    };
    let Some(expires) = date(EXPIRES)? else {
        return Some(0);
    };
    let written = date(DATE).flatten().unwrap_or(now);
    let left = expires.duration_since(written).unwrap_or_default();
    Some(left.as_secs().min(SECONDS_MAX))
}

/// The parts of a line between commas that stand in no quotes.
fn split_unquoted(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quotes = Quotes::default();
    let parts = line.split(move |byte| !quotes.pass(*byte) && *byte == b',');
    parts.map(<[u8]>::trim_ascii)
}

/// Whether a line ends within quotes.
fn is_left_open(line: &[u8]) -> bool {
    let mut quotes = Quotes::default();
    line.iter().fold(false, |_, byte| quotes.pass(*byte))
}

/// Where in a quoted string a line is, byte by byte (RFC 9110, section 5.6.4).
#[derive(Default)]
struct Quotes {
    is_quoted: bool,
    is_escaped: bool,
}

impl Quotes {
    /// Passes a byte. Whether what comes next is in quotes.
    fn pass(&mut self, byte: u8) -> bool {
        if std::mem::take(&mut self.is_escaped) {
            return self.is_quoted;
        }
        self.is_escaped = self.is_quoted && byte == b'\\';
        self.is_quoted ^= byte == b'"';
        self.is_quoted
    }
}

/// A number of seconds, in quotes or not.
fn seconds(text: &[u8]) -> u64 {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"\"").unwrap_or(text);
    let text = text.strip_suffix(b"\"").unwrap_or(text);
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    text.iter().fold(0, |sum: u64, digit| {
        (sum * 10 + u64::from(digit - b'0')).min(SECONDS_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Fri, 27 Nov 2026 00:00:00 GMT";

    fn ttl_of(lines: &[(&'static str, &'static str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a header"));
        }
        let now = httpdate::parse_http_date(NOW).expect("a date");
        ttl(&headers, now).map(|ttl| ttl.as_secs())
    }

    fn by_control(line: &'static str) -> Option<u64> {
        ttl_of(&[("cache-control", line)])
    }

    #[test]
    fn what_says_nothing_is_good_for_ever() {
        assert_eq!(ttl_of(&[]), None);
        for line in [
            "",
            ",",
            "public",
            "must-revalidate",
            "x=\"max-age=1, no-store\"",
            "immutable",
        ] {
            assert_eq!(by_control(line), None, "{line}");
        }
        assert_eq!(ttl_of(&[("last-modified", NOW), ("age", "5")]), None);
    }

    #[test]
    fn what_is_not_for_all_is_not_kept() {
        for line in [
            "no-store",
            "No-Store, max-age=9",
            "max-age=9,no-cache",
            "no-cache=\"set-cookie\"",
            "PRIVATE",
            "x=\"a\\\"b\", no-store",
            "x=\"never ends, no-store",
        ] {
            assert_eq!(by_control(line), Some(0), "{line}");
        }
        assert_eq!(ttl_of(&[("pragma", "No-Cache")]), Some(0));
        let both = [("pragma", "no-cache"), ("cache-control", "max-age=9")];
        assert_eq!(ttl_of(&both), Some(9));
    }

    #[test]
    fn numbers_count_in_their_order() {
        for (line, seconds) in [
            ("max-age=60", 60),
            ("Max-Age = \"60\" ", 60),
            ("max-age=60, s-maxage=10", 10),
            ("s-maxage=100, max-age=60", 100),
            ("max-age=60, max-age=30", 30),
            ("max-age=0", 0),
            ("max-age", 0),
            ("max-age=", 0),
            ("max-age=-1", 0),
            ("max-age=1.5", 0),
            ("max-age=99999999999999999999999999", SECONDS_MAX),
        ] {
            assert_eq!(by_control(line), Some(seconds), "{line}");
        }
        let lines = [("cache-control", "public"), ("cache-control", "max-age=7")];
        assert_eq!(ttl_of(&lines), Some(7));
    }

    #[test]
    fn what_it_has_spent_on_the_way_is_gone() {
        let with_age = |age| ttl_of(&[("cache-control", "max-age=60"), ("age", age)]);
        assert_eq!(with_age("20"), Some(40));
        assert_eq!(with_age("61"), Some(0));
        assert_eq!(with_age("99999999999999999999"), Some(0));
        assert_eq!(with_age("soon"), Some(60));
    }

    #[test]
    fn a_date_counts_by_the_clock_of_who_wrote_it() {
        const LATER: &str = "Fri, 27 Nov 2026 00:01:00 GMT";
        assert_eq!(ttl_of(&[("expires", LATER)]), Some(60));
        let skewed = [
            ("expires", LATER),
            ("date", "Fri, 27 Nov 2026 00:00:50 GMT"),
        ];
        assert_eq!(ttl_of(&skewed), Some(10));
        assert_eq!(ttl_of(&[("expires", NOW), ("date", LATER)]), Some(0));
        assert_eq!(ttl_of(&[("expires", "0")]), Some(0));
        assert_eq!(
            ttl_of(&[("expires", "Friday, 27-Nov-26 00:01:00 GMT")]),
            Some(60)
        );
        let far = ttl_of(&[("expires", "Fri, 31 Dec 9999 23:59:59 GMT")]);
        assert_eq!(far, Some(SECONDS_MAX));
        let both = [("expires", LATER), ("cache-control", "max-age=5")];
        assert_eq!(ttl_of(&both), Some(5));
    }
}
