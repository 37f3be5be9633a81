//! Broadcasting (CLIENT TRACKING's BCAST): clients that hear of every change under a prefix, and
//! the changes of a turn, which they are told together.

use std::collections::BTreeMap;

use crate::{
    io::Token,
    protocol::resp::reply,
    store::{Author, Key, Note, Notes, Prefixes},
};

/// Prefixes that clients of one shard may ask for, in all: every change is held against them.
pub(super) const PREFIXES_MAX: usize = 4_096;

/// Who asked for which prefix, and what changed under any of them in this turn.
#[derive(Debug, Default)]
pub(super) struct Broadcast {
    clients: BTreeMap<Box<[u8]>, Vec<Token>>,
    prefixes: Prefixes,
    changes: Notes,
}

impl Broadcast {
    /// Whether so many more prefixes are too many.
    pub(super) fn is_over(&self, more: usize) -> bool {
        self.clients.len() + more > PREFIXES_MAX
    }

    /// How many prefixes there are.
    pub(super) fn count(&self) -> usize {
        self.clients.len()
    }

    /// What the owners of keys are to look for.
    pub(super) fn prefixes(&self) -> &Prefixes {
        &self.prefixes
    }

    /// A client wants to hear of these, beside what it asked for before.
    pub(super) fn add<'p>(&mut self, client: Token, prefixes: impl IntoIterator<Item = &'p [u8]>) {
        for prefix in prefixes {
            let clients = self.clients.entry(prefix.into()).or_default();
            if !clients.contains(&client) {
                clients.push(client);
            }
        }
        self.renew();
    }

    /// A client wants to hear of nothing any more.
    pub(super) fn remove(&mut self, client: Token) {
        self.clients.retain(|_, clients| {
            clients.retain(|one| *one != client);
            !clients.is_empty()
        });
        self.renew();
    }

    fn renew(&mut self) {
        self.prefixes = Prefixes::new(self.clients.keys().map(|prefix| &**prefix));
    }

    /// What a client has asked for, in order.
    pub(super) fn of(&self, client: Token) -> impl Iterator<Item = &[u8]> {
        let clients = self.clients.iter();
        clients
            .filter(move |(_, clients)| clients.contains(&client))
            .map(|(prefix, _)| &**prefix)
    }

    /// A key has changed.
    pub(super) fn note(&mut self, author: Author, key: Key<'_>) {
        if self.prefixes.cover(key.bytes) {
            // Whoever asks for prefixes is told of all.
            let number = 0;
            self.changes.push(Note {
                author,
                key,
                number,
            });
        }
    }

    /// Whether there were more changes in this turn than can be told one by one. Forgets that.
    pub(super) fn take_lost(&mut self) -> bool {
        core::mem::take(&mut self.changes.is_lost)
    }

    /// Ends the turn: calls `tell` for each client and prefix with the array of the keys that
    /// changed under it, without those last changed by whom `spared` names for that client. Both
    /// are given `clients`.
    pub(super) fn tell<C>(
        &mut self,
        clients: &mut C,
        spared: impl Fn(&C, Token) -> Option<Author>,
        mut tell: impl FnMut(&mut C, Token, &[u8]),
    ) {
        if self.changes.is_empty() {
            return;
        }
        let changes = Changes::new(&self.changes);
        let (mut common, mut own) = (Vec::new(), Vec::new());
        for (prefix, tokens) in &self.clients {
            let changes = changes.under(prefix);
            encode(changes, None, &mut common);
            for client in tokens {
                let array = match spared(clients, *client) {
                    None => &common,
                    author => {
                        encode(changes, author, &mut own);
                        &own
                    }
                };
                if !array.is_empty() {
                    tell(clients, *client, array);
                }
            }
        }
        self.changes.clear();
    }
}

/// Keys in order, each with who changed it last.
struct Changes<'n>(Vec<(&'n [u8], Author)>);

