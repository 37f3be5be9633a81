//! The RESP front end: requests become reads and operations of the store, or errands to the
//! pool; the protocol itself is `protocol::resp`'s.

mod change;
mod compound;
mod connection;
mod keyspace;
mod read;
mod server;
mod strings;
mod tracking;
mod transaction;
mod watches;

pub(super) use self::{change::single, keyspace::Tour, read::answer_from_l1};

use super::{
    batch::Dialect,
    core::Core,
    form::Form,
    pool::{over_memcache, relay, resp as resp_pool},
    session::{Session, Step},
    settings::{ARGS_MAX, INLINE_BYTES_MAX},
};
use crate::{
    config::Protocol,
    protocol::{
        Parsed,
        resp::{self, Args, Limits, Progress, ProtocolError, Request, RequestError, Version},
    },
};

/// What a RESP client has said of itself.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) version: Version,
    pub(super) name: Vec<u8>,
    /// What it watches or has queued, if it does.
    pub(super) transaction: Option<Box<transaction::Transaction>>,
    /// How far the request that is coming in was parsed.
    pub(super) parsing: Progress,
    /// It is to hear of changes of what it reads.
    pub(super) is_tracking: bool,
    /// CLIENT CACHING was said for the next request.
    pub(super) is_caching_said: bool,
    /// It listens to the channel of invalidations.
    pub(super) is_subscribed: bool,
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

/// Executes a request about one key of this shard, see [`run`](super::run).
pub(super) fn run(core: &mut Core, request: &[u8], version: Version, out: &mut Vec<u8>) {
    let Parsed::Complete { request: args, .. } = resp::parse(request, &limits(core)) else {
        return;
    };
    if let Ok(Request::String(request)) = Request::from_args(args) {
        strings::run(core, core.key(request.key()), &request, version, out);
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
    let is_tracking = session.is_tracking();
    if is_tracking {
        tracking::before(session, core);
    }
    let step = if session.is_queueing {
        transaction::serve(session, core, args, request)
    } else {
        serve_now(session, core, args, request)
    };
    if step != Step::Hold && (is_tracking || session.has_late_pushes()) {
        tracking::after(session, core, &args);
    }
    step
}

fn serve_now(
    session: &mut Session,
    core: &mut Core,
    args: Args<'_>,
    request: &Result<Request<'_>, RequestError<'_>>,
) -> Step {
    let step = match request {
        Err(RequestError::UnknownCommand(_)) if core.pool.is_some() => {
            relay::foreign(session, core, args)
        }
        Err(error) => return refuse(session, core, error),
        Ok(_)
            if session.is_tracking() && tracking::remember(session, core, &args) == Step::Hold =>
        {
            return Step::Hold;
        }
        Ok(request) => execute(session, core, request, args),
    };
    if step != Step::Hold {
        core.counters().resp_requests.add(1);
    }
    step
}

fn refuse(session: &mut Session, core: &mut Core, error: &RequestError<'_>) -> Step {
    if error.closes() {
        return Step::Close;
    }
    error.encode(session.ready(&mut core.buffers));
    Step::Done
}

fn execute(session: &mut Session, core: &mut Core, request: &Request<'_>, args: Args<'_>) -> Step {
    let version = session.version();
    if session.is_subscribed() && version == Version::Resp2 {
        return execute_subscribed(session, core, request, &args);
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
        let line = format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
             are allowed in this context",
            spec.name
        );
        resp::reply::error(session.ready(&mut core.buffers), line);
        return Step::Done;
    }
    if let Request::Connection(resp::ConnectionRequest::Ping { message }) = request {
        let out = session.ready(&mut core.buffers);
        resp::reply::array_header(out, 2);
        resp::reply::bulk(out, b"pong");
        resp::reply::bulk(out, message.unwrap_or_default());
        return Step::Done;
    }
    execute_as(session, core, request, *args, Version::Resp2)
}

fn execute_as(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    args: Args<'_>,
    version: Version,
) -> Step {
    match request {
        Request::Connection(request) => {
            return connection::connection(session, core, request, version);
        }
        Request::Server(request) => return server::server(session, core, request, version),
        Request::Command(request) => {
            request.encode(version, session.ready(&mut core.buffers));
            return Step::Done;
        }
        Request::Tracking(request) => return tracking::tracking(session, core, request, version),
        Request::Transaction(request) => return transaction::transaction(session, core, request),
        _ => {}
    }
    match core.backend_protocol() {
        None => {}
        Some(Protocol::Memcache) => {
            return over_memcache::execute(session, core, request, args, version);
        }
        Some(Protocol::Resp) => {
            return resp_pool::execute(session, core, request, args, version);
        }
    }
    match request {
        Request::String(request) => {
            let key = core.key(request.key());
            return session.run_at_owner(core, key, args.raw(), Form::Verbatim, |core, out| {
                strings::run(core, key, request, version, out);
            });
        }
        Request::Compound(request) => return compound::compound(session, core, request, version),
        Request::Keyspace(request) => return keyspace::keyspace(session, core, request, version),
        _ => {}
    }
    if let Some(step) = read::read(session, core, request, version) {
        return step;
    }
    change::change(session, core, request, version)
}
