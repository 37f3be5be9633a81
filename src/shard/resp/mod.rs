//! The RESP front end: requests become reads and operations of the store, or errands to the
//! pool; the protocol itself is `protocol::resp`'s.

mod attend;
mod change;
mod client;
mod config;
mod connection;
mod gathered;
mod glob;
mod help;
mod info;
mod latency;
mod memory;
mod read;
mod server;
mod slow_log;
mod strings;

pub(super) use self::{
    change::single, client::Client, gathered::finish_round, read::answer_from_l1,
};

use super::{
    batch::Dialect,
    core::Core,
    form::Form,
    pool::resp as resp_pool,
    session::{Session, Step},
    settings::{ARGS_MAX, INLINE_BYTES_MAX},
};
use crate::protocol::{
    Parsed,
    resp::{
        self, Args, Limits, Progress, ProtocolError, Request, RequestError, Version, table::Command,
    },
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
    fn execute(session: &mut Session, core: &mut Core, framed: Framed<'_>, _: &[u8]) -> Step {
        let is_plain = session.as_resp_client().is_some_and(Client::is_plain);
        if is_plain {
            serve_frame(session, core, framed)
        } else {
            attend::serve_specially(session, core, framed)
        }
    }

    fn refuse(session: &mut Session, core: &mut Core, refusal: &ProtocolError) -> Step {
        let is_muted = session.as_resp_client().is_some_and(Client::is_muted);
        if !is_muted {
            refusal.encode(session.ready(&mut core.buffers));
        }
        Step::Close
    }

    /// A pause holds back what is read, not what is received.
    fn is_held_back(_: &Core, _: &Framed<'_>) -> bool {
        false
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

#[inline]
fn serve_frame(session: &mut Session, core: &mut Core, (args, read): Framed<'_>) -> Step {
    if args.is_escaped() {
        return serve_escaped(session, core, &args.unescape());
    }
    if args.count() == 0 {
        return Step::Done;
    }
    serve_request(session, core, args, &read)
}

/// An inline request with escapes stands in the input otherwise than it is meant.
fn serve_escaped(session: &mut Session, core: &mut Core, wire: &[u8]) -> Step {
    match resp::parse(wire, &limits(core)) {
        Parsed::Complete { request: args, .. } => {
            serve_request(session, core, args, &read_frame(args))
        }
        _ => Step::Done,
    }
}

#[inline]
fn serve_request(session: &mut Session, core: &mut Core, args: Args<'_>, read: &Read<'_>) -> Step {
    match read {
        Err(error) => refuse(session, core, args, error),
        Ok((command, request)) => {
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
    }
}

fn refuse(
    session: &mut Session,
    core: &mut Core,
    args: Args<'_>,
    error: &RequestError<'_>,
) -> Step {
    if error.closes() {
        return Step::Close;
    }
    let mut line = core.buffers.take();
    error.encode(&mut line);
    session.reply(core, &line);
    attend::count_refused(core, args, error, &line);
    core.buffers.put(line);
    Step::Done
}

fn execute(session: &mut Session, core: &mut Core, request: &Request<'_>, args: Args<'_>) -> Step {
    let version = session
        .resp_client()
        .map_or(Version::Resp2, |client| client.version);
    match request {
        Request::Connection(request) => {
            return connection::connection(session, core, request, version);
        }
        Request::Server(request) => return server::server(session, core, request, version),
        _ => {}
    }
    if core.pool.is_some() {
        return resp_pool::execute(session, core, request, args, version);
    }
    if let Request::String(request) = request {
        let key = core.key(request.key());
        return session.run_at_owner(core, key, args.raw(), Form::Verbatim, |core, out| {
            strings::run(core, key, request, version, out);
        });
    }
    if let Some(step) = read::read(session, core, request, version) {
        return step;
    }
    change::change(session, core, request, version)
}
