//! A client's connection: received bytes in, replies out, and when it waits or ends.

use bytes::{Buf, BytesMut};

use super::{
    buffers::{Announced, BufferPool},
    claim::Claim,
    core::Core,
    intake::{Act, Aim, Intake, Receiving, STRAIGHT_BYTES_MIN},
    session::{FrontEnd, Session, Stop},
    settings::{
        HOP_WAIT_BYTES_MAX, HOP_WAIT_MS_MAX, INPUT_BYTES_HELD_MAX, PUSH_BYTES_MAX,
        REQUEST_BYTES_MAX, SEND_STALL_MS_MAX,
    },
};
use crate::{
    io::{Outgoing, Room, Token},
    store::UnixMs,
};

/// A client's connection.
///
/// Invariant: `input` holds what was received and not served, and starts with a whole request
/// only if the connection is held. While the rest of a request is received, the I/O has it. If the
/// request has a `claim`, `input` holds what stands before the value, and then what comes behind it.
#[derive(Debug)]
pub(super) struct Downstream {
    pub(super) session: Session,
    input: BytesMut,
    /// Bytes of `input` before which parsing is pointless.
    want: usize,
    claim: Option<Claim>,
    pub(super) intake: Intake,
    is_held: bool,
    /// It asked to go, broke the protocol, or sends nothing more.
    is_ending: bool,
    /// It is ending as its request is too long.
    is_too_long: bool,
    /// Since when a send is in flight.
    sending_since: Option<UnixMs>,
    /// Since when it is there and said something last, in seconds since the start.
    accepted_seconds: u32,
    active_seconds: u32,
    /// Since when what is ready waits for what other shards have to answer.
    ready_since: Option<UnixMs>,
    /// It stands in the shard's list of connections to flush.
    pub(super) is_listed_dirty: bool,
    /// It stands in the shard's list of connections to try again.
    pub(super) is_listed_held: bool,
}

impl Downstream {
    /// A connection that came in at `now`, in seconds since the start.
    pub(super) fn new(token: Token, id: u64, front_end: FrontEnd, now: u32) -> Self {
        Self {
            session: Session::new(token, id, front_end),
            input: BytesMut::new(),
            want: 1,
            claim: None,
            intake: Intake::new(),
            is_held: false,
            is_ending: false,
            is_too_long: false,
            sending_since: None,
            accepted_seconds: now,
            active_seconds: now,
            ready_since: None,
            is_listed_dirty: false,
            is_listed_held: false,
        }
    }

    /// Takes received bytes and serves what is whole.
    pub(super) fn received(&mut self, core: &mut Core, bytes: &[u8]) {
        let counters = core.counters();
        counters.reads.add(1);
        counters.bytes_read.add(bytes.len() as u64);
        self.active_seconds = core.seconds_since_start();
        self.intake.received();
        if self.is_ending {
            return;
        }
        if self.input.is_empty() && !self.is_held {
            let consumed = self.serve(core, bytes);
            if consumed < bytes.len() {
                let rest = &bytes[consumed..];
                self.input = core.buffers.take_input(rest.len(), self.want);
                let announced = self.announced(rest);
                core.buffers.append_input(&mut self.input, rest, announced);
            }
            return;
        }
        let announced = self.announced(bytes);
        core.buffers.append_input(&mut self.input, bytes, announced);
        self.serve_if_whole(core);
    }

    /// Takes back what so many bytes of the rest of a request have come to.
    pub(super) fn filled(&mut self, core: &mut Core, room: Room, count: usize) {
        if count > 0 {
            let counters = core.counters();
            counters.reads.add(1);
            counters.bytes_read.add(count as u64);
            self.active_seconds = core.seconds_since_start();
        }
        let len = self.put_room(core, room);
        self.intake.filled(count, (len, self.want));
        if let Some(pass) = self.intake.pass.take() {
            core.admission.leave(core.now, pass);
        }
        match &self.claim {
            _ if self.is_ending => {}
            Some(claim) if claim.is_open() => {}
            Some(claim) => {
                self.want = claim.want();
                self.serve_if_whole(core);
            }
            None => self.serve_if_whole(core),
        }
    }

    /// Takes back what was received into; how much there now is of the request.
    fn put_room(&mut self, core: &mut Core, room: Room) -> usize {
        match (room, &mut self.claim) {
            (Room::Input(input), _) if self.is_ending => {
                let len = input.len();
                core.buffers.put_input(input);
                len
            }
            (Room::Input(input), _) => {
                self.input = input;
                self.input.len()
            }
            (Room::Vacancy(value), Some(claim)) => {
                claim.put_value(value);
                if claim.is_open() {
                    self.input.len() + claim.come_bytes()
                } else {
                    self.want
                }
            }
            // It was given up meanwhile.
            (Room::Vacancy(_), None) => 0,
        }
    }

