//! A peer that does what mailgun's fork of groupcache does with changes: it makes those that it is told of, and tells
//! nobody else.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use prost::Message;
use ringfort::group::wire::{GetResponse, SetRequest, Spelling, parse_path, path_of};

use super::support::{DEADLINE, origin::Origin, wait_for, wire::Wire};
use super::{Circle, odd_peer};

/// What such a peer keeps, and what it was asked.
#[derive(Default)]
struct Fork {
    values: Mutex<HashMap<Bytes, Bytes>>,
    asked: Mutex<Vec<String>>,
    /// Whether changes are held back.
    is_held: Mutex<bool>,
    released: Condvar,
}

impl Fork {
    /// One that listens, and its URL.
    fn start() -> (Arc<Self>, String) {
        let fork = Arc::new(Self::default());
        let shared = Arc::clone(&fork);
        let url = odd_peer(move |stream| {
            let fork = Arc::clone(&shared);
            std::thread::spawn(move || fork.serve(&stream));
        });
        (fork, url)
    }

    fn set(&self, key: &str, value: &str) {
        let (key, value) = (key.to_owned().into(), value.to_owned().into());
        self.values.lock().expect("no panic").insert(key, value);
    }

    fn asked(&self, method: &str) -> usize {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|one| *one == method).count()
    }

    fn hold(&self, is_held: bool) {
        *self.is_held.lock().expect("no panic") = is_held;
        self.released.notify_all();
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some((method, path, body)) = read_request(&mut reader) {
            self.asked.lock().expect("no panic").push(method.clone());
            let (_, key) = parse_path(&path, Spelling::Path).expect("a key");
            let mut answer = Bytes::new();
            if method != "GET" {
                let is_held = self.is_held.lock().expect("no panic");
                drop(self.released.wait_while(is_held, |is_held| *is_held));
            }
            let mut values = self.values.lock().expect("no panic");
            match method.as_str() {
                "GET" => {
                    let response = GetResponse {
                        value: values.get(&key).cloned(),
                        minute_qps: None,
                        expire: None,
                    };
                    answer = response.encode_to_vec().into();
                }
                "PUT" => {
                    let request = SetRequest::decode(body).expect("a message");
                    values.insert(key, request.value.unwrap_or_default());
                }
                _ => {
                    values.remove(&key);
                }
            }
            drop(values);
            let kind = match method.as_str() {
                "GET" => "content-type: application/x-protobuf\r\n",
                _ => "",
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\n{kind}content-length: {}\r\n\r\n",
                answer.len()
            );
            let mut writer = stream;
            if writer
                .write_all(&[head.as_bytes(), &answer].concat())
                .is_err()
            {
                return;
            }
        }
    }
}

/// The method, path and body of the next request.
fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<(String, String, Bytes)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut body_bytes = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                body_bytes = value.parse().expect("a length");
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; body_bytes];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, body.into()))
}

fn expect(circle: &mut Circle, key: &str, value: &str) {
    for place in [0, 1] {
        let bulk = format!("${}\r\n{value}\r\n", value.len());
        circle.resp(place).ask(format!("GET {key}\r\n"), bulk);
    }
}

#[test]
fn who_changes_what_a_fork_owns_tells_the_others() {
    let origin = Origin::echo();
    let (fork, url) = Fork::start();
    let mut circle = Circle::with_others(&origin, 2, &[url], &["--hot", "all"]);
    let key = circle.key_of(2, "k");
    fork.set(&key, "first");
    expect(&mut circle, &key, "first");
    circle
        .resp(0)
        .ask(format!("SET {key} second\r\n"), "+OK\r\n");
    expect(&mut circle, &key, "second");
    circle
        .resp(1)
        .ask(format!("SET {key} third\r\n"), "+OK\r\n");
    expect(&mut circle, &key, "third");
    circle.resp(1).ask(format!("DEL {key}\r\n"), ":1\r\n");
    fork.set(&key, "fourth");
    expect(&mut circle, &key, "fourth");
    assert_eq!((fork.asked("PUT"), fork.asked("DELETE")), (2, 1));
    assert_eq!(origin.asked_in_all(), 0);
}

#[test]
fn what_a_fork_sets_here_the_others_hear_of() {
    let origin = Origin::echo();
    let (fork, url) = Fork::start();
    let mut circle = Circle::with_others(&origin, 2, &[url], &["--hot", "all"]);
    let key = circle.key_of(1, "k");
    expect(&mut circle, &key, &key);
    let message = SetRequest {
        group: Some(Bytes::from_static(b"values")),
        key: Some(key.clone().into()),
        value: Some(Bytes::from_static(b"set")),
        expire: None,
    };
    let message = message.encode_to_vec();
    let path = path_of("values", key.as_bytes()).expect("short");
    let peer = circle.urls[1]["http://".len()..]
        .parse()
        .expect("an address");
    let mut putting = Wire::connect(peer);
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        message.len()
    );
    putting.send(&[head.as_bytes(), &message].concat());
    assert!(putting.line().starts_with("HTTP/1.1 200"));
    expect(&mut circle, &key, "set");
    assert_eq!(origin.asked_in_all(), 1);
    assert_eq!(fork.asked("DELETE"), 1);
}

/// Each change keeps a place of its owner's until the owner has told all others, for which it needs places of theirs:
/// if all places are taken by such, all wait for each other.
#[test]
fn changes_for_one_owner_leave_places_to_others() {
    let origin = Origin::echo();
    let (fork, url) = Fork::start();
    let (_others, more): (Vec<_>, Vec<_>) = (0..7).map(|_| Fork::start()).unzip();
    let all = [vec![url], more].concat();
    // What waits for a turn is in time, also on a busy machine.
    let mut circle = Circle::with_others(&origin, 1, &all, &["--load-timeout", "1m"]);
    fork.hold(true);
    // Half of 1,024 places, for eight that ask.
    const TURNS: usize = 64;
    let mut client = circle.resp(0);
    let keys = (0..).map(|number| format!("k{number}"));
    let keys: Vec<_> = keys
        .filter(|key| circle.owner(key) == 1)
        .take(3 * TURNS)
        .collect();
    for key in &keys {
        client.send(format!("SET {key} v\r\n").as_bytes());
    }
    wait_for("its turns to be taken", || {
        (fork.asked("PUT") >= TURNS).then_some(())
    });
    std::thread::sleep(DEADLINE / 50);
    assert_eq!(fork.asked("PUT"), TURNS);
    fork.hold(false);
    for _ in &keys {
        client.expect(b"+OK\r\n");
    }
    assert_eq!(fork.asked("PUT"), keys.len());
}
