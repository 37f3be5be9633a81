//! Who is told of a change, and by which way: a client's own mail, or a letter to whom it
//! redirects to.

use super::{Redirect, Slot, Tracking, author, encode_invalidation};
use crate::{
    io::Token,
    protocol::resp::{Version, reply},
    shard::message::Letter,
    store::{Author, Note},
};

impl Tracking {
    /// A key has changed.
    pub(super) fn changed(&mut self, note: &Note<'_>, own: Option<Author>) {
        let Note { author, key, .. } = *note;
        self.watchers.changed(note);
        if let Some(slot) = self.table.remove(key) {
            self.listening.remove(slot.hash);
            self.tell_readers(&slot, author, own);
        }
        self.broadcast.note(author, key);
    }

    pub(super) fn tell_readers(&mut self, slot: &Slot, by: Author, own: Option<Author>) {
        let mut array = Vec::with_capacity(slot.key.len() + 32);
        reply::array_header(&mut array, 1);
        reply::bulk(&mut array, &slot.key);
        for reader in slot.readers() {
            let Some(client) = self.clients.get(reader) else {
                continue;
            };
            let it = author(self.shard, reader);
            let is_spared = client.modes.noloop && it == by;
            // A client that broadcasts now may have read keys before.
            if client.modes.bcast || is_spared {
                continue;
            }
            let is_told_here = client
                .redirect
                .is_none_or(|redirect| redirect.token == reader && redirect.shard == self.shard);
            if own == Some(it) && by == it && is_told_here {
                encode_invalidation(&mut self.own, &array);
            } else {
                self.tell(reader, &array);
            }
        }
    }

    /// Tells a client, or whom it redirects to, of an encoded array of keys.
    pub(super) fn tell(&mut self, token: Token, array: &[u8]) {
        let redirect = self.clients.get(token).and_then(|client| client.redirect);
        match redirect {
            Some(Redirect {
                id,
                shard,
                token: to,
            }) => {
                let letter = Letter::Redirected {
                    to,
                    id,
                    client: token,
                    array: array.into(),
                };
                if !self.post.push(shard, letter) {
                    self.drop_all_redirected_to(shard);
                }
            }
            None => self.clients.mail_keys(token, array),
        }
    }

    /// Too much was posted to a shard and is lost: who hears there must drop everything.
    pub(super) fn drop_all_redirected_to(&mut self, shard: usize) {
        for token in self.clients.tokens() {
            let Some(client) = self.clients.get(token) else {
                continue;
            };
            if let Some(Redirect { id, token: to, .. }) =
                client.redirect.filter(|redirect| redirect.shard == shard)
            {
                let letter = Letter::Redirected {
                    to,
                    id,
                    client: token,
                    array: null(client.version).into(),
                };
                self.post.push_anyway(shard, letter);
            }
        }
    }

    /// Who a client redirects to has gone.
    pub(super) fn redirect_failed(&mut self, token: Token, id: u64) {
        if let Some(client) = self.clients.get_mut(token)
            && client.redirect.is_some_and(|redirect| redirect.id == id)
        {
            client.is_redirect_broken = true;
            self.clients.mail_broken_redirect(token, id);
        }
    }

    /// Tells everybody but `but`, who knows, that nothing they hold can be relied on.
    pub(super) fn drop_everything(&mut self, but: Option<Token>) {
        for hash in self.table.drain() {
            self.listening.remove(hash);
        }
        let tokens: Vec<Token> = self.clients.tokens().collect();
        for token in tokens.into_iter().filter(|token| Some(*token) != but) {
            let version = self.clients.get(token).map(|client| client.version);
            self.tell(token, null(version.unwrap_or_default()));
        }
    }
}

/// What stands for the array of keys when all are meant. It is the null of whom the keys are
/// tracked for, whoever is told.
pub(in crate::shard) fn null(version: Version) -> &'static [u8] {
    match version {
        Version::Resp2 => b"$-1\r\n",
        Version::Resp3 => b"_\r\n",
    }
}
