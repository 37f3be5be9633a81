//! Who of a cluster's nodes has which slot, as one of them says.

use std::io;

use super::sender::Stream;
use crate::{
    protocol::{
        Parsed,
        resp::{
            Limits,
            reply::{Scan, encode_command},
        },
    },
    route::{Endpoint, ServerSpec, Slot, SlotMap, Topology},
};

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
        let limits = Limits::for_replies(Topology::TEXT_BYTES_MAX);
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
    let mut request = Vec::new();
    encode_command(&mut request, &[b"CLUSTER", b"SLOTS"]);
    stream.write_all(&request)?;
    let limits = Limits::for_replies(Topology::TEXT_BYTES_MAX);
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
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if frame.len() + length > ANSWER_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        frame.extend_from_slice(&chunk[..length]);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    use super::*;

    /// What comes of asking a node that answers so, and waits until who asks has gone.
    fn ask_one_that_says(answer: &[u8]) -> io::Result<Nodes> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let node = ServerSpec {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            weight: 1,
            name: None,
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 64];
                let length = stream.read(&mut request).unwrap();
                assert!(request[..length].ends_with(b"$5\r\nSLOTS\r\n"));
                // Who has heard enough goes before the end.
                if stream.write_all(answer).is_ok() {
                    let _ = stream.read(&mut request);
                }
            });
            Nodes::ask(&node)
        })
    }

    #[test]
    fn a_node_is_believed_only_if_its_answer_is_whole_and_no_longer_than_may_be() {
        let slots = b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$0\r\n\r\n:7\r\n$1\r\nx\r\n";
        let nodes = ask_one_that_says(slots).expect("who has what");
        assert_eq!(nodes.of(b"key").as_deref(), Some("127.0.0.1:7"));
        let nodes = ask_one_that_says(b"*0\r\n").expect("that nobody has anything");
        assert_eq!(nodes.of(b"key"), None);

        let error = ask_one_that_says(b"-ERR no cluster\r\n").expect_err("an error");
        assert!(error.to_string().contains("ERR no cluster"), "{error}");
        let text_bytes = Topology::TEXT_BYTES_MAX;
        let long_text = format!("*1\r\n${}\r\n", text_bytes + 1);
        let text = format!("${text_bytes}\r\n{}\r\n", "x".repeat(text_bytes));
        let long_answer = format!("*1000\r\n{}", text.repeat(ANSWER_BYTES_MAX / text_bytes));
        for answer in ["what?\r\n", &long_text, &long_answer] {
            let error = ask_one_that_says(answer.as_bytes()).expect_err("an error");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
