//! What a Redis Cluster says about itself: who has which slots, and how to reach them.
//!
//! Redis 7 answers CLUSTER SHARDS, older ones CLUSTER SLOTS; in RESP3 the pairs of both are maps. A
//! node may be known by its address, by a host name, or not at all (`?`), and its *endpoint* may be
//! empty or null: then it is reached where the one that answered was (`cluster-preferred-endpoint-type`).
//! Health and ports for TLS are told by SHARDS only.

use std::fmt;

use super::slot::{Slot, SlotMap, SlotRange};
use crate::protocol::{
    Parsed,
    resp::{
        Limits,
        reply::{Reply, ReplyRefusal, parse_head, parse_reply},
    },
};

/// The most nodes, and the most groups of them: as many as there could be slots.
pub const NODES_MAX: usize = super::slot::SLOT_COUNT;

/// The most ranges that a group's slots are told in: more cannot be apart.
const RANGES_MAX: usize = super::slot::SLOT_COUNT;

/// A cluster at the time it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Who has the same slots, in the order told.
    pub groups: Vec<SlotGroup>,
}

/// Nodes that have the same slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotGroup {
    /// Their slots; none if they wait for some.
    pub ranges: Vec<SlotRange>,
    /// The nodes, in the order told.
    pub nodes: Vec<ClusterNode>,
}

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    /// 40 hexadecimal digits that stay with it.
    pub id: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its port without TLS, if it has one.
    pub port: Option<u16>,
    /// Its port for TLS, if that is told.
    pub tls_port: Option<u16>,
    /// What it does for its slots.
    pub role: NodeRole,
    /// How it is.
    pub health: NodeHealth,
}

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// At an address or a host name.
    At(String),
    /// Where the node that told of it was reached.
    AsAsked,
    /// The node that told of it does not know.
    Unknown,
}

/// What a node does for its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// It takes writes.
    Master,
    /// It follows a master.
    Replica,
}

/// How a node is, as the one that was asked sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeHealth {
    /// It works.
    Online,
    /// It is down.
    Failed,
    /// It is a replica that has not got its data yet.
    Loading,
}

impl Topology {
    /// The longest string that is read of a node's answer, in bytes; host names are far shorter.
    pub const TEXT_BYTES_MAX: usize = 64 << 10;

    /// Reads the whole reply to CLUSTER SHARDS.
    ///
    /// # Errors
    ///
    /// The server answered an error, or not what it answers to this command.
    pub fn from_shards(frame: &[u8], limits: &Limits) -> Result<Self, TopologyError> {
        let mut reader = Reader::new(frame, limits);
        let count = reader.aggregate(NODES_MAX)?;
        let groups = (0..count)
            .map(|_| reader.group())
            .collect::<Result<_, _>>()?;
        Self::of(groups)
    }

    /// Reads the whole reply to CLUSTER SLOTS. Ranges of one master become one group.
    ///
    /// # Errors
    ///
    /// The server answered an error, or not what it answers to this command.
    pub fn from_slots(frame: &[u8], limits: &Limits) -> Result<Self, TopologyError> {
        let mut reader = Reader::new(frame, limits);
        let count = reader.aggregate(RANGES_MAX)?;
        let mut groups: Vec<SlotGroup> = Vec::new();
        for _ in 0..count {
            let (range, nodes) = reader.held_range()?;
            let master = &nodes[0].id;
            let known = groups.iter_mut().find(|group| group.nodes[0].id == *master);
            match known {
                Some(group) => group.ranges.push(range),
                None => groups.push(SlotGroup {
                    ranges: vec![range],
                    nodes,
                }),
            }
        }
        Self::of(groups)
    }

    /// The cluster of these groups. A slot is one group's: a server that tells of more slots than
    /// there are is none of a cluster's.
    fn of(groups: Vec<SlotGroup>) -> Result<Self, TopologyError> {
        let ranges = groups.iter().flat_map(|group| &group.ranges);
        let slot_count: usize = ranges.map(|range| range.slot_count()).sum();
        if slot_count > super::slot::SLOT_COUNT {
            return Err(TopologyError::Unexpected("range of slots"));
        }
        Ok(Self { groups })
    }

    /// Which group has each slot, as an index of [`Topology::groups`].
    pub fn slot_map(&self) -> SlotMap {
        let held = self.groups.iter().enumerate();
        // `NODES_MAX` fits.
        SlotMap::new(held.flat_map(|(index, group)| {
            let ranges = group.ranges.iter();
            ranges.map(move |range| (*range, index as u16))
        }))
    }
}

