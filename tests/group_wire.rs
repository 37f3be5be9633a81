//! The promise to whoever has peers or an origin: what is asked over HTTP is what comes, byte for byte, from the Go
//! package and from our own; and whatever the other side does, it ends in time and with a reason.

mod support;

#[path = "group_wire/go.rs"]
mod go;
#[path = "group_wire/origin.rs"]
mod origin;
#[path = "group_wire/ours.rs"]
mod ours;
#[path = "group_wire/patience.rs"]
mod patience;
#[path = "group_wire/with_go.rs"]
mod with_go;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use glommio::timer::sleep;
use ringfort::config::{OriginSpec, PeerUrl, Secret};
use ringfort::group::{Hop, LoadError, Loaded, PeerClient, PeerError, Wanted};

use origin::Origin;
use ours::Ours;
use support::DEADLINE;
use support::executor::run;
use support::keys::KEYS;

/// The longest value of these tests, in bytes.
const VALUE_BYTES_MAX: usize = 1000;

/// Has another thread wait, so that the executor can answer. If it panics, so does who waits: the executor's
/// threads would end, and nobody would be told.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let work = move || catch_unwind(AssertUnwindSafe(work));
    let done = glommio::executor().spawn_blocking(work).await;
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

#[test]
fn a_panic_elsewhere_is_this_tests() {
    let failed = catch_unwind(|| run(|| blocking(|| panic!("of another thread"))));
    assert!(failed.is_err());
}

fn soon() -> Instant {
    Instant::now() + DEADLINE
}

fn peer(url: &str) -> PeerUrl {
    url.parse().expect("a peer")
}

fn peer_at(address: SocketAddr) -> PeerUrl {
    peer(&format!("http://{address}"))
}

fn client(secret: Option<&str>) -> PeerClient {
    PeerClient::new(secret.map(Secret::new).as_ref(), VALUE_BYTES_MAX).expect("a client")
}

#[test]
fn our_peers_tell_each_other_all_there_is_to_tell() {
    run(|| async {
        let ours = Rc::new(Ours::default());
        let peer = peer_at(ours.listen(None));
        let client = client(None);
        for key in KEYS.iter().chain(&["", "..", "/a", "a//b"]) {
            let loaded = client.get(&peer, "values", key.as_bytes(), soon()).await;
            assert_eq!(
                loaded,
                Ok(Loaded::forever(format!("ours of {key}"))),
                "{key:?}"
            );
            assert_eq!(ours.asked.take(), [(key.as_bytes().to_vec(), Hop::First)]);
        }
        let get = async |key: &str| client.get(&peer, "values", key.as_bytes(), soon()).await;
        let minute = Duration::from_secs(60);
        assert_eq!(get("fresh").await, Ok(Loaded::for_ttl("f", minute)));
        assert_eq!(get("empty").await, Ok(Loaded::forever("")));
        assert_eq!(
            get("long").await.expect("it fits").value.len(),
            VALUE_BYTES_MAX
        );
        let source = |error| Err(PeerError::Source(error));
        assert_eq!(get("large").await, source(LoadError::TooLarge));
        let missing = LoadError::NotFound { ttl: Some(minute) };
        assert_eq!(get("missing").await, source(missing));
        let fire = LoadError::Failed("the source is on fire".into());
        assert_eq!(get("fails").await, source(fire));
        let long_key = "k".repeat(70_000);
        assert!(matches!(get(&long_key).await, Err(PeerError::Peer(_))));
        let lost = client.get(&peer, "other", b"a", soon()).await;
        assert!(matches!(lost, Err(PeerError::Peer(why)) if why.ends_with("no such group: other")));
    });
}

