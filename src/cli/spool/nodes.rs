//! Who of a cluster's nodes has which slot, as one of them says.

use std::io;

use super::sender::Stream;
use crate::{
    protocol::{
        Parsed,
        resp::{Limits, reply::Scan},
    },
    route::{Endpoint, ServerSpec, Slot, SlotMap, Topology},
};

/// The longest string in an answer, in bytes; host names are far shorter.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Bytes of an answer: what the largest cluster says of each slot by itself stays below.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The nodes of a cluster.
#[derive(Debug)]
pub(super) struct Nodes {
    topology: Topology,
    slots: SlotMap,
    asked: ServerSpec,
}

impl Nodes {
    /// Asks one of them.
    ///
    /// # Errors
    /// It is not there, or does not say who has which slot.
    pub(super) fn ask(node: &ServerSpec) -> io::Result<Self> {
        let frame = ask(node)?;
        let limits = Limits::for_replies(TEXT_BYTES_MAX);
        let topology = Topology::from_slots(&frame, &limits);
        let topology = topology.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self {
            slots: topology.slot_map(),
            topology,
            asked: node.clone(),
        })
    }

    /// The address of the node that has a key's slot.
    pub(super) fn of(&self, key: &[u8]) -> Option<String> {
        let group = usize::from(self.slots.holder(Slot::of(key))?);
        let master = self.topology.groups.get(group)?.master()?;
        let host = match &master.endpoint {
            Endpoint::At(host) => host.clone(),
            Endpoint::AsAsked => self.asked.host.clone(),
            Endpoint::Unknown => return None,
        };
        let node = ServerSpec {
            host,
            port: master.port?,
            weight: 1,
            name: None,
        };
        Some(node.address())
    }
}

fn ask(node: &ServerSpec) -> io::Result<Vec<u8>> {
    let mut stream = Stream::connect(&node.address())?;
    stream.write_all(b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n")?;
    let limits = Limits::for_replies(TEXT_BYTES_MAX);
    let (mut frame, mut scan) = (Vec::new(), Scan::START);
    let mut chunk = [0; 16 << 10];
    loop {
        match scan.advance(&frame, &limits) {
            Parsed::Complete { consumed, .. } => {
                frame.truncate(consumed);
                return Ok(frame);
            }
            Parsed::Refused { .. } => return Err(io::ErrorKind::InvalidData.into()),
            Parsed::Incomplete { .. } => {}
        }
        let length = stream.read(&mut chunk)?;
        if length == 0 || frame.len() + length > ANSWER_BYTES_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        frame.extend_from_slice(&chunk[..length]);
    }
}
