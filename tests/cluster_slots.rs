//! The promise: a key has the slot that a real Redis Cluster says it has, and what a cluster tells about itself is
//! understood in both versions of the protocol.

mod support;

use ringfort::protocol::resp::Limits;
use ringfort::route::{Slot, Topology};
use support::backends::Backend;
use support::wire::Wire;

#[test]
fn keys_have_the_slots_that_redis_gives_them() {
    let backend = Backend::cluster_redis();
    let mut wire = backend.connect();
    let keys: Vec<Vec<u8>> = (0..3_000_u32).map(key).collect();
    for chunk in keys.chunks(200) {
        for key in chunk {
            let length = key.len();
            wire.send(format!("*3\r\n$7\r\nCLUSTER\r\n$7\r\nKEYSLOT\r\n${length}\r\n").as_bytes());
            wire.send(key);
            wire.send(b"\r\n");
        }
        for key in chunk {
            let expected = format!(":{}", Slot::of(key));
            assert_eq!(wire.line(), expected, "{}", key.escape_ascii());
        }
    }
}

#[test]
fn a_cluster_is_understood_in_both_versions() {
    let backend = Backend::cluster_redis();
    let mut wire = backend.connect();
    wire.ask("CLUSTER ADDSLOTSRANGE 0 99 16383 16383\r\n", "+OK\r\n");
    for hello in ["", "HELLO 3\r\n"] {
        let shards = reply(&backend, hello, "CLUSTER SHARDS\r\n");
        let slots = reply(&backend, hello, "CLUSTER SLOTS\r\n");
        let limits = Limits {
            inline_bytes_max: 1024,
            args_max: 1024,
            bulk_bytes_max: 1024,
        };
        let told = [
            Topology::from_shards(&shards, &limits),
            Topology::from_slots(&slots, &limits),
        ];
        for topology in told {
            let topology = topology.expect("a topology");
            assert_eq!(topology.slot_map().uncovered_count(), 16_384 - 101);
            let master = topology.groups[0].master().expect("a master");
            assert_eq!(master.port, Some(backend.address().port()));
        }
    }
}

/// The reply to a command, whole, on a connection that is closed behind it.
fn reply(backend: &Backend, hello: &str, command: &str) -> Vec<u8> {
    let mut wire = Wire::connect(backend.address());
    wire.send(format!("{hello}PING\r\n{command}QUIT\r\n").as_bytes());
    while wire.line() != "+PONG" {}
    let rest = wire.rest();
    rest.strip_suffix(b"+OK\r\n")
        .expect("QUIT's reply")
        .to_vec()
}

/// Of many lengths and bytes, a part with something in braces.
fn key(n: u32) -> Vec<u8> {
    let mut key: Vec<u8> = (0..n % 30)
        .map(|byte| (n.wrapping_mul(2_246_822_519) >> (byte % 24)) as u8)
        .collect();
    match n % 4 {
        0 => key.extend_from_slice(format!("{{{}}}", n % 10).as_bytes()),
        1 => key.insert(key.len() / 2, b'{'),
        2 => key.extend_from_slice(b"{}\xff"),
        _ => {}
    }
    key.extend_from_slice(&n.to_le_bytes());
    key
}
