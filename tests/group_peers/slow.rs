//! Loads of one peer hang, and others still reach the owner.

use std::time::Duration;

use super::Circle;
use super::support::{
    origin::{Answer, Origin},
    wait_for,
};

/// Places for connections at a peer; loads of all others together take half of them.
const PLACES: usize = 1024;

#[test]
fn slow_loads_of_one_peer_leave_places_at_the_owner() {
    // Those that hang wait for the origin; what is there already needs none.
    let origin = Origin::start(|path| Answer::value(path.trim_start_matches('/')));
    let flags = ["--loads-max", "4096", "--load-timeout", "10m"];
    let mut circle = Circle::start(&origin, 3, &[&flags[..], &["--hot", "none"]].concat());
    let there = circle.key_of(1, "there");
    let value = format!("${}\r\n{there}\r\n", there.len());
    circle.resp(1).ask(format!("GET {there}\r\n"), &value);
    origin.hold();
    let asked_before = origin.asked_in_all();
    let keys: Vec<String> = (0..PLACES + 400)
        .map(|number| circle.key_of(1, &format!("slow{number}")))
        .collect();
    let mut readers: Vec<_> = keys
        .chunks(500)
        .map(|part| {
            let mut reader = circle.resp(0);
            let gets = part.iter().map(|key| format!("GET {key}\r\n"));
            reader.send(gets.collect::<String>().as_bytes());
            (reader, part)
        })
        .collect();
    // The other half is the third peer's.
    let places = PLACES / 2 / 2;
    let hanging = || origin.asked_in_all() - asked_before;
    wait_for("as many loads at the owner as may be", || {
        (hanging() >= places).then_some(())
    });
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(hanging(), places);
    for place in [2, 0] {
        let mut client = circle.resp(place);
        if place == 2 {
            client.ask(format!("GET {there}\r\n"), &value);
        }
        let key = circle.key_of(1, &format!("new{place}"));
        client.ask(format!("SET {key} written\r\n"), "+OK\r\n");
        client.ask(format!("DEL {key}\r\n"), ":1\r\n");
    }
    origin.release();
    for (reader, part) in &mut readers {
        for key in *part {
            reader.expect(format!("${}\r\n{key}\r\n", key.len()).as_bytes());
        }
    }
    assert_eq!(circle.stat(0, "PeerErrors"), 0);
    assert_eq!(origin.asked_in_all() - asked_before, keys.len());
}
