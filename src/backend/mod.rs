//! Backends, without their sockets: pipelined requests and queued invalidations.

mod invalidation;
mod pipeline;

pub use self::{
    invalidation::{INVALIDATION_BYTES_MAX, INVALIDATION_COUNT_MAX, InvalidationQueue, QueueFull},
    pipeline::{Expects, Meaning, Pipeline, Received, Reply},
};
