//! Binary memcache clients of a group.

use super::{NO_FLAGS, UNCHANGEABLE, changes::Edit};
use crate::{
    protocol::{
        binary::{Command, KeyCommand, Request, Status, reply},
        memcache::{Exptime, StoreVerb},
    },
    shard::{
        core::Core,
        form::Form,
        pool::{
            binary::{Packet, packet},
            over_resp,
        },
        session::{Session, Step},
    },
};

/// Executes what is another thing in a group than in a store of one's own.
pub(in crate::shard) fn execute(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
) -> Option<Step> {
    let Command::OfKey(command) = request.command else {
        return None;
    };
    let packet = packet(request, &command);
    let text = match command {
        KeyCommand::Get { key, .. } => return get(session, core, packet, key),
        KeyCommand::Store {
            verb: StoreVerb::Set,
            flags,
            cas: 0,
            ..
        } if flags != 0 && !core.keeps_group_flags() => NO_FLAGS,
        KeyCommand::Store {
            verb: StoreVerb::Set,
            key,
            flags,
            exptime,
            value,
            cas: 0,
        } => return set(session, core, packet, key, (flags, value), exptime),
        KeyCommand::Delete { key, cas: 0 } => return delete(session, core, packet, key),
        KeyCommand::Store { .. }
        | KeyCommand::Delete { .. }
        | KeyCommand::Count { .. }
        | KeyCommand::Touch { .. }
        | KeyCommand::GetAndTouch { .. } => UNCHANGEABLE,
    };
    let out = session.ready(&mut core.buffers);
    reply::refusal(out, request.echo, Status::NotSupported, text.as_bytes());
    Some(Step::Done)
}

/// Has a key loaded that is not here.
fn get(session: &mut Session, core: &mut Core, packet: Packet, key: &[u8]) -> Option<Step> {
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
    let form = Form::OverRespPacket(packet, over_resp::Asked::Value);
    Some(session.load(core, (key, absence), form, key.bytes))
}

/// A set that other peers have to hear of.
fn set(
    session: &mut Session,
    core: &mut Core,
    packet: Packet,
    key: &[u8],
    (flags, value): (u32, &[u8]),
    exptime: Exptime,
) -> Option<Step> {
    let end = || exptime.deadline_ms(core.now.0);
    let edit = core.set_of_peers(key, (flags, value), end)?;
    let key = core.key(key);
    if let Edit::Unlink = edit {
        if session.unlink(core, key) == Step::Hold {
            return Some(Step::Hold);
        }
        let out = session.ready(&mut core.buffers);
        reply::error(out, packet.echo(), Status::TooLarge);
        return Some(Step::Done);
    }
    let asked = over_resp::Asked::Stored {
        wanted: over_resp::ReplyWanted::Set,
        cas: over_resp::cas_of(flags, value),
        value_bytes: value.len(),
    };
    let form = Form::OverRespPacket(packet, asked);
    Some(session.change(core, key, edit, form, key.bytes))
}

/// A delete that other peers have to hear of.
fn delete(session: &mut Session, core: &mut Core, packet: Packet, key: &[u8]) -> Option<Step> {
    let edit = core.delete_of_peers()?;
    let asked = over_resp::Asked::Deleted(over_resp::ReplyWanted::Delete);
    let form = Form::OverRespPacket(packet, asked);
    let key = core.key(key);
    Some(session.change(core, key, edit, form, key.bytes))
}
