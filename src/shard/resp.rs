//! The RESP front end: requests become reads and operations of the store, or errands to the
//! pool; the protocol itself is `protocol::resp`'s.

use super::{
    batch::Dialect,
    core::Core,
    flush,
    form::Form,
    report, resp_pool,
    session::{Session, Step},
    settings::{ARGS_MAX, INLINE_BYTES_MAX},
};
use crate::{
    protocol::{
        Parsed,
        resp::{
            self, Args, Limits, Progress, ProtocolError, Request, RequestError, Rest, SetExpiry,
            Version, reply,
        },
    },
    store::{Condition, Deadline, EntryRef, ExpireCondition, Expiry, Key, Operation, Side, UnixMs},
};

/// What a RESP client has said of itself.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) version: Version,
    pub(super) name: Vec<u8>,
    /// How far the request that is coming in was parsed.
    pub(super) parsing: Progress,
}

/// RESP's two versions.
pub(super) struct Resp;

/// A frame and what it means.
type Framed<'b> = (Args<'b>, Result<Request<'b>, RequestError<'b>>);

impl Dialect for Resp {
    type Request<'b> = Framed<'b>;
    type Refusal<'b> = ProtocolError;

    fn parse<'b>(
        session: &mut Session,
        core: &Core,
        bytes: &'b [u8],
    ) -> Parsed<Framed<'b>, ProtocolError> {
        let mut parsing = session
            .resp_client()
            .map(|client| std::mem::take(&mut client.parsing))
            .unwrap_or_default();
        match resp::parse_resumed(bytes, &limits(core), &mut parsing) {
            Parsed::Incomplete { want } => {
                if let Some(client) = session.resp_client() {
                    client.parsing = parsing;
                }
                Parsed::Incomplete { want }
            }
            Parsed::Refused { refusal, consumed } => Parsed::Refused { refusal, consumed },
            Parsed::Complete {
                request: args,
                consumed,
            } => Parsed::Complete {
                request: (args, Request::from_args(args)),
                consumed,
            },
        }
    }

    fn key<'b>((_, request): &Framed<'b>, _: &'b [u8]) -> Option<&'b [u8]> {
        match *request.as_ref().ok()? {
            Request::Get { key }
            | Request::Set { key, .. }
            | Request::SetNx { key, .. }
            | Request::IncrBy { key, .. }
            | Request::Expire { key, .. }
            | Request::Ttl { key }
            | Request::PTtl { key } => Some(key),
            _ => None,
        }
    }

    fn execute(
        session: &mut Session,
        core: &mut Core,
        (args, request): Framed<'_>,
        _: &[u8],
    ) -> Step {
        if args.is_escaped() {
            return serve_escaped(session, core, &args.unescape());
        }
        if args.count() == 0 {
            return Step::Done;
        }
        serve_request(session, core, args, &request)
    }

    fn refuse(session: &mut Session, core: &mut Core, refusal: &ProtocolError) -> Step {
        refusal.encode(session.ready(&mut core.buffers));
        Step::Close
    }

    fn rewind(session: &mut Session) {
        if let Some(client) = session.resp_client() {
            client.parsing = Progress::default();
        }
    }
}

fn limits(core: &Core) -> Limits {
    Limits {
        bulk_bytes_max: core.settings.bulk_bytes_max(),
        args_max: ARGS_MAX,
        inline_bytes_max: INLINE_BYTES_MAX,
    }
}

/// An inline request with escapes stands in the input otherwise than it is meant.
fn serve_escaped(session: &mut Session, core: &mut Core, wire: &[u8]) -> Step {
    match resp::parse(wire, &limits(core)) {
        Parsed::Complete { request: args, .. } => {
            serve_request(session, core, args, &Request::from_args(args))
        }
        _ => Step::Done,
    }
}

fn serve_request(
    session: &mut Session,
    core: &mut Core,
    args: Args<'_>,
    request: &Result<Request<'_>, RequestError<'_>>,
) -> Step {
    match request {
        Err(error) => refuse(session, core, error),
        Ok(request) => {
            let step = execute(session, core, request, args);
            if step != Step::Hold {
                core.counters().resp_requests.add(1);
            }
            step
        }
    }
}

fn refuse(session: &mut Session, core: &mut Core, error: &RequestError<'_>) -> Step {
    if error.closes() {
        return Step::Close;
    }
    error.encode(session.ready(&mut core.buffers));
    Step::Done
}

fn execute(session: &mut Session, core: &mut Core, request: &Request<'_>, args: Args<'_>) -> Step {
    let version = session
        .resp_client()
        .map_or(Version::Resp2, |client| client.version);
    if let Some(step) = report::resp_server(session, core, request, version) {
        return step;
    }
    if core.pool.is_some() {
        return resp_pool::execute(session, core, request, args, version);
    }
    if let Some(step) = read(session, core, request, version) {
        return step;
    }
    change(session, core, request, version)
}

