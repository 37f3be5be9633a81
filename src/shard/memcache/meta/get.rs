//! `mg`, and `me`, which tells of an entry what nobody else asks.

use super::{
    super::super::{buffers::BufferPool, core::Core, session::Session, shown::AnswerOut},
    ITEM_FLAGS_BYTES, ITEM_OVERHEAD_BYTES, deadline_of, final_deadline, seconds_left,
};
use crate::{
    protocol::{
        memcache::meta::{Flags, MetaRequest, reply},
        number,
    },
    shard::stats::Counters,
    store::{
        Absence, Condition, Deadline, EntryRef, Expiry, Key, KeyHash, Operation, Outcome,
        ShardStore, Stamp, UnixMs,
    },
};

/// What `mg` tells of.
struct Item<'e> {
    value: &'e [u8],
    client_flags: u32,
    cas: u64,
    deadline: Deadline,
    used_at: UnixMs,
    is_fetched: bool,
    is_stale: bool,
    is_won: bool,
    /// It was not there; this request made it.
    is_new: bool,
}

impl<'e> Item<'e> {
    /// An entry, as who asks sees it: in a group nobody renews what ends early but the group.
    fn of(entry: EntryRef<'e>, flags: Flags<'_>, core: &Core) -> Self {
        let is_renewed = core.is_group() && ends_early(entry.deadline(), flags, core.now);
        Self {
            value: entry.value(),
            client_flags: entry.flags(),
            cas: entry.cas(),
            deadline: entry.deadline(),
            used_at: entry.used_at(),
            is_fetched: entry.is_fetched(),
            is_stale: entry.is_stale(),
            is_won: entry.is_won() || is_renewed,
            is_new: false,
        }
    }

    /// What is there once it was made; the deadline comes with the flags.
    fn made(cas: u64, now: UnixMs) -> Self {
        Self {
            value: &[],
            client_flags: 0,
            cas,
            deadline: Deadline::NEVER,
            used_at: now,
            is_fetched: false,
            is_stale: false,
            is_won: false,
            is_new: true,
        }
    }

    /// Whether the client is given the value.
    fn is_shown(&self, flags: Flags<'_>) -> bool {
        flags.has(b'v') && flags.number(b'C') != Some(self.cas)
    }

    /// Whether the client is told to renew the item, as nobody was yet: it is new, or stale, or
    /// ends sooner than `R` says.
    fn wins(&self, flags: Flags<'_>, now: UnixMs) -> bool {
        let ends_early = || ends_early(self.deadline, flags, now);
        !self.is_won && (self.is_new || self.is_stale || ends_early())
    }
}

/// Answers on any shard, unless the request is to change the entry, or to make one.
pub(in crate::shard) fn answer_here(
    session: &mut Session,
    core: &mut Core,
    key: Key<'_>,
    request: &MetaRequest<'_>,
) -> bool {
    let (now, flags) = (core.now, request.flags);
    let looked = core.store.look(key, now);
    let must_change = match looked {
        Err(_) => flags.has(b'N'),
        Ok(entry) => flags.has(b'T') || Item::of(entry, flags, core).wins(flags, now),
    };
    if must_change {
        return false;
    }
    let counters = core.board.of(core.mesh.shard());
    match looked {
        Err(absence) => {
            let out = session.replies.ready(&mut core.buffers);
            miss(absence, request, counters, out);
            core.tell_if_expired(key, Some(absence));
        }
        Ok(entry) => {
            let item = Item::of(entry, flags, core);
            let found = (key.hash, entry);
            let place = (&core.store, &mut core.buffers);
            tell_of(found, &item, request, now, place, session);
            note_hit(entry, flags, now, counters);
        }
    }
    true
}

/// Executes the request on the key's owner.
pub(super) fn run(
    core: &mut Core,
    key: Key<'_>,
    request: &MetaRequest<'_>,
    out: &mut impl AnswerOut,
) {
    let (now, flags) = (core.now, request.flags);
    let entry = match core.store.look(key, now) {
        Err(absence) => {
            let out = out.bytes(&mut core.buffers);
            if !flags.has(b'N') || !make(core, key, request, out) {
                miss(absence, request, core.counters(), out);
            }
            return;
        }
        Ok(entry) => entry,
    };
    let deadline = flags
        .has(b'T')
        .then(|| final_deadline(flags, Some(entry.deadline()), now));
    let item = Item::of(entry, flags, core);
    let wins = item.wins(flags, now);
    let place = (&core.store, &mut core.buffers);
    tell_of((key.hash, entry), &item, request, now, place, out);
    note_hit(entry, flags, now, core.board.of(core.mesh.shard()));
    if deadline.is_some() || wins {
        core.apply(key, Operation::Term { deadline, wins }, &[]);
    }
}

/// Puts an empty value where none is, for the client to fill. False if there is no room.
fn make(core: &mut Core, key: Key<'_>, request: &MetaRequest<'_>, out: &mut Vec<u8>) -> bool {
    let (now, flags) = (core.now, request.flags);
    let operation = Operation::Set {
        flags: 0,
        expiry: Expiry::Until(final_deadline(flags, None, now)),
        condition: Condition::Absent,
        stamp: Stamp {
            cas: flags.number(b'E'),
            is_won: true,
            ..Stamp::default()
        },
        wants_old: false,
    };
    if !matches!(
        core.apply(key, operation, &[]).outcome,
        Outcome::Stored { .. }
    ) {
        return false;
    }
    // One that is over already was never there.
    let cas = core.store.peek(key, now).map(|entry| entry.cas());
    let cas = cas.unwrap_or_else(|| core.store.spare_cas());
    let item = Item::made(cas, now);
    tell(&item, request, now, out);
    if item.is_shown(flags) {
        out.extend_from_slice(b"\r\n");
    }
    if let (Some(entry), false) = (core.store.peek(key, now), flags.has(b'u')) {
        entry.mark_used(now);
    }
    let counters = core.counters();
    counters.gets.add(1);
    counters.get_hits.add(1);
    true
}

