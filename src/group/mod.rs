//! Groups: a key that is missing is loaded once for everybody who asks for it, on every shard and,
//! with peers, on every machine; the protocol between peers is groupcache's.

mod loader;

pub use self::loader::{LoadError, LoadFuture, Loaded, Loader, Wanted};
