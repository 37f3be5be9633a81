//! Telling clients when what they have read changes: CLIENT TRACKING.
//!
//! Reads stay local on every shard, so it is the reader's shard that knows who read what:
//!
//! ```text
//! owner of a key           shard with clients that track
//! --------------           ------------------------------------------------
//!                          a tracked read: key and client into the table,
//!                          key into the published filter, then the read
//! a change: published,     |
//! then a look into each    |
//! listener's filter:       v
//! a note -- answer or notice --> hear: table and prefixes -> mail
//!                          the end of the turn: mail -> push frames
//! ```
//!
//! * [`store::interest`](crate::store) has the filter and why no change is missed
//! * `listening`: having the owners take notes; `post`: what shards send each other, and delivery
//! * `table`, `prefixes`: who reads and asks for what; `client`: who tracks, and its mail;
//!   `telling`: whose mail a change goes to
//! * `watchers`: the same for WATCH, whose clients are told nothing but asked at EXEC
//!
//! **Order.** Notes for a shard leave with the next answer to it, or else once a turn as a notice,
//! and a shard hears all notices before it acts on an answer that was sent after them. So a client
//! hears of its own change right behind the change's reply, and whoever stops the world by asking
//! every shard has heard of all changes when the last has answered. Other push frames come behind
//! the replies that are made, and never between the parts of one.
//!
//! **Once.** A key leaves the table with its first change, as in Redis: the client is told once and
//! must read again to be told again. A note that was on its way when the client read the new value
//! tells it once more than needed; none is told less.
//!
//! **Limits.** The table has room for `tracking-table-max-keys` keys over all shards, beyond which
//! a key nobody chose is invalidated. Notes and letters that a shard cannot pass on become "any
//! key may have changed"; a client that reads its push frames too slowly is closed.

mod client;
mod listening;
mod post;
mod prefixes;
mod table;
mod telling;
mod watchers;

use std::collections::HashMap;

use self::{
    client::Clients,
    listening::Listening,
    post::Post,
    prefixes::Broadcast,
    table::{Added, Slot, Swept, Table},
    watchers::Watchers,
};
pub(super) use self::{
    client::{Modes, Redirect, TrackingClient, encode_invalidation},
    telling::null,
};
use super::{core::Core, message::Origin, stats::TrackingGauges};
use crate::{
    io::Token,
    protocol::resp::Version,
    store::{Absence, Author, Condition, Key, KeyHash, Notes, Operation, UnixMs},
};

/// Keys of the table that one look for expired ones goes through.
const SWEEP_KEYS_MAX: usize = 8_192;

/// Who tracks on this shard, and what.
#[derive(Debug, Default)]
pub(super) struct Tracking {
    shard: usize,
    clients: Clients,
    table: Table,
    watchers: Watchers,
    broadcast: Broadcast,
    listening: Listening,
    post: Post,
    /// Push frames for the client that is being answered, of changes it made itself.
    pub(super) own: Vec<u8>,
    /// What CLIENT TRACKING waits for, by who asked.
    pub(super) waits: HashMap<Token, Wait>,
    /// The RESP clients of this shard.
    ids: HashMap<u64, Token>,
    /// To be exchanged for the shard's own notes.
    idle_notes: Notes,
}

/// What a CLIENT TRACKING waits for before it is answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    /// Whether the client to redirect to is there.
    Find,
    /// It is known.
    Found(Option<Token>),
    /// That all shards note what is asked for.
    Heard(u64),
}

/// The name under which the changes of a client are noted.
pub(super) fn author(shard: usize, token: Token) -> Author {
    Author((shard as u64) << 56 | token.to_bits())
}

impl Tracking {
    /// The tracking of a shard, with nobody in it.
    pub(super) fn new(shard: usize) -> Self {
        Self {
            shard,
            ..Self::default()
        }
    }

    /// Whether other shards are to tell this one of changes.
    #[inline]
    pub(super) fn is_listening(&self) -> bool {
        self.listening.is_on()
    }

    /// A client that tracks.
    pub(super) fn client(&self, token: Token) -> Option<&TrackingClient> {
        self.clients.get(token)
    }

    /// The id of whom a client redirects to: 0 for nobody, -1 if it does not track.
    pub(super) fn redirect_id(&self, token: Token) -> i64 {
        self.client(token).map_or(-1, |client| {
            client.redirect.map_or(0, |redirect| redirect.id as i64)
        })
    }