fn miss(absence: Absence, request: &MetaRequest<'_>, counters: &Counters, out: &mut Vec<u8>) {
    counters.gets.add(1);
    counters.note_absence(absence);
    if !request.is_quiet() {
        reply::line(out, reply::MISS, request.key, request.flags);
    }
}

/// Counts a hit and, unless the client asked for discretion, marks the entry as used.
fn note_hit(entry: EntryRef<'_>, flags: Flags<'_>, now: UnixMs, counters: &Counters) {
    if flags.has(b'T') {
        counters.touches.add(1);
        counters.touch_hits.add(1);
    } else {
        counters.gets.add(1);
        counters.get_hits.add(1);
    }
    if !flags.has(b'u') {
        entry.mark_used(now);
    }
}

/// Whether the entry ends sooner than `R` says, if it says so; a `T` before it counts.
pub(in crate::shard) fn ends_early(there: Deadline, flags: Flags<'_>, now: UnixMs) -> bool {
    let mut deadline = there;
    for flag in flags {
        let time = |exptime| super::deadline(exptime, now);
        match (flag.letter, flag.exptime().map(time)) {
            (b'T', Some(new)) => deadline = new,
            (b'R', Some(limit)) => {
                return match (seconds_left(deadline, now), seconds_left(limit, now)) {
                    (Some(left), Some(limit)) => left < limit,
                    _ => false,
                };
            }
            _ => {}
        }
    }
    false
}

/// Appends what the client asked to be told of an entry, and its value if it is to be shown.
fn tell_of(
    found: (KeyHash, EntryRef<'_>),
    item: &Item<'_>,
    request: &MetaRequest<'_>,
    now: UnixMs,
    (store, buffers): (&ShardStore, &mut BufferPool),
    out: &mut impl AnswerOut,
) {
    let open = |out: &mut Vec<u8>| tell(item, request, now, out);
    if item.is_shown(request.flags) {
        out.show(store, buffers, found, open, b"\r\n");
    } else {
        open(out.bytes(buffers));
    }
}

/// Appends the line with what the client asked to be told, in the order asked.
fn tell(item: &Item<'_>, request: &MetaRequest<'_>, now: UnixMs, out: &mut Vec<u8>) {
    let flags = request.flags;
    if item.is_shown(flags) {
        out.extend_from_slice(reply::VALUE);
        number::write(out, item.value.len());
    } else {
        out.extend_from_slice(reply::DONE);
    }
    let mut deadline = item.deadline;
    for flag in flags {
        match flag.letter {
            b'T' => deadline = deadline_of(flags, b'T', now).unwrap_or(deadline),
            b'N' if item.is_new => deadline = deadline_of(flags, b'N', now).unwrap_or(deadline),
            b's' => reply::flag(out, b's', item.value.len() as u64),
            b't' => reply::time_to_live(out, seconds_left(deadline, now)),
            b'c' => reply::flag(out, b'c', item.cas),
            b'f' => reply::flag(out, b'f', item.client_flags.into()),
            b'l' => {
                let idle_seconds = now.seconds().saturating_sub(item.used_at.seconds());
                reply::flag(out, b'l', idle_seconds);
            }
            b'h' => reply::flag(out, b'h', item.is_fetched.into()),
            b'O' => reply::opaque(out, flag.token),
            b'k' => reply::key(out, request.key),
            _ => {}
        }
    }
    if item.is_won {
        out.extend_from_slice(b" Z");
    }
    if item.is_stale {
        out.extend_from_slice(b" X");
    }
    if item.wins(flags, now) {
        out.extend_from_slice(b" W");
    }
    out.extend_from_slice(b"\r\n");
}

/// `me`.
pub(super) fn debug(core: &mut Core, key: Key<'_>, request: &MetaRequest<'_>, out: &mut Vec<u8>) {
    let now = core.now;
    core.counters().metas.add(1);
    let entry = match core.store.look(key, now) {
        Ok(entry) => entry,
        Err(absence) => {
            reply::line(out, reply::MISS, request.key, request.flags);
            return core.tell_if_expired(key, Some(absence));
        }
    };
    out.extend_from_slice(b"ME ");
    request.key.write(out);
    // Since when it has expired: 1.6.18 has it that way round.
    match seconds_left(entry.deadline(), now) {
        None => out.extend_from_slice(b" exp=-1"),
        Some(left) => {
            out.extend_from_slice(b" exp=-");
            number::write(out, left);
        }
    }
    out.extend_from_slice(b" la=");
    let idle_seconds = now.seconds().saturating_sub(entry.used_at().seconds());
    number::write(out, idle_seconds);
    out.extend_from_slice(b" cas=");
    number::write(out, entry.cas());
    let fetched: &[u8] = if entry.is_fetched() { b"yes" } else { b"no" };
    out.extend_from_slice(b" fetch=");
    out.extend_from_slice(fetched);
    let flags_bytes = if entry.flags() == 0 {
        0
    } else {
        ITEM_FLAGS_BYTES
    };
    let bytes = key.bytes.len() + entry.value().len() + flags_bytes + ITEM_OVERHEAD_BYTES;
    out.extend_from_slice(b" cls=1 size=");
    number::write(out, bytes);
    out.extend_from_slice(b"\r\n");
}
