//! The promise: with twemproxy's hash, distribution, names, weights and hash tag every key has the server that the
//! real twemproxy sends it to. One nutcracker serves a pool for each combination over the same servers; the keys are
//! written through each pool with a value of its own, and each server is asked which keys it has that value of.

mod support;

use std::net::SocketAddr;

use ringfort::route::{Distribution, HashRingMode, KeyHash, Placement, Router, ServerSpec};
use support::backends::Backend;
use support::process::free_port;
use support::wire::Wire;

/// Keys between two looks at the replies.
const PIPELINE_DEPTH: usize = 200;

#[test]
fn memcache_keys_have_the_servers_of_twemproxy() {
    let backends: Vec<Backend> = (0..3).map(|_| Backend::memcached()).collect();
    let keys = memcache_keys();
    let (pools, _nutcracker) = pools(&backends, false);
    for pool in &pools {
        let value = pool.name.as_bytes();
        write_memcache(&mut Wire::connect(pool.address), &keys, value);
        let held = backends
            .iter()
            .map(|backend| held_memcache(&mut backend.connect(), &keys, value));
        pool.assert_owners(&keys, &held.collect::<Vec<_>>());
    }
}

#[test]
fn redis_keys_have_the_servers_of_twemproxy() {
    let backends: Vec<Backend> = (0..3).map(|_| Backend::redis()).collect();
    let keys = redis_keys();
    let (pools, _nutcracker) = pools(&backends, true);
    for pool in &pools {
        let value = pool.name.as_bytes();
        write_redis(&mut Wire::connect(pool.address), &keys, value);
        let held = backends
            .iter()
            .map(|backend| held_redis(&mut backend.connect(), &keys, value));
        pool.assert_owners(&keys, &held.collect::<Vec<_>>());
    }
}

/// One pool of the nutcracker, and our idea of it.
struct Pool {
    name: String,
    address: SocketAddr,
    router: Router,
}

impl Pool {
    /// Insists that each key is on its owner and nowhere else.
    fn assert_owners(&self, keys: &[Vec<u8>], held: &[Vec<bool>]) {
        for (index, key) in keys.iter().enumerate() {
            let holders: Vec<usize> = (0..held.len())
                .filter(|server| held[*server][index])
                .collect();
            let owner = self.router.owner(key).index();
            assert_eq!(holders, [owner], "{}: {}", self.name, key.escape_ascii());
        }
    }
}

/// Every hash with every distribution, over servers of equal weight and over named and weighted ones, the latter
/// with a hash tag.
fn pools(backends: &[Backend], is_redis: bool) -> (Vec<Pool>, Backend) {
    let lists = [
        (["1", "1", "1"], None),
        (["3", "1 gamma", "2 b"], Some("{}")),
        (["1 c", "1 bb", "5"], Some("$:")),
    ];
    let mut pools = Vec::new();
    let mut text = String::new();
    for (weights, hash_tag) in lists {
        let lines: Vec<String> = backends
            .iter()
            .zip(weights)
            .map(|(backend, weight)| format!("{}:{weight}", backend.address()))
            .collect();
        let servers: Vec<ServerSpec> = lines
            .iter()
            .map(|line| ServerSpec::parse_line(line).expect("a server"))
            .collect();
        for key_hash in KeyHash::ALL {
            for distribution in [Distribution::Ketama, Distribution::Modula] {
                let name = format!("{key_hash}-{distribution}-{}", pools.len());
                let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
                text += &format!(
                    "{name}:\n  listen: {address}\n  hash: {key_hash}\n  distribution: {distribution}\n  \
                     redis: {is_redis}\n"
                );
                if let Some(tag) = hash_tag {
                    text += &format!("  hash_tag: \"{tag}\"\n");
                }
                text += &format!("  servers:\n   - {}\n", lines.join("\n   - "));
                let placement = Placement {
                    hash_ring: HashRingMode::Twemproxy,
                    key_hash: Some(key_hash),
                    distribution,
                    hash_tag: hash_tag.map(|tag| tag.parse().expect("a tag")),
                };
                let router = Router::build(placement, &servers).expect("a router");
                pools.push(Pool {
                    name,
                    address,
                    router,
                });
            }
        }
    }
    // The harness asks the first pool for a key to know that nutcracker is there, as memcache.
    let memcached = Backend::memcached();
    let nutcracker = Backend::nutcracker_with(|port| {
        let server = memcached.address();
        format!("first:\n  listen: 127.0.0.1:{port}\n  servers:\n   - {server}:1\n{text}")
    });
    (pools, nutcracker)
}

