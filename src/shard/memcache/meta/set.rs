//! `ms`.

use super::{super::super::core::Core, deadline_of};
use crate::{
    protocol::memcache::{
        StoreVerb,
        meta::{Flags, MetaRequest, reply},
        reply::{OUT_OF_MEMORY_STORING, TOO_LARGE},
    },
    store::{Condition, Deadline, EntryRef, Expiry, Key, Operation, Outcome, Side, Stamp},
};

/// What is to be done.
enum Plan {
    /// This, with the request's value.
    Apply(Operation),
    /// The same with the value joined to the one there, in this order.
    Join(Operation, Side),
    /// Nothing.
    Refuse(Outcome),
}

/// Executes the request on the key's owner.
pub(super) fn run(core: &mut Core, key: Key<'_>, request: &MetaRequest<'_>, out: &mut Vec<u8>) {
    // Refused before its mode counts, and what is there would be taken for it.
    if !core.store.fits(key.bytes.len(), request.value.len()) {
        core.counters().store_too_large.add(1);
        core.apply(key, Operation::UNLINK, &[]);
        return out.extend_from_slice(TOO_LARGE);
    }
    core.counters().sets.add(1);
    let entry = core.store.peek(key, core.now);
    let verb = request.store_verb();
    let compares = request.flags.has(b'C') && matches!(verb, StoreVerb::Set | StoreVerb::Replace);
    let plan = plan(core, entry, verb, request.flags);
    let outcome = match plan {
        Plan::Refuse(outcome) => outcome,
        Plan::Apply(operation) => core.apply(key, operation, request.value).outcome,
        Plan::Join(operation, side) => {
            let there = entry.map_or(&[][..], |entry| entry.value());
            let joined_bytes = there.len() + request.value.len();
            if !core.store.fits(key.bytes.len(), joined_bytes) {
                return answer(core, key, request, Outcome::NotStored, out);
            }
            let joined = match side {
                Side::Back => core.buffers.copy(&[there, request.value]),
                Side::Front => core.buffers.copy(&[request.value, there]),
            };
            let outcome = core.apply(key, operation, &joined).outcome;
            core.buffers.put(joined);
            outcome
        }
    };
    if compares {
        core.counters().note_compared(outcome);
    }
    answer(core, key, request, outcome, out);
}

fn plan(core: &Core, entry: Option<EntryRef<'_>>, verb: StoreVerb, flags: Flags<'_>) -> Plan {
    let compared = flags.number(b'C');
    // Flags of more than 32 bits were refused.
    let client_flags = flags.number(b'F').unwrap_or(0) as u32;
    let deadline = deadline_of(flags, b'T', core.now).unwrap_or(Deadline::NEVER);
    let stamp = Stamp {
        cas: flags.number(b'E'),
        ..Stamp::default()
    };
    let set = |expiry, condition, stamp| Operation::Set {
        flags: client_flags,
        expiry,
        condition,
        stamp,
        wants_old: false,
    };
    let until = Expiry::Until(deadline);
    match (verb, compared, entry) {
        (StoreVerb::Append | StoreVerb::Prepend, compared, entry) => {
            plan_to_join(core, verb, compared, entry, flags)
        }
        (StoreVerb::Add, _, _) => Plan::Apply(set(until, Condition::Absent, stamp)),
        (StoreVerb::Replace, None, _) => Plan::Apply(set(until, Condition::Present, stamp)),
        (_, None, _) => Plan::Apply(set(until, Condition::Always, stamp)),
        (_, Some(_), None) => Plan::Refuse(Outcome::NotFound),
        // 0 is no CAS id, and compares with none.
        (_, Some(0), Some(_)) => Plan::Refuse(Outcome::Exists),
        (_, Some(cas), Some(entry)) if cas == entry.cas() => {
            Plan::Apply(set(until, Condition::Always, stamp))
        }
        // Somebody was faster: the value is taken as an outdated one.
        (_, Some(cas), Some(entry)) if cas < entry.cas() && flags.has(b'I') => {
            let stamp = Stamp {
                is_stale: true,
                is_won: entry.is_won(),
                ..stamp
            };
            Plan::Apply(set(Expiry::Keep, Condition::Always, stamp))
        }
        _ => Plan::Refuse(Outcome::Exists),
    }
}

fn plan_to_join(
    core: &Core,
    verb: StoreVerb,
    compared: Option<u64>,
    entry: Option<EntryRef<'_>>,
    flags: Flags<'_>,
) -> Plan {
    let side = if verb == StoreVerb::Append {
        Side::Back
    } else {
        Side::Front
    };
    let cas = flags.number(b'E');
    let set = |client_flags, expiry| Operation::Set {
        flags: client_flags,
        expiry,
        condition: Condition::Always,
        stamp: Stamp {
            cas,
            ..Stamp::default()
        },
        wants_old: false,
    };
    let Some(entry) = entry else {
        return match deadline_of(flags, b'N', core.now) {
            None => Plan::Refuse(Outcome::NotStored),
            Some(deadline) => {
                let client_flags = flags.number(b'F').unwrap_or(0) as u32;
                Plan::Apply(set(client_flags, Expiry::Until(deadline)))
            }
        };
    };
    match compared {
        Some(compared) if compared != 0 && compared != entry.cas() => Plan::Refuse(Outcome::Exists),
        _ if cas.is_some() => Plan::Join(set(entry.flags(), Expiry::Keep), side),
        _ => Plan::Apply(Operation::Concat {
            side,
            creates: false,
        }),
    }
}

fn answer(
    core: &mut Core,
    key: Key<'_>,
    request: &MetaRequest<'_>,
    outcome: Outcome,
    out: &mut Vec<u8>,
) {
    let status = match outcome {
        Outcome::Stored { .. } if request.is_quiet() => return,
        Outcome::Stored { .. } => reply::DONE,
        Outcome::Exists => reply::EXISTS,
        Outcome::NotFound => reply::NOT_FOUND,
        Outcome::OutOfMemory => return out.extend_from_slice(OUT_OF_MEMORY_STORING),
        _ => reply::NOT_STORED,
    };
    let stored = match outcome {
        Outcome::Stored { .. } => core.store.peek(key, core.now),
        _ => None,
    };
    let bytes = stored.map_or(request.value, |entry| entry.value()).len();
    let cas = match (outcome, stored) {
        (_, Some(entry)) => entry.cas(),
        // It was over at once.
        (Outcome::Stored { .. }, None) => core.store.spare_cas(),
        _ => 0,
    };
    reply::stored(out, status, request, cas, bytes);
}
