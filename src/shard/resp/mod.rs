//! The RESP front end: requests become reads and operations of the store, or errands to the
//! pool; the protocol itself is `protocol::resp`'s.

mod attend;
mod change;
mod client;
mod compound;
mod config;
mod connection;
mod gathered;
mod info;
mod keyspace;
mod latency;
mod lcs;
mod memory;
mod read;
mod server;
mod slow_log;
mod strings;
mod subscription;
mod tracking;
mod transaction;
mod watches;

pub(super) use self::{
    change::{Change, single},
    client::Client,
    gathered::finish_round,
    keyspace::Tour,
    read::{answer_from_l1, show_bulk},
    subscription::subscription,
    transaction::{Transaction, discard},
};

use super::{
    batch::Dialect,
    core::Core,
    form::Form,
    group,
    plain::{self, Plain, PlainHead, PlainRequests, PlainWrite, ServedCounts},
    pool::{feeds, over_memcache, relay, resp as resp_pool},
    session::{Session, Step},
    settings::{ARGS_MAX, INLINE_BYTES_MAX},
    stats::Counters,
};
use crate::{
    config::Protocol,
    protocol::{
        Parsed,
        resp::{
            self, Args, Limits, ParseProgress, ProtocolError, Request, RequestError, SetHead,
            TrackingRequest, Version,
            table::{Command, Feed},
        },
    },
    store::{Absence, Deadline, EntryRef, UnixMs},
};

/// RESP's two versions.
pub(super) struct Resp;

/// A frame, which command it is, and what it means.
type Framed<'b> = (Args<'b>, Read<'b>);

/// What was made of a frame.
type Read<'b> = Result<(Command, Request<'b>), RequestError<'b>>;

fn read_frame(args: Args<'_>) -> Read<'_> {
    let spec = Request::check(&args)?;
    Ok((spec.command, Request::read(spec, args)?))
}

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
                request: (args, read_frame(args)),
                consumed,
            },
        }
    }

    #[inline]
    fn serve_plain(session: &mut Session, core: &mut Core, bytes: &[u8]) -> usize {
        plain::serve::<Self>(session, core, bytes)
    }

    fn key<'b>((_, request): &Framed<'b>, _: &'b [u8]) -> Option<&'b [u8]> {
        match request.as_ref().ok()?.1 {
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

    #[inline]
    fn execute(session: &mut Session, core: &mut Core, framed: &Framed<'_>, _: &[u8]) -> Step {
        if session.is_tracking() {
            tracking::before(session, core);
        }
        let is_plain = session.client().is_some_and(Client::is_plain);
        let step = if is_plain {
            serve_frame(session, core, framed)
        } else {
            attend::serve_specially(session, core, framed)
        };
        // What is pushed is pushed even to who wants no replies.
        if step != Step::Hold && (session.is_tracking() || session.has_late_pushes()) {
            tracking::after(session, core, &framed.0);
        }
        step
    }

    fn refuse(session: &mut Session, core: &mut Core, refusal: &ProtocolError) -> Step {
        let is_muted = session.client().is_some_and(Client::is_muted);
        if !is_muted {
            refusal.encode(session.ready(&mut core.buffers));
        }
        Step::Close
    }

    /// A pause holds back what is read, not what is received.
    fn is_held_back(_: &Core, _: &Framed<'_>) -> bool {
        false
    }

    fn rewind(session: &mut Session, (args, _): &Framed<'_>) {
        if let Some(client) = session.resp_client() {
            client.parsing = args.progress();
        }
    }
}

impl PlainRequests for Resp {
    type Voice = Version;

    const CLOSE: &[u8] = b"\r\n";

    #[inline(always)]
    fn find_read(bytes: &[u8]) -> Option<(&[u8], usize)> {
        resp::plain_get(bytes)
    }

    #[inline]
    fn find(bytes: &[u8], now: UnixMs) -> Option<(Plain<'_>, usize)> {
        if let Some((key, end)) = Self::find_read(bytes) {
            return Some((Plain { key, write: None }, end));
        }
        let (set, end) = resp::plain_set(bytes)?;
        let write = PlainWrite {
            value: set.value,
            flags: 0,
            deadline: match set.lasts_ms {
                None => Deadline::NEVER,
                Some(ms) => Deadline::after(now, ms),
            },
        };
        let (key, write) = (set.key, Some(write));
        Some((Plain { key, write }, end))
    }

    fn find_head(bytes: &[u8], _: UnixMs) -> Option<PlainHead<'_>> {
        let SetHead {
            key,
            value_at,
            value_bytes,
        } = resp::set_head(bytes)?;
        Some(PlainHead {
            key,
            write: PlainWrite {
                value: &[],
                flags: 0,
                deadline: Deadline::NEVER,
            },
            start: value_at,
            value_bytes,
        })
    }

    fn restart(session: &mut Session) {
        if let Some(client) = session.resp_client() {
            client.parsing = ParseProgress::default();
        }
    }

    #[inline]
    fn voice(session: &Session) -> Option<Version> {
        let client = session.client()?;
        let is_usual = client.is_plain()
            && client.parsing == ParseProgress::default()
            && !session.is_tracking()
            && !session.is_queueing
            && !session.is_confined()
            && !session.has_late_pushes();
        is_usual.then_some(client.version)
    }

    #[inline]
    fn allowed(core: &Core, count: usize) -> usize {
        core.meter.free().min(count)
    }

    #[inline]
    fn open(entry: EntryRef<'_>, out: &mut Vec<u8>) {
        resp::reply::bulk_header(out, entry.value().len());
    }

    fn miss(_: Absence, version: Version, _: &Counters, out: &mut Vec<u8>) {
        resp::reply::null(out, version);
    }

    #[inline]
    fn asked(_: Version) -> Form {
        Form::Verbatim
    }

    #[inline]
    fn written(version: Version) -> Form {
        Form::RespStored(version)
    }

    #[inline]
    fn note_write(session: &mut Session) {
        session.command = Some(Command::Set);
    }

    #[inline]
    fn note_served(session: &mut Session, core: &mut Core, served: ServedCounts) {
        core.meter.pass(served.count());
        if served.ends_in_read {
            session.command = Some(Command::Get);
        }
        let meters = core.board.commands(core.shard());
        for (command, count) in [(Command::Get, served.reads), (Command::Set, served.writes)] {
            meters.of(command).calls.add(count as u64);
        }
    }
}

