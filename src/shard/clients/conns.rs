//! memcache's `stats conns`, as far as one shard's connections go: those of both front ends, and
//! the listeners, in memcached's words.

use std::io::Write as _;

use super::super::{downstream::Downstream, round::Share, turn::Shard};
use crate::{
    io::{Io, ListenerId, Token},
    protocol::memcache::reply,
};

impl<I: Io> Shard<I> {
    /// The lines of each connection and listener, ordered by descriptor. A connection whose peer is
    /// gone is left out: it is about to be closed.
    pub(super) fn list_conns(&self, asker: Option<Token>) -> Share {
        let now = self.core.seconds_since_start();
        let mut items = Vec::new();
        for listener in ListenerId::ALL {
            if let Some(end) = self.io.listener_end(listener) {
                let conn = Conn {
                    addr: address(end.local, end.local.is_ipv6()),
                    listen_addr: None,
                    state: "conn_listening",
                    idle_seconds: now,
                };
                items.push(conn.item(end.descriptor));
            }
        }
        for token in self.peers.downstreams(|_| true) {
            let ends = self.io.endpoints(token);
            if let (Some(conn), Some(ends)) = (self.peers.as_downstream(token), ends) {
                let conn = Conn {
                    addr: address(ends.peer, ends.peer.is_ipv6()),
                    listen_addr: Some(address(ends.local, ends.local.is_ipv6())),
                    state: state(conn, asker == Some(token)),
                    idle_seconds: conn.idle_seconds(now),
                };
                items.push(conn.item(ends.descriptor));
            }
        }
        Share {
            items,
            ..Share::default()
        }
    }
}

/// What is told of a connection, or of a listener.
struct Conn {
    addr: String,
    /// What was connected to; nothing for a listener.
    listen_addr: Option<String>,
    state: &'static str,
    idle_seconds: u32,
}

impl Conn {
    fn item(self, descriptor: i32) -> (u64, Vec<u8>) {
        let mut lines = Vec::new();
        let mut name = Vec::new();
        let mut put = |field: &str, value: String| {
            name.clear();
            // Writing to a Vec cannot fail.
            let _ = write!(name, "{descriptor}:{field}");
            reply::stat(&mut lines, &name, value);
        };
        put("addr", self.addr);
        if let Some(listen_addr) = self.listen_addr {
            put("listen_addr", listen_addr);
        }
        put("state", self.state.to_owned());
        put("secs_since_last_cmd", self.idle_seconds.to_string());
        (u64::try_from(descriptor).unwrap_or_default(), lines)
    }
}

/// An address as memcached writes it.
fn address(address: impl std::fmt::Display, is_ipv6: bool) -> String {
    let protocol = if is_ipv6 { "tcp6" } else { "tcp" };
    format!("{protocol}:{address}")
}

/// What a connection does, in the word for what memcached would be doing with it.
fn state(conn: &Downstream, is_asker: bool) -> &'static str {
    let session = &conn.session;
    if is_asker {
        "conn_parse_cmd"
    } else if conn.is_ending() {
        "conn_closing"
    } else if conn.is_sending() {
        "conn_mwrite"
    } else if conn.is_held() || session.replies.pending_count() > 0 {
        "conn_io_queue"
    } else if session.swallow > 0 {
        "conn_swallow"
    } else if conn.is_amid_block() {
        "conn_nread"
    } else if session.is_new() {
        "conn_new_cmd"
    } else {
        "conn_read"
    }
}
