//! What nodes say of their cluster.

use super::{Cluster, address};
use crate::sim::redis::bulk;

impl Cluster {
    /// CLUSTER, whose subcommand this is.
    pub(crate) fn tell(&mut self, node: usize, what: &[u8], out: &mut Vec<u8>) {
        match what {
            b"INFO" => {
                let epoch = self.known[node];
                let state = if self.cut_off.contains(&node) {
                    "fail"
                } else {
                    "ok"
                };
                let text = format!("cluster_state:{state}\r\ncluster_current_epoch:{epoch}\r\n");
                bulk(out, Some(text.as_bytes()));
            }
            b"SHARDS" if !self.has_shards => {
                out.extend_from_slice(b"-ERR Unknown subcommand or wrong number of arguments\r\n");
            }
            b"SHARDS" => {
                self.tell_shards(node, out);
                self.learn(node);
            }
            b"SLOTS" => {
                self.tell_slots(node, out);
                self.learn(node);
            }
            other => panic!("the model is asked CLUSTER {other:?}"),
        }
    }

    fn tell_shards(&self, node: usize, out: &mut Vec<u8>) {
        let runs = self.runs(node);
        let count = self.node_count();
        out.extend_from_slice(format!("*{count}\r\n").as_bytes());
        for master in 0..count {
            let own = || runs.iter().filter(|(_, _, owner)| *owner == master);
            let header = format!("*4\r\n$5\r\nslots\r\n*{}\r\n", 2 * own().count());
            out.extend_from_slice(header.as_bytes());
            own().for_each(|(first, last, _)| {
                out.extend_from_slice(format!(":{first}\r\n:{last}\r\n").as_bytes());
            });
            let members = self.members(master);
            let header = format!("$5\r\nnodes\r\n*{}\r\n", members.len());
            out.extend_from_slice(header.as_bytes());
            let roles = ["master", "replica"];
            members
                .iter()
                .zip(roles)
                .for_each(|(number, role)| shard_node(*number, role, out));
        }
    }

    fn tell_slots(&self, node: usize, out: &mut Vec<u8>) {
        let runs = self.runs(node);
        out.extend_from_slice(format!("*{}\r\n", runs.len()).as_bytes());
        for (first, last, owner) in runs {
            let members = self.members(owner);
            let header = format!("*{}\r\n:{first}\r\n:{last}\r\n", 2 + members.len());
            out.extend_from_slice(header.as_bytes());
            for number in members {
                let at = address(number);
                out.extend_from_slice(b"*3\r\n");
                bulk(out, Some(at.ip().to_string().as_bytes()));
                out.extend_from_slice(format!(":{}\r\n", at.port()).as_bytes());
                bulk(out, Some(format!("{number:040}").as_bytes()));
            }
        }
    }

    /// A node and who follows it: replicas stand behind all nodes, in their order.
    fn members(&self, master: usize) -> Vec<usize> {
        let replica = self.has_replicas.then_some(self.node_count() + master);
        [Some(master), replica].into_iter().flatten().collect()
    }

    /// Slots in a row that one node has, as another one knows it.
    fn runs(&self, node: usize) -> Vec<(usize, usize, usize)> {
        let owners = &self.views[self.known[node]];
        let mut start = 0;
        owners
            .chunk_by(|a, b| a == b)
            .map(|run| {
                let first = start;
                start += run.len();
                (first, start - 1, usize::from(run[0]))
            })
            .collect()
    }
}

/// A node of CLUSTER SHARDS.
fn shard_node(number: usize, role: &str, out: &mut Vec<u8>) {
    let at = address(number);
    out.extend_from_slice(b"*10\r\n");
    let (ip, id) = (at.ip().to_string(), format!("{number:040}"));
    for (name, value) in [
        ("id", id.as_str()),
        ("endpoint", &ip),
        ("role", role),
        ("health", "online"),
    ] {
        bulk(out, Some(name.as_bytes()));
        bulk(out, Some(value.as_bytes()));
    }
    bulk(out, Some(b"port"));
    out.extend_from_slice(format!(":{}\r\n", at.port()).as_bytes());
}
