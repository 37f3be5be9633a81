//! Backends, without their sockets: pipelined requests and queued invalidations.

mod health;
mod invalidation;
mod link;
mod pipeline;
mod reply;
mod skip;
mod strays;

pub use self::{
    health::{FLAP_MS_MAX, FLAP_MS_MIN, FLAP_WINDOW_MS, GOOD_PROBES_MIN, Health},
    invalidation::{INVALIDATION_BYTES_MAX, INVALIDATION_COUNT_MAX, InvalidationQueue, QueueFull},
    link::{
        Access, Effect, GaveUp, Greeting, HEARTBEAT_MS, HOLD_MS, Link, LinkSettings,
        RECONNECT_MS_MAX, RECONNECT_MS_MIN,
    },
    pipeline::{Expects, Failure, OnLoss, Pipeline, REPEATS_MAX, Received, Terms},
    reply::{Meaning, Reply, VALUE_TOO_LARGE},
    strays::Strays,
};
