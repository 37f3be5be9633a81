//! Sets and deletes: who is answered knows that all peers have heard of it.

use super::Circle;
use super::support::{
    binary::{packet_with, reply},
    origin::{Answer, Origin},
};

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// What a client of each peer sees of a key.
fn expect_everywhere(circle: &mut Circle, key: &str, value: &str) {
    for place in 0..circle.members.len() {
        circle
            .resp(place)
            .ask(format!("GET {key}\r\n"), bulk(value));
    }
}

#[test]
fn what_one_client_writes_those_of_all_peers_see() {
    // Whether others keep copies or not.
    for policy in ["all", "none"] {
        write_and_see(policy);
    }
}

fn write_and_see(policy: &str) {
    let origin = Origin::start(|_| Answer::value("source"));
    let mut circle = Circle::start(&origin, 3, &["--hot", policy]);
    for (place, owner) in (0..3).flat_map(|place| (0..3).map(move |owner| (place, owner))) {
        let key = circle.key_of(owner, &format!("k{place}"));
        expect_everywhere(&mut circle, &key, "source");
        assert_eq!(origin.asked(&key), 1);
        let mut memcache = circle.memcache(place);
        let mut resp = circle.resp(place);
        memcache.ask(format!("set {key} 0 0 4\r\ntext\r\n"), "STORED\r\n");
        expect_everywhere(&mut circle, &key, "text");
        memcache.ask(format!("ms {key} 4 s O7\r\nmeta\r\n"), "HD s4 O7\r\n");
        expect_everywhere(&mut circle, &key, "meta");
        resp.ask(format!("SET {key} resp\r\n"), "+OK\r\n");
        expect_everywhere(&mut circle, &key, "resp");
        let mut binary = circle.memcache(place);
        binary.send(&packet_with(0x01, key.as_bytes(), &[0; 8], b"binary", 0));
        assert_eq!(reply(&mut binary).status, 0);
        expect_everywhere(&mut circle, &key, "binary");
        // Pipelined, with the reads behind.
        resp.ask(
            format!("SET {key} a\r\nSET {key} b\r\nGET {key}\r\nDEL {key} {key}\r\nSET {key} c\r\nGET {key}\r\n"),
            "+OK\r\n+OK\r\n$1\r\nb\r\n:2\r\n+OK\r\n$1\r\nc\r\n",
        );
        memcache.ask(
            format!("set {key} 0 0 1 noreply\r\nd\r\nget {key}\r\n"),
            format!("VALUE {key} 0 1\r\nd\r\nEND\r\n"),
        );
        expect_everywhere(&mut circle, &key, "d");
        assert_eq!(origin.asked(&key), 1, "nothing of that asks the source");
        for (number, delete) in ["delete", "md"].iter().enumerate() {
            let line = if number == 0 { "DELETED\r\n" } else { "HD\r\n" };
            memcache.ask(format!("{delete} {key}\r\n"), line);
            expect_everywhere(&mut circle, &key, "source");
            assert_eq!(origin.asked(&key), 2 + number);
        }
    }
}

