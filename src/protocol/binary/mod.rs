//! memcached's binary protocol, as memcached 1.6.18 speaks it (`doc/protocol-binary.xml` and its
//! behaviour).
//!
//! It shares a port with the text protocol: a connection whose first byte is [`REQUEST_MAGIC`]
//! speaks this one to its end. Keys, flags, expiry and limits mean what they mean in
//! [`memcache`](super::memcache), except that a key may hold any bytes.

mod header;
mod opcode;
mod parse;
pub mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use header::REQUEST_MAGIC;
pub use parse::parse;
pub use reply::Status;
pub use request::{Command, Echo, KeyCommand, Limits, Refusal, Request};
