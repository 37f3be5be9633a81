//! A shard: one core's thread with everything it owns, working in turns.
//!
//! * `batch`, `core`, `session`, `replies`, `form`: executing requests and keeping replies in order
//! * `memcache`, `resp`, `flush`: what requests mean; `run`: those that run where their key lives
//! * `world`: what must look like one step to everybody
//! * `pool`: the same where the truth lives on servers behind
//! * `downstream`, `turn`, `drain`: connections, the loop, and its end

mod batch;
mod buffers;
mod core;
mod downstream;
mod drain;
mod flush;
mod form;
mod memcache;
mod message;
mod peers;
mod pool;
mod replies;
mod resp;
mod run;
mod session;
mod settings;
mod stats;
mod turn;
mod world;

pub use self::{
    drain::StopFlag,
    message::{Answer, Ask},
    pool::PoolSettings,
    settings::{CpuTime, Settings},
    stats::StatsBoard,
    turn::{Parts, Shard},
};
