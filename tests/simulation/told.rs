//! The golden conversations of `tests/transcripts`, on the fake: cut at every byte, without a wait.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use ringfort::io::ListenerId;
use ringfort::io::sim::{ClientId, Faults};

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::sim::{Fleet, Setup};
use crate::transcript::{
    Conversation, Cut, NAMESPACE_BYTES, Player, Protocol, Script, Side, namespace,
};

#[test]
fn memcache_cut_at_every_byte() {
    play_all(1, Protocol::Memcache, Stage::play_every_cut);
}

#[test]
fn binary_cut_at_every_byte() {
    play_all(1, Protocol::Binary, Stage::play_every_cut);
}

#[test]
fn resp_cut_at_every_byte() {
    play_all(1, Protocol::Resp, Stage::play_every_cut);
}

#[test]
fn memcache_however_it_comes() {
    play_all(6, Protocol::Memcache, Stage::play_every_way);
}

#[test]
fn binary_however_it_comes() {
    play_all(6, Protocol::Binary, Stage::play_every_way);
}

#[test]
fn resp_however_it_comes() {
    play_all(6, Protocol::Resp, Stage::play_every_way);
}

/// Plays every script of the protocol in one way; panics with all that went wrong.
fn play_all(
    seed_count: u64,
    protocol: Protocol,
    play: impl Fn(&mut Stage, &Script) -> Result<(), String>,
) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut scripts = Script::load_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    scripts.retain(|script| script.protocol == protocol);
    for_each_seed(seed_count, |seed| {
        let mut stage = Stage::new(seed, protocol);
        let errors: Vec<_> = scripts
            .iter()
            .filter_map(|script| play(&mut stage, script).err())
            .collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
        stage.fleet.borrow_mut().check_end();
    });
}

/// A fleet, and the plays on it.
struct Stage {
    protocol: Protocol,
    fleet: Rc<RefCell<Fleet>>,
    play_count: usize,
}

impl Stage {
    fn new(seed: u64, protocol: Protocol) -> Self {
        let setup = Setup {
            item_bytes_max: 1 << 20,
            ..Setup::embedded(1 + seed as usize % 3)
        };
        Self {
            protocol,
            fleet: Rc::new(RefCell::new(Fleet::new(seed, &setup))),
            play_count: 0,
        }
    }

    /// Two pieces, the second after all that the first can lead to.
    fn play_every_cut(&mut self, script: &Script) -> Result<(), String> {
        for cut in script.cuts() {
            let mut player = self.player(script);
            player.send_until(cut)?;
            self.fleet.borrow_mut().run_until_idle();
            player.finish()?;
        }
        Ok(())
    }

    /// Whole, turn by turn and byte by byte, and cut by the network wherever it likes.
    fn play_every_way(&mut self, script: &Script) -> Result<(), String> {
        for faults in [Faults::NONE, Faults::NETWORK] {
            self.fleet.borrow().world.set_faults(faults);
            self.player(script).finish()?;
            self.player(script).turn_by_turn()?;
            let cuts = script.cuts();
            let mut player = self.player(script);
            for cut in some(&cuts) {
                player.send_until(cut)?;
                self.fleet.borrow_mut().round();
            }
            player.finish()?;
        }
        Ok(())
    }

    fn player<'s>(&mut self, script: &'s Script) -> Player<'s, Client> {
        if script.alone.is_some() {
            let mut client = self.connect();
            client.send(match self.protocol {
                Protocol::Memcache | Protocol::Binary => b"flush_all\r\n",
                Protocol::Resp => b"FLUSHALL\r\n",
            });
            client.receive();
        }
        self.play_count += 1;
        let name = namespace(self.play_count);
        assert_eq!(name.len(), NAMESPACE_BYTES);
        Player::new(script, Side::Ringfort, name, self.connect())
    }

    fn connect(&self) -> Client {
        let fleet = self.fleet.borrow();
        let listener = match self.protocol {
            Protocol::Memcache | Protocol::Binary => ListenerId::Memcache,
            Protocol::Resp => ListenerId::Resp,
        };
        Client {
            id: fleet
                .world
                .connect(self.play_count % fleet.shard_count(), listener),
            fleet: Rc::clone(&self.fleet),
        }
    }
}

/// At most a thousand of the cuts, evenly.
fn some(cuts: &[Cut]) -> Vec<Cut> {
    cuts.iter()
        .copied()
        .step_by(cuts.len().div_ceil(1_000).max(1))
        .collect()
}

/// A connection to the fleet. Waiting for a reply turns it.
struct Client {
    fleet: Rc<RefCell<Fleet>>,
    id: ClientId,
}

impl Conversation for Client {
    fn send(&mut self, bytes: &[u8]) {
        self.fleet.borrow().world.send(self.id, bytes);
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut received = Vec::new();
        let id = self.id;
        self.fleet.borrow_mut().run_until(PATIENCE_MS, |fleet| {
            received = fleet.world.take_received(id);
            !received.is_empty() || fleet.world.is_closed(id)
        });
        let is_closed = self.fleet.borrow().world.is_closed(id);
        if received.is_empty() && is_closed {
            return None;
        }
        Some(received)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.fleet.borrow().world.reset(self.id);
    }
}
