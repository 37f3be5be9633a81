//! In one ring with a Go peer.

use std::rc::Rc;

use ringfort::config::{PeerRing, PeerUrl};
use ringfort::group::{Hop, Loaded, PeerError, peers::Peers};

use crate::go::{self, GoPeer};
use crate::origin::Origin;
use crate::ours::Ours;
use crate::{KEYS, blocking, client, peer, run, soon};

#[test]
fn a_go_peer_finds_our_keys_with_us_and_loads_its_own() {
    run(|| async {
        let origin = Origin::start();
        let ours = Rc::new(Ours::default());
        let me: PeerUrl = format!("http://{}", ours.listen(None))
            .parse()
            .expect("a peer");
        let go = GoPeer::start(&[me.to_string()], &origin.url());
        let both = [go.url().parse().expect("a peer"), me.clone()];
        let ring = Peers::new(&me, &both, PeerRing::Groupcache);
        let more = (0..40).map(|number| format!("key-{number}"));
        let keys: Vec<String> = KEYS
            .iter()
            .map(|key| (*key).to_owned())
            .chain(more)
            .collect();
        let mut counts = [0, 0];
        for key in keys {
            let (port, name) = (go.port(), key.clone());
            let (status, value) = blocking(move || go::get(port, name.as_bytes())).await;
            assert_eq!(status, 200, "{key:?}: {}", String::from_utf8_lossy(&value));
            let asked = ours.asked.take();
            let loaded = origin.take_keys();
            let is_ours = ring.owner(key.as_bytes()).is_none();
            counts[usize::from(is_ours)] += 1;
            let expected = key.clone().into_bytes();
            if is_ours {
                assert_eq!(asked, [(expected, Hop::Foreign)], "{key:?}");
                assert!(loaded.is_empty(), "{key:?} is loaded twice");
                assert_eq!(value, format!("ours of {key}").as_bytes());
            } else {
                assert_eq!(loaded, [expected], "{key:?}");
                assert!(asked.is_empty(), "{key:?} is the Go peer's own");
                assert_eq!(value, format!("value of {key}").as_bytes());
            }
        }
        assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
    });
}

#[test]
fn a_go_peer_loads_for_us_what_we_ask_it_for() {
    run(|| async {
        let origin = Origin::start();
        let url = origin.url();
        let go = blocking(move || GoPeer::start(&[], &url)).await;
        let (client, peer) = (client(None), peer(&go.url()));
        for key in KEYS {
            // Its router takes a path with a step or an empty part for one to be mended.
            if key.starts_with('/') {
                continue;
            }
            let loaded = client.get(&peer, "values", key.as_bytes(), soon()).await;
            assert_eq!(
                loaded,
                Ok(Loaded::forever(format!("value of {key}"))),
                "{key:?}"
            );
            assert_eq!(origin.take_keys(), [key.as_bytes()], "{key:?}");
        }
        for key in ["/a", "a//b", "..", "a/../b"] {
            let refused = client.get(&peer, "values", key.as_bytes(), soon()).await;
            let Err(PeerError::Peer(why)) = refused else {
                panic!("{key:?}: {refused:?}")
            };
            assert!(why.contains("301"), "{why}");
        }
        let failed = client.get(&peer, "values", b"fails", soon()).await;
        let why = format!(
            "peer {} answered 500 Internal Server Error: origin answered 500 Internal Server Error",
            peer
        );
        assert_eq!(failed, Err(PeerError::Peer(why)));
        let lost = client.get(&peer, "other", b"a", soon()).await;
        let why = format!("peer {} answered 404 Not Found: no such group: other", peer);
        assert_eq!(lost, Err(PeerError::Peer(why)));
        let deleted = client
            .delete(&peer, "values", b"a", Hop::First, soon())
            .await;
        assert_eq!(deleted, Err(PeerError::ReadsOnly));
        let value = Loaded::forever("v");
        let set = client
            .set(&peer, "values", b"a", value, Hop::First, soon())
            .await;
        assert_eq!(set, Err(PeerError::ReadsOnly));
    });
}
