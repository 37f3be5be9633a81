//! Plays a script: a fleet, its clients, and what they should see.

use ringfort::config::Protocol;
use ringfort::io::sim::{ClientId, Faults};

use crate::client::Session;
use crate::model::Model;
use crate::push;
use crate::reply::{Reply, shown, text};
use crate::sim::{Fleet, Setup, listener};
use crate::words::ITEM_BYTES_MAX;
use crate::{Command, Script, Step};

/// Room for all keys with the largest values, and less than a huge page, which would be cleared
/// whole for each script.
const MEMORY_FACTOR: usize = 3;
/// Connections of each protocol.
const CONNS: usize = 3;
/// In what time whatever has expired must be told.
const SWEEP_PATIENCE_MS: u64 = 10_000;

/// A connection of one of the protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Text(usize),
    Binary(usize),
    Resp(usize),
}

/// What is to go out in one piece, and to be answered.
struct Pipeline {
    side: Side,
    wire: Vec<u8>,
    wanted: Reply,
    cut: u16,
}

pub(crate) struct Player {
    fleet: Fleet,
    text: [ClientId; CONNS],
    binary: [ClientId; CONNS],
    resp: [ClientId; CONNS],
    model: Model,
    waiting: Option<Pipeline>,
}

impl Player {
    pub(crate) fn new(script: &Script) -> Self {
        let shard_count = 1 + usize::from(script.shards % 3);
        let setup = Setup {
            memory_factor: MEMORY_FACTOR,
            ..Setup::embedded(shard_count)
        };
        assert_eq!(setup.item_bytes_max, ITEM_BYTES_MAX);
        let mut fleet = Fleet::new(script.seed, &setup);
        fleet.world.set_faults(Faults::NETWORK);
        let shards = [0, 1, 2].map(|shard| shard % shard_count);
        let connect = |protocol| shards.map(|shard| fleet.world.connect(shard, listener(protocol)));
        let text = connect(Protocol::Memcache);
        let binary = connect(Protocol::Memcache);
        let resp = connect(Protocol::Resp);
        for client in &resp[1..] {
            fleet.world.send(*client, b"HELLO 3\r\n");
        }
        fleet.run_until_idle();
        for client in &resp[1..] {
            assert!(fleet.world.take_received(*client).starts_with(b"%7\r\n"));
        }
        Self {
            fleet,
            text,
            binary,
            resp,
            model: Model::new(&[false, true, true]),
            waiting: None,
        }
    }

