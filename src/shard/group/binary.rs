//! Binary memcache clients of a group.

use super::{NO_FLAGS, UNCHANGEABLE, changes::Edit};
use crate::{
    protocol::{
        binary::{Command, Request, Status, reply},
        memcache::StoreVerb,
    },
    shard::{
        core::Core,
        form::Form,
        pool::{binary::packet, over_resp},
        session::{Session, Step},
    },
};

/// Executes what is another thing in a group than in a store of one's own.
pub(in crate::shard) fn execute(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
) -> Option<Step> {
    let text = match request.command {
        Command::Get { key, .. } => return get(session, core, request, key),
        Command::Store {
            verb: StoreVerb::Set,
            flags,
            cas: 0,
            ..
        } if flags != 0 && !core.keeps_group_flags() => NO_FLAGS,
        Command::Store {
            verb: StoreVerb::Set,
            cas: 0,
            ..
        }
        | Command::Delete { cas: 0, .. } => return change(session, core, request),
        Command::Store { .. }
        | Command::Delete { .. }
        | Command::Count { .. }
        | Command::Touch { .. }
        | Command::GetAndTouch { .. } => UNCHANGEABLE,
        _ => return None,
    };
    let out = session.ready(&mut core.buffers);
    reply::refusal(out, request.echo, Status::NotSupported, text.as_bytes());
    Some(Step::Done)
}

/// Has a key loaded that is not here.
fn get(session: &mut Session, core: &mut Core, request: &Request<'_>, key: &[u8]) -> Option<Step> {
    let key = core.key(key);
    if session.must_wait_for(key) {
        return Some(Step::Hold);
    }
    let absence = match core.store.look(key, core.now) {
        Ok(entry) => {
            let deadline = entry.deadline();
            core.note_end(key, deadline);
            return None;
        }
        Err(absence) => absence,
    };
    let form = Form::OverRespPacket(packet(request), over_resp::Asked::Value);
    Some(session.load(core, (key, absence), form, key.bytes))
}

/// A set or delete that other peers have to hear of.
fn change(session: &mut Session, core: &mut Core, request: &Request<'_>) -> Option<Step> {
    let (key, edit, asked) = match request.command {
        Command::Store {
            key,
            flags,
            exptime,
            value,
            ..
        } => {
            let end = || exptime.deadline_ms(core.now.0);
            let set = core.set_of_peers(key, (flags, value), end)?;
            if let Edit::Unlink = set {
                let key = core.key(key);
                if session.unlink(core, key) == Step::Hold {
                    return Some(Step::Hold);
                }
                let out = session.ready(&mut core.buffers);
                reply::error(out, request.echo, Status::TooLarge);
                return Some(Step::Done);
            }
            let asked = over_resp::Asked::Stored {
                wanted: over_resp::Wanted::Set,
                cas: over_resp::cas_of(flags, value),
                value_bytes: value.len(),
            };
            (key, set, asked)
        }
        Command::Delete { key, .. } => {
            let asked = over_resp::Asked::Deleted(over_resp::Wanted::Delete);
            (key, core.delete_of_peers()?, asked)
        }
        _ => return None,
    };
    let form = Form::OverRespPacket(packet(request), asked);
    let key = core.key(key);
    Some(session.change(core, key, edit, form, key.bytes))
}
