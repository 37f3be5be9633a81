//! The promise: the rules of docs/protocols.md hold where one protocol meets the other: in embedded mode, where both
//! share the store, and in front of pools that speak only one of them.

mod support;
#[path = "support/transcript.rs"]
mod transcript;

#[path = "crossing/embedded.rs"]
mod embedded;
#[path = "crossing/meta.rs"]
mod meta;
#[path = "crossing/meta_over_redis.rs"]
mod meta_over_redis;
#[path = "crossing/over_memcache.rs"]
mod over_memcache;
#[path = "crossing/over_redis.rs"]
mod over_redis;
#[path = "crossing/promises.rs"]
mod promises;
#[path = "crossing/too_large.rs"]
mod too_large;

use std::net::SocketAddr;
use std::path::Path;

use support::backends::Backend;
use support::ringfort::Ringfort;
use support::wire::Wire;
use transcript::{Conversation, Player, Script, Side, namespace};

/// A ringfort that serves both protocols in front of two real servers that speak one.
pub(crate) struct Crossed {
    pub(crate) ringfort: Ringfort,
    pub(crate) backends: [Backend; 2],
}

impl Crossed {
    pub(crate) fn over_redis(flags: &[&str]) -> Self {
        Self::new("resp", [Backend::redis(), Backend::redis()], flags)
    }

    pub(crate) fn over_memcached(flags: &[&str]) -> Self {
        Self::new(
            "memcache",
            [Backend::memcached(), Backend::memcached()],
            flags,
        )
    }

    fn new(protocol: &str, backends: [Backend; 2], flags: &[&str]) -> Self {
        let addresses = backends.each_ref().map(|one| one.address().to_string());
        let pool = [
            "--pool",
            protocol,
            "--server",
            &addresses[0],
            "--server",
            &addresses[1],
        ];
        let ringfort = Ringfort::start(&[&pool, flags].concat());
        Self { ringfort, backends }
    }

    pub(crate) fn memcache(&self) -> Wire {
        Wire::connect(self.ringfort.memcache())
    }

    pub(crate) fn resp(&self) -> Wire {
        Wire::connect(self.ringfort.resp())
    }
}

/// Both ways to have an L1.
pub(crate) const L1: [&str; 2] = ["off", "60s"];

/// A RESP request as an array of bulks.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut wire = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        wire.extend(format!("${}\r\n", word.len()).bytes());
        wire.extend_from_slice(word);
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

/// A bulk.
pub(crate) fn bulk(value: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

/// Plays these transcripts, which tell what the real server of the client's protocol says.
pub(crate) fn play(names: &[&str], address: SocketAddr, plays: &mut usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let scripts = Script::load_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    for name in names {
        let script = scripts.iter().find(|script| script.name == *name);
        let script = script.unwrap_or_else(|| panic!("no transcript {name}"));
        let mut player = || {
            *plays += 1;
            Player::new(
                script,
                Side::Ringfort,
                namespace(*plays),
                Wire::connect(address),
            )
        };
        player().finish().unwrap_or_else(|error| panic!("{error}"));
        player()
            .turn_by_turn()
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Conversation for Wire {
    fn send(&mut self, bytes: &[u8]) {
        // A server that has closed shows in what it said, not here.
        self.try_send(bytes);
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        self.some()
    }
}
