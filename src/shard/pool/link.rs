//! One backend server as a shard sees it: the link to it, what is in flight there, and what it
//! still has to be told.

use bytes::BytesMut;

use crate::shard::pool::{
    EjectSettings, errand::Pending, lanes::Lanes, over_resp, queued, replicas::Role,
};
use crate::{
    backend::{self, Expects, Greeting, Health, LinkSettings, OnLoss, Terms, WriteQueue, hello},
    config::Protocol,
    fill::FillId,
    io::Token,
    protocol::{memcache::Spelling, resp::reply::encode_command},
    spool::Operation,
    store::{Key, UnixMs},
};

/// What is spoken with a backend, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) struct Speech {
    pub(in crate::shard) protocol: Protocol,
    /// Clients may speak the other protocol.
    pub(in crate::shard) is_crossed: bool,
}

impl Speech {
    /// What a connection begins with: servers are given what clients of the other protocol need.
    pub(super) fn greet(self, greeting: Greeting) -> Greeting {
        match self.protocol {
            Protocol::Resp if self.is_crossed => greeting.wish(over_resp::load),
            _ => greeting,
        }
    }
}

/// What a queued write is in the pipeline. The queue is in order, so none of them can fail alone:
/// they have no deadline but the link's own.
const QUEUED: Pending = Pending::QueuedWrite;
const TERMS: Terms = Terms {
    on_loss: OnLoss::Forget,
    patience_ms: Terms::FOR_EVER,
};

/// Tells a server of queued writes.
#[derive(Debug, Clone, Copy)]
struct Teller {
    speech: Speech,
    knows_meta: bool,
    now: UnixMs,
}

impl Teller {
    fn tell(self, core: &mut backend::Link<Pending>, write: (&[u8], Operation<'_>)) {
        let pipeline = core.pipeline();
        let out = pipeline.push(QUEUED, Expects::Line, TERMS, self.now);
        queued::encode(out, self.speech, self.knows_meta, write, self.now);
    }
}

/// How the links of a shard's pool are made.
#[derive(Debug, Clone)]
pub(super) struct LinkMaker {
    pub(super) speech: Speech,
    pub(super) patience_ms: u32,
    pub(super) eject: EjectSettings,
    pub(super) settings: LinkSettings,
    /// How many links there are to each server.
    pub(super) lanes: Lanes,
    /// What a link begins with by which a server tells of changes; none if they are not to.
    pub(super) listener: Option<Greeting>,
    /// Servers may name others that are to be asked instead.
    pub(super) recalls: bool,
    /// What the shard's pauses are drawn from.
    pub(super) seed: u64,
    pub(super) shard: usize,
}

impl LinkMaker {
    /// All links to a server: those for requests, then the one by which it tells of changes.
    pub(super) fn make_to(&self, server: usize, now: UnixMs) -> Vec<Link> {
        let for_requests = self.lanes.links_to(server);
        let listener = for_requests.end..self.lanes.all_links_to(server).end;
        let mut links: Vec<Link> = for_requests.map(|number| self.make(number, now)).collect();
        links.extend(listener.filter_map(|number| self.make_listener(number, now)));
        links
    }

    /// The same to a server that is none: they lead nowhere.
    pub(super) fn make_unconnected(&self, server: usize, now: UnixMs) -> Vec<Link> {
        let links = self.lanes.all_links_to(server);
        links
            .map(|number| self.make_unconnected_link(number, now))
            .collect()
    }

    fn make(&self, number: usize, now: UnixMs) -> Link {
        let mut link = Link::new(self, backend::Link::new(self.settings_of(number), now));
        if self.recalls {
            link.core.pipeline().recall_redirected();
        }
        link
    }

    /// Whether it is there says nothing of how requests are answered, so nothing ejects it.
    fn make_listener(&self, number: usize, now: UnixMs) -> Option<Link> {
        let settings = LinkSettings {
            greeting: self.listener.clone()?,
            ..self.settings_of(number)
        };
        let mut link = Link::new(self, backend::Link::new(settings, now));
        link.health = Health::new(None, self.seed);
        Some(link)
    }

    /// The same to a replica, which tells of no changes: copies are of masters.
    pub(super) fn make_to_replica(&self, server: usize, now: UnixMs) -> Vec<Link> {
        let for_requests = self.lanes.links_to(server);
        let listener = for_requests.end..self.lanes.all_links_to(server).end;
        let mut links: Vec<Link> = for_requests
            .map(|number| self.make_replica(number, now))
            .collect();
        links.extend(listener.map(|number| self.make_unconnected_link(number, now)));
        links
    }

