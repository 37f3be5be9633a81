//! What every shard is told at start, and the limits of a connection.

use std::sync::Arc;

use super::{tunables::Tunables, vitals::Vitals};
use crate::{
    config::SpeedConfig,
    protocol::resp,
    store::{Eviction, UnixMs},
};

/// Replies that wait or stand behind one that does, for one connection; it is not read from
/// beyond.
pub(super) const PIPELINE_DEPTH_MAX: usize = 1_024;

/// Bytes of replies waiting to be sent to one connection; it is not read from beyond. A single
/// reply may exceed it.
pub(super) const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// A value from this size on is sent from where it lies, in bytes: to say so to the kernel costs about
/// as much as to copy half of that.
pub(super) const LAID_IN_BYTES_MIN: usize = 32 * 1024;

/// How long replies that are ready wait at most for those behind them that other shards have to give, in milliseconds.
/// Such an answer takes microseconds, unless the other shard is kept from its core. The turns' clock has whole
/// milliseconds, so the wait ends when it goes on: a pipeline that comes just before that may take two sends.
pub(super) const HOP_WAIT_MS_MAX: u64 = 1;

/// Bytes of replies from which on they do not wait: a send of their own is no waste.
pub(super) const HOP_WAIT_BYTES_MAX: usize = 4 * 1024;

/// Bytes of push frames that one connection may leave unread; with more it is closed. About a
/// hundred thousand keys: a client that is further behind does better to begin anew.
pub(super) const PUSH_BYTES_MAX: usize = 4 << 20;

/// Bytes of invalidations for clients of one other shard, on behalf of those that redirect to them,
/// before they are replaced by telling them to drop everything.
pub(super) const LETTERS_BYTES_MAX: usize = 4 << 20;

/// A shard on which nobody tracks goes on listening for so long: whoever does again
/// need not wait for the other shards.
pub(super) const LISTEN_LINGER_MS: u64 = 10_000;

/// Redis' `tracking-table-max-keys`: keys remembered for clients that track, of all shards.
pub(super) const TRACKING_KEYS_MAX: u64 = 1_000_000;

/// Bytes of changes on their way from one shard to another, about. A mailbox has room for a
/// thousand, which may be large.
pub(super) const ASK_BYTES_MAX: usize = 2 << 20;

/// Bytes of requests that a transaction can queue; one more spoils it. As many as one request has.
pub(super) const TRANSACTION_BYTES_MAX: usize = REQUEST_BYTES_MAX;

/// Bytes of replies of a transaction, which nobody but its client waits for, that are kept for a
/// client that does not read as fast. Beyond, the transaction is still executed whole, but the
/// connection is closed, as Redis does at `client-output-buffer-limit`.
pub(super) const WORLD_REPLY_BYTES_MAX: usize = 64 << 20;

/// Keys that a connection can watch at once.
pub(super) const WATCHED_KEYS_MAX: usize = 4_096;

/// Bytes of the keys that a connection can watch at once.
pub(super) const WATCHED_BYTES_MAX: usize = 1 << 20;

/// Bytes of keys that KEYS answers; with more it is refused, as SCAN is there for them. They are
/// kept until all are found.
pub(super) const KEYS_BYTES_MAX: usize = 32 << 20;

/// What a request may look at in one turn while it goes through all keys, in buckets of the index:
/// 16 MiB of them, about two milliseconds. So a store of 1 GiB that holds little is gone through at
/// once.
pub(super) const TOUR_COST_MAX: usize = 256 * 1024;

/// What it costs to look at a key, in buckets.
pub(super) const TOUR_COST_KEY: usize = 32;

/// Bytes of pattern times bytes of key that cost as much as looking at a key does.
pub(super) const TOUR_MATCH_BYTES: usize = 4 * 1024;

/// Bytes of requests kept for a connection that must wait before it is not received from.
pub(super) const INPUT_BYTES_HELD_MAX: usize = 64 * 1024;

/// Longest request, in bytes. At a longer one the connection is closed and the log says so, as Redis does
/// at `client-query-buffer-limit`. One value is far below; [`ARGS_MAX`] arguments are that long from 57
/// bytes each on.
pub(super) const REQUEST_BYTES_MAX: usize = 64 << 20;

