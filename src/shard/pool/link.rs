//! One backend server as a shard sees it: its connection, what is in flight on it, and what it
//! still has to be told.

use std::net::SocketAddr;

use crate::shard::{
    buffers::BufferPool,
    pool::{errand::Pending, over_memcache, over_resp},
    settings::{BACKEND_DEADLINE_MS, RECONNECT_MS_MAX, RECONNECT_MS_MIN},
};
use crate::{
    backend::{Expects, InvalidationQueue, Pipeline},
    config::Protocol,
    io::{Io, Token},
    protocol::{
        memcache::{self, Spelling},
        number, resp,
    },
    store::{KeyHasher, UnixMs},
};

/// The state of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not connected; the next try is due at this time.
    Down { retry_at: UnixMs },
    /// The kernel is at it; requests queue up meanwhile.
    Connecting { token: Token, since: UnixMs },
    /// Connected.
    Up { token: Token, since: UnixMs },
}

/// What is spoken with a backend, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) struct Speech {
    pub(in crate::shard) protocol: Protocol,
    /// Clients may speak the other protocol.
    pub(in crate::shard) is_crossed: bool,
}

/// A backend server and this shard's connection to it.
#[derive(Debug)]
pub(in crate::shard) struct Link {
    pub(in crate::shard) address: SocketAddr,
    speech: Speech,
    state: State,
    /// The server is being asked, or was, what it is asked first.
    is_asked: bool,
    /// The server has answered that.
    is_greeted: bool,
    /// Whether it knew memcache's meta commands when it was asked last.
    knew_meta: bool,
    backoff_ms: u64,
    is_sending: bool,
    /// The backend refused a delete: the connection is to be given up and the delete repeated.
    pub(in crate::shard) refused: bool,
    pub(in crate::shard) pipeline: Pipeline<Pending>,
    pub(in crate::shard) invalidations: InvalidationQueue,
    /// The start of a reply that is not whole.
    pub(in crate::shard) input: bytes::BytesMut,
    /// Bytes of `input` before which looking again is pointless.
    pub(in crate::shard) want: usize,
}

impl Link {
    pub(in crate::shard) fn new(
        address: SocketAddr,
        speech: Speech,
        hasher: KeyHasher,
        value_bytes_max: usize,
    ) -> Self {
        Self {
            address,
            speech,
            state: State::Down {
                retry_at: UnixMs(0),
            },
            is_asked: false,
            is_greeted: false,
            knew_meta: false,
            backoff_ms: RECONNECT_MS_MIN,
            is_sending: false,
            refused: false,
            pipeline: Pipeline::new(speech.protocol, hasher, value_bytes_max),
            invalidations: InvalidationQueue::default(),
            input: bytes::BytesMut::new(),
            want: 1,
        }
    }

    /// Whether requests can be added: they are sent, or will be once the connect ends.
    pub(in crate::shard) fn takes_requests(&self) -> bool {
        !matches!(self.state, State::Down { .. })
    }

    pub(in crate::shard) fn token(&self) -> Option<Token> {
        match self.state {
            State::Down { .. } => None,
            State::Connecting { token, .. } | State::Up { token, .. } => Some(token),
        }
    }

    /// Whether time must be watched: a connection is missing or an answer is.
    pub(in crate::shard) fn needs_tick(&self) -> bool {
        !matches!(self.state, State::Up { .. }) || self.pipeline.in_flight() > 0 || self.refused
    }

    /// Connects if it is time to. The new connection's token, if one was started.
    pub(in crate::shard) fn connect_if_due(
        &mut self,
        now: UnixMs,
        io: &mut impl Io,
    ) -> Option<Token> {
        let State::Down { retry_at } = self.state else {
            return None;
        };
        if now < retry_at {
            return None;
        }
        match io.connect(self.address) {
            Ok(token) => {
                self.state = State::Connecting { token, since: now };
                self.greet(now);
                Some(token)
            }
            Err(_) => {
                self.back_off(now);
                None
            }
        }
    }

    /// Asks or tells a server what clients of the other protocol need to be served, before all
    /// else.
    pub(in crate::shard) fn greet(&mut self, now: UnixMs) {
        if !self.speech.is_crossed {
            return;
        }
        self.is_asked = true;
        let out = self.pipeline.push(Pending::Greeting, Expects::Line, now);
        match self.speech.protocol {
            Protocol::Memcache => out.extend_from_slice(b"version\r\n"),
            Protocol::Resp => over_resp::load(out),
        }
    }

    /// Asks a memcache server which it is, once a connection.
    pub(in crate::shard) fn ask_version(&mut self, now: UnixMs) {
        if !self.is_asked && self.takes_requests() {
            self.is_asked = true;
            let out = self.pipeline.push(Pending::Greeting, Expects::Line, now);
            out.extend_from_slice(b"version\r\n");
        }
    }

    /// The server has answered that.
    pub(in crate::shard) fn greeted(&mut self, failed: bool, line: &[u8]) {
        if failed {
            let line = line.trim_ascii_end().escape_ascii();
            tracing::warn!(backend = %self.address, "greeted, it said: {line}");
        }
        self.is_greeted = true;
        self.knew_meta = has_meta_commands(line);
    }

