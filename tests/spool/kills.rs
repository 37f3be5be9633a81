//! kill -9 at any moment loses no answered invalidation.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ringfort::config::Protocol;

use super::pool_of;
use crate::support::{
    backends::Backend, gate::Gate, process::ScratchFolder, ringfort::Ringfort, wait_for,
};

/// Kills for each kind of server. A longer run: RINGFORT_SPOOL_KILLS=200 cargo test --test spool kill
const KILL_COUNT_DEFAULT: usize = 10;

/// Clients that write at the same time, one key after the other.
const CLIENT_COUNT: usize = 4;

/// Keys that each may write before the kill.
const KEY_COUNT: usize = 400;

pub(super) fn kill_count() -> usize {
    let told = std::env::var("RINGFORT_SPOOL_KILLS").ok();
    told.map_or(KILL_COUNT_DEFAULT, |told| told.parse().expect("a number"))
}

#[test]
fn a_kill_loses_no_answered_invalidation_for_memcached() {
    kill_again_and_again(&Backend::memcached(), Protocol::Memcache);
}

#[test]
fn a_kill_loses_no_answered_invalidation_for_redis() {
    kill_again_and_again(&Backend::redis(), Protocol::Resp);
}

fn kill_again_and_again(backend: &Backend, protocol: Protocol) {
    let gate = Gate::shut_before(backend.address());
    let folder = ScratchFolder::new();
    let mut unsent_count = 0;
    for round in 0..kill_count() {
        // Every third time the server is there, and is being told, when the kill comes.
        let is_open = round % 3 == 2;
        let sync = ["always", "interval", "none"][round / 3 % 3];
        let names = put_all(backend, protocol, round);
        let mut ringfort = start(&gate, protocol, &folder, sync);
        if is_open {
            gate.open();
        }
        let answered = write_until_killed(&mut ringfort, protocol, round, names);
        gate.shut();
        ringfort.kill();
        assert!(!answered.is_empty(), "round {round}: nothing was answered");
        let left = left_of(backend, protocol, &answered);
        if !is_open {
            assert_eq!(
                left,
                answered.len(),
                "round {round}: it was told through a gate that is shut"
            );
        }
        unsent_count += left;
        let _ringfort = start(&gate, protocol, &folder, sync);
        gate.open();
        wait_for("every answered key to be deleted", || {
            (left_of(backend, protocol, &answered) == 0).then_some(())
        });
        gate.shut();
    }
    assert!(
        unsent_count > 0,
        "each kill came too late to lose something"
    );
}

fn start(gate: &Gate, protocol: Protocol, folder: &ScratchFolder, sync: &str) -> Ringfort {
    pool_of(gate.address(), protocol, folder, &["--spool-sync", sync])
}

fn name(round: usize, client: usize, number: usize) -> String {
    format!("key:{round}:{client}:{number}")
}

/// Gives the server all keys of a round.
fn put_all(backend: &Backend, protocol: Protocol, round: usize) -> Vec<Vec<String>> {
    let names: Vec<Vec<String>> = (0..CLIENT_COUNT)
        .map(|client| {
            (0..KEY_COUNT)
                .map(|number| name(round, client, number))
                .collect()
        })
        .collect();
    let mut wire = backend.connect();
    for name in names.iter().flatten() {
        match protocol {
            Protocol::Memcache => wire.send(format!("set {name} 0 0 1\r\nv\r\n").as_bytes()),
            Protocol::Resp => wire.send(format!("SET {name} v\r\n").as_bytes()),
        }
        assert!(["STORED", "+OK"].contains(&wire.line().as_str()));
    }
    names
}

/// Has clients write until ringfort is killed; the keys whose writes were answered.
fn write_until_killed(
    ringfort: &mut Ringfort,
    protocol: Protocol,
    round: usize,
    names: Vec<Vec<String>>,
) -> Vec<String> {
    let address = match protocol {
        Protocol::Memcache => ringfort.memcache(),
        Protocol::Resp => ringfort.resp(),
    };
    let answered = Arc::new(Mutex::new(Vec::new()));
    let clients: Vec<_> = names
        .into_iter()
        .map(|names| {
            let answered = Arc::clone(&answered);
            thread::spawn(move || write_all(address, protocol, &names, &answered))
        })
        .collect();
    wait_for("a first answer", || {
        (!answered.lock().expect("no panic").is_empty()).then_some(())
    });
    // Anywhere between the first answer and many of them.
    thread::sleep(Duration::from_micros((round as u64 * 7_919) % 40_000));
    ringfort.process().kill();
    for client in clients {
        client.join().expect("a client ends when ringfort does");
    }
    let answered = answered.lock().expect("no panic");
    answered.clone()
}

fn write_all(
    address: SocketAddr,
    protocol: Protocol,
    names: &[String],
    answered: &Mutex<Vec<String>>,
) {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return;
    };
    let Ok(reader) = stream.try_clone() else {
        return;
    };
    let mut replies = BufReader::new(reader);
    for (number, name) in names.iter().enumerate() {
        let request = match (protocol, number % 2) {
            (Protocol::Memcache, 0) => format!("set {name} 0 0 3\r\nnew\r\n"),
            (Protocol::Memcache, _) => format!("delete {name}\r\n"),
            (Protocol::Resp, 0) => format!("SET {name} new\r\n"),
            (Protocol::Resp, _) => format!("DEL {name}\r\n"),
        };
        let mut reply = String::new();
        let is_over = stream.write_all(request.as_bytes()).is_err()
            || !matches!(replies.read_line(&mut reply), Ok(1..))
            || !reply.ends_with('\n');
        if is_over {
            return;
        }
        let expected = ["STORED", "DELETED", "+OK", ":1"];
        assert!(expected.contains(&reply.trim_end()), "{reply}");
        answered.lock().expect("no panic").push(name.clone());
    }
}

/// How many of these keys the server still has.
fn left_of(backend: &Backend, protocol: Protocol, names: &[String]) -> usize {
    let mut wire = backend.connect();
    let is_left = |name: &&String| {
        match protocol {
            Protocol::Memcache => wire.send(format!("mg {name}\r\n").as_bytes()),
            Protocol::Resp => wire.send(format!("EXISTS {name}\r\n").as_bytes()),
        }
        !["EN", ":0"].contains(&wire.line().as_str())
    };
    names.iter().filter(is_left).count()
}
