//! A client that asks for one key and sets it, in either protocol, and what it hears.

use std::time::{Duration, Instant};

use crate::support::gated::Protocol;
use crate::support::wire::Wire;

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Value(String),
    Nothing,
    Stored,
    /// The text behind `SERVER_ERROR` or `-ERR`.
    Error(String),
}

impl Heard {
    pub(crate) fn value(text: &str) -> Self {
        Self::Value(text.to_owned())
    }

    pub(crate) const UNAVAILABLE: &str = "backend is unavailable";
    pub(crate) const LOST: &str = "backend connection was lost";
    pub(crate) const LATE: &str = "backend did not answer in time";

    pub(crate) fn error(text: &str) -> Self {
        Self::Error(text.to_owned())
    }
}

/// A client's one connection.
pub(crate) struct Client {
    wire: Wire,
    protocol: Protocol,
}

impl Client {
    pub(crate) fn new(wire: Wire, protocol: Protocol) -> Self {
        Self { wire, protocol }
    }

    /// Asks for a key; what it hears, and how long that took.
    pub(crate) fn get(&mut self, key: &str) -> (Heard, Duration) {
        let verb = match self.protocol {
            Protocol::Memcache => "get",
            Protocol::Resp => "GET",
        };
        self.ask(&format!("{verb} {key}\r\n"))
    }

    /// Sets a key.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> (Heard, Duration) {
        self.ask(&match self.protocol {
            Protocol::Memcache => format!("set {key} 0 0 {}\r\n{value}\r\n", value.len()),
            Protocol::Resp => format!("SET {key} {value}\r\n"),
        })
    }

    fn ask(&mut self, request: &str) -> (Heard, Duration) {
        let start = Instant::now();
        self.wire.send(request.as_bytes());
        let heard = match self.protocol {
            Protocol::Memcache => self.memcache(),
            Protocol::Resp => self.resp(),
        };
        (heard, start.elapsed())
    }

    fn memcache(&mut self) -> Heard {
        match &self.wire.line()[..] {
            "STORED" => Heard::Stored,
            "END" => Heard::Nothing,
            line => {
                if let Some(text) = line.strip_prefix("SERVER_ERROR ") {
                    return Heard::error(text);
                }
                assert!(line.starts_with("VALUE "), "{line:?}");
                let value = self.wire.line();
                self.wire.expect(b"END\r\n");
                Heard::Value(value)
            }
        }
    }

    fn resp(&mut self) -> Heard {
        match &self.wire.line()[..] {
            "+OK" => Heard::Stored,
            "$-1" => Heard::Nothing,
            line => {
                if let Some(text) = line.strip_prefix("-ERR ") {
                    return Heard::error(text);
                }
                assert!(line.starts_with('$'), "{line:?}");
                Heard::Value(self.wire.line())
            }
        }
    }
}
