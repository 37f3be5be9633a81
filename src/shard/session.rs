//! A client's conversation: its protocol's state and its replies, without its socket.

use super::{
    batch,
    buffers::BufferPool,
    claim,
    core::{Core, Mutated},
    form::{self, Form},
    memcache::{Binary, Memcache},
    message::Origin,
    progress::Progress,
    push::Pushes,
    replies::{Covers, Replies, Seq},
    resp::{self, Resp},
    run::Voice,
    settings::{OUTPUT_BYTES_MAX, PIPELINE_DEPTH_MAX, WORLD_REPLY_BYTES_MAX},
    tracking,
    world::WorldPass,
};
use crate::{
    config::Protocol,
    io::Token,
    protocol::{
        binary::REQUEST_MAGIC,
        resp::{Version, table::Command},
    },
    store::{Applied, Key, Operation, UnixMs, Vacancy},
};

/// Which protocol a client speaks, and what it has said of itself.
#[derive(Debug)]
pub(super) enum FrontEnd {
    /// memcache, text or binary: the first byte will tell.
    Undecided,
    Memcache,
    Binary,
    Resp(resp::Client),
}

/// The state of a conversation.
#[derive(Debug)]
pub(super) struct Session {
    token: Token,
    /// The connection's number; no other connection of the process ever has it.
    pub(super) id: u64,
    /// The RESP command that was executed last.
    pub(super) command: Option<Command>,
    front_end: FrontEnd,
    pub(super) replies: Replies,
    pub(super) progress: Progress,
    /// A reply of the current request waits already, so the rest of its group does, too.
    is_deferred: bool,
    /// No request is served before all replies are there.
    is_barred: bool,
    /// It has said MULTI, and requests are queued until EXEC, or are being executed by it.
    pub(super) is_queueing: bool,
    /// Whether the request at hand has to have the world, or has it.
    pub(super) pass: WorldPass,
    /// Bytes of a refused request that are still to be thrown away.
    pub(super) swallow: usize,
    pub(super) pushes: Pushes,
    /// The slot of the last request that waits at a server of the pool.
    pub(super) blocked: Option<Seq>,
    /// Since when the request at hand waits for room at its server.
    pub(super) waits_since: Option<UnixMs>,
}

/// Why [`Session::serve`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Everything whole is served; go on when there are `want` bytes from where it stopped.
    Starved { want: usize },
    /// A limit is reached or a read waits for a write: try again later.
    Held,
    /// The conversation ends once the replies are out.
    Closing,
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is answered, or will be.
    Done,
    /// It must wait. What it did so far is remembered.
    Hold,
    /// It is the last.
    Close,
}

/// What is served is consumed; then why it stopped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Served {
    pub(super) consumed: usize,
    pub(super) stop: Stop,
}

impl Session {
    pub(super) fn new(token: Token, id: u64, front_end: FrontEnd) -> Self {
        Self {
            token,
            id,
            command: None,
            front_end,
            replies: Replies::default(),
            progress: Progress::default(),
            is_deferred: false,
            is_barred: false,
            is_queueing: false,
            pass: WorldPass::None,
            swallow: 0,
            pushes: Pushes::default(),
            blocked: None,
            waits_since: None,
        }
    }

    /// Serves the requests at the front of `bytes`.
    pub(super) fn serve(&mut self, core: &mut Core, bytes: &[u8]) -> Served {
        self.sign(core);
        match self.front_end {
            FrontEnd::Memcache => batch::serve::<Memcache>(self, core, bytes),
            FrontEnd::Resp(_) => batch::serve::<Resp>(self, core, bytes),
            FrontEnd::Binary => batch::serve::<Binary>(self, core, bytes),
            FrontEnd::Undecided => {
                let Some(first) = bytes.first() else {
                    return Served {
                        consumed: 0,
                        stop: Stop::Starved { want: 1 },
                    };
                };
                self.front_end = match *first {
                    REQUEST_MAGIC => FrontEnd::Binary,
                    _ => FrontEnd::Memcache,
                };
                self.serve(core, bytes)
            }
        }
    }

    /// What is changed from here on is changed by this client.
    fn sign(&self, core: &mut Core) {
        core.store
            .set_author(tracking::author(core.mesh.shard(), self.token));
    }