#[test]
fn our_peers_pass_changes_on_with_their_hop() {
    run(|| async {
        let ours = Rc::new(Ours::default());
        let peer = peer_at(ours.listen(None));
        let client = client(None);
        let value = Loaded::for_ttl("v", Duration::from_secs(60));
        let set = client
            .set(&peer, "values", b"a+b", value, Hop::First, soon())
            .await;
        assert_eq!(set, Ok(true), "it is one of ours");
        let deleted = client
            .delete(&peer, "values", b"a b", Hop::Last, soon())
            .await;
        assert_eq!(deleted, Ok(true));
        let failed = client
            .delete(&peer, "values", b"fails", Hop::First, soon())
            .await;
        assert!(matches!(
            failed,
            Err(PeerError::Source(LoadError::Failed(_)))
        ));
        let changes = ours.changes.take();
        let [set, deleted, _failed] = changes.as_slice() else {
            panic!("{changes:?}")
        };
        let (what, key, Some(value), hop) = set else {
            panic!("{set:?}")
        };
        assert_eq!(
            (*what, key.as_slice(), *hop),
            ("set", &b"a+b"[..], Hop::First)
        );
        assert_eq!(value.value, "v");
        // As it was told, and not by anybody's clock.
        assert_eq!(value.ttl, Some(Duration::from_secs(60)));
        assert_eq!(*deleted, ("delete", b"a b".to_vec(), None, Hop::Last));
        let large = Loaded::forever(vec![b'x'; VALUE_BYTES_MAX + 1]);
        let refused = client
            .set(&peer, "values", b"a", large, Hop::First, soon())
            .await;
        assert!(matches!(refused, Err(PeerError::Peer(why)) if why.contains("413")));
        assert!(ours.changes.take().is_empty());
    });
}

#[test]
fn without_the_secret_nothing_is_told() {
    run(|| async {
        let ours = Rc::new(Ours::default());
        let peer = peer_at(ours.listen(Some("open-sesame")));
        for wrong in [
            None,
            Some("open-sesam"),
            Some("open-sesamo"),
            Some("open-sesame2"),
        ] {
            let client = client(wrong);
            let refused = client.get(&peer, "values", b"a", soon()).await;
            assert!(
                matches!(refused, Err(PeerError::Peer(why)) if why.contains("401")),
                "{wrong:?}"
            );
            let refused = client
                .delete(&peer, "values", b"a", Hop::First, soon())
                .await;
            assert!(matches!(refused, Err(PeerError::Peer(_))), "{wrong:?}");
        }
        assert!(ours.asked.take().is_empty() && ours.changes.take().is_empty());
        let known = client(Some("open-sesame"));
        let loaded = known.get(&peer, "values", b"a", soon()).await;
        assert_eq!(loaded, Ok(Loaded::forever("ours of a")));
    });
}

#[test]
fn who_gives_up_frees_what_was_done_for_it() {
    run(|| async {
        let ours = Rc::new(Ours::default());
        let peer = peer_at(ours.listen(None));
        let client = client(None);
        let deadline = Instant::now() + Duration::from_secs(2);
        let late = client.get(&peer, "values", b"hangs", deadline).await;
        assert_eq!(late, Err(PeerError::Late));
        let start = Instant::now();
        while ours.given_up.get() == 0 {
            assert!(start.elapsed() < DEADLINE, "the handler works on");
            sleep(Duration::from_millis(5)).await;
        }
        let loaded = client.get(&peer, "values", b"a", soon()).await;
        assert_eq!(loaded, Ok(Loaded::forever("ours of a")));
    });
}

#[test]
fn refusals_are_worded_as_go_words_them() {
    run(|| async {
        let ours = Rc::new(Ours::default());
        let address = ours.listen(None);
        for (request, status, body) in [
            ("GET / HTTP/1.1", "404", "404 page not found\n"),
            ("GET /_groupcache/values HTTP/1.1", "400", "bad request\n"),
            (
                "GET /_groupcache/values/%zz HTTP/1.1",
                "400",
                "bad request\n",
            ),
            ("GET /_groupcache/x/a HTTP/1.1", "404", "no such group: x\n"),
            (
                "POST /_groupcache/values/a HTTP/1.1",
                "405",
                "method not allowed\n",
            ),
            (
                "GET /_groupcache/values/a HTTP/1.1\r\nringfort-hops: 3",
                "508",
                "gone through too many peers\n",
            ),
            (
                "GET /_groupcache/values/fails HTTP/1.1",
                "503",
                "the source is on fire\n",
            ),
            (
                "GET /_groupcache/values/a+b HTTP/1.1",
                "200",
                "\n\u{b}ours of a b",
            ),
        ] {
            let said = blocking(move || {
                let mut stream = std::net::TcpStream::connect(address).expect("it listens");
                stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
                let request = format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n");
                stream.write_all(request.as_bytes()).expect("it reads");
                let mut said = String::new();
                stream.read_to_string(&mut said).expect("it answers");
                said
            })
            .await;
            assert!(
                said.starts_with(&format!("HTTP/1.1 {status} ")),
                "{request}: {said}"
            );
            assert!(
                said.ends_with(&format!("\r\n\r\n{body}")),
                "{request}: {said}"
            );
        }
    });
}

