//! Asking the owners of keys to note changes, and knowing when they do.
//!
//! A shard begins to listen when its first client tracks: it makes its filter, tells
//! every other shard, and holds that client back until all have answered. From then on whatever
//! its clients read is told of. When nobody has tracked for a while it stops, and
//! changes cost nothing more.

use std::sync::Arc;

use super::{prefixes::Broadcast, table::Table};
use crate::{
    shard::{
        core::Core,
        message::{AnswerBody, Ask, AskBody, Origin},
        settings::LISTEN_LINGER_MS,
    },
    store::{Concern, InterestWriter, KeyHash, Prefixes, UnixMs},
};

/// What the other shards know of what this one wants to hear of.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// There while this shard listens.
    interest: Option<InterestWriter>,
    prefixes: Arc<Prefixes>,
    /// Counts up when owners are to be told anew.
    version: u64,
    /// By shard: the version it was sent, and the one it has confirmed.
    told: Vec<Told>,
    idle_since: Option<UnixMs>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Told {
    sent: u64,
    confirmed: u64,
}

impl Listening {
    /// Whether this shard listens.
    pub(super) fn is_on(&self) -> bool {
        self.interest.is_some()
    }

    /// What to tell the owners of keys.
    fn wanted(&self) -> Option<Concern> {
        self.interest.as_ref().map(|interest| Concern {
            keys: interest.share(),
            prefixes: Arc::clone(&self.prefixes),
        })
    }

    /// Counts a key in; to be done before it is read.
    pub(super) fn add(&mut self, hash: KeyHash) {
        if let Some(interest) = &mut self.interest {
            interest.add(hash);
        }
    }

    /// Counts a key out.
    pub(super) fn remove(&mut self, hash: KeyHash) {
        if let Some(interest) = &mut self.interest {
            interest.remove(hash);
        }
    }

    /// Whether all shards know this version.
    fn is_known(&self, version: u64) -> bool {
        self.told.iter().all(|told| told.confirmed >= version)
    }

    /// Whether some shard is still to be told.
    pub(super) fn has_unsent(&self) -> bool {
        self.told.iter().any(|told| told.sent < self.version)
    }
}

impl Core {
    /// Has all shards note what this one wants to hear of now. Gives the version to
    /// [wait for](Self::is_heard).
    pub(in crate::shard) fn listen(&mut self) -> u64 {
        let me = self.shard();
        let shard_count = self.mesh.shard_count();
        let keys_max = self.tracking_keys_max();
        let listening = &mut self.tracking.listening;
        listening.told.resize(shard_count, Told::default());
        listening.idle_since = None;
        let is_new = listening.interest.is_none();
        let prefixes = self.tracking.broadcast.prefixes();
        if is_new || *listening.prefixes != *prefixes {
            listening.prefixes = Arc::new(prefixes.clone());
            listening
                .interest
                .get_or_insert_with(|| InterestWriter::new(keys_max));
            self.renew(me);
        }
        self.tracking.listening.version
    }

    /// Whether all shards note at least what was asked for as this version.
    pub(in crate::shard) fn is_heard(&self, version: u64) -> bool {
        self.tracking.listening.is_known(version)
    }

    /// Tells all what is wanted now.
    fn renew(&mut self, me: usize) {
        let listening = &mut self.tracking.listening;
        listening.version += 1;
        let version = listening.version;
        listening.told[me] = Told {
            sent: version,
            confirmed: version,
        };
        let wanted = listening.wanted();
        self.store.listen(me, wanted);
        self.send_listens();
    }

    /// Tells the shards that are not told yet and have room.
    pub(in crate::shard) fn send_listens(&mut self) {
        if !self.tracking.listening.has_unsent() {
            return;
        }
        for shard in 0..self.tracking.listening.told.len() {
            let version = self.tracking.listening.version;
            if self.tracking.listening.told[shard].sent == version
                || self.mesh.allowance(shard) == 0
            {
                continue;
            }
            self.tracking.listening.told[shard].sent = version;
            let wanted = self.tracking.listening.wanted();
            let body = AskBody::Listen { version, wanted };
            self.ask(
                shard,
                Ask {
                    origin: Origin::NOBODY,
                    body,
                },
            );
        }
    }

    /// Notes from here on what another shard wants to hear of.
    pub(in crate::shard) fn serve_listen(
        &mut self,
        listener: usize,
        version: u64,
        wanted: Option<Concern>,
    ) -> AnswerBody {
        self.store.listen(listener, wanted);
        AnswerBody::Listening { version }
    }

    /// Another shard notes what this one wants to hear of.
    pub(in crate::shard) fn listen_confirmed(&mut self, shard: usize, version: u64) {
        if let Some(told) = self.tracking.listening.told.get_mut(shard) {
            told.confirmed = told.confirmed.max(version);
        }
    }

    /// Drops prefixes that nobody asks for any more, and ends listening when nobody has needed it
    /// for a while.
    pub(super) fn tick_listening(&mut self) {
        let (me, now) = (self.shard(), self.now);
        let tracking = &mut self.tracking;
        if !tracking.listening.is_on() {
            return;
        }
        if tracking.clients.count() > 0 || !tracking.watchers.is_empty() {
            tracking.listening.idle_since = None;
            if *tracking.listening.prefixes != *tracking.broadcast.prefixes() {
                self.listen();
            }
            return;
        }
        let since = *tracking.listening.idle_since.get_or_insert(now);
        if now.0.saturating_sub(since.0) >= LISTEN_LINGER_MS {
            tracking.listening.interest = None;
            tracking.listening.prefixes = Arc::default();
            tracking.table = Table::default();
            tracking.broadcast = Broadcast::default();
            self.renew(me);
        }
    }
}
