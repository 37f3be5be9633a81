//! The group's executor while ringfort runs: a thread for all that loads keys, which is not the data
//! path and waits for others.

use std::{
    io,
    rc::Rc,
    sync::{Arc, mpsc},
};

use super::StartError;
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
    runtime::{self, Executor},
    shard::{GroupParts, StopFlag},
    store::KeyHasher,
};

/// Entries of the thread's rings: it waits for many sockets and files at a time.
const RING_DEPTH: usize = 256;

/// Makes the source of values on the thread that will ask it.
pub(crate) type OpenLoader = Box<dyn FnOnce() -> Result<Rc<dyn Loader>, String> + Send>;

/// Whoever loads a group's keys, on a thread of its own.
pub(super) struct Grouper {
    state: State,
    caller: Caller,
    doorbell: Doorbell,
    /// Raised, and the bell rung, when no shard is left.
    stop: StopFlag,
}

enum State {
    Opened(Box<Seed>),
    Running(Executor<()>),
    Failed,
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

/// What opens the source that the command line names.
pub(super) fn source(config: &GroupConfig, value_bytes_max: usize) -> OpenLoader {
    let spec = config.origin.clone();
    Box::new(move || match &spec {
        Some(spec) => origin::open(spec, value_bytes_max),
        None => Err("there is none".into()),
    })
}

/// Each shard's part of a group, and who will load its keys.
pub(super) fn open(
    config: &GroupConfig,
    open: OpenLoader,
    shard_count: usize,
    hasher: KeyHasher,
) -> (Vec<GroupParts>, Grouper) {
    let doorbell = Doorbell::default();
    let stop = StopFlag::default();
    let board = Board::default();
    let (caller, calls) = calls(&doorbell);
    let (shard_ports, control_ports): (Vec<_>, Vec<_>) =
        (0..shard_count).map(|_| ports(&doorbell)).unzip();
    let parts = shard_ports.into_iter().map(|port| GroupParts {
        port,
        board: board.clone(),
        negative_ttl_ms: config.negative_ttl.as_millis() as u64,
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
    let grouper = Grouper {
        state: State::Opened(Box::new(seed)),
        caller,
        doorbell,
        stop,
    };
    (parts, grouper)
}

impl Grouper {
    /// Starts the thread; the wakers are the shards', by number.
    ///
    /// # Errors
    /// There is no thread or no ring to be had, or the source cannot be used.
    pub(super) fn start(&mut self, wakers: Vec<Waker>) -> Result<(), StartError> {
        let State::Opened(seed) = std::mem::replace(&mut self.state, State::Failed) else {
            return Ok(());
        };
        let origin = seed.config.origin.as_ref();
        let name = origin.map_or_else(|| "of the program".into(), ToString::to_string);
        let (opened, is_open) = mpsc::channel();
        let task = move || run(*seed, wakers, opened);
        let executor = runtime::spawn_control("group", RING_DEPTH, task);
        self.state = State::Running(executor.map_err(StartError::UringRefused)?);
        let opened = is_open.recv();
        let opened = opened.unwrap_or_else(|_| Err("its thread has ended".into()));
        opened.map_err(|reason| StartError::Origin {
            origin: name,
            reason,
        })
    }

    /// Asks the group, from any thread.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Waits for the end of the thread; what it is loading is for nobody.
    ///
    /// # Errors
    /// It panicked.
    pub(super) fn finish(self) -> io::Result<()> {
        self.stop.raise();
        self.doorbell.ring();
        match self.state {
            State::Running(executor) => executor.join(),
            State::Opened(_) | State::Failed => Ok(()),
        }
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
