//! What a server of peers does with who takes its time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use ringfort::group::PeerLimits;

use crate::blocking;
use crate::ours::Ours;
use crate::support::{DEADLINE, POLL_INTERVAL, executor::run};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

/// A limit that a test waits for; who keeps it in time does, also on a busy machine.
const SHORT: Duration = Duration::from_secs(1);

/// After so long an answer that has to wait has not come.
const NOT_YET: Duration = Duration::from_millis(100);

/// Older than a connection must be to make room for another.
const NOT_NEW: Duration = Duration::from_millis(150);

const PATIENT: PeerLimits = PeerLimits {
    connections_max: 1024,
    first_max: LONG,
    idle_max: LONG,
    request_max: LONG,
    write_stall_max: LONG,
};

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// Whether the other side has closed, or reset, the connection, without a word.
fn is_closed(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn get(key: &str) -> String {
    format!("GET /_groupcache/values/{key} HTTP/1.1\r\nhost: x\r\n\r\n")
}

#[test]
fn half_a_request_is_waited_for_no_longer_than_may_be() {
    run(|| async {
        let limits = PeerLimits {
            first_max: SHORT,
            request_max: SHORT,
            ..PATIENT
        };
        let address = Rc::new(Ours::default()).listen_with(None, limits);
        blocking(move || {
            for half in ["G", "GET /_groupcache/values/a HTTP/1.1\r\nhost:"] {
                let mut stream = connect(address);
                stream.write_all(half.as_bytes()).expect("it reads");
                assert!(is_closed(&stream), "{half}");
                // Behind a whole one it is the same.
                let mut stream = connect(address);
                stream.write_all(get("a").as_bytes()).expect("it reads");
                stream.read_exact(&mut [0; 9]).expect("an answer");
                stream.write_all(half.as_bytes()).expect("it reads");
                stream.read_to_end(&mut Vec::new()).expect("a good end");
            }
            let mut stream = connect(address);
            let put =
                "PUT /_groupcache/values/a HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf";
            stream.write_all(put.as_bytes()).expect("it reads");
            let mut said = Vec::new();
            stream.read_to_end(&mut said).expect("a good end");
            assert!(said.starts_with(b"HTTP/1.1 400 "), "it is told so");
        })
        .await;
    });
}

#[test]
fn a_peer_without_a_request_is_kept_for_so_long() {
    run(|| async {
        let limits = PeerLimits {
            first_max: SHORT,
            idle_max: SHORT,
            ..PATIENT
        };
        let address = Rc::new(Ours::default()).listen_with(None, limits);
        blocking(move || {
            assert!(is_closed(&connect(address)), "it said nothing");
            let mut stream = connect(address);
            stream.write_all(get("a").as_bytes()).expect("it reads");
            let mut said = Vec::new();
            stream.read_to_end(&mut said).expect("a good end");
            assert!(said.starts_with(b"HTTP/1.1 200 "), "it is answered first");
        })
        .await;
    });
}

#[test]
fn a_peer_that_reads_no_answers_loses_its_connection() {
    run(|| async {
        let limits = PeerLimits {
            write_stall_max: SHORT,
            ..PATIENT
        };
        let ours = Rc::new(Ours::default());
        let address = ours.listen_with(None, limits);
        blocking(move || {
            let mut stream = connect(address);
            // What the kernel holds of the answers is soon full, and then of the requests.
            let requests = get("long").repeat(100);
            let error = loop {
                if let Err(error) = stream.write_all(requests.as_bytes()) {
                    break error;
                }
            };
            let lost = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(lost.contains(&error.kind()), "{error}");
            let mut other = connect(address);
            other.write_all(get("a").as_bytes()).expect("it reads");
            other.read_exact(&mut [0; 9]).expect("others are served");
        })
        .await;
    });
}

#[test]
fn who_is_new_asks_soon_for_what_it_may_ask_for() {
    run(|| async {
        let limits = PeerLimits {
            first_max: SHORT,
            ..PATIENT
        };
        let address = Rc::new(Ours::default()).listen_with(Some("s"), limits);
        blocking(move || {
            assert!(is_closed(&connect(address)), "it said nothing");
            let mut stream = connect(address);
            stream.write_all(b"GET /_groupcache/").expect("it reads");
            assert!(is_closed(&stream), "it said a part");
            // Who does not know the secret is told so, and keeps no connection.
            let mut stranger = connect(address);
            stranger.write_all(get("a").as_bytes()).expect("it reads");
            let mut said = Vec::new();
            stranger.read_to_end(&mut said).expect("a good end");
            assert!(said.starts_with(b"HTTP/1.1 401 "));
            // Who does has as long as it likes from then on.
            let mut friend = connect(address);
            let request = get("a").replace("host: x", "host: x\r\nauthorization: Bearer s");
            let mut word = [0; 12];
            friend.write_all(request.as_bytes()).expect("it reads");
            friend.read_exact(&mut word).expect("an answer");
            assert_eq!(&word, b"HTTP/1.1 200");
            friend.set_read_timeout(Some(3 * SHORT)).expect("a timeout");
            let end = friend.read_to_end(&mut Vec::new());
            assert!(end.is_err(), "it stays open: {end:?}");
        })
        .await;
    });
}

#[test]
fn one_connection_more_than_may_be_waits_for_a_place() {
    run(|| async {
        let limits = PeerLimits {
            connections_max: 2,
            ..PATIENT
        };
        let ours = Rc::new(Ours::default());
        let address = ours.listen_with(None, limits);
        let mut first: Vec<_> = (0..2).map(|_| connect(address)).collect();
        for stream in &mut first {
            stream.write_all(get("hangs").as_bytes()).expect("it reads");
        }
        // Before it is read a connection is one without a request, which would make room.
        let start = Instant::now();
        while ours.asked.borrow().len() < 2 {
            assert!(start.elapsed() < DEADLINE, "both are asked");
            sleep(POLL_INTERVAL).await;
        }
        blocking(move || {
            let mut third = connect(address);
            third.write_all(get("a").as_bytes()).expect("it reads");
            let mut word = [0; 9];
            third.set_read_timeout(Some(NOT_YET)).expect("a timeout");
            third.read(&mut word).expect_err("no answer yet");
            third.set_read_timeout(Some(DEADLINE)).expect("a timeout");
            drop(first.pop());
            third.read_exact(&mut word).expect("an answer");
            assert_eq!(&word, b"HTTP/1.1 ");
        })
        .await;
    });
}

#[test]
fn who_is_idle_for_longest_makes_room() {
    run(|| async {
        let limits = PeerLimits {
            connections_max: 2,
            ..PATIENT
        };
        let address = Rc::new(Ours::default()).listen_with(None, limits);
        blocking(move || {
            let ask = |stream: &mut TcpStream| {
                stream.write_all(get("a").as_bytes()).expect("it reads");
                stream.read_exact(&mut [0; 9]).expect("an answer");
            };
            let silent = connect(address);
            let mut busy = connect(address);
            std::thread::sleep(NOT_NEW);
            ask(&mut busy);
            ask(&mut connect(address));
            assert!(is_closed(&silent), "it said nothing for longest");
            ask(&mut busy);
            let mut hanging: Vec<_> = (0..2).map(|_| connect(address)).collect();
            for stream in &mut hanging {
                stream.write_all(get("hangs").as_bytes()).expect("it reads");
            }
            busy.read_to_end(&mut Vec::new()).expect("a good end");
        })
        .await;
    });
}

#[test]
fn what_has_come_is_read_before_a_new_connection_has_to_leave() {
    run(|| async {
        let limits = PeerLimits {
            connections_max: 1,
            ..PATIENT
        };
        let address = Rc::new(Ours::default()).listen_with(None, limits);
        for round in 0..10 {
            let mut first = connect(address);
            sleep(NOT_NEW).await;
            // While nobody reads, the next one comes, and then what the first one wants.
            let mut second = connect(address);
            first.write_all(get("a").as_bytes()).expect("a buffer");
            blocking(move || {
                let mut word = [0; 12];
                let said = first.read_exact(&mut word);
                assert_eq!(
                    (said.is_ok(), &word),
                    (true, b"HTTP/1.1 200"),
                    "round {round}"
                );
                drop(first);
                second.write_all(get("a").as_bytes()).expect("it reads");
                second.read_exact(&mut word).expect("it has the place");
            })
            .await;
        }
    });
}
