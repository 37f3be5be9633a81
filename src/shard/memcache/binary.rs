//! memcached's binary protocol: the same reads, operations and statistics as the text protocol's.
//!
//! Reads are answered on any shard. Changes run whole where their key lives, as their replies tell
//! the entry's new CAS id.

use super::{
    super::{
        batch::Dialect,
        core::Core,
        flush,
        form::Form,
        group,
        pool::{binary as pool, over_resp},
        session::{Session, Step},
        settings::MEMCACHED_VERSION,
        shown::AnswerOut,
    },
    change::{deadline, store_operation},
    stats,
};
use crate::{
    config::Protocol,
    protocol::{
        Parsed,
        binary::{self, Command, Echo, KeyCommand, Limits, Refusal, Request, Status, reply},
        memcache::{self, Direction, Exptime, StoreVerb, reply as text},
    },
    store::{Condition, EntryRef, ExpireCondition, Expiry, Key, Operation, Outcome, Stamp, UnixMs},
};

/// memcached's binary protocol.
pub(in crate::shard) struct Binary;

impl Dialect for Binary {
    type Request<'b> = Request<'b>;
    type Refusal<'b> = Refusal<'b>;

    fn parse<'b>(
        _: &mut Session,
        core: &Core,
        bytes: &'b [u8],
    ) -> Parsed<Request<'b>, Refusal<'b>> {
        binary::parse(bytes, &limits(core))
    }

    fn key<'b>(request: &Request<'b>, _: &'b [u8]) -> Option<&'b [u8]> {
        request.command.key()
    }

    fn execute(session: &mut Session, core: &mut Core, request: &Request<'_>, raw: &[u8]) -> Step {
        execute(session, core, request, raw)
    }

    fn is_held_back(core: &Core, request: &Request<'_>) -> bool {
        core.pause.holds(request.command.is_write())
    }

    fn refuse(session: &mut Session, core: &mut Core, refusal: &Refusal<'_>) -> Step {
        // In pool mode nothing is on the way to the backend: it keeps what it has, as do we.
        if let (Some(key), None) = (refusal.unlink, &core.pool)
            && session.unlink(core, core.key(key)) == Step::Hold
        {
            return Step::Hold;
        }
        if let Some(status) = refusal.status {
            reply::error(session.ready(&mut core.buffers), refusal.echo, status);
        }
        session.swallow = refusal.swallow;
        if refusal.close {
            Step::Close
        } else {
            Step::Done
        }
    }

    fn rewind(_: &mut Session, _: &Request<'_>) {}
}

fn limits(core: &Core) -> Limits {
    Limits {
        value_bytes_max: core.settings.item_bytes_max,
    }
}

/// Out of line, as it is large, and the loop that serves all protocols is one function.
#[inline(never)]
fn execute(session: &mut Session, core: &mut Core, request: &Request<'_>, raw: &[u8]) -> Step {
    let echo = request.echo;
    if core.is_group()
        && let Some(step) = group::execute_binary(session, core, request)
    {
        return step;
    }
    match request.command {
        Command::OfKey(ref command) if core.pool.is_some() => {
            return pool::execute(session, core, request, command);
        }
        Command::OfKey(ref command) => return of_key(session, core, (request, command), raw),
        Command::Flush { delay } => {
            return flush(session, core, request, delay);
        }
        Command::Stat { argument } => {
            return stats::stats_binary(session, core, echo, argument);
        }
        Command::Version => {
            reply::version(session.ready(&mut core.buffers), echo, MEMCACHED_VERSION);
        }
        Command::NoOp => reply::done(session.ready(&mut core.buffers), echo, 0),
        Command::Quit => {
            if !request.is_quiet {
                reply::done(session.ready(&mut core.buffers), echo, 0);
            }
            return Step::Close;
        }
    }
    Step::Done
}

/// Executes a request about one key: on the spot if it only reads, else on the key's owner.
fn of_key(
    session: &mut Session,
    core: &mut Core,
    (request, command): (&Request<'_>, &KeyCommand<'_>),
    raw: &[u8],
) -> Step {
    if let KeyCommand::Get { key, shows_key } = *command {
        let key = core.key(key);
        if session.must_wait_for(key) {
            return Step::Hold;
        }
        get(core, key, request, shows_key, session);
        return Step::Done;
    }
    let key = core.key(command.key());
    session.run_at_owner(core, key, raw, Form::Verbatim, |core, session| {
        run_key(core, key, (request, command), session);
    })
}

fn flush(session: &mut Session, core: &mut Core, request: &Request<'_>, delay: Exptime) -> Step {
    let echo = request.echo;
    if core.backend_protocol() == Some(Protocol::Resp) {
        return over_resp::flush_binary(session, core, request, delay);
    }
    let at = match delay.deadline_ms(core.now.0) {
        memcache::Deadline::At(at) => UnixMs(at),
        _ => flush::AT_ONCE,
    };
    let mut line = core.buffers.take();
    text::encode_flush_all(&mut line, delay);
    let form = Form::BinaryDone {
        echo,
        is_quiet: request.is_quiet,
    };
    let step = flush::flush_all(session, core, at, form, &line);
    core.buffers.put(line);
    step
}

