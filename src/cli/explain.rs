//! `ringfort explain`: which server owns a key, and why.

use std::fmt;

use super::CliError;
use crate::route::{HashRing, HashRingMode, ServerSpec};

/// A key in front of a hash ring; its `Display` is the answer, a fact a line.
#[derive(Debug)]
pub struct Explain {
    key: Vec<u8>,
    servers: Vec<ServerSpec>,
    hash_ring: HashRing,
}

impl Explain {
    pub(super) fn new(
        key: Vec<u8>,
        servers: Vec<ServerSpec>,
        mode: HashRingMode,
    ) -> Result<Self, CliError> {
        if servers.is_empty() {
            return Err(CliError::new(
                "explain: no servers; add --servers FILE or --server HOST:PORT",
            ));
        }
        let hash_ring = HashRing::build(mode, &servers)
            .map_err(|error| CliError::new(format_args!("--hash-ring {mode}: {error}")))?;
        Ok(Self {
            key,
            servers,
            hash_ring,
        })
    }
}

impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let explanation = self.hash_ring.explain(&self.key);
        writeln!(f, "ring      {}", self.hash_ring.mode())?;
        writeln!(f, "key       {}", self.key.escape_ascii())?;
        writeln!(f, "key hash  0x{:08x}", explanation.key_hash)?;
        let point_count = self.hash_ring.points().len();
        writeln!(f, "point     0x{:08x} of {point_count}", explanation.point)?;
        writeln!(f, "label     {}", explanation.label)?;
        writeln!(f, "owner     {}", self.servers[explanation.server.index()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_line_for_each_fact() {
        let lines = [
            "10.0.1.1:11211",
            "10.0.1.2:11211 2",
            "10.0.1.3:11211:3 gamma",
        ];
        let servers = lines
            .map(|line| ServerSpec::parse_line(line).expect(line))
            .to_vec();
        let explain =
            Explain::new(b"user:1".to_vec(), servers, HashRingMode::Libmemcached).expect("ring");
        let expected = "\
ring      libmemcached
key       user:1
key hash  0x10ddb1bd
point     0x11878bdb of 480
label     10.0.1.1-2
owner     10.0.1.1:11211 weight 1
";
        assert_eq!(explain.to_string(), expected);
    }
}
