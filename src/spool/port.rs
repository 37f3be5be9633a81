//! How shards hand writes to whoever has the files, and hear of them.
//!
//! Between a shard and the control executor there are four queues, each from one thread to one other:
//!
//! ```text
//!   shard  -- writes ----->  control     as many unanswered as the lane holds
//!          <- answers -----              in the order of the writes, so there is always room
//!          -- notes ------>              taken by the server; not held here
//!          <- waiting -----              found at start, or not held: to be sent to its server
//! ```
//!
//! A shard rings the [`Doorbell`] once a turn, which costs a system call only while nobody listens.

use std::sync::Arc;

use super::record::{Lsn, Operation, Speech};
use crate::{
    mesh::{Consumer, Doorbell, Producer, queue},
    sync::{AtomicUsize, Ordering},
};

/// Writes of one shard that are not answered; more wait in the shard. A sync takes some
/// milliseconds on a disk; in that time a shard takes in a few thousand.
const LANE_DEPTH: usize = 4_096;

/// Notes of one shard on their way; more wait in the shard.
const NOTE_DEPTH: usize = 4_096;

/// Waiting writes on their way to one shard.
const WAITING_DEPTH: usize = 1_024;

/// Bytes of them, unless a single one is longer.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// Bytes of writes of one shard that are not answered; more wait in the shard.
const LANE_BYTES_MAX: usize = 16 << 20;

/// Something that is to be on disk before it is answered.
#[derive(Debug)]
pub struct Wanted {
    /// What is to be there.
    pub task: Task,
    /// Which server of the pool.
    pub server: usize,
    /// The key, the value of a set, and behind them what is the shard's own; it comes back with the
    /// answer.
    pub bytes: Vec<u8>,
    /// How much of that is the key.
    pub key_bytes: usize,
    /// When it was asked for, in milliseconds since the unix epoch.
    pub unix_ms: u64,
}

/// What is to be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// That the key is to be deleted.
    Delete,
    /// That it is to have a value.
    Set {
        /// memcache's flags.
        flags: u32,
        /// When it expires, in milliseconds since the unix epoch; 0 never.
        exptime: u64,
        /// How long it is.
        value_bytes: usize,
    },
    /// All that this shard has [noted](Note::Done) before: what its servers have taken is not told
    /// again after a start.
    Settle,
    /// That no value written before is to be told any more: its key is to be deleted instead.
    Barrier,
}

impl Wanted {
    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.key_bytes]
    }

    /// What is to be done with the key, if anything is.
    pub fn operation(&self) -> Option<Operation<'_>> {
        match self.task {
            Task::Delete => Some(Operation::Delete),
            Task::Set {
                flags,
                exptime,
                value_bytes,
            } => Some(Operation::Set {
                flags,
                exptime,
                value: &self.bytes[self.key_bytes..self.key_bytes + value_bytes],
            }),
            Task::Settle | Task::Barrier => None,
        }
    }
}

/// What became of a write.
#[derive(Debug)]
pub struct Answer {
    /// Its number, or 0 for what is no write; from here on the promise of `--spool-sync` holds.
    pub result: Result<Lsn, Failure>,
    /// What it came with.
    pub bytes: Vec<u8>,
}

/// Why a write is not on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The spool is full.
    Full,
    /// The disk reports an error.
    Disk,
}

/// What a shard says of a write that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The server has taken it.
    Done(Lsn),
    /// The shard has no room to keep it: it is to be told of it later.
    Parked {
        /// The write.
        lsn: Lsn,
        /// Which of the shard's queues is full: its number for a server of the pool, or for a node of
        /// a cluster.
        queue: usize,
    },
}

/// A write that is on disk and is to be sent to its server.
#[derive(Debug)]
pub struct Waiting {
    /// Its number.
    pub lsn: Lsn,
    /// Which server of the pool.
    pub server: usize,
    /// The key, and the value of a set.
    pub bytes: Vec<u8>,
    /// How much of that is the key.
    pub key_bytes: usize,
    /// Flags and exptime of a set; a delete has none.
    pub set: Option<(u32, u64)>,
}

impl Waiting {
    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.key_bytes]
    }

    /// What is to be done with it.
    pub fn operation(&self) -> Operation<'_> {
        match self.set {
            None => Operation::Delete,
            Some((flags, exptime)) => Operation::Set {
                flags,
                exptime,
                value: &self.bytes[self.key_bytes..],
            },
        }
    }
}

/// A write on disk that its shard has not been told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Untold {
    /// Its key's hash.
    pub hash: u64,
    /// Its number.
    pub lsn: Lsn,
    /// Whether it is a set.
    pub is_set: bool,
}

/// What a Redis Cluster is called in place of a server: who of its nodes is told of a write, its
/// slots say when it is sent. No server is called so, as each has a port or a path.
pub const CLUSTER: &str = "cluster";

/// A server that writes are kept for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName {
    /// `HOST:PORT`, or [`CLUSTER`].
    pub name: String,
    /// What it speaks.
    pub speech: Speech,
}

/// A shard's end.
pub struct ShardPort {
    writes: Producer<Wanted>,
    answers: Consumer<Answer>,
    notes: Producer<Note>,
    waiting: Consumer<Waiting>,
    /// How many bytes of them are on their way.
    waiting_bytes: Arc<AtomicUsize>,
    doorbell: Doorbell,
    has_sent: bool,
}

