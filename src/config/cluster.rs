//! Limits of what is asked about a Redis Cluster.

/// How often a node is asked about its cluster although nothing has happened, in milliseconds, half
/// to one and a half times this. What has changed is mostly found out by a request that goes astray,
/// at once; this is for what none finds out, such as masters that were added. An answer is a few
/// kilobytes.
pub const CLUSTER_REFRESH_MS: u64 = 5_000;

/// The same while a node that has keys is away, in milliseconds: a replica takes over at some time,
/// and until somebody says so its keys get errors.
pub const CLUSTER_REFRESH_MS_TROUBLED: u64 = 250;

/// The least time between two questions, in milliseconds: while many slots move at once, every one
/// of them is a reason to ask.
pub const CLUSTER_REFRESH_MS_MIN: u64 = 50;

/// Nodes of a cluster for which open files are set aside at the start, for each shard, as it is not
/// known yet how many there are. With more, `ulimit -n` has to leave room beside
/// `--connections-max`.
pub const CLUSTER_NODES_EXPECTED: usize = 32;

const _: () = assert!(CLUSTER_REFRESH_MS_MIN < CLUSTER_REFRESH_MS_TROUBLED);
const _: () = assert!(CLUSTER_REFRESH_MS_TROUBLED < CLUSTER_REFRESH_MS);
