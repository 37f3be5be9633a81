//! A shard: one core's thread with everything it owns, working in turns.
//!
//! * `batch`, `core`, `session`, `replies`, `form`: executing requests and keeping replies in order
//! * `memcache`, `resp`, `flush`: what requests mean; `run`: those that run where their key lives
//! * `pool`: the same where the truth lives on servers behind
//! * `downstream`, and this file: connections and the turn

mod batch;
mod buffers;
mod clients;
mod core;
mod downstream;
mod flush;
mod form;
mod memcache;
mod message;
mod meter;
mod pause;
mod peers;
mod pool;
mod replies;
mod resp;
mod round;
mod run;
mod session;
mod settings;
mod stats;
mod tunables;
mod turn;
mod vitals;

pub use self::{
    message::{Answer, Ask},
    pool::PoolSettings,
    settings::Settings,
    stats::StatsBoard,
    tunables::Tunables,
    turn::{Parts, Shard, StopFlag},
    vitals::Vitals,
};
