//! The clients of this shard that track, and what they are to be told.

use crate::{
    io::Token,
    protocol::resp::{Version, reply},
    shard::settings::PUSH_BYTES_MAX,
};

/// How a client tracks (CLIENT TRACKING's options).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::shard) struct Modes {
    /// It hears of changes under prefixes, whatever it read.
    pub(in crate::shard) bcast: bool,
    /// It hears of what it read after CLIENT CACHING yes.
    pub(in crate::shard) optin: bool,
    /// It hears of what it read but after CLIENT CACHING no.
    pub(in crate::shard) optout: bool,
    /// It does not hear of its own changes.
    pub(in crate::shard) noloop: bool,
}

/// Who is told in a client's stead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) struct Redirect {
    /// Its CLIENT ID.
    pub(in crate::shard) id: u64,
    /// The shard that it is connected to.
    pub(in crate::shard) shard: usize,
    pub(in crate::shard) token: Token,
}

/// A client that tracks.
#[derive(Debug)]
pub(in crate::shard) struct TrackingClient {
    pub(in crate::shard) modes: Modes,
    pub(in crate::shard) redirect: Option<Redirect>,
    /// Who it redirects to has gone.
    pub(in crate::shard) is_redirect_broken: bool,
    pub(in crate::shard) version: Version,
    /// Its CLIENT TRACKING is not answered yet, so it is told nothing for now.
    pub(in crate::shard) is_unanswered: bool,
    /// Push frames that wait for a place between two replies.
    mail: Vec<u8>,
    /// It stands in the list of those with mail.
    is_listed: bool,
}

impl TrackingClient {
    pub(super) fn new(version: Version) -> Self {
        Self {
            modes: Modes::default(),
            redirect: None,
            is_redirect_broken: false,
            version,
            is_unanswered: false,
            mail: Vec::new(),
            is_listed: false,
        }
    }
}

/// Clients by token.
///
/// Invariant: slot `n` has a client whose token's index is `n`.
#[derive(Debug, Default)]
pub(super) struct Clients {
    slots: Vec<Option<(Token, Box<TrackingClient>)>>,
    count: usize,
    /// Clients with mail.
    listed: Vec<Token>,
}

