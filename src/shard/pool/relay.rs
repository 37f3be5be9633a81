//! Requests that go to a Redis server of the pool as they came: those about one key that ringfort
//! does nothing else with, whatever the key's value is, those about several keys of one server, and
//! those that every server is told.

use super::{
    Place, Pool, feeds, over_memcache,
    over_resp::{self, push},
    unit::Load,
};
use crate::shard::{
    core::Core,
    flush,
    form::Form,
    message::Errand,
    resp,
    session::{Session, Step},
};
use crate::{
    backend::Expects,
    config::Protocol,
    protocol::resp::{
        Args, RequestError, Retype, Version, reply,
        table::{self, Foreign, Never, Relay, RelayError, Way},
    },
};

/// Why a request with keys is refused.
pub(super) const SEVERAL_SERVERS: &str = "has keys on several servers of the pool";

/// The same in front of a cluster, in Redis' words.
pub(super) const CROSS_SLOT: &[u8] = b"-CROSSSLOT Keys in request don't hash to the same slot\r\n";

/// The same of a request without.
const NO_KEY: &str = "has no key that would choose a server of the pool";

/// Nobody would tell the server that owns the keys what it missed.
const NOT_IF_KEYS_MOVE: &str =
    "is more than a request about one key, which is not possible with this --on-eject";

/// Some of them may have writes that wait for the server on other shards.
const NOT_BEHIND: &str =
    "is more than a request about one key, which is not possible with --write behind";

/// Why a pool takes requests about one key only, if it does.
pub(super) fn why_key_by_key(pool: &Pool) -> Option<&'static str> {
    match (pool.moves_keys(), pool.is_behind()) {
        (true, _) => Some(NOT_IF_KEYS_MOVE),
        (_, true) => Some(NOT_BEHIND),
        _ => None,
    }
}

/// Executes a request of a command that ringfort has no row for.
pub(in crate::shard) fn foreign(session: &mut Session, core: &mut Core, args: Args<'_>) -> Step {
    let foreign = Foreign::of(&args);
    let is_over_memcache = core.backend_protocol() == Some(Protocol::Memcache);
    let is_about_feeds = matches!(
        foreign,
        Ok(Foreign::Way(Way::Subscribe(_) | Way::Unsubscribe(_)))
    );
    match foreign {
        Err(RelayError::Unknown) => {
            resp::refuse(session, core, args, &RequestError::UnknownCommand(args))
        }
        _ if is_over_memcache => {
            over_memcache::refuse(session, core, args, over_memcache::NOTHING_LIKE_IT)
        }
        _ if session.is_confined() && !is_about_feeds => {
            let name = args.get(0).unwrap_or_default().to_ascii_lowercase();
            session.refuse_confined(core, &String::from_utf8_lossy(&name));
            Step::Done
        }
        Ok(Foreign::Relay(relay)) => relay_if_fit(session, core, args, &relay),
        Ok(Foreign::Way(way)) => go(session, core, args, way),
        Err(error) => refuse_or_ask_the_only(session, core, args, error),
    }
}

/// Whether a request that only the pool's servers know may write. What is none, or about no key,
/// is not known to.
pub(in crate::shard) fn may_write(args: &Args<'_>) -> bool {
    match Foreign::of(args) {
        Ok(Foreign::Relay(relay)) => relay.is_write,
        // A script without keys may change any.
        Ok(Foreign::Way(Way::Everywhere)) | Err(RelayError::NoKey) => true,
        Ok(Foreign::Way(_)) | Err(_) => false,
    }
}

/// Executes a request of a command that ringfort knows, but leaves to the server.
pub(super) fn known(session: &mut Session, core: &mut Core, args: Args<'_>) -> Step {
    let spec = args.get(0).and_then(table::lookup);
    let sub = spec.and_then(|spec| spec.subcommand(args.get(1)?));
    let relay = match sub.or(spec) {
        Some(spec) => Relay::of_known(spec, &args),
        None => Err(RelayError::Unknown),
    };
    match relay {
        Ok(relay) => relay_if_fit(session, core, args, &relay),
        Err(error) => refuse_or_ask_the_only(session, core, args, error),
    }
}

/// Executes a request about all keys: a single server knows them all.
pub(super) fn whole(session: &mut Session, core: &mut Core, args: Args<'_>) -> Step {
    if !core.is_single() {
        return refuse(
            session,
            core,
            args,
            "is about the keys of all servers of the pool",
        );
    }
    ask_first(session, core, args)
}

fn ask_first(session: &mut Session, core: &mut Core, args: Args<'_>) -> Step {
    let mut wire = core.buffers.take();
    push(&mut wire, args);
    flush::ask_first_server(session, core, &wire);
    core.buffers.put(wire);
    Step::Done
}

/// What has no key to choose a server by is left to the server if there is only one.
fn refuse_or_ask_the_only(
    session: &mut Session,
    core: &mut Core,
    args: Args<'_>,
    error: RelayError,
) -> Step {
    let is_single = core.is_single();
    let reason = match error {
        RelayError::NoKey if is_single => {
            // A script without keys may change any.
            return unit(session, core, args, None, &[], None);
        }
        RelayError::Arity(name) => {
            return resp::refuse(session, core, args, &RequestError::Arity(name));
        }
        RelayError::NoKey | RelayError::Unknown => NO_KEY,
        RelayError::Never(Never::Replication) => "is what servers say to each other",
        RelayError::Never(Never::Administration) => "is about one server: ask that, not the pool",
        RelayError::Never(Never::Offsets) => {
            "is about what one connection wrote, and connections of a pool are shared"
        }
    };
    refuse(session, core, args, reason)
}