    pub(crate) fn play(mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Send {
                    conn,
                    command,
                    cut,
                    waits,
                } => {
                    self.send(usize::from(*conn) % CONNS, command, *cut);
                    if !waits {
                        self.flush();
                    }
                }
                Step::Wait(hundreds) => {
                    self.flush();
                    self.fleet.world.advance(u64::from(*hundreds) * 100_000);
                    self.fleet.run_until_idle();
                }
                Step::Garbage { protocol, bytes } => {
                    self.flush();
                    self.disturb(*protocol, bytes);
                }
            }
        }
        self.flush();
        self.hear_of_what_expired();
    }

    fn send(&mut self, conn: usize, command: &Command, cut: u16) {
        let side = match command {
            Command::Text(_) | Command::Meta(_) => Side::Text(conn),
            Command::Binary(_) => Side::Binary(conn),
            Command::Resp { .. } | Command::Session(_) => Side::Resp(conn),
        };
        if self.waiting.as_ref().is_some_and(|one| one.side != side) {
            self.flush();
        }
        if self.waiting.is_none() {
            self.model.set_now(self.fleet.world.now().0);
        }
        let (wire, wanted) = match command {
            Command::Text(text) => (text.wire(&self.model.cache), self.model.text(text)),
            Command::Meta(meta) => (meta.wire(&self.model.cache), self.model.meta(meta)),
            Command::Binary(binary) => (binary.wire(&self.model.cache), self.model.binary(binary)),
            Command::Resp { command, asks } => {
                let client = &self.model.clients[conn];
                let caching = client.tracking.caching().filter(|_| *asks);
                let caching = caching.filter(|_| !client.is_in_transaction());
                let has_asked = caching.is_some();
                let mut wire = caching.unwrap_or_default();
                wire.extend(command.wire());
                let mut wanted = self.model.resp(conn, command, has_asked);
                if has_asked {
                    wanted.insert(0, text("+OK\r\n"));
                }
                (wire, wanted)
            }
            Command::Session(session) => match self.session(conn, session, cut) {
                Some(sent) => sent,
                None => return,
            },
        };
        let pipeline = self.waiting.get_or_insert_with(|| Pipeline {
            side,
            wire: Vec::new(),
            wanted: Vec::new(),
            cut,
        });
        pipeline.wire.extend(wire);
        pipeline.wanted.extend(wanted);
    }

    /// What is to be sent, if anything.
    fn session(&mut self, conn: usize, session: &Session, cut: u16) -> Option<(Vec<u8>, Reply)> {
        let client = &self.model.clients[conn];
        let is_queued = matches!(session, Session::Track(_) | Session::Unwatch);
        if client.is_in_transaction() && is_queued {
            return None;
        }
        let wire = session.wire();
        if !(matches!(session, Session::Exec) && client.is_in_transaction() && client.is_unsure()) {
            let wanted = self.model.session(conn, session, false);
            return Some((wire, wanted));
        }
        self.flush();
        self.model.set_now(self.fleet.world.now().0);
        self.deliver(self.resp[conn], &wire, cut);
        let got = self.fleet.world.take_received(self.resp[conn]);
        let is_refused = got.starts_with(b"_") || got.starts_with(b"*-1\r\n");
        let wanted = self.model.session(conn, session, is_refused);
        self.check(Side::Resp(conn), &wire, &wanted, got);
        None
    }

    /// Sends what waits to be sent, and looks at what comes of it.
    fn flush(&mut self) {
        let Some(pipeline) = self.waiting.take() else {
            return;
        };
        let client = self.client(pipeline.side);
        self.deliver(client, &pipeline.wire, pipeline.cut);
        let got = self.fleet.world.take_received(client);
        self.check(pipeline.side, &pipeline.wire, &pipeline.wanted, got);
    }

    fn client(&self, side: Side) -> ClientId {
        match side {
            Side::Text(conn) => self.text[conn],
            Side::Binary(conn) => self.binary[conn],
            Side::Resp(conn) => self.resp[conn],
        }
    }

    fn deliver(&mut self, client: ClientId, wire: &[u8], cut: u16) {
        let (front, back) = wire.split_at(usize::from(cut) % wire.len());
        for part in [front, back] {
            if !part.is_empty() {
                self.fleet.world.send(client, part);
                self.fleet.run_until_idle();
            }
        }
    }

    /// Compares what has come with what should have, also at those who did not ask.
    fn check(&mut self, side: Side, wire: &[u8], wanted: &Reply, got: Vec<u8>) {
        let reply = match side {
            Side::Resp(conn) => self.hear(conn, &got, wire),
            Side::Text(_) | Side::Binary(_) => got,
        };
        if let Err(what) = self.model.cache.check(wanted, &reply) {
            let (wire, reply) = (shown(wire), shown(&reply));
            panic!("{what}\n{wire}\ngot {reply}\nwanted {wanted:?}");
        }
        for conn in 0..CONNS {
            if side != Side::Resp(conn) {
                self.hear_pushes(conn, wire);
            }
        }
    }

    /// Takes pushes out of what a client has received, and compares them with what they should be.
    fn hear(&mut self, conn: usize, got: &[u8], wire: &[u8]) -> Vec<u8> {
        let parts = push::part(got);
        let heard =
            parts.and_then(|(reply, told)| self.model.check_told(conn, &told).map(|()| reply));
        heard.unwrap_or_else(|what| {
            let (wire, got) = (shown(wire), shown(got));
            panic!("{what}\n{wire}\nclient {conn} got {got}")
        })
    }

    fn hear_pushes(&mut self, conn: usize, wire: &[u8]) {
        let got = self.fleet.world.take_received(self.resp[conn]);
        let reply = self.hear(conn, &got, wire);
        assert!(reply.is_empty(), "a reply to nothing: {}", shown(&reply));
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
        // Nor is it binary.
        let bytes: Vec<u8> = bytes.iter().map(|byte| byte | 0xc0).collect();
        self.fleet.world.send(client, &bytes);
        self.fleet.run_until_idle();
        self.fleet.world.close(client);
        self.fleet.run_until_idle();
    }

    /// Nobody keeps a copy of what has expired, in the end.
    fn hear_of_what_expired(&mut self) {
        self.model.set_now(self.fleet.world.now().0);
        let is_late = |model: &Model| model.clients.iter().any(|one| one.late().is_some());
        if is_late(&self.model) {
            self.fleet.run_until(SWEEP_PATIENCE_MS, |_| false);
        }
        for conn in 0..CONNS {
            self.hear_pushes(conn, b"");
            if let Some(key) = self.model.clients[conn].late() {
                panic!("client {conn} was never told of {key:?}, which has expired");
            }
        }
    }
}
