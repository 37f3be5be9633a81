//! `ma`.

use super::{super::super::core::Core, deadline_of, final_deadline, seconds_left};
use crate::{
    protocol::{
        memcache::{
            Direction,
            meta::{MetaRequest, reply},
            reply::{NON_NUMERIC, OUT_OF_MEMORY},
        },
        number,
    },
    store::{Condition, Deadline, EntryRef, Expiry, Key, Operation, Outcome, Stamp},
};

/// No room for the number that `ma` was to start with.
const OUT_OF_MEMORY_CREATING: &[u8] = b"SERVER_ERROR Out of memory allocating new item\r\n";

/// Executes the request on the key's owner.
pub(super) fn run(core: &mut Core, key: Key<'_>, request: &MetaRequest<'_>, out: &mut Vec<u8>) {
    let (now, flags) = (core.now, request.flags);
    core.counters().counts.add(1);
    match core.store.peek(key, now) {
        None if flags.has(b'N') => create(core, key, request, out),
        None => {
            match request.direction() {
                Direction::Incr => core.counters().incr_misses.add(1),
                Direction::Decr => core.counters().decr_misses.add(1),
            }
            reply::line(out, reply::NOT_FOUND, request.key, flags);
        }
        Some(entry) if entry.value().is_empty() => out.extend_from_slice(NON_NUMERIC),
        Some(entry) if is_another(entry, flags.number(b'C')) => {
            reply::line(out, reply::EXISTS, request.key, flags);
        }
        Some(entry) => {
            let there = entry.deadline();
            let operation = Operation::CountUnsigned {
                delta: flags.number(b'D').unwrap_or(1),
                down: request.direction() == Direction::Decr,
                expiry: Expiry::Until(final_deadline(flags, Some(there), now)),
                cas: flags.number(b'E'),
            };
            match core.apply(key, operation, &[]).outcome {
                Outcome::Unsigned(_) if request.is_quiet() => {}
                Outcome::Unsigned(count) => tell(core, key, request, count, Some(there), out),
                Outcome::NotANumber => out.extend_from_slice(NON_NUMERIC),
                _ => out.extend_from_slice(OUT_OF_MEMORY),
            }
        }
    }
}

/// Whether the entry has another CAS id than the one to compare; 0 is none.
fn is_another(entry: EntryRef<'_>, compared: Option<u64>) -> bool {
    compared.is_some_and(|compared| compared != 0 && compared != entry.cas())
}

/// Starts to count, at what `J` says. The reply to that is not held back, as 1.6.18 has it.
fn create(core: &mut Core, key: Key<'_>, request: &MetaRequest<'_>, out: &mut Vec<u8>) {
    let flags = request.flags;
    let initial = flags.number(b'J').unwrap_or(0);
    let operation = Operation::Set {
        flags: 0,
        expiry: Expiry::Until(final_deadline(flags, None, core.now)),
        condition: Condition::Absent,
        stamp: Stamp {
            cas: flags.number(b'E'),
            ..Stamp::default()
        },
        wants_old: false,
    };
    let mut digits = itoa::Buffer::new();
    let value = digits.format(initial).as_bytes();
    match core.apply(key, operation, value).outcome {
        Outcome::Stored { .. } => tell(core, key, request, initial, None, out),
        _ => out.extend_from_slice(OUT_OF_MEMORY_CREATING),
    }
}

/// Appends what the client asked to be told, in the order asked. `there` is the deadline before,
/// if there was an entry.
fn tell(
    core: &mut Core,
    key: Key<'_>,
    request: &MetaRequest<'_>,
    count: u64,
    there: Option<Deadline>,
    out: &mut Vec<u8>,
) {
    let (now, flags) = (core.now, request.flags);
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(count);
    if flags.has(b'v') {
        out.extend_from_slice(reply::VALUE);
        number::write(out, digits.len());
    } else {
        out.extend_from_slice(reply::DONE);
    }
    let mut deadline = there.unwrap_or(Deadline::NEVER);
    for flag in flags {
        match flag.letter {
            b'T' => deadline = deadline_of(flags, b'T', now).unwrap_or(deadline),
            b'N' if there.is_none() => {
                deadline = deadline_of(flags, b'N', now).unwrap_or(deadline);
            }
            b't' => reply::time_to_live(out, seconds_left(deadline, now)),
            b'c' => {
                let there = core.store.peek(key, now).map(|entry| entry.cas());
                let cas = there.unwrap_or_else(|| core.store.spare_cas());
                reply::flag(out, b'c', cas);
            }
            b'O' => reply::opaque(out, flag.token),
            b'k' => reply::key(out, request.key),
            _ => {}
        }
    }
    out.extend_from_slice(b"\r\n");
    if flags.has(b'v') {
        out.extend_from_slice(digits.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}
