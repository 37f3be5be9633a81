//! The values of flags. Errors say what is wrong and what to write, without flag and value: whoever
//! reports them knows both.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::config::{
    BACKEND_CONNECTIONS_MAX, BACKEND_DATABASE_MAX, BACKEND_IN_FLIGHT_MAX, BACKEND_NAME_BYTES_MAX,
    BACKEND_TIMEOUT_MAX, BACKEND_TIMEOUT_MIN, CONNECTIONS_MAX_MAX, CORES_MAX, EJECT_AFTER_MAX,
    Eviction, FAILOVER_TTL_MAX, FAILOVER_TTL_MIN, HotPolicy, ITEM_BYTES_MAX_MAX,
    ITEM_BYTES_MAX_MIN, L1_TTL_MAX, L1_TTL_MIN, L1Config, OnEject, PeerRing, Protocol,
    REPLICA_LAG_MAX, ReadFrom, Readmit, SHARDS_MAX, SPIN_MAX, SPIN_MIN, SPOOL_BYTES_MAX_MAX,
    SPOOL_BYTES_MAX_MIN, SpoolSync, WritePolicy,
};
use crate::route::{Distribution, HashRingMode, HashTag, KeyHash, ServerSpec, ServerSpecError};

/// The value of a flag that also takes `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrOff<T> {
    Off,
    On(T),
}

impl<T> OrOff<T> {
    pub(super) fn into_option(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::On(value) => Some(value),
        }
    }
}

/// What the servers of a pool are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PoolKind {
    /// Servers that speak memcache, behind a ring.
    Memcache,
    /// Servers that speak RESP, behind a ring.
    Resp,
    /// Nodes of a Redis Cluster.
    Cluster,
}

impl PoolKind {
    const ALL: [Self; 3] = [Self::Memcache, Self::Resp, Self::Cluster];

    const fn name(self) -> &'static str {
        match self {
            Self::Memcache => "memcache",
            Self::Resp => "resp",
            Self::Cluster => "cluster",
        }
    }

    /// What they speak.
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Memcache => Protocol::Memcache,
            Self::Resp | Self::Cluster => Protocol::Resp,
        }
    }
}

impl FromStr for PoolKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or(())
    }
}

impl Display for PoolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// CPU numbers in the order they were typed, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cores(pub(super) Vec<usize>);

pub(super) fn listener(text: &str) -> Result<OrOff<SocketAddr>, String> {
    if text == "off" {
        return Ok(OrOff::Off);
    }
    text.parse().map(OrOff::On).map_err(|_| {
        "not an IP address and port; write for example 127.0.0.1:11211, [::1]:11211 or off".into()
    })
}

pub(super) fn shards(text: &str) -> Result<usize, String> {
    number(text, 1..=SHARDS_MAX)
}

pub(super) fn connections_max(text: &str) -> Result<usize, String> {
    number(text, 1..=CONNECTIONS_MAX_MAX)
}

/// CPU numbers and ranges of them, as `taskset -c` has them.
pub(super) fn cores(text: &str) -> Result<Cores, String> {
    let malformed = || "not a list of CPU numbers; write for example 0,2-5".to_owned();
    let core = |text: &str| text.parse().ok().filter(|core| *core < CORES_MAX);
    let mut cores = Vec::new();
    for item in text.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let range = core(first).zip(core(last)).ok_or_else(malformed)?;
        if range.0 > range.1 {
            return Err(format!("{item} counts down; write {last}-{first}"));
        }
        for core in range.0..=range.1 {
            if cores.contains(&core) {
                return Err(format!("CPU {core} is in it twice; name each once"));
            }
            cores.push(core);
        }
    }
    Ok(Cores(cores))
}

/// Bytes, or a number and a unit, in any case. A bare letter and the IEC's units (`k`, `KiB`) count
/// in 1024, as in memcached's `-I 1m`; the SI's (`kB`, `MB`) in 1000, so that the ambiguous ones
/// never take more than somebody meant to give.
pub(super) fn size(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, usize); 11] = [
        ("", 1),
        ("b", 1),
        ("k", 1 << 10),
        ("kib", 1 << 10),
        ("m", 1 << 20),
        ("mib", 1 << 20),
        ("g", 1 << 30),
        ("gib", 1 << 30),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
    ];
    let digits = text
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let unit = UNITS
        .iter()
        .find(|(name, _)| unit.eq_ignore_ascii_case(name));
    let bytes = unit.and_then(|(_, unit)| count.parse::<usize>().ok()?.checked_mul(*unit));
    bytes.ok_or_else(|| "not a size; write for example 64MiB, 1g or 1048576".into())
}

