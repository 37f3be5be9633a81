//! Whose ring it is: labels, points and key hash.

use std::fmt;
use std::str::FromStr;

use super::HashRingError;
use crate::route::key_hash::{KeyHash, md5_words};
use crate::route::server_spec::ServerSpec;

/// Labels of a server at equal weight, ideally; four points each.
const LABELS_PER_SERVER: u8 = 40;

/// Labels of a server in the ring of memcached's proxy; one point each.
const LABELS_PER_PROXY_SERVER: u32 = 160;

/// The port that libmemcached and twemproxy leave out of the label.
const PORT_UNLABELLED: u16 = 11211;

/// Whose ring it is; see the table at the top of `hash_ring.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashRingMode {
    /// libmemcached with `KETAMA_WEIGHTED`; also twemproxy with `hash: md5`, names included.
    Libmemcached,
    /// twemproxy's ketama.
    Twemproxy,
    /// libketama (RJ/ketama), and the clients that keep `:11211` in the label.
    Libketama,
    /// spymemcached's `KetamaNodeLocator` with `KETAMA_HASH` and its own format of labels.
    Spymemcached,
    /// memcached's proxy, `ring_hash` with `omode = "evcache"` and ketama's key hash.
    Evcache,
    /// memcached's proxy, `ring_hash` as it is without options.
    MemcachedProxy,
    /// mncaudill/ketama, in Go.
    Mncaudill {
        /// What `NewRing` was given: points of a server of weight 1.
        spots: u16,
    },
}

impl HashRingMode {
    /// Every mode, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Libmemcached,
        Self::Twemproxy,
        Self::Libketama,
        Self::Spymemcached,
        Self::Evcache,
        Self::MemcachedProxy,
        Self::Mncaudill { spots: 200 },
    ];

    /// The mode's name on the command line, without a number of spots.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Libmemcached => "libmemcached",
            Self::Twemproxy => "twemproxy",
            Self::Libketama => "libketama",
            Self::Spymemcached => "spymemcached",
            Self::Evcache => "evcache",
            Self::MemcachedProxy => "memcached-proxy",
            Self::Mncaudill { .. } => "mncaudill",
        }
    }

    /// The hash of keys, unless another one is chosen.
    pub(in crate::route) const fn key_hash_default(self) -> KeyHash {
        match self {
            Self::Libmemcached | Self::Libketama | Self::Spymemcached | Self::Evcache => {
                KeyHash::Md5
            }
            Self::Twemproxy => KeyHash::Fnv1a64,
            Self::MemcachedProxy => KeyHash::Xxh3,
            Self::Mncaudill { .. } => KeyHash::Sha1,
        }
    }

    /// Whether the original lets its user choose hash and distribution.
    pub(in crate::route) const fn has_choice(self) -> bool {
        matches!(self, Self::Libmemcached | Self::Twemproxy)
    }

    /// What stands before the `-0`, `-1`, … of a server's labels.
    pub(super) fn label_text(self, server: &ServerSpec) -> Result<String, HashRingError> {
        let ServerSpec {
            host, port, name, ..
        } = server;
        let is_ipv4 = host.bytes().all(|byte| b"0123456789.".contains(&byte));
        Ok(match (self, name) {
            (Self::Libketama | Self::MemcachedProxy | Self::Evcache, Some(name)) => {
                return Err(HashRingError::NameUnknown {
                    mode: self,
                    name: name.clone(),
                });
            }
            (_, Some(name)) => name.clone(),
            // libmemcached gives a unix socket the port 0, twemproxy none but its colon.
            (Self::Libmemcached, None) if server.is_unix() => format!("{host}:0"),
            (Self::Twemproxy, None) if server.is_unix() => format!("{host}:"),
            (_, None) if server.is_unix() => {
                return Err(HashRingError::UnixUnknown {
                    mode: self,
                    server: server.address(),
                });
            }
            (Self::Libmemcached | Self::Twemproxy, None) if *port == PORT_UNLABELLED => {
                host.clone()
            }
            (Self::Libmemcached | Self::Twemproxy, None) => format!("{host}:{port}"),
            // Java writes an address that was given as a name together with what it was resolved
            // to, and IPv6 in a way that depends on its version.
            (Self::Spymemcached, None) if !is_ipv4 => {
                return Err(HashRingError::LabelUnknown {
                    server: server.address(),
                });
            }
            (Self::Evcache, None) => format!("{host}/{host}:{port}"),
            (Self::MemcachedProxy, None) => format!("{host}:{port}"),
            (Self::Libketama | Self::Spymemcached | Self::Mncaudill { .. }, None) => {
                server.address()
            }
        })
    }

    /// How many labels a server has. The order and the width of each operation is that of the
    /// source.
    pub(super) fn label_count(self, server: &ServerSpec, weights: Weights) -> u32 {
        let share = server.weight as f32 / weights.total as f32;
        let labels = match self {
            Self::Spymemcached if weights.is_all_one => return u32::from(LABELS_PER_SERVER),
            Self::Libmemcached | Self::Twemproxy | Self::Spymemcached => {
                let points_per_server = f32::from(4 * LABELS_PER_SERVER);
                share * points_per_server / 4.0 * weights.count as f32 + 1e-10
            }
            Self::Libketama => {
                (f64::from(share) * f64::from(LABELS_PER_SERVER) * weights.count as f64) as f32
            }
            Self::Evcache => return u32::from(LABELS_PER_SERVER),
            Self::MemcachedProxy => return LABELS_PER_PROXY_SERVER,
            Self::Mncaudill { spots } => {
                return u32::from(spots).saturating_mul(server.weight);
            }
        };
        labels.floor() as u32
    }

    /// The label of a number, counted from 0.
    pub(super) fn label(self, text: &str, number: u32) -> String {
        match self {
            Self::Mncaudill { .. } => format!("{text}:{}", u64::from(number) + 1),
            _ => format!("{text}-{number}"),
        }
    }

    /// The points of a label.
    pub(super) fn values(self, label: &str) -> impl Iterator<Item = u32> + use<> {
        let bytes = label.as_bytes();
        let (words, count) = match self {
            Self::MemcachedProxy => ([KeyHash::Xxh3.of(bytes); 4], 1),
            Self::Mncaudill { .. } => ([KeyHash::Sha1.of(bytes); 4], 1),
            _ => (md5_words(bytes), 4),
        };
        words.into_iter().take(count)
    }
}

/// What a server's weight is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    pub(super) count: usize,
    pub(super) total: u64,
    pub(super) is_all_one: bool,
}

impl Weights {
    pub(super) fn of(servers: &[ServerSpec]) -> Self {
        Self {
            count: servers.len(),
            total: servers.iter().map(|server| u64::from(server.weight)).sum(),
            is_all_one: servers.iter().all(|server| server.weight == 1),
        }
    }
}

impl fmt::Display for HashRingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Mncaudill { spots } => write!(f, ":{spots}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for HashRingMode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':') {
            Some(("mncaudill", spots)) => {
                let spots = spots.parse().ok().filter(|spots| *spots > 0).ok_or(())?;
                Ok(Self::Mncaudill { spots })
            }
            Some(_) => Err(()),
            // How many spots there are is the program's choice: there is no default to copy.
            None if text == "mncaudill" => Err(()),
            None => Self::ALL
                .into_iter()
                .find(|mode| mode.name() == text)
                .ok_or(()),
        }
    }
}
