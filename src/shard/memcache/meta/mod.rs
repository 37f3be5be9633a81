//! The meta commands.
//!
//! What only tells of an entry is answered by any shard, on the spot; all else runs whole at the
//! key's owner. A `mg` that could change its entry, but finds that it need not, counts as telling.

mod arithmetic;
mod delete;
mod get;
mod set;

pub(in crate::shard) use self::get::{answer_here, ends_early};
use super::{
    super::{
        core::Core,
        form::Form,
        session::{Session, Step},
        shown::AnswerOut,
    },
    change::deadline,
};
use crate::{
    protocol::memcache::{
        Exptime,
        meta::{Flags, KeyRoom, MetaRequest, MetaVerb},
    },
    store::{Deadline, Key, StoreParams, UnixMs},
};

/// What an item takes in memcached beside key and value, in bytes. `me` tells sizes so.
const ITEM_OVERHEAD_BYTES: usize = StoreParams::ITEM_OVERHEAD_BYTES;
/// The same for flags that are not 0.
const ITEM_FLAGS_BYTES: usize = 4;

const MS_PER_SECOND: u64 = 1000;

/// Executes a request, whose bytes are `raw`, on the store.
pub(super) fn execute(
    session: &mut Session,
    core: &mut Core,
    request: &MetaRequest<'_>,
    raw: &[u8],
) -> Step {
    let mut room = KeyRoom::new();
    let key = core.key(request.key.bytes(&mut room));
    let reads = matches!(request.verb, MetaVerb::Get | MetaVerb::Debug);
    if reads && session.must_wait_for(key) {
        return Step::Hold;
    }
    if request.verb == MetaVerb::Debug {
        run_key(core, key, request, session);
        return Step::Done;
    }
    if reads && answer_here(session, core, key, request) {
        return Step::Done;
    }
    session.run_at_owner(core, key, raw, Form::Verbatim, |core, session| {
        run_key(core, key, request, session);
    })
}

/// Executes a request about a key of this shard.
pub(super) fn run(core: &mut Core, request: &MetaRequest<'_>, out: &mut Vec<u8>) {
    let mut room = KeyRoom::new();
    let key = core.key(request.key.bytes(&mut room));
    run_key(core, key, request, out);
    core.tell_if_gone(key);
}

fn run_key(core: &mut Core, key: Key<'_>, request: &MetaRequest<'_>, out: &mut impl AnswerOut) {
    let run = match request.verb {
        MetaVerb::Get => return get::run(core, key, request, out),
        MetaVerb::Set => set::run,
        MetaVerb::Delete => delete::run,
        MetaVerb::Arithmetic => arithmetic::run,
        MetaVerb::Debug => get::debug,
    };
    let out = out.bytes(&mut core.buffers);
    run(core, key, request, out);
}

/// The deadline that a flag's time gives, if it was given.
pub(in crate::shard) fn deadline_of(flags: Flags<'_>, letter: u8, now: UnixMs) -> Option<Deadline> {
    flags.exptime(letter).map(|exptime| deadline(exptime, now))
}

/// The deadline of an entry once `T`, or `N` where it is new, have changed it; both are taken in
/// the order given.
fn final_deadline(flags: Flags<'_>, there: Option<Deadline>, now: UnixMs) -> Deadline {
    let is_new = there.is_none();
    flags
        .into_iter()
        .filter(|flag| flag.letter == b'T' || (flag.letter == b'N' && is_new))
        .filter_map(|flag| flag.exptime())
        .last()
        .map_or_else(
            || there.unwrap_or(Deadline::NEVER),
            |exptime: Exptime| deadline(exptime, now),
        )
}

/// What is left of a time to live, in seconds, rounded: shards' turns begin some milliseconds apart,
/// and a time that was just given must not look longer than it is. None is for ever, and only what
/// is over has 0.
pub(in crate::shard) fn seconds_left(deadline: Deadline, now: UnixMs) -> Option<u64> {
    deadline
        .instant()
        .map(|at| match at.0.saturating_sub(now.0) {
            0 => 0,
            left => ((left + MS_PER_SECOND / 2) / MS_PER_SECOND).max(1),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_rounded_but_never_nothing() {
        let left = |ms: u64| seconds_left(Deadline::at(UnixMs(5_000 + ms)), UnixMs(5_000));
        let table = [
            (0, 0),
            (1, 1),
            (1_499, 1),
            (1_500, 2),
            (99_999, 100),
            (100_003, 100),
        ];
        for (ms, seconds) in table {
            assert_eq!(left(ms), Some(seconds), "{ms}");
        }
        assert_eq!(seconds_left(Deadline::NEVER, UnixMs(5_000)), None);
        assert_eq!(seconds_left(Deadline::PAST, UnixMs(5_000)), Some(0));
    }
}
