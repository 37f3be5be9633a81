//! The consistent-hash rings of libmemcached, twemproxy and libketama.
//!
//! All three are one algorithm, ketama, and differ in three details that move most of the keys. A
//! server of weight `w` has `floor(w / total * 40 * servers)` labels `text-0`, `text-1`, …; the MD5
//! of a label is four points on a circle of 32 bits; a key belongs to the first point at or after
//! its hash, past the last to the first.
//!
//! | mode | label text | key hash | the product that is floored |
//! |---|---|---|---|
//! | `libmemcached` | name, else `host` at port 11211, else `host:port` | MD5 | all in float32 |
//! | `twemproxy` | the same | 32 bits of FNV-1a | all in float32 |
//! | `libketama` | `host:port` always | MD5 | in float64, cut to float32 |
//!
//! The widths matter: with 25 equal servers float32 comes out just below 40 and each has 156
//! points, not 160.
//!
//! `libmemcached` is libmemcached's `KETAMA_WEIGHTED` behaviour (PHP `OPT_LIBKETAMA_COMPATIBLE`,
//! pylibmc `ketama_weighted`), and at the same time twemproxy with `hash: md5`: the labels are the
//! same (up to the 85 bytes of one that twemproxy hashes), so a *name*, which only twemproxy's
//! configuration has, means the same in both modes. libketama has no names and refuses them.
//!
//! Points that collide (0.03 pairs expected in a ring of 100 servers) stand in the order in which
//! the original meets the servers: as listed, for twemproxy by name, the shorter name first. A
//! server whose weight is too small for one label has no points and owns no key, as in the
//! originals.
//!
//! Sources: libmemcached `hosts.cc` (`update_continuum`), twemproxy `nc_ketama.c`, `nc_conf.c`,
//! `nc_server.c`, libketama `ketama.c`.

use std::fmt;
use std::str::FromStr;

use super::key_hash;
use super::server_spec::ServerSpec;
use super::servers_file::SERVERS_MAX;

/// Labels of a server at equal weight, ideally; four points each.
const LABELS_PER_SERVER: u8 = 40;

/// The port that libmemcached and twemproxy leave out of the label.
const PORT_UNLABELLED: u16 = 11211;

/// twemproxy 0.5 cuts a label, counter included, to its buffer (`KETAMA_MAX_HOSTLEN` 86, less the
/// final NUL). All labels of such a server are the same then; older releases hash what lies behind
/// the buffer.
const TWEMPROXY_LABEL_BYTES_MAX: usize = 85;

/// Whose ring it is; see the table at the top of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashRingMode {
    /// libmemcached with `KETAMA_WEIGHTED`; also twemproxy with `hash: md5`, names included.
    Libmemcached,
    /// twemproxy's ketama with its default key hash, `fnv1a_64`.
    Twemproxy,
    /// libketama (RJ/ketama), and the clients that keep `:11211` in the label.
    Libketama,
}

impl HashRingMode {
    /// Every mode, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Libmemcached, Self::Twemproxy, Self::Libketama];

    /// The mode's name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Libmemcached => "libmemcached",
            Self::Twemproxy => "twemproxy",
            Self::Libketama => "libketama",
        }
    }

    fn key_hash(self, key: &[u8]) -> u32 {
        match self {
            Self::Libmemcached | Self::Libketama => key_hash::md5(key),
            Self::Twemproxy => key_hash::fnv1a_twemproxy(key),
        }
    }

    /// What stands before the `-0`, `-1`, … of a server's labels.
    fn label_text(self, server: &ServerSpec) -> String {
        let ServerSpec {
            host, port, name, ..
        } = server;
        match self {
            Self::Libketama => server.address(),
            Self::Libmemcached | Self::Twemproxy => match name {
                Some(name) => name.clone(),
                None if *port == PORT_UNLABELLED => host.clone(),
                None => format!("{host}:{port}"),
            },
        }
    }

    /// How many labels a server has. The order and the width of each operation is that of the C
    /// source.
    fn label_count(self, weight: u32, weight_total: u64, server_count: usize) -> u32 {
        let share = weight as f32 / weight_total as f32;
        let labels = match self {
            Self::Libmemcached | Self::Twemproxy => {
                let points_per_server = f32::from(4 * LABELS_PER_SERVER);
                share * points_per_server / 4.0 * server_count as f32 + 1e-10
            }
            Self::Libketama => {
                (f64::from(share) * f64::from(LABELS_PER_SERVER) * server_count as f64) as f32
            }
        };
        labels.floor() as u32
    }
}

