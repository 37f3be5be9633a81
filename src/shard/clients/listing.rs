//! CLIENT LIST, INFO and KILL, as far as one shard's clients go.

use std::io::Write as _;

use super::super::{
    downstream::Downstream,
    resp::{Client, Transaction},
    round::{ClientsWanted, Kill, Share},
    turn::Shard,
};
use crate::{
    io::{Io, Token},
    protocol::resp::{ClientKind, DEFAULT_USER, Version, table},
};

/// A connection's ends as Redis writes them: the peer's, then ours. The peer's is unknown once it
/// is gone.
pub(super) fn addresses(io: &impl Io, token: Token) -> (String, String) {
    match io.endpoints(token) {
        Some(ends) => (ends.peer.to_string(), ends.local.to_string()),
        None => ("?:0".to_owned(), "?:0".to_owned()),
    }
}

impl<I: Io> Shard<I> {
    /// The lines of the clients that are wanted. They are ordered by the clients' numbers, or as
    /// they were asked for.
    pub(super) fn list_clients(&self, wanted: &ClientsWanted) -> Share {
        let items = match wanted {
            ClientsWanted::All | ClientsWanted::Kind(_) => {
                let is_wanted = |conn: &Downstream| match wanted {
                    ClientsWanted::Kind(wanted) => kind(conn) == *wanted,
                    _ => true,
                };
                let tokens = self.peers.downstreams(is_wanted);
                tokens
                    .into_iter()
                    .filter_map(|token| self.line(token))
                    .collect()
            }
            ClientsWanted::Ids(ids) => {
                let own = self.own_ids();
                let places = ids.iter().zip(0..).filter_map(|(id, place)| {
                    let id = u64::try_from(*id).ok()?;
                    let found = own.binary_search_by_key(&id, |(id, _)| *id).ok()?;
                    let (_, line) = self.line(own[found].1)?;
                    Some((place, line))
                });
                places.collect()
            }
        };
        Share {
            items,
            ..Share::default()
        }
    }

    /// This shard's clients by number, in order.
    fn own_ids(&self) -> Vec<(u64, Token)> {
        let id = |token: Token| Some((self.peers.as_downstream(token)?.session.id, token));
        let tokens = self.peers.downstreams(|_| true);
        let mut ids: Vec<_> = tokens.into_iter().filter_map(id).collect();
        ids.sort_unstable_by_key(|(id, _)| *id);
        ids
    }

    /// One client's line.
    pub(super) fn list_client(&self, token: Option<Token>) -> Share {
        Share {
            items: token
                .and_then(|token| self.line(token))
                .into_iter()
                .collect(),
            ..Share::default()
        }
    }

    /// A client's number and line. Redis' fields, in its order; those that mean nothing here say
    /// what Redis says of a client to whom they do not apply.
    fn line(&self, token: Token) -> Option<(u64, Vec<u8>)> {
        let conn = self.peers.as_downstream(token)?;
        let session = &conn.session;
        let client = session.client();
        let (addr, laddr) = addresses(&self.io, token);
        let descriptor = self.io.endpoints(token).map_or(-1, |ends| ends.descriptor);
        let now = self.core.seconds_since_start();
        let command = session
            .command
            .and_then(table::row_of)
            .map_or("NULL", |spec| spec.name);
        let version = match client.map(|client| client.version) {
            None => 0,
            Some(Version::Resp2) => 2,
            Some(Version::Resp3) => 3,
        };
        let redirect = self.core.tracking.redirect_id(token);
        let transaction = client.and_then(|client| client.transaction.as_deref());
        let (queued, queued_bytes) = transaction.map_or((0, 0), Transaction::queued);
        let multi = if session.is_queueing {
            queued.to_string()
        } else {
            "-1".to_owned()
        };
        let (input, input_free) = conn.input_bytes();
        let output = session.replies.bytes();
        let mut line = Vec::new();
        // Writing to a Vec cannot fail.
        let _ = write!(
            line,
            "id={} addr={addr} laddr={laddr} fd={descriptor}",
            session.id
        );
        line.extend_from_slice(b" name=");
        line.extend_from_slice(client.map_or(b"", |client| client.name()));
        let _ = write!(
            line,
            " age={} idle={} flags={} db=0 sub={} psub=0 ssub=0 multi={multi} qbuf={input} \
             qbuf-free={input_free} argv-mem=0 multi-mem={queued_bytes} rbs={output} rbp={output} obl={output} \
             oll=0 omem=0 tot-mem={} events={} cmd={command} user={DEFAULT_USER} redir={redirect} \
             resp={version}",
            conn.age_seconds(now),
            conn.idle_seconds(now),
            self.flags(token, conn),
            u8::from(session.is_subscribed()),
            conn.memory_bytes() + queued_bytes,
            if conn.is_sending() { "rw" } else { "r" },
        );
        if let Some(client) = client {
            client.write_library(&mut line);
        }
        line.push(b'\n');
        Some((session.id, line))
    }

    fn flags(&self, token: Token, conn: &Downstream) -> String {
        let client = conn.session.client();
        let tracking = self.core.tracking.client(token);
        let flags = [
            ('P', conn.session.is_subscribed()),
            ('x', conn.session.is_queueing),
            (
                'b',
                conn.session.is_blocked() || (conn.is_held() && self.core.pause.is_on()),
            ),
            ('t', tracking.is_some()),
            (
                'R',
                tracking.is_some_and(|client| client.is_redirect_broken),
            ),
            ('B', tracking.is_some_and(|client| client.modes.bcast)),
            ('d', self.watches_a_change(token, client)),
            ('c', conn.is_ending()),
            ('e', client.is_some_and(|client| client.is_spared)),
            ('T', client.is_some_and(|client| !client.marks_use)),
        ];
        let set: String = flags
            .iter()
            .filter_map(|(flag, is_set)| is_set.then_some(*flag))
            .collect();
        if set.is_empty() { "N".to_owned() } else { set }
    }

    /// Whether EXEC would be refused for what the client watches.
    fn watches_a_change(&self, token: Token, client: Option<&Client>) -> bool {
        let transaction = client.and_then(|client| client.transaction.as_deref());
        transaction.is_some_and(|transaction| transaction.is_dirty(&self.core, token))
    }

    /// Closes the clients that are meant. The one who asks is closed after the reply.
    pub(super) fn kill_clients(&mut self, kill: &Kill, asker: Option<Token>) -> Share {
        let tokens = self.peers.downstreams(|conn| is_meant(conn, kill));
        let mut count = 0;
        for token in tokens {
            let (addr, laddr) = addresses(&self.io, token);
            let is_at = |wanted: &Option<Vec<u8>>, address: &str| {
                wanted
                    .as_ref()
                    .is_none_or(|wanted| wanted == address.as_bytes())
            };
            if !is_at(&kill.addr, &addr) || !is_at(&kill.laddr, &laddr) {
                continue;
            }
            count += 1;
            if Some(token) != asker {
                self.close_downstream(token);
            } else if let Some(conn) = self.peers.downstream(token) {
                conn.hang_up();
            }
        }
        Share {
            count,
            ..Share::default()
        }
    }
}

fn kind(conn: &Downstream) -> ClientKind {
    if conn.session.is_subscribed() {
        ClientKind::PubSub
    } else {
        ClientKind::Normal
    }
}

/// Whether a client meets all conditions but those on its addresses.
fn is_meant(conn: &Downstream, kill: &Kill) -> bool {
    let id = conn.session.id;
    kill.id.is_none_or(|wanted| wanted == id)
        && kill.kind.is_none_or(|wanted| wanted == kind(conn))
        && kill.spared != Some(id)
}
