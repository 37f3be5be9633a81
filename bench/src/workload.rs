//! What is asked for, and when: keys, values, requests and their intended starts, the same in every run.

pub(crate) mod arrivals;
pub(crate) mod item;
pub(crate) mod popularity;
pub(crate) mod preset;
pub(crate) mod rng;
pub(crate) mod script;
pub(crate) mod sizes;
pub(crate) mod trace;
pub(crate) mod zipf;
