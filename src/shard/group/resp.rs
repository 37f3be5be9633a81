//! RESP clients of a group.
//!
//! GET and MGET load what is not here. What else reads tells of what is here; SET, MSET and DEL are
//! as ever; what would change a value that is there, or compare it, is refused, and so is what makes
//! one of several.

use super::UNCHANGEABLE;
use crate::{
    protocol::resp::{Condition, Request, SetExpiry, TransactionRequest, Version, reply},
    shard::{
        core::Core,
        form::Form,
        pool::over_resp,
        session::{Session, Step},
    },
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
            condition: Condition::Always,
            get: false,
            expiry: SetExpiry::None | SetExpiry::InMs(_) | SetExpiry::AtMs(_),
            ..
        } => None,
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
            reply::bulk(session.replies.ready(&mut core.buffers), entry.value());
            let deadline = entry.deadline();
            core.note_end(key, deadline);
            return Step::Done;
        }
        Err(absence) => absence,
    };
    let wanted = over_resp::Wanted::Value(version);
    session.load(core, (key, absence), Form::OverResp(wanted), &[])
}
