//! What differs from Redis in what the servers say of themselves.

use super::{Reply, bytes};
use crate::harness::admin::{SAME_SETTINGS, SETTINGS};
use crate::harness::compare::Token;
use crate::harness::replies::{line_end, resp_length};

/// Fields of INFO that one of the two does not have.
const OWN_FIELDS: &[&str] = &[
    "used_cpu_sys_main_thread",
    "used_cpu_user_main_thread",
    "ringfort_version",
    "shards",
    "memcache_port",
    "shard_hops",
    "shard_loans",
    "backend_requests",
    "backend_failures",
    "backend_ejects",
    "backend_readmits",
    "backend_probes",
    "backend_eject_misses",
    "backend_diverted",
    "backend_replica_reads",
    "backend_replica_retries",
    "backend_recent_reads",
    "backend_in_flight_refused",
    "writes_behind",
    "reads_from_queue",
    "writes_refused",
    "l1_invalidations",
    "l1_losses",
    "cluster_moved",
    "cluster_asked",
    "cluster_refreshes",
    "cluster_nodes",
    "fills_joined",
    "l1_invalidations",
    "l1_losses",
    "invalidations",
];

/// What fields that come and go with what was asked, or is stored, begin with.
const PASSING_FIELDS: &[&str] = &["cmdstat_", "errorstat_", "latency_percentiles_usec_", "db0"];

/// INFO: the headings and the names of the fields that both have, in their order.
pub(crate) fn info_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    if reply.command?.name() != "INFO" || !matches!(reply.bytes.first(), Some(b'$' | b'=')) {
        return None;
    }
    let text = &reply.bytes[line_end(reply.bytes)? + 2..];
    let text = std::str::from_utf8(text).ok()?;
    let is_common = |line: &&str| {
        let name = line.split_once(':').map_or(*line, |(name, _)| name);
        let passes = PASSING_FIELDS.iter().any(|start| name.starts_with(start));
        !passes && !OWN_FIELDS.contains(&name)
    };
    let names = text
        .split("\r\n")
        .filter(is_common)
        .map(|line| line.split_once(':').map_or(line, |(name, _)| name));
    let sign = char::from(reply.bytes[0]).to_string();
    let names: Vec<&str> = std::iter::once(&*sign).chain(names).collect();
    Some(bytes(&names.join("\n")))
}

/// TIME: seconds that are the same but for a few, and microseconds within one.
pub(crate) fn clock_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    const TOLERANCE_SECONDS: i64 = 3;
    if reply.command?.name() != "TIME" {
        return None;
    }
    let text = std::str::from_utf8(reply.bytes).ok()?;
    let mut lines = text.strip_prefix("*2\r\n")?.split("\r\n");
    let (_, seconds) = (lines.next()?, lines.next()?.parse().ok()?);
    let (_, micros) = (lines.next()?, lines.next()?.parse::<u32>().ok()?);
    let value = Token::Time {
        value: seconds,
        tolerance: TOLERANCE_SECONDS,
    };
    (micros < 1_000_000).then(|| vec![value])
}

/// CONFIG GET: the settings that both have, by name.
pub(crate) fn settings_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let words = &reply.command?.words;
    let is_asked = reply.command?.name() == "CONFIG"
        && words.get(1)?.eq_ignore_ascii_case(b"GET")
        && matches!(reply.bytes.first(), Some(b'*' | b'%'));
    if !is_asked {
        return None;
    }
    let mut rest = &reply.bytes[line_end(reply.bytes)? + 2..];
    let mut next = || {
        let (bulk, after) = rest.split_at_checked(resp_length(rest)?)?;
        rest = after;
        Some(bulk)
    };
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (next(), next()) {
        let word = name.split(|byte| *byte == b'\n').nth(1)?.trim_ascii();
        let is_common = |known: &&str| word.eq_ignore_ascii_case(known.as_bytes());
        if SETTINGS.iter().chain(SAME_SETTINGS).any(is_common) {
            pairs.push([name, value].concat());
        }
    }
    pairs.sort_unstable();
    Some(vec![Token::Bytes(
        [&reply.bytes[..1], &pairs.concat()].concat(),
    )])
}

/// COMMAND COUNT: that there are some.
pub(crate) fn count_tokens(reply: &Reply<'_>) -> Option<Vec<Token>> {
    let words = &reply.command?.words;
    let is_asked = reply.command?.name() == "COMMAND"
        && words.get(1)?.eq_ignore_ascii_case(b"COUNT")
        && reply.bytes.starts_with(b":");
    is_asked.then(|| bytes("a number"))
}
