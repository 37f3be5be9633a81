//! INFO: what the server says of itself, in the sections and names that tools read.
//!
//! Every field of Redis 7.0 that a field of the same meaning exists for is there, with that
//! meaning; a field whose subject does not exist here (replicas, files, scripts, …) says what it
//! says of a Redis without them, for tools that miss it otherwise. Fields of ringfort's own come
//! last in their section.

mod commands;
mod server;
mod stats;

use std::{cell::OnceCell, fmt::Display, io::Write as _};

use super::super::{core::Core, session::Session, stats::Totals, vitals::Vitals};
use crate::{
    protocol::resp::{Rest, Version, reply},
    store::PartitionStats,
};

/// A section: its title, whether it is shown unasked, and what writes it.
type Section = (&'static str, bool, fn(&Facts<'_>, &mut Lines<'_>));

/// A section of ringfort's own, where there is a group.
const GROUPS: &str = "Groups";

/// In Redis' order.
const SECTIONS: [Section; 14] = [
    ("Server", true, server::server),
    ("Clients", true, server::clients),
    ("Memory", true, server::memory),
    ("Persistence", true, server::persistence),
    ("Stats", true, stats::stats),
    ("Replication", true, server::replication),
    ("CPU", true, server::cpu),
    ("Modules", true, |_, _| {}),
    ("Commandstats", false, commands::calls),
    ("Errorstats", true, commands::errors),
    ("Latencystats", false, commands::latencies),
    ("Cluster", true, |_, lines| lines.add("cluster_enabled", 0)),
    ("Keyspace", true, stats::keyspace),
    (GROUPS, true, |facts, lines| {
        let figures = facts.core.group_figures();
        figures
            .iter()
            .for_each(|(name, count)| lines.add(name, count));
    }),
];

/// What sections are written from.
struct Facts<'c> {
    core: &'c Core,
    totals: Totals,
    store: PartitionStats,
    vitals: OnceCell<Vitals>,
}

impl Facts<'_> {
    fn uptime_seconds(&self) -> u64 {
        u64::from(self.core.seconds_since_start())
    }

    /// The process' own numbers, asked for once and only if a section needs them.
    fn vitals(&self) -> &Vitals {
        self.vitals.get_or_init(self.core.settings.vitals)
    }
}

/// The lines of a section.
struct Lines<'o>(&'o mut Vec<u8>);

impl Lines<'_> {
    fn add(&mut self, name: &str, value: impl Display) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    fn add_all(&mut self, lines: &[(&str, &dyn Display)]) {
        lines.iter().for_each(|(name, value)| self.add(name, value));
    }

    /// Bytes, and the same for people.
    fn add_bytes(&mut self, name: &str, bytes: u64) {
        self.add(name, bytes);
        self.add(&format!("{name}_human"), human(bytes));
    }
}

/// Bytes as Redis writes them for people.
fn human(bytes: u64) -> String {
    for (shift, unit) in [(50, "P"), (40, "T"), (30, "G"), (20, "M"), (10, "K")] {
        if bytes >= 1 << shift {
            return format!("{:.2}{unit}", bytes as f64 / (1_u64 << shift) as f64);
        }
    }
    format!("{bytes}B")
}

/// Part of a whole, 0 if there is no whole.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

/// Answers INFO.
pub(super) fn info(session: &mut Session, core: &mut Core, wanted: Rest<'_>, version: Version) {
    let mut text = core.buffers.take();
    let facts = Facts {
        core,
        totals: core.board.totals(),
        store: core.store.stats(),
        vitals: OnceCell::new(),
    };
    for (title, is_default, write) in SECTIONS {
        let is_there = title != GROUPS || core.is_group();
        if !is_there || !is_wanted(title, is_default, wanted) {
            continue;
        }
        if !text.is_empty() {
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(format!("# {title}\r\n").as_bytes());
        write(&facts, &mut Lines(&mut text));
    }
    reply::verbatim(session.ready(&mut core.buffers), &text, version);
    core.buffers.put(text);
}

/// Whether a section is asked for: by name, with `all` or `everything`, or with `default` or
/// nothing at all if it is one of those.
fn is_wanted(title: &str, is_default: bool, wanted: Rest<'_>) -> bool {
    if wanted.count() == 0 {
        return is_default;
    }
    wanted.into_iter().any(|word| {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        is(title) || is("all") || is("everything") || (is_default && is("default"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_two_decimals() {
        for (bytes, expected) in [
            (0, "0B"),
            (1_023, "1023B"),
            (1_024, "1.00K"),
            (1_171_168, "1.12M"),
            (25_276_502_016, "23.54G"),
        ] {
            assert_eq!(human(bytes), expected);
        }
    }
}
