//! kill -9 at any moment loses no answered value, brings no older one back, and puts nothing in the way of what went
//! through to the server since.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use ringfort::config::Protocol;

use super::{kills::kill_count, pool_with};
use crate::support::{
    backends::Backend, gate::Gate, process::ScratchFolder, ringfort::Ringfort, wait_for,
};

/// Clients that write at the same time, each to keys of its own.
const CLIENT_COUNT: usize = 4;

/// Keys of a client: few, so that writes of one meet.
const KEY_COUNT: usize = 5;

/// What a key may be: more than one thing where an answer is missing.
pub(super) type Values = Vec<Option<u64>>;

/// A client's keys and what each may be.
pub(super) type Known = BTreeMap<String, Values>;

#[test]
fn a_kill_loses_no_answered_value_for_memcached() {
    kill_again_and_again(&Backend::memcached(), Protocol::Memcache);
}

#[test]
fn a_kill_loses_no_answered_value_for_redis() {
    kill_again_and_again(&Backend::redis(), Protocol::Resp);
}

fn kill_again_and_again(backend: &Backend, protocol: Protocol) {
    let gate = Gate::shut_before(backend.address());
    let folder = ScratchFolder::new();
    let mut behind_count = 0;
    let mut through_count = 0;
    for round in 0..kill_count() {
        // Every other time the server is there, and is being told, when the kill comes.
        let is_open = round % 2 == 1;
        let sync = ["always", "interval", "none"][round / 2 % 3];
        if is_open {
            gate.open();
        }
        let mut ringfort = start(&gate, protocol, &folder, sync);
        let written = write_until_killed(&mut ringfort, protocol, round);
        through_count += written.through_count;
        gate.shut();
        ringfort.kill();
        let known = written.known;
        behind_count += known
            .iter()
            .filter(|(name, values)| !values.contains(&value_at(backend, protocol, name)))
            .count();
        let ringfort = start(&gate, protocol, &folder, sync);
        let seen: Vec<_> = known
            .iter()
            .filter_map(|(name, values)| {
                let seen = see(&ringfort, protocol, name, values.len() > 1 || is_open)?;
                assert!(
                    values.contains(&seen),
                    "round {round}: {name} is {seen:?} of {values:?}"
                );
                Some((name, seen))
            })
            .collect();
        gate.open();
        for (name, values) in &known {
            let last = wait_for("the server to have what was answered", || {
                Some(value_at(backend, protocol, name)).filter(|value| values.contains(value))
            });
            let first = seen.iter().find(|(other, _)| *other == name);
            let is_unsure = values.len() > 1;
            assert!(
                is_unsure || first.is_none_or(|(_, seen)| *seen == last),
                "{name}"
            );
        }
        wait_for("the spool to be emptied", || {
            (live_count(&ringfort, protocol) == 0).then_some(())
        });
        for (name, values) in &known {
            let value = value_at(backend, protocol, name);
            assert!(
                values.contains(&value),
                "round {round}: {name} is {value:?} of {values:?}"
            );
        }
        gate.shut();
    }
    assert!(
        behind_count > 0,
        "each kill came too late to lose something"
    );
    assert!(through_count > 0, "nothing ever went through to the server");
}

fn start(gate: &Gate, protocol: Protocol, folder: &ScratchFolder, sync: &str) -> Ringfort {
    let more = ["--spool-sync", sync];
    pool_with("behind", gate.address(), protocol, folder, &more)
}

pub(super) struct Written {
    pub(super) known: Known,
    /// Changes that a server has answered.
    through_count: usize,
}

/// Has clients write until ringfort is killed.
pub(super) fn write_until_killed(
    ringfort: &mut Ringfort,
    protocol: Protocol,
    round: usize,
) -> Written {
    let address = match protocol {
        Protocol::Memcache => ringfort.memcache(),
        Protocol::Resp => ringfort.resp(),
    };
    let answered = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = mpsc::channel();
    for client in 0..CLIENT_COUNT {
        let (answered, sender) = (Arc::clone(&answered), sender.clone());
        thread::spawn(move || {
            let mut writer = Writer::new(address, protocol, round, client);
            while writer.step() {
                answered.fetch_add(1, Ordering::Relaxed);
            }
            let _ = sender.send((writer.known, writer.through_count));
        });
    }
    drop(sender);
    wait_for("some answers", || {
        (answered.load(Ordering::Relaxed) > 10).then_some(())
    });
    thread::sleep(Duration::from_micros((round as u64 * 7_919) % 60_000));
    ringfort.process().kill();
    let mut written = Written {
        known: Known::new(),
        through_count: 0,
    };
    for (known, through_count) in receiver {
        written.known.extend(known);
        written.through_count += through_count;
    }
    written
}

/// A client that writes to its keys in turn, one request after the other.
struct Writer {
    protocol: Protocol,
    stream: Option<(TcpStream, BufReader<TcpStream>)>,
    names: Vec<String>,
    known: Known,
    count: u64,
    through_count: usize,
}