impl<'n> Changes<'n> {
    fn new(notes: &'n Notes) -> Self {
        let mut changes: Vec<_> = notes
            .iter()
            .map(|note| (note.key.bytes, note.author))
            .collect();
        changes.sort_by_key(|change| change.0);
        changes.dedup_by(|later, first| {
            let is_same = later.0 == first.0;
            if is_same {
                first.1 = later.1;
            }
            is_same
        });
        Self(changes)
    }

    /// Those that begin so: they stand together.
    fn under(&self, prefix: &[u8]) -> &[(&'n [u8], Author)] {
        let start = self.0.partition_point(|change| change.0 < prefix);
        let rest = &self.0[start..];
        let count = rest.partition_point(|change| change.0.starts_with(prefix));
        &rest[..count]
    }
}

/// Makes `out` the array of the keys that somebody else than `spared` changed; empty if there are
/// none.
fn encode(changes: &[(&[u8], Author)], spared: Option<Author>, out: &mut Vec<u8>) {
    out.clear();
    let keys = changes.iter().filter(|change| Some(change.1) != spared);
    let count = keys.clone().count();
    if count > 0 {
        reply::array_header(out, count);
        keys.for_each(|change| reply::bulk(out, change.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeyHasher;

    fn token(number: u64) -> Token {
        Token::from_bits(number)
    }

    /// What each client is told, in order.
    fn told(broadcast: &mut Broadcast, noloop: &[u64]) -> Vec<(usize, String)> {
        let mut told = Vec::new();
        let spared = |_: &Vec<_>, client: Token| {
            let author = client.to_bits();
            noloop.contains(&author).then_some(Author(author))
        };
        broadcast.tell(&mut told, spared, |told, client, array| {
            let text = String::from_utf8(array.to_vec()).unwrap();
            told.push((client.index(), text.replace("\r\n", " ")));
        });
        told
    }

    fn change(broadcast: &mut Broadcast, author: u64, key: &str) {
        let key = KeyHasher::new(1).key(key.as_bytes());
        broadcast.note(Author(author), key);
    }

    #[test]
    fn a_client_hears_once_a_turn_of_what_changed_under_its_prefixes() {
        let mut broadcast = Broadcast::default();
        broadcast.add(token(1), [&b""[..]]);
        broadcast.add(token(2), [&b"u:"[..], b"v:"]);
        for key in ["u:2", "x", "u:1", "u:2", "v:"] {
            change(&mut broadcast, 9, key);
        }
        let expected = [
            (1, "*4 $3 u:1 $3 u:2 $2 v: $1 x ".to_owned()),
            (2, "*2 $3 u:1 $3 u:2 ".to_owned()),
            (2, "*1 $2 v: ".to_owned()),
        ];
        assert_eq!(told(&mut broadcast, &[]), expected);
        assert_eq!(told(&mut broadcast, &[]), []);
    }

    #[test]
    fn the_last_author_counts() {
        let mut broadcast = Broadcast::default();
        broadcast.add(token(1), [&b""[..]]);
        broadcast.add(token(2), [&b""[..]]);
        change(&mut broadcast, 2, "a");
        change(&mut broadcast, 1, "a");
        change(&mut broadcast, 1, "b");
        change(&mut broadcast, 2, "b");
        let expected = [(1, "*1 $1 b ".to_owned()), (2, "*1 $1 a ".to_owned())];
        assert_eq!(told(&mut broadcast, &[1, 2]), expected);
    }

    #[test]
    fn what_nobody_asked_for_any_more_is_not_kept() {
        let mut broadcast = Broadcast::default();
        broadcast.add(token(1), [&b"a"[..], b"b"]);
        broadcast.add(token(2), [&b"b"[..], b"b"]);
        assert_eq!(broadcast.of(token(1)).collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(
            (broadcast.count(), broadcast.is_over(PREFIXES_MAX)),
            (2, true)
        );
        broadcast.remove(token(1));
        change(&mut broadcast, 9, "a1");
        change(&mut broadcast, 9, "b1");
        assert_eq!(told(&mut broadcast, &[]), [(2, "*1 $2 b1 ".to_owned())]);
        broadcast.remove(token(2));
        assert!(broadcast.count() == 0 && !broadcast.prefixes().cover(b"b1"));
    }
}
