//! Groups: a key that is missing is loaded once for everybody who asks for it, on every shard and,
//! with peers, on every machine; the protocol between peers is groupcache's.

mod connections;
mod loader;
pub mod origin;
pub mod peers;
mod stream;
pub mod wire;

pub use self::loader::{LoadError, LoadFuture, Loaded, Loader, Wanted};
