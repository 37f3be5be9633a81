//! The command line: what was typed, and the [`Config`] it asks for.
//!
//! Whatever is wrong is said in one line that names the flag, the value and the remedy, so that it
//! can be read in a service's log as well as in a terminal.

mod backend;
mod cluster;
mod eject;
mod error;
mod explain;
mod group;
mod nutcracker;
mod password;
mod peers;
mod pools;
mod replicas;
mod servers;
mod spool;
mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use self::backend::BackendArgs;
pub use self::error::CliError;
pub use self::explain::Explain;
use self::group::GroupArgs;
use self::nutcracker::Nutcracker;
pub use self::pools::Pools;
use self::replicas::{ReadArgs, ReplicaArgs};
pub use self::spool::{Spool, Verdict};
use self::values::{Cores, OrOff, PoolKind};
use crate::config::{
    CONNECTIONS_MAX_DEFAULT, Config, Eviction, ITEM_BYTES_MAX_DEFAULT, L1Config, MEMCACHE_DEFAULT,
    MEMORY_BYTES_DEFAULT, Mode, PoolConfig, Protocol, RESP_DEFAULT, SHARDS_MAX,
    SPOOL_BYTES_MAX_DEFAULT, SpeedConfig, SpoolConfig, SpoolSync, WritePolicy, memory_bytes_min,
};
use crate::route::{Distribution, HashRingMode, HashTag, KeyHash, Placement, ServerSpec};

/// What the process is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Serve until told to stop.
    Serve(Box<Config>),
    /// Serve several pools until told to stop.
    ServePools(Pools),
    /// Print which server of a pool owns a key.
    Explain(Vec<Explain>),
    /// Look after what waits on disk for its servers.
    Spool(Spool),
    /// Print this, the help or the version, to stdout.
    Print(String),
}

impl Command {
    /// Parses the arguments of the process, its name first, and reads the servers file if they name
    /// one.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn parse_from<A>(args: impl IntoIterator<Item = A>) -> Result<Self, CliError>
    where
        A: Into<OsString> + Clone,
    {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        Self::parse_on(&cores.iter().map(|core| core.id).collect::<Vec<_>>(), args)
    }