impl SlotGroup {
    /// The node that takes writes, if there is one that is not known to be down. After a failover
    /// the old master may still be listed, as failed.
    pub fn master(&self) -> Option<&ClusterNode> {
        self.nodes
            .iter()
            .find(|node| node.role == NodeRole::Master && node.health != NodeHealth::Failed)
    }

    /// The nodes that follow it and have its data.
    pub fn replicas(&self) -> impl Iterator<Item = &ClusterNode> {
        self.nodes
            .iter()
            .filter(|node| node.role == NodeRole::Replica && node.health == NodeHealth::Online)
    }
}

/// Why a reply tells nothing about a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopologyError {
    /// The server answered this error.
    Answered(String),
    /// The reply ends early, or is none.
    Broken(Option<ReplyRefusal>),
    /// The reply is another one; this is what was to come.
    Unexpected(&'static str),
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(error) => write!(f, "the server answered '{error}'"),
            Self::Broken(_) => write!(f, "the reply is not one of Redis"),
            Self::Unexpected(what) => write!(f, "the reply has no {what} where it belongs"),
        }
    }
}

impl std::error::Error for TopologyError {}

/// A reply that is read from front to back.
struct Reader<'b> {
    rest: &'b [u8],
    limits: &'b Limits,
}

impl<'b> Reader<'b> {
    fn new(rest: &'b [u8], limits: &'b Limits) -> Self {
        Self { rest, limits }
    }

    /// Enters an aggregate of at most so many elements; a map has two for each pair.
    fn aggregate(&mut self, count_max: usize) -> Result<usize, TopologyError> {
        let is_aggregate = self.rest.first().is_some_and(|kind| b"*%~".contains(kind));
        if !is_aggregate {
            return Err(match self.reply()? {
                Reply::Error(text) => {
                    TopologyError::Answered(String::from_utf8_lossy(text).into_owned())
                }
                _ => TopologyError::Unexpected("list"),
            });
        }
        match parse_head(self.rest, self.limits) {
            Parsed::Complete { request, consumed } => {
                self.rest = &self.rest[consumed..];
                if request.owed > count_max {
                    return Err(TopologyError::Unexpected("list of that length"));
                }
                Ok(request.owed)
            }
            Parsed::Incomplete { .. } => Err(TopologyError::Broken(None)),
            Parsed::Refused { refusal, .. } => Err(TopologyError::Broken(Some(refusal))),
        }
    }

