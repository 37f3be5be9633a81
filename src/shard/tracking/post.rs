//! What shards tell each other of changes, and handing clients what they are to be told.

use std::collections::VecDeque;

use crate::{
    io::{Io, Token},
    shard::{
        core::Core,
        message::{Letter, Notice},
        settings::LETTERS_BYTES_MAX,
        turn::Shard,
    },
};

/// Notices kept for reuse.
const SPARE_NOTICES_MAX: usize = 16;

/// Letters to and from other shards.
#[derive(Debug, Default)]
pub(super) struct Post {
    /// To be sent, by shard; those to this one are delivered without being sent.
    outgoing: Vec<Letters>,
    /// Come in, with the shard they come from.
    incoming: VecDeque<(usize, Letter)>,
    /// Notices to use again, empty.
    #[expect(clippy::vec_box, reason = "the boxes are what is kept")]
    spare: Vec<Box<Notice>>,
}

#[derive(Debug, Default)]
struct Letters {
    letters: Vec<Letter>,
    bytes: usize,
}

impl Post {
    /// Whether something waits to be sent or delivered.
    pub(super) fn is_empty(&self) -> bool {
        self.incoming.is_empty() && self.outgoing.iter().all(|one| one.letters.is_empty())
    }

    /// Posts a letter. False if there is no room: then some of what was posted is lost.
    #[must_use]
    pub(super) fn push(&mut self, shard: usize, letter: Letter) -> bool {
        if self.outgoing.len() <= shard {
            self.outgoing.resize_with(shard + 1, Letters::default);
        }
        let Letters { letters, bytes } = &mut self.outgoing[shard];
        if *bytes + letter.bytes() > LETTERS_BYTES_MAX {
            letters.clear();
            *bytes = 0;
            return false;
        }
        *bytes += letter.bytes();
        letters.push(letter);
        true
    }

    /// Posts what stands for what was lost: one letter a client, which there is always room for.
    pub(super) fn push_anyway(&mut self, shard: usize, letter: Letter) {
        if let Some(letters) = self.outgoing.get_mut(shard) {
            letters.letters.push(letter);
        }
    }
}

impl Core {
    /// Whether clients or other shards may be to be told something.
    #[inline]
    pub(in crate::shard) fn has_to_tell(&self) -> bool {
        self.store.has_listeners()
            || self.tracking.listening.has_unsent()
            || self.tracking.has_post()
    }

    /// Whether something could not be sent for lack of room in a lane.
    pub(in crate::shard) fn has_unsent_notices(&self) -> bool {
        self.has_to_tell()
            && (self.store.has_notes()
                || self.tracking.listening.has_unsent()
                || !self.tracking.post.is_empty())
    }

    /// All that waits to be told to another shard, to be sent there before anything else is.
    pub(in crate::shard) fn notice_for(&mut self, shard: usize) -> Option<Box<Notice>> {
        let post = &mut self.tracking.post;
        let letters = post.outgoing.get_mut(shard);
        let letters = letters.filter(|letters| !letters.letters.is_empty());
        let notes = self.store.notes_mut(shard);
        let notes = notes.filter(|notes| !notes.is_empty());
        if letters.is_none() && notes.is_none() {
            return None;
        }
        let mut notice = post.spare.pop().unwrap_or_default();
        if let Some(notes) = notes {
            core::mem::swap(&mut notice.notes, notes);
        }
        if let Some(letters) = letters {
            letters.bytes = 0;
            core::mem::swap(&mut notice.letters, &mut letters.letters);
        }
        Some(notice)
    }

    /// Sends each other shard what it is to be told. What a lane has no room for waits.
    fn send_notices(&mut self) {
        let me = self.shard();
        for shard in (0..self.mesh.shard_count()).filter(|shard| *shard != me) {
            let Some(notice) = self.notice_for(shard) else {
                continue;
            };
            if let Err(mut notice) = self.mesh.notify(shard, notice) {
                // Nothing was noted meanwhile: back to where it was.
                if let Some(notes) = self.store.notes_mut(shard) {
                    core::mem::swap(&mut notice.notes, notes);
                }
                for letter in notice.letters.drain(..) {
                    self.post_letter(shard, letter);
                }
                self.put_notice(notice);
            }
        }
        self.store.renew_has_notes();
    }

