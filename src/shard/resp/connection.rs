//! Requests about the connection itself.

use super::tracking;
use super::{
    super::{
        core::Core,
        session::{Session, Step},
        settings::REDIS_VERSION,
    },
    transaction,
};
use crate::protocol::resp::{ConnectionRequest, Version, reply};

/// Requests about the connection itself.
pub(super) fn connection(
    session: &mut Session,
    core: &mut Core,
    request: &ConnectionRequest<'_>,
    version: Version,
) -> Step {
    match *request {
        ConnectionRequest::Ping { message: None } => session.reply(core, reply::PONG),
        ConnectionRequest::Ping {
            message: Some(message),
        }
        | ConnectionRequest::Echo { message } => {
            reply::bulk(session.ready(&mut core.buffers), message);
        }
        ConnectionRequest::Hello {
            version: wanted,
            setname,
            auth,
        } => {
            hello(
                session,
                core,
                wanted.unwrap_or(version),
                setname,
                auth.is_some(),
            );
        }
        ConnectionRequest::ClientSetName { name } => {
            set_name(session, name);
            session.reply(core, reply::OK);
        }
        ConnectionRequest::ClientGetName => {
            let name = session
                .resp_client()
                .map(|client| client.name.clone())
                .unwrap_or_default();
            let out = session.ready(&mut core.buffers);
            if name.is_empty() {
                reply::null(out, version)
            } else {
                reply::bulk(out, &name)
            }
        }
        ConnectionRequest::ClientSetInfo { .. } => session.reply(core, reply::OK),
        ConnectionRequest::ClientId => {
            let id = session.resp_client().map_or(0, |client| client.id);
            reply::integer(session.ready(&mut core.buffers), id as i64);
        }
        ConnectionRequest::Select { index: 0 } => session.reply(core, reply::OK),
        ConnectionRequest::Select { .. } => session.reply(core, reply::DB_INDEX),
        ConnectionRequest::Reset => {
            tracking::turn_off(session, core);
            transaction::discard(session);
            if let Some(client) = session.resp_client() {
                client.version = Version::Resp2;
                client.name.clear();
                client.is_subscribed = false;
            }
            session.reply(core, reply::RESET);
        }
        ConnectionRequest::Quit => {
            session.reply(core, reply::OK);
            return Step::Close;
        }
    }
    Step::Done
}

fn hello(
    session: &mut Session,
    core: &mut Core,
    version: Version,
    setname: Option<&[u8]>,
    has_auth: bool,
) {
    if has_auth {
        // There are no users here yet, so none has this password.
        return session.reply(core, reply::WRONG_PASS);
    }
    if let Some(name) = setname {
        set_name(session, name);
    }
    let Some(client) = session.resp_client() else {
        return;
    };
    client.version = version;
    let id = client.id;
    core.tracking.set_version(session.token(), version);
    let out = session.ready(&mut core.buffers);
    reply::map_header(out, 7, version);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply::bulk(out, name.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
    reply::bulk(out, b"proto");
    reply::integer(out, if version == Version::Resp3 { 3 } else { 2 });
    reply::bulk(out, b"id");
    reply::integer(out, id as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply::bulk(out, name.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
    reply::bulk(out, b"modules");
    reply::array_header(out, 0);
}

fn set_name(session: &mut Session, name: &[u8]) {
    if let Some(client) = session.resp_client() {
        client.name.clear();
        client.name.extend_from_slice(name);
    }
}