    /// What a replica was asked is asked of others if it is lost, so nothing is held for it. Nodes of
    /// a cluster have to be told that it is for reads.
    fn make_replica(&self, number: usize, now: UnixMs) -> Link {
        let mut settings = LinkSettings {
            hold_ms: None,
            ..self.settings_of(number)
        };
        if self.recalls {
            settings.greeting = settings.greeting.insist(&[b"READONLY"]);
        }
        let mut link = Link::new(self, backend::Link::new(settings, now));
        link.core.pipeline().recall_refused();
        link.role = Some(Role::new());
        link
    }

    fn make_unconnected_link(&self, number: usize, now: UnixMs) -> Link {
        let core = backend::Link::unconnected(self.settings_of(number), now);
        Link::new(self, core)
    }

    fn settings_of(&self, number: usize) -> LinkSettings {
        // Each shard's pauses are its own, and each link's.
        let place = (self.shard as u64) << 32 | number as u64;
        LinkSettings {
            seed: self.seed ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            ..self.settings.clone()
        }
    }
}

/// A backend server and this shard's connection to it.
#[derive(Debug)]
pub(in crate::shard) struct Link {
    speech: Speech,
    /// How long a request waits for its reply, in milliseconds.
    patience_ms: u32,
    pub(in crate::shard) core: backend::Link<Pending>,
    /// Whether the server is fit to be asked.
    pub(super) health: Health,
    /// Whether it follows its master, if it is a replica.
    pub(super) role: Option<Role>,
    pub(in crate::shard) token: Option<Token>,
    /// The backend refused a queued write: the connection is to be given up and the write repeated.
    pub(in crate::shard) refused: bool,
    /// What the server is to be told still.
    pub(in crate::shard) writes: WriteQueue,
    /// How often the server has to answer before it is told more of it.
    fence_left: u32,
    /// It is being asked for that.
    is_fencing: bool,
    /// The start of a reply that is not whole.
    pub(in crate::shard) input: BytesMut,
    /// Bytes of `input` before which looking again is pointless.
    pub(in crate::shard) want: usize,
}

impl Link {
    fn new(maker: &LinkMaker, core: backend::Link<Pending>) -> Self {
        Self {
            speech: maker.speech,
            patience_ms: maker.patience_ms,
            health: maker.eject.health(core.seed()),
            role: None,
            core,
            token: None,
            refused: false,
            writes: WriteQueue::default(),
            fence_left: 0,
            is_fencing: false,
            input: BytesMut::new(),
            want: 1,
        }
    }

    /// Whether requests can be added: they are sent now, or are held for a connect that will end
    /// soon.
    pub(in crate::shard) fn takes_requests(&self, now: UnixMs) -> bool {
        self.core.takes_requests(now)
    }

    /// Whether it takes requests, but its server has not said yet what it knows.
    pub(in crate::shard) fn is_greeting(&self, now: UnixMs) -> bool {
        self.core.takes_requests(now) && !self.core.is_serving()
    }

    /// Whether the server is up and knows memcache's meta commands.
    pub(in crate::shard) fn speaks_meta(&self) -> bool {
        self.core.is_serving() && self.core.knew_meta()
    }

    /// Adds a request; its bytes are appended to what is returned.
    pub(in crate::shard) fn ask(
        &mut self,
        pending: Pending,
        expects: Expects,
        on_loss: OnLoss,
        now: UnixMs,
    ) -> &mut Vec<u8> {
        let terms = self.terms(on_loss);
        self.core.pipeline().push(pending, expects, terms, now)
    }

    /// Adds a request for one whole value.
    pub(in crate::shard) fn ask_value(
        &mut self,
        pending: Pending,
        key: Key<'_>,
        spelling: Spelling,
        on_loss: OnLoss,
        now: UnixMs,
    ) {
        let terms = self.terms(on_loss);
        self.core
            .pipeline()
            .push_get(pending, key, spelling, terms, now);
    }

    /// Asks how long a key has to live. What follows is to be the request for its value.
    pub(super) fn ask_time_left(
        &mut self,
        fill: FillId,
        key: Key<'_>,
        on_loss: OnLoss,
        now: UnixMs,
    ) {
        let pending = Pending::TimeLeft(fill);
        let out = self.ask(pending, Expects::Line, on_loss, now);
        encode_command(out, &[b"PTTL", key.bytes]);
    }

