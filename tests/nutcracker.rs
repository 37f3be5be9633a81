//! The promise: `ringfort --nutcracker FILE` is the twemproxy that the file configures. Both stand over the same
//! servers; what one is told, the other knows, in every pool of the file.

mod support;

#[path = "nutcracker/auto_eject.rs"]
mod auto_eject;

use std::net::SocketAddr;

use support::backends::Backend;
use support::process::{ScratchFolder, free_port};
use support::ringfort::{Ringfort, refusal};
use support::wire::Wire;

const KEY_COUNT: usize = 400;

/// Has a server told, or asked, the value of a key.
type Exchange = fn(&mut Wire, &str, &str);

/// A file of four pools over memcacheds and redis-servers, as `front` listens.
fn configuration(backends: &Backends, listen: [SocketAddr; 4]) -> String {
    let list = |servers: &[Backend], rest: [&str; 3]| {
        let lines = servers.iter().zip(rest);
        let lines = lines.map(|(server, rest)| format!("   - {}:{rest}\n", server.address()));
        lines.collect::<String>()
    };
    let [plain, ring, divided, tagged] = listen;
    format!(
        "plain:\n  listen: {plain}\n  servers:\n{}\
         ring:\n  listen: {ring}\n  hash: murmur\n  distribution: ketama\n  preconnect: true\n  servers:\n{}\
         divided:\n  listen: {divided}\n  hash: crc32a\n  distribution: modula\n  redis: true\n  servers:\n{}\
         tagged:\n  listen: {tagged}\n  hash: fnv1a_64\n  hash_tag: \"{{}}\"\n  redis: true\n  timeout: 400\n  servers:\n{}",
        list(&backends.memcached, ["1", "1", "1"]),
        list(&backends.memcached, ["3 gamma", "1", "2 b"]),
        list(&backends.redis, ["1", "2", "1 a"]),
        list(&backends.redis, ["1 one", "1 two", "2 three"]),
    )
}

struct Backends {
    memcached: Vec<Backend>,
    redis: Vec<Backend>,
}

impl Backends {
    fn start() -> Self {
        Self {
            memcached: (0..3).map(|_| Backend::memcached()).collect(),
            redis: (0..3).map(|_| Backend::redis()).collect(),
        }
    }
}

fn addresses(first: u16) -> [SocketAddr; 4] {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    [first, free_port(), free_port(), free_port()].map(address)
}

#[test]
fn what_one_is_told_the_other_knows() {
    let backends = Backends::start();
    let theirs = std::cell::Cell::new(addresses(free_port()));
    let _nutcracker = Backend::nutcracker_with(|port| {
        theirs.set(addresses(port));
        configuration(&backends, theirs.get())
    });
    let ours = addresses(free_port());
    let folder = ScratchFolder::new();
    let file = folder.write("nutcracker.yml", &configuration(&backends, ours));
    let ringfort = Ringfort::start_exactly(&[
        "--nutcracker",
        file.to_str().expect("a path"),
        "--shards",
        "1",
        "--memory",
        "128MiB",
    ]);
    for address in ours {
        let told = ringfort.ready_line().contains(&address.to_string());
        assert!(told, "{address} in {}", ringfort.ready_line());
    }
    for (pool, (ours, theirs)) in ours.into_iter().zip(theirs.get()).enumerate() {
        let (write, read): (Exchange, Exchange) = match pool {
            0 | 1 => (memcache_set, memcache_get),
            _ => (redis_set, redis_get),
        };
        for (number, (from, to)) in [(ours, theirs), (theirs, ours)].into_iter().enumerate() {
            let mut from = Wire::connect(from);
            let mut to = Wire::connect(to);
            for key in 0..KEY_COUNT {
                let key = format!("user:{{{}}}:\u{e9}{key}", key % 90);
                let value = format!("{pool}/{number}/{key}");
                write(&mut from, &key, &value);
                read(&mut to, &key, &value);
            }
        }
    }
}

