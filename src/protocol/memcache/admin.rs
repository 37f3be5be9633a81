//! Reading the commands that are about the server.
//!
//! Memory is taken once and cut into segments, not slabs, and nobody crawls or watches it. The
//! commands for all that are answered as a memcached answers that was started without: `-W`,
//! `-o no_lru_crawler,no_lru_maintainer,no_slab_reassign`.

use super::{
    parse::{Command, Outcome, take},
    reply,
    request::{Exptime, Request, ShutdownMode, Words},
};
use crate::protocol::number;

/// Fewest megabytes that `cache_memlimit` takes.
const MEMLIMIT_MEGABYTES_MIN: u64 = 8;
/// Most megabytes that `cache_memlimit` does not take for bytes.
const MEMLIMIT_MEGABYTES_MAX: u64 = 1_000_000_000;

impl<'b> Command<'b, '_> {
    /// A command that is about the server, or that nobody knows.
    pub(super) fn admin(&self, verb: &[u8], words: Words<'b>) -> Outcome<'b> {
        match verb {
            b"version" => self.complete(Request::Version),
            b"flush_all" => self.flush_all(words),
            b"verbosity" => self.verbosity(words),
            b"stats" => self.stats(words),
            b"shutdown" => self.shutdown(words),
            b"cache_memlimit" => self.cache_memlimit(words),
            b"slabs" => self.slabs(words),
            b"lru" => self.lru(words),
            b"lru_crawler" => self.lru_crawler(words),
            b"watch" => self.refuse_unless(ends_noreply(words), reply::WATCH_NOT_ALLOWED),
            _ => self.unknown(verb, words),
        }
    }

    fn flush_all(&self, words: Words<'b>) -> Outcome<'b> {
        let (words, count) = take::<2>(words);
        let (delay, noreply): (&[u8], _) = match &words[..count.min(words.len())] {
            _ if count > words.len() => return self.refuse(reply::ERROR),
            [] => (b"0", false),
            [b"noreply"] => (b"0", true),
            [delay] => (delay, false),
            [delay, last @ ..] => (delay, last == [b"noreply"]),
        };
        match number::c_signed(delay) {
            None => self.refuse_unless(noreply, reply::INVALID_EXPTIME),
            Some(delay) => self.complete(Request::FlushAll {
                delay: Exptime(delay.max(0)),
                noreply,
            }),
        }
    }

    fn verbosity(&self, words: Words<'b>) -> Outcome<'b> {
        let (words, count) = take::<2>(words);
        if count != 1 && count != 2 {
            return self.refuse(reply::ERROR);
        }
        let noreply = words[count - 1] == b"noreply";
        match number::c_unsigned(words[0]) {
            None => self.refuse_unless(noreply, reply::BAD_FORMAT),
            Some(_) => self.complete(Request::Verbosity { noreply }),
        }
    }

    /// `stats`, of which nothing is cached to be dumped.
    fn stats(&self, words: Words<'b>) -> Outcome<'b> {
        let ([argument, option], _) = take::<2>(words);
        match (argument, option) {
            (b"cachedump", _) => self.refuse(reply::CACHEDUMP_NOT_ALLOWED),
            _ => self.complete(Request::Stats { argument, option }),
        }
    }

    fn shutdown(&self, words: Words<'b>) -> Outcome<'b> {
        let (words, count) = take::<1>(words);
        let mode = match (count, words) {
            (0, _) => ShutdownMode::Now,
            (1, [b"graceful"]) => ShutdownMode::Graceful,
            _ => ShutdownMode::Invalid,
        };
        self.complete(Request::Shutdown { mode })
    }

    /// The memory limit is what it was at start: nothing to adjust.
    fn cache_memlimit(&self, words: Words<'b>) -> Outcome<'b> {
        let (words, count) = take::<2>(words);
        if count != 1 && count != 2 {
            return self.refuse(reply::ERROR);
        }
        let noreply = words[count - 1] == b"noreply";
        let line = match number::c_unsigned(words[0]) {
            None => reply::ERROR,
            Some(0..MEMLIMIT_MEGABYTES_MIN) => reply::MEMLIMIT_TOO_SMALL,
            Some(MEMLIMIT_MEGABYTES_MIN..=MEMLIMIT_MEGABYTES_MAX) => reply::MEMLIMIT_IS_FIXED,
            Some(_) => reply::MEMLIMIT_NOT_MEGABYTES,
        };
        self.refuse_unless(noreply, line)
    }

    fn slabs(&self, words: Words<'b>) -> Outcome<'b> {
        let is_quiet = ends_noreply(Words::new(words.rest()));
        let (words, count) = take::<3>(words);
        match words[0] {
            b"reassign" if count == 3 => self.refuse(reply::SLAB_REASSIGNMENT_DISABLED),
            b"automove" => self.refuse_unless(is_quiet, reply::ERROR),
            _ => self.refuse(reply::ERROR),
        }
    }

    fn lru(&self, words: Words<'b>) -> Outcome<'b> {
        self.refuse_unless(ends_noreply(words), reply::ERROR)
    }

    fn lru_crawler(&self, words: Words<'b>) -> Outcome<'b> {
        let (words, count) = take::<2>(words);
        let is_crawl = count == 2 && matches!(words[0], b"crawl" | b"metadump");
        self.refuse(if is_crawl {
            reply::LRU_CRAWLER_DISABLED
        } else {
            reply::ERROR
        })
    }
}

fn ends_noreply(words: Words<'_>) -> bool {
    words.last() == Some(b"noreply")
}
