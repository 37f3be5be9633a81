//! Consistent-hash rings, each an exact copy of one that others use.
//!
//! The first five are one algorithm, ketama, and differ in details that move most of the keys. A
//! server of weight `w` has `floor(w / total * 40 * servers)` labels `text-0`, `text-1`, …; the MD5
//! of a label is four points on a circle of 32 bits; a key belongs to the first point at or after
//! its hash, past the last to the first.
//!
//! | mode | label text | key hash | labels |
//! |---|---|---|---|
//! | `libmemcached` | name, else `host` at port 11211, else `host:port` | MD5 | the product in float32 |
//! | `twemproxy` | the same | 32 bits of FNV-1a | the same |
//! | `libketama` | `host:port` always | MD5 | the product in float64, cut to float32 |
//! | `spymemcached` | name, else `ip:port` | MD5 | 40; with weights as `libmemcached` |
//! | `evcache` | `host/host:port` | MD5 | 40, no weights |
//! | `memcached-proxy` | `host:port` | XXH3 | 160 of one point, XXH3 of the label; no weights |
//! | `mncaudill:N` | name, else `host:port`; labels `text:1`, … | SHA-1 | weight × N of one point, SHA-1 |
//!
//! A unix socket, `unix:/path`, is `/path:0` to libmemcached and `/path:` to twemproxy; the others
//! have none.
//!
//! The widths matter: with 25 equal servers float32 comes out just below 40 and each has 156
//! points, not 160.
//!
//! `libmemcached` is libmemcached's `KETAMA_WEIGHTED` behaviour (PHP `OPT_LIBKETAMA_COMPATIBLE`,
//! pylibmc `ketama_weighted`), and at the same time twemproxy with `hash: md5`: the labels are the
//! same (up to the 85 bytes of one that twemproxy hashes), so a *name*, which only twemproxy's
//! configuration has, means the same in both modes. In these two another key hash can be chosen, as
//! in the originals. spymemcached's label is what Java prints for the server's address, so where
//! that is not an IPv4 address it has to be given as the name. A ring of spymemcached whose weights
//! are all 1 is one without weights.
//!
//! Points that collide (0.03 pairs expected in a ring of 100 servers) stand in the order in which
//! the original meets the servers: as listed, for twemproxy by name, the shorter name first; in
//! spymemcached the last counts. Go's sort leaves the order open. A server whose weight is too
//! small for one label has no points and owns no key, as in the originals.
//!
//! Sources: libmemcached `hosts.cc` (`update_continuum`), twemproxy `nc_ketama.c`, `nc_conf.c`,
//! `nc_server.c`, libketama `ketama.c`, spymemcached `KetamaNodeLocator.java`,
//! `KetamaNodeKeyFormatter.java`, memcached `proxy_ring_hash.c`, mncaudill/ketama `ketama.go`.

mod error;
mod mode;

pub use self::error::HashRingError;
pub use self::mode::HashRingMode;
use self::mode::Weights;
use super::key_hash::KeyHash;
use super::server_spec::ServerSpec;
use super::servers_file::SERVERS_MAX;

/// The most points of a ring, 64 MiB of them. [`SERVERS_MAX`] servers have a tenth of that in any
/// mode whose points do not grow with the weights.
const POINTS_MAX: u64 = 8 << 20;

/// twemproxy 0.5 cuts a label, counter included, to its buffer (`KETAMA_MAX_HOSTLEN` 86, less the
/// final NUL). All labels of such a server are the same then; older releases hash what lies behind
/// the buffer.
const TWEMPROXY_LABEL_BYTES_MAX: usize = 85;

const _: () = assert!(SERVERS_MAX as u64 * 160 < POINTS_MAX);

/// A server's position in the list that the ring was built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerIndex(pub u16);

impl ServerIndex {
    /// The position, to index the list with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One point of the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Where on the circle.
    pub value: u32,
    /// Whose it is.
    pub server: ServerIndex,
}

/// Why a key is where it is on a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The key's hash.
    pub key_hash: u32,
    /// The value of the point that the key belongs to.
    pub point: u32,
    /// The label that the point was made from.
    pub label: String,
    /// The owner.
    pub server: ServerIndex,
}

/// A hash ring over a fixed list of servers.
#[derive(Debug, Clone)]
pub struct HashRing {
    mode: HashRingMode,
    key_hash: KeyHash,
    /// One per server, in the order of the list.
    label_texts: Box<[String]>,
    /// Invariant: never empty, ascending by value; of equal values the first counts.
    points: Box<[Point]>,
}

impl HashRing {
    /// Builds the ring of `servers`; a [`ServerIndex`] is a position in this slice.
    ///
    /// # Errors
    ///
    /// If the original could not build a ring of these servers, or would build one that nobody can
    /// mean: [`HashRingError`] lists the cases.
    pub fn build(mode: HashRingMode, servers: &[ServerSpec]) -> Result<Self, HashRingError> {
        Self::build_for(mode, mode.key_hash_default(), servers)
    }