fn relay_if_fit(session: &mut Session, core: &mut Core, args: Args<'_>, relay: &Relay) -> Step {
    let Some(pool) = &core.pool else {
        return Step::Done;
    };
    let mut keys = relay.keys(&args).map(|key| pool.place(key));
    let place = keys.next();
    let mut others = keys.peekable();
    let is_single = others.peek().is_none();
    if others.any(|other| Some(other) != place) {
        if pool.is_cluster() {
            session.refuse(core, CROSS_SLOT);
            return Step::Done;
        }
        return refuse(session, core, args, SEVERAL_SERVERS);
    }
    if is_single && !relay.waits {
        return send(session, core, args, relay);
    }
    if let Some(reason) = why_key_by_key(pool) {
        return refuse(session, core, args, reason);
    }
    if relay.is_about_string && core.is_crossed() {
        let reason = "is about several strings, which memcache clients may have written";
        return refuse(session, core, args, reason);
    }
    let written: Vec<&[u8]> = match relay.is_write && core.follows_changes() {
        true => relay.keys(&args).collect(),
        false => Vec::new(),
    };
    let version = relay.waits.then(|| session.version());
    unit(session, core, args, place, &written, version)
}

/// Has one server execute a request about several keys, or about none, or one that waits, which is
/// to be answered in this version.
fn unit(
    session: &mut Session,
    core: &mut Core,
    args: Args<'_>,
    place: Option<Place>,
    written: &[&[u8]],
    waits_in: Option<Version>,
) -> Step {
    if core.is_behind() {
        return refuse(session, core, args, NOT_BEHIND);
    }
    let mut wire = core.buffers.take();
    push(&mut wire, args);
    let written = written.iter().copied();
    let (load, form) = match waits_in {
        None => (Load::Request(wire), form(session, &args)),
        Some(version) => (Load::Waiting(wire, version), Form::Verbatim),
    };
    match session.run_unit(core, place, Some(written), load, form) {
        Ok(()) => Step::Done,
        Err(load) => {
            core.buffers.put(load.into_bytes());
            Step::Hold
        }
    }
}

fn send(session: &mut Session, core: &mut Core, args: Args<'_>, relay: &Relay) -> Step {
    let Some(key) = relay.keys(&args).next().map(|key| core.key(key)) else {
        return Step::Done;
    };
    let errand = if relay.is_write {
        Errand::Write(Expects::Line)
    } else if relay.is_tied {
        Errand::ReadHome(Expects::Line)
    } else {
        Errand::Read(Expects::Line)
    };
    let mut wire = core.buffers.take();
    if relay.is_about_string && core.is_crossed() {
        over_resp::push_within_reply(&mut wire, core, key, args);
    } else {
        push(&mut wire, args);
    }
    let form = form(session, &args);
    let step = session.run_errand(core, key, errand, &wire, form);
    core.buffers.put(wire);
    step
}

/// The form of a reply that is a server's own.
fn form(session: &Session, args: &Args<'_>) -> Form {
    match session.version() {
        Version::Resp2 => Form::Verbatim,
        Version::Resp3 => Form::Retyped(Retype::of(args)),
    }
}

/// Executes a request that no key sends to one server.
fn go(session: &mut Session, core: &mut Core, args: Args<'_>, way: Way) -> Step {
    match way {
        Way::AnyServer => return ask_first(session, core, args),
        Way::Everywhere => {
            // What is pipelined behind may go over another connection, and rely on it.
            let is_barrier = core.has_l1() || core.has_lanes();
            if is_barrier && session.replies.pending_count() > 0 {
                return Step::Hold;
            }
            session.set_barred(is_barrier);
            let mut wire = core.buffers.take();
            push(&mut wire, args);
            flush::ask_all(session, core, Form::Verbatim, &wire);
            core.buffers.put(wire);
        }
        Way::Scripts => {
            let count = args.count() - 2;
            session.begin(core, |out| reply::array_header(out, count));
            return session.for_each_key(core, args.iter_from(2), |session, core, digest| {
                let mut wire = core.buffers.take();
                reply::encode_command(&mut wire, &[b"SCRIPT", b"EXISTS", digest]);
                let servers = core.pool.as_ref().map_or_else(Vec::new, Pool::masters);
                flush::ask_all(session, core, Form::RespEvery(servers.len()), &wire);
                core.buffers.put(wire);
                Step::Done
            });
        }
        Way::Subscribe(feed) => {
            return feeds::subscribe(session, core, feed, args.iter_from(1));
        }
        Way::Unsubscribe(feed) => {
            return feeds::unsubscribe(session, core, feed, args.iter_from(1));
        }
        Way::Monitor => return feeds::monitor(session, core),
    }
    Step::Done
}

/// Answers what no server is asked for. The command's name is one that a table has.
fn refuse(session: &mut Session, core: &mut Core, args: Args<'_>, reason: &str) -> Step {
    encode_refusal(session.ready(&mut core.buffers), args, reason);
    Step::Done
}

/// Appends the line for a request that no server is asked for.
pub(super) fn encode_refusal(out: &mut Vec<u8>, args: Args<'_>, reason: &str) {
    out.extend_from_slice(b"-ERR ");
    let name = args.get(0).unwrap_or_default();
    out.extend(name.iter().map(u8::to_ascii_uppercase));
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}
