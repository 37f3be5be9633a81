//! Requests that go to a Redis server of the pool as they came: those about one key that ringfort
//! does nothing else with, whatever the key's value is, and those about several keys of one server.

use super::{
    over_memcache,
    over_resp::{self, push},
};
use crate::shard::{
    core::Core,
    flush,
    form::Form,
    message::Errand,
    session::{Session, Step},
};
use crate::{
    backend::Expects,
    config::Protocol,
    protocol::resp::{
        Args, RequestError,
        table::{self, Relay, RelayError},
    },
};

/// Executes a request of a command that ringfort has no row for.
pub(in crate::shard) fn foreign(session: &mut Session, core: &mut Core, args: Args<'_>) -> Step {
    let relay = Relay::of(&args);
    if relay == Err(RelayError::Unknown) {
        let out = session.ready(&mut core.buffers);
        RequestError::UnknownCommand(args).encode(out);
        return Step::Done;
    }
    if core.backend_protocol() == Some(Protocol::Memcache) {
        return over_memcache::refuse(session, core, args, over_memcache::NOTHING_LIKE_IT);
    }
    relay_if(session, core, args, relay)
}

/// Executes a request of a command that ringfort knows, but leaves to the server.
pub(super) fn known(session: &mut Session, core: &mut Core, args: Args<'_>) -> Step {
    let spec = args.get(0).and_then(table::lookup);
    let sub = spec.and_then(|spec| spec.subcommand(args.get(1)?));
    let relay = match sub.or(spec) {
        Some(spec) => Relay::of_known(spec, &args),
        None => Err(RelayError::Unknown),
    };
    relay_if(session, core, args, relay)
}

/// Executes a request about all keys: a single server knows them all.
pub(super) fn whole(session: &mut Session, core: &mut Core, args: Args<'_>) -> Step {
    if core
        .pool
        .as_ref()
        .is_some_and(|pool| pool.server_count() > 1)
    {
        return refuse(
            session,
            core,
            args,
            "is about the keys of all servers of the pool",
        );
    }
    let mut wire = core.buffers.take();
    push(&mut wire, args);
    flush::ask_first_server(session, core, &wire);
    core.buffers.put(wire);
    Step::Done
}

fn relay_if(
    session: &mut Session,
    core: &mut Core,
    args: Args<'_>,
    relay: Result<Relay, RelayError>,
) -> Step {
    let reason = match relay {
        Ok(relay) => match unfit(core, &relay, args) {
            None => return send(session, core, args, &relay),
            Some(reason) => reason,
        },
        Err(RelayError::Waits) => "may wait, which would hold up others on the same connection",
        Err(RelayError::NoKey | RelayError::Unknown) => {
            "has no key that would choose a server of the pool"
        }
    };
    refuse(session, core, args, reason)
}

/// Why a request cannot be left to one server, if it cannot.
fn unfit(core: &Core, relay: &Relay, args: Args<'_>) -> Option<&'static str> {
    let pool = core.pool.as_ref()?;
    let mut keys = relay.keys(&args);
    let server = pool.server(keys.next()?);
    let mut others = keys.peekable();
    let is_single = others.peek().is_none();
    if is_single {
        None
    } else if others.any(|key| pool.server(key) != server) {
        Some("has keys on several servers of the pool")
    } else if relay.is_write && pool.has_l1() {
        Some("changes several keys at once, which is not possible with an L1")
    } else if relay.is_about_string && pool.is_crossed() {
        Some("is about several strings, which memcache clients may have written")
    } else {
        None
    }
}

fn send(session: &mut Session, core: &mut Core, args: Args<'_>, relay: &Relay) -> Step {
    let Some(key) = relay.keys(&args).next().map(|key| core.key(key)) else {
        return Step::Done;
    };
    // Its other keys may be on other connections, where nothing but waiting keeps the order.
    let is_barrier = core.has_lanes() && relay.keys(&args).nth(1).is_some();
    if is_barrier && session.replies.pending_count() > 0 {
        return Step::Hold;
    }
    let errand = if relay.is_write {
        Errand::Write(Expects::Line)
    } else {
        Errand::Read(Expects::Line)
    };
    let mut wire = core.buffers.take();
    if relay.is_about_string && core.is_crossed() {
        over_resp::push_within_reply(&mut wire, core, key, args);
    } else {
        push(&mut wire, args);
    }
    let step = session.run_errand(core, key, errand, &wire, Form::Verbatim);
    core.buffers.put(wire);
    if is_barrier && matches!(step, Step::Done) {
        session.set_barred(true);
    }
    step
}

/// Answers what no server is asked for. The command's name is one that a table has.
fn refuse(session: &mut Session, core: &mut Core, args: Args<'_>, reason: &str) -> Step {
    let out = session.ready(&mut core.buffers);
    out.extend_from_slice(b"-ERR ");
    let name = args.get(0).unwrap_or_default();
    out.extend(name.iter().map(u8::to_ascii_uppercase));
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    Step::Done
}
