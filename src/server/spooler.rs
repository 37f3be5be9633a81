//! The spool's files while ringfort runs: what shards hand over is written, synced and answered in
//! groups, and what waits is handed back to be sent.
//!
//! ```text
//!   gather -> move -> write -> sync -> answer -> feed -> sleep
//! ```
//!
//! Whatever is queued when a group begins shares its writes and its sync; what comes in meanwhile
//! is the next group. So groups form by themselves under load, and a lone write waits for nobody.

mod feeding;
mod files;
mod found;
#[cfg(test)]
mod tests;

use std::{
    io,
    time::{Duration, Instant},
};

use self::{feeding::Feeding, files::Files};
use super::{StartError, control_thread::ControlThread};
use crate::{
    config::{PoolConfig, SpoolSync, WritePolicy},
    io::Waker,
    mesh::Doorbell,
    runtime::{self, ControlWidth},
    shard::{SpoolParts, StopFlag},
    spool::{
        Board, Count, Folder, Full, Limits, Log, Operation, Write,
        port::{Answer, ControlPort, Failure, Note, ServerName, Task, Wanted, ports},
        record::Lsn,
    },
    store::KeyHasher,
};

/// Bytes of a group after which no more writes are taken into it: what takes a disk a few
/// milliseconds, so that those at its front do not wait for ever.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// One task, which waits for one file after the other.
const WIDTH: ControlWidth = ControlWidth {
    ring_depth: 16,
    blocking_thread_count: 1,
};

/// The number of what is no write.
const NO_WRITE: Lsn = Lsn(0);

/// What a record has besides its key and value, about.
const RECORD_BYTES: usize = 64;

/// With `--spool-sync interval`, how much time of answered writes a loss of power may cost.
const SYNC_INTERVAL: Duration = Duration::from_millis(100);

/// How often shards' notes are looked for where nothing else is to be done.
const NOTES_INTERVAL: Duration = Duration::from_millis(200);

/// Whoever writes the spool, on a thread of its own.
pub(super) struct Spooler(ControlThread<Seed>);

/// What it starts from.
struct Seed {
    folder: Folder,
    log: Log,
    board: Board,
    sync: SpoolSync,
    /// The servers of the pool, by number.
    servers: Vec<ServerName>,
    hasher: KeyHasher,
    ports: Vec<ControlPort>,
    doorbell: Doorbell,
    stop: StopFlag,
}

/// Locks the folder of a pool's spool and reads what is there. Each shard's part of it, and who will
/// write it.
///
/// # Errors
/// It cannot be used.
pub(super) fn open(
    pool: &PoolConfig,
    item_bytes_max: usize,
    shard_count: usize,
    hasher: KeyHasher,
) -> Result<(Vec<SpoolParts>, Option<Spooler>), StartError> {
    let Some(config) = &pool.spool else {
        return Ok((Vec::new(), None));
    };
    let value_bytes_max = match pool.write {
        WritePolicy::Behind => item_bytes_max,
        WritePolicy::Through | WritePolicy::Invalidate => 0,
    };
    let limits = Limits::new(config.bytes_max as u64, value_bytes_max);
    let recovered = Folder::lock(&config.folder).and_then(|folder| {
        let (log, flaws) = folder.recover(limits, super::seed())?;
        Ok((folder, log, flaws))
    });
    let (folder, log, flaws) = recovered.map_err(|error| StartError::Spool {
        folder: config.folder.clone(),
        error,
    })?;
    let board = Board::default();
    for flaw in &flaws {
        if flaw.kind.is_corruption() {
            board.add(Count::Corrupt, 1);
            tracing::error!("spool: {flaw}");
        } else {
            tracing::warn!("spool: {flaw}");
        }
    }
    let servers = found::servers(pool);
    let found = found::waiting(&folder, &log, &servers, shard_count, hasher);
    let found = found.map_err(|error| StartError::Spool {
        folder: config.folder.clone(),
        error,
    })?;
    let doorbell = Doorbell::default();
    let stop = StopFlag::default();
    let (ports, control_ports): (Vec<_>, Vec<_>) =
        (0..shard_count).map(|_| ports(&doorbell)).unzip();
    let parts = ports
        .into_iter()
        .zip(found)
        .map(|(port, found)| SpoolParts {
            port,
            board: board.clone(),
            found,
        });
    let parts = parts.collect();
    let seed = Seed {
        folder,
        log,
        board,
        sync: config.sync,
        servers,
        hasher,
        ports: control_ports,
        doorbell: doorbell.clone(),
        stop: stop.clone(),
    };
    let spooler = Spooler(ControlThread::new(seed, doorbell, stop));
    Ok((parts, Some(spooler)))
}

