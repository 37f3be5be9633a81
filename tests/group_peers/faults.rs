//! Peers that hang, answer nonsense, or do not trust each other.

use std::io::{Read, Write};

use super::support::{
    origin::Origin,
    process::{ScratchFolder, Signal},
    wait_for,
};
use super::{Circle, member, odd_peer, url};

#[test]
fn a_peer_that_hangs_costs_its_keys_some_time_once() {
    let origin = Origin::echo();
    let mut circle = Circle::start(&origin, 2, &["--load-timeout", "2s"]);
    let keys: Vec<String> = (0..20)
        .map(|number| circle.key_of(1, &format!("k{number}")))
        .collect();
    circle.member(1).process().signal(Signal::STOP);
    let mut client = circle.resp(0);
    for key in &keys {
        let value = format!("${}\r\n{key}\r\n", key.len());
        client.ask(format!("GET {key}\r\n"), value);
        assert_eq!(origin.asked(key), 1);
    }
    assert!(circle.stat(0, "PeerErrors") >= 20);
    assert_eq!(circle.stat(0, "PeerLoads"), 0);
    // Whoever writes a key of its is told.
    let key = &keys[0];
    let line = format!("-ERR peer {} did not answer in time\r\n", circle.urls[1]);
    client.ask(format!("SET {key} v\r\n"), line);
    circle.member(1).process().signal(Signal::CONT);
    let mut number = 0;
    wait_for("it to be asked again", || {
        number += 1;
        let key = circle.key_of(1, &format!("later{number}"));
        let value = format!("${}\r\n{key}\r\n", key.len());
        client.ask(format!("GET {key}\r\n"), value);
        (circle.stat(0, "PeerLoads") > 0).then_some(())
    });
}

#[test]
fn a_peer_that_talks_nonsense_is_passed_over() {
    let origin = Origin::echo();
    let answers: [&'static [u8]; 4] = [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
        b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
    ];
    for answer in answers {
        let odd = odd_peer(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        });
        let mut circle = Circle::with_others(&origin, 1, &[odd], &[]);
        let mut client = circle.resp(0);
        for number in 0..5 {
            let key = circle.key_of(1, &format!("n{number}"));
            let value = format!("${}\r\n{key}\r\n", key.len());
            client.ask(format!("GET {key}\r\n"), value);
        }
        assert_eq!(circle.stat(0, "PeerErrors"), 5);
        let key = circle.key_of(1, "set");
        client.send(format!("SET {key} v\r\n").as_bytes());
        let line = client.line();
        let told = format!("-ERR peer {} ", circle.urls[1]);
        assert!(line.starts_with(&told), "{line}");
    }
}

#[test]
fn peers_with_different_secrets_do_not_talk() {
    let origin = Origin::echo();
    let folder = ScratchFolder::new();
    let [one, other] = ["open-sesame", "open-barley"].map(|secret| {
        let file = folder.write(secret, &format!("{secret}\nmore\n"));
        file.display().to_string()
    });
    let urls = vec![url(), url(), url()];
    let secrets = [&one, &one, &other];
    let members = urls
        .iter()
        .zip(secrets)
        .map(|(me, secret)| Some(member(&origin, me, &urls, &["--peer-secret", secret])));
    let members = members.collect();
    let mut circle = Circle { urls, members };
    for (place, owner, is_told) in [(0, 1, true), (0, 2, false), (2, 0, false)] {
        let key = circle.key_of(owner, &format!("s{place}"));
        let before = ["PeerLoads", "PeerErrors"].map(|name| circle.stat(place, name));
        let value = format!("${}\r\n{key}\r\n", key.len());
        circle.resp(place).ask(format!("GET {key}\r\n"), value);
        let after = ["PeerLoads", "PeerErrors"].map(|name| circle.stat(place, name));
        let more = [after[0] - before[0], after[1] - before[1]];
        assert_eq!(more, [u64::from(is_told), u64::from(!is_told)]);
    }
    let key = circle.key_of(2, "written");
    let mut client = circle.memcache(0);
    client.send(format!("set {key} 0 0 1\r\nv\r\n").as_bytes());
    let line = client.line();
    let url = &circle.urls[2];
    assert_eq!(
        line,
        format!("SERVER_ERROR peer {url} answered 401 Unauthorized: wrong secret, or none")
    );
}
