//! CLUSTER, of a server that is in none: it says so, but what is wrong with a request first.
//!
//! Its subcommands are no rows of the [table of commands](super::super::table): a row says what is
//! told and counted of a command, and by whom it is done; of these all are refused in the same words.

use super::{Args, RequestError, table::takes};

/// The subcommands of Redis 7.0.15, with the whole request's arity as rows of commands have it.
const SUBCOMMANDS: [(&str, i8); 27] = [
    ("cluster|addslots", -3),
    ("cluster|addslotsrange", -4),
    ("cluster|bumpepoch", 2),
    ("cluster|count-failure-reports", 3),
    ("cluster|countkeysinslot", 3),
    ("cluster|delslots", -3),
    ("cluster|delslotsrange", -4),
    ("cluster|failover", -2),
    ("cluster|flushslots", 2),
    ("cluster|forget", 3),
    ("cluster|getkeysinslot", 4),
    ("cluster|help", 2),
    ("cluster|info", 2),
    ("cluster|keyslot", 3),
    ("cluster|links", 2),
    ("cluster|meet", -4),
    ("cluster|myid", 2),
    ("cluster|nodes", 2),
    ("cluster|replicas", 3),
    ("cluster|replicate", 3),
    ("cluster|reset", -2),
    ("cluster|saveconfig", 2),
    ("cluster|set-config-epoch", 3),
    ("cluster|setslot", -4),
    ("cluster|shards", 2),
    ("cluster|slaves", 3),
    ("cluster|slots", 2),
];

/// What every well-formed request about a cluster is answered.
pub(super) const NO_CLUSTER: RequestError<'static> =
    RequestError::Said("ERR This instance has cluster support disabled");

/// Why a CLUSTER is not done.
pub(super) fn refusal<'b>(args: &Args<'b>) -> RequestError<'b> {
    let (command, sub) = (args.at(0), args.at(1));
    let is_meant = |name: &str| {
        let (_, name) = name.split_once('|').unwrap_or_default();
        name.as_bytes().eq_ignore_ascii_case(sub)
    };
    match SUBCOMMANDS.iter().find(|(name, _)| is_meant(name)) {
        None => RequestError::UnknownSubcommand { command, sub },
        Some((name, arity)) if !takes(*arity, args.count()) => RequestError::Arity(name),
        Some(_) => NO_CLUSTER,
    }
}
