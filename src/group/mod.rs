//! Groups: a key that is missing is loaded once for everybody who asks for it, on every shard.
//!
//! ```text
//!   client, any shard -> miss -> the key's owner shard: its fill is joined or started
//!        started -> port -> dispatch, on the group's executor -> loader
//!        answered <- kept for its TTL <- port <------------------ value
//! ```
//!
//! * `loader`: where values come from
//! * `port`: how shards have keys loaded, and hear of what became of it
//! * `dispatch`: limits, deadlines, and asking the loader
//! * `unheard`: shards that are to be woken
//! * `visits`, `calls`: who is no client, and threads of the program that asks
//! * `wire`, `peers`, `peer_server`, `peer_client`: groupcache's protocol, and who owns a key. They
//!   work, and stand alone: no flag gives a group peers yet
//! * `statistics`: what is counted

pub mod calls;
mod connections;
pub mod dispatch;
mod loader;
pub mod origin;
mod peer_client;
mod peer_server;
pub mod peers;
pub mod port;
pub mod statistics;
mod stream;
mod unheard;
mod visits;
pub mod wire;

pub use self::loader::{LoadError, LoadFuture, Loaded, Loader, Wanted};
pub use self::peer_client::{PeerClient, PeerError};
pub use self::peer_server::{ChangeFuture, Hop, PeerHandler, PeerServer, PeerServerSettings};
pub use self::stream::PeerLimits;
