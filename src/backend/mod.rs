//! Backends, without their sockets: pipelined requests and queued invalidations.

mod invalidation;
mod link;
mod pipeline;
mod reply;
mod skip;

pub use self::{
    invalidation::{INVALIDATION_BYTES_MAX, INVALIDATION_COUNT_MAX, InvalidationQueue, QueueFull},
    link::{
        Access, Effect, GaveUp, Greeting, HEARTBEAT_MS, HOLD_MS, Link, LinkSettings,
        RECONNECT_MS_MAX, RECONNECT_MS_MIN,
    },
    pipeline::{Expects, Failure, OnLoss, Pipeline, REPEATS_MAX, Received, Terms},
    reply::{Meaning, Reply, VALUE_TOO_LARGE},
};
