//! What the server says of itself. Nothing here is about a key.

use super::super::{
    core::Core,
    session::{Session, Step},
    settings::REDIS_VERSION,
};
use super::{config::config, info::info, latency::latency, memory::memory, slow_log::slow_log};
use crate::protocol::resp::{AclRequest, DEFAULT_USER, ServerRequest, Version, reply};

/// Answers RESP requests that are about the server or the connection.
pub(super) fn server(
    session: &mut Session,
    core: &mut Core,
    request: &ServerRequest<'_>,
    version: Version,
) -> Step {
    match *request {
        ServerRequest::Info { sections } => info(session, core, sections, version),
        ServerRequest::Time => {
            let us = core.unix_us();
            let out = session.ready(&mut core.buffers);
            reply::array_header(out, 2);
            for part in [us / 1_000_000, us % 1_000_000] {
                reply::bulk(out, itoa::Buffer::new().format(part).as_bytes());
            }
        }
        ServerRequest::Config(ref request) => return config(session, core, request, version),
        ServerRequest::Latency(ref request) => return latency(session, core, request, version),
        ServerRequest::Memory(ref request) => memory(session, core, request, version),
        ServerRequest::SlowLog(ref request) => return slow_log(session, core, request, version),
        _ => constant(session, core, request, version),
    }
    Step::Done
}

/// What is always the same: there are no replicas, no files, no modules, and one user.
fn constant(session: &mut Session, core: &mut Core, request: &ServerRequest<'_>, version: Version) {
    match *request {
        ServerRequest::Role => {
            let out = session.ready(&mut core.buffers);
            reply::array_header(out, 3);
            reply::bulk(out, b"master");
            reply::integer(out, 0);
            reply::array_header(out, 0);
        }
        // Nothing was saved since, nor ever will be.
        ServerRequest::LastSave => {
            let seconds = core.settings.started.seconds();
            reply::integer(session.ready(&mut core.buffers), seconds as i64);
        }
        ServerRequest::Wait => session.reply(core, reply::ZERO),
        ServerRequest::Lolwut => {
            let text = format!("Redis ver. {REDIS_VERSION}\n");
            reply::verbatim(session.ready(&mut core.buffers), text.as_bytes(), version);
        }
        ServerRequest::ModuleList => session.reply(core, b"*0\r\n"),
        ServerRequest::Acl(request) => acl(session.ready(&mut core.buffers), request),
        _ => {}
    }
}

/// There is one user, who needs no password and may do everything.
fn acl(out: &mut Vec<u8>, request: AclRequest) {
    match request {
        AclRequest::WhoAmI => reply::bulk(out, DEFAULT_USER.as_bytes()),
        AclRequest::List => {
            reply::array_header(out, 1);
            let rules = format!("user {DEFAULT_USER} on nopass ~* &* +@all");
            reply::bulk(out, rules.as_bytes());
        }
        AclRequest::Users => {
            reply::array_header(out, 1);
            reply::bulk(out, DEFAULT_USER.as_bytes());
        }
    }
}
