//! The group's executor while ringfort runs: a thread for all that loads keys, which is not the data
//! path and waits for others.

use std::{
    io,
    rc::Rc,
    sync::{Arc, mpsc},
};

use super::{StartError, control_thread::ControlThread, listen};
use crate::{
    config::{GroupConfig, HotPolicy, PeerRing, PeersConfig},
    group::{
        Loader, PeerClient, PeerLimits, PeerServer, PeerServerSettings,
        calls::{Caller, Calls, calls},
        circle::Circle,
        dispatch::{Dispatch, Limits, Shards},
        origin, peers_file,
        port::{ControlPort, ports},
        statistics::Board,
        wire::Spelling,
    },
    io::Waker,
    mesh::Doorbell,
    runtime::{ControlWidth, net},
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
    peers: Option<PeersConfig>,
    /// What errors call the source.
    origin: String,
}

/// What it starts from.
struct Seed {
    config: GroupConfig,
    value_bytes_max: usize,
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
    value_bytes_max: usize,
    memory_bytes: usize,
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
        tells_changes: config.peers.is_some() || config.writes_through,
        keeps_flags: config.writes_through,
        hot: config
            .peers
            .as_ref()
            .map_or(HotPolicy::None, |peers| peers.hot),
        memory_bytes,
    });
    let parts = parts.collect();
    let seed = Seed {
        config: config.clone(),
        value_bytes_max,
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
        peers: config.peers.clone(),
        origin: origin.map_or_else(|| "of the program".into(), ToString::to_string),
    };
    (parts, grouper)
}

impl Grouper {
    /// Starts the thread; the wakers are the shards', by number.
    ///
    /// # Errors
    /// There is no thread or no ring to be had, the source cannot be used, or peers cannot be answered.
    pub(super) fn start(&mut self, wakers: Vec<Waker>) -> Result<(), StartError> {
        if let Some(peers) = &self.peers {
            listen::probe(peers.listen).map_err(|error| unheard(peers, error))?;
        }
        let (opened, is_open) = mpsc::channel();
        self.thread
            .start("group", WIDTH, move |seed| run(seed, wakers, opened))
            .map_err(StartError::UringRefused)?;
        let opened = is_open.recv();
        let opened = opened.unwrap_or_else(|_| Err(Trouble::Origin("its thread has ended".into())));
        opened.map_err(|trouble| match trouble {
            Trouble::Start(error) => error,
            Trouble::Origin(reason) => StartError::Origin {
                origin: self.origin.clone(),
                reason,
            },
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

/// Why the thread cannot do its work.
enum Trouble {
    /// The source cannot be used, for this reason.
    Origin(String),
    Start(StartError),
}

async fn run(seed: Seed, wakers: Vec<Waker>, opened: mpsc::Sender<Result<(), Trouble>>) {
    let stop = seed.stop.clone();
    match prepare(seed, wakers) {
        Ok(work) => {
            // Who started the thread waits for this.
            let _ = opened.send(Ok(()));
            if let Some(neighbours) = work.neighbours {
                neighbours.start(&work.dispatch);
            }
            work.dispatch.run(|| stop.is_raised()).await;
        }
        Err(trouble) => drop(opened.send(Err(trouble))),
    }
}

/// What the thread does.
struct Work {
    dispatch: Dispatch,
    neighbours: Option<Neighbours>,
}

fn prepare(seed: Seed, wakers: Vec<Waker>) -> Result<Work, Trouble> {
    let Seed {
        config,
        value_bytes_max,
        open,
        board,
        ports,
        hasher,
        calls,
        doorbell,
        stop: _,
    } = seed;
    let loader = open().map_err(Trouble::Origin)?;
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
    let group: Arc<str> = Arc::from(config.name);
    let neighbours = config.peers.map(|peers| {
        Neighbours::prepare(peers, Arc::clone(&group), value_bytes_max, board.clone())
    });
    let neighbours = neighbours.transpose().map_err(Trouble::Start)?;
    let circle = neighbours.as_ref().map(|all| Rc::clone(&all.circle));
    let loader = (loader, config.writes_through);
    let dispatch = Dispatch::new(
        group, loader, limits, board, shards, calls, circle, doorbell,
    );
    Ok(Work {
        dispatch,
        neighbours,
    })
}

/// The other peers, and the port where they are answered.
struct Neighbours {
    circle: Rc<Circle>,
    server: PeerServer,
    config: PeersConfig,
}

impl Neighbours {
    fn prepare(
        config: PeersConfig,
        group: Arc<str>,
        value_bytes_max: usize,
        board: Board,
    ) -> Result<Self, StartError> {
        let settings = PeerServerSettings {
            secret: config.secret.clone(),
            spelling: match config.ring {
                PeerRing::Groupcache => Spelling::Query,
                PeerRing::Fnv => Spelling::Path,
            },
            value_bytes_max,
            limits: PeerLimits::default(),
        };
        let server = PeerServer::bind(config.listen, settings);
        let server = server.map_err(|error| unheard(&config, error))?;
        let client = PeerClient::new(config.secret.as_ref(), value_bytes_max);
        let client = client.map_err(|reason| unheard(&config, io::Error::other(reason)))?;
        let me = config.me.clone();
        let circle = Circle::new(group, me, &config.peers, config.ring, client, board);
        Ok(Self {
            circle: Rc::new(circle),
            server,
            config,
        })
    }

    /// Answers peers, and watches who they are, for as long as the thread runs.
    fn start(self, dispatch: &Dispatch) {
        net::spawn_local(self.server.run(dispatch.handler()));
        if let Some(file) = self.config.file {
            let change = dispatch.peers_setter();
            net::spawn_local(peers_file::watch(file, self.config.peers, change));
        }
    }
}

fn unheard(peers: &PeersConfig, error: io::Error) -> StartError {
    StartError::Listen {
        flag: "--peer-listen",
        address: peers.listen,
        error,
    }
}
