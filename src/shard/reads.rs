//! Reads of one key that came together, served together.
//!
//! Most of all traffic is reads of one key, spelled as every client library spells them, many on one
//! connection. A run of those is known by its bytes: no request is made of it, nor a step for each of
//! them. What has to hold for a read to be served (nobody waits, nothing is paused, the client is as
//! any other) is asked once for all of them, and what is counted is added once. All else goes by way
//! of the [`batch`](super::batch), which makes the same of these, too.

use arrayvec::ArrayVec;

use super::{
    core::Core, session::Session, settings::OUTPUT_BYTES_MAX, shown::AnswerOut, stats::Counters,
};
use crate::store::{Absence, EntryRef, Key};

/// Reads looked up ahead: about as many cache misses as a core has in flight.
const READS_AHEAD_MAX: usize = 16;

/// A protocol's plain reads.
pub(super) trait PlainReads {
    /// What a client gets may depend on.
    type Voice: Copy;

    /// What stands behind the value in the answer to a read that finds something.
    const CLOSE: &[u8];

    /// The key of the read at the front of `bytes` and where it ends, if one is there whole and spelled
    /// as usual.
    fn find(bytes: &[u8]) -> Option<(&[u8], usize)>;

    /// How this client is answered, if it is one that wants nothing special.
    fn voice(session: &Session) -> Option<Self::Voice>;

    /// How many of so many reads may be served without a closer look at them.
    fn allowed(core: &Core, count: usize) -> usize;

    /// Appends what stands before the value in the answer to a read that finds something.
    fn open(entry: EntryRef<'_>, out: &mut Vec<u8>);

    /// Appends the answer to one that finds nothing, and counts why.
    fn miss(absence: Absence, voice: Self::Voice, counters: &Counters, out: &mut Vec<u8>);

    /// So many were served.
    fn served(session: &mut Session, core: &mut Core, count: usize);
}

/// Serves the reads at the front of `bytes`; how many bytes those took. None are served if anything
/// but the store has to be asked.
#[inline]
pub(super) fn serve<P: PlainReads>(session: &mut Session, core: &mut Core, bytes: &[u8]) -> usize {
    if (core.pool.is_some() && !is_shown_copies(session, core)) || !session.may_read(core) {
        return 0;
    }
    let Some(voice) = P::voice(session) else {
        return 0;
    };
    let mut done = 0;
    loop {
        let run = look_ahead::<P>(core, &bytes[done..]);
        if run.is_empty() {
            return done;
        }
        let served = serve_run::<P>(session, core, &run, voice);
        let Some((_, end)) = served.checked_sub(1).and_then(|last| run.get(last)) else {
            return done;
        };
        done += end;
        if served < READS_AHEAD_MAX {
            return done;
        }
    }
}

/// Whether a pool's client gets what the L1 has.
fn is_shown_copies(session: &Session, core: &Core) -> bool {
    core.has_l1() && !session.is_watching_at_server()
}

/// Keys, and where their reads end.
type Run<'b> = ArrayVec<(Key<'b>, usize), READS_AHEAD_MAX>;

/// The next reads; the memory that they need is asked for.
fn look_ahead<'b, P: PlainReads>(core: &Core, bytes: &'b [u8]) -> Run<'b> {
    let mut run = Run::new();
    let mut at = 0;
    while !run.is_full()
        && let Some((key, read_bytes)) = P::find(&bytes[at..])
    {
        at += read_bytes;
        let key = core.key(key);
        run.push((key, at));
        let is_alone = run.len() == 1 && at == bytes.len();
        if !is_alone {
            core.store.prefetch(key.hash);
        }
    }
    run
}

/// Serves them, up to one that has to be looked at more closely; how many.
fn serve_run<P: PlainReads>(
    session: &mut Session,
    core: &mut Core,
    run: &Run<'_>,
    voice: P::Voice,
) -> usize {
    if run.len() > 1 {
        run.iter()
            .for_each(|(key, _)| core.store.prefetch_entry(key.hash));
    }
    let is_group = core.is_group();
    // What is not here has to be asked for.
    let is_asked_on = is_group || core.pool.is_some();
    let allowed = P::allowed(core, run.len());
    let (mut served, mut hits) = (0, 0);
    for (key, _) in &run[..allowed] {
        if session.replies.bytes() >= OUTPUT_BYTES_MAX {
            break;
        }
        match core.store.look(*key, core.now) {
            Ok(entry) if !core.vouches_for(&entry) => break,
            Ok(entry) => {
                entry.mark_used(core.now);
                let open = |out: &mut Vec<u8>| P::open(entry, out);
                let found = (key.hash, entry);
                session.show(&core.store, &mut core.buffers, found, open, P::CLOSE);
                hits += 1;
                if is_group {
                    let deadline = entry.deadline();
                    core.note_end(*key, deadline);
                }
            }
            Err(_) if is_asked_on => break,
            Err(absence) => {
                let out = session.replies.ready(&mut core.buffers);
                P::miss(absence, voice, core.board.of(core.mesh.shard()), out);
                if absence == Absence::Expired {
                    core.found_expired(*key);
                }
            }
        }
        served += 1;
    }
    if served > 0 {
        let counters = core.counters();
        counters.gets.add(served as u64);
        counters.get_hits.add(hits);
        P::served(session, core, served);
    }
    served
}