/// Requests that read one or more keys of the store.
fn read(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    version: Version,
) -> Option<Step> {
    let step = match *request {
        Request::Get { key } => read_one(session, core, key, |entry, _, out| {
            bulk_or_null(entry, version, out)
        }),
        Request::MGet { keys } => read_many(session, core, keys, version),
        Request::Strlen { key } => read_one(session, core, key, |entry, _, out| {
            reply::integer(out, entry.map_or(0, |entry| entry.value().len() as i64));
        }),
        Request::Type { key } => read_one(session, core, key, |entry, _, out| {
            reply::simple(out, if entry.is_some() { "string" } else { "none" });
        }),
        Request::Ttl { key } => read_one(session, core, key, |entry, now, out| {
            // Rounded, as Redis does.
            reply::integer(
                out,
                time_left(entry, now).map_or_else(|code| code, |ms| (ms + 500) / 1000),
            );
        }),
        Request::PTtl { key } => read_one(session, core, key, |entry, now, out| {
            reply::integer(out, time_left(entry, now).unwrap_or_else(|code| code));
        }),
        Request::Exists { keys } | Request::Touch { keys } => count_there(session, core, keys),
        _ => return None,
    };
    Some(step)
}

fn read_one(
    session: &mut Session,
    core: &mut Core,
    key: &[u8],
    encode: impl FnOnce(Option<EntryRef<'_>>, UnixMs, &mut Vec<u8>),
) -> Step {
    let key = core.key(key);
    if session.must_wait_for(key) {
        return Step::Hold;
    }
    let entry = core.store.get(key, core.now);
    let counters = core.board.of(core.mesh.shard());
    counters.gets.add(1);
    if entry.is_some() {
        counters.get_hits.add(1);
    }
    encode(entry, core.now, session.replies.ready(&mut core.buffers));
    Step::Done
}

fn read_many(session: &mut Session, core: &mut Core, keys: Rest<'_>, version: Version) -> Step {
    session.begin(core, |out| reply::array_header(out, keys.count()));
    session.for_each_key(core, keys, |session, core, key| {
        read_one(session, core, key, |entry, _, out| {
            bulk_or_null(entry, version, out)
        })
    })
}

fn count_there(session: &mut Session, core: &mut Core, keys: Rest<'_>) -> Step {
    let mut is_held = false;
    let there = keys
        .into_iter()
        .filter(|key| {
            let key = core.key(key);
            is_held |= session.must_wait_for(key);
            core.store.get(key, core.now).is_some()
        })
        .count();
    if is_held {
        return Step::Hold;
    }
    reply::integer(session.ready(&mut core.buffers), there as i64);
    Step::Done
}

pub(super) fn bulk_or_null(entry: Option<EntryRef<'_>>, version: Version, out: &mut Vec<u8>) {
    match entry {
        Some(entry) => reply::bulk(out, entry.value()),
        None => reply::null(out, version),
    }
}

/// Milliseconds until an entry expires, or Redis' code: -1 never, -2 no such key.
fn time_left(entry: Option<EntryRef<'_>>, now: UnixMs) -> Result<i64, i64> {
    let entry = entry.ok_or(-2)?;
    let at = entry.deadline().instant().ok_or(-1)?;
    Ok(at.0.saturating_sub(now.0).min(i64::MAX as u64) as i64)
}

/// Requests that change one or more keys of the store.
fn change(session: &mut Session, core: &mut Core, request: &Request<'_>, version: Version) -> Step {
    match *request {
        Request::Del { keys } => {
            core.counters().deletes.add(1);
            let items = keys.into_iter().map(|key| (key, &b""[..]));
            let delete = Operation::Delete { wants_old: false };
            session.mutate_all(core, Form::RespSum, keys.count(), delete, items)
        }
        Request::MSet { pairs } => {
            core.counters().sets.add(1);
            let set = set_operation(SetExpiry::None, Condition::Always, false, core.now);
            session.mutate_all(core, Form::RespOk, pairs.count() / 2, set, pairs.pairs())
        }
        Request::DbSize => {
            let count = core.store.stats().entry_count;
            if session.replies.pending_count() > 0 {
                return Step::Hold;
            }
            reply::integer(session.ready(&mut core.buffers), count as i64);
            Step::Done
        }
        Request::FlushAll => flush::flush_all(session, core, flush::AT_ONCE, Form::RespOk, &[]),
        _ => match single(request, version, core) {
            Some(Change {
                key,
                operation,
                value,
                form,
            }) => {
                let key = core.key(key);
                session.mutate(core, key, operation, value, form)
            }
            None => Step::Done,
        },
    }
}

/// A request that changes one key.
pub(super) struct Change<'b> {
    pub(super) key: &'b [u8],
    operation: Operation,
    value: &'b [u8],
    pub(super) form: Form,
}

