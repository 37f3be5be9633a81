//! What a shard is made of, and how it is put together.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::AtomicUsize},
};

use super::{
    admission::Admission,
    buffers::BufferPool,
    core::Core,
    drain::StopFlag,
    forwarding::Forwarding,
    group::{Group, GroupParts},
    message::{Answer, Ask, Notice},
    meter::Meter,
    pause::Pause,
    peers::Peers,
    pool::{
        Pool, PoolSettings,
        spooling::{SpoolParts, Spooling},
    },
    round::Rounds,
    settings::Settings,
    spin::Spin,
    stats::StatsBoard,
    tracking::Tracking,
    turn::{LISTENERS, Shard},
    world::World,
};
use crate::{
    io::{Io, Stopwatch, Wait},
    mesh::MeshPort,
    store::{ShardStore, UnixMs},
};

/// What a shard is made of.
#[derive(Debug)]
pub struct Parts {
    /// Its partition, and its view of the others.
    pub store: ShardStore,
    /// Its port of the mesh.
    pub mesh: MeshPort<Ask, Answer, Box<Notice>>,
    /// What is the same for all.
    pub settings: Arc<Settings>,
    /// All shards' counters.
    pub board: StatsBoard,
    /// Client connections open on all shards.
    pub connection_count: Arc<AtomicUsize>,
    /// Raised when the process is to end.
    pub stop: StopFlag,
    /// The pool, in pool mode.
    pub pool: Option<PoolSettings>,
    /// The spool, if the pool has one.
    pub spool: Option<SpoolParts>,
    /// The group, in group mode.
    pub group: Option<GroupParts>,
}

impl<I: Io> Shard<I> {
    /// A shard that accepts from its first turn on.
    pub fn new(mut io: I, parts: Parts) -> Self {
        LISTENERS.iter().for_each(|listener| io.accept(*listener));
        let now = io.now();
        let connection_count = Arc::clone(&parts.connection_count);
        let stop = parts.stop.clone();
        let mut core = Core::new(parts, now, io.stopwatch());
        core.store.online();
        let mut shard = Self {
            spin: Spin::new(core.settings.speed.spin),
            rest: Wait::Poll,
            io,
            core,
            peers: Peers::default(),
            dirty: Vec::new(),
            held: VecDeque::new(),
            completions: Vec::new(),
            touched: Vec::new(),
            connection_count,
            client_count: 0,
            stop,
            stop_turns: 0,
            drain_until: None,
            accept_failed: [false; 2],
            sends_in_flight: 0,
            next_idle_check: now,
            next_tick: now,
            link_alarm: now,
        };
        // Backends are being connected before the first client can ask for one.
        shard.tick_links();
        shard
    }
}

impl Core {
    fn new(parts: Parts, now: UnixMs, stopwatch: Stopwatch) -> Self {
        let Parts {
            mut store,
            mesh,
            settings,
            board,
            pool,
            spool,
            group,
            ..
        } = parts;
        let (shard, hasher) = (mesh.shard(), store.hasher());
        let bytes_max = settings.item_bytes_max;
        let pool = pool.map(|pool| Pool::new(&pool, shard, hasher, bytes_max, now));
        if let Some(group) = &group {
            store.keep_expired(group.freshness.stale_ms);
        }
        let buffers = BufferPool::new(settings.memory_bytes / mesh.shard_count());
        Self {
            now,
            store,
            is_short: false,
            is_busy: false,
            draw_count: 0,
            wants_stop: false,
            admission: Admission::new(buffers.large_bytes_max()),
            buffers,
            forwarding: Forwarding::new(mesh.shard_count()),
            mesh,
            pool,
            spool: spool.map(Spooling::new),
            group: group.map(Group::new),
            settings,
            board,
            old: Vec::new(),
            flush_waits: Vec::new(),
            flush_starts: Vec::new(),
            tracking: Tracking::new(shard),
            world: World::default(),
            asks: Vec::new(),
            rounds: Rounds::default(),
            pause: Pause::default(),
            meter: Meter::new(),
            stopwatch,
            units: Vec::new(),
            waiters: Vec::new(),
        }
    }
}
