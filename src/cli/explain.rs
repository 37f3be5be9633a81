//! `ringfort explain`: which server owns a key, and why.

use std::fmt;

use super::CliError;
use crate::config::Replica;
use crate::route::{Placement, Reason, Router, ServerSpec, Step};

/// A key in front of the servers of a pool; its `Display` is the answer, a fact a line.
#[derive(Debug)]
pub struct Explain {
    /// The pool's name, if there are several.
    pool: Option<String>,
    key: Vec<u8>,
    servers: Vec<ServerSpec>,
    replicas: Vec<Replica>,
    router: Router,
}

impl Explain {
    pub(super) fn new(
        key: Vec<u8>,
        servers: Vec<ServerSpec>,
        placement: Placement,
    ) -> Result<Self, CliError> {
        if servers.is_empty() {
            return Err(CliError::new(
                "explain: no servers; add --servers FILE or --server HOST:PORT",
            ));
        }
        let router = Router::build(placement, &servers).map_err(|error| {
            CliError::new(format_args!("--hash-ring {}: {error}", placement.hash_ring))
        })?;
        Ok(Self {
            pool: None,
            key,
            servers,
            replicas: Vec::new(),
            router,
        })
    }

    /// The same with replicas of the servers.
    pub(super) fn with_replicas(self, replicas: Vec<Replica>) -> Self {
        Self { replicas, ..self }
    }

    /// The same in one of several pools.
    pub(super) fn in_pool(self, name: String) -> Self {
        Self {
            pool: Some(name),
            ..self
        }
    }
}

impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason {
            hashed,
            step,
            server,
        } = self.router.explain(&self.key);
        let placement = self.router.placement();
        if let Some(pool) = &self.pool {
            writeln!(f, "pool      {pool}")?;
        }
        writeln!(f, "ring      {}", placement.hash_ring)?;
        writeln!(f, "key       {}", self.key.escape_ascii())?;
        if let Some(hashed) = hashed {
            writeln!(f, "hash tag  {}", hashed.escape_ascii())?;
        }
        let hash_name = self.router.key_hash();
        let why = match step {
            Step::Point {
                key_hash,
                point,
                point_count,
                label,
            } => {
                writeln!(f, "key hash  0x{key_hash:08x} {hash_name}")?;
                writeln!(f, "point     0x{point:08x} of {point_count}")?;
                writeln!(f, "label     {label}")?;
                match key_hash <= point {
                    true => "the first point from the hash on",
                    false => "no point from the hash on, so the first of all",
                }
            }
            Step::Remainder {
                key_hash,
                total,
                remainder,
            } => {
                writeln!(f, "key hash  0x{key_hash:08x} {hash_name}")?;
                writeln!(f, "remainder {remainder} of {total}")?;
                "the server that the remainder counts to"
            }
            Step::Random => {
                let any = if self.servers.len() > 1 {
                    "any"
                } else {
                    "the only one"
                };
                writeln!(f, "owner     {any}")?;
                return writeln!(f, "why       each request goes to any server");
            }
        };
        writeln!(f, "owner     {}", self.servers[server.index()])?;
        let replicas = self.replicas.iter();
        for replica in replicas.filter(|replica| replica.master == server.index()) {
            writeln!(f, "replica   {}", replica.server.address())?;
        }
        match self.servers.len() {
            1 => writeln!(f, "why       the only server"),
            _ => writeln!(f, "why       {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Distribution, HashRingMode, HashTag};

    fn servers(lines: &[&str]) -> Vec<ServerSpec> {
        lines
            .iter()
            .map(|line| ServerSpec::parse_line(line).expect(line))
            .collect()
    }

    #[test]
    fn an_answer_has_a_line_for_each_fact() {
        let lines = [
            "10.0.1.1:11211",
            "10.0.1.2:11211 2",
            "10.0.1.3:11211:3 gamma",
        ];
        let placement = Placement::of(HashRingMode::Libmemcached);
        let explain = Explain::new(b"user:1".to_vec(), servers(&lines), placement).expect("ring");
        let expected = "\
ring      libmemcached
key       user:1
key hash  0x10ddb1bd md5
point     0x11878bdb of 480
label     10.0.1.1-2
owner     10.0.1.1:11211 weight 1
why       the first point from the hash on
";
        assert_eq!(explain.to_string(), expected);
    }

    #[test]
    fn the_replicas_of_a_keys_server_are_told() {
        let servers = servers(&["10.0.1.1:6379", "10.0.1.2:6379"]);
        let replica = |master: usize, place: &str| Replica {
            master,
            server: place.parse().expect(place),
        };
        let placement = Placement::of(HashRingMode::Libmemcached);
        let explain = Explain::new(b"user:1".to_vec(), servers, placement).expect("ring");
        let owner = explain.router.owner(b"user:1").index();
        let explain = explain.with_replicas(vec![
            replica(owner, "10.0.2.1:6379"),
            replica(1 - owner, "10.0.2.2:6379"),
            replica(owner, "unix:/run/redis.sock"),
        ]);
        let text = explain.to_string();
        let told: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("replica"))
            .collect();
        assert_eq!(
            told,
            ["replica   10.0.2.1:6379", "replica   unix:/run/redis.sock"]
        );
    }

    #[test]
    fn other_ways_have_other_facts() {
        let placement = Placement {
            distribution: Distribution::Modula,
            hash_tag: Some(HashTag::BRACES),
            ..Placement::of(HashRingMode::Twemproxy)
        };
        let lines = ["10.0.1.1:11211", "10.0.1.2:11211:2 b"];
        let key = b"{user}:1".to_vec();
        let explain = Explain::new(key.clone(), servers(&lines), placement).expect("a router");
        let expected = "\
ring      twemproxy
key       {user}:1
hash tag  user
key hash  0x032b48f2 fnv1a_64
remainder 0 of 3
owner     10.0.1.2:11211 weight 2 name b
why       the server that the remainder counts to
";
        assert_eq!(explain.to_string(), expected);
        let placement = Placement {
            distribution: Distribution::Random,
            ..placement
        };
        let explain = Explain::new(key, servers(&lines), placement).expect("a router");
        let expected = "\
ring      twemproxy
key       {user}:1
hash tag  user
owner     any
why       each request goes to any server
";
        assert_eq!(explain.to_string(), expected);
    }
}
