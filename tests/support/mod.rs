//! The furniture of the tests that talk over real sockets: processes, a raw connection, Python.
//!
//! Every test binary mounts this folder as a module and uses its own part of it. The two pieces that know
//! neither a process nor a socket, `transcript.rs` and `linearizability.rs`, stand beside and are mounted by
//! path where they are wanted.
#![allow(dead_code, reason = "each test binary uses a part of the furniture")]

pub(crate) mod backends;
pub(crate) mod binary;
pub(crate) mod cluster;
pub(crate) mod executor;
pub(crate) mod gate;
pub(crate) mod gated;
pub(crate) mod keys;
pub(crate) mod memcached_counts;
pub(crate) mod node;
pub(crate) mod origin;
pub(crate) mod process;
pub(crate) mod python;
pub(crate) mod ringfort;
pub(crate) mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long anything may take before a test gives up on it. It only ever ends a test that has failed, so it is
/// far above what a loaded machine needs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks at something that announces nothing.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Looks until `look` finds something; panics with `what` when [`DEADLINE`] has passed.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "waited {DEADLINE:?} in vain for {what}"
        );
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Says that it is over when it is dropped, even by a panic. A scope waits for its threads: if they waited for a word
/// that never comes, a test that has failed would hang.
#[must_use]
pub(crate) fn over_when_dropped(is_over: &AtomicBool) -> impl Drop {
    scopeguard::guard(is_over, |is_over| is_over.store(true, Ordering::Relaxed))
}

/// Has shards ask each other for something, from so many connections that each asks, nearly for certain: what they asked
/// before has arrived then. A read of a group counts as soon as its shard has asked the key's owner.
pub(crate) fn pass_between_shards(mut connect: impl FnMut() -> wire::Wire) {
    for _ in 0..32 {
        // All are asked whether the client is theirs.
        connect().ask("CLIENT KILL ID 999999999\r\n", ":0\r\n");
    }
}