/// Pools do not see each other's copies: the same key has another value in each.
#[test]
fn a_key_of_one_pool_is_not_one_of_another() {
    let backends = [Backend::memcached(), Backend::memcached()];
    let listen = addresses(free_port());
    let text: String = backends
        .iter()
        .zip(listen)
        .map(|(backend, listen)| {
            let server = backend.address();
            format!("pool-{server}:\n  listen: {listen}\n  servers:\n  - {server}:1\n")
        })
        .collect();
    let folder = ScratchFolder::new();
    let file = folder.write("nutcracker.yml", &text);
    let file = file.to_str().expect("a path");
    let arguments = [
        "--nutcracker",
        file,
        "--shards",
        "1",
        "--memory",
        "64MiB",
        "--l1",
        "1h",
    ];
    let _ringfort = Ringfort::start_exactly(&arguments);
    let [mut one, mut two] = [Wire::connect(listen[0]), Wire::connect(listen[1])];
    memcache_set(&mut one, "key", "one");
    memcache_get(&mut one, "key", "one");
    two.ask("get key\r\n", "END\r\n");
    memcache_set(&mut two, "key", "two");
    memcache_get(&mut two, "key", "two");
    memcache_get(&mut one, "key", "one");
    two.ask("delete key\r\n", "DELETED\r\n");
    two.ask("get key\r\n", "END\r\n");
    memcache_get(&mut one, "key", "one");
}

/// A twemproxy closes a connection on `CLIENT`, so it is not to be told a name.
#[test]
fn a_twemproxy_may_be_a_server_of_a_pool() {
    let (memcached, redis) = (Backend::memcached(), Backend::redis());
    let port = free_port();
    let _nutcracker = Backend::nutcracker_with(|first| {
        format!(
            "first:\n  listen: 127.0.0.1:{first}\n  servers:\n  - {}:1\n\
             second:\n  listen: 127.0.0.1:{port}\n  redis: true\n  servers:\n  - {}:1\n",
            memcached.address(),
            redis.address()
        )
    });
    let server = format!("127.0.0.1:{port}");
    let pool = [
        "--pool",
        "resp",
        "--resp",
        "127.0.0.1:0",
        "--server",
        &server,
    ];
    let rest = [
        "--shards",
        "1",
        "--memory",
        "64MiB",
        "--backend-name",
        "off",
    ];
    let ringfort = Ringfort::start_exactly(&[pool, rest].concat());
    let mut wire = Wire::connect(ringfort.resp());
    redis_set(&mut wire, "key", "value");
    redis_get(&mut wire, "key", "value");
}

#[test]
fn a_file_that_cannot_be_served_is_refused_with_its_line() {
    let folder = ScratchFolder::new();
    let file = folder.write("nutcracker.yml", "p:\n  listen: 127.0.0.1:1\n  hash: md4\n");
    let file = file.to_str().expect("a path");
    let (code, error) = refusal(&["--nutcracker", file]);
    assert_eq!(code, Some(2), "{error}");
    let expected =
        format!("ringfort: error: --nutcracker {file}:3: pool 'p', hash 'md4': not known here; ");
    assert!(error.starts_with(&expected), "{error}");
}

fn memcache_set(wire: &mut Wire, key: &str, value: &str) {
    wire.ask(
        format!("set {key} 0 0 {}\r\n{value}\r\n", value.len()),
        "STORED\r\n",
    );
}

fn memcache_get(wire: &mut Wire, key: &str, value: &str) {
    let length = value.len();
    wire.ask(
        format!("get {key}\r\n"),
        format!("VALUE {key} 0 {length}\r\n{value}\r\nEND\r\n"),
    );
}

fn redis_set(wire: &mut Wire, key: &str, value: &str) {
    wire.ask(command(&["SET", key, value]), "+OK\r\n");
}

fn redis_get(wire: &mut Wire, key: &str, value: &str) {
    wire.ask(
        command(&["GET", key]),
        format!("${}\r\n{value}\r\n", value.len()),
    );
}

fn command(words: &[&str]) -> String {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    text
}