/// The change of one key that a request asks for, if it does.
pub(super) fn single<'b>(
    request: &Request<'b>,
    version: Version,
    core: &Core,
) -> Option<Change<'b>> {
    let (now, counters) = (core.now, core.counters());
    let (key, operation, value, form) = match *request {
        Request::Set {
            key,
            value,
            expiry,
            condition,
            get,
        } => {
            counters.sets.add(1);
            let operation = set_operation(expiry, store_condition(condition), get, now);
            let form = if get {
                Form::RespOld(version)
            } else {
                Form::RespStored(version)
            };
            (key, operation, value, form)
        }
        Request::SetNx { key, value } => {
            counters.sets.add(1);
            let operation = set_operation(SetExpiry::None, Condition::Absent, false, now);
            (key, operation, value, Form::RespChanged)
        }
        Request::GetSet { key, value } => {
            counters.sets.add(1);
            let operation = set_operation(SetExpiry::None, Condition::Always, true, now);
            (key, operation, value, Form::RespOld(version))
        }
        Request::GetDel { key } => {
            counters.deletes.add(1);
            (
                key,
                Operation::Delete { wants_old: true },
                &b""[..],
                Form::RespOld(version),
            )
        }
        Request::Append { key, value } => {
            counters.sets.add(1);
            let operation = Operation::Concat {
                side: Side::Back,
                creates: true,
            };
            (key, operation, value, Form::RespNumber)
        }
        Request::IncrBy { key, delta } => {
            counters.counts.add(1);
            (
                key,
                Operation::CountSigned { delta },
                &b""[..],
                Form::RespNumber,
            )
        }
        Request::Expire {
            key,
            in_ms,
            condition,
        } => {
            counters.touches.add(1);
            let deadline = if in_ms > 0 {
                Deadline::after(now, in_ms as u64)
            } else {
                Deadline::PAST
            };
            let condition = expire_condition(condition);
            (
                key,
                Operation::Expire {
                    deadline,
                    condition,
                },
                &b""[..],
                Form::RespChanged,
            )
        }
        Request::Persist { key } => {
            counters.touches.add(1);
            let condition = ExpireCondition::IfSome;
            let operation = Operation::Expire {
                deadline: Deadline::NEVER,
                condition,
            };
            (key, operation, &b""[..], Form::RespChanged)
        }
        _ => return None,
    };
    Some(Change {
        key,
        operation,
        value,
        form,
    })
}

fn set_operation(
    expiry: SetExpiry,
    condition: Condition,
    wants_old: bool,
    now: UnixMs,
) -> Operation {
    let expiry = match expiry {
        SetExpiry::None => Expiry::Until(Deadline::NEVER),
        SetExpiry::Keep => Expiry::Keep,
        SetExpiry::InMs(ms) => Expiry::Until(Deadline::after(now, ms)),
        SetExpiry::AtMs(at) => Expiry::Until(Deadline::at(UnixMs(at))),
    };
    Operation::Set {
        flags: 0,
        expiry,
        condition,
        wants_old,
    }
}

fn store_condition(condition: resp::Condition) -> Condition {
    match condition {
        resp::Condition::Always => Condition::Always,
        resp::Condition::Absent => Condition::Absent,
        resp::Condition::Present => Condition::Present,
    }
}

fn expire_condition(condition: resp::ExpireCondition) -> ExpireCondition {
    match condition {
        resp::ExpireCondition::Always => ExpireCondition::Always,
        resp::ExpireCondition::Absent => ExpireCondition::IfNone,
        resp::ExpireCondition::Present => ExpireCondition::IfSome,
        resp::ExpireCondition::Later => ExpireCondition::IfLater,
        resp::ExpireCondition::Sooner => ExpireCondition::IfEarlier,
        resp::ExpireCondition::PresentAndSooner => ExpireCondition::IfSomeEarlier,
    }
}

/// Looks a key up in the L1; true if it was there and is answered.
pub(super) fn answer_from_l1(session: &mut Session, core: &mut Core, key: Key<'_>) -> bool {
    core.counters().gets.add(1);
    let Some(entry) = core.store.get(key, core.now) else {
        return false;
    };
    core.board.of(core.mesh.shard()).get_hits.add(1);
    reply::bulk(session.replies.ready(&mut core.buffers), entry.value());
    true
}
