//! What must hold before a shard starts: kernel, io_uring, limits, memory.
//!
//! Each check runs on what it is given, so that tests can give it a machine that lacks something;
//! [`run`] gives it this one.

use std::fs;

use rustix::process::{Resource, getrlimit, setrlimit};

use super::error::StartError;
use crate::{
    config::{CLUSTER_NODES_EXPECTED, Config, GroupConfig, L1Config, Mode, PEER_CHANGES_MAX},
    group::PeerLimits,
    io::uring,
    runtime::MEMLOCK_BYTES_MIN,
    store,
};

/// Oldest kernel whose io_uring has what the data path needs: multishot receive with provided
/// buffers, deferred task work and messages between rings.
const KERNEL_MIN: (u32, u32) = (6, 1);

/// Locked memory per shard, in bytes: glommio's check of the limit.
const MEMLOCK_BYTES_PER_SHARD: u64 = MEMLOCK_BYTES_MIN;

/// Open files besides client connections: standard streams, rings, events, listeners.
const FILES_RESERVED: u64 = 64;

/// What the process needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    pub(super) shard_count: usize,
    pub(super) memory_bytes: usize,
    pub(super) connections_max: usize,
    /// Connections to servers.
    pub(super) link_count: usize,
}

impl Needs {
    /// What all pools need together: each has shards of its own, whose rings, stores and connections
    /// to servers nobody else uses. Client connections are counted together.
    pub(super) fn of(configs: &[Config]) -> Self {
        let server_count = |config: &Config| match &config.mode {
            Mode::Embedded | Mode::Group(_) => 0,
            Mode::Pool(pool) => {
                let nodes = match pool.is_cluster {
                    true => CLUSTER_NODES_EXPECTED,
                    false => 0,
                };
                let listener_count = usize::from(pool.l1 == L1Config::Tracked);
                let each = usize::from(pool.backend.connection_count) + listener_count;
                let others = pool.backend.eject.failover.len() + pool.replicas.replicas.len();
                (pool.servers.len() + others).max(nodes) * each
            }
        };
        // Each load may have a connection of its own.
        let loads = |config: &Config| match &config.mode {
            Mode::Group(group) => group.loads_max + peer_connections(group, config.cores.len()),
            Mode::Embedded | Mode::Pool(_) => 0,
        };
        let connections = configs.iter().map(|config| config.connections_max);
        let sum = |of: &dyn Fn(&Config) -> usize| configs.iter().map(of).sum();
        Self {
            shard_count: sum(&|config| config.cores.len()),
            memory_bytes: sum(&|config| config.memory_bytes),
            connections_max: connections.max().unwrap_or(0),
            link_count: sum(&|config| config.cores.len() * server_count(config) + loads(config)),
        }
    }
}

/// Those that peers have to this process, and those that loads and changes have to peers.
fn peer_connections(group: &GroupConfig, shard_count: usize) -> usize {
    match group.peers {
        Some(_) => {
            let changes = shard_count * PEER_CHANGES_MAX;
            PeerLimits::default().connections_max + group.loads_max + changes
        }
        None => 0,
    }
}