/// Shows an entry, or says that it is not there. A call costs a sixtieth of the instructions that a
/// binary get takes.
#[inline(always)]
fn get(
    core: &mut Core,
    key: Key<'_>,
    request: &Request<'_>,
    shows_key: bool,
    out: &mut impl AnswerOut,
) {
    let (echo, shown) = (request.echo, shows_key.then_some(key.bytes));
    let counters = core.board.of(core.mesh.shard());
    counters.gets.add(1);
    match core.store.look(key, core.now) {
        Ok(entry) => {
            entry.mark_used(core.now);
            counters.get_hits.add(1);
            let open = |out: &mut Vec<u8>| head(out, echo, shown, entry);
            let found = (key.hash, entry);
            out.show(&core.store, &mut core.buffers, found, open, b"");
        }
        Err(absence) => {
            counters.note_absence(absence);
            core.tell_if_expired(key, Some(absence));
            if !request.is_quiet {
                miss(out.bytes(&mut core.buffers), echo, shown);
            }
        }
    }
}

/// Appends what stands before an entry's value.
fn head(out: &mut Vec<u8>, echo: Echo, shown: Option<&[u8]>, entry: EntryRef<'_>) {
    let value_bytes = entry.value().len();
    reply::value_head(out, echo, shown, entry.flags(), value_bytes, entry.cas());
}

fn miss(out: &mut Vec<u8>, echo: Echo, shown: Option<&[u8]>) {
    match shown {
        Some(key) => reply::miss_with_key(out, echo, key),
        None => reply::error(out, echo, Status::NotFound),
    }
}

/// Executes a request about one key of this shard, see [`run`](super::super::run).
pub(in crate::shard) fn run(core: &mut Core, request: &[u8], out: &mut Vec<u8>) {
    let Parsed::Complete { request, .. } = binary::parse(request, &limits(core)) else {
        unreachable!("the client's shard has parsed it, within the same limits");
    };
    let Command::OfKey(command) = &request.command else {
        unreachable!("only what is about a key has an owner: {request:?}");
    };
    let key = core.key(command.key());
    run_key(core, key, (&request, command), out);
    core.tell_if_gone(key);
}

/// Executes a request on the key's owner.
fn run_key(
    core: &mut Core,
    key: Key<'_>,
    (request, command): (&Request<'_>, &KeyCommand<'_>),
    out: &mut impl AnswerOut,
) {
    let changed = match *command {
        KeyCommand::Get { shows_key, .. } => return get(core, key, request, shows_key, out),
        KeyCommand::GetAndTouch {
            exptime, shows_key, ..
        } => {
            let shown = shows_key.then_some(key.bytes);
            return touch(core, key, request, exptime, TouchReply::Entry(shown), out);
        }
        KeyCommand::Touch { exptime, .. } => {
            return touch(core, key, request, exptime, TouchReply::Flags, out);
        }
        KeyCommand::Store {
            verb,
            flags,
            exptime,
            value,
            cas,
            ..
        } => {
            let expiry = Expiry::Until(deadline(exptime, core.now));
            store(core, key, (verb, flags, expiry, cas), value)
        }
        KeyCommand::Delete { cas, .. } => {
            core.counters().deletes.add(1);
            delete(core, key, cas)
        }
        KeyCommand::Count {
            direction,
            delta,
            initial,
            cas,
            ..
        } => {
            core.counters().counts.add(1);
            let operation = Operation::count_unsigned(delta, direction == Direction::Decr);
            match count(core, key, operation, initial, cas) {
                Ok(number) if !request.is_quiet => {
                    let out = out.bytes(&mut core.buffers);
                    return reply::number(out, request.echo, number, cas_of(core, key));
                }
                counted => counted.map(|_| 0),
            }
        }
    };
    let out = out.bytes(&mut core.buffers);
    match changed {
        Ok(_) if request.is_quiet => {}
        Ok(cas) => reply::done(out, request.echo, cas),
        Err(status) => reply::error(out, request.echo, status),
    }
}

/// What a touched entry is answered with.
enum TouchReply<'k> {
    /// Its flags.
    Flags,
    /// All of it, and this key.
    Entry(Option<&'k [u8]>),
}

