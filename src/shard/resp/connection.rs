//! Requests about the connection itself.

use super::client::client;
use super::tracking;
use super::{
    super::{
        core::Core,
        pool::feeds,
        session::{Session, Step},
        settings::REDIS_VERSION,
    },
    transaction,
};
use crate::protocol::resp::{ConnectionRequest, DEFAULT_USER, HelloOption, Rest, Version, reply};

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
            options,
        } => hello(session, core, wanted.unwrap_or(version), options),
        ConnectionRequest::Auth { username, .. } => match username {
            None => session.refuse(core, reply::NO_PASSWORD),
            Some(username) if is_user(username) => session.reply(core, reply::OK),
            Some(_) => session.refuse(core, reply::WRONG_PASS),
        },
        ConnectionRequest::Select { index: 0 } => session.reply(core, reply::OK),
        ConnectionRequest::Select { .. } => session.refuse(core, reply::DB_INDEX),
        ConnectionRequest::Reset => {
            tracking::turn_off(session, core);
            transaction::discard(session, core);
            if let Some(client) = session.resp_client() {
                client.reset();
                client.is_subscribed = false;
            }
            feeds::forget(session, core);
            session.reply(core, reply::RESET);
        }
        ConnectionRequest::Quit => {
            session.reply(core, reply::OK);
            return Step::Close;
        }
        ConnectionRequest::Client(ref request) => {
            return client(session, core, request, version);
        }
    }
    Step::Done
}

/// Whether there is such a user. The one there is has no password, so any is right, as in Redis.
fn is_user(username: &[u8]) -> bool {
    username == DEFAULT_USER.as_bytes()
}

/// The options are obeyed up to the first that is wrong, then the version is changed.
fn hello(session: &mut Session, core: &mut Core, version: Version, options: Rest<'_>) {
    for option in HelloOption::read_all(options) {
        match option {
            Ok(HelloOption::Auth { username, .. }) => {
                if !is_user(username) {
                    return session.refuse(core, reply::WRONG_PASS);
                }
            }
            Ok(HelloOption::SetName { name }) => {
                if let Some(client) = session.resp_client() {
                    client.set_name(name);
                }
            }
            Err(error) => {
                let mut line = core.buffers.take();
                error.encode(&mut line);
                session.refuse(core, &line);
                return core.buffers.put(line);
            }
        }
    }
    let Some(client) = session.resp_client() else {
        return;
    };
    client.version = version;
    core.tracking.set_version(session.token(), version);
    let id = session.id;
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
