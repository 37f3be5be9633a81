//! What several rows have in common: where keys stand and what is done to them, and the tips for
//! clients of a cluster.

use super::super::{KeySpec, bits::*};

const fn keys(first: u8, last: i8, step: u8, flags: u16) -> KeySpec {
    KeySpec {
        first,
        last,
        step,
        flags,
        notes: "",
    }
}

const fn one(flags: u16) -> KeySpec {
    keys(1, 0, 1, flags)
}

const fn second(flags: u16) -> KeySpec {
    keys(2, 0, 1, flags)
}

const fn all(flags: u16) -> KeySpec {
    keys(1, -1, 1, flags)
}

const fn pairs(flags: u16) -> KeySpec {
    keys(1, -1, 2, flags)
}

const fn noted(notes: &'static str, keys: KeySpec) -> KeySpec {
    KeySpec { notes, ..keys }
}

type Keys = &'static [KeySpec];

pub(super) const READ: Keys = &[one(RO | ACCESS)];
pub(super) const READ_ALL: Keys = &[all(RO | ACCESS)];
pub(super) const READ_BOTH: Keys = &[keys(1, 1, 1, RO | ACCESS)];
pub(super) const LOOK: Keys = &[one(RO)];
pub(super) const LOOK_ALL: Keys = &[all(RO)];
pub(super) const LOOK_SECOND: Keys = &[second(RO)];
pub(super) const CREATE: Keys = &[one(OW | INSERT)];
pub(super) const CREATE_PAIRS: Keys = &[pairs(OW | INSERT)];
pub(super) const REPLACE: Keys = &[one(OW | UPDATE)];
pub(super) const REPLACE_PAIRS: Keys = &[pairs(OW | UPDATE)];
pub(super) const UPDATE_ONE: Keys = &[one(RW | UPDATE)];
pub(super) const MODIFY: Keys = &[one(RW | ACCESS | UPDATE)];
pub(super) const GROW: Keys = &[one(RW | INSERT)];
pub(super) const TAKE: Keys = &[one(RW | ACCESS | DELETE)];
pub(super) const DELETE_ALL: Keys = &[all(RM | DELETE)];
pub(super) const MOVE: Keys = &[one(RW | ACCESS | DELETE), second(OW | UPDATE)];
pub(super) const MOVE_CREATE: Keys = &[one(RW | ACCESS | DELETE), second(OW | INSERT)];
pub(super) const COPY: Keys = &[one(RO | ACCESS), second(OW | UPDATE)];
pub(super) const SET: Keys = &[noted(
    "RW and ACCESS due to the optional `GET` argument",
    one(RW | ACCESS | UPDATE | VARIABLE_FLAGS),
)];
pub(super) const GETEX: Keys = &[noted(
    "RW and UPDATE because it changes the TTL",
    one(RW | ACCESS | UPDATE),
)];

type Tips = &'static [&'static str];

const ALL_SHARDS: &str = "request_policy:all_shards";
const ALL_NODES: &str = "request_policy:all_nodes";
const MULTI_SHARD: &str = "request_policy:multi_shard";
const ALL_SUCCEEDED: &str = "response_policy:all_succeeded";
const AGG_MIN: &str = "response_policy:agg_min";
const AGG_SUM: &str = "response_policy:agg_sum";
const SPECIAL: &str = "response_policy:special";
const NONDETERMINISTIC: &str = "nondeterministic_output";
const NONDETERMINISTIC_ORDER: &str = "nondeterministic_output_order";

pub(super) const VARIES: Tips = &[NONDETERMINISTIC];
pub(super) const VARIES_IN_ORDER: Tips = &[NONDETERMINISTIC_ORDER];
pub(super) const VARIES_SHARDS: Tips = &[NONDETERMINISTIC, ALL_SHARDS, SPECIAL];
pub(super) const VARIES_NODES: Tips = &[NONDETERMINISTIC, ALL_NODES, SPECIAL];
pub(super) const SHARDS_ALL: Tips = &[ALL_SHARDS, ALL_SUCCEEDED];
pub(super) const SHARDS_ALL_MIN: Tips = &[ALL_SHARDS, AGG_MIN];
pub(super) const SHARDS_ALL_SUM: Tips = &[ALL_SHARDS, AGG_SUM];
pub(super) const SHARDS_MULTI: Tips = &[MULTI_SHARD];
pub(super) const SHARDS_MULTI_ALL: Tips = &[MULTI_SHARD, ALL_SUCCEEDED];
pub(super) const SHARDS_MULTI_MIN: Tips = &[MULTI_SHARD, AGG_MIN];
pub(super) const SHARDS_MULTI_SUM: Tips = &[MULTI_SHARD, AGG_SUM];
pub(super) const NODES_ALL: Tips = &[ALL_NODES, ALL_SUCCEEDED];
pub(super) const RANDOMKEY_TIPS: Tips = &[ALL_SHARDS, NONDETERMINISTIC];
pub(super) const SCAN_TIPS: Tips = &[NONDETERMINISTIC, "request_policy:special"];
pub(super) const KEYS_TIPS: Tips = &[ALL_SHARDS, NONDETERMINISTIC_ORDER];
pub(super) const SLOWLOG_LEN_TIPS: Tips = &[ALL_NODES, AGG_SUM, NONDETERMINISTIC];
pub(super) const SLOWLOG_GET_TIPS: Tips = &[ALL_NODES, NONDETERMINISTIC];