    /// Where the value of the write at the front of `bytes`, which is not whole, will lie, and where in them it
    /// begins; none if it has to come in with its request.
    pub(super) fn claim(&mut self, core: &mut Core, bytes: &[u8]) -> Option<(Vacancy, usize)> {
        match self.front_end {
            FrontEnd::Memcache => claim::reserve::<Memcache>(self, core, bytes),
            FrontEnd::Resp(_) => claim::reserve::<Resp>(self, core, bytes),
            FrontEnd::Undecided | FrontEnd::Binary => None,
        }
    }

    /// Serves the write of this head whose value has come there. It is given back if the request needs a closer
    /// look.
    pub(super) fn serve_claimed(
        &mut self,
        core: &mut Core,
        head: &[u8],
        value: Vacancy,
    ) -> Result<(), Vacancy> {
        self.sign(core);
        match self.front_end {
            FrontEnd::Memcache => claim::serve::<Memcache>(self, core, head, value),
            FrontEnd::Resp(_) => claim::serve::<Resp>(self, core, head, value),
            FrontEnd::Undecided | FrontEnd::Binary => Err(value),
        }
    }

    /// Throws away what is left of a refused request; how much of `bytes` that was.
    pub(super) fn swallow_from(&mut self, bytes: &[u8]) -> usize {
        let swallowed = self.swallow.min(bytes.len());
        self.swallow -= swallowed;
        swallowed
    }

    /// Whether the next request may be served now.
    pub(super) fn may_serve(&mut self, core: &Core) -> bool {
        self.is_barred &= self.replies.pending_count() > 0;
        !self.is_full() && !self.is_barred && self.is_free(core)
    }

    /// Whether it is not held for somebody else who has the world.
    pub(super) fn is_free(&self, core: &Core) -> bool {
        !core.world.is_closed() || self.may_pass(core)
    }

    /// The RESP client's own state.
    pub(super) fn resp_client(&mut self) -> Option<&mut resp::Client> {
        match &mut self.front_end {
            FrontEnd::Resp(client) => Some(client),
            FrontEnd::Undecided | FrontEnd::Memcache | FrontEnd::Binary => None,
        }
    }

    /// The protocol that the client speaks.
    pub(super) fn protocol(&self) -> Protocol {
        match &self.front_end {
            FrontEnd::Undecided | FrontEnd::Memcache | FrontEnd::Binary => Protocol::Memcache,
            FrontEnd::Resp(_) => Protocol::Resp,
        }
    }

    /// The RESP that the client speaks.
    pub(super) fn version(&self) -> Version {
        self.client()
            .map_or(Version::Resp2, |client| client.version)
    }

    /// The same, to look at.
    #[inline]
    pub(super) fn client(&self) -> Option<&resp::Client> {
        match &self.front_end {
            FrontEnd::Resp(client) => Some(client),
            FrontEnd::Undecided | FrontEnd::Memcache | FrontEnd::Binary => None,
        }
    }

    /// Whether it has asked for nothing yet.
    pub(super) fn is_new(&self) -> bool {
        match self.front_end {
            FrontEnd::Undecided => true,
            FrontEnd::Memcache | FrontEnd::Binary => false,
            FrontEnd::Resp(_) => self.command.is_none(),
        }
    }

