//! Serving the requests that arrived together, together.
//!
//! Requests are parsed some ahead; the index buckets of all their keys are asked for, then the
//! entries, and only then is the first one executed. In a store larger than the caches the waits
//! for memory overlap that way instead of adding up.

use arrayvec::ArrayVec;

use super::{
    core::Core,
    session::{Served, Session, Step, Stop},
    world::WorldPass,
};
use crate::{protocol::Parsed, store::KeyHash};

/// Requests parsed ahead: about as many cache misses as a core has in flight.
const REQUESTS_AHEAD_MAX: usize = 16;

/// A protocol, as the batch sees it.
pub(super) trait Dialect {
    /// A request, borrowed from the bytes it came in.
    type Request<'b>;
    /// What is wrong with bytes that are none.
    type Refusal<'b>;

    /// Reads the request at the front of `bytes`.
    fn parse<'b>(
        session: &mut Session,
        core: &Core,
        bytes: &'b [u8],
    ) -> Parsed<Self::Request<'b>, Self::Refusal<'b>>;

    /// Serves the plain requests at the front of `bytes`; how many bytes those took, see
    /// [`plain`](super::plain).
    fn serve_plain(session: &mut Session, core: &mut Core, bytes: &[u8]) -> usize {
        let _ = (session, core, bytes);
        0
    }

    /// The key of a request that is about just one; `raw` are the request's bytes.
    fn key<'b>(request: &Self::Request<'b>, raw: &'b [u8]) -> Option<&'b [u8]>;

    /// Executes a request, whose bytes are `raw`. It stays where parsing wrote it: a copy would be
    /// read back before its wide stores have reached the cache, which stalls the core.
    fn execute(
        session: &mut Session,
        core: &mut Core,
        request: &Self::Request<'_>,
        raw: &[u8],
    ) -> Step;

    /// Whether a pause holds a request back.
    fn is_held_back(core: &Core, request: &Self::Request<'_>) -> bool;

    /// Answers what was refused. The last of what it takes is how the conversation goes on.
    fn refuse(session: &mut Session, core: &mut Core, refusal: &Self::Refusal<'_>) -> Step;

    /// The next parse starts at this request again, whatever was parsed after it.
    fn rewind(session: &mut Session, request: &Self::Request<'_>);
}

/// A request that waits for those before it.
struct Planned<R> {
    request: R,
    /// Where its bytes end.
    end: usize,
    hash: Option<KeyHash>,
}

/// Why parsing ahead stopped.
enum Ahead<F> {
    /// There may be more.
    Full,
    /// The rest is not whole.
    Starved { want: usize },
    /// The rest is no request; where what is refused ends.
    Refused { refusal: F, end: usize },
}

/// Serves the requests at the front of `bytes`.
pub(super) fn serve<D: Dialect>(session: &mut Session, core: &mut Core, bytes: &[u8]) -> Served {
    let mut consumed = 0;
    loop {
        consumed += session.swallow_from(&bytes[consumed..]);
        let plain_bytes = D::serve_plain(session, core, &bytes[consumed..]);
        consumed += plain_bytes;
        // Where there were plain ones, more are to be expected right behind what is none.
        let count_max = if plain_bytes > 0 {
            1
        } else {
            REQUESTS_AHEAD_MAX
        };
        let mut batch = ArrayVec::new();
        let ahead = parse_ahead::<D>(session, core, bytes, (consumed, count_max), &mut batch);
        if batch.len() > 1 {
            batch
                .iter()
                .filter_map(|planned| planned.hash)
                .for_each(|h| _ = core.store.prefetch_entry(h));
        }
        for Planned { request, end, .. } in &batch {
            let end = *end;
            let step = if session.may_serve(core) && !D::is_held_back(core, request) {
                D::execute(session, core, request, &bytes[consumed..end])
            } else {
                Step::Hold
            };
            debug_assert!(
                step == Step::Hold || session.pass == WorldPass::None,
                "it is done"
            );
            if step == Step::Hold {
                D::rewind(session, request);
            }
            if let Some(stop) = pass(step, &mut consumed, end) {
                return Served { consumed, stop };
            }
        }
        match ahead {
            Ahead::Full => {}
            Ahead::Starved { want } => {
                return Served {
                    consumed,
                    stop: Stop::Starved { want },
                };
            }
            Ahead::Refused { refusal, end } => {
                let step = if session.may_serve(core) {
                    D::refuse(session, core, &refusal)
                } else {
                    Step::Hold
                };
                if let Some(stop) = pass(step, &mut consumed, end) {
                    return Served { consumed, stop };
                }
            }
        }
    }
}

/// Passes a request that was executed and ends there, unless it must wait; why no other follows, if
/// so.
#[inline]
fn pass(step: Step, consumed: &mut usize, end: usize) -> Option<Stop> {
    if step != Step::Hold {
        *consumed = end;
    }
    match step {
        Step::Done => None,
        Step::Hold => Some(Stop::Held),
        Step::Close => Some(Stop::Closing),
    }
}

/// Parses so many requests from `start` on, or a batch, and asks for their keys' buckets.
fn parse_ahead<'b, D: Dialect>(
    session: &mut Session,
    core: &Core,
    bytes: &'b [u8],
    (start, count_max): (usize, usize),
    batch: &mut ArrayVec<Planned<D::Request<'b>>, REQUESTS_AHEAD_MAX>,
) -> Ahead<D::Refusal<'b>> {
    let mut at = start;
    let looks_up = core.looks_up();
    while batch.len() < count_max {
        let rest = &bytes[at..];
        if rest.is_empty() {
            return Ahead::Starved { want: 1 };
        }
        match D::parse(session, core, rest) {
            Parsed::Incomplete { want } => return Ahead::Starved { want },
            Parsed::Refused { refusal, consumed } => {
                return Ahead::Refused {
                    refusal,
                    end: at + consumed,
                };
            }
            Parsed::Complete { request, consumed } => {
                at += consumed;
                let is_alone = batch.is_empty() && at == bytes.len();
                let key = if is_alone || !looks_up {
                    None
                } else {
                    D::key(&request, rest)
                };
                let hash = key.map(|key| core.store.hasher().hash(key));
                hash.into_iter().for_each(|hash| core.store.prefetch(hash));
                batch.push(Planned {
                    request,
                    end: at,
                    hash,
                });
            }
        }
    }
    Ahead::Full
}
