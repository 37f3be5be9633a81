//! RESP clients of a group.
//!
//! GET and MGET load what is not here. What else reads tells of what is here; SET, MSET and DEL are
//! as ever; what would change a value that is there, or compare it, is refused, and so is what makes
//! one of several.

use super::{UNCHANGEABLE, changes::Edit};
use crate::{
    protocol::{
        memcache::Deadline,
        resp::{Condition, Request, Rest, SetExpiry, TransactionRequest, Version, reply},
    },
    shard::{
        core::Core,
        form::{Form, resp_error},
        pool::over_resp,
        resp::show_bulk,
        session::{Session, Step},
    },
    store::{Key, Outcome},
};

/// The text for what would have to be of one moment.
const NO_TRANSACTIONS: &str = "there are no transactions in a group";

/// Executes what is another thing in a group than in a store of one's own.
pub(in crate::shard) fn execute(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    version: Version,
) -> Option<Step> {
    match *request {
        Request::Get { key } => Some(get(session, core, key, version)),
        Request::MGet { keys } => {
            session.begin(core, |out| reply::array_header(out, keys.count()));
            Some(session.for_each_key(core, keys, |session, core, key| {
                get(session, core, key, version)
            }))
        }
        Request::Set {
            key,
            value,
            condition: Condition::Always,
            get: false,
            expiry: expiry @ (SetExpiry::None | SetExpiry::InMs(_) | SetExpiry::AtMs(_)),
        } => {
            let edit = core.set_of_peers(key, (0, value), || life(expiry, core.now.0))?;
            let key = core.key(key);
            match edit {
                Edit::Unlink => Some(refuse_large(session, core, key)),
                edit => Some(session.change(core, key, edit, Form::Verbatim, &[])),
            }
        }
        Request::Del { keys } => {
            let edit = core.delete_of_peers()?;
            let origin = session.sum_slot(Form::RespSum, keys.count());
            let step = session.for_each_key(core, keys, |session, core, key| {
                let key = core.key(key);
                session.change_part(core, origin, key, edit)
            });
            Some(step)
        }
        Request::MSet { pairs } => mset(session, core, pairs),
        Request::Set { .. }
        | Request::SetNx { .. }
        | Request::GetSet { .. }
        | Request::GetDel { .. }
        | Request::Append { .. }
        | Request::IncrBy { .. }
        | Request::Expire { .. }
        | Request::Persist { .. }
        | Request::String(_)
        | Request::Compound(_) => Some(refuse(session, core, UNCHANGEABLE)),
        Request::Transaction(TransactionRequest::Multi | TransactionRequest::Watch { .. }) => {
            Some(refuse(session, core, NO_TRANSACTIONS))
        }
        _ => None,
    }
}

fn refuse(session: &mut Session, core: &mut Core, text: &str) -> Step {
    session.refuse(core, format!("-ERR {text}\r\n").as_bytes());
    Step::Done
}

/// Refuses a value that is too large for all peers, which forget the one of before.
fn refuse_large(session: &mut Session, core: &mut Core, key: Key<'_>) -> Step {
    if session.unlink_at_peers(core, key) == Some(Step::Hold) {
        return Step::Hold;
    }
    if let Some(line) = resp_error(Outcome::TooLarge) {
        session.refuse(core, line);
    }
    Step::Done
}

fn get(session: &mut Session, core: &mut Core, bytes: &[u8], version: Version) -> Step {
    let key = core.key(bytes);
    if session.must_wait_for(key) {
        return Step::Hold;
    }
    let absence = match core.store.look(key, core.now) {
        Ok(entry) => {
            let counters = core.board.of(core.mesh.shard());
            entry.mark_used(core.now);
            counters.gets.add(1);
            counters.get_hits.add(1);
            show_bulk(session, &core.store, &mut core.buffers, (key.hash, entry));
            let deadline = entry.deadline();
            core.note_end(key, deadline);
            return Step::Done;
        }
        Err(absence) => absence,
    };
    let wanted = over_resp::ReplyWanted::Value(version);
    session.load(core, (key, absence), Form::OverResp(wanted), &[])
}

fn mset(session: &mut Session, core: &mut Core, pairs: Rest<'_>) -> Option<Step> {
    if !core.tells_changes() {
        return None;
    }
    let is_large = |(key, value): (&[u8], &[u8])| !core.store.fits(key.len(), value.len());
    if !session.has_sum() && pairs.pairs().any(is_large) {
        // None is set, as peers would hear of some only.
        if let Some(line) = resp_error(Outcome::TooLarge) {
            session.refuse(core, line);
        }
        return Some(Step::Done);
    }
    let origin = session.sum_slot(Form::RespOk, pairs.count() / 2);
    let step = session.for_each_key(core, pairs.pairs(), |session, core, (key, value)| {
        let key = core.key(key);
        session.change_part(
            core,
            origin,
            key,
            Edit::Set {
                value,
                flags: 0,
                ttl: None,
            },
        )
    });
    Some(step)
}

/// When a value ends, as memcache says it.
fn life(expiry: SetExpiry, now_ms: u64) -> Deadline {
    match expiry {
        SetExpiry::None | SetExpiry::Keep => Deadline::Never,
        SetExpiry::InMs(ms) => Deadline::At(now_ms.saturating_add(ms)),
        SetExpiry::AtMs(at) => Deadline::At(at),
    }
}