    /// How the owner of a key is to read this client's requests.
    pub(super) fn voice(&self) -> Voice {
        match &self.front_end {
            FrontEnd::Undecided | FrontEnd::Memcache => Voice::Memcache,
            FrontEnd::Binary => Voice::Binary,
            FrontEnd::Resp(client) => Voice::Resp(client.version),
        }
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    /// Whether no further request may be served before something is sent or answered.
    pub(super) fn is_full(&mut self) -> bool {
        self.replies.pending_count() >= PIPELINE_DEPTH_MAX
            || (self.replies.bytes() >= OUTPUT_BYTES_MAX && self.must_send_first())
    }

    /// Whether so many bytes of replies are sent before the next request is served. Who has the world
    /// waits for other shards, but for no client to read: beyond a limit its reply is given up, and
    /// the rest goes on.
    #[cold]
    fn must_send_first(&mut self) -> bool {
        if !self.has_world() || self.replies.pending_count() > 0 {
            return true;
        }
        if self.replies.is_mute() || self.replies.bytes() >= WORLD_REPLY_BYTES_MAX {
            self.replies.mute();
        }
        false
    }

    /// Where a ready reply goes.
    pub(super) fn ready<'a>(&'a mut self, buffers: &'a mut BufferPool) -> &'a mut Vec<u8> {
        self.replies.ready(buffers)
    }

    /// Appends a reply that is ready.
    pub(super) fn reply(&mut self, core: &mut Core, bytes: &[u8]) {
        self.replies
            .ready(&mut core.buffers)
            .extend_from_slice(bytes);
    }

    /// Appends an error line that is ready.
    pub(super) fn refuse(&mut self, core: &mut Core, line: &[u8]) {
        self.reply(core, line);
        self.count_error(core, line);
    }

    /// Whether a read of this key must wait for a write of this same conversation.
    pub(super) fn must_wait_for(&self, key: Key<'_>) -> bool {
        self.replies.pending_count() > 0 && self.replies.is_pending(key.hash)
    }

    /// Whether a change of this key must wait for a read of this same conversation.
    pub(super) fn must_wait_for_reads(&self, key: Key<'_>) -> bool {
        self.replies.pending_count() > 0 && self.replies.is_reading(key.hash)
    }

    /// Whether anything about this key must wait for what this same conversation began.
    pub(super) fn must_wait_for_steps(&self, key: Key<'_>) -> bool {
        self.replies.pending_count() > 0 && self.replies.is_stepping(key.hash)
    }

    /// The origin of a request whose reply takes the next slot.
    pub(super) fn next_origin(&self) -> Origin {
        Origin {
            token: self.token,
            seq: self.replies.next_seq(),
        }
    }

    /// Applies an operation to one key and replies in `form`, now or later.
    pub(super) fn mutate(
        &mut self,
        core: &mut Core,
        key: Key<'_>,
        operation: Operation,
        value: &[u8],
        form: Form,
    ) -> Step {
        match core.mutate(self.next_origin(), key, operation, value) {
            Mutated::Full => return Step::Hold,
            Mutated::Later => {
                self.replies.defer(form, Covers::Key(key.hash), 1);
            }
            Mutated::Now(applied) => self.answer(core, applied, form),
        }
        Step::Done
    }

    /// Refuses a value for its size, and takes away what is there if the key is given. It may have to
    /// be tried again.
    pub(super) fn refuse_too_large(&mut self, core: &mut Core, unlinked: Option<Key<'_>>) -> Step {
        if let Some(key) = unlinked
            && self.unlink(core, key) == Step::Hold
        {
            return Step::Hold;
        }
        core.counters().store_too_large.add(1);
        Step::Done
    }

    /// Takes away what is there of a key whose new value was refused, here and at the group's peers.
    /// Not a delete: nobody asked for one, and nobody counts it.
    pub(super) fn unlink(&mut self, core: &mut Core, key: Key<'_>) -> Step {
        if core.pause.holds(true) {
            return Step::Hold;
        }
        let told = self.unlink_at_peers(core, key);
        told.unwrap_or_else(|| self.mutate(core, key, Operation::UNLINK, &[], Form::Silent))
    }

    /// Replies in `form` what came of an operation.
    #[inline(always)]
    pub(super) fn answer(&mut self, core: &mut Core, applied: Applied, form: Form) {
        if form != Form::Silent {
            form.encode(applied, &core.old, self.replies.ready(&mut core.buffers));
        }
        self.count_refusal(core, applied);
    }

    /// Counts what came of a RESP client's operation if that is an error.
    #[inline]
    pub(super) fn count_refusal(&self, core: &Core, applied: Applied) {
        if let Some(line) = form::resp_error(applied.outcome) {
            self.count_error(core, line);
        }
    }

    /// Counts an error of a RESP client's, by its code and by the command.
    #[cold]
    pub(super) fn count_error(&self, core: &Core, line: &[u8]) {
        if self.client().is_none() {
            return;
        }
        let shard = core.shard();
        core.board.count_error(shard, line);
        if let Some(command) = self.command {
            core.board.commands(shard).of(command).failed.add(1);
        }
    }

    /// Whether what follows waits for all replies so far.
    pub(super) fn set_barred(&mut self, is_barred: bool) {
        self.is_barred = is_barred;
    }

    /// Whether what follows may have to wait for all replies so far.
    pub(super) fn is_barred(&self) -> bool {
        self.is_barred
    }

    /// A reply of the current request waits.
    pub(super) fn set_deferred(&mut self) {
        self.is_deferred = true;
    }

    /// Whether a reply of the current request waits.
    pub(super) fn is_deferred(&self) -> bool {
        self.is_deferred
    }

    /// The same at the end of the request.
    pub(super) fn take_deferred(&mut self) -> bool {
        core::mem::take(&mut self.is_deferred)
    }
}
