//! The server: checks the machine, binds, spawns the shards, and ends them on a signal.

mod addresses;
mod announce;
mod control_thread;
mod cpu_time;
mod error;
mod grouper;
mod launched;
mod listen;
mod names;
mod pool;
mod preflight;
mod running;
mod spooler;
mod vitals;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, OnceLock,
        atomic::AtomicUsize,
        mpsc::{self, Receiver, Sender},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

pub use self::error::StartError;
pub(crate) use self::running::Running;
use self::{
    announce::announce,
    grouper::{Grouper, Source},
    launched::Launched,
    listen::Bound,
    pool::pool_settings,
    spooler::Spooler,
};
use crate::{
    config::{Config, Mode},
    io::{RingDirectory, Waker, uring::Uring},
    mesh,
    runtime::{self, Executor},
    shard::{GroupFigures, Parts, Settings, Shard, StatsBoard, StopFlag, Tunables},
    store::{self, KeyHasher, UnixMs},
};

/// Something the main thread hears of.
enum Event {
    /// A shard has its memory and its ring.
    Started { waker: Waker },
    /// A shard could not start.
    Refused(StartError),
    /// A shard ended, well or not.
    Ended(io::Result<()>),
    /// A signal to stop.
    Stop,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// The machine lacks something, or an address is taken.
pub fn run(config: &Config) -> Result<io::Result<()>, StartError> {
    run_pools(std::slice::from_ref(config))
}

/// As [`run`], for several pools, each with shards of its own.
///
/// # Errors
/// The machine lacks something, or an address is taken.
pub fn run_pools(configs: &[Config]) -> Result<io::Result<()>, StartError> {
    let (events, inbox) = mpsc::channel();
    watch_signals(events.clone()).map_err(StartError::Thread)?;
    let launched = Launched::start(configs, None, &events, &inbox)?;
    announce(configs, &launched.fleets);
    Ok(launched.serve(&inbox))
}

/// The threads of the shards that share a store: all there are, or a pool's of several.
struct Fleet {
    executors: Vec<Executor<()>>,
    gates: Vec<Sender<()>>,
    spooler: Option<Spooler>,
    grouper: Option<Grouper>,
    /// What the group counts, if there is one.
    figures: Option<GroupFigures>,
    /// How to wake each shard, once it has started.
    wakers: Arc<[OnceLock<Waker>]>,
    memcache: Option<SocketAddr>,
    resp: Option<SocketAddr>,
    /// What does not listen yet.
    bound: Vec<Bound>,
}

impl Fleet {
    fn launch(
        config: &Config,
        source: Option<Source>,
        stop: &StopFlag,
        connection_count: &Arc<AtomicUsize>,
        events: &Sender<Event>,
    ) -> Result<Self, StartError> {
        let shard_count = config.cores.len();
        let is_named = matches!(&config.mode, Mode::Pool(pool) if pool.name.is_some());
        let flag = |flag| if is_named { "--nutcracker" } else { flag };
        let mut bound = Vec::new();
        let (memcache, memcache_listeners) =
            bind(flag("--memcache"), config.memcache, shard_count, &mut bound)?;
        let (resp, resp_listeners) = bind(flag("--resp"), config.resp, shard_count, &mut bound)?;
        let hasher = KeyHasher::new(seed());
        let (spools, spooler) = match &config.mode {
            Mode::Embedded | Mode::Group(_) => (Vec::new(), None),
            Mode::Pool(pool) => spooler::open(pool, config.item_bytes_max, shard_count, hasher)?,
        };
        let mut parts = parts(config, hasher, memcache, resp, stop, connection_count)?;
        for (parts, spool) in parts.iter_mut().zip(spools) {
            parts.spool = Some(spool);
        }
        let grouper = match &config.mode {
            Mode::Embedded | Mode::Pool(_) => None,
            Mode::Group(group) => {
                // Of each shard.
                let memory_bytes = config.store_params().partition_bytes;
                let source = source.unwrap_or_else(|| Source::of(group, config.item_bytes_max));
                let (groups, grouper) = grouper::open(
                    group,
                    source,
                    config.item_bytes_max,
                    memory_bytes,
                    shard_count,
                    hasher,
                );
                for (parts, group) in parts.iter_mut().zip(groups) {
                    parts.group = Some(group);
                }
                Some(grouper)
            }
        };
        let directory = RingDirectory::new(shard_count);
        let mut fleet = Self {
            executors: Vec::new(),
            gates: Vec::new(),
            spooler,
            grouper,
            figures: parts.first().and_then(GroupFigures::of),
            wakers: (0..shard_count).map(|_| OnceLock::new()).collect(),
            memcache,
            resp,
            bound,
        };
        let listeners = memcache_listeners.into_iter().zip(resp_listeners);
        for (shard, (parts, (memcache, resp))) in parts.into_iter().zip(listeners).enumerate() {
            let (gate, opened) = mpsc::channel();
            fleet.gates.push(gate);
            let seed = Seed {
                shard,
                parts,
                memcache,
                resp,
                opened,
                wakers: Arc::clone(&fleet.wakers),
            };
            let cpu = config.cores[shard];
            let executor = spawn(cpu, seed, directory.clone(), events.clone())
                .map_err(|error| StartError::Shard { cpu, error })?;
            fleet.executors.push(executor);
        }
        Ok(fleet)
    }

    /// Starts those who write the spool and load the group's keys, if there are any.
    fn start_control(&mut self) -> Result<(), StartError> {
        let wakers = self.wakers.iter().filter_map(OnceLock::get).cloned();
        let wakers: Vec<Waker> = wakers.collect();
        if let Some(grouper) = &mut self.grouper {
            grouper.start(wakers.clone())?;
        }
        match &mut self.spooler {
            Some(spooler) => spooler.start(wakers).map_err(StartError::UringRefused),
            None => Ok(()),
        }
    }

