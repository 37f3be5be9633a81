//! One backend server as a shard sees it: the link to it, what is in flight there, and what it
//! still has to be told.

use bytes::BytesMut;

use crate::shard::pool::{errand::Pending, over_memcache, over_resp};
use crate::{
    backend::{self, Expects, Greeting, Health, InvalidationQueue, LinkSettings, OnLoss, Terms},
    config::Protocol,
    io::Token,
    protocol::{
        memcache::{self, Spelling},
        resp,
    },
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

/// A backend server and this shard's connection to it.
#[derive(Debug)]
pub(in crate::shard) struct Link {
    speech: Speech,
    /// How long a request waits for its reply, in milliseconds.
    patience_ms: u32,
    pub(in crate::shard) core: backend::Link<Pending>,
    /// Whether the server is fit to be asked.
    pub(super) health: Health,
    pub(in crate::shard) token: Option<Token>,
    /// The backend refused a delete: the connection is to be given up and the delete repeated.
    pub(in crate::shard) refused: bool,
    pub(in crate::shard) invalidations: InvalidationQueue,
    /// The start of a reply that is not whole.
    pub(in crate::shard) input: BytesMut,
    /// Bytes of `input` before which looking again is pointless.
    pub(in crate::shard) want: usize,
}

impl Link {
    pub(in crate::shard) fn new(
        speech: Speech,
        patience_ms: u32,
        health: Health,
        settings: LinkSettings,
        now: UnixMs,
    ) -> Self {
        Self {
            speech,
            patience_ms,
            health,
            core: backend::Link::new(settings, now),
            token: None,
            refused: false,
            invalidations: InvalidationQueue::default(),
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
        now: UnixMs,
    ) {
        let terms = self.terms(OnLoss::Repeat);
        self.core
            .pipeline()
            .push_get(pending, key, spelling, terms, now);
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
            let request: &[u8] = match self.speech.protocol {
                Protocol::Resp => b"*1\r\n$4\r\nPING\r\n",
                Protocol::Memcache => b"version\r\n",
            };
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
        let probe = probe.filter(|_| self.core.is_serving());
        let dues = [self.core.poll_timeout(), refused, probe];
        dues.into_iter().flatten().min()
    }

    /// Adds deletes to the pipeline, as many as the queue's window allows. They come before what
    /// is asked of the server later, and go with their connection: the queue has them still.
    pub(in crate::shard) fn pump_invalidations(&mut self, now: UnixMs) {
        if !self.core.is_serving() {
            return;
        }
        // The queue is in order, so none of them can fail alone: they have no deadline but the
        // link's own.
        let terms = Terms {
            on_loss: OnLoss::Forget,
            patience_ms: Terms::FOR_EVER,
        };
        while let Some(key) = self.invalidations.next_unsent() {
            let pipeline = self.core.pipeline();
            let out = pipeline.push(Pending::Invalidation, Expects::Line, terms, now);
            match self.speech.protocol {
                Protocol::Memcache if self.speech.is_crossed => {
                    let spelling = Spelling::of(key).unwrap_or(Spelling::Text);
                    over_memcache::encode_delete(out, key, spelling);
                }
                Protocol::Memcache => memcache::reply::encode_delete(out, key),
                Protocol::Resp => resp::reply::encode_command(out, &[b"DEL", key]),
            }
        }
    }

    /// The connection is closed: nothing of it is left. Its token, if it had one.
    pub(in crate::shard) fn close(&mut self) -> Option<Token> {
        self.refused = false;
        self.input.clear();
        self.want = 1;
        self.invalidations.reset();
        self.token.take()
    }
}
