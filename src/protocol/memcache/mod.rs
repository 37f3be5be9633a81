//! memcached's text protocol, classic and meta, as memcached 1.6.18 speaks it (`doc/protocol.txt`
//! and its behaviour).

mod admin;
mod base64;
pub mod flagged;
pub mod meta;
mod parse;
mod plain;
pub mod reply;
mod request;
mod spelling;
#[cfg(test)]
mod tests;

pub use parse::parse;
pub use plain::{PlainKeys, PlainSet, SetLine, plain_get, plain_keys, plain_set, set_line};
pub use request::{
    Deadline, Direction, Exptime, KEY_BYTES_MAX, Keys, Limits, Refusal, Request, ShutdownMode,
    StoreVerb,
};
pub use spelling::{BASE64_KEY_BYTES_MAX, Spelling, push_meta_key, push_meta_key_flag};
