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
        binary::{self, Command, Echo, Limits, Refusal, Request, Status, reply},
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

fn execute(session: &mut Session, core: &mut Core, request: &Request<'_>, raw: &[u8]) -> Step {
    let echo = request.echo;
    if core.is_group()
        && let Some(step) = group::execute_binary(session, core, request)
    {
        return step;
    }
    match request.command {
        Command::Get { key, shows_key } if core.pool.is_none() => {
            return get(session, core, request, key, shows_key);
        }
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
        _ => {
            let key = request.command.key().unwrap_or_default();
            if core.pool.is_some() {
                return pool::execute(session, core, request, key);
            }
            let key = core.key(key);
            return session.run_at_owner(core, key, raw, Form::Verbatim, |core, session| {
                change(core, key, request, session);
            });
        }
    }
    Step::Done
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

fn get(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    key: &[u8],
    shows_key: bool,
) -> Step {
    let key = core.key(key);
    if session.must_wait_for(key) {
        return Step::Hold;
    }
    let (echo, shown) = (request.echo, shows_key.then_some(key.bytes));
    let counters = core.board.of(core.mesh.shard());
    counters.gets.add(1);
    match core.store.look(key, core.now) {
        Ok(entry) => {
            entry.mark_used(core.now);
            counters.get_hits.add(1);
            let open = |out: &mut Vec<u8>| head(out, echo, shown, entry);
            let found = (key.hash, entry);
            session.show(&core.store, &mut core.buffers, found, open, b"");
        }
        Err(absence) => {
            counters.note_absence(absence);
            core.tell_if_expired(key, Some(absence));
            if !request.is_quiet {
                miss(session.ready(&mut core.buffers), echo, shown);
            }
        }
    }
    Step::Done
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
        return;
    };
    let key = core.key(request.command.key().unwrap_or_default());
    change(core, key, &request, out);
    core.tell_if_gone(key);
}

/// Executes a change on the key's owner.
fn change(core: &mut Core, key: Key<'_>, request: &Request<'_>, out: &mut impl AnswerOut) {
    let changed = match request.command {
        Command::GetAndTouch { .. } | Command::Touch { .. } => {
            return touch(core, key, request, out);
        }
        Command::Store {
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
        Command::Delete { cas, .. } => {
            core.counters().deletes.add(1);
            delete(core, key, cas)
        }
        Command::Count { .. } => {
            core.counters().counts.add(1);
            match count(core, key, &request.command) {
                Ok(number) if !request.is_quiet => {
                    let out = out.bytes(&mut core.buffers);
                    return reply::number(out, request.echo, number, cas_of(core, key));
                }
                counted => counted.map(|_| 0),
            }
        }
        _ => return,
    };
    let out = out.bytes(&mut core.buffers);
    match changed {
        Ok(_) if request.is_quiet => {}
        Ok(cas) => reply::done(out, request.echo, cas),
        Err(status) => reply::error(out, request.echo, status),
    }
}

/// touch, and get-and-touch: a time in the past shows the entry a last time.
fn touch(core: &mut Core, key: Key<'_>, request: &Request<'_>, out: &mut impl AnswerOut) {
    core.counters().touches.add(1);
    let echo = request.echo;
    let (exptime, shown, shows_value) = match request.command {
        Command::GetAndTouch {
            exptime, shows_key, ..
        } => (exptime, shows_key.then_some(key.bytes), true),
        Command::Touch { exptime, .. } => (exptime, None, false),
        _ => return,
    };
    let entry = match core.store.look(key, core.now) {
        Ok(entry) => entry,
        Err(absence) => {
            core.counters().touch_misses.add(1);
            core.counters().note_absence(absence);
            if !request.is_quiet {
                miss(out.bytes(&mut core.buffers), echo, shown);
            }
            return;
        }
    };
    if shows_value {
        let open = |out: &mut Vec<u8>| head(out, echo, shown, entry);
        let found = (key.hash, entry);
        out.show(&core.store, &mut core.buffers, found, open, b"");
    } else {
        let out = out.bytes(&mut core.buffers);
        reply::touched(out, echo, entry.flags(), entry.cas());
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
fn count(core: &mut Core, key: Key<'_>, command: &Command<'_>) -> Result<u64, Status> {
    let Command::Count {
        direction,
        delta,
        initial,
        cas,
        ..
    } = *command
    else {
        return Err(Status::UnknownCommand);
    };
    if is_another(core, key, cas) {
        return Err(Status::Exists);
    }
    let operation = Operation::count_unsigned(delta, direction == Direction::Decr);
    match (core.apply(key, operation, &[]).outcome, initial) {
        (Outcome::Unsigned(number), _) => Ok(number),
        (Outcome::NotANumber, _) => Err(Status::NonNumeric),
        (Outcome::NotFound, None) => Err(Status::NotFound),
        (Outcome::NotFound, Some((number, exptime))) => {
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