    /// A client, which tracks from here on.
    pub(super) fn enter(&mut self, token: Token, version: Version) -> &mut TrackingClient {
        self.clients.enter(token, version)
    }

    /// A client tracks no more. What it read before is still in the table, as in Redis.
    pub(super) fn leave(&mut self, token: Token) {
        if self
            .clients
            .get(token)
            .is_some_and(|client| client.modes.bcast)
        {
            self.broadcast.remove(token);
        }
        self.clients.remove(token);
    }

    /// Tells how much there is of everything.
    fn gauge(&self, gauges: &TrackingGauges) {
        gauges.clients.set(self.clients.count() as u64);
        gauges.keys.set(self.table.key_count() as u64);
        gauges.items.set(self.table.reader_count() as u64);
        gauges.prefixes.set(self.broadcast.count() as u64);
    }

    /// The prefixes that a client asked for, in order.
    pub(super) fn prefixes_of(&self, token: Token) -> impl Iterator<Item = &[u8]> {
        self.broadcast.of(token)
    }

    /// Whether so many more prefixes are too many.
    pub(super) fn has_too_many_prefixes(&self, more: usize) -> bool {
        self.broadcast.is_over(more)
    }

    /// A client wants to hear of changes under these, too.
    pub(super) fn add_prefixes<'p>(
        &mut self,
        token: Token,
        prefixes: impl IntoIterator<Item = &'p [u8]>,
    ) {
        self.broadcast.add(token, prefixes);
    }

    /// A client is not to be told anything before its CLIENT TRACKING is answered, or is.
    pub(super) fn set_unanswered(&mut self, token: Token, is_unanswered: bool) {
        if let Some(client) = self.clients.get_mut(token) {
            client.is_unanswered = is_unanswered;
        }
    }

    /// A client has begun to speak this version.
    pub(super) fn set_version(&mut self, token: Token, version: Version) {
        if let Some(client) = self.clients.get_mut(token) {
            client.version = version;
        }
    }

    /// A RESP client has come.
    pub(super) fn connected(&mut self, id: u64, token: Token) {
        self.ids.insert(id, token);
    }

    /// A RESP client of this shard.
    pub(super) fn find(&self, id: u64) -> Option<Token> {
        self.ids.get(&id).copied()
    }

    /// Whether a client that a session asked for is there.
    pub(super) fn found(&mut self, asker: Token, client: Option<Token>) {
        if let Some(wait) = self.waits.get_mut(&asker) {
            *wait = Wait::Found(client);
        }
    }

    fn has_post(&self) -> bool {
        self.clients.has_mail() || !self.post.is_empty()
    }

    /// Takes the mail of a client.
    pub(super) fn take_mail(&mut self, token: Token) -> Option<Vec<u8>> {
        self.clients.take_mail(token)
    }
}

impl Core {
    /// Keys that the table of this shard may hold; 0 for any number.
    fn tracking_keys_max(&self) -> usize {
        match self.settings.tunables.tracking_keys_max.get() as usize {
            0 => 0,
            max => (max / self.mesh.shard_count()).max(1),
        }
    }

    /// A client that tracks is about to read a key.
    pub(super) fn remember(&mut self, token: Token, key: Key<'_>) {
        let Tracking {
            table,
            clients,
            listening,
            ..
        } = &mut self.tracking;
        let added = table.add(key, token, |token| clients.get(token).is_some());
        if added == Added::Nothing {
            return;
        }
        if added == Added::Key {
            listening.add(key.hash);
            // Any change of the deadline from here on is told of.
            if let Some(entry) = self.store.peek(key, self.now) {
                table.set_deadline(key, entry.deadline());
            }
        }
        self.shrink_table(key.hash);
    }

    /// Takes keys out while there are too many, and tells their readers.
    fn shrink_table(&mut self, hash: KeyHash) {
        let keys_max = self.tracking_keys_max();
        let mut number = hash.0;
        while self.tracking.table.is_over(keys_max) {
            // The hash is seeded: nobody outside can aim at somebody's key.
            number = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
            let Some(slot) = self.tracking.table.remove_any(number) else {
                return;
            };
            self.tracking.listening.remove(slot.hash);
            self.tracking.tell_readers(&slot, Author::NOBODY, None);
        }
    }

