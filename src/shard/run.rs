//! Requests that read and change one key: they run whole where the key lives.
//!
//! A change that needs no more than an [`Operation`](crate::store::Operation) travels as that. All
//! others travel as the bytes the client sent: the owner reads them again, looks at the entry,
//! decides, applies one operation, and writes the reply. Nobody else can change the key meanwhile,
//! and readers on other shards see one change.

use super::{
    core::Core,
    form::Form,
    memcache,
    message::{Ask, AskBody},
    replies::Covers,
    resp,
    session::{Session, Step},
};
use crate::{protocol::resp::Version, store::Key};

/// How a request is to be read, and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// memcache's text.
    Memcache,
    /// memcache's binary protocol.
    Binary,
    /// RESP.
    Resp(Version),
}

impl Session {
    /// Executes a request about one key on the key's owner: with `here` if that is this shard, else
    /// by sending it `request`. The reply has the form given; its bytes are the owner's.
    pub(super) fn run_at_owner(
        &mut self,
        core: &mut Core,
        key: Key<'_>,
        request: &[u8],
        form: Form,
        here: impl FnOnce(&mut Core, &mut Self),
    ) -> Step {
        if core.store.owns(key.hash) {
            if core.must_wait() {
                return Step::Hold;
            }
            let start = self.replies.ready(&mut core.buffers).len();
            here(core, self);
            core.tell_if_gone(key);
            let out = self.replies.ready(&mut core.buffers);
            if out.get(start) == Some(&b'-') {
                let line = core.buffers.copy(&[&out[start..]]);
                self.count_error(core, &line);
                core.buffers.put(line);
            }
            return Step::Done;
        }
        let owner = core.store.owner(key.hash);
        if !core.may_ask(owner, request.len()) {
            return Step::Hold;
        }
        let body = AskBody::Run {
            voice: self.voice(),
            request: core.buffers.copy(&[request]),
        };
        let origin = self.next_origin();
        core.ask(owner, Ask { origin, body });
        self.replies.defer(form, Covers::Key(key.hash), 1);
        Step::Done
    }
}

impl Core {
    /// Executes another shard's request about one key of this shard.
    pub(super) fn run(&mut self, voice: Voice, request: &[u8], out: &mut Vec<u8>) {
        match voice {
            Voice::Memcache => memcache::run(self, request, out),
            Voice::Binary => memcache::run_binary(self, request, out),
            Voice::Resp(version) => resp::run(self, request, version, out),
        }
    }
}
