//! Binary memcache clients over Redis servers: each request is one step, as a meta command is.

use super::{
    FLUSH_DELAYED,
    call::Call,
    flush_all,
    lifetime::{Lifetime, lifetime},
};
use crate::shard::{
    core::Core,
    form::Form,
    message::Errand,
    pool::binary::{Packet, refuse},
    session::{Session, Step},
};
use crate::{
    backend::Expects,
    protocol::{
        binary::{KeyCommand, Request, Status},
        memcache::{Deadline, Exptime, StoreVerb},
    },
    store::Key,
};

/// Has a request about one key done by the key's server.
pub(in crate::shard) fn execute_binary(
    session: &mut Session,
    core: &mut Core,
    command: &KeyCommand<'_>,
    key: Key<'_>,
    packet: Packet,
) -> Step {
    let call = call(command, core);
    let errand = match call {
        Call::Look { touch: None, .. } => Errand::Read(Expects::Line),
        _ => Errand::Write(Expects::Line),
    };
    let mut wire = core.buffers.take();
    let asked = call.encode(&mut wire, core, key);
    let form = Form::OverRespPacket(packet, asked);
    let step = session.run_errand_keeping(core, key, errand, &wire, form, key.bytes);
    core.buffers.put(wire);
    step
}

/// flush, flushq.
pub(in crate::shard) fn flush_binary(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    delay: Exptime,
) -> Step {
    let echo = request.echo;
    if let Deadline::At(_) = delay.deadline_ms(core.now.0) {
        let text = FLUSH_DELAYED.trim_ascii_end();
        let text = text.strip_prefix(b"SERVER_ERROR ").unwrap_or(text);
        return refuse(session, core, echo, Status::NotSupported, text);
    }
    let form = Form::BinaryDone {
        echo,
        is_quiet: request.is_quiet,
    };
    flush_all(session, core, delay, form)
}

fn call<'b>(command: &KeyCommand<'b>, core: &Core) -> Call<'b> {
    let given = |cas: u64| (cas != 0).then_some(cas);
    match *command {
        KeyCommand::Get { .. } => Call::Look {
            touch: None,
            tells_end: false,
            promises: None,
        },
        KeyCommand::GetAndTouch { exptime, .. } | KeyCommand::Touch { exptime, .. } => Call::Look {
            touch: Some(lifetime(exptime, core)),
            tells_end: false,
            promises: None,
        },
        KeyCommand::Store {
            verb: verb @ (StoreVerb::Append | StoreVerb::Prepend),
            value,
            cas,
            ..
        } => Call::Join {
            verb,
            value,
            compared: given(cas),
            creates: None,
        },
        KeyCommand::Store {
            verb,
            flags,
            exptime,
            value,
            cas,
            ..
        } => Call::Store {
            verb: given(cas).map_or(verb, StoreVerb::Cas),
            flags,
            value,
            lifetime: lifetime(exptime, core),
        },
        KeyCommand::Delete { cas, .. } => Call::Delete {
            compared: given(cas),
        },
        KeyCommand::Count {
            direction,
            delta,
            initial,
            cas,
            ..
        } => Call::Count {
            direction,
            delta,
            compared: given(cas),
            touch: None,
            creates: initial.map(|(initial, exptime)| -> (u64, Lifetime) {
                (initial, lifetime(exptime, core))
            }),
        },
    }
}