    /// Hears the notes of another shard, or of this one.
    fn hear(&mut self, notes: &Notes, answered: Option<Token>) {
        let me = self.shard();
        let own = answered.map(|token| author(me, token));
        for note in notes.iter() {
            self.tracking.changed(&note, own);
        }
        if notes.is_lost {
            self.tracking.watchers.changed_all();
        }
        if notes.is_lost || notes.is_end_of_flush {
            self.tracking.drop_everything(None);
        }
    }

    /// A flush of all partitions has ended; `but` is told of it otherwise.
    pub(super) fn tell_end_of_flush(&mut self, but: Option<Token>) {
        if !self.store.has_listeners() {
            return;
        }
        self.store.note_end_of_flush();
        let me = self.shard();
        if let Some(notes) = self.store.notes_mut(me) {
            notes.is_end_of_flush = false;
            self.settle_notes(None);
            self.tracking.drop_everything(but);
        }
    }

    /// Tells those who broadcast of all changes so far.
    pub(super) fn settle_broadcast(&mut self) {
        self.settle_notes(None);
        self.tell_broadcast();
    }

    /// Tells those who broadcast what changed in this turn.
    fn tell_broadcast(&mut self) {
        if self.tracking.broadcast.take_lost() {
            self.tracking.drop_everything(None);
        }
        let mut broadcast = core::mem::take(&mut self.tracking.broadcast);
        let spared = |tracking: &Tracking, token| {
            let client = tracking.clients.get(token)?;
            client.modes.noloop.then(|| author(tracking.shard, token))
        };
        broadcast.tell(&mut self.tracking, spared, Tracking::tell);
        self.tracking.broadcast = broadcast;
    }

    /// Counts a look for a key, and has it removed if it was there and has expired: see
    /// [`Self::found_expired`].
    pub(super) fn count_read(&mut self, key: Key<'_>, absence: Option<Absence>) {
        let counters = self.counters();
        counters.gets.add(1);
        counters.get_hits.add(u64::from(absence.is_none()));
        self.tell_if_expired(key, absence);
    }

    /// Has a key removed that was looked for and has expired.
    #[inline]
    pub(super) fn tell_if_expired(&mut self, key: Key<'_>, absence: Option<Absence>) {
        if absence == Some(Absence::Expired) {
            self.found_expired(key);
        }
    }

    /// The same for a key that a request was about which looks itself.
    #[inline]
    pub(super) fn tell_if_gone(&mut self, key: Key<'_>) {
        if self.store.has_listeners() {
            self.tell_if_expired(key, self.store.look(key, self.now).err());
        }
    }

    /// A key was found whose time has passed. Its owner is to remove it now: those who hold a copy
    /// are told when it is removed, and the sweep may be far from it.
    pub(super) fn found_expired(&mut self, key: Key<'_>) {
        if !self.store.has_listeners() {
            return;
        }
        // Finds what has expired as any change does, and deletes nothing that was stored meanwhile.
        let operation = Operation::Unlink {
            condition: Condition::Absent,
        };
        if self.store.owns(key.hash) {
            self.apply(key, operation, &[]);
            return;
        }
        let owner = self.store.owner(key.hash);
        if self.may_forward(owner, key.bytes.len()) {
            self.forward(owner, Origin::NOBODY, key, operation, &[]);
        }
    }

    /// What time brings: keys that expire, clients that have gone, an end of listening.
    pub(super) fn tick_tracking(&mut self) {
        if self.tracking.listening.is_on() {
            self.sweep_table(self.now);
            self.tick_listening();
        }
    }

    fn sweep_table(&mut self, now: UnixMs) {
        let Tracking {
            table,
            clients,
            listening,
            ..
        } = &mut self.tracking;
        let mut expired = Vec::new();
        table.sweep(
            now,
            SWEEP_KEYS_MAX,
            |token| clients.get(token).is_some(),
            |swept| {
                let (Swept::Expired(slot) | Swept::Deserted(slot)) = &swept;
                listening.remove(slot.hash);
                if let Swept::Expired(slot) = swept {
                    expired.push(slot);
                }
            },
        );
        for slot in expired {
            self.tracking.tell_readers(&slot, Author::NOBODY, None);
        }
    }

    /// Whether time brings something.
    pub(super) fn tracking_needs_tick(&self) -> bool {
        self.tracking.listening.is_on()
    }

    /// A client has gone.
    pub(super) fn forget_client(&mut self, token: Token, id: Option<u64>) {
        if let Some(id) = id {
            self.tracking.ids.remove(&id);
        }
        self.tracking.waits.remove(&token);
        self.tracking.leave(token);
    }
}