/// The control executor's end of one shard.
pub struct ControlPort {
    writes: Consumer<Wanted>,
    answers: Producer<Answer>,
    notes: Consumer<Note>,
    waiting: Producer<Waiting>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// Makes the queues of one shard.
pub fn ports(doorbell: &Doorbell) -> (ShardPort, ControlPort) {
    let (writes_in, writes) = queue(LANE_DEPTH);
    let (answers, answers_out) = queue(LANE_DEPTH);
    let (notes_in, notes) = queue(NOTE_DEPTH);
    let (waiting, waiting_out) = queue(WAITING_DEPTH);
    let waiting_bytes = Arc::new(AtomicUsize::new(0));
    let shard = ShardPort {
        writes: writes_in,
        answers: answers_out,
        notes: notes_in,
        waiting: waiting_out,
        waiting_bytes: Arc::clone(&waiting_bytes),
        doorbell: doorbell.clone(),
        has_sent: false,
    };
    let control = ControlPort {
        writes,
        answers,
        notes,
        waiting,
        waiting_bytes,
    };
    (shard, control)
}

impl ShardPort {
    /// Writes that may be unanswered at a time. The shard counts them, so that answers have room.
    pub const UNANSWERED_MAX: usize = LANE_DEPTH;

    /// Bytes of them, unless a single one is longer.
    pub const UNANSWERED_BYTES_MAX: usize = LANE_BYTES_MAX;

    /// Hands a write over.
    ///
    /// # Errors
    /// As many are unanswered as may be; the write comes back.
    pub fn send(&mut self, write: Wanted) -> Result<(), Wanted> {
        self.writes.push(write)?;
        self.has_sent = true;
        Ok(())
    }

    /// Says something of a write.
    ///
    /// # Errors
    /// Too much has been said that has not been heard.
    pub fn note(&mut self, note: Note) -> Result<(), Note> {
        self.notes.push(note)
    }

    /// The answer to the oldest write that has none.
    pub fn next_answer(&mut self) -> Option<Answer> {
        self.answers.pop()
    }

    /// The next write that is to be sent to its server.
    pub fn next_waiting(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop()?;
        self.waiting_bytes
            .fetch_sub(waiting.bytes.len(), Ordering::Relaxed);
        Some(waiting)
    }

    /// Wakes the control executor if it sleeps and something was sent since the last time. Notes
    /// alone do not: they are heard when it looks around.
    pub fn ring(&mut self) {
        if core::mem::take(&mut self.has_sent) {
            self.doorbell.ring();
        }
    }
}

impl ControlPort {
    /// The next write.
    pub fn next_write(&mut self) -> Option<Wanted> {
        self.writes.pop()
    }

    /// Whether there is none.
    pub fn is_empty(&mut self) -> bool {
        self.writes.is_empty()
    }

    /// The next note.
    pub fn next_note(&mut self) -> Option<Note> {
        self.notes.pop()
    }

    /// Answers the oldest write that has no answer.
    pub fn answer(&mut self, answer: Answer) {
        let pushed = self.answers.push(answer);
        debug_assert!(pushed.is_ok(), "more answers than writes");
    }

    /// Has a write sent to its server.
    ///
    /// # Errors
    /// The shard has not taken the last ones yet; the write comes back.
    pub fn feed(&mut self, waiting: Waiting) -> Result<(), Waiting> {
        let bytes = waiting.bytes.len();
        let before = self.waiting_bytes.load(Ordering::Relaxed);
        if before > 0 && before + bytes > WAITING_BYTES_MAX {
            return Err(waiting);
        }
        // Before it can be taken.
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.waiting.push(waiting).inspect_err(|_| {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        })
    }
}

impl core::fmt::Debug for ShardPort {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ShardPort").finish_non_exhaustive()
    }
}

impl core::fmt::Debug for ControlPort {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ControlPort").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use super::*;

    fn wanted(number: usize) -> Wanted {
        Wanted {
            task: Task::Delete,
            server: number,
            bytes: Vec::new(),
            key_bytes: 0,
            unix_ms: 0,
        }
    }

    #[test]
    fn a_shard_hears_of_its_writes_in_order() {
        let (mut shard, mut control) = ports(&Doorbell::default());
        for number in 0..ShardPort::UNANSWERED_MAX {
            shard.send(wanted(number)).expect("room");
        }
        assert!(shard.send(wanted(0)).is_err());
        for number in 0..ShardPort::UNANSWERED_MAX {
            assert_eq!(control.next_write().expect("a write").server, number);
            control.answer(Answer {
                result: Ok(Lsn(number as u64)),
                bytes: Vec::new(),
            });
        }
        assert!(control.is_empty());
        for number in 0..ShardPort::UNANSWERED_MAX as u64 {
            let answer = shard.next_answer().expect("an answer");
            assert_eq!(answer.result, Ok(Lsn(number)));
        }
    }

    #[test]
    fn the_bell_rings_for_writes_and_only_where_somebody_sleeps() {
        use core::task::Waker;
        use std::sync::atomic::AtomicUsize;
        struct Counting(AtomicUsize);
        impl std::task::Wake for Counting {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let counting = Arc::new(Counting(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&counting));
        let rung = || counting.0.load(Ordering::Relaxed);
        let doorbell = Doorbell::default();
        let (mut shard, mut control) = ports(&doorbell);
        shard.send(wanted(1)).expect("room");
        shard.ring();
        assert_eq!(rung(), 0, "nobody sleeps");
        assert!(doorbell.poll(&waker, || control.is_empty()).is_ready());
        control.next_write().expect("the write");
        assert!(doorbell.poll(&waker, || control.is_empty()).is_pending());
        shard.note(Note::Done(Lsn(1))).expect("room");
        shard.ring();
        assert_eq!(rung(), 0, "a note can wait");
        shard.send(wanted(2)).expect("room");
        shard.ring();
        shard.ring();
        assert_eq!(rung(), 1);
    }
}