/// Checks this machine, and raises soft limits as far as needed.
pub(super) fn run(needs: &Needs) -> Result<(), StartError> {
    check_kernel(&read("/proc/sys/kernel/osrelease"))?;
    check_sysctl(&read("/proc/sys/kernel/io_uring_disabled"))?;
    check_memory(needs.memory_bytes as u64, &Memory::of_machine())?;
    raise_files(needs)?;
    raise_memlock(MEMLOCK_BYTES_PER_SHARD)?;
    store::give_back_freed_buffers();
    uring::new_ring()
        .map(drop)
        .map_err(StartError::UringRefused)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn check_kernel(release: &str) -> Result<(), StartError> {
    let release = release.trim();
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < KERNEL_MIN {
        return Err(StartError::KernelTooOld {
            release: release.to_owned(),
        });
    }
    Ok(())
}

/// 0 allows everybody, 1 who has CAP_SYS_ADMIN or is in a group, 2 nobody. Whether 1 allows us
/// shows when the ring is made.
fn check_sysctl(level: &str) -> Result<(), StartError> {
    match level.trim().parse() {
        Ok(level @ 2..) => Err(StartError::UringDisabled { level }),
        _ => Ok(()),
    }
}

/// Memory that can be had.
#[derive(Debug)]
struct Memory {
    available_bytes: Option<u64>,
    cgroup_bytes: Option<u64>,
}

impl Memory {
    fn of_machine() -> Self {
        Self {
            available_bytes: available_bytes(&read("/proc/meminfo")),
            cgroup_bytes: read("/sys/fs/cgroup/memory.max").trim().parse().ok(),
        }
    }
}

/// `MemAvailable` of `/proc/meminfo`.
fn available_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn check_memory(wanted_bytes: u64, memory: &Memory) -> Result<(), StartError> {
    let limits = [
        ("the machine", memory.available_bytes),
        ("the control group", memory.cgroup_bytes),
    ];
    for (source, limit) in limits {
        if let Some(available_bytes) = limit
            && wanted_bytes > available_bytes
        {
            return Err(StartError::MemoryNotThere {
                wanted_bytes,
                available_bytes,
                source,
            });
        }
    }
    Ok(())
}

fn raise_files(needs: &Needs) -> Result<(), StartError> {
    let rings = needs.shard_count * 16;
    let needed = (needs.connections_max + needs.link_count + rings) as u64 + FILES_RESERVED;
    raise(Resource::Nofile, needed).map_err(|limit| StartError::FilesTooFew { limit, needed })
}

fn raise_memlock(needed_bytes: u64) -> Result<(), StartError> {
    raise(Resource::Memlock, needed_bytes).map_err(|limit_bytes| StartError::MemlockTooLow {
        limit_bytes,
        needed_bytes,
    })
}

/// Raises a soft limit to at least `needed`; the hard limit if that is not allowed.
fn raise(resource: Resource, needed: u64) -> Result<(), u64> {
    let mut limit = getrlimit(resource);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(maximum) = limit.maximum
        && maximum < needed
    {
        return Err(maximum);
    }
    limit.current = Some(needed);
    setrlimit(resource, limit).map_err(|_| 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart() {
        for good in ["6.1.0-18-amd64\n", "6.18.44", "7.0", "10.2.1-custom"] {
            assert!(check_kernel(good).is_ok(), "{good}");
        }
        for old in ["5.10.0-28-amd64", "6.0.19", "4.4", "", "strange"] {
            assert!(
                matches!(check_kernel(old), Err(StartError::KernelTooOld { .. })),
                "{old}"
            );
        }
    }

    #[test]
    fn the_sysctl_forbids_only_at_two() {
        for good in ["0\n", "1\n", ""] {
            assert!(check_sysctl(good).is_ok(), "{good}");
        }
        assert!(matches!(
            check_sysctl("2\n"),
            Err(StartError::UringDisabled { level: 2 })
        ));
    }

    #[test]
    fn memory_is_what_machine_and_group_allow() {
        let meminfo = "MemTotal: 100 kB\nMemAvailable:       64 kB\nBuffers: 1 kB\n";
        assert_eq!(available_bytes(meminfo), Some(65_536));
        let memory = Memory {
            available_bytes: Some(1_000),
            cgroup_bytes: Some(500),
        };
        assert!(check_memory(500, &memory).is_ok());
        let error = check_memory(501, &memory).unwrap_err();
        assert!(error.to_string().contains("control group"), "{error}");
        let error = check_memory(1_001, &memory).unwrap_err();
        assert!(error.to_string().contains("the machine"), "{error}");
        let unknown = Memory {
            available_bytes: None,
            cgroup_bytes: None,
        };
        assert!(check_memory(u64::MAX, &unknown).is_ok());
    }

    #[test]
    fn a_limit_beyond_the_hard_one_is_an_error() {
        assert!(raise(Resource::Nofile, u64::MAX - 1).is_err());
        assert!(raise(Resource::Nofile, 1).is_ok());
    }
}