impl Clients {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn get(&self, token: Token) -> Option<&TrackingClient> {
        match self.slots.get(token.index()) {
            Some(Some((owner, client))) if *owner == token => Some(client),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut TrackingClient> {
        match self.slots.get_mut(token.index()) {
            Some(Some((owner, client))) if *owner == token => Some(client),
            _ => None,
        }
    }

    /// The client of a token; a new one if there is none.
    pub(super) fn enter(&mut self, token: Token, version: Version) -> &mut TrackingClient {
        if self.slots.len() <= token.index() {
            self.slots.resize_with(token.index() + 1, || None);
        }
        let slot = &mut self.slots[token.index()];
        if slot.as_ref().is_some_and(|(owner, _)| *owner != token) {
            *slot = None;
            self.count -= 1;
        }
        if slot.is_none() {
            self.count += 1;
        }
        let new = || (token, Box::new(TrackingClient::new(version)));
        &mut slot.get_or_insert_with(new).1
    }

    pub(super) fn remove(&mut self, token: Token) {
        if self.get(token).is_some() {
            self.slots[token.index()] = None;
            self.count -= 1;
        }
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> {
        self.slots.iter().flatten().map(|(token, _)| *token)
    }

    /// Puts a push frame in a client's mail: an invalidation of the keys of an encoded array.
    pub(super) fn mail_keys(&mut self, token: Token, array: &[u8]) {
        self.mail(token, |mail| encode_invalidation(mail, array));
    }

    /// Puts a push frame in a client's mail: who it redirects to has gone.
    pub(super) fn mail_broken_redirect(&mut self, token: Token, id: u64) {
        self.mail(token, |mail| {
            reply::push_header(mail, 2);
            reply::bulk(mail, b"tracking-redir-broken");
            reply::integer(mail, id as i64);
        });
    }

    fn mail(&mut self, token: Token, encode: impl FnOnce(&mut Vec<u8>)) {
        let Some(client) = self.get_mut(token) else {
            return;
        };
        // RESP2 has no pushes; and who is that far behind is closed when this is delivered.
        if client.version == Version::Resp2 || client.mail.len() > PUSH_BYTES_MAX {
            return;
        }
        encode(&mut client.mail);
        if !client.is_listed {
            client.is_listed = true;
            self.listed.push(token);
        }
    }

    /// Takes a client's mail, if it has any.
    pub(super) fn take_mail(&mut self, token: Token) -> Option<Vec<u8>> {
        let client = self.get_mut(token)?;
        if client.is_unanswered {
            return None;
        }
        let mail = core::mem::take(&mut client.mail);
        (!mail.is_empty()).then_some(mail)
    }

    /// Gives the buffer of a client's mail back.
    pub(super) fn put_mail(&mut self, token: Token, mut mail: Vec<u8>) {
        const KEPT_BYTES_MAX: usize = 4 * 1024;
        let client = self.get_mut(token);
        if let Some(client) = client.filter(|client| client.mail.capacity() == 0)
            && mail.capacity() <= KEPT_BYTES_MAX
        {
            mail.clear();
            client.mail = mail;
        }
    }

    /// Whether anybody has mail.
    pub(super) fn has_mail(&self) -> bool {
        !self.listed.is_empty()
    }

    /// A client whose mail is to be delivered.
    pub(super) fn next_listed(&mut self) -> Option<Token> {
        let token = self.listed.pop()?;
        if let Some(client) = self.get_mut(token) {
            client.is_listed = false;
        }
        Some(token)
    }
}

/// Appends the push frame that tells RESP3 clients of the keys of an encoded array.
pub(in crate::shard) fn encode_invalidation(out: &mut Vec<u8>, array: &[u8]) {
    reply::push_header(out, 2);
    reply::bulk(out, b"invalidate");
    out.extend_from_slice(array);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_for_who_is_there_and_speaks_resp3() {
        let mut clients = Clients::default();
        let (old, new, plain) = (1 << 32 | 5, 2 << 32 | 5, 7);
        let [old, new, plain] = [old, new, plain].map(Token::from_bits);
        clients.enter(old, Version::Resp3);
        clients.enter(new, Version::Resp3);
        clients.enter(plain, Version::Resp2);
        assert_eq!(clients.count(), 2, "one slot, one client");
        for token in [old, new, plain] {
            clients.mail_keys(token, b"*0\r\n");
        }
        clients.mail_broken_redirect(new, 9);
        assert!(clients.has_mail());
        assert_eq!(clients.next_listed(), Some(new));
        assert_eq!(clients.next_listed(), None);
        let expected =
            b">2\r\n$10\r\ninvalidate\r\n*0\r\n>2\r\n$21\r\ntracking-redir-broken\r\n:9\r\n";
        assert_eq!(clients.take_mail(new).as_deref(), Some(&expected[..]));
        assert_eq!(clients.take_mail(new), None);
        clients.remove(old);
        assert_eq!(clients.count(), 2, "it had gone");
        clients.remove(new);
        assert_eq!(clients.tokens().collect::<Vec<_>>(), [plain]);
    }

    #[test]
    fn mail_is_bounded() {
        let mut clients = Clients::default();
        let token = Token::from_bits(1);
        clients.enter(token, Version::Resp3);
        for _ in 0..2 * PUSH_BYTES_MAX / 1000 {
            clients.mail_keys(token, &[b'x'; 1000]);
        }
        let bytes = clients.take_mail(token).map_or(0, |mail| mail.len());
        assert!((PUSH_BYTES_MAX..PUSH_BYTES_MAX + 2000).contains(&bytes));
    }
}
