//! Backends, without their sockets: pipelined requests and queued writes.

mod health;
mod link;
mod pipeline;
mod reply;
mod skip;
mod strays;
mod write_queue;

pub use self::{
    health::{FLAP_MS_MAX, FLAP_MS_MIN, FLAP_WINDOW_MS, GOOD_PROBES_MIN, Health},
    link::{
        Access, Effect, GaveUp, Greeting, HEARTBEAT_MS, HOLD_MS, Link, LinkSettings,
        RECONNECT_MS_MAX, RECONNECT_MS_MIN, hello,
    },
    pipeline::{Expects, Failure, OnLoss, Pipeline, REPEATS_MAX, Recalled, Received, Terms},
    reply::{Meaning, Reply, VALUE_TOO_LARGE},
    strays::Strays,
    write_queue::{QueueFull, WRITE_BYTES_MAX, WRITE_COUNT_MAX, WriteQueue},
};