    fn serve_if_whole(&mut self, core: &mut Core) {
        if !self.is_held && self.input.len() >= self.want {
            self.serve_input(core);
        }
        if !self.is_held && self.input.len() > REQUEST_BYTES_MAX {
            self.input = BytesMut::new();
            self.is_ending = true;
            self.is_too_long = true;
        }
    }

    /// Which limit it broke, if it is closed for that, and how many bytes that is.
    pub(super) fn broken_limit(&self) -> Option<(&'static str, usize)> {
        if self.is_too_long {
            Some(("its request is too long", REQUEST_BYTES_MAX))
        } else if self.session.is_overrun() {
            Some(("it does not read what it is told of", PUSH_BYTES_MAX))
        } else {
            None
        }
    }

    /// What is known of the request that is coming in, of which these bytes have come. Where its rest will
    /// be received straight behind them, room for that is made then.
    fn announced(&self, bytes: &[u8]) -> Announced {
        let len = self.input.len() + bytes.len();
        let is_large = self.want >= len + STRAIGHT_BYTES_MIN;
        Announced {
            want: if is_large { len } else { self.want },
            proven: 0,
        }
    }

    /// What to do so that what it needs is received.
    #[inline]
    pub(super) fn next_receive(&mut self) -> Act {
        if self.is_ending {
            return Act::Wait;
        }
        let is_large = match &self.claim {
            Some(claim) => claim.is_open(),
            None => !self.is_held && self.want >= self.input.len() + STRAIGHT_BYTES_MIN,
        };
        let wanted = if self.wants_no_more() {
            Aim::Nothing
        } else if is_large {
            Aim::Rest
        } else {
            Aim::Next
        };
        self.intake.next(wanted)
    }

    /// Whether it waits for its turn to have the rest of a request received.
    pub(super) fn is_waiting(&self) -> bool {
        self.intake.receiving == Receiving::Waiting && !self.is_ending
    }

    /// Bytes of the large buffer that its request needs, if it does.
    pub(super) fn large_bytes(&self) -> Option<usize> {
        BufferPool::large_bytes(self.want.min(REQUEST_BYTES_MAX + 1))
    }

    /// Gives the place away where the value of its request will lie, to receive what is missing of it; how much that
    /// is. None if there is no such place.
    pub(super) fn start_claimed(&mut self, core: &mut Core) -> Option<(Room, usize)> {
        if self.claim.is_none() && self.may_claim() {
            self.claim = Claim::new(&mut self.session, core, &mut self.input);
        }
        let value = self.claim.as_mut()?.take_value()?;
        self.intake.started = (self.input.len() + value.come_bytes(), 0);
        let count = value.missing_bytes();
        Some((Room::Vacancy(value), count))
    }

    /// Whether it would get a buffer for all that is missing, too.
    fn may_claim(&self) -> bool {
        self.want <= BufferPool::room_max(self.input.len(), self.intake.proven_bytes())
    }

    /// Gives its input away, with room for what is missing or the first part of that; how much.
    pub(super) fn start_filling(&mut self, buffers: &mut BufferPool) -> (BytesMut, usize) {
        let mut input = core::mem::take(&mut self.input);
        let want = self.want.min(REQUEST_BYTES_MAX + 1);
        let proven = self.intake.proven_bytes();
        buffers.make_room_for_rest(&mut input, Announced { want, proven });
        let room = input.capacity() - input.len();
        self.intake.started = (input.len(), room);
        let count = room.min(want - input.len());
        (input, count)
    }

    /// Tries again what was held back.
    pub(super) fn retry(&mut self, core: &mut Core) {
        if self.is_held && self.session.is_free(core) && !self.session.is_full() {
            self.is_held = false;
            self.serve_input(core);
        }
    }

    /// Nothing more is served, whatever has come in.
    pub(super) fn hang_up(&mut self) {
        self.is_ending = true;
        self.is_held = false;
        self.claim = None;
        self.input = BytesMut::new();
    }

    /// Nothing more comes in. What came is still served.
    pub(super) fn ended(&mut self) {
        self.is_ending = true;
    }

