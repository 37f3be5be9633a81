//! The group's executor while ringfort runs: a thread for all that loads keys, which is not the data
//! path and waits for others.

use std::{
    io,
    rc::Rc,
    sync::{Arc, mpsc},
};

use super::{StartError, control_thread::ControlThread};
use crate::{
    config::GroupConfig,
    group::{
        Loader,
        calls::{Caller, Calls, calls},
        dispatch::{Dispatch, Limits, Shards},
        origin,
        port::{ControlPort, ports},
        statistics::Board,
    },
    io::Waker,
    mesh::Doorbell,
    runtime::ControlWidth,
    shard::{FreshnessParams, GroupParts, StopFlag},
    store::KeyHasher,
};

/// It waits for many sockets at a time. What blocks is the look-up of names and the reading of files: a
/// disk that is slow for one key does not hold up all others.
const WIDTH: ControlWidth = ControlWidth {
    ring_depth: 256,
    blocking_thread_count: 4,
};

/// Makes the source of values on the thread that will ask it.
pub(crate) type OpenLoader = Box<dyn FnOnce() -> Result<Rc<dyn Loader>, String> + Send>;

/// What a group asks for values, and how threads of the program ask the group.
pub(super) struct Source {
    open: OpenLoader,
    calls: Calls,
    /// Wakes the group's thread.
    doorbell: Doorbell,
}

impl Source {
    /// One that a program brings, and what asks the group.
    pub(super) fn new(open: OpenLoader) -> (Self, Caller) {
        let doorbell = Doorbell::default();
        let (caller, calls) = calls(&doorbell);
        let source = Self {
            open,
            calls,
            doorbell,
        };
        (source, caller)
    }

    /// The one that the command line names.
    pub(super) fn of(config: &GroupConfig, value_bytes_max: usize) -> Self {
        let spec = config.origin.clone();
        let open: OpenLoader = Box::new(move || match &spec {
            Some(spec) => origin::open(spec, value_bytes_max),
            None => Err("there is none".into()),
        });
        Self::new(open).0
    }
}

/// Whoever loads a group's keys, on a thread of its own.
pub(super) struct Grouper {
    thread: ControlThread<Seed>,
    /// What errors call the source.
    origin: String,
}

/// What it starts from.
struct Seed {
    config: GroupConfig,
    open: OpenLoader,
    board: Board,
    ports: Vec<ControlPort>,
    hasher: KeyHasher,
    calls: Calls,
    doorbell: Doorbell,
    stop: StopFlag,
}

/// Each shard's part of a group, and who will load its keys.
pub(super) fn open(
    config: &GroupConfig,
    source: Source,
    shard_count: usize,
    hasher: KeyHasher,
) -> (Vec<GroupParts>, Grouper) {
    let Source {
        open,
        calls,
        doorbell,
    } = source;
    let stop = StopFlag::default();
    let board = Board::default();
    let (shard_ports, control_ports): (Vec<_>, Vec<_>) =
        (0..shard_count).map(|_| ports(&doorbell)).unzip();
    let parts = shard_ports.into_iter().map(|port| GroupParts {
        port,
        board: board.clone(),
        negative_ttl_ms: config.negative_ttl.as_millis() as u64,
        freshness: FreshnessParams {
            stale_ms: config.stale.as_millis() as u64,
            is_early: config.early_refresh,
        },
    });
    let parts = parts.collect();
    let seed = Seed {
        config: config.clone(),
        open,
        board,
        ports: control_ports,
        hasher,
        calls,
        doorbell: doorbell.clone(),
        stop: stop.clone(),
    };
    let thread = ControlThread::new(seed, doorbell, stop);
    let origin = config.origin.as_ref();
    let grouper = Grouper {
        thread,
        origin: origin.map_or_else(|| "of the program".into(), ToString::to_string),
    };
    (parts, grouper)
}

impl Grouper {
    /// Starts the thread; the wakers are the shards', by number.
    ///
    /// # Errors
    /// There is no thread or no ring to be had, or the source cannot be used.
    pub(super) fn start(&mut self, wakers: Vec<Waker>) -> Result<(), StartError> {
        let (opened, is_open) = mpsc::channel();
        self.thread
            .start("group", WIDTH, move |seed| run(seed, wakers, opened))
            .map_err(StartError::UringRefused)?;
        let opened = is_open.recv();
        let opened = opened.unwrap_or_else(|_| Err("its thread has ended".into()));
        opened.map_err(|reason| StartError::Origin {
            origin: self.origin.clone(),
            reason,
        })
    }

    /// Waits for the end of the thread; what it is loading is for nobody.
    ///
    /// # Errors
    /// It panicked.
    pub(super) fn finish(self) -> io::Result<()> {
        self.thread.finish()
    }
}

async fn run(seed: Seed, wakers: Vec<Waker>, opened: mpsc::Sender<Result<(), String>>) {
    let Seed {
        config,
        open,
        board,
        ports,
        hasher,
        calls,
        doorbell,
        stop,
    } = seed;
    let loader = match open() {
        Ok(loader) => loader,
        Err(error) => return drop(opened.send(Err(error))),
    };
    // Who started the thread waits for this.
    let _ = opened.send(Ok(()));
    let limits = Limits {
        timeout: config.load_timeout,
        loads_max: config.loads_max,
        queue_max: config.load_queue_max,
    };
    let shard_count = ports.len();
    let shards = Shards {
        ports,
        wake: Box::new(move |shard| wakers[shard].wake()),
        owner: Box::new(move |key| hasher.hash(key).owner(shard_count)),
    };
    let group = Arc::from(config.name);
    Dispatch::new(group, loader, limits, board, shards, calls, doorbell)
        .run(|| stop.is_raised())
        .await;
}
