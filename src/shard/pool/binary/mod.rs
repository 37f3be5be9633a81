//! Binary memcache clients over memcached servers.
//!
//! A pool's connections speak text. Each request becomes the meta command that means the same, in
//! one step and with the CAS id that a binary reply shows; the answer is put back into a packet
//! (`reply`). The L1 answers no binary get: the CAS id of its copy would be none of the server's.
//!
//! | binary | meta |
//! |---|---|
//! | get, getk | `mg v f c` |
//! | gat, gatk | `mg v f c T` |
//! | touch | `mg f c T` |
//! | set, add, replace, append, prepend | `ms c F T M` and, for a CAS id, `C` |
//! | delete | `md` and `C` |
//! | increment, decrement | `ma v c M D` and, if it may be made, `J N`; for a CAS id, `C` |

mod encode;
mod reply;

use self::reply::PacketWanted;
pub(in crate::shard) use self::reply::{Packet, error};
use super::{KnowsMeta, at_once, failure, over_resp};
use crate::{
    backend::Expects,
    config::Protocol,
    protocol::{
        binary::{Echo, KeyCommand, Request, Status, reply as wire},
        memcache::{Spelling, StoreVerb},
    },
    shard::{
        core::Core,
        form::Form,
        message::Errand,
        session::{Session, Step},
    },
    store::Key,
};

/// The text for a key that cannot be asked for.
const UNNAMEABLE: &[u8] =
    b"key cannot be named to a memcache server: with blanks or control characters at most 186 bytes";

/// Has a request about one key done by the key's server.
pub(in crate::shard) fn execute(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    command: &KeyCommand<'_>,
) -> Step {
    let key = command.key();
    let is_over_resp = core.backend_protocol() == Some(Protocol::Resp);
    let spelling = match Spelling::of(key) {
        // Redis can name every key.
        _ if is_over_resp => Spelling::Text,
        Some(spelling) => spelling,
        None => {
            let status = Status::InvalidArguments;
            return refuse(session, core, request.echo, status, UNNAMEABLE);
        }
    };
    let key = core.key(key);
    let packet = packet(request, command);
    if spelling == Spelling::Text
        && let Some(step) = queue(session, core, (command, packet), key)
    {
        return step;
    }
    if is_over_resp {
        let step = over_resp::execute_binary(session, core, command, key, packet);
        return count(core, command, step);
    }
    if let KeyCommand::Store { .. } = command {
        match knows_meta(core, key) {
            KnowsMeta::Yes => {}
            KnowsMeta::Asked => return Step::Hold,
            KnowsMeta::No => return fail(session, core, request.echo, failure::NO_META),
            KnowsMeta::Away => return fail(session, core, request.echo, failure::UNAVAILABLE),
        }
    }
    let mut line = core.buffers.take();
    encode::command(&mut line, command, spelling);
    let errand = match command {
        KeyCommand::Get { .. } => Errand::Read(Expects::Meta),
        _ => Errand::Write(Expects::Meta),
    };
    let form = Form::Packet(packet);
    let step = session.run_errand_keeping(core, key, errand, &line, form, key.bytes);
    core.buffers.put(line);
    count(core, command, step)
}

/// Has a request done later, if the policy says so.
fn queue(
    session: &mut Session,
    core: &mut Core,
    (command, packet): (&KeyCommand<'_>, Packet),
    key: Key<'_>,
) -> Option<Step> {
    const DONE: &[u8] = b"HD\r\n";
    if !is_whole(command) || !core.queues_writes() {
        return None;
    }
    let form = Form::Packet(packet);
    let step = match *command {
        KeyCommand::Store {
            verb: StoreVerb::Set,
            flags,
            exptime,
            value,
            ..
        } if core.is_behind() => {
            let wish = at_once::Set::new(core, flags, exptime, value);
            at_once::set(session, core, key, wish, DONE, form, key.bytes)
        }
        KeyCommand::Store { .. } if core.is_behind() => return None,
        _ => {
            let errand = Errand::InvalidateAnd;
            session.run_errand_keeping(core, key, errand, DONE, form, key.bytes)
        }
    };
    Some(count(core, command, step))
}

/// Whether the value as a whole is written or removed, whatever it was.
fn is_whole(command: &KeyCommand<'_>) -> bool {
    match *command {
        KeyCommand::Store { verb, cas, .. } => {
            cas == 0 && !matches!(verb, StoreVerb::Append | StoreVerb::Prepend)
        }
        KeyCommand::Delete { cas, .. } => cas == 0,
        _ => false,
    }
}

/// Whether the key's server knows meta commands. One that does not would take a data block for
/// requests, so it is asked before the first.
fn knows_meta(core: &mut Core, key: Key<'_>) -> KnowsMeta {
    let now = core.now;
    let pool = core.pool.as_mut();
    pool.map_or(KnowsMeta::No, |pool| pool.knows_meta(key, now))
}

fn fail(session: &mut Session, core: &mut Core, echo: Echo, text: &str) -> Step {
    refuse(session, core, echo, Status::Internal, text.as_bytes())
}

pub(super) fn refuse(
    session: &mut Session,
    core: &mut Core,
    echo: Echo,
    status: Status,
    text: &[u8],
) -> Step {
    let out = session.ready(&mut core.buffers);
    wire::refusal(out, echo, status, text);
    Step::Done
}

pub(in crate::shard) fn packet(request: &Request<'_>, command: &KeyCommand<'_>) -> Packet {
    let wanted = match *command {
        KeyCommand::Get { shows_key, .. } | KeyCommand::GetAndTouch { shows_key, .. } => {
            PacketWanted::Value { shows_key }
        }
        KeyCommand::Touch { .. } => PacketWanted::Touched,
        KeyCommand::Store { verb, .. } => PacketWanted::Stored(match verb {
            StoreVerb::Append | StoreVerb::Prepend => Status::NotStored,
            StoreVerb::Add => Status::Exists,
            _ => Status::NotFound,
        }),
        KeyCommand::Count { .. } => PacketWanted::Number,
        KeyCommand::Delete { .. } => PacketWanted::Done,
    };
    Packet {
        echo: request.echo,
        is_quiet: request.is_quiet,
        wanted,
    }
}

/// Counts a request once it is done, however often it was tried.
fn count(core: &Core, command: &KeyCommand<'_>, step: Step) -> Step {
    let counters = core.counters();
    match command {
        _ if step != Step::Done => {}
        KeyCommand::Store { .. } => counters.sets.add(1),
        KeyCommand::Delete { .. } => counters.deletes.add(1),
        KeyCommand::Count { .. } => counters.counts.add(1),
        KeyCommand::Touch { .. } | KeyCommand::GetAndTouch { .. } => counters.touches.add(1),
        KeyCommand::Get { .. } => {}
    }
    step
}
