//! Backends, without their sockets: pipelined requests and queued invalidations.

mod invalidation;
mod pipeline;
mod reply;
mod skip;

pub use self::{
    invalidation::{INVALIDATION_BYTES_MAX, INVALIDATION_COUNT_MAX, InvalidationQueue, QueueFull},
    pipeline::{Expects, Pipeline, Received},
    reply::{Meaning, Reply, VALUE_TOO_LARGE},
};
