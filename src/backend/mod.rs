//! Backends, without their sockets: pipelined requests and queued writes.

mod health;
mod link;
mod pipeline;
mod queued_write;
mod recent;
mod reply;
mod skip;
mod slot_writes;
mod strays;
mod write_queue;

pub use self::{
    health::{FLAP_MS_MAX, FLAP_MS_MIN, FLAP_WINDOW_MS, GOOD_PROBES_MIN, Health, is_unfit},
    link::{
        Access, Effect, GaveUp, Greeting, HEARTBEAT_MS, HOLD_MS, Link, LinkSettings,
        RECONNECT_MS_MAX, RECONNECT_MS_MIN, hello,
    },
    pipeline::{
        Expects, Failure, OnLoss, Pipeline, REPEATS_MAX, Recalled, Received, Terms, is_refusal,
    },
    queued_write::{QueueFull, WRITE_BYTES_MAX, WRITE_COUNT_MAX},
    recent::RecentWrites,
    reply::{Meaning, Reply, VALUE_TOO_LARGE},
    slot_writes::SlotWrites,
    strays::Strays,
    write_queue::WriteQueue,
};