    /// As [`Command::parse_from`], in a process that may use the CPUs `cores_allowed`.
    fn parse_on<A>(
        cores_allowed: &[usize],
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self, CliError>
    where
        A: Into<OsString> + Clone,
    {
        let cli = match Cli::try_parse_from(args) {
            Ok(cli) => cli,
            Err(error) if !error.use_stderr() => return Ok(Self::Print(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        match cli.command {
            Some(Subcommand::Explain(args)) => args.resolve().map(Self::Explain),
            Some(Subcommand::Spool { task }) => Ok(Self::Spool(task.resolve())),
            None if cli.serve.pool.servers.nutcracker.is_some() => {
                cli.serve.resolve_pools(cores_allowed).map(Self::ServePools)
            }
            None => {
                let config = cli.serve.resolve(cores_allowed)?;
                Ok(Self::Serve(Box::new(config)))
            }
        }
    }
}

/// A cache proxy for bare-metal Linux: memcache and RESP over the same keys.
#[derive(Debug, Parser)]
#[command(
    name = "ringfort",
    version,
    max_term_width = 0,
    term_width = 0,
    args_override_self = true,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = AFTER_HELP,
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Subcommand>,
    #[command(flatten)]
    serve: ServeArgs,
}

const AFTER_HELP: &str = "\
A flag given twice counts as given last, except --server, --failover-server and --replica, which add up.
Sizes are bytes, or count in KiB, MiB, GiB (also k, m, g: 1024) or in kB, MB, GB (1000).";

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Print which server of a pool owns a key, and why
    Explain(ExplainArgs),
    /// Look after writes that wait on disk for their servers
    #[command(disable_help_subcommand = true)]
    Spool {
        #[command(subcommand)]
        task: spool::SpoolArgs,
    },
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// Serve memcache at this IP address and port; port 0 chooses one [default: 127.0.0.1:11211]
    #[arg(long, value_name = "ADDR|off", value_parser = values::listener)]
    #[arg(help_heading = "Listeners")]
    memcache: Option<OrOff<SocketAddr>>,
    /// Serve RESP at this IP address and port; port 0 chooses one [default: 127.0.0.1:6379]
    #[arg(long, value_name = "ADDR|off", value_parser = values::listener)]
    #[arg(help_heading = "Listeners")]
    resp: Option<OrOff<SocketAddr>>,
    /// Most open client connections, of all shards together [default: 10000]
    #[arg(long, value_name = "N", value_parser = values::connections_max, allow_hyphen_values = true)]
    #[arg(help_heading = "Listeners")]
    connections_max: Option<usize>,
    /// Let memcache clients end the process with shutdown [default: they cannot]
    #[arg(long)]
    #[arg(help_heading = "Listeners")]
    enable_shutdown: bool,
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    group: GroupArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Resources")]
struct ResourceArgs {
    /// Number of shards, each a thread on a core of its own [default: one per core of --cores]
    #[arg(long, value_name = "N", value_parser = values::shards, allow_hyphen_values = true)]
    shards: Option<usize>,
    /// CPUs to run on, as in 0,2-5 [default: those that the process is allowed]
    #[arg(long, value_name = "LIST", value_parser = values::cores)]
    cores: Option<Cores>,
    /// Memory of all shards together, buffers and store [default: 1GiB, or 16MiB a shard if more]
    #[arg(long, value_name = "SIZE", value_parser = values::size, allow_hyphen_values = true)]
    memory: Option<usize>,
    /// Largest value, 1KiB to 8MiB [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = values::item_size_max, allow_hyphen_values = true)]
    item_size_max: Option<usize>,
    /// What goes when memory is needed: lru (what was not used for longest) or s3fifo (what was not
    /// used again soon, or seldom since) [default: lru]
    #[arg(long, value_name = "POLICY", value_parser = values::eviction)]
    eviction: Option<Eviction>,
    /// How long a shard with nothing to do looks for more before it sleeps, 1us to 1s: takes all of its
    /// core meanwhile, and saves the next request the wake-up [default: off]
    #[arg(long, value_name = "DURATION|off", value_parser = values::spin)]
    spin: Option<OrOff<Duration>>,
    /// What is logged: error, warn, info, debug or trace [default: warn]
    #[arg(long, value_name = "LEVEL", value_parser = values::log_level)]
    log: Option<tracing::Level>,
}

impl ResourceArgs {
    fn speed(&self) -> SpeedConfig {
        SpeedConfig {
            spin: self.spin.and_then(OrOff::into_option).unwrap_or_default(),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pool")]
struct PoolArgs {
    /// Keep the data in servers that speak memcache or resp, and serve that; the other protocol, too,
    /// if its flag gives it an address. cluster is a Redis Cluster, of which --server names one node
    /// or some [default: no pool]
    #[arg(long, value_name = "PROTOCOL", value_parser = values::pool)]
    pool: Option<PoolKind>,
    #[command(flatten)]
    servers: ServerArgs,
    #[command(flatten)]
    read: ReadArgs,
    /// When a write is answered: through (the server took it), behind (at once, the server gets the
    /// newest value soon) or invalidate (at once, the server is told to delete) [default: through]
    #[arg(long, value_name = "POLICY", value_parser = values::write_policy)]
    write: Option<WritePolicy>,
    /// Folder for writes that are to reach a server later: on disk before they are answered; with
    /// --write behind or invalidate [default: none, they are in memory]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// When the disk is waited for: always (before the answer), interval (every 100 ms) or none
    /// [default: always]
    #[arg(long, value_name = "WHEN", value_parser = values::spool_sync)]
    spool_sync: Option<SpoolSync>,
    /// Most bytes of the spool on disk, 16MiB to 64GiB; a full one refuses writes [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = values::spool_size_max, allow_hyphen_values = true)]
    spool_size_max: Option<usize>,
    /// How long copies of what servers answered are kept, as in 500ms, 1s, 2m; or tracked: until a
    /// Redis server tells of a change [default: off]
    #[arg(long, value_name = "DURATION|tracked|off", value_parser = values::l1)]
    l1: Option<L1Config>,
    #[command(flatten)]
    backend: BackendArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pool")]
struct ServerArgs {
    /// File of the servers: one HOST:PORT WEIGHT, or HOST:PORT:WEIGHT NAME, a line; unix:/PATH in
    /// place of HOST:PORT is a unix socket [default: none]
    #[arg(long, value_name = "FILE")]
    servers: Option<PathBuf>,
    /// One more server; unix:/PATH in place of HOST:PORT is a unix socket; weight 1 if left out
    /// [default: none]
    #[arg(long, value_name = "HOST:PORT[:WEIGHT]", value_parser = values::server)]
    server: Vec<ServerSpec>,
    #[command(flatten)]
    replicas: ReplicaArgs,
    /// Whose placement to copy: libmemcached, twemproxy, libketama, spymemcached, evcache,
    /// memcached-proxy or mncaudill:SPOTS [default: libmemcached]
    #[arg(long, value_name = "MODE", value_parser = values::hash_ring)]
    hash_ring: Option<HashRingMode>,
    /// Hash of keys, of those that twemproxy has [default: twemproxy's fnv1a_64, libmemcached's md5]
    #[arg(long, value_name = "HASH", value_parser = values::key_hash)]
    key_hash: Option<KeyHash>,
    /// From hash to server: ketama, modula or random [default: ketama]
    #[arg(long, value_name = "NAME", value_parser = values::distribution)]
    distribution: Option<Distribution>,
    /// Two characters; of a key that has them, what is between is hashed, as with {} [default: none]
    #[arg(long, value_name = "XY", value_parser = values::hash_tag)]
    hash_tag: Option<HashTag>,
    /// Serve the pools of twemproxy's configuration, instead of all flags above that make a pool
    /// [default: none]
    #[arg(long, value_name = "FILE")]
    nutcracker: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
struct ExplainArgs {
    /// The key, byte for byte
    key: OsString,
    #[command(flatten)]
    servers: ServerArgs,
}

impl ExplainArgs {
    fn resolve(self) -> Result<Vec<Explain>, CliError> {
        let key = self.key.into_vec();
        if let Some(path) = &self.servers.nutcracker {
            self.servers.refuse_beside_nutcracker()?;
            return Nutcracker::open(path)?.explain(&key);
        }
        let servers = self.servers.list()?;
        let replicas = self.servers.replicas.of(&servers)?;
        let explain = Explain::new(key, servers, self.servers.placement())?;
        Ok(vec![explain.with_replicas(replicas)])
    }
}

impl ServeArgs {
    fn resolve(self, cores_allowed: &[usize]) -> Result<Config, CliError> {
        let (memcache, resp) = self.listeners();
        let cores = self.resources.cores(cores_allowed)?;
        let item_bytes_max = self
            .resources
            .item_size_max
            .unwrap_or(ITEM_BYTES_MAX_DEFAULT);
        let eviction = self.resources.eviction.unwrap_or_default();
        let memory_bytes = self.resources.memory.unwrap_or_else(|| {
            MEMORY_BYTES_DEFAULT.max(memory_bytes_min(cores.len(), item_bytes_max, eviction))
        });
        let config = Config {
            memcache,
            resp,
            cores,
            memory_bytes,
            item_bytes_max,
            eviction,
            connections_max: self.connections_max.unwrap_or(CONNECTIONS_MAX_DEFAULT),
            allows_shutdown: self.enable_shutdown,
            speed: self.resources.speed(),
            mode: self.mode()?,
            log: self.resources.log.unwrap_or(tracing::Level::WARN),
        };
        config.check().map_err(CliError::new)?;
        Ok(config)
    }

    /// Where the truth lives.
    fn mode(&self) -> Result<Mode, CliError> {
        match (self.group.resolve()?, self.pool.pool) {
            (Some(group), Some(_)) => Err(CliError::new(format_args!(
                "--group {}: cannot be had together with --pool; leave one of the two out",
                group.name
            ))),
            (Some(group), None) => match self.pool.resolve()? {
                Mode::Embedded => Ok(Mode::Group(group)),
                mode => Ok(mode),
            },
            (None, _) => self.pool.resolve(),
        }
    }

    /// A pool's other protocol has to be asked for: it can do less there, and where both are served
    /// values in Redis servers may have a header (`docs/protocols.md`).
    fn listeners(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let listener = |typed: Option<OrOff<SocketAddr>>, default, protocol: Protocol| {
            let is_foreign = self
                .pool
                .pool
                .is_some_and(|pool| pool.protocol() != protocol);
            match typed {
                None if is_foreign => None,
                None => Some(default),
                Some(typed) => typed.into_option(),
            }
        };
        (
            listener(self.memcache, MEMCACHE_DEFAULT, Protocol::Memcache),
            listener(self.resp, RESP_DEFAULT, Protocol::Resp),
        )
    }
}

impl ResourceArgs {
    /// One core per shard, of those that were named or else of all that are allowed.
    fn cores(&self, allowed: &[usize]) -> Result<Vec<usize>, CliError> {
        let (mut cores, place) = match &self.cores {
            Some(Cores(cores)) => (cores.clone(), "--cores"),
            None => (allowed.to_vec(), "the allowed CPUs"),
        };
        if allowed.is_empty() {
            return Err(CliError::new(
                "--cores: the CPUs that are allowed cannot be found out",
            ));
        }
        if let Some(core) = cores.iter().find(|core| !allowed.contains(core)) {
            return Err(CliError::new(format_args!(
                "--cores {core}: not a CPU that this process may use; choose from {}",
                values::core_list(allowed)
            )));
        }
        let shard_count = self.shards.unwrap_or_else(|| cores.len().min(SHARDS_MAX));
        if shard_count > cores.len() {
            return Err(CliError::new(format_args!(
                "--shards {shard_count}: more than {place} ({}); ask for at most {}",
                values::core_list(&cores),
                cores.len()
            )));
        }
        cores.truncate(shard_count);
        Ok(cores)
    }
}

impl PoolArgs {
    fn resolve(&self) -> Result<Mode, CliError> {
        let Some(kind) = self.pool else {
            return match self.flag_of_a_pool() {
                Some(flag) => Err(CliError::new(format_args!(
                    "{flag}: only means something for a pool; add --pool memcache or --pool resp"
                ))),
                None => Ok(Mode::Embedded),
            };
        };
        let protocol = kind.protocol();
        let servers = self.servers.list()?;
        if servers.is_empty() {
            return Err(CliError::new(format_args!(
                "--pool {kind}: no servers; add --servers FILE or --server HOST:PORT"
            )));
        }
        let is_cluster = kind == PoolKind::Cluster;
        if is_cluster {
            self.check_cluster(&servers)?;
        }
        let write = self.write.unwrap_or(WritePolicy::Through);
        let spool = self.spool(write)?;
        let mut backend = self.backend.resolve(protocol)?;
        if is_cluster {
            backend.eject.after = None;
        }
        let replicas = self.replicas(&servers)?;
        Ok(Mode::Pool(PoolConfig {
            name: None,
            protocol,
            is_cluster,
            servers,
            placement: self.servers.placement(),
            write,
            l1: self.l1.unwrap_or_default(),
            backend,
            replicas,
            spool,
        }))
    }

    /// Where writes that this policy leaves for later wait.
    fn spool(&self, write: WritePolicy) -> Result<Option<SpoolConfig>, CliError> {
        let Some(folder) = &self.spool else {
            let flag = match (self.spool_sync, self.spool_size_max) {
                (Some(_), _) => "--spool-sync",
                (None, Some(_)) => "--spool-size-max",
                (None, None) => return Ok(None),
            };
            return Err(CliError::new(format_args!(
                "{flag}: only means something for a spool; add --spool DIR"
            )));
        };
        if write == WritePolicy::Through {
            return Err(CliError::new(format_args!(
                "--spool {}: no write waits for its server with --write through; add --write \
                 behind or --write invalidate",
                folder.display()
            )));
        }
        Ok(Some(SpoolConfig {
            folder: folder.clone(),
            sync: self.spool_sync.unwrap_or(SpoolSync::Always),
            bytes_max: self.spool_size_max.unwrap_or(SPOOL_BYTES_MAX_DEFAULT),
        }))
    }

    /// A flag that was given and needs `--pool`.
    fn flag_of_a_pool(&self) -> Option<&'static str> {
        let flags = [
            ("--servers", self.servers.servers.is_some()),
            ("--server", !self.servers.server.is_empty()),
            ("--hash-ring", self.servers.hash_ring.is_some()),
            ("--key-hash", self.servers.key_hash.is_some()),
            ("--distribution", self.servers.distribution.is_some()),
            ("--hash-tag", self.servers.hash_tag.is_some()),
            ("--replica", self.servers.replicas.is_given()),
            ("--write", self.write.is_some()),
            ("--l1", self.l1.is_some()),
            ("--spool", self.spool.is_some()),
            ("--spool-sync", self.spool_sync.is_some()),
            ("--spool-size-max", self.spool_size_max.is_some()),
        ];
        flags
            .into_iter()
            .chain(self.read.given())
            .chain(self.backend.given())
            .find_map(|(flag, given)| given.then_some(flag))
    }
}

impl ServerArgs {
    fn placement(&self) -> Placement {
        Placement {
            hash_ring: self.hash_ring.unwrap_or(HashRingMode::Libmemcached),
            key_hash: self.key_hash,
            distribution: self.distribution.unwrap_or(Distribution::Ketama),
            hash_tag: self.hash_tag,
        }
    }
}

#[cfg(test)]
mod tests;