pub(super) fn item_size_max(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    if !(ITEM_BYTES_MAX_MIN..=ITEM_BYTES_MAX_MAX).contains(&bytes) {
        return Err("out of range; write 1KiB to 8MiB".into());
    }
    Ok(bytes)
}

pub(super) fn eviction(text: &str) -> Result<Eviction, String> {
    keyword(text, &Eviction::ALL.map(Eviction::name))
}

pub(super) fn log_level(text: &str) -> Result<tracing::Level, String> {
    use tracing::Level;
    let levels = [
        Level::ERROR,
        Level::WARN,
        Level::INFO,
        Level::DEBUG,
        Level::TRACE,
    ];
    levels
        .into_iter()
        .find(|level| level.as_str().to_ascii_lowercase() == text)
        .ok_or_else(|| one_of(&["error", "warn", "info", "debug", "trace"]))
}

pub(super) fn pool(text: &str) -> Result<PoolKind, String> {
    keyword(text, &PoolKind::ALL.map(PoolKind::name))
}

pub(super) fn write_policy(text: &str) -> Result<WritePolicy, String> {
    keyword(text, &["through", "behind", "invalidate"])
}

pub(super) fn spool_sync(text: &str) -> Result<SpoolSync, String> {
    keyword(text, &["always", "interval", "none"])
}

pub(super) fn spool_size_max(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    if !(SPOOL_BYTES_MAX_MIN..=SPOOL_BYTES_MAX_MAX).contains(&bytes) {
        return Err("out of range; write 16MiB to 64GiB".into());
    }
    Ok(bytes)
}

pub(super) fn hash_ring(text: &str) -> Result<HashRingMode, String> {
    let names = HashRingMode::ALL.map(|mode| match mode {
        HashRingMode::Mncaudill { .. } => "mncaudill:SPOTS",
        mode => mode.name(),
    });
    keyword(text, &names)
}

pub(super) fn key_hash(text: &str) -> Result<KeyHash, String> {
    keyword(text, &KeyHash::ALL.map(KeyHash::name))
}

pub(super) fn distribution(text: &str) -> Result<Distribution, String> {
    keyword(text, &Distribution::ALL.map(Distribution::name))
}

pub(super) fn hash_tag(text: &str) -> Result<HashTag, String> {
    text.parse()
        .map_err(|()| "not two characters; write for example {}".into())
}

pub(super) fn server(text: &str) -> Result<ServerSpec, String> {
    text.parse()
        .map_err(|error: ServerSpecError| error.to_string())
}

pub(super) fn l1(text: &str) -> Result<L1Config, String> {
    match text {
        "off" => return Ok(L1Config::Off),
        "tracked" => return Ok(L1Config::Tracked),
        _ => {}
    }
    duration(
        text,
        L1_TTL_MIN..=L1_TTL_MAX,
        "500ms, 1s, 2m, or tracked or off",
        "1ms to 24h, or tracked or off",
    )
    .map(L1Config::For)
}

pub(super) fn backend_timeout(text: &str) -> Result<Duration, String> {
    let range = BACKEND_TIMEOUT_MIN..=BACKEND_TIMEOUT_MAX;
    duration(text, range, "200ms, 2s or 1m", "10ms to 10m")
}

pub(super) fn backend_connections(text: &str) -> Result<u8, String> {
    number(text, 1..=BACKEND_CONNECTIONS_MAX.into()).map(|number| number as u8)
}

pub(super) fn in_flight_max(text: &str) -> Result<usize, String> {
    number(text, 1..=BACKEND_IN_FLIGHT_MAX)
}

pub(super) fn eject_after(text: &str) -> Result<OrOff<u32>, String> {
    if text == "off" {
        return Ok(OrOff::Off);
    }
    number(text, 1..=EJECT_AFTER_MAX as usize)
        .map(|number| OrOff::On(number as u32))
        .map_err(|error| format!("{error}, or off"))
}