impl Spooler {
    /// Starts the thread; the wakers are the shards', by number.
    ///
    /// # Errors
    /// There is no thread or no ring to be had.
    pub(super) fn start(&mut self, wakers: Vec<Waker>) -> io::Result<()> {
        let work = move |seed| Work::new(seed, wakers).run();
        self.0.start("control", WIDTH, work)
    }

    /// Has all that shards have said written, and waits for the end of the thread.
    ///
    /// # Errors
    /// It panicked.
    pub(super) fn finish(self) -> io::Result<()> {
        self.0.finish()
    }
}

struct Work {
    log: Log,
    files: Files,
    board: Board,
    sync: SpoolSync,
    servers: Vec<ServerName>,
    ports: Vec<ControlPort>,
    wakers: Vec<Waker>,
    doorbell: Doorbell,
    stop: StopFlag,
    feeding: Feeding,
    /// The writes of the group, in the order in which each shard gave them.
    group: Vec<Member>,
    /// Whose writes are taken first.
    first_shard: usize,
    /// Something is written and answered that is not synced, since then.
    unsynced_since: Option<Instant>,
    /// The last group was not written; said once.
    is_failing: bool,
}

/// A write of the group.
struct Member {
    shard: usize,
    result: Result<Lsn, Failure>,
    bytes: Vec<u8>,
}

impl Work {
    fn new(seed: Seed, wakers: Vec<Waker>) -> Self {
        let feeding = Feeding::new(&seed.log, &seed.servers, seed.hasher);
        seed.board.show(seed.log.figures());
        Self {
            log: seed.log,
            files: Files::new(seed.folder),
            board: seed.board,
            sync: seed.sync,
            servers: seed.servers,
            ports: seed.ports,
            wakers,
            doorbell: seed.doorbell,
            stop: seed.stop,
            feeding,
            group: Vec::new(),
            first_shard: 0,
            unsynced_since: None,
            is_failing: false,
        }
    }

    async fn run(mut self) {
        if self.log.keep_barrier().is_err() {
            tracing::error!(
                "spool: there is no room to keep what corruption means for the next start"
            );
        }
        loop {
            let is_stopping = self.stop.is_raised();
            self.gather();
            self.commit().await;
            self.sync_if_due(is_stopping).await;
            self.board.show(self.log.figures());
            let is_idle = self.ports.iter_mut().all(ControlPort::is_empty);
            if is_stopping && is_idle {
                return self.files.close().await;
            }
            let has_more = !is_stopping && self.feed().await;
            if is_idle && !has_more {
                self.sleep().await;
            }
        }
    }

    /// Takes what shards have handed over.
    fn gather(&mut self) {
        let mut bytes = 0;
        // Who was last is first next time, so that a full group is not always the same shard's.
        let shard_count = self.ports.len();
        self.first_shard = (self.first_shard + 1) % shard_count.max(1);
        for nth in 0..shard_count {
            let shard = (self.first_shard + nth) % shard_count;
            self.hear_notes(shard);
            while bytes < GROUP_BYTES_MAX
                && let Some(wanted) = self.ports[shard].next_write()
            {
                bytes += RECORD_BYTES + wanted.bytes.len();
                let result = match wanted.task {
                    Task::Settle => {
                        // What it is about was noted before it was handed over.
                        self.hear_notes(shard);
                        self.log.settle().map(|()| NO_WRITE)
                    }
                    Task::Barrier => self.log.bar().map(|()| NO_WRITE),
                    Task::Delete | Task::Set { .. } => self.append(&wanted),
                };
                let result = result.map_err(|full| {
                    self.board.add(Count::Refused, 1);
                    match full {
                        Full::Live | Full::Disk | Full::Record => Failure::Full,
                    }
                });
                let Wanted { bytes, .. } = wanted;
                self.group.push(Member {
                    shard,
                    result,
                    bytes,
                });
            }
        }
    }

    fn hear_notes(&mut self, shard: usize) {
        while let Some(note) = self.ports[shard].next_note() {
            match note {
                Note::Done(lsn) => self.log.done(lsn),
                Note::Parked { lsn, queue } => self.feeding.park((shard, queue), lsn),
            }
        }
    }

    fn append(&mut self, wanted: &Wanted) -> Result<Lsn, Full> {
        let server = &self.servers[wanted.server];
        let write = Write {
            server: server.name.as_bytes(),
            speech: server.speech,
            key: wanted.key(),
            operation: wanted.operation().unwrap_or(Operation::Delete),
            unix_ms: wanted.unix_ms,
        };
        self.log.append(&write)
    }

