//! Who is at the other end of each of a shard's sockets.

use super::downstream::Downstream;
use crate::io::Token;

/// Who is at the other end of a socket.
pub(super) enum Peer {
    Downstream(Box<Downstream>),
    Backend {
        /// The link's number.
        link: usize,
    },
    /// A server on behalf of one client.
    Dedicated {
        slot: usize,
    },
}

/// Peers by their socket's token.
///
/// Invariant: the peer in slot `n` belongs to a token whose index is `n`.
#[derive(Default)]
pub(super) struct Peers {
    slots: Vec<Option<(Token, Peer)>>,
}

impl Peers {
    /// The peer of a token, unless the socket is gone and its slot another's.
    pub(super) fn find(&mut self, token: Token) -> Option<&mut Peer> {
        match self.slots.get_mut(token.index()) {
            Some(Some((owner, peer))) if *owner == token => Some(peer),
            _ => None,
        }
    }

    /// The client's connection of a token.
    pub(super) fn downstream(&mut self, token: Token) -> Option<&mut Downstream> {
        match self.find(token) {
            Some(Peer::Downstream(conn)) => Some(conn),
            _ => None,
        }
    }

    /// The same, to look at.
    pub(super) fn as_downstream(&self, token: Token) -> Option<&Downstream> {
        match self.slots.get(token.index()) {
            Some(Some((owner, Peer::Downstream(conn)))) if *owner == token => Some(conn),
            _ => None,
        }
    }

    /// The backend server of a token.
    pub(super) fn backend(&mut self, token: Token) -> Option<usize> {
        match self.find(token) {
            Some(Peer::Backend { link }) => Some(*link),
            _ => None,
        }
    }

    /// The place of a connection that is one client's.
    pub(super) fn dedicated(&mut self, token: Token) -> Option<usize> {
        match self.find(token) {
            Some(Peer::Dedicated { slot }) => Some(*slot),
            _ => None,
        }
    }

    pub(super) fn insert(&mut self, token: Token, peer: Peer) {
        if self.slots.len() <= token.index() {
            self.slots.resize_with(token.index() + 1, || None);
        }
        self.slots[token.index()] = Some((token, peer));
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<Peer> {
        self.find(token)?;
        self.slots[token.index()].take().map(|(_, peer)| peer)
    }

    /// The tokens of the clients that `is_meant` accepts.
    pub(super) fn downstreams(&self, is_meant: impl Fn(&Downstream) -> bool) -> Vec<Token> {
        let tokens = self
            .slots
            .iter()
            .flatten()
            .filter_map(|(token, peer)| match peer {
                Peer::Downstream(conn) if is_meant(conn) => Some(*token),
                _ => None,
            });
        tokens.collect()
    }
}
