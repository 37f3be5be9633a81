//! What puts load on a server: connections on one poller, the two loops that drive them, and what they found.

pub(crate) mod closed_loop;
pub(crate) mod conn;
pub(crate) mod cpu;
pub(crate) mod fleet;
pub(crate) mod open_loop;
pub(crate) mod recorder;
pub(crate) mod tally;