pub(super) fn on_eject(text: &str) -> Result<OnEject, String> {
    keyword(text, &OnEject::ALL.map(OnEject::name))
}

pub(super) fn read_from(text: &str) -> Result<ReadFrom, String> {
    keyword(text, &ReadFrom::ALL.map(ReadFrom::name))
}

pub(super) fn replica_lag(text: &str) -> Result<OrOff<Duration>, String> {
    if text == "off" {
        return Ok(OrOff::Off);
    }
    let lag = humantime::parse_duration(text)
        .map_err(|_| "not a duration; write for example 100ms, 1s, 5s, or off")?;
    if !(Duration::from_millis(1)..=REPLICA_LAG_MAX).contains(&lag) {
        return Err("out of range; write 1ms to 60s, or off".into());
    }
    Ok(OrOff::On(lag))
}

pub(super) fn spin(text: &str) -> Result<OrOff<Duration>, String> {
    match text {
        "off" => Ok(OrOff::Off),
        _ => duration(
            text,
            SPIN_MIN..=SPIN_MAX,
            "50us, 1ms, or off",
            "1us to 1s, or off",
        )
        .map(OrOff::On),
    }
}

pub(super) fn readmit(text: &str) -> Result<Readmit, String> {
    keyword(text, &["after-invalidations", "flush"])
}

pub(super) fn failover_ttl(text: &str) -> Result<Duration, String> {
    let range = FAILOVER_TTL_MIN..=FAILOVER_TTL_MAX;
    duration(text, range, "30s, 10m or 1h", "1s to 30d")
}

pub(super) fn peer_ring(text: &str) -> Result<PeerRing, String> {
    keyword(text, &["groupcache", "fnv"])
}

pub(super) fn hot(text: &str) -> Result<HotPolicy, String> {
    keyword(text, &["coin", "sketch", "all", "none"])
}

pub(super) fn database(text: &str) -> Result<u32, String> {
    number(text, 0..=BACKEND_DATABASE_MAX as usize).map(|number| number as u32)
}

/// memcached parts user and password at the first blank.
pub(super) fn user(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || !is_plain {
        return Err("not a user; write letters, digits and signs without blanks".into());
    }
    Ok(text.to_owned())
}

/// Redis takes no blanks in it.
pub(super) fn backend_name(text: &str) -> Result<OrOff<String>, String> {
    if text == "off" {
        return Ok(OrOff::Off);
    }
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_plain || !(1..=BACKEND_NAME_BYTES_MAX).contains(&text.len()) {
        return Err(format!(
            "not a name; write up to {BACKEND_NAME_BYTES_MAX} letters, digits and signs without \
             blanks, or off"
        ));
    }
    Ok(OrOff::On(text.to_owned()))
}

/// CPU numbers as [`cores`] reads them, for messages.
pub(super) fn core_list(cores: &[usize]) -> impl Display {
    fmt::from_fn(move |f| {
        let runs = cores.chunk_by(|a, b| a + 1 == *b);
        for (index, run) in runs.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match run {
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                _ => write!(f, "{comma}{}", run[0])?,
            }
        }
        Ok(())
    })
}

/// A duration in a range. Errors say what to write: for example what, and from where to where.
pub(super) fn duration(
    text: &str,
    range: RangeInclusive<Duration>,
    examples: &str,
    limits: &str,
) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| format!("not a duration; write for example {examples}"))?;
    match range.contains(&duration) {
        true => Ok(duration),
        false => Err(format!("out of range; write {limits}")),
    }
}

pub(super) fn number(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            format!(
                "out of range; write a number from {} to {}",
                range.start(),
                range.end()
            )
        })
}

/// The first line of a file, without its end; of a long one as much as `most` bytes of the file have.
pub(super) fn first_line(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut text)?;
    let end = text.iter().position(|byte| *byte == b'\n');
    text.truncate(end.unwrap_or(text.len()));
    if text.last() == Some(&b'\r') {
        text.pop();
    }
    Ok(text)
}

fn keyword<T: FromStr>(text: &str, keywords: &[&str]) -> Result<T, String> {
    text.parse().map_err(|_| one_of(keywords))
}

fn one_of(keywords: &[&str]) -> String {
    format!("not known here; write {}", keywords.join(" or "))
}