    /// Whether there is a connection whose server has not said yet what it knows.
    pub(in crate::shard) fn is_greeting(&self) -> bool {
        self.takes_requests() && !self.is_greeted
    }

    /// Whether the server is known to know memcache's meta commands.
    pub(in crate::shard) fn speaks_meta(&self) -> bool {
        self.is_greeted && self.knew_meta
    }

    /// The same of a server that may be away.
    pub(in crate::shard) fn spoke_meta(&self) -> bool {
        self.knew_meta
    }

    /// The connect succeeded.
    pub(in crate::shard) fn connected(&mut self, now: UnixMs) {
        if let State::Connecting { token, .. } = self.state {
            self.state = State::Up { token, since: now };
            self.pump_invalidations(now);
        }
    }

    /// Whether the backend has kept somebody waiting for too long.
    pub(in crate::shard) fn is_overdue(&self, now: UnixMs) -> bool {
        let since = match self.state {
            State::Connecting { since, .. } => Some(since),
            _ => None,
        };
        [since, self.pipeline.oldest()]
            .iter()
            .flatten()
            .any(|asked_at| now.0.saturating_sub(asked_at.0) > BACKEND_DEADLINE_MS)
    }

    /// Gives the connection up. Its token is to be closed, its requests are to be
    /// [abandoned](Pipeline::abandon); invalidations stay and are sent again.
    ///
    /// A connection that stood for a while is made again at once; else, and where deletes are
    /// refused, the pauses grow.
    pub(in crate::shard) fn disconnect(&mut self, now: UnixMs) -> Option<Token> {
        let token = self.token();
        let stood = match self.state {
            State::Up { since, .. } => now.0.saturating_sub(since.0) >= RECONNECT_MS_MAX,
            _ => false,
        };
        if stood && !self.refused {
            self.backoff_ms = RECONNECT_MS_MIN;
            self.state = State::Down { retry_at: now };
        } else {
            self.back_off(now);
        }
        self.is_asked = false;
        self.is_greeted = false;
        self.is_sending = false;
        self.refused = false;
        self.input.clear();
        self.want = 1;
        self.invalidations.reset();
        token
    }

    fn back_off(&mut self, now: UnixMs) {
        self.state = State::Down {
            retry_at: UnixMs(now.0 + self.backoff_ms),
        };
        self.backoff_ms = (self.backoff_ms * 2).min(RECONNECT_MS_MAX);
    }

    /// Adds deletes to the pipeline, as many as the queue's window allows.
    pub(in crate::shard) fn pump_invalidations(&mut self, now: UnixMs) {
        if !matches!(self.state, State::Up { .. }) {
            return;
        }
        while let Some(key) = self.invalidations.next_unsent() {
            let out = self
                .pipeline
                .push(Pending::Invalidation, Expects::Line, now);
            match self.speech.protocol {
                Protocol::Memcache if self.speech.is_crossed => {
                    let spelling = Spelling::of(key).unwrap_or(Spelling::Text);
                    over_memcache::encode_delete(out, key, spelling);
                }
                Protocol::Memcache => memcache::reply::encode_delete(out, key),
                Protocol::Resp => resp::reply::encode_command(out, &[b"DEL", key]),
            }
        }
    }

    /// Sends what has been added, unless a send is under way.
    pub(in crate::shard) fn flush(&mut self, io: &mut impl Io, buffers: &mut BufferPool) {
        if let State::Up { token, .. } = self.state
            && !self.is_sending
            && self.pipeline.has_output()
        {
            self.is_sending = true;
            io.send(token, self.pipeline.take_output(buffers.take()));
        }
    }

    /// A send ended.
    pub(in crate::shard) fn sent(&mut self) {
        self.is_sending = false;
    }
}

/// The first memcached whose meta commands are those of today, with keys in base64.
const META_SINCE: [u64; 3] = [1, 6, 10];

/// Whether a memcached of this version (`VERSION 1.6.18`) knows the meta commands.
fn has_meta_commands(line: &[u8]) -> bool {
    let Some(version) = line.strip_prefix(b"VERSION ") else {
        return false;
    };
    let is_digit = |byte: &&u8| byte.is_ascii_digit();
    let mut numbers = version.splitn(3, |byte| *byte == b'.').map(|part| {
        let digits = part.iter().take_while(is_digit).count();
        number::unsigned(&part[..digits]).unwrap_or(0)
    });
    let version: [u64; 3] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
    version >= META_SINCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_commands_are_as_old_as_1_6_10() {
        for (line, expected) in [
            ("VERSION 1.6.18\r\n", true),
            ("VERSION 1.6.10\r\n", true),
            ("VERSION 1.6.18-ringfort-0.1.0\r\n", true),
            ("VERSION 1.10.0\r\n", true),
            ("VERSION 2\r\n", true),
            ("VERSION 1.6.9\r\n", false),
            ("VERSION 1.4.39\r\n", false),
            ("VERSION 1.6\r\n", false),
            ("VERSION unknown\r\n", false),
            ("ERROR\r\n", false),
        ] {
            assert_eq!(has_meta_commands(line.as_bytes()), expected, "{line:?}");
        }
    }
}