/// A connection that takes nothing of what it is sent for this long is closed.
pub(super) const SEND_STALL_MS_MAX: u64 = 60_000;

/// How long a shard finishes what is in flight when it is told to stop.
pub(super) const DRAIN_MS_MAX: u64 = 10_000;

/// Turns after the stop in which a shard still receives; each takes in up to all its receive
/// buffers.
pub(super) const STOP_TURNS_MAX: u32 = 16;

/// How often a shard with something to watch looks at it.
pub(super) const TICK_MS: u64 = 100;

/// Longest `get` line, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;

/// Most arguments of a RESP command, as Redis has it.
pub(super) const ARGS_MAX: usize = 1024 * 1024;

/// Longest inline RESP command, in bytes, as Redis has it.
pub(super) const INLINE_BYTES_MAX: usize = 64 * 1024;
// Without its quotes, every word of one is a bulk that may be sent, too.
const _: () = assert!(INLINE_BYTES_MAX - "''".len() <= resp::KEY_BYTES_MAX);

/// ringfort's own version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `version` answers: the memcached that is spoken here, then who speaks it. libmemcached takes
/// a first number of 0 for a broken server.
pub(super) const MEMCACHED_VERSION: &str = concat!("1.6.18-ringfort-", env!("CARGO_PKG_VERSION"));

/// What `INFO` and `HELLO` answer: the Redis that is spoken here. Libraries turn features on by it.
pub(super) const REDIS_VERSION: &str = "7.0.15";

/// CPU time, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuTime {
    /// Spent in the process itself.
    pub user_us: u64,
    /// Spent in the kernel on its behalf.
    pub system_us: u64,
}

/// What is the same for all shards.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Largest item in bytes: key, value and memcached's header.
    pub item_bytes_max: usize,
    /// What goes when memory is needed.
    pub eviction: Eviction,
    /// Client connections of all shards together.
    pub connections_max: usize,
    /// Whether memcache clients may end the process.
    pub allows_shutdown: bool,
    /// What is a matter of speed alone.
    pub speed: SpeedConfig,
    /// Tells how much CPU time the process has used; a system call.
    pub cpu_time: fn() -> CpuTime,
    /// The memory limit in bytes.
    pub memory_bytes: usize,
    /// When the process started.
    pub started: UnixMs,
    /// The port of the memcache front end, 0 if it is off.
    pub memcache_port: u16,
    /// The port of the RESP front end, 0 if it is off.
    pub resp_port: u16,
    /// The address that RESP clients connect to, empty if there is none.
    pub resp_address: String,
    /// Forty hexadecimal digits that no other run has.
    pub run_id: String,
    /// What can change.
    pub tunables: Arc<Tunables>,
    /// Asks the operating system about the process.
    pub vitals: fn() -> Vitals,
}

impl Settings {
    /// Longest bulk that a RESP client may send, in bytes: Redis' `proto-max-bulk-len`. Keys must
    /// fit, however small the items are.
    pub(super) fn bulk_bytes_max(&self) -> usize {
        self.item_bytes_max.max(resp::KEY_BYTES_MAX)
    }
}

/// Connections to servers of a pool that clients of one shard have for themselves, idle ones
/// included. As many clients as may wait at once.
pub(super) const DEDICATED_MAX: usize = 1_024;

/// Channels and patterns that one client can listen to.
pub(super) const SUBSCRIPTIONS_MAX: usize = 65_536;

/// Of the connections, those that are kept for the next client, for each server.
pub(super) const DEDICATED_IDLE_MAX: usize = 8;

/// Where servers tell of changes, one that says nothing for so long is asked whether it is there, as
/// copies of its values are old if it is not: a connection that is dead and does not look so is found
/// out after this and the time that a server may owe an answer. Each is a request and its answer for
/// two connections per shard and server; below, that would show in an idle machine.
pub(super) const TRACKED_HEARTBEAT_MS: u64 = 1_000;

/// A backend that owes an answer and says nothing at all for so long is given up, if requests have
/// less patience than this: a Redis that forks, or a machine that swaps, is not gone.
pub(super) const BACKEND_SILENCE_MS_MIN: u64 = 1_000;
