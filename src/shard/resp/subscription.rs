//! SUBSCRIBE and UNSUBSCRIBE: the one channel there is tells a RESP2 client what others who
//! redirect to it are to be told.

use super::{
    super::{
        core::Core,
        session::{Session, Step},
    },
    tracking::answer,
};
use crate::protocol::resp::{INVALIDATION_CHANNEL, Rest, Version, reply};

/// A channel that is not there.
const NO_SUCH_CHANNEL: &str =
    "ERR there is no publishing here: the only channel is __redis__:invalidate";

/// SUBSCRIBE.
pub(super) fn subscribe(
    session: &mut Session,
    core: &mut Core,
    channels: Rest<'_>,
    version: Version,
) -> Step {
    if channels
        .into_iter()
        .any(|channel| channel != INVALIDATION_CHANNEL)
    {
        answer(session, core, Err(NO_SUCH_CHANNEL));
        return Step::Done;
    }
    if let Some(client) = session.resp_client() {
        client.is_subscribed = true;
    }
    let out = session.ready(&mut core.buffers);
    for channel in channels {
        subscription(out, b"subscribe", Some(channel), 1, version);
    }
    Step::Done
}

/// UNSUBSCRIBE.
pub(super) fn unsubscribe(
    session: &mut Session,
    core: &mut Core,
    channels: Rest<'_>,
    version: Version,
) {
    let Some(client) = session.resp_client() else {
        return;
    };
    let mut is_subscribed = client.is_subscribed;
    let all = is_subscribed.then_some(INVALIDATION_CHANNEL);
    let is_all = channels.count() == 0;
    client.is_subscribed &= !is_all
        && !channels
            .into_iter()
            .any(|channel| channel == INVALIDATION_CHANNEL);
    let out = session.ready(&mut core.buffers);
    if is_all {
        subscription(out, b"unsubscribe", all, 0, version);
    }
    for channel in channels {
        is_subscribed &= channel != INVALIDATION_CHANNEL;
        let count = i64::from(is_subscribed);
        subscription(out, b"unsubscribe", Some(channel), count, version);
    }
}

/// Appends what confirms that a client listens, or does no more.
pub(in crate::shard) fn subscription(
    out: &mut Vec<u8>,
    what: &[u8],
    channel: Option<&[u8]>,
    count: i64,
    version: Version,
) {
    match version {
        Version::Resp2 => reply::array_header(out, 3),
        Version::Resp3 => reply::push_header(out, 3),
    }
    reply::bulk(out, what);
    match channel {
        Some(channel) => reply::bulk(out, channel),
        None => reply::null(out, version),
    }
    reply::integer(out, count);
}
