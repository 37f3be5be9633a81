//! A large value that comes in where it will lie.
//!
//! What is missing of a large request is received straight behind what is there of it, into a buffer, and its value then
//! copied into the store: two passes over memory that is in no cache. The value of a plain write whose key lives on this
//! shard goes to its place in the store at once ([`Vacancy`]): its head stays with the connection, and when all has come
//! the write is served as plain ones are. Whenever that needs a closer look (a bad end of the block, a pause, a
//! transaction that has the world, no memory just now), the request is put together as if it had come in a buffer, and
//! served from there.
//!
//! A place is given only to a client that has sent as much before or will soon have, as with buffers, and it is the
//! store's memory: what a client announces and does not send keeps a segment from being used again, and only a share of
//! the segments may be kept so (see `pins`).

use bytes::BytesMut;

use super::{
    buffers::{Announced, BufferPool},
    core::Core,
    plain::{self, PlainHead, PlainRequests, ServedCounts},
    session::Session,
    settings::{OUTPUT_BYTES_MAX, PIPELINE_DEPTH_MAX},
};
use crate::store::Vacancy;

/// What stands behind a value.
const END: &[u8] = b"\r\n";

/// A write whose value comes in where it will lie. What stands before the value is the connection's input.
#[derive(Debug)]
pub(super) struct Claim {
    /// None while the I/O has it.
    value: Option<Vacancy>,
    head_bytes: usize,
}

impl Claim {
    /// Takes what has come of the value of the request at the front of `input` out of it, and to its place, if there
    /// is one.
    pub(super) fn new(
        session: &mut Session,
        core: &mut Core,
        input: &mut BytesMut,
    ) -> Option<Self> {
        let (mut value, head_bytes) = session.claim(core, input)?;
        let come = value.append(&input[head_bytes..]);
        debug_assert_eq!(head_bytes + come, input.len(), "the request is not whole");
        input.truncate(head_bytes);
        core.buffers.shrink_input(input, 0);
        Some(Self {
            value: Some(value),
            head_bytes,
        })
    }

    /// Whether something of the value is still to be received, into its place.
    pub(super) fn is_open(&self) -> bool {
        let value = self.value.as_ref();
        value.is_none_or(|value| value.missing_bytes() > 0)
    }

    /// Gives its place away, to be filled.
    pub(super) fn take_value(&mut self) -> Option<Vacancy> {
        self.value.take()
    }

    /// Takes it back.
    pub(super) fn put_value(&mut self, value: Vacancy) {
        self.value = Some(value);
    }

    /// Bytes of the request that have come, as far as they are not in the connection's input.
    pub(super) fn come_bytes(&self) -> usize {
        self.value.as_ref().map_or(0, Vacancy::come_bytes)
    }

    /// Bytes that the input has once the request is whole.
    pub(super) fn want(&self) -> usize {
        let tail_bytes = self.value.as_ref().map_or(0, Vacancy::tail_bytes);
        self.head_bytes + END.len() - tail_bytes
    }

    /// Serves the write, of which the input has all that is not in its place; how much of the input that was. If it
    /// needs a closer look, the input gets all of the request.
    pub(super) fn serve(
        self,
        session: &mut Session,
        core: &mut Core,
        input: &mut BytesMut,
    ) -> usize {
        let want = self.want();
        let Some(value) = self.value else {
            return 0;
        };
        let (head, rest) = input.split_at(self.head_bytes);
        let (_, tail) = value.parts();
        let is_ended = END
            .strip_prefix(tail)
            .is_some_and(|end| rest.starts_with(end));
        let served = if is_ended {
            session.serve_claimed(core, head, value)
        } else {
            Err(value)
        };
        match served {
            Ok(()) => want,
            Err(value) => {
                let whole = put_together(&mut core.buffers, (head, rest), &value);
                core.buffers.put_input(std::mem::replace(input, whole));
                0
            }
        }
    }
}

/// A request as if it had come in a buffer.
fn put_together(
    buffers: &mut BufferPool,
    (head, rest): (&[u8], &[u8]),
    value: &Vacancy,
) -> BytesMut {
    let (value, tail) = value.parts();
    let parts = [head, value, tail, rest];
    let want = parts.iter().map(|part| part.len()).sum();
    let announced = Announced { want, proven: want };
    let mut whole = buffers.take_input(head.len(), want);
    for part in parts {
        buffers.append_input(&mut whole, part, announced);
    }
    whole
}

/// Where the value of the plain write at the front of `bytes` will lie, and where in them it begins.
pub(super) fn reserve<P: PlainRequests>(
    session: &mut Session,
    core: &mut Core,
    bytes: &[u8],
) -> Option<(Vacancy, usize)> {
    P::restart(session);
    P::voice(session)?;
    if !core.is_embedded() {
        return None;
    }
    let PlainHead {
        key,
        write,
        start,
        value_bytes,
    } = P::find_head(bytes, core.now)?;
    let key = core.key(key);
    let is_due = bytes.len() < start + value_bytes;
    if !is_due || !core.store.owns(key.hash) {
        return None;
    }
    let room = (value_bytes, END.len());
    let value = core.store.reserve(core.now, key, write.flags, room)?;
    Some((value, start))
}

/// Serves the plain write of this head whose value has come there, if nothing but the store has to be asked.
pub(super) fn serve<P: PlainRequests>(
    session: &mut Session,
    core: &mut Core,
    head: &[u8],
    value: Vacancy,
) -> Result<(), Vacancy> {
    let has_room = session.replies.pending_count() < PIPELINE_DEPTH_MAX
        && session.replies.bytes() < OUTPUT_BYTES_MAX;
    let may_serve = has_room
        && plain::may_serve(session, core)
        && core.is_embedded()
        && P::allowed(core, 1) == 1
        && !core.must_wait();
    let (Some(voice), Some(head), true) =
        (P::voice(session), P::find_head(head, core.now), may_serve)
    else {
        return Err(value);
    };
    let key = core.key(head.key);
    P::note_write(session);
    let applied = core.apply_filled(key, head.write.operation(), value);
    session.answer(core, applied, P::written(voice));
    core.counters().sets.add(1);
    let served = ServedCounts {
        writes: 1,
        ..ServedCounts::default()
    };
    P::note_served(session, core, served);
    Ok(())
}
