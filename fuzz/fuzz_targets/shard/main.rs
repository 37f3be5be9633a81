//! Whole shards on the fake I/O, under typed commands of both protocols, against a model cache.
//!
//! Commands are sent one after the other on connections of several shards, cut anywhere; every
//! reply must be the model's. A connection of its own sends bytes that nobody meant.
#![no_main]

#[path = "../../../tests/support/linearizability.rs"]
#[expect(
    dead_code,
    reason = "the simulation's clients use it, which are not used here"
)]
mod checker;
mod command;
mod model;
#[path = "../../../tests/support/sim/mod.rs"]
mod sim;

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use ringfort::{
    config::Protocol,
    io::sim::{ClientId, Faults},
};

use crate::{
    command::{Resp, Text},
    model::{ITEM_BYTES_MAX, Model, Piece},
    sim::{Fleet, Setup, listener},
};

/// More say nothing that fewer do not.
const STEPS_MAX: usize = 64;

#[derive(Arbitrary, Debug)]
struct Script {
    seed: u64,
    shards: u8,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Text {
        conn: u8,
        command: Text,
        cut: u16,
    },
    Resp {
        conn: u8,
        command: Resp,
        cut: u16,
    },
    /// So many hundreds of seconds go by.
    Wait(u8),
    /// Bytes for a connection of its own.
    Garbage {
        protocol: bool,
        bytes: Vec<u8>,
    },
}

fuzz_target!(|script: Script| Player::new(&script).play(&script.steps));

/// A fleet, its clients, and what they should see.
struct Player {
    fleet: Fleet,
    text: Vec<ClientId>,
    resp: Vec<(ClientId, &'static str)>,
    model: Model,
}

impl Player {
    fn new(script: &Script) -> Self {
        let shard_count = 1 + usize::from(script.shards % 3);
        let setup = Setup::embedded(shard_count);
        assert_eq!(setup.item_bytes_max, ITEM_BYTES_MAX);
        let mut fleet = Fleet::new(script.seed, &setup);
        fleet.world.set_faults(Faults::NETWORK);
        let shards = [0, 1, 2].map(|shard| shard % shard_count);
        let text = shards.map(|shard| fleet.world.connect(shard, listener(Protocol::Memcache)));
        let resp = shards.map(|shard| fleet.world.connect(shard, listener(Protocol::Resp)));
        fleet.world.send(resp[2], b"HELLO 3\r\n");
        fleet.run_until_idle();
        assert!(fleet.world.take_received(resp[2]).starts_with(b"%7\r\n"));
        Self {
            fleet,
            text: text.to_vec(),
            resp: vec![
                (resp[0], "$-1\r\n"),
                (resp[1], "$-1\r\n"),
                (resp[2], "_\r\n"),
            ],
            model: Model::default(),
        }
    }

    fn play(mut self, steps: &[Step]) {
        for step in steps.iter().take(STEPS_MAX) {
            self.model.set_now(self.fleet.world.now().0);
            match step {
                Step::Text { conn, command, cut } => {
                    let client = self.text[usize::from(*conn) % self.text.len()];
                    let cas = match command {
                        Text::Cas { key, .. } => self.model.cas(*key),
                        _ => 0,
                    };
                    let wanted = self.model.text(command);
                    self.exchange(client, &command.wire(cas), *cut, &wanted);
                }
                Step::Resp { conn, command, cut } => {
                    let (client, null) = self.resp[usize::from(*conn) % self.resp.len()];
                    let wanted = self.model.resp(command, null);
                    self.exchange(client, &command.wire(), *cut, &wanted);
                }
                Step::Wait(hundreds) => {
                    self.fleet.world.advance(u64::from(*hundreds) * 100_000);
                    self.fleet.run_until_idle();
                }
                Step::Garbage { protocol, bytes } => self.disturb(*protocol, bytes),
            }
        }
    }

    fn exchange(&mut self, client: ClientId, wire: &[u8], cut: u16, wanted: &[Piece]) {
        let (front, back) = wire.split_at(usize::from(cut) % wire.len());
        for part in [front, back] {
            self.fleet.world.send(client, part);
            self.fleet.run_until_idle();
        }
        let got = self.fleet.world.take_received(client);
        if let Err(what) = self.model.check(wanted, &got) {
            let (wire, got) = (wire.escape_ascii(), got.escape_ascii());
            panic!("{what}\n{wire}\ngot {got}\nwanted {wanted:?}");
        }
    }

    /// Somebody talks nonsense; commands in it are not what is looked for here, so they must not
    /// be ones.
    fn disturb(&mut self, protocol: bool, bytes: &[u8]) {
        let protocol = if protocol {
            Protocol::Resp
        } else {
            Protocol::Memcache
        };
        let client = self.fleet.world.connect(0, listener(protocol));
        // A first word that is no command; a line that begins so changes nothing whatever follows.
        let bytes: Vec<u8> = bytes.iter().map(|byte| byte | 0x80).collect();
        self.fleet.world.send(client, &bytes);
        self.fleet.run_until_idle();
        self.fleet.world.close(client);
        self.fleet.run_until_idle();
    }
}