    /// The next reply, with all that is nested in it.
    fn reply(&mut self) -> Result<Reply<'b>, TopologyError> {
        match parse_reply(self.rest, self.limits) {
            Parsed::Complete { request, consumed } => {
                self.rest = &self.rest[consumed..];
                Ok(request)
            }
            Parsed::Incomplete { .. } => Err(TopologyError::Broken(None)),
            Parsed::Refused { refusal, .. } => Err(TopologyError::Broken(Some(refusal))),
        }
    }

    fn text(&mut self, what: &'static str) -> Result<&'b [u8], TopologyError> {
        match self.reply()? {
            Reply::Bulk(Some(text)) | Reply::Simple(text) => Ok(text),
            _ => Err(TopologyError::Unexpected(what)),
        }
    }

    fn integer(&mut self, what: &'static str) -> Result<i64, TopologyError> {
        match self.reply()? {
            Reply::Integer(number) => Ok(number),
            _ => Err(TopologyError::Unexpected(what)),
        }
    }

    /// Two slots that stand beside each other.
    fn range(&mut self) -> Result<SlotRange, TopologyError> {
        let first = Slot::new(self.integer("slot")?);
        let last = Slot::new(self.integer("slot")?);
        let range = first
            .zip(last)
            .and_then(|(first, last)| SlotRange::new(first, last));
        range.ok_or(TopologyError::Unexpected("range of slots"))
    }

    fn port(&mut self) -> Result<Option<u16>, TopologyError> {
        let port = self.integer("port")?;
        let port = u16::try_from(port).map_err(|_| TopologyError::Unexpected("port"))?;
        Ok((port != 0).then_some(port))
    }

    /// An address, a host name, nothing, or a question mark.
    fn endpoint(&mut self) -> Result<Endpoint, TopologyError> {
        Ok(match self.reply()? {
            Reply::Bulk(None | Some(b"")) => Endpoint::AsAsked,
            Reply::Bulk(Some(b"?")) => Endpoint::Unknown,
            Reply::Bulk(Some(text)) => Endpoint::At(name(text)?),
            _ => return Err(TopologyError::Unexpected("endpoint")),
        })
    }

    /// An element of CLUSTER SHARDS.
    fn group(&mut self) -> Result<SlotGroup, TopologyError> {
        let mut group = SlotGroup {
            ranges: Vec::new(),
            nodes: Vec::new(),
        };
        for _ in 0..self.aggregate(PAIRS_MAX)? / 2 {
            match self.text("field")? {
                b"slots" => {
                    let count = self.aggregate(2 * RANGES_MAX)?;
                    group.ranges = (0..count / 2)
                        .map(|_| self.range())
                        .collect::<Result<_, _>>()?;
                }
                b"nodes" => {
                    let count = self.aggregate(NODES_MAX)?;
                    group.nodes = (0..count).map(|_| self.node()).collect::<Result<_, _>>()?;
                }
                _ => {
                    self.reply()?;
                }
            }
        }
        Ok(group)
    }

    /// A node of CLUSTER SHARDS.
    fn node(&mut self) -> Result<ClusterNode, TopologyError> {
        let (mut id, mut role) = (None, None);
        let (mut endpoint, mut ip) = (Endpoint::Unknown, None);
        let (mut port, mut tls_port) = (None, None);
        let mut health = NodeHealth::Online;
        for _ in 0..self.aggregate(PAIRS_MAX)? / 2 {
            match self.text("field")? {
                b"id" => id = Some(name(self.text("id")?)?),
                b"port" => port = self.port()?,
                b"tls-port" => tls_port = self.port()?,
                b"ip" => ip = Some(name(self.text("address")?)?),
                b"endpoint" => endpoint = self.endpoint()?,
                b"role" => role = Some(node_role(self.text("role")?)?),
                b"health" => health = node_health(self.text("health")?)?,
                _ => {
                    self.reply()?;
                }
            }
        }
        Ok(ClusterNode {
            id: id.ok_or(TopologyError::Unexpected("id"))?,
            endpoint: or_ip(endpoint, ip),
            port,
            tls_port,
            role: role.ok_or(TopologyError::Unexpected("role"))?,
            health,
        })
    }

    /// An element of CLUSTER SLOTS: two slots, the master, then its replicas.
    fn held_range(&mut self) -> Result<(SlotRange, Vec<ClusterNode>), TopologyError> {
        let count = self.aggregate(2 + NODES_MAX)?;
        if count < 3 {
            return Err(TopologyError::Unexpected("master"));
        }
        let range = self.range()?;
        let nodes = (2..count).map(|index| match index {
            2 => self.listed_node(NodeRole::Master),
            _ => self.listed_node(NodeRole::Replica),
        });
        Ok((range, nodes.collect::<Result<_, _>>()?))
    }

    /// A node of CLUSTER SLOTS: endpoint, port, id, and since Redis 7 pairs of what else is known.
    fn listed_node(&mut self, role: NodeRole) -> Result<ClusterNode, TopologyError> {
        let count = self.aggregate(PAIRS_MAX)?;
        if count < 3 {
            return Err(TopologyError::Unexpected("node"));
        }
        let endpoint = self.endpoint()?;
        let port = self.port()?;
        let id = name(self.text("id")?)?;
        let mut ip = None;
        for index in 3..count {
            if index > 3 {
                self.reply()?;
                continue;
            }
            for _ in 0..self.aggregate(PAIRS_MAX)? / 2 {
                match self.text("field")? {
                    b"ip" => ip = Some(name(self.text("address")?)?),
                    _ => {
                        self.reply()?;
                    }
                }
            }
        }
        Ok(ClusterNode {
            id,
            endpoint: or_ip(endpoint, ip),
            port,
            tls_port: None,
            role,
            health: NodeHealth::Online,
        })
    }
}

/// The most fields of one thing; Redis 7 has 8 pairs.
const PAIRS_MAX: usize = 128;

/// A node that has no name has an address all the same.
fn or_ip(endpoint: Endpoint, ip: Option<String>) -> Endpoint {
    match (endpoint, ip) {
        (Endpoint::Unknown, Some(ip)) if !ip.is_empty() => Endpoint::At(ip),
        (endpoint, _) => endpoint,
    }
}

fn name(text: &[u8]) -> Result<String, TopologyError> {
    let text = str::from_utf8(text).map_err(|_| TopologyError::Unexpected("text"))?;
    Ok(text.to_owned())
}

fn node_role(text: &[u8]) -> Result<NodeRole, TopologyError> {
    match text {
        b"master" | b"primary" => Ok(NodeRole::Master),
        b"replica" | b"slave" => Ok(NodeRole::Replica),
        _ => Err(TopologyError::Unexpected("role")),
    }
}

fn node_health(text: &[u8]) -> Result<NodeHealth, TopologyError> {
    match text {
        b"online" => Ok(NodeHealth::Online),
        b"fail" | b"failed" => Ok(NodeHealth::Failed),
        b"loading" => Ok(NodeHealth::Loading),
        _ => Err(TopologyError::Unexpected("health")),
    }
}

#[cfg(test)]
mod tests;
