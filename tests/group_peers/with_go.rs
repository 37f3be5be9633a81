//! Two ringforts and a peer of golang/groupcache in one ring.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use percent_encoding::percent_decode;

use super::go::{self, GoPeer};
use super::support::{
    keys::KEYS,
    origin::{Answer, Origin},
    wire::Wire,
};
use super::{Circle, url};

fn get(client: &mut Wire, key: &str) -> Vec<u8> {
    let request = format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len());
    client.send(request.as_bytes());
    let head = client.line();
    let bytes = head[1..]
        .parse()
        .unwrap_or_else(|_| panic!("{key:?}: {head}"));
    let value = client.bytes(bytes);
    client.expect(b"\r\n");
    value
}

#[test]
fn every_key_is_loaded_once_in_the_ring() {
    let asked: Arc<Mutex<HashMap<Vec<u8>, usize>>> = Arc::default();
    let counted = Arc::clone(&asked);
    let origin = Origin::start(move |path| {
        let key: Vec<u8> = percent_decode(&path.as_bytes()[1..]).collect();
        let value = [b"value of ", &key[..]].concat();
        *counted.lock().expect("no panic").entry(key).or_default() += 1;
        Answer::value(value)
    });
    // The Go peer is told of the others before they are there.
    let (one, other) = (url(), url());
    let from = origin.flag().replace("{key}", "");
    let go = GoPeer::start(&[one.clone(), other.clone()], &from);
    let urls = vec![one, other, go.url()];
    let members = urls[..2].iter();
    let members = members.map(|me| Some(super::member(&origin, me, &urls, &[])));
    let members = members.collect();
    let mut circle = Circle { urls, members };
    let mut clients = [circle.resp(0), circle.resp(1)];
    let more = (0..60).map(|number| format!("key-{number}"));
    // Go's router takes a path with an empty part for one to be mended.
    let keys: Vec<String> = KEYS
        .iter()
        .filter(|key| !key.starts_with('/'))
        .map(|key| (*key).to_owned())
        .chain(more)
        .collect();
    let mut owners = [0; 3];
    for (number, key) in keys.iter().enumerate() {
        owners[circle.owner(key)] += 1;
        let expected = format!("value of {key}").into_bytes();
        // Each of the three asks first in turn.
        for turn in (0..3).map(|turn| (number + turn) % 3) {
            let value = match turn {
                2 => go::get(go.port(), key.as_bytes()).1,
                place => get(&mut clients[place], key),
            };
            assert_eq!(value, expected, "{key:?} by {turn}");
        }
        let asked = asked.lock().expect("no panic").get(key.as_bytes()).copied();
        assert_eq!(asked, Some(1), "{key:?}");
    }
    assert!(owners.iter().all(|count| *count > 5), "{owners:?}");
    for place in [0, 1] {
        assert!(circle.stat(place, "ServerRequests") > 0);
        assert_eq!(circle.stat(place, "PeerErrors"), 0);
    }
    let key = circle.key_of(2, "written");
    let line = format!("-ERR peer {} takes no changes\r\n", go.url());
    clients[0].ask(format!("SET {key} v\r\n"), &line);
    clients[0].ask(format!("DEL {key}\r\n"), &line);
    // Whose owner is a ringfort can be written, though a Go peer keeps what it has.
    let key = circle.key_of(0, "written");
    clients[1].ask(
        format!("SET {key} v\r\nGET {key}\r\n"),
        "+OK\r\n$1\r\nv\r\n",
    );
    assert_eq!(go::get(go.port(), key.as_bytes()).1, b"v");
}