    /// Brings the group to where it is promised to be, and answers.
    async fn commit(&mut self) {
        let written = self.write_group().await;
        let is_kept = written.is_ok();
        self.note_health(written);
        let mut count = 0;
        let mut answered = vec![false; self.ports.len()];
        for member in self.group.drain(..) {
            let Member {
                shard,
                result,
                bytes,
            } = member;
            let result = match result {
                Ok(_) if !is_kept => Err(Failure::Disk),
                result => result,
            };
            count += u64::from(result.is_ok_and(|lsn| lsn != NO_WRITE));
            answered[shard] = true;
            self.ports[shard].answer(Answer { result, bytes });
        }
        self.board.add(Count::Written, count);
        for (waker, _) in self.wakers.iter().zip(answered).filter(|(_, is)| *is) {
            waker.wake();
        }
    }

    async fn write_group(&mut self) -> io::Result<()> {
        self.move_records().await?;
        let steps = self.log.take_steps();
        let is_promised = self.sync == SpoolSync::Always && !self.group.is_empty();
        // What was noted in a group before this one need not be synced, unless it is asked for.
        let is_owed = is_promised && self.unsynced_since.is_some();
        if steps.is_empty() && !self.log.has_removable() && !is_owed {
            return Ok(());
        }
        self.board.add(Count::Group, u64::from(!steps.is_empty()));
        self.files.perform(steps).await?;
        self.unsynced_since.get_or_insert_with(Instant::now);
        if is_promised || self.log.has_removable() {
            self.sync_files().await?;
            self.log.keep();
            let removable = self.log.take_removable();
            self.files.remove(removable).await;
        } else {
            self.log.keep();
        }
        Ok(())
    }

    async fn move_records(&mut self) -> io::Result<()> {
        while let Some(slice) = self.log.next_slice() {
            let bytes = self
                .files
                .read(slice.segment, slice.at, slice.bytes as usize)
                .await?;
            let lost = self.log.move_records(slice, &bytes);
            if lost > 0 {
                self.board.add(Count::Corrupt, lost as u64);
                tracing::error!(lost, segment = slice.segment, "spooled records are corrupt");
            }
        }
        Ok(())
    }

    async fn sync_files(&mut self) -> io::Result<()> {
        self.board.add(Count::Sync, 1);
        self.files.sync().await?;
        self.unsynced_since = None;
        Ok(())
    }

    /// Takes a group back that could not be written, and says so once.
    fn note_health(&mut self, written: io::Result<()>) {
        match written {
            Ok(()) if self.group.is_empty() => {}
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::warn!("the spool is written again");
                }
            }
            Err(error) => {
                self.board.add(Count::Error, 1);
                self.files.discard(self.log.undo());
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(%error, "the spool cannot be written, writes are refused");
                }
            }
        }
    }

    /// What was answered before it was synced is synced when it is time to, and at the end.
    async fn sync_if_due(&mut self, is_stopping: bool) {
        let is_due = match self.sync {
            SpoolSync::Interval => self
                .unsynced_since
                .is_some_and(|since| is_stopping || since.elapsed() >= SYNC_INTERVAL),
            SpoolSync::Always | SpoolSync::None => is_stopping && self.unsynced_since.is_some(),
        };
        if !is_due {
            return;
        }
        if let Err(error) = self.sync_files().await {
            self.board.add(Count::Error, 1);
            tracing::error!(%error, "answered writes may not be on disk: the spool's sync failed");
            // Whether a second sync tells the truth is not known: begin a new file.
            self.unsynced_since = None;
            self.files.discard(self.log.undo());
        }
    }

    /// Hands shards what waits. Whether there is more to hand over at once.
    async fn feed(&mut self) -> bool {
        let mut fed = vec![false; self.ports.len()];
        let outcome = self
            .feeding
            .feed(&self.log, &mut self.files, &mut self.ports, &mut fed)
            .await;
        self.board.add(Count::Replayed, outcome.fed);
        self.board.add(Count::Corrupt, outcome.unread);
        for (waker, _) in self.wakers.iter().zip(fed).filter(|(_, is)| *is) {
            waker.wake();
        }
        outcome.has_more
    }

    async fn sleep(&mut self) {
        let sync = self
            .unsynced_since
            .filter(|_| self.sync == SpoolSync::Interval);
        let dues = [
            sync.map(|since| SYNC_INTERVAL.saturating_sub(since.elapsed())),
            self.feeding.patience(),
            (self.log.figures().record_count > 0).then_some(NOTES_INTERVAL),
        ];
        let patience = dues.into_iter().flatten().min();
        let Self {
            doorbell,
            ports,
            stop,
            ..
        } = self;
        let is_idle = || ports.iter_mut().all(ControlPort::is_empty) && !stop.is_raised();
        let mut is_idle = is_idle;
        runtime::wait_until(|waker| doorbell.poll(waker, &mut is_idle), patience).await;
        self.doorbell.awake();
    }
}
