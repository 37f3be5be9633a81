//! A group: what it is called, where its values come from, and what loads are held to.

use std::time::Duration;

use super::{OriginSpec, PeersConfig};

/// Longest name of a group, in bytes: it is part of every path between peers.
const GROUP_NAME_BYTES_MAX: usize = 200;

/// How long a load may take, by default.
pub const LOAD_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The least that loads may be given: no source on another machine is faster.
pub const LOAD_TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// The most that loads may be given.
pub const LOAD_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// Loads under way at a time, by default.
pub const LOADS_MAX_DEFAULT: usize = 256;

/// The most: each may be a connection, and its value is in memory until it is answered.
pub const LOADS_MAX_MAX: usize = 4_096;

/// Loads that wait for their turn, by default.
pub const LOAD_QUEUE_MAX_DEFAULT: usize = 4_096;

/// The most.
pub const LOAD_QUEUE_MAX_MAX: usize = 65_536;

/// Sets and deletes of one shard's clients that peers have not all heard of; who has one more waits. Each
/// may be a connection.
pub const PEER_CHANGES_MAX: usize = 256;

/// The least time that a missing value is remembered for: what a shard's clock tells apart.
pub const NEGATIVE_TTL_MIN: Duration = Duration::from_millis(1);

/// The longest time that a missing value is remembered for.
pub const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The least time that values are shown after their end: what a shard's clock tells apart.
pub const STALE_MIN: Duration = Duration::from_millis(1);

/// The longest time that values are shown after their end.
pub const STALE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Checks what a group is to be called: it stands in paths between peers and in statistics.
///
/// # Errors
/// It is empty, too long, or has other letters than that; what to write.
pub fn check_group_name(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_short = (1..=GROUP_NAME_BYTES_MAX).contains(&name.len());
    match is_short && name.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(format!(
            "not a name; write up to {GROUP_NAME_BYTES_MAX} letters, digits, and - _ ."
        )),
    }
}

/// A group of keys, each loaded once for all who ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// What peers and origins know it by.
    pub name: String,
    /// Where values come from; `None` if a program brings a source of its own.
    pub origin: Option<OriginSpec>,
    /// Whether sets and deletes are written through to there; else they are done here alone.
    pub writes_through: bool,
    /// How long a load may take, with its time in the queue.
    pub load_timeout: Duration,
    /// Loads under way at a time.
    pub loads_max: usize,
    /// Loads that wait for their turn; one more is refused.
    pub load_queue_max: usize,
    /// How long it is remembered that a key has no value, or that its load failed; zero does not.
    pub negative_ttl: Duration,
    /// How long a value is shown after its end while there is no next one; zero does not.
    pub stale: Duration,
    /// Whether values that are read are loaded anew shortly before their end.
    pub early_refresh: bool,
    /// Who shares its keys; `None` if this process has them all.
    pub peers: Option<PeersConfig>,
}
