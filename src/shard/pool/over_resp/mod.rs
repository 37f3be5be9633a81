//! memcache clients over Redis servers.
//!
//! A request becomes a command, or a call of a script where Redis has none that means the same;
//! either way it is one step on the server. The reply is put into memcache's words on the shard
//! of the client, as others may wait for the same value and speak RESP. docs/protocols.md has the
//! whole table, and the reasons.

mod answer;
mod asked;
mod beside;
mod binary;
mod call;
mod lifetime;
mod meta;
mod renewals;
mod reply;
mod script;
mod stored;

use self::lifetime::{Lifetime, lifetime};
pub use self::renewals::Renewals;
pub(in crate::shard) use self::{
    asked::{Asked, STALE},
    beside::{one_key as one_key_beside, push, push_value, push_within_reply},
    binary::{execute_binary, flush_binary},
    meta::execute as execute_meta,
    reply::{ReplyWanted, error, error_text, is_too_large},
    script::{Script, is_missing, load},
    stored::{HEADER_BYTES, cas_of, push_bulk, split},
};
pub(super) use self::{lifetime::PX_MAX, stored::push as push_stored};
use super::{at_once, memcache::each_key};
use crate::shard::{
    core::Core,
    flush,
    form::Form,
    memcache::Change,
    message::Errand,
    session::{Session, Step},
};
use crate::{
    backend::Expects,
    protocol::{
        memcache::{Deadline, Direction, Exptime, Keys, Request, StoreVerb},
        resp::reply as resp,
    },
    store::Key,
};

/// The line for a flush that is not to be now.
const FLUSH_DELAYED: &[u8] =
    b"SERVER_ERROR flush_all with a delay cannot be done over Redis servers: they flush at once\r\n";

/// `get`, `gets`, `gat`, `gats`.
pub(in crate::shard) fn retrieve(
    session: &mut Session,
    core: &mut Core,
    keys: Keys<'_>,
    cas: bool,
    touch: Option<Exptime>,
) -> Step {
    let is_plain = !cas && touch.is_none();
    each_key(
        session,
        core,
        keys,
        is_plain,
        |session, core, key, is_single| {
            let wanted = if is_single {
                ReplyWanted::Retrieval { cas }
            } else {
                ReplyWanted::Part { cas }
            };
            let mut request = core.buffers.take();
            let errand = match touch {
                Some(exptime) => {
                    encode_get_and_touch(&mut request, key.bytes, lifetime(exptime, core));
                    Errand::Write(Expects::Retrieval)
                }
                None if cas => {
                    resp::encode_command(&mut request, &[b"GET", key.bytes]);
                    Errand::Read(Expects::Retrieval)
                }
                None => Errand::Fetch,
            };
            let step = session.run_errand_keeping(
                core,
                key,
                errand,
                &request,
                Form::OverResp(wanted),
                key.bytes,
            );
            core.buffers.put(request);
            step
        },
    )
}

/// Requests that change one key.
pub(in crate::shard) fn change(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
) -> Step {
    let change = Change::of(request, core.now);
    let step = ask(session, core, &change, request);
    core.count_asked(&change.operation, step)
}

fn ask(session: &mut Session, core: &mut Core, change: &Change<'_>, request: &Request<'_>) -> Step {
    if let Some(step) = at_once::classic(session, core, change, request) {
        return step;
    }
    let key = core.key(change.key);
    let mut wire = core.buffers.take();
    let wanted = encode(&mut wire, core, key, *request);
    let form = match change.form {
        Form::Silent => Form::Silent,
        _ => Form::OverResp(wanted),
    };
    let step = session.run_errand(core, key, Errand::Write(Expects::Line), &wire, form);
    core.buffers.put(wire);
    step
}

/// `flush_all`.
pub(in crate::shard) fn flush_all(
    session: &mut Session,
    core: &mut Core,
    delay: Exptime,
    form: Form,
) -> Step {
    if let Deadline::At(_) = delay.deadline_ms(core.now.0) {
        if form != Form::Silent {
            session.reply(core, FLUSH_DELAYED);
        }
        return Step::Done;
    }
    let mut wire = core.buffers.take();
    resp::encode_command(&mut wire, &[b"FLUSHALL"]);
    let step = flush::flush_all(session, core, flush::AT_ONCE, form, &wire);
    core.buffers.put(wire);
    step
}

