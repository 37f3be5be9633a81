//! A shard: one core's thread with everything it owns, working in turns.
//!
//! * `batch`, `core`, `session`, `replies`, `shown`, `answers`, `push`, `form`: executing requests and
//!   keeping replies in order
//! * `progress`: requests that take several turns
//! * `memcache`, `resp`, `flush`: what requests mean; `run`: those that run where their key lives
//! * `world`: what must look like one step to everybody
//! * `pool`: the same where the truth lives on servers behind
//! * `group`: the same where what is missing is loaded from an origin
//! * `tracking`: telling clients of changes of what they have read
//! * `downstream`, `intake`, `admission`, `claim`, `mailboxes`, `forwarding`, `turn`, `spin`, `drain`: connections, other shards, the loop, its sleep, and its end

mod admission;
mod answers;
mod batch;
mod buffers;
mod claim;
mod clients;
mod core;
mod downstream;
mod drain;
mod flush;
mod flush_behind;
mod form;
mod forwarding;
mod group;
mod intake;
mod mailboxes;
mod memcache;
mod message;
mod meter;
mod parts;
mod pause;
mod peers;
mod plain;
mod pool;
mod progress;
mod push;
mod replies;
mod resp;
mod round;
mod run;
mod session;
mod settings;
mod several;
mod shown;
mod spin;
mod stats;
mod tracking;
mod tunables;
mod turn;
mod vitals;
mod world;

pub use self::{
    drain::StopFlag,
    group::{FreshnessParams, GroupFigures, GroupParts},
    message::{Answer, Ask, Notice},
    parts::Parts,
    pool::{
        Addresses, Covers, EjectSettings, L1Settings, PoolSettings, ReplicaSettings,
        over_resp::Renewals, spooling::SpoolParts,
    },
    settings::{CpuTime, Settings},
    stats::StatsBoard,
    tunables::Tunables,
    turn::Shard,
    vitals::Vitals,
};