/// What a client may send.
pub(super) fn limits(core: &Core) -> Limits {
    Limits {
        bulk_bytes_max: core.settings.bulk_bytes_max(),
        args_max: ARGS_MAX,
        inline_bytes_max: INLINE_BYTES_MAX,
    }
}

/// Executes a request about one key of this shard, see [`run`](super::run).
pub(super) fn run(core: &mut Core, request: &[u8], version: Version, out: &mut Vec<u8>) {
    let Parsed::Complete { request: args, .. } = resp::parse(request, &limits(core)) else {
        unreachable!("the client's shard has parsed it, within the same limits");
    };
    let Ok(Request::String(request)) = Request::from_args(args) else {
        unreachable!("all others travel as operations: {args:?}");
    };
    let key = core.key(request.key());
    strings::run(core, key, &request, version, out);
    core.tell_if_gone(key);
}

#[inline]
fn serve_frame(session: &mut Session, core: &mut Core, (args, read): &Framed<'_>) -> Step {
    if args.is_escaped() {
        return serve_escaped(session, core, &args.unescape());
    }
    if args.count() == 0 {
        return Step::Done;
    }
    serve_request(session, core, args, read)
}

/// An inline request with escapes stands in the input otherwise than it is meant.
fn serve_escaped(session: &mut Session, core: &mut Core, wire: &[u8]) -> Step {
    let Parsed::Complete { request: args, .. } = resp::parse(wire, &limits(core)) else {
        unreachable!("it has as many words as the line, none of them longer than a bulk may be");
    };
    serve_request(session, core, &args, &read_frame(args))
}

#[inline]
fn serve_request(session: &mut Session, core: &mut Core, args: &Args<'_>, read: &Read<'_>) -> Step {
    if session.is_queueing {
        transaction::serve(session, core, *args, read)
    } else {
        serve_now(session, core, args, read)
    }
}

