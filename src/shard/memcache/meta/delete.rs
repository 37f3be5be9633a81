//! `md`.

use super::{super::super::core::Core, deadline_of};
use crate::{
    protocol::memcache::{
        meta::{MetaRequest, reply},
        reply::OUT_OF_MEMORY,
    },
    store::{Condition, Deadline, EntryRef, Expiry, Key, Operation, Outcome, Stamp, UnixMs},
};

/// Executes the request on the key's owner.
pub(super) fn run(core: &mut Core, key: Key<'_>, request: &MetaRequest<'_>, out: &mut Vec<u8>) {
    let flags = request.flags;
    core.counters().deletes.add(1);
    let line = |out: &mut Vec<u8>, status| reply::line(out, status, request.key, flags);
    let Some(entry) = core.store.peek(key, core.now) else {
        core.counters().delete_misses.add(1);
        return line(out, reply::NOT_FOUND);
    };
    if flags.number(b'C').is_some_and(|cas| cas != entry.cas()) {
        core.counters().delete_misses.add(1);
        return line(out, reply::EXISTS);
    }
    let operation = operation(request, entry, core.now);
    let outcome = core.apply(key, operation, &[]).outcome;
    match (outcome, operation) {
        (Outcome::OutOfMemory, Operation::Outdate { .. }) => {
            // What cannot be marked must not stay unmarked.
            core.apply(key, Operation::DELETE, &[]);
        }
        (Outcome::OutOfMemory, _) => return out.extend_from_slice(OUT_OF_MEMORY),
        (_, Operation::Set { .. }) if !flags.has(b'I') => core.counters().delete_hits.add(1),
        _ => {}
    }
    if !request.is_quiet() {
        line(out, reply::DONE);
    }
}

/// What becomes of the entry: it goes, it loses its value (`x`), or it is outdated (`I`), or both.
fn operation(request: &MetaRequest<'_>, entry: EntryRef<'_>, now: UnixMs) -> Operation {
    let flags = request.flags;
    let (empties, outdates) = (flags.has(b'x'), flags.has(b'I'));
    let deadline = deadline_of(flags, b'T', now);
    let cas = flags.number(b'E');
    match (empties, outdates) {
        (false, false) => Operation::DELETE,
        (false, true) => Operation::Outdate {
            expiry: deadline.map_or(Expiry::Keep, Expiry::Until),
            cas,
        },
        (true, _) => Operation::Set {
            flags: flags.number(b'F').unwrap_or(0) as u32,
            expiry: Expiry::Until(deadline.unwrap_or(Deadline::NEVER)),
            condition: Condition::Always,
            stamp: Stamp {
                // An emptied item keeps its CAS id; an outdated one gets another.
                cas: cas.or_else(|| (!outdates).then(|| entry.cas())),
                is_stale: outdates,
                ..Stamp::default()
            },
            wants_old: false,
        },
    }
}