/// Keys of several shapes and lengths, a part of them with bytes from 0x80 up, which twemproxy reads as signed.
fn memcache_keys() -> Vec<Vec<u8>> {
    (0..2_000_u32)
        .map(|n| match n % 8 {
            0 => [&b"\x80\xff\xc3"[..], n.to_string().as_bytes(), b"\xa9"].concat(),
            1 => format!("session:{:032x}", u128::from(n) << 90).into_bytes(),
            2 => n.to_string().into_bytes(),
            3 => format!("a/long/path/{}/{n}", "x".repeat(n as usize % 200)).into_bytes(),
            4 => format!("user:{{{}}}:{n}", n % 50).into_bytes(),
            5 => format!("${}:{n}:{{}}", n % 50).into_bytes(),
            6 => (0..1 + n % 23)
                .map(|byte| 0x21 + (n.wrapping_mul(2_654_435_761) >> (byte % 24)) as u8 % 0xde)
                .filter(|byte| *byte != 0x7f)
                .chain(n.to_string().bytes())
                .collect(),
            _ => format!("user:{n}").into_bytes(),
        })
        .collect()
}

/// The same, and others that only Redis can name.
fn redis_keys() -> Vec<Vec<u8>> {
    let binary = (0..1_000_u32).map(|n| {
        let mut key: Vec<u8> = (0..n % 40)
            .map(|byte| (n.wrapping_mul(2_246_822_519) >> (byte % 24)) as u8)
            .collect();
        key.extend_from_slice(b" \r\n\0");
        key.extend_from_slice(&n.to_le_bytes());
        key
    });
    memcache_keys().into_iter().chain(binary).collect()
}

fn write_memcache(wire: &mut Wire, keys: &[Vec<u8>], value: &[u8]) {
    let length = value.len().to_string();
    for chunk in keys.chunks(PIPELINE_DEPTH) {
        let set = |key: &Vec<u8>| {
            [
                b"set ",
                &key[..],
                b" 0 0 ",
                length.as_bytes(),
                b"\r\n",
                value,
                b"\r\n",
            ]
            .concat()
        };
        wire.send(&chunk.iter().flat_map(set).collect::<Vec<u8>>());
        wire.expect(&b"STORED\r\n".repeat(chunk.len()));
    }
}

fn held_memcache(wire: &mut Wire, keys: &[Vec<u8>], value: &[u8]) -> Vec<bool> {
    let mut held = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(PIPELINE_DEPTH) {
        let get = |key: &Vec<u8>| [b"get ", &key[..], b"\r\n"].concat();
        wire.send(&chunk.iter().flat_map(get).collect::<Vec<u8>>());
        for _ in chunk {
            let line = wire.line();
            let found = line.starts_with("VALUE ").then(|| {
                let length = line.rsplit(' ').next().expect("a length");
                let block = wire.bytes(length.parse::<usize>().expect("a length") + 2);
                wire.expect(b"END\r\n");
                block
            });
            assert!(found.is_some() || line == "END", "{line}");
            held.push(found.is_some_and(|block| block.strip_suffix(b"\r\n") == Some(value)));
        }
    }
    held
}

fn write_redis(wire: &mut Wire, keys: &[Vec<u8>], value: &[u8]) {
    for chunk in keys.chunks(PIPELINE_DEPTH) {
        let set = |key: &Vec<u8>| command(&[b"SET", key, value]);
        wire.send(&chunk.iter().flat_map(set).collect::<Vec<u8>>());
        wire.expect(&b"+OK\r\n".repeat(chunk.len()));
    }
}

fn held_redis(wire: &mut Wire, keys: &[Vec<u8>], value: &[u8]) -> Vec<bool> {
    let mut held = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(PIPELINE_DEPTH) {
        let get = |key: &Vec<u8>| command(&[b"GET", key]);
        wire.send(&chunk.iter().flat_map(get).collect::<Vec<u8>>());
        for _ in chunk {
            let line = wire.line();
            let length: i64 = line[1..].parse().expect("a bulk's length");
            let block = (length >= 0).then(|| wire.bytes(length as usize + 2));
            held.push(block.is_some_and(|block| block.strip_suffix(b"\r\n") == Some(value)));
        }
    }
    held
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