#[inline]
fn serve_now(session: &mut Session, core: &mut Core, args: &Args<'_>, read: &Read<'_>) -> Step {
    let (command, request) = match read {
        Ok(request) => request,
        Err(RequestError::UnknownCommand(_)) if core.pool.is_some() => {
            if core.pause.is_on() && core.pause.holds(relay::may_write(args)) {
                return Step::Hold;
            }
            return relay::foreign(session, core, *args);
        }
        Err(error) => return refuse(session, core, *args, error),
    };
    if session.is_tracking() && tracking::remember(session, core, args) == Step::Hold {
        return Step::Hold;
    }
    if core.meter.is_due() || attend::is_rare(request) {
        return attend::attend(session, core, args, *command, request);
    }
    session.command = Some(*command);
    let step = execute(session, core, request, args);
    if step != Step::Hold {
        core.count_call(*command);
    }
    step
}

/// Answers and counts what is wrong with a request.
pub(super) fn refuse(
    session: &mut Session,
    core: &mut Core,
    args: Args<'_>,
    error: &RequestError<'_>,
) -> Step {
    if error.closes() {
        return Step::Close;
    }
    session.command = resp::find(&args).ok().map(|spec| spec.command);
    let mut line = core.buffers.take();
    error.encode(&mut line);
    session.reply(core, &line);
    attend::count_refused(core, args, error, &line);
    core.buffers.put(line);
    Step::Done
}

fn execute(session: &mut Session, core: &mut Core, request: &Request<'_>, args: &Args<'_>) -> Step {
    let version = session.version();
    if session.is_confined() {
        return execute_subscribed(session, core, request, args);
    }
    execute_as(session, core, request, args, version)
}

/// Executes a request of a RESP2 client that is subscribed: it takes what it gets for messages of
/// the channel, so there are few.
fn execute_subscribed(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    args: &Args<'_>,
) -> Step {
    let spec = resp::find(args).ok();
    if let Some(spec) = spec.filter(|spec| !spec.goes_with_subscriptions()) {
        session.refuse_confined(core, spec.name);
        return Step::Done;
    }
    if let Request::Connection(resp::ConnectionRequest::Ping { message }) = request {
        let out = session.ready(&mut core.buffers);
        resp::reply::array_header(out, 2);
        resp::reply::bulk(out, b"pong");
        resp::reply::bulk(out, message.unwrap_or_default());
        return Step::Done;
    }
    execute_as(session, core, request, args, Version::Resp2)
}

fn execute_as(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    args: &Args<'_>,
    version: Version,
) -> Step {
    if core.is_group()
        && let Some(step) = group::execute_resp(session, core, request, version)
    {
        return step;
    }
    match request {
        Request::Connection(request) => {
            return connection::connection(session, core, request, version);
        }
        Request::Server(request) => return server::server(session, core, request, version),
        Request::Command(request) => {
            request.encode(version, session.ready(&mut core.buffers));
            return Step::Done;
        }
        Request::Tracking(TrackingRequest::Subscribe { channels })
            if core.backend_protocol() == Some(Protocol::Resp) =>
        {
            return feeds::subscribe(session, core, Feed::Channels, channels.into_iter());
        }
        Request::Tracking(TrackingRequest::Unsubscribe { channels })
            if core.backend_protocol() == Some(Protocol::Resp) =>
        {
            return feeds::unsubscribe(session, core, Feed::Channels, channels.into_iter());
        }
        Request::Tracking(request) => return tracking::tracking(session, core, request, version),
        Request::Transaction(request) => return transaction::transaction(session, core, request),
        _ => {}
    }
    match core.backend_protocol() {
        None => {}
        Some(Protocol::Memcache) => {
            return over_memcache::execute(session, core, request, *args, version);
        }
        Some(Protocol::Resp) => {
            return resp_pool::execute(session, core, request, *args, version);
        }
    }
    match request {
        Request::String(request) => {
            let key = core.key(request.key());
            return session.run_at_owner(core, key, args.raw(), Form::Verbatim, |core, session| {
                let out = session.replies.ready(&mut core.buffers);
                strings::run(core, key, request, version, out);
            });
        }
        Request::Compound(request) => return compound::compound(session, core, request, version),
        Request::Keyspace(request) => return keyspace::keyspace(session, core, request, version),
        Request::Lcs(request) => {
            return lcs::longest_common_subsequence(session, core, *request, *args, version);
        }
        _ => {}
    }
    if let Some(step) = read::read(session, core, request, version) {
        return step;
    }
    change::change(session, core, request, version)
}
