//! Groups: a key that is missing is loaded once for everybody who asks for it, on every shard.
//!
//! ```text
//!   client, any shard -> miss -> the key's owner shard: its fill is joined or started
//!        started -> port -> dispatch, on the group's executor -> owner peer, or loader
//!        answered <- kept for its TTL <- port <------------------ value
//! ```
//!
//! * `loader`: where values come from
//! * `port`: how shards have keys loaded, and hear of what became of it
//! * `dispatch`: limits, deadlines, and asking the loader
//! * `unheard`: shards that are to be woken
//! * `visits`, `calls`: who is no client, and threads of the program that asks
//! * `lane`: loads that wait for their turn
//! * `peers`, `peers_file`, `circle`, `silences`: who owns a key, and asking that peer
//! * `recalls`, `answering`: being asked by peers, without ever waiting for each other
//! * `wire`, `peer_server`, `peer_client`: groupcache's protocol
//! * `statistics`: what is counted

mod answering;
pub mod calls;
mod changes;
pub mod circle;
mod connections;
pub mod dispatch;
mod headers;
mod lane;
mod loader;
pub mod origin;
mod peer_client;
mod peer_server;
pub mod peers;
pub mod peers_file;
mod places;
pub mod port;
mod recalls;
mod silences;
pub mod statistics;
mod stream;
mod turns;
mod unheard;
mod visits;
pub mod wire;

pub use self::headers::Hop;
pub use self::loader::{LoadError, LoadFuture, Loaded, Loader, Wanted};
pub use self::peer_client::{PeerClient, PeerError};
pub use self::peer_server::{Asker, ChangeFuture, PeerHandler, PeerServer, PeerServerSettings};
pub use self::port::Change;
pub use self::stream::PeerLimits;
