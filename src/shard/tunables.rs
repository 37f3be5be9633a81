//! What `CONFIG SET` changes while the server runs: read by every shard, written by whoever is told.

use std::sync::atomic::{AtomicU64, Ordering};

use super::settings::TRACKING_KEYS_MAX;

/// A setting that is one number.
#[derive(Debug)]
pub(super) struct Knob(AtomicU64);

impl Knob {
    const fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// The settings that can change. Shards see a change with their next turn.
#[derive(Debug)]
pub struct Tunables {
    /// Client connections of all shards together.
    pub(super) connections_max: Knob,
    /// Seconds after which a client that says nothing is closed; 0 for never.
    pub(super) idle_seconds_max: Knob,
    /// Requests that take longer, in microseconds, are logged; [`NEVER`] logs none.
    pub(super) slow_log_us: Knob,
    /// Requests that the slow log holds.
    pub(super) slow_log_len_max: Knob,
    /// Whether latencies are counted: 1 or 0.
    pub(super) latency_tracking: Knob,
    /// Requests that take so long, in milliseconds, are events of the latency monitor; 0 for none.
    pub(super) latency_monitor_ms: Knob,
    /// Keys remembered for clients that track, of all shards; 0 for any number.
    pub(super) tracking_keys_max: Knob,
}

/// Longer than anything takes; CONFIG writes it as -1.
pub(super) const NEVER: u64 = u64::MAX;

impl Tunables {
    /// Redis' defaults.
    pub fn new(connections_max: usize) -> Self {
        Self {
            connections_max: Knob::new(connections_max as u64),
            idle_seconds_max: Knob::new(0),
            slow_log_us: Knob::new(10_000),
            slow_log_len_max: Knob::new(128),
            latency_tracking: Knob::new(1),
            latency_monitor_ms: Knob::new(0),
            tracking_keys_max: Knob::new(TRACKING_KEYS_MAX),
        }
    }

    /// Whether every request is timed, because somebody asked for what sampling would miss.
    pub(super) fn times_all(&self) -> bool {
        self.slow_log_us.get() < super::meter::SAMPLED_SLOW_US_MIN
    }
}
