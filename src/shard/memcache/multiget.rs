//! `get` and `gets` of several keys, served by their bytes.
//!
//! What [`plain`](super::super::plain) does for requests about one key each: a line that is spelled as every
//! client library spells it is read in one pass, which asks for the memory that its keys need, and no
//! request is made of it. Nobody waits, nothing is paused, so nothing more is asked for each key. What has
//! more keys, or is spelled otherwise, goes by way of the batch, and so does what is left when the client
//! has to read first.

use arrayvec::ArrayVec;

use super::{
    super::{core::Core, session::Session, several::KEYS_AHEAD_MAX},
    retrieve::Blocks,
};
use crate::{
    protocol::memcache::{self, reply},
    store::Key,
};

/// Serves the reads at the front of `bytes`; how many bytes those took. None are served if anything
/// but the store has to be asked.
#[inline]
pub(super) fn serve(session: &mut Session, core: &mut Core, bytes: &[u8]) -> usize {
    let mut done = 0;
    if !bytes.starts_with(b"get") || core.pool.is_some() || core.is_group() {
        return done;
    }
    while let Some(consumed) = serve_line(session, core, &bytes[done..]) {
        done += consumed;
    }
    done
}

/// Serves the read at the front of `bytes`; where it ends, if it is one and all of it was served.
fn serve_line(session: &mut Session, core: &mut Core, bytes: &[u8]) -> Option<usize> {
    if !session.may_read(core) || session.has_done_keys() {
        return None;
    }
    let mut keys = ArrayVec::<Key<'_>, KEYS_AHEAD_MAX>::new();
    let line = memcache::plain_keys(bytes, |key| keys.try_push(core.look_ahead(key)).is_ok())?;
    let done = session.show_keys(core, &keys, &Blocks { cas: line.cas });
    if done < keys.len() {
        let place = keys[..done].iter().map(|key| key.bytes.len() + 1).sum();
        session.hold_at_key(done, place);
        return None;
    }
    session.reply(core, reply::END);
    Some(line.consumed)
}
