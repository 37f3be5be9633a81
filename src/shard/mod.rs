//! A shard: one core's thread with everything it owns, working in turns.
//!
//! * `batch`, `core`, `session`, `replies`, `form`: executing requests and keeping replies in order
//! * `memcache`, `memcache_pool`, `resp`, `resp_pool`, `report`, `flush`: what requests mean
//! * `pool`, `link`, `errand`, `backends`: pool mode
//! * `downstream`, and this file: connections and the turn

mod backends;
mod batch;
mod buffers;
mod core;
mod downstream;
mod errand;
mod flush;
mod form;
mod link;
mod memcache;
mod memcache_pool;
mod message;
mod peers;
mod pool;
mod replies;
mod report;
mod resp;
mod resp_pool;
mod session;
mod settings;
mod stats;
mod turn;

pub use self::{
    message::{Answer, Ask},
    pool::PoolSettings,
    settings::Settings,
    stats::StatsBoard,
    turn::{Parts, Shard, StopFlag},
};
