//! Copies of what other peers own.

use super::Circle;
use super::support::origin::{Answer, Origin};

#[test]
fn a_copy_saves_the_way_to_the_owner() {
    let origin = Origin::echo();
    for (policy, asked) in [("all", 1), ("none", 5), ("sketch", 3)] {
        let mut circle = Circle::start(&origin, 2, &["--hot", policy]);
        let key = circle.key_of(1, policy);
        let mut client = circle.resp(0);
        let value = format!("${}\r\n{key}\r\n", key.len());
        for _ in 0..5 {
            client.ask(format!("GET {key}\r\n"), &value);
        }
        assert_eq!(circle.stat(0, "PeerLoads"), asked, "{policy}");
        let copies = u64::from(policy != "none");
        assert_eq!(circle.stat(0, "HotItems"), copies, "{policy}");
        assert_eq!(circle.stat(0, "Items"), copies, "{policy}");
        assert_eq!(circle.stat(0, "MainItems"), 0, "{policy}");
        assert_eq!(circle.stat(1, "HotItems"), 0, "it owns the key");
        assert_eq!(circle.stat(1, "MainItems"), 1, "{policy}");
        assert_eq!(circle.stat(1, "MainBytes"), circle.stat(1, "Bytes"));
        assert_eq!(origin.asked(&key), 1);
        let bytes = circle.stat(0, "Bytes");
        assert_eq!(circle.stat(0, "HotBytes"), bytes, "{policy}");
        // What is deleted counts no longer, whether its turn to go had come or not.
        client.ask(format!("DEL {key}\r\n"), ":1\r\n");
        for name in ["HotItems", "HotBytes", "HotEvictions", "Items"] {
            assert_eq!(circle.stat(0, name), 0, "{name}, {policy}");
        }
        assert_eq!(circle.stat(1, "MainItems"), 0, "{policy}");
    }
    let mut circle = Circle::start(&origin, 2, &[]);
    let mut client = circle.resp(0);
    let mut asked = 0;
    // By chance one in ten.
    for number in 0..200 {
        let key = circle.key_of(1, &format!("coin{number}"));
        let value = format!("${}\r\n{key}\r\n", key.len());
        client.ask(format!("GET {key}\r\n"), &value);
        asked += 1;
    }
    assert_eq!(circle.stat(0, "PeerLoads"), asked);
    let kept = circle.stat(0, "HotItems");
    assert!((1..=80).contains(&kept), "{kept}");
    client.ask("FLUSHALL\r\n", "+OK\r\n");
    assert_eq!(circle.stat(0, "HotBytes"), 0);
    assert_eq!(circle.stat(0, "HotItems"), 0);
}

#[test]
fn copies_have_a_part_of_the_memory_and_no_more() {
    const VALUE_BYTES: usize = 64 << 10;
    // Of the 32 MiB of each of two shards 24 are the store's.
    const COPIES_BYTES_MAX: u64 = 2 * (24 << 20) / 8;
    let origin = Origin::start(|path| {
        let mut value = path.as_bytes().to_vec();
        value.resize(VALUE_BYTES, b'.');
        Answer::value(value)
    });
    let mut circle = Circle::start(&origin, 2, &["--hot", "all"]);
    let keys: Vec<String> = (0..200)
        .map(|number| circle.key_of(1, &format!("k{number}")))
        .collect();
    let mut client = circle.resp(0);
    for key in keys.iter().chain(&keys[190..]) {
        client.send(format!("GET {key}\r\n").as_bytes());
        client.expect(format!("${VALUE_BYTES}\r\n/{key}.").as_bytes());
        client.bytes(VALUE_BYTES - key.len() - 2 + 2);
    }
    let bytes = circle.stat(0, "HotBytes");
    assert!(bytes <= COPIES_BYTES_MAX, "{bytes}");
    assert!(bytes > COPIES_BYTES_MAX / 2, "{bytes}");
    let items = circle.stat(0, "HotItems");
    assert_eq!(circle.stat(0, "HotEvictions"), 200 - items);
    assert_eq!(circle.stat(0, "Evictions"), 200 - items);
    assert_eq!(circle.stat(0, "MainEvictions"), 0);
    assert_eq!(circle.stat(1, "MainItems"), 200, "the owner has them all");
    assert_eq!(
        circle.stat(0, "Items"),
        items,
        "they are gone from the store, too"
    );
    assert_eq!(circle.stat(0, "PeerLoads"), 200, "the last ones are there");
}
