//! Many clients of all peers ask for one key.

use super::Circle;
use super::support::{
    origin::{Answer, Origin},
    pass_between_shards, wait_for,
    wire::Wire,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Clients of each peer, of each protocol.
const CROWD: usize = 167;

/// What a client of each protocol is told.
struct Told {
    memcache: String,
    resp: String,
}

impl Told {
    fn value(key: &str, value: &str) -> Self {
        let bytes = value.len();
        Self {
            memcache: format!("VALUE {key} 0 {bytes}\r\n{value}\r\nEND\r\n"),
            resp: format!("${bytes}\r\n{value}\r\n"),
        }
    }
}

/// All that ask a circle for one key, on their way.
struct Crowd {
    /// The clients of each peer.
    clients: Vec<[Vec<Wire>; 2]>,
}

impl Crowd {
    /// Has all of them ask, and sees to it that all have joined: the origin is held.
    fn ask(circle: &mut Circle, key: &str) -> Self {
        let count = circle.members.len();
        let before: Vec<u64> = (0..count).map(|place| circle.stat(place, "Gets")).collect();
        let clients = (0..count).map(|place| {
            let mut memcache: Vec<_> = (0..CROWD).map(|_| circle.memcache(place)).collect();
            let mut resp: Vec<_> = (0..CROWD).map(|_| circle.resp(place)).collect();
            for (reader, other) in memcache.iter_mut().zip(&mut resp) {
                reader.send(format!("get {key}\r\n").as_bytes());
                other.send(format!("GET {key}\r\n").as_bytes());
            }
            [memcache, resp]
        });
        let clients = clients.collect();
        let owner = circle.owner(key);
        for (place, before) in before.into_iter().enumerate() {
            // Peers ask the owner, too.
            let peers = if place == owner { count - 1 } else { 0 };
            let wanted = before + (2 * CROWD + peers) as u64;
            wait_for("everybody to have asked", || {
                (circle.stat(place, "Gets") >= wanted).then_some(())
            });
            pass_between_shards(|| circle.resp(place));
        }
        Self { clients }
    }

    fn expect(&mut self, place: usize, told: &Told) {
        let [memcache, resp] = &mut self.clients[place];
        memcache
            .iter_mut()
            .for_each(|client| client.expect(told.memcache.as_bytes()));
        resp.iter_mut()
            .for_each(|client| client.expect(told.resp.as_bytes()));
    }
}

#[test]
fn a_thousand_clients_of_three_peers_cause_one_load() {
    raise_files();
    let origin = Origin::start(|path| match path.starts_with("/bad") {
        true => Answer::status(503),
        false => Answer::value("served"),
    });
    let mut circle = Circle::start(&origin, 3, &[]);
    for owner in 0..3 {
        let cold = circle.key_of(owner, "cold");
        let bad = circle.key_of(owner, "bad");
        let failed = Told {
            memcache: "SERVER_ERROR origin answered 503 Service Unavailable\r\n".into(),
            resp: "-ERR origin answered 503 Service Unavailable\r\n".into(),
        };
        for (key, told) in [(&cold, Told::value(&cold, "served")), (&bad, failed)] {
            origin.hold();
            let mut crowd = Crowd::ask(&mut circle, key);
            origin.release();
            (0..3).for_each(|place| crowd.expect(place, &told));
            assert_eq!(origin.asked(key), 1, "{key}");
        }
    }
    let loads: u64 = (0..3).map(|place| circle.stat(place, "LocalLoads")).sum();
    assert_eq!(loads, 3, "the others were told by peers");
}

#[test]
fn when_the_owner_dies_in_the_middle_all_of_the_others_clients_get_the_value() {
    raise_files();
    let origin = Origin::start(|_| Answer::value("served"));
    let mut circle = Circle::start(&origin, 3, &[]);
    let key = circle.key_of(1, "cold");
    origin.hold();
    let mut crowd = Crowd::ask(&mut circle, &key);
    assert_eq!(origin.asked(&key), 1);
    circle.kill(1);
    wait_for("both to ask the origin themselves", || {
        (origin.asked(&key) == 3).then_some(())
    });
    origin.release();
    let told = Told::value(&key, "served");
    crowd.expect(0, &told);
    crowd.expect(2, &told);
    assert_eq!(origin.asked(&key), 3, "each survivor asks once");
    for place in [0, 2] {
        assert!(circle.stat(place, "PeerErrors") >= 1);
    }
}

/// A thousand connections are more than a process may have open by default.
fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("the hard limit is allowed");
}