impl fmt::Display for HashRingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HashRingMode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or(())
    }
}

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

/// Why a key is where it is.
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
        let label_texts = label_texts(mode, servers)?;
        let weight_total = servers.iter().map(|server| u64::from(server.weight)).sum();

        let mut points = Vec::new();
        for index in build_order(mode, &label_texts) {
            let text = &label_texts[index];
            let weight = servers[index].weight;
            let label_count = mode.label_count(weight, weight_total, servers.len());
            check_label_length(mode, text, label_count)?;
            let server = ServerIndex(index as u16);
            for label in 0..label_count {
                let words = key_hash::md5_words(format!("{text}-{label}").as_bytes());
                points.extend(words.map(|value| Point { value, server }));
            }
        }
        // Stable, so that colliding points keep the order in which they were made.
        points.sort_by_key(|point| point.value);
        if points.is_empty() {
            return Err(HashRingError::NoPoints);
        }
        Ok(Self {
            mode,
            label_texts,
            points: points.into_boxed_slice(),
        })
    }

    /// The server that owns `key`. Allocates nothing; with one server it does not even hash.
    pub fn owner(&self, key: &[u8]) -> ServerIndex {
        if self.label_texts.len() == 1 {
            return ServerIndex(0);
        }
        self.point_from(self.mode.key_hash(key)).server
    }

    /// The owner of `key` and how it came to it: for people, not for the hot path.
    pub fn explain(&self, key: &[u8]) -> Explanation {
        let key_hash = self.mode.key_hash(key);
        let Point { value, server } = self.point_from(key_hash);
        let text = &self.label_texts[server.index()];
        let label = (0_u32..)
            .map(|label| format!("{text}-{label}"))
            .find(|label| key_hash::md5_words(label.as_bytes()).contains(&value))
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

    /// The first point at or after `hash`, around the circle.
    fn point_from(&self, hash: u32) -> Point {
        let index = self.points.partition_point(|point| point.value < hash);
        self.points[if index == self.points.len() { 0 } else { index }]
    }
}

/// Why there is no ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashRingError {
    /// The list is empty.
    NoServers,
    /// The list is longer than [`SERVERS_MAX`].
    TooManyServers {
        /// How many there are.
        count: usize,
    },
    /// All weights are 0.
    NoPoints,
    /// Two servers have the same labels, so the second would own nothing.
    DuplicateLabel {
        /// What both labels begin with.
        text: String,
    },
    /// libketama knows no names.
    NameInLibketama {
        /// The name.
        name: String,
    },
    /// twemproxy does not hash the whole label.
    LabelTooLong {
        /// What the labels begin with.
        text: String,
    },
}

impl fmt::Display for HashRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServers => write!(f, "there are no servers"),
            Self::TooManyServers { count } => {
                write!(f, "{count} servers are too many; at most {SERVERS_MAX}")
            }
            Self::NoPoints => write!(f, "no server has a weight"),
            Self::DuplicateLabel { text } => {
                write!(
                    f,
                    "two servers are '{text}' to the hash ring; give one of them a name"
                )
            }
            Self::NameInLibketama { name } => write!(
                f,
                "libketama has no server names; remove '{name}' or choose another hash ring"
            ),
            Self::LabelTooLong { text } => write!(
                f,
                "twemproxy cuts labels at {TWEMPROXY_LABEL_BYTES_MAX} bytes; give '{text}' a short \
                 name"
            ),
        }
    }
}

impl std::error::Error for HashRingError {}

fn label_texts(mode: HashRingMode, servers: &[ServerSpec]) -> Result<Box<[String]>, HashRingError> {
    if servers.is_empty() {
        return Err(HashRingError::NoServers);
    }
    if servers.len() > SERVERS_MAX {
        return Err(HashRingError::TooManyServers {
            count: servers.len(),
        });
    }
    if mode == HashRingMode::Libketama
        && let Some(name) = servers.iter().find_map(|server| server.name.clone())
    {
        return Err(HashRingError::NameInLibketama { name });
    }
    let texts: Box<[String]> = servers
        .iter()
        .map(|server| mode.label_text(server))
        .collect();
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
fn build_order(mode: HashRingMode, label_texts: &[String]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..label_texts.len()).collect();
    if mode == HashRingMode::Twemproxy {
        order.sort_by_key(|&index| (label_texts[index].len(), &label_texts[index]));
    }
    order
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
