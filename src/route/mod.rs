//! Which backend owns a key: the servers of a pool and the way from a key to one of them.
//!
//! A pool is only useful next to the clients and proxies that already use its servers, so the rings
//! here are exact copies of what those compute, down to the width of a float: a key that
//! libmemcached, twemproxy, libketama and others put on a server is found on that server. Nothing
//! here knows a socket or a clock.

mod detour;
mod hash_ring;
mod key_hash;
mod placement;
mod redirect;
mod router;
mod server_spec;
mod servers_file;
mod slot;
mod topology;

pub use detour::Detour;
pub use hash_ring::{Explanation, HashRing, HashRingError, HashRingMode, Point, ServerIndex};
pub use key_hash::KeyHash;
pub use placement::{Distribution, HashTag, Placement};
pub use redirect::{Elsewhere, Redirect};
pub use router::{Reason, Router, Step};
pub use server_spec::{ServerSpec, ServerSpecError, WEIGHT_MAX};
pub(crate) use servers_file::uncommented;
pub use servers_file::{
    SERVERS_MAX, ServersError, ServersErrorReason, join_servers, parse_servers,
};
pub use slot::{SLOT_COUNT, Slot, SlotMap, SlotRange};
pub use topology::{
    ClusterNode, Endpoint, NODES_MAX, NodeHealth, NodeRole, SlotGroup, Topology, TopologyError,
};