#[test]
fn several_keys_go_to_several_owners() {
    let origin = Origin::start(|_| Answer::value("source"));
    let mut circle = Circle::start(&origin, 3, &[]);
    let keys: Vec<String> = (0..60).map(|number| format!("m-{number}")).collect();
    let pairs: String = keys.iter().map(|key| format!(" {key} v{key}")).collect();
    let mut client = circle.resp(1);
    client.ask(format!("MSET{pairs}\r\n"), "+OK\r\n");
    for key in &keys {
        expect_everywhere(&mut circle, key, &format!("v{key}"));
    }
    // With one that is too large none is set.
    let large = "x".repeat(1 << 20);
    client.send(
        format!(
            "*5\r\n$4\r\nMSET\r\n$3\r\nm-0\r\n$1\r\nx\r\n$5\r\nlarge\r\n${}\r\n{large}\r\n",
            large.len()
        )
        .as_bytes(),
    );
    client.expect(b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    expect_everywhere(&mut circle, "m-0", "vm-0");
    client.ask(
        "MSET twice 1 twice 2\r\nGET twice\r\n",
        "+OK\r\n$1\r\n2\r\n",
    );
    client.ask(format!("DEL {}\r\n", keys.join(" ")), ":60\r\n");
    assert_eq!(origin.asked_in_all(), 0);
    for key in &keys {
        expect_everywhere(&mut circle, key, "source");
        assert_eq!(origin.asked(key), 1);
    }
}

#[test]
fn a_value_lives_as_long_as_its_writer_says() {
    let origin = Origin::start(|_| Answer::value("source"));
    let mut circle = Circle::start(&origin, 2, &[]);
    let key = circle.key_of(1, "k");
    circle
        .resp(0)
        .ask(format!("SET {key} v EX 100\r\n"), "+OK\r\n");
    let mut owner = circle.resp(1);
    owner.send(format!("TTL {key}\r\n").as_bytes());
    let left: u64 = owner.line()[1..].parse().expect("a number");
    assert!((50..=100).contains(&left), "{left}");
    circle
        .memcache(0)
        .ask(format!("set {key} 0 -1 1\r\nx\r\n"), "STORED\r\n");
    expect_everywhere(&mut circle, &key, "source");
}

#[test]
fn who_cannot_be_told_is_named() {
    let origin = Origin::start(|_| Answer::value("source"));
    let mut circle = Circle::start(&origin, 3, &[]);
    circle.kill(2);
    let url = circle.urls[2].clone();
    let (lost, own) = (circle.key_of(2, "lost"), circle.key_of(0, "own"));
    let mut client = circle.memcache(0);
    client.send(format!("set {lost} 0 0 1\r\nv\r\n").as_bytes());
    let line = client.line();
    let told = format!("SERVER_ERROR peer {url} ");
    assert!(line.starts_with(&told), "{line}");
    for place in [0, 1] {
        let mut client = circle.memcache(place);
        client.send(format!("set {own} 0 0 1\r\nv\r\ndelete {own}\r\n").as_bytes());
        for _ in 0..2 {
            let line = client.line();
            let told = format!("SERVER_ERROR done, but not all peers know: peer {url} ");
            assert!(line.starts_with(&told), "{line}");
        }
    }
    client.send(format!("ms {own} 1\r\nv\r\n").as_bytes());
    assert!(client.line().starts_with("SERVER_ERROR done, but"));
    client.send(format!("set {own} 0 0 1 noreply\r\nw\r\nget {own}\r\n").as_bytes());
    client.expect(format!("VALUE {own} 0 1\r\nw\r\nEND\r\n").as_bytes());
    let mut resp = circle.resp(1);
    resp.send(format!("MSET {own} 1 {lost} 2\r\n").as_bytes());
    assert!(resp.line().starts_with("-ERR "));
    resp.ask("PING\r\n", "+PONG\r\n");
}

#[test]
fn a_load_under_way_at_the_owner_does_not_put_the_old_value_back() {
    let origin = Origin::start(|_| Answer::value("old"));
    let mut circle = Circle::start(&origin, 2, &["--hot", "all"]);
    let key = circle.key_of(1, "k");
    origin.hold();
    let mut reader = circle.resp(0);
    reader.send(format!("GET {key}\r\n").as_bytes());
    super::support::wait_for("the load", || (origin.asked(&key) == 1).then_some(()));
    circle.resp(0).ask(format!("SET {key} new\r\n"), "+OK\r\n");
    expect_everywhere(&mut circle, &key, "new");
    origin.release();
    reader.expect(b"$3\r\nold\r\n");
    expect_everywhere(&mut circle, &key, "new");
}

#[test]
fn a_value_that_is_too_large_takes_the_old_one_away_everywhere() {
    let origin = Origin::start(|_| Answer::value("source"));
    let mut circle = Circle::start(&origin, 3, &["--hot", "all"]);
    // Too large for an entry with its key, and for a request.
    let sizes = [(1 << 20) - 20, (1 << 20) + 1];
    let mut asked = 0;
    for (number, size) in sizes.into_iter().enumerate() {
        let key = circle.key_of(1, &format!("large{number}"));
        let value = "x".repeat(size);
        let line = "SERVER_ERROR object too large for cache\r\n";
        let text = [
            format!("set {key} 0 0 {size}\r\n{value}\r\n"),
            format!("ms {key} {size}\r\n{value}\r\n"),
        ];
        for request in text {
            expect_everywhere(&mut circle, &key, "source");
            circle.memcache(0).ask(&request, line);
            asked += 1;
            assert_eq!(origin.asked(&key), asked, "loaded once since");
        }
        expect_everywhere(&mut circle, &key, "source");
        let mut binary = circle.memcache(2);
        binary.send(&packet_with(
            0x01,
            key.as_bytes(),
            &[0; 8],
            value.as_bytes(),
            0,
        ));
        assert_eq!(reply(&mut binary).status, 3);
        expect_everywhere(&mut circle, &key, "source");
        assert_eq!(origin.asked(&key), asked + 2);
        asked = 0;
    }
    let key = circle.key_of(1, "resp");
    expect_everywhere(&mut circle, &key, "source");
    let (size, value) = (sizes[0], "x".repeat(sizes[0]));
    circle.resp(0).ask(
        format!(
            "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${size}\r\n{value}\r\n",
            key.len()
        ),
        "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n",
    );
    expect_everywhere(&mut circle, &key, "source");
    assert_eq!(origin.asked(&key), 2);
}

#[test]
fn a_key_that_peers_cannot_be_asked_for_is_loaded_here_and_not_changed() {
    let origin = Origin::echo();
    let mut circle = Circle::start(&origin, 2, &[]);
    // Each byte takes three letters of a path.
    let key = "\u{1}".repeat(30_000);
    let name = format!("${}\r\n{key}\r\n", key.len());
    for place in [0, 1] {
        let mut client = circle.resp(place);
        client.ask(
            format!("*2\r\n$3\r\nGET\r\n{name}"),
            "-ERR origin cannot be asked for such a key\r\n",
        );
        let line = "-ERR key is too long for peers\r\n";
        client.ask(format!("*3\r\n$3\r\nSET\r\n{name}$1\r\nv\r\n"), line);
        client.ask(format!("*2\r\n$3\r\nDEL\r\n{name}"), line);
        assert_eq!(circle.stat(place, "PeerErrors"), 0);
        assert_eq!(circle.stat(place, "LocalLoadErrs"), 1);
    }
}