    fn serve_input(&mut self, core: &mut Core) {
        let mut input = core::mem::take(&mut self.input);
        if let Some(claim) = self.claim.take() {
            let consumed = claim.serve(&mut self.session, core, &mut input);
            input.advance(consumed);
        }
        let consumed = self.serve(core, &input);
        input.advance(consumed);
        if input.is_empty() {
            core.buffers.put_input(input);
        } else {
            core.buffers.shrink_input(&mut input, consumed);
            self.input = input;
        }
    }

    /// Frees what is left, for a connection that goes.
    pub(super) fn recycle(&mut self, buffers: &mut BufferPool) {
        self.session.replies.recycle(buffers);
        if self.input.capacity() > 0 {
            buffers.put_input(core::mem::take(&mut self.input));
        }
    }

    fn serve(&mut self, core: &mut Core, bytes: &[u8]) -> usize {
        let served = self.session.serve(core, bytes);
        match served.stop {
            Stop::Starved { want } => self.want = want,
            Stop::Held => self.is_held = true,
            Stop::Closing => {
                self.is_ending = true;
                return bytes.len();
            }
        }
        served.consumed
    }

    /// Whether it is closed once its replies are out.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// Seconds since it came in.
    pub(super) fn age_seconds(&self, now: u32) -> u32 {
        now.saturating_sub(self.accepted_seconds)
    }

    /// Seconds since something of it came in.
    pub(super) fn idle_seconds(&self, now: u32) -> u32 {
        now.saturating_sub(self.active_seconds)
    }

    /// Bytes received and not served, and room for more of them.
    pub(super) fn input_bytes(&self) -> (usize, usize) {
        match self.intake.started {
            (0, _) => (self.input.len(), self.input.capacity() - self.input.len()),
            started => started,
        }
    }

    /// What it takes of the process' memory, about. What has come of a value to its place is the store's.
    pub(super) fn memory_bytes(&self) -> usize {
        let (input, room) = match self.claim {
            None => self.input_bytes(),
            Some(_) => (self.input.len(), self.input.capacity() - self.input.len()),
        };
        size_of::<Self>() + input + room + self.session.replies.bytes()
    }

    /// Whether what is missing of the request that is coming in is more than the end of a line.
    pub(super) fn is_amid_block(&self) -> bool {
        let (input, _) = self.input_bytes();
        input > 0 && self.want > input + 1
    }

    /// Whether there are requests that wait for something else than more bytes.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Whether it should not be received from for now.
    fn wants_no_more(&self) -> bool {
        self.is_held && self.input.len() >= INPUT_BYTES_HELD_MAX
    }

    /// Whether replies can be sent now.
    pub(super) fn wants_flush(&self) -> bool {
        self.sending_since.is_none() && self.session.replies.has_output()
    }

    /// Whether what is ready is to wait at `now` for what other shards are about to answer, so that all of a
    /// pipeline goes out in one send. Asked once a turn.
    pub(super) fn waits_for_hop(&mut self, core: &Core) -> bool {
        let replies = &self.session.replies;
        let is_amid_hop = core.is_embedded() && replies.pending_count() > 0;
        if !is_amid_hop || !self.wants_flush() || replies.bytes() >= HOP_WAIT_BYTES_MAX {
            self.ready_since = None;
            return false;
        }
        let since = *self.ready_since.get_or_insert(core.now);
        core.now.0.saturating_sub(since.0) < HOP_WAIT_MS_MAX
    }

    /// Takes the replies to be sent.
    pub(super) fn start_send(&mut self, now: UnixMs) -> Outgoing {
        self.sending_since = Some(now);
        self.session.sending();
        self.session.replies.take_output()
    }

    /// A send ended.
    pub(super) fn sent(&mut self) {
        self.sending_since = None;
    }

    /// Whether a send is in flight.
    pub(super) fn is_sending(&self) -> bool {
        self.sending_since.is_some()
    }

    /// Whether the client takes nothing of what it is sent.
    pub(super) fn is_stalled(&self, now: UnixMs) -> bool {
        self.sending_since
            .is_some_and(|since| now.0.saturating_sub(since.0) > SEND_STALL_MS_MAX)
    }

    /// Nobody listens any more, but a transaction has begun that has to be run to its end: with
    /// that, the connection ends.
    pub(super) fn abandon(&mut self) {
        self.is_ending = true;
        self.session.replies.mute();
    }

    /// Whether everything is done and it can be closed. What waits at a server of a pool might never
    /// be done.
    pub(super) fn is_finished(&self) -> bool {
        self.is_ending
            && self.sending_since.is_none()
            && !self.session.replies.has_output()
            && (self.session.is_blocked()
                || (!self.is_held && self.session.replies.pending_count() == 0))
    }
}
