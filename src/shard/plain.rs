//! Plain requests that came together, served together.
//!
//! Most of all traffic reads one key or writes one, spelled as every client library does, many
//! requests on one connection. A run of those is known by its bytes: no request is made of them, nor
//! a step for each. What has to hold for them to be served (nothing is paused, the client is as any
//! other) is asked once for the run, and what is counted is added once. All else goes by way of the
//! [`batch`](super::batch), which makes the same of these, too.

use arrayvec::ArrayVec;

use super::{
    core::Core,
    form::Form,
    pool,
    session::{Session, Step},
    settings::{OUTPUT_BYTES_MAX, PIPELINE_DEPTH_MAX},
    several::Shows,
    shown::AnswerOut,
    stats::Counters,
};
use crate::store::{Absence, Condition, Deadline, EntryRef, Expiry, Key, Operation, Stamp, UnixMs};

/// Requests looked up ahead: about as many cache misses as a core has in flight.
const AHEAD_MAX: usize = 16;

/// A plain request.
pub(super) struct Plain<'b> {
    pub(super) key: &'b [u8],
    /// What is written; none, if the key is read.
    pub(super) write: Option<PlainWrite<'b>>,
}

/// What a plain request writes, whatever is there.
pub(super) struct PlainWrite<'b> {
    pub(super) value: &'b [u8],
    pub(super) flags: u32,
    pub(super) deadline: Deadline,
}

/// A plain write as far as it stands before its value.
pub(super) struct PlainHead<'b> {
    pub(super) key: &'b [u8],
    /// Without the value.
    pub(super) write: PlainWrite<'b>,
    /// Where the value begins.
    pub(super) start: usize,
    /// Bytes of the value.
    pub(super) value_bytes: usize,
}

impl PlainWrite<'_> {
    pub(super) fn operation(&self) -> Operation {
        Operation::Set {
            flags: self.flags,
            expiry: Expiry::Until(self.deadline),
            condition: Condition::Always,
            stamp: Stamp::default(),
            wants_old: false,
        }
    }
}

/// How many requests of each kind were served.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ServedCounts {
    pub(super) reads: usize,
    pub(super) writes: usize,
    /// The last one was a read.
    pub(super) ends_in_read: bool,
}

impl ServedCounts {
    pub(super) fn count(self) -> usize {
        self.reads + self.writes
    }

    #[inline]
    fn add(&mut self, is_read: bool) {
        self.reads += usize::from(is_read);
        self.writes += usize::from(!is_read);
        self.ends_in_read = is_read;
    }
}

/// A protocol's plain requests.
pub(super) trait PlainRequests {
    /// What a client gets may depend on.
    type Voice: Copy;

    /// What stands behind the value in the answer to a read that finds something.
    const CLOSE: &[u8];

    /// The key of the read at the front of `bytes` and where that ends, if one is there whole and spelled as
    /// usual. To be inlined wherever it is called: a call costs a fifth of what it does.
    fn find_read(bytes: &[u8]) -> Option<(&[u8], usize)>;

    /// The request at the front of `bytes` and where it ends, if one is there whole and spelled as usual.
    fn find(bytes: &[u8], now: UnixMs) -> Option<(Plain<'_>, usize)>;

    /// The head of the write at the front of `bytes`, however much of its value is there; it ends in CRLF.
    fn find_head(bytes: &[u8], now: UnixMs) -> Option<PlainHead<'_>>;

    /// The request at hand is read from its start when it is read next.
    fn restart(session: &mut Session);

    /// How this client is answered, if it is one that wants nothing special.
    fn voice(session: &Session) -> Option<Self::Voice>;

    /// How many of so many requests may be served without a closer look at them.
    fn allowed(core: &Core, count: usize) -> usize;

    /// Appends what stands before the value in the answer to a read that finds something.
    fn open(entry: EntryRef<'_>, out: &mut Vec<u8>);

    /// Appends the answer to one that finds nothing, and counts why.
    fn miss(absence: Absence, voice: Self::Voice, counters: &Counters, out: &mut Vec<u8>);

    /// How the answer of a pool's server to a read is shown.
    fn asked(voice: Self::Voice) -> Form;

    /// How a write is answered.
    fn written(voice: Self::Voice) -> Form;

    /// A write is served next.
    fn note_write(session: &mut Session);

    /// So many were served.
    fn note_served(session: &mut Session, core: &mut Core, served: ServedCounts);
}

/// Serves the plain requests at the front of `bytes`; how many bytes those took. None are served if
/// anything has to be asked but the store, or the servers of a pool in whose front nothing is kept.
#[inline]
pub(super) fn serve<P: PlainRequests>(
    session: &mut Session,
    core: &mut Core,
    bytes: &[u8],
) -> usize {
    let Some(voice) = P::voice(session) else {
        return 0;
    };
    if !core.looks_up() {
        return pool::plain::serve::<P>(session, core, bytes, voice);
    }
    let mut done = 0;
    while may_serve(session, core) {
        let run = look_ahead::<P>(core, &bytes[done..]);
        let served = serve_run::<P>(session, core, &run, voice);
        let Some(last) = served.checked_sub(1).and_then(|last| run.others.get(last)) else {
            break;
        };
        done += last.end;
        if served < AHEAD_MAX {
            break;
        }
    }
    done
}

/// Whether requests may be served now that need nothing but the store.
#[inline]
pub(super) fn may_serve(session: &Session, core: &Core) -> bool {
    let is_shown_entries =
        core.pool.is_none() || (core.has_l1() && !session.is_watching_at_server());
    let waits = session.replies.pending_count() > 0 && (!core.is_embedded() || session.is_barred());
    is_shown_entries && !waits && core.is_open()
}

/// The next requests.
#[derive(Default)]
struct Run<'b> {
    keys: ArrayVec<Key<'b>, AHEAD_MAX>,
    /// What each is besides.
    others: ArrayVec<Other<'b>, AHEAD_MAX>,
    has_writes: bool,
}

struct Other<'b> {
    write: Option<PlainWrite<'b>>,
    /// Where its bytes end.
    end: usize,
}