/// A server that does the same with each connection.
fn odd_server(odd: impl Fn(std::net::TcpStream) + Send + 'static) -> PeerUrl {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || listener.incoming().flatten().for_each(odd));
    peer_at(address)
}

#[test]
fn a_peer_that_talks_nonsense_is_at_fault_and_waited_for_no_longer_than_asked() {
    run(|| async {
        let client = client(None);
        let answers: [&'static [u8]; 5] = [
            b"",
            b"hello\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 6\r\n\r\n<html>",
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 60\r\n\r\n\x0a\x01v",
        ];
        for answer in answers {
            let peer = odd_server(move |mut stream| {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer);
            });
            let refused = client.get(&peer, "values", b"a", soon()).await;
            let text = String::from_utf8_lossy(answer);
            assert!(
                matches!(refused, Err(PeerError::Peer(_))),
                "{text}: {refused:?}"
            );
        }
        let silent = odd_server(|stream| {
            std::thread::spawn(move || {
                std::thread::sleep(DEADLINE);
                drop(stream);
            });
        });
        let deadline = Instant::now() + Duration::from_millis(100);
        let late = client.get(&silent, "values", b"a", deadline).await;
        assert_eq!(late, Err(PeerError::Late));
        let port = support::process::free_port();
        let nobody = peer(&format!("http://127.0.0.1:{port}"));
        let refused = client.get(&nobody, "values", b"a", soon()).await;
        let told = format!("peer {nobody} cannot be reached: Connection refused");
        assert_eq!(refused, Err(PeerError::Peer(told)));
        // No TCP goes to all at once, and there is no such name.
        for nowhere in ["http://255.255.255.255:1", "http://nobody.invalid:1"] {
            let lost = client.get(&peer(nowhere), "values", b"a", soon()).await;
            assert!(
                matches!(&lost, Err(PeerError::Unreachable(why)) if !why.contains("os error")),
                "{lost:?}"
            );
        }
    });
}

#[test]
fn an_origin_says_what_becomes_of_a_key() {
    run(|| async {
        let origin = Origin::start();
        let spec: OriginSpec = format!("{}{{key}}", origin.url())
            .parse()
            .expect("an origin");
        let loader = ringfort::group::origin::open(&spec, VALUE_BYTES_MAX).expect("a loader");
        let load = async |key: &str, patience: Duration| {
            let wanted = Wanted {
                group: "values".into(),
                key: Bytes::copy_from_slice(key.as_bytes()),
                deadline: Instant::now() + patience,
            };
            loader.load(&wanted).await
        };
        for key in KEYS {
            let loaded = load(key, DEADLINE).await;
            assert_eq!(
                loaded,
                Ok(Loaded::forever(format!("value of {key}"))),
                "{key:?}"
            );
            assert_eq!(origin.take_keys(), [key.as_bytes()], "{key:?}");
        }
        assert_eq!(origin.connections(), 1, "it is kept");
        let minute = Duration::from_secs(60);
        assert_eq!(
            load("fresh", DEADLINE).await,
            Ok(Loaded::for_ttl("value of fresh", minute))
        );
        let missing = |ttl| Err(LoadError::NotFound { ttl });
        assert_eq!(load("missing", DEADLINE).await, missing(Some(minute)));
        assert_eq!(load("gone", DEADLINE).await, missing(None));
        assert_eq!(load("large", DEADLINE).await, Err(LoadError::TooLarge));
        for (key, told) in [
            ("fails", "origin answered 500 Internal Server Error"),
            ("moved", "origin answered 302 Found"),
            ("packed", "origin answered with content-encoding gzip"),
        ] {
            assert_eq!(
                load(key, DEADLINE).await,
                Err(LoadError::Failed(told.into()))
            );
        }
        assert!(matches!(
            load("garbage", DEADLINE).await,
            Err(LoadError::Failed(_))
        ));
        origin.take_keys();
        assert_eq!(
            load("..", DEADLINE).await,
            Err(LoadError::Failed(
                "origin cannot be asked for such a key".into()
            ))
        );
        assert!(origin.take_keys().is_empty(), "no step up is asked for");
        let late = load("slow", Duration::from_millis(100)).await;
        assert_eq!(late, Err(LoadError::Late));
        // Closed by the server as soon as it has answered: the next one takes another.
        for number in 0..3 {
            let key = format!("closes-{number}");
            let loaded = load(&key, DEADLINE).await;
            assert_eq!(loaded, Ok(Loaded::forever(format!("value of {key}"))));
        }
    });
}
