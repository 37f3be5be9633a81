//! Large values on their way in: what is stored is what was sent, however it is cut, whoever else sends some, and whoever
//! goes away in the middle.

use ringfort::config::Protocol;
use ringfort::io::sim::{ClientId, Faults, SimRng};

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::sim::redis::request;
use crate::sim::talker::{Talker, Value};
use crate::sim::{Fleet, Setup, listener};

/// A client with a key of its own, whose every reply byte is known beforehand.
struct Sender {
    client: ClientId,
    protocol: Protocol,
    key: String,
    /// What its key has.
    stored: Vec<u8>,
    expected: Vec<u8>,
    received: Vec<u8>,
}

impl Sender {
    fn connect(fleet: &mut Fleet, number: usize) -> Self {
        let protocol = [Protocol::Memcache, Protocol::Resp][number % 2];
        let shard = fleet.rng.below(fleet.shard_count());
        Self {
            client: fleet.world.connect(shard, listener(protocol)),
            protocol,
            key: format!("key-{number}"),
            stored: Vec::new(),
            expected: Vec::new(),
            received: Vec::new(),
        }
    }

    /// A request that stores another value, and what is answered.
    fn set(&mut self, rng: &mut SimRng) -> Vec<u8> {
        let len = match rng.below(4) {
            0 => rng.below(100),
            1 => 20_000 + rng.below(20_000),
            _ => rng.below(300_000),
        };
        let start = rng.below(1 << 30);
        let value: Vec<u8> = (start..start + len)
            .map(|place| (place * 31 / 7) as u8)
            .collect();
        let is_bad = self.protocol == Protocol::Memcache && rng.chance(100);
        let (key, key_bytes) = (&self.key, self.key.len());
        let head = match self.protocol {
            Protocol::Memcache => format!("set {key} 0 0 {len}\r\n"),
            Protocol::Resp => {
                format!("*3\r\n$3\r\nSET\r\n${key_bytes}\r\n{key}\r\n${len}\r\n")
            }
        };
        let tail: &[u8] = if is_bad { b"x\n" } else { b"\r\n" };
        let request = [head.as_bytes(), &value, tail].concat();
        self.expected.extend(match self.protocol {
            _ if is_bad => &b"CLIENT_ERROR bad data chunk\r\n"[..],
            Protocol::Memcache => b"STORED\r\n",
            Protocol::Resp => b"+OK\r\n",
        });
        if !is_bad {
            self.stored = value;
        }
        request
    }

    fn get(&mut self) -> Vec<u8> {
        let (key, len) = (&self.key, self.stored.len());
        let (request, head, tail) = match self.protocol {
            Protocol::Memcache => (
                format!("get {key}\r\n"),
                format!("VALUE {key} 0 {len}\r\n"),
                "\r\nEND\r\n",
            ),
            Protocol::Resp => (
                format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len()),
                format!("${len}\r\n"),
                "\r\n",
            ),
        };
        let reply = [head.as_bytes(), &self.stored, tail.as_bytes()].concat();
        self.expected.extend(reply);
        request.into_bytes()
    }

    fn send_some(&mut self, fleet: &mut Fleet) {
        let mut bytes = self.set(&mut fleet.rng);
        for _ in 0..fleet.rng.below(4) {
            if fleet.rng.chance(400) {
                bytes.extend(self.set(&mut fleet.rng));
            } else if !self.stored.is_empty() {
                bytes.extend(self.get());
            }
        }
        fleet.world.send(self.client, &bytes);
    }

    fn check(&mut self, fleet: &Fleet) {
        self.received.extend(fleet.world.take_received(self.client));
        let (received, expected) = (&self.received, &self.expected);
        let is_right = expected.starts_with(received);
        assert!(is_right, "{}: after {} bytes", self.key, received.len());
    }
}

fn fleet(seed: u64, memory_factor: usize) -> Fleet {
    let setup = Setup {
        item_bytes_max: 512 * 1024,
        memory_factor,
        ..Setup::embedded(1 + (seed % 3) as usize)
    };
    let fleet = Fleet::new(seed, &setup);
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}