impl Writer {
    fn new(address: SocketAddr, protocol: Protocol, round: usize, client: usize) -> Self {
        let connect = || {
            let stream = TcpStream::connect(address)?;
            let reader = BufReader::new(stream.try_clone()?);
            Ok::<_, std::io::Error>((stream, reader))
        };
        Self {
            protocol,
            stream: connect().ok(),
            names: (0..KEY_COUNT)
                .map(|key| format!("key:{round}:{client}:{key}"))
                .collect(),
            known: Known::new(),
            count: 0,
            through_count: 0,
        }
    }

    /// One write and its answer. False if there is none.
    fn step(&mut self) -> bool {
        self.count += 1;
        let count = self.count;
        // Some keys have their turn twice in a row.
        let name = self.names[(count as usize / 2) % KEY_COUNT].clone();
        let before = self.known.get(&name).cloned().unwrap_or_else(|| vec![None]);
        let (request, after): (String, Values) = match (self.protocol, count % 7) {
            (Protocol::Memcache, 3) => (format!("delete {name}\r\n"), vec![None]),
            (Protocol::Resp, 3) => (format!("DEL {name}\r\n"), vec![None]),
            (Protocol::Memcache, 5) => (format!("incr {name} 1\r\n"), counted(&before, None)),
            (Protocol::Resp, 5) => (format!("INCR {name}\r\n"), counted(&before, Some(1))),
            (Protocol::Memcache, _) => {
                let value = (count * 10).to_string();
                let length = value.len();
                let request = format!("set {name} 0 0 {length}\r\n{value}\r\n");
                (request, vec![Some(count * 10)])
            }
            (Protocol::Resp, _) => (
                format!("SET {name} {}\r\n", count * 10),
                vec![Some(count * 10)],
            ),
        };
        let either = [&before[..], &after[..]].concat();
        self.known.insert(name.clone(), either);
        let Some((stream, replies)) = &mut self.stream else {
            return false;
        };
        let mut reply = String::new();
        let is_over = stream.write_all(request.as_bytes()).is_err()
            || !matches!(replies.read_line(&mut reply), Ok(1..))
            || !reply.ends_with('\n');
        if is_over {
            return false;
        }
        if reply.starts_with("SERVER_ERROR ") || reply.starts_with('-') {
            assert_eq!(count % 7, 5, "{reply}");
            return true;
        }
        self.through_count += usize::from(count % 7 == 5);
        self.known.insert(name, after);
        true
    }
}

/// What a number is after it is counted up; `initial` where there is none.
fn counted(before: &[Option<u64>], initial: Option<u64>) -> Values {
    before
        .iter()
        .map(|value| value.map_or(initial, |value| Some(value + 1)))
        .collect()
}

/// What a client reads of a key; `None` if the server would have to be asked.
fn see(ringfort: &Ringfort, protocol: Protocol, name: &str, may_fail: bool) -> Option<Option<u64>> {
    let mut last = String::new();
    for _ in 0..200 {
        let address = match protocol {
            Protocol::Memcache => ringfort.memcache(),
            Protocol::Resp => ringfort.resp(),
        };
        match read(address, protocol, name) {
            Ok(value) => return Some(value),
            Err(line) if may_fail && line.ends_with("backend is unavailable") => return None,
            Err(line) => last = line,
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert!(may_fail, "{name}: {last}");
    None
}

fn value_at(backend: &Backend, protocol: Protocol, name: &str) -> Option<u64> {
    read(backend.address(), protocol, name).expect("a server that is well")
}

fn read(address: SocketAddr, protocol: Protocol, name: &str) -> Result<Option<u64>, String> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request = match protocol {
        Protocol::Memcache => format!("get {name}\r\nquit\r\n"),
        Protocol::Resp => format!("GET {name}\r\nQUIT\r\n"),
    };
    stream.write_all(request.as_bytes()).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a reply");
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if first.starts_with("SERVER_ERROR ") || first.starts_with("-ERR ") {
        return Err(first.to_owned());
    }
    let is_miss = ["END", "$-1"].contains(&first);
    Ok((!is_miss).then(|| {
        let digits = lines.next().unwrap_or_default();
        digits
            .parse()
            .unwrap_or_else(|_| panic!("{name}: {text:?}"))
    }))
}

pub(super) fn live_count(ringfort: &Ringfort, protocol: Protocol) -> u64 {
    let (address, request, name): (_, &[u8], _) = match protocol {
        Protocol::Memcache => (
            ringfort.memcache(),
            b"stats\r\nquit\r\n",
            "STAT spool_records ",
        ),
        Protocol::Resp => (ringfort.resp(), b"INFO\r\nQUIT\r\n", "spool_records:"),
    };
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(request).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("statistics");
    let count = text.lines().find_map(|line| line.strip_prefix(name));
    count.expect("the statistic").parse().expect("a number")
}