    /// All shards have their memory: clients may connect.
    fn listen(&mut self) -> Result<(), StartError> {
        self.bound.drain(..).try_for_each(Bound::listen)
    }

    /// All shards can be woken by all: they may serve.
    fn release(&self) {
        for gate in &self.gates {
            // A shard that is gone says so with an event.
            let _ = gate.send(());
        }
    }
}

/// What a shard's thread starts from.
struct Seed {
    shard: usize,
    parts: Parts,
    memcache: Option<TcpListener>,
    resp: Option<TcpListener>,
    /// Opens once every shard has its ring.
    opened: Receiver<()>,
    wakers: Arc<[OnceLock<Waker>]>,
}

fn spawn(
    cpu: usize,
    seed: Seed,
    directory: RingDirectory,
    events: Sender<Event>,
) -> io::Result<Executor<()>> {
    let ended = events.clone();
    runtime::spawn_pinned(
        cpu,
        &format!("shard-{}", seed.shard),
        move || match start(cpu, seed, directory, &events) {
            Ok(shard) => Ok(shard),
            Err(error) => {
                drop(events.send(Event::Refused(error)));
                Err(())
            }
        },
        move |shard| {
            let result = match shard.turn() {
                Ok(true) => return None,
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            drop(ended.send(Event::Ended(result)));
            Some(())
        },
    )
}

/// On the shard's own thread: memory on its NUMA node, the ring, then wait for the others.
fn start(
    cpu: usize,
    seed: Seed,
    directory: RingDirectory,
    events: &Sender<Event>,
) -> Result<Shard<Uring>, StartError> {
    let Seed {
        shard,
        mut parts,
        memcache,
        resp,
        opened,
        wakers,
    } = seed;
    parts.store.populate().map_err(StartError::MemoryRefused)?;
    let uring = Uring::new(shard, directory, memcache, resp).map_err(StartError::UringRefused)?;
    let waker = uring.waker();
    // Nobody else sets it.
    let _ = wakers[shard].set(waker.clone());
    let started = Event::Started { waker };
    let is_alone = events.send(started).is_err() || opened.recv().is_err();
    if is_alone {
        let error = io::Error::other("another shard failed");
        return Err(StartError::Shard { cpu, error });
    }
    Ok(Shard::new(uring, parts))
}

fn watch_signals(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for _ in signals.forever() {
                drop(events.send(Event::Stop));
            }
        })?;
    Ok(())
}

type Listeners = Vec<Option<TcpListener>>;

fn bind(
    flag: &'static str,
    address: Option<SocketAddr>,
    count: usize,
    all: &mut Vec<Bound>,
) -> Result<(Option<SocketAddr>, Listeners), StartError> {
    let Some(address) = address else {
        return Ok((None, (0..count).map(|_| None).collect()));
    };
    let bound = Bound::new(flag, address, count)?;
    let (address, listeners) = (bound.address, bound.listeners()?);
    all.push(bound);
    Ok((Some(address), listeners.into_iter().map(Some).collect()))
}

fn parts(
    config: &Config,
    hasher: KeyHasher,
    memcache: Option<SocketAddr>,
    resp: Option<SocketAddr>,
    stop: &StopFlag,
    connection_count: &Arc<AtomicUsize>,
) -> Result<Vec<Parts>, StartError> {
    let shard_count = config.cores.len();
    let stores = store::build(&config.store_params(), hasher).map_err(StartError::MemoryRefused)?;
    let pool = match &config.mode {
        Mode::Embedded | Mode::Group(_) => None,
        Mode::Pool(pool) => {
            let is_crossed = config.listener(pool.protocol.other()).is_some();
            Some(pool_settings(pool, is_crossed, shard_count)?)
        }
    };
    let settings = Arc::new(Settings {
        item_bytes_max: config.item_bytes_max,
        eviction: config.eviction,
        connections_max: config.connections_max,
        allows_shutdown: config.allows_shutdown,
        speed: config.speed,
        cpu_time: cpu_time::cpu_time,
        memory_bytes: config.memory_bytes,
        started: UnixMs(unix_ms()),
        memcache_port: memcache.map_or(0, |address| address.port()),
        resp_port: resp.map_or(0, |address| address.port()),
        resp_address: resp.map_or_else(String::new, |address| address.ip().to_string()),
        run_id: run_id(),
        tunables: Arc::new(Tunables::new(config.connections_max)),
        vitals: vitals::read,
    });
    let board = StatsBoard::new(shard_count);
    Ok(stores
        .into_iter()
        .zip(mesh::mesh(shard_count))
        .map(|(store, mesh)| Parts {
            store,
            mesh,
            settings: Arc::clone(&settings),
            board: board.clone(),
            connection_count: Arc::clone(connection_count),
            stop: stop.clone(),
            pool: pool.clone(),
            spool: None,
            group: None,
        })
        .collect())
}

/// A seed that nobody outside knows: the standard library's hash keys are random.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(unix_ms())
}

/// What tells this run from others: forty hexadecimal digits, as Redis has them.
fn run_id() -> String {
    let digits: String = (0..3).map(|_| format!("{:016x}", seed())).collect();
    digits.chars().take(40).collect()
}

fn unix_ms() -> u64 {
    let now = std::time::SystemTime::now();
    let since_epoch = now.duration_since(std::time::SystemTime::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_millis() as u64)
}