    fn put_notice(&mut self, mut notice: Box<Notice>) {
        if self.tracking.post.spare.len() < SPARE_NOTICES_MAX {
            notice.notes.clear();
            notice.letters.clear();
            self.tracking.post.spare.push(notice);
        }
    }

    /// Hears what another shard has sent unasked.
    pub(in crate::shard) fn hear_notices(&mut self, from: usize) {
        while let Some(notice) = self.mesh.next_notice(from) {
            self.hear_notice(from, notice, None);
        }
    }

    /// Hears what another shard says. What `answered`, a client that is about to be answered, has
    /// changed itself it is [told behind that answer](super::Tracking::own).
    pub(in crate::shard) fn hear_notice(
        &mut self,
        from: usize,
        mut notice: Box<Notice>,
        answered: Option<Token>,
    ) {
        self.hear(&notice.notes, answered);
        let incoming = &mut self.tracking.post.incoming;
        incoming.extend(notice.letters.drain(..).map(|letter| (from, letter)));
        self.put_notice(notice);
    }

    /// Hears what this shard has noted of its own partition.
    pub(in crate::shard) fn settle_notes(&mut self, answered: Option<Token>) {
        let me = self.shard();
        if !self.store.has_notes() {
            return;
        }
        let mut notes = core::mem::take(&mut self.tracking.idle_notes);
        if let Some(noted) = self.store.notes_mut(me) {
            core::mem::swap(&mut notes, noted);
        }
        self.hear(&notes, answered);
        notes.clear();
        self.tracking.idle_notes = notes;
    }

    /// Posts a letter to a client of another shard, or of this one.
    pub(super) fn post_letter(&mut self, shard: usize, letter: Letter) {
        if !self.tracking.post.push(shard, letter) {
            self.tracking.drop_all_redirected_to(shard);
        }
    }

    fn next_letter(&mut self) -> Option<(usize, Letter)> {
        let me = self.shard();
        let post = &mut self.tracking.post;
        if let Some(own) = post.outgoing.get_mut(me)
            && !own.letters.is_empty()
        {
            own.bytes = 0;
            post.incoming
                .extend(own.letters.drain(..).map(|letter| (me, letter)));
        }
        post.incoming.pop_front()
    }
}

impl<I: Io> Shard<I> {
    /// Tells clients and other shards what they are to be told, at the end of a turn.
    pub(in crate::shard) fn tell(&mut self) {
        if !self.core.has_to_tell() {
            return;
        }
        self.core.settle_broadcast();
        while let Some((from, letter)) = self.core.next_letter() {
            self.deliver(from, letter);
        }
        while let Some(token) = self.core.tracking.clients.next_listed() {
            if let Some(mail) = self.core.tracking.clients.take_mail(token)
                && let Some(conn) = self.peers.downstream(token)
            {
                conn.session.push(&mut self.core.buffers, &mail);
                self.core.tracking.clients.put_mail(token, mail);
                self.settle(token);
            }
        }
        self.core.send_listens();
        self.core.send_notices();
        let gauges = self.core.board.tracking(self.core.shard());
        self.core.tracking.gauge(gauges);
    }

    fn deliver(&mut self, from: usize, letter: Letter) {
        match letter {
            Letter::Redirected {
                to,
                id,
                client,
                array,
            } => {
                let conn = self.peers.downstream(to);
                let session = conn.map(|conn| &mut conn.session);
                let target = session.filter(|session| session.client_id() == Some(id));
                match target {
                    Some(session) => {
                        session.push_redirected(&mut self.core.buffers, &array);
                        self.settle(to);
                    }
                    None => {
                        let letter = Letter::Undelivered { client, id };
                        self.core.post_letter(from, letter);
                    }
                }
            }
            Letter::Undelivered { client, id } => self.core.tracking.redirect_failed(client, id),
        }
    }
}