    /// As [`HashRing::build`], with another key hash.
    pub(super) fn build_for(
        mode: HashRingMode,
        key_hash: KeyHash,
        servers: &[ServerSpec],
    ) -> Result<Self, HashRingError> {
        let label_texts = label_texts(mode, servers)?;
        let weights = Weights::of(servers);
        let label_counts: Vec<u32> = servers
            .iter()
            .map(|server| mode.label_count(server, weights))
            .collect();
        check_weights(mode, servers, &label_counts)?;

        let mut points = Vec::new();
        for index in build_order(mode, &label_texts) {
            let text = &label_texts[index];
            check_label_length(mode, text, label_counts[index])?;
            let server = ServerIndex(index as u16);
            for number in 0..label_counts[index] {
                let values = mode.values(&mode.label(text, number));
                points.extend(values.map(|value| Point { value, server }));
            }
        }
        if mode == HashRingMode::Spymemcached {
            // It puts points into a map, so the last of equal ones counts.
            points.reverse();
        }
        // Stable, so that colliding points keep the order in which they were made.
        points.sort_by_key(|point| point.value);
        if points.is_empty() {
            return Err(HashRingError::NoPoints);
        }
        Ok(Self {
            mode,
            key_hash,
            label_texts,
            points: points.into_boxed_slice(),
        })
    }

    /// The server that owns `key`. Allocates nothing; with one server it does not even hash.
    pub fn owner(&self, key: &[u8]) -> ServerIndex {
        if self.label_texts.len() == 1 {
            return ServerIndex(0);
        }
        self.point_from(self.hash(key)).server
    }

    /// The owner of `key` and how it came to it: for people, not for the hot path.
    pub fn explain(&self, key: &[u8]) -> Explanation {
        let key_hash = self.hash(key);
        let Point { value, server } = self.point_from(key_hash);
        let text = &self.label_texts[server.index()];
        let label = (0_u32..)
            .map(|number| self.mode.label(text, number))
            .find(|label| self.mode.values(label).any(|point| point == value))
            .expect("a point was made from one of its server's labels");
        Explanation {
            key_hash,
            point: value,
            label,
            server,
        }
    }

    /// The mode the ring was built in.
    pub fn mode(&self) -> HashRingMode {
        self.mode
    }

    /// All points, ascending.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    fn hash(&self, key: &[u8]) -> u32 {
        hash(self.mode, self.key_hash, key)
    }

    /// The first point at or after `hash`, around the circle.
    fn point_from(&self, hash: u32) -> Point {
        let index = self.points.partition_point(|point| point.value < hash);
        self.points[if index == self.points.len() { 0 } else { index }]
    }
}

/// The hash of a key. For an empty one twemproxy answers 0, without hashing (`server_pool_hash`).
pub(super) fn hash(mode: HashRingMode, key_hash: KeyHash, key: &[u8]) -> u32 {
    match mode {
        HashRingMode::Twemproxy if key.is_empty() => 0,
        _ => key_hash.of(key),
    }
}

/// What a server's labels begin with, for each server.
///
/// # Errors
///
/// As [`HashRing::build`].
pub(super) fn label_texts(
    mode: HashRingMode,
    servers: &[ServerSpec],
) -> Result<Box<[String]>, HashRingError> {
    if servers.is_empty() {
        return Err(HashRingError::NoServers);
    }
    if servers.len() > SERVERS_MAX {
        return Err(HashRingError::TooManyServers {
            count: servers.len(),
        });
    }
    let texts = servers
        .iter()
        .map(|server| mode.label_text(server))
        .collect::<Result<Box<[String]>, _>>()?;
    let mut sorted: Vec<&String> = texts.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(HashRingError::DuplicateLabel {
            text: pair[0].clone(),
        }),
        None => Ok(texts),
    }
}

/// The order in which the original makes the points, which decides collisions. twemproxy sorts its
/// servers first (`conf_server_name_cmp`): by the length of the label text, then by its bytes.
pub(super) fn build_order(mode: HashRingMode, label_texts: &[String]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..label_texts.len()).collect();
    if mode == HashRingMode::Twemproxy {
        order.sort_by_key(|&index| (label_texts[index].len(), &label_texts[index]));
    }
    order
}

fn check_weights(
    mode: HashRingMode,
    servers: &[ServerSpec],
    label_counts: &[u32],
) -> Result<(), HashRingError> {
    let is_weightless = matches!(mode, HashRingMode::Evcache | HashRingMode::MemcachedProxy);
    let weighted = servers.iter().find(|server| server.weight != 1);
    if let Some(server) = weighted.filter(|_| is_weightless) {
        return Err(HashRingError::WeightUnknown {
            mode,
            server: server.address(),
        });
    }
    let labels: u64 = label_counts.iter().copied().map(u64::from).sum();
    if labels > POINTS_MAX {
        return Err(HashRingError::TooManyPoints { count: labels });
    }
    Ok(())
}

fn check_label_length(
    mode: HashRingMode,
    text: &str,
    label_count: u32,
) -> Result<(), HashRingError> {
    let longest = format!("{text}-{}", label_count.saturating_sub(1)).len();
    if mode == HashRingMode::Twemproxy && longest > TWEMPROXY_LABEL_BYTES_MAX {
        return Err(HashRingError::LabelTooLong {
            text: text.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