    fn terms(&self, on_loss: OnLoss) -> Terms {
        Terms {
            on_loss,
            patience_ms: self.patience_ms,
        }
    }

    /// Gives the server the script that it has forgotten.
    pub(in crate::shard) fn load_script(&mut self, now: UnixMs) {
        over_resp::load(self.ask(Pending::Script, Expects::Line, OnLoss::Forget, now));
    }

    /// Probes an ejected server, if that is due.
    pub(super) fn probe(&mut self, now: UnixMs) -> bool {
        let is_due = self.core.is_serving() && self.health.poll_probe(now);
        if is_due {
            let request = hello(self.speech.protocol);
            self.ask(Pending::Probe, Expects::Line, OnLoss::Fail, now)
                .extend_from_slice(request);
        }
        is_due
    }

    /// Has the server forget everything, as far as it is used.
    pub(super) fn purge(&mut self, now: UnixMs) {
        let request: &[u8] = match self.speech.protocol {
            Protocol::Resp => b"*1\r\n$7\r\nFLUSHDB\r\n",
            Protocol::Memcache => b"flush_all\r\n",
        };
        self.ask(Pending::Purge, Expects::Line, OnLoss::Fail, now)
            .extend_from_slice(request);
    }

    /// When time alone changes something next.
    pub(in crate::shard) fn next_timeout(&self, now: UnixMs) -> Option<UnixMs> {
        let refused = self.refused.then_some(now);
        let probe = self.health.poll_timeout();
        let role = self.role.as_ref().and_then(Role::poll_timeout);
        let asked = UnixMs::soonest(probe, role).filter(|_| self.core.is_serving());
        UnixMs::soonest(self.core.poll_timeout(), UnixMs::soonest(refused, asked))
    }

    /// Adds queued writes to the pipeline, as many as the queue's window allows. They come before
    /// what is asked of the server later, and go with their connection: the queue has them still.
    pub(in crate::shard) fn pump_writes(&mut self, now: UnixMs) {
        if !self.core.is_serving() {
            return;
        }
        if self.fence_left > 0 {
            return self.fence(now);
        }
        let teller = self.teller(now);
        while let Some(write) = self.writes.next_unsent() {
            teller.tell(&mut self.core, write);
        }
    }

    /// Adds queued writes up to the one of this key, so that what is asked of the server next comes
    /// behind it; at most what the queue holds. False if the server cannot be told now.
    pub(in crate::shard) fn pump_ahead(&mut self, key: Key<'_>, now: UnixMs) -> bool {
        let takes_writes = self.takes_writes();
        let teller = self.teller(now);
        while takes_writes && let Some(write) = self.writes.next_ahead(key) {
            teller.tell(&mut self.core, write);
        }
        takes_writes
    }

    /// Adds a queued write to the pipeline that is not in the link's own queue.
    pub(super) fn tell(&mut self, write: (&[u8], Operation<'_>), now: UnixMs) {
        self.teller(now).tell(&mut self.core, write);
    }

    fn teller(&self, now: UnixMs) -> Teller {
        Teller {
            speech: self.speech,
            knows_meta: self.core.knew_meta(),
            now,
        }
    }

    /// Whether the server has to answer some more before it is told of queued writes.
    pub(super) fn is_fenced(&self) -> bool {
        self.fence_left > 0
    }

    /// The server has to answer so often before it is told of more queued writes.
    pub(super) fn set_fence(&mut self, turns: u32) {
        self.fence_left = self.fence_left.max(turns);
    }

    /// Whether the server can be told of queued writes now.
    pub(super) fn takes_writes(&self) -> bool {
        self.core.is_serving() && !self.is_fenced()
    }

    /// Asks the server to answer once more, if it is not asked already.
    fn fence(&mut self, now: UnixMs) {
        if !core::mem::replace(&mut self.is_fencing, true) {
            let request = hello(self.speech.protocol);
            let pipeline = self.core.pipeline();
            pipeline
                .push(Pending::Fence, Expects::Line, TERMS, now)
                .extend_from_slice(request);
        }
    }

    /// The server has answered that.
    pub(super) fn fenced(&mut self) {
        self.is_fencing = false;
        self.fence_left = self.fence_left.saturating_sub(1);
    }

    /// The connection is closed: nothing of it is left. Its token, if it had one.
    pub(in crate::shard) fn close(&mut self) -> Option<Token> {
        self.refused = false;
        self.input.clear();
        self.want = 1;
        let turns = self.writes.reset();
        self.set_fence(turns);
        self.is_fencing = false;
        self.token.take()
    }
}