/// touch, and get-and-touch: a time in the past shows the entry a last time.
fn touch(
    core: &mut Core,
    key: Key<'_>,
    request: &Request<'_>,
    exptime: Exptime,
    answer: TouchReply<'_>,
    out: &mut impl AnswerOut,
) {
    core.counters().touches.add(1);
    let echo = request.echo;
    let entry = match core.store.look(key, core.now) {
        Ok(entry) => entry,
        Err(absence) => {
            core.counters().touch_misses.add(1);
            core.counters().note_absence(absence);
            if !request.is_quiet {
                let shown = match answer {
                    TouchReply::Flags => None,
                    TouchReply::Entry(shown) => shown,
                };
                miss(out.bytes(&mut core.buffers), echo, shown);
            }
            return;
        }
    };
    match answer {
        TouchReply::Entry(shown) => {
            let open = |out: &mut Vec<u8>| head(out, echo, shown, entry);
            let found = (key.hash, entry);
            out.show(&core.store, &mut core.buffers, found, open, b"");
        }
        TouchReply::Flags => {
            let out = out.bytes(&mut core.buffers);
            reply::touched(out, echo, entry.flags(), entry.cas());
        }
    }
    let expire = Operation::Expire {
        deadline: deadline(exptime, core.now),
        condition: ExpireCondition::Always,
    };
    core.apply(key, expire, &[]);
}

/// Stores a value; the entry's new CAS id.
fn store(
    core: &mut Core,
    key: Key<'_>,
    (verb, flags, expiry, cas): (StoreVerb, u32, Expiry, u64),
    value: &[u8],
) -> Result<u64, Status> {
    let joins = matches!(verb, StoreVerb::Append | StoreVerb::Prepend);
    // Refused before anything else counts; only a set takes the old entry with it.
    if !core.store.fits(key.bytes.len(), value.len()) {
        if verb == StoreVerb::Set {
            core.apply(key, Operation::UNLINK, &[]);
        }
        return Err(Status::TooLarge);
    }
    core.counters().sets.add(1);
    if joins && is_another(core, key, cas) {
        return Err(Status::Exists);
    }
    let compares = cas != 0 && !joins;
    let conditional = if compares { StoreVerb::Cas(cas) } else { verb };
    let operation = store_operation(conditional, flags, expiry);
    match core.apply(key, operation, value).outcome {
        Outcome::Stored { .. } => Ok(cas_of(core, key)),
        Outcome::Exists => Err(Status::Exists),
        Outcome::NotFound => Err(Status::NotFound),
        // Nothing to join, or no room for both.
        _ if joins => Err(Status::NotStored),
        Outcome::NotStored if verb == StoreVerb::Add => Err(Status::Exists),
        Outcome::NotStored => Err(Status::NotFound),
        _ => Err(Status::OutOfMemory),
    }
}

/// Removes the entry. What is gone has no CAS id.
fn delete(core: &mut Core, key: Key<'_>, cas: u64) -> Result<u64, Status> {
    let condition = match cas {
        0 => Condition::Always,
        cas => Condition::Version(cas),
    };
    let operation = Operation::Delete {
        condition,
        wants_old: false,
    };
    match core.apply(key, operation, &[]).outcome {
        Outcome::Deleted => Ok(0),
        Outcome::Exists => Err(Status::Exists),
        _ => Err(Status::NotFound),
    }
}

/// Counts, or starts to; the number.
fn count(
    core: &mut Core,
    key: Key<'_>,
    operation: Operation,
    initial: Option<(u64, Exptime)>,
    cas: u64,
) -> Result<u64, Status> {
    if is_another(core, key, cas) {
        return Err(Status::Exists);
    }
    // What is begun is no miss.
    if let Some((number, exptime)) = initial
        && core.store.peek(key, core.now).is_none()
    {
        return begin_to_count(core, key, number, exptime);
    }
    match core.apply(key, operation, &[]).outcome {
        Outcome::Unsigned(number) => Ok(number),
        Outcome::NotANumber => Err(Status::NonNumeric),
        Outcome::NotFound => Err(Status::NotFound),
        _ => Err(Status::OutOfMemory),
    }
}

fn begin_to_count(
    core: &mut Core,
    key: Key<'_>,
    number: u64,
    exptime: Exptime,
) -> Result<u64, Status> {
    let operation = Operation::Set {
        flags: 0,
        expiry: Expiry::Until(deadline(exptime, core.now)),
        condition: Condition::Absent,
        stamp: Stamp::default(),
        wants_old: false,
    };
    let mut digits = itoa::Buffer::new();
    let text = digits.format(number).as_bytes();
    match core.apply(key, operation, text).outcome {
        Outcome::Stored { .. } => Ok(number),
        _ => Err(Status::OutOfMemory),
    }
}

/// Whether the entry that is there has another CAS id than this; 0 is any.
fn is_another(core: &Core, key: Key<'_>, cas: u64) -> bool {
    let entry = core.store.peek(key, core.now);
    cas != 0 && entry.is_some_and(|entry| entry.cas() != cas)
}

/// The CAS id of what was stored just now.
fn cas_of(core: &mut Core, key: Key<'_>) -> u64 {
    let entry = core.store.peek(key, core.now).map(|entry| entry.cas());
    entry.unwrap_or_else(|| core.store.spare_cas())
}
