//! The promise: ringfort speaks memcache and RESP as memcached and Redis do, byte for byte, however the
//! network cuts it. What is said is told in `tests/transcripts`.

use std::net::SocketAddr;
use std::path::Path;

mod support;
#[path = "support/transcript.rs"]
mod transcript;

use support::backends::Backend;
use support::ringfort::Ringfort;
use support::wire::Wire;
use transcript::{Conversation, Cut, Player, Protocol, Script, Side, namespace};

#[test]
fn real_memcached_says_what_is_told() {
    // Each protocol has one of its own: their plays have the same names for their keys.
    for protocol in [Protocol::Memcache, Protocol::Binary] {
        let memcached = Backend::still_memcached();
        let mut stage = Stage::new(protocol, Side::Real, memcached.address());
        stage.play_all(Stage::play_pipelined);
        stage.play_all(Stage::play_turn_by_turn);
    }
}

#[test]
fn real_redis_says_what_is_told() {
    let redis = Backend::redis();
    let mut stage = Stage::new(Protocol::Resp, Side::Real, redis.address());
    stage.play_all(Stage::play_pipelined);
    stage.play_all(Stage::play_turn_by_turn);
}

#[test]
fn memcache_pipelined_and_turn_by_turn() {
    let ringfort = Ringfort::embedded();
    let mut stage = Stage::new(Protocol::Memcache, Side::Ringfort, ringfort.memcache());
    stage.play_all(Stage::play_pipelined);
    stage.play_all(Stage::play_turn_by_turn);
}

#[test]
fn binary_pipelined_and_turn_by_turn() {
    let ringfort = Ringfort::embedded();
    let mut stage = Stage::new(Protocol::Binary, Side::Ringfort, ringfort.memcache());
    stage.play_all(Stage::play_pipelined);
    stage.play_all(Stage::play_turn_by_turn);
}

#[test]
fn resp_pipelined_and_turn_by_turn() {
    let ringfort = Ringfort::embedded();
    let mut stage = Stage::new(Protocol::Resp, Side::Ringfort, ringfort.resp());
    stage.play_all(Stage::play_pipelined);
    stage.play_all(Stage::play_turn_by_turn);
}

#[test]
fn memcache_cut_at_every_byte() {
    let ringfort = Ringfort::embedded();
    Stage::new(Protocol::Memcache, Side::Ringfort, ringfort.memcache())
        .play_all(Stage::play_cut_at_every_byte);
}

#[test]
fn binary_cut_at_every_byte() {
    let ringfort = Ringfort::embedded();
    Stage::new(Protocol::Binary, Side::Ringfort, ringfort.memcache())
        .play_all(Stage::play_cut_at_every_byte);
}

#[test]
fn resp_cut_at_every_byte() {
    let ringfort = Ringfort::embedded();
    Stage::new(Protocol::Resp, Side::Ringfort, ringfort.resp())
        .play_all(Stage::play_cut_at_every_byte);
}

#[test]
fn memcache_byte_by_byte() {
    let ringfort = Ringfort::embedded();
    Stage::new(Protocol::Memcache, Side::Ringfort, ringfort.memcache())
        .play_all(Stage::play_byte_by_byte);
}

#[test]
fn binary_byte_by_byte() {
    let ringfort = Ringfort::embedded();
    Stage::new(Protocol::Binary, Side::Ringfort, ringfort.memcache())
        .play_all(Stage::play_byte_by_byte);
}

#[test]
fn resp_byte_by_byte() {
    let ringfort = Ringfort::embedded();
    Stage::new(Protocol::Resp, Side::Ringfort, ringfort.resp()).play_all(Stage::play_byte_by_byte);
}

/// A server, and the scripts to play on it.
struct Stage {
    protocol: Protocol,
    side: Side,
    address: SocketAddr,
    play_count: usize,
}

impl Stage {
    fn new(protocol: Protocol, side: Side, address: SocketAddr) -> Self {
        Self {
            protocol,
            side,
            address,
            play_count: 0,
        }
    }

    /// Plays every script of the protocol in one way; panics with all that went wrong.
    fn play_all(&mut self, play: impl Fn(&mut Self, &Script) -> Result<(), String>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
        let mut scripts = Script::load_all(&folder).unwrap_or_else(|error| panic!("{error}"));
        scripts.retain(|script| script.protocol == self.protocol);
        assert!(
            !scripts.is_empty(),
            "no transcripts in {}",
            folder.display()
        );
        let errors: Vec<_> = scripts
            .iter()
            .filter_map(|script| play(self, script).err())
            .collect();
        assert!(
            errors.is_empty(),
            "{} of {} went wrong:\n{}",
            errors.len(),
            scripts.len(),
            errors.join("\n")
        );
    }

    fn play_pipelined(&mut self, script: &Script) -> Result<(), String> {
        match (self.side, &script.turns) {
            (Side::Real, Some(_)) => self.play_turn_by_turn(script),
            _ => self.player(script).finish(),
        }
    }

    fn play_turn_by_turn(&mut self, script: &Script) -> Result<(), String> {
        self.player(script).turn_by_turn()
    }

    fn play_byte_by_byte(&mut self, script: &Script) -> Result<(), String> {
        self.player(script).byte_by_byte()
    }

    /// One connection a cut. The first parts of a batch are all sent before the second parts, so each server
    /// has the time of a batch to find the first alone; questions on other connections make sure that every
    /// shard has had its turn in between.
    fn play_cut_at_every_byte(&mut self, script: &Script) -> Result<(), String> {
        const BATCH_PLAYS: usize = 64;
        let batch_plays = if script.alone.is_some() {
            1
        } else {
            BATCH_PLAYS
        };
        let mut bystanders: Vec<_> = (0..8).map(|_| Wire::connect(self.address)).collect();
        for cuts in script.cuts().chunks(batch_plays) {
            let started: Vec<_> = cuts
                .iter()
                .map(|cut| self.start(script, *cut))
                .collect::<Result<_, _>>()?;
            bystanders
                .iter_mut()
                .for_each(|wire| self.ask_for_nothing(wire));
            started.into_iter().try_for_each(Player::finish)?;
        }
        Ok(())
    }

    fn start<'s>(&mut self, script: &'s Script, cut: Cut) -> Result<Player<'s, Wire>, String> {
        let mut player = self.player(script);
        player.send_until(cut)?;
        Ok(player)
    }

    fn player<'s>(&mut self, script: &'s Script) -> Player<'s, Wire> {
        if script.alone.is_some() {
            let mut wire = Wire::connect(self.address);
            match self.protocol {
                Protocol::Memcache | Protocol::Binary => wire.ask("flush_all\r\n", "OK\r\n"),
                Protocol::Resp => wire.ask("FLUSHALL\r\n", "+OK\r\n"),
            }
        }
        self.play_count += 1;
        let wire = Wire::connect(self.address).reset_on_close();
        Player::new(script, self.side, namespace(self.play_count), wire)
    }

    fn ask_for_nothing(&self, wire: &mut Wire) {
        match self.protocol {
            Protocol::Memcache | Protocol::Binary => wire.ask("mn\r\n", "MN\r\n"),
            Protocol::Resp => wire.ask("PING\r\n", "+PONG\r\n"),
        }
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