/// Appends the command for a request that changes a key, and says what its reply means.
fn encode(out: &mut Vec<u8>, core: &Core, key: Key<'_>, request: Request<'_>) -> ReplyWanted {
    match request {
        Request::Store {
            verb,
            flags,
            exptime,
            value,
            ..
        } => {
            let lifetime = lifetime(exptime, core);
            encode_store(out, core, key, verb, (flags, value), lifetime)
        }
        Request::Arithmetic {
            direction, delta, ..
        } => {
            let name: &[u8] = match direction {
                Direction::Incr => b"incr",
                Direction::Decr => b"decr",
            };
            let mut digits = itoa::Buffer::new();
            call(out, core, key, &[name, digits.format(delta).as_bytes()]);
            ReplyWanted::Count
        }
        Request::Touch { exptime, .. } => {
            match lifetime(exptime, core) {
                Lifetime::ForGood => call(out, core, key, &[b"persist"]),
                Lifetime::Over => resp::encode_command(out, &[b"DEL", key.bytes]),
                Lifetime::Ms(ms) => {
                    let mut digits = itoa::Buffer::new();
                    let ms = digits.format(ms).as_bytes();
                    resp::encode_command(out, &[b"PEXPIRE", key.bytes, ms]);
                }
            }
            ReplyWanted::Touch
        }
        // A delete: what changes no key does not come here.
        _ => {
            resp::encode_command(out, &[b"DEL", key.bytes]);
            ReplyWanted::Delete
        }
    }
}

fn encode_store(
    out: &mut Vec<u8>,
    core: &Core,
    key: Key<'_>,
    verb: StoreVerb,
    (flags, value): (u32, &[u8]),
    lifetime: Lifetime,
) -> ReplyWanted {
    let condition: &[&[u8]] = match verb {
        StoreVerb::Set => &[],
        StoreVerb::Add => &[b"NX"],
        StoreVerb::Replace => &[b"XX"],
        StoreVerb::Append => {
            concat(out, core, key, b"append", value);
            return ReplyWanted::Store;
        }
        StoreVerb::Prepend => {
            concat(out, core, key, b"prepend", value);
            return ReplyWanted::Store;
        }
        StoreVerb::Cas(id) => {
            compare_and_swap(out, core, key, id, (flags, value), lifetime);
            return ReplyWanted::Cas;
        }
    };
    if lifetime == Lifetime::Over {
        // It would be gone before anybody could see it.
        let command: &[u8] = if verb == StoreVerb::Add {
            b"EXISTS"
        } else {
            b"DEL"
        };
        resp::encode_command(out, &[command, key.bytes]);
        return match verb {
            StoreVerb::Set => ReplyWanted::Set,
            StoreVerb::Add => ReplyWanted::AddPast,
            _ => ReplyWanted::Store,
        };
    }
    let timer_words = 2 * usize::from(lifetime != Lifetime::ForGood);
    resp::array_header(out, 3 + timer_words + condition.len());
    resp::bulk(out, b"SET");
    resp::bulk(out, key.bytes);
    push_bulk(out, flags, value);
    if let Lifetime::Ms(ms) = lifetime {
        resp::bulk(out, b"PX");
        resp::bulk(out, itoa::Buffer::new().format(ms).as_bytes());
    }
    condition.iter().for_each(|word| resp::bulk(out, word));
    match verb {
        StoreVerb::Set => ReplyWanted::Set,
        _ => ReplyWanted::Store,
    }
}

fn concat(out: &mut Vec<u8>, core: &Core, key: Key<'_>, side: &[u8], value: &[u8]) {
    let mut digits = itoa::Buffer::new();
    let bytes_max = digits.format(item_bytes_max(core)).as_bytes();
    call(out, core, key, &[side, value, bytes_max]);
}

/// What a joined value may come to, in bytes.
fn item_bytes_max(core: &Core) -> usize {
    core.settings.item_bytes_max
}

/// How the digest of a string with this CAS id begins; nothing if any will do.
fn digest(cas: Option<u64>) -> String {
    cas.map_or_else(String::new, |id| {
        format!("{id:0width$x}", width = stored::CAS_DIGITS as usize)
    })
}

fn compare_and_swap(
    out: &mut Vec<u8>,
    core: &Core,
    key: Key<'_>,
    id: u64,
    (flags, value): (u32, &[u8]),
    lifetime: Lifetime,
) {
    let Some(script) = core.script() else { return };
    let ms = match lifetime {
        Lifetime::ForGood => None,
        Lifetime::Ms(ms) => Some(ms),
        Lifetime::Over => Some(0),
    };
    script.begin(out, key.bytes, 3 + usize::from(ms.is_some()));
    resp::bulk(out, b"cas");
    resp::bulk(out, digest(Some(id)).as_bytes());
    push_bulk(out, flags, value);
    if let Some(ms) = ms {
        resp::bulk(out, itoa::Buffer::new().format(ms).as_bytes());
    }
}

fn call(out: &mut Vec<u8>, core: &Core, key: Key<'_>, arguments: &[&[u8]]) {
    if let Some(script) = core.script() {
        script.call(out, key.bytes, arguments);
    }
}

/// `gat` is GETEX; a time in the past shows the value a last time.
fn encode_get_and_touch(out: &mut Vec<u8>, key: &[u8], lifetime: Lifetime) {
    match lifetime {
        Lifetime::ForGood => resp::encode_command(out, &[b"GETEX", key, b"PERSIST"]),
        Lifetime::Over => resp::encode_command(out, &[b"GETDEL", key]),
        Lifetime::Ms(ms) => {
            let mut digits = itoa::Buffer::new();
            let ms = digits.format(ms).as_bytes();
            resp::encode_command(out, &[b"GETEX", key, b"PX", ms]);
        }
    }
}
