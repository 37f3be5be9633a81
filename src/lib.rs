//! ringfort: a cache proxy for bare-metal Linux.
//!
//! The flow:
//!
//! ```text
//! bytes in -> parse -> route -> store hit ------------------------------> encode -> bytes out
//!                            \-> backend (miss, write) ----------------/
//!                            \-> owner shard's mailbox (mutation, fill) /
//! ```
//!
//! The floors of the house, from the roof down; a module uses only what stands below it
//! (`tests/tidy.rs` has the table, edge by edge, and insists on it):
//!
//! ```text
//! main       the process: what was typed, and serve it or print it
//! library    for other programs: a group in a process of their own
//! cli        what was typed, as a Config; explain
//! server     checks the machine, binds, spawns and pins shards, ends them on a signal
//! shard      the turn: connections, requests, replies in order, pool mode, statistics
//! group      where values come from that are loaded once for all: an origin, through peers
//! client     an asynchronous client over the same links, for other programs, too
//! backend    links to servers and their queued deletes, without their sockets
//! fill       one fetch per key for all who ask for it, void once the key is written
//! io         what a shard asks of sockets; the io_uring that gives it, a seeded fake that pretends
//! spool      writes that wait for their servers on disk: the bytes, and what may be removed
//! mesh       queues from each shard to each other, and waking who sleeps
//! runtime    the only door to glommio: threads pinned to cores, and one that waits for files
//! config     what ringfort runs with, resolved, and its limits; plain data
//! store      the memory: one writer and any number of readers per partition
//! route      which server of a pool owns a key
//! protocol   memcache and RESP, both directions, bytes to borrowed values and back
//! sync       atomics: the standard ones, or loom's
//! ```
//!
//! From `config` down nothing opens a socket or a file, reads a clock or starts a thread: time is passed in.
//! Start with `shard::turn`, which is the loop, then read `shard::memcache` for what a request
//! means, and `store` for where it ends.

pub mod backend;
pub mod cli;
pub mod client;
pub mod config;
pub mod fill;
pub mod group;
pub mod io;
pub mod library;
pub mod mesh;
pub mod protocol;
pub mod route;
mod runtime;
pub mod server;
pub mod shard;
pub mod spool;
pub mod store;
mod sync;
