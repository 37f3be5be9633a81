//! What puts load on a server: threads with connections of their own, the two loops that drive them, what they found.

pub(crate) mod closed_loop;
pub(crate) mod conn;
pub(crate) mod cpu;
pub(crate) mod crew;
pub(crate) mod fleet;
pub(crate) mod open_loop;
pub(crate) mod origin;
pub(crate) mod recorder;
pub(crate) mod tally;
pub(crate) mod target;