#[test]
fn what_is_stored_is_what_was_sent() {
    for_each_seed(40, |seed| {
        let mut fleet = fleet(seed, 4);
        let mut senders: Vec<_> = (0..6)
            .map(|number| Sender::connect(&mut fleet, number))
            .collect();
        for _ in 0..12 {
            let number = fleet.rng.below(senders.len());
            senders[number].send_some(&mut fleet);
            // Somebody else announces a value and goes away in the middle.
            let mut leaver = Sender::connect(&mut fleet, 100);
            let request = leaver.set(&mut fleet.rng);
            let cut = fleet.rng.below(request.len());
            fleet.world.send(leaver.client, &request[..cut]);
            (0..fleet.rng.below(40)).for_each(|_| _ = fleet.round());
            match fleet.rng.below(3) {
                0 => fleet.world.finish(leaver.client),
                1 => fleet.world.close(leaver.client),
                _ => fleet.world.reset(leaver.client),
            }
            senders.iter_mut().for_each(|sender| sender.check(&fleet));
        }
        let is_served = fleet.run_until(PATIENCE_MS, |fleet| {
            senders.iter_mut().for_each(|sender| sender.check(fleet));
            senders
                .iter()
                .all(|sender| sender.received == sender.expected)
        });
        assert!(is_served, "somebody waits for ever");
        senders
            .iter()
            .for_each(|sender| fleet.world.close(sender.client));
        fleet.check_end();
    });
}

/// A value comes where it will lie, in memory of the store's, only from who has sent as much before, or has sent a part
/// of it that is large enough: who announces much and sends little gets none.
#[test]
fn who_announces_much_and_sends_little_gets_no_place_in_the_store() {
    const LEN: usize = 350_000;
    const LITTLE: usize = 40_000;
    const MUCH: usize = 150_000;
    for_each_seed(4, |seed| {
        let setup = Setup {
            item_bytes_max: 512 * 1024,
            ..Setup::embedded(1)
        };
        let mut fleet = Fleet::new(seed, &setup);
        let set = request(&[b"SET", b"key", &vec![b'x'; LEN]]);
        let mut admin = Talker::connect(&fleet, 0);
        let mut show = |fleet: &mut Fleet, client: &mut Talker, sent: &[u8], come: usize| {
            fleet.world.send(client.client, &sent[..come]);
            fleet.run_until_idle();
            let buffered = largest_input(&mut admin, fleet);
            fleet.world.send(client.client, &sent[come..]);
            assert_eq!(client.await_reply(fleet), Value::Text("OK".into()));
            buffered
        };
        let mut client = Talker::connect(&fleet, 0);
        let buffered = show(&mut fleet, &mut client, &set, LITTLE);
        assert!(buffered >= LITTLE, "{buffered} of {LITTLE} in a buffer");
        let buffered = show(&mut fleet, &mut client, &set, LITTLE);
        assert!(
            buffered < LITTLE / 2,
            "{buffered}: it had sent as much before"
        );
        let mut newcomer = Talker::connect(&fleet, 0);
        let buffered = show(&mut fleet, &mut newcomer, &set, MUCH);
        assert!(
            buffered < LITTLE / 2,
            "{buffered}: it has sent enough of it"
        );
        for talker in [client, newcomer, admin] {
            fleet.world.close(talker.client);
        }
        fleet.check_end();
    });
}

/// Bytes of the request that a client is sending, as far as they are in a buffer and not in their place: its memory
/// beyond that of one who sends nothing.
fn largest_input(admin: &mut Talker, fleet: &mut Fleet) -> usize {
    let Value::Text(list) = admin.ask(fleet, "CLIENT LIST") else {
        panic!("no list");
    };
    let figures = list.split("tot-mem=").skip(1);
    let figures = figures.map(|rest| rest.split(' ').next().expect("a figure"));
    let figures: Vec<usize> = figures.map(|text| text.parse().expect("bytes")).collect();
    let least = figures.iter().min().expect("somebody");
    figures.iter().max().expect("somebody") - least
}
