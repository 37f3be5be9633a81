//! Plain reads that came together, asked of a pool's servers together.
//!
//! In front of a pool without an L1 a run of reads of one key each is served as one out of the
//! store [is](super::super::plain): it is known by its bytes, what has to hold is asked once for all of it
//! (nothing waits in a queue, no server is out, the servers speak the client's protocol), and what is
//! counted is added once. All else goes by way of the [errands](super::errand), which do the same for these,
//! too.

use super::{
    Pool,
    errand::{Pending, Route},
};
use crate::shard::{
    core::Core,
    message::{Errand, Origin},
    plain::{PlainRequests, ServedCounts},
    replies::Covers,
    session::Session,
};
use crate::{
    config::Protocol,
    store::{Key, UnixMs},
};

/// Has the plain reads at the front of `bytes` answered by their servers; how many bytes those took. Not
/// inlined: it would take registers from who serves out of the store.
#[inline(never)]
pub(in crate::shard) fn serve<P: PlainRequests>(
    session: &mut Session,
    core: &mut Core,
    bytes: &[u8],
    voice: P::Voice,
) -> usize {
    if !may_ask(session, core) {
        return 0;
    }
    let allowed = P::allowed(core, usize::MAX);
    let hasher = core.store.hasher();
    let now = core.now;
    let Some(pool) = &mut core.pool else { return 0 };
    let (mut done, mut reads) = (0, 0);
    while reads < allowed
        && !session.is_full()
        && let Some((key, end)) = P::find_read(&bytes[done..])
    {
        let origin = session.next_origin();
        if !pool.read(origin, hasher.key(key), now) {
            break;
        }
        session.replies.defer(P::asked(voice), Covers::Nothing, 1);
        done += end;
        reads += 1;
    }
    if reads > 0 {
        session.waits_since = None;
        core.counters().backend_requests.add(reads as u64);
        let served = ServedCounts {
            reads,
            writes: 0,
            ends_in_read: true,
        };
        P::note_served(session, core, served);
    }
    done
}

/// Whether requests may be served now that need nothing but a server of the pool.
fn may_ask(session: &mut Session, core: &Core) -> bool {
    let protocol = session.protocol();
    let is_plain = |pool: &Pool| pool.reads_plainly(protocol);
    core.pool.as_ref().is_some_and(is_plain)
        && core.spool.is_none()
        && core.is_open()
        && session.may_serve(core)
}

impl Pool {
    /// Whether all there is to a read of a whole value is that the key's own server is asked, in the words of
    /// a client of this protocol.
    fn reads_plainly(&self, protocol: Protocol) -> bool {
        let is_own = self.protocol == protocol && !self.is_crossed;
        let is_direct = !self.asks_from_owners() && !self.reads_replicas();
        is_own && is_direct && self.is_well()
    }

    /// Asks a key's server for its value; false if that cannot be done just so.
    #[inline]
    fn read(&mut self, origin: Origin, key: Key<'_>, now: UnixMs) -> bool {
        let number = self.home_link(key);
        let may_be_asked = self.has_room_at(number) && self.links[number].takes_requests(now);
        if may_be_asked {
            let pending = Pending::Request(Route::Here(origin));
            self.ask_value(number, pending, key, Errand::Fetch.on_loss(), now);
        }
        may_be_asked
    }
}