/// The next requests; the buckets of their keys are asked for.
fn look_ahead<'b, P: PlainRequests>(core: &Core, bytes: &'b [u8]) -> Run<'b> {
    let mut run = Run::default();
    let mut at = 0;
    while !run.keys.is_full()
        && let Some((Plain { key, write }, request_bytes)) = P::find(&bytes[at..], core.now)
    {
        at += request_bytes;
        let is_alone = run.keys.is_empty() && at == bytes.len();
        run.keys.push(if is_alone {
            core.key(key)
        } else {
            core.look_ahead(key)
        });
        run.has_writes |= write.is_some();
        run.others.push(Other { write, end: at });
    }
    run
}

/// Serves them, up to one that has to be looked at more closely; how many.
fn serve_run<P: PlainRequests>(
    session: &mut Session,
    core: &mut Core,
    run: &Run<'_>,
    voice: P::Voice,
) -> usize {
    let allowed = P::allowed(core, run.keys.len());
    let served = if run.has_writes || !core.is_embedded() || !session.may_read(core) {
        serve_each::<P>(session, core, (run, allowed), voice)
    } else {
        ServedCounts {
            reads: session.show_keys(core, &run.keys[..allowed], &Shown::<P>(voice)),
            writes: 0,
            ends_in_read: true,
        }
    };
    if served.count() > 0 {
        P::note_served(session, core, served);
    }
    served.count()
}

/// Reads of one key each are shown as those of one request are.
struct Shown<P: PlainRequests>(P::Voice);

impl<P: PlainRequests> Shows for Shown<P> {
    const CLOSE: &[u8] = P::CLOSE;

    #[inline]
    fn open(&self, entry: EntryRef<'_>, out: &mut Vec<u8>) {
        P::open(entry, out);
    }

    fn miss(&self, absence: Absence, counters: &Counters, out: &mut Vec<u8>) {
        P::miss(absence, self.0, counters, out);
    }
}

/// Serves so many requests one by one: what is written is seen by the reads behind it.
fn serve_each<P: PlainRequests>(
    session: &mut Session,
    core: &mut Core,
    (run, allowed): (&Run<'_>, usize),
    voice: P::Voice,
) -> ServedCounts {
    if run.keys.len() > 1 {
        run.keys
            .iter()
            .for_each(|key| _ = core.store.prefetch_entry(key.hash));
    }
    // What is not in the store has to be asked for, and what is written goes on from here.
    let asks_on = !core.is_embedded();
    let (mut served, mut hits) = (ServedCounts::default(), 0);
    let requests = run.keys.iter().zip(&run.others);
    for (key, Other { write, .. }) in requests.take(allowed) {
        if session.replies.bytes() >= OUTPUT_BYTES_MAX {
            break;
        }
        match write {
            None if session.must_wait_for(*key) => break,
            None => match get::<P>(session, core, *key, (voice, asks_on)) {
                Some(is_hit) => hits += u64::from(is_hit),
                None => break,
            },
            Some(_) if asks_on => break,
            Some(write) if !set::<P>(session, core, *key, (write, voice)) => break,
            Some(_) => {}
        }
        served.add(write.is_none());
    }
    let counters = core.counters();
    counters.gets.add(served.reads as u64);
    counters.get_hits.add(hits);
    counters.sets.add(served.writes as u64);
    served
}

/// Answers a read; whether it is a hit. None if it has to be looked at more closely.
#[inline]
fn get<P: PlainRequests>(
    session: &mut Session,
    core: &mut Core,
    key: Key<'_>,
    (voice, asks_on): (P::Voice, bool),
) -> Option<bool> {
    let entry = match core.store.look(key, core.now) {
        Ok(entry) => entry,
        Err(_) if asks_on => return None,
        Err(absence) => {
            let out = session.replies.ready(&mut core.buffers);
            P::miss(absence, voice, core.board.of(core.mesh.shard()), out);
            if absence == Absence::Expired {
                core.found_expired(key);
            }
            return Some(false);
        }
    };
    if !core.vouches_for(&entry) {
        return None;
    }
    entry.mark_used(core.now);
    let open = |out: &mut Vec<u8>| P::open(entry, out);
    session.show(
        &core.store,
        &mut core.buffers,
        (key.hash, entry),
        open,
        P::CLOSE,
    );
    if core.is_group() {
        core.note_end(key, entry.deadline());
    }
    Some(true)
}

/// Applies a write and answers it, or has its owner do so; whether it could be.
#[inline]
fn set<P: PlainRequests>(
    session: &mut Session,
    core: &mut Core,
    key: Key<'_>,
    (write, voice): (&PlainWrite<'_>, P::Voice),
) -> bool {
    let has_room = session.replies.pending_count() < PIPELINE_DEPTH_MAX;
    if !has_room || !core.store.fits(key.bytes.len(), write.value.len()) {
        return false;
    }
    P::note_write(session);
    let form = P::written(voice);
    session.mutate(core, key, write.operation(), write.value, form) == Step::Done
}
