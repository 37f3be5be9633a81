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
//! The floors of the house, bottom-up; a module uses only what stands below it.

pub mod backend;
pub mod cli;
pub mod config;
pub mod fill;
pub mod io;
pub mod mesh;
pub mod protocol;
pub mod route;
mod runtime;
pub mod server;
pub mod shard;
pub mod store;
mod sync;
