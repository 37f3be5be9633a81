//! A shard: one core's thread with everything it owns, working in turns.
//!
//! * `batch`, `core`, `session`, `replies`, `form`: executing requests and keeping replies in order
//! * `memcache`, `resp`, `flush`: what requests mean; `run`: those that run where their key lives
//! * `pool`: the same where the truth lives on servers behind
//! * `downstream`, and this file: connections and the turn

mod batch;
mod buffers;
mod core;
mod downstream;
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
mod stop;
mod turn;

pub use self::{
    message::{Answer, Ask},
    pool::PoolSettings,
    settings::{CpuTime, Settings},
    stats::StatsBoard,
    stop::StopFlag,
    turn::{Parts, Shard},
};
