//! The promise to whoever shares a group among peers: each key is loaded once in the whole of it, whatever its owner
//! does nobody waits for ever or gets a wrong value, and what one client writes all others see.

mod support;

#[path = "group_peers/changes.rs"]
mod changes;
#[path = "group_peers/crowd.rs"]
mod crowd;
#[path = "group_peers/faults.rs"]
mod faults;
#[path = "group_peers/fork.rs"]
mod fork;
#[path = "group_wire/go.rs"]
mod go;
#[path = "group_peers/hot.rs"]
mod hot;
#[path = "group_peers/lists.rs"]
mod lists;
#[path = "group_peers/slow.rs"]
mod slow;
#[path = "group_peers/with_go.rs"]
mod with_go;

use ringfort::config::{PeerRing, PeerUrl};
use ringfort::group::peers::Peers;

use support::origin::Origin;
use support::process::free_port;
use support::ringfort::Ringfort;
use support::wire::Wire;

/// Some ringforts that are peers of each other.
struct Circle {
    urls: Vec<String>,
    members: Vec<Option<Ringfort>>,
}

impl Circle {
    fn start(origin: &Origin, count: usize, flags: &[&str]) -> Self {
        Self::with_others(origin, count, &[], flags)
    }

    /// In one ring with others, which somebody else starts.
    fn with_others(origin: &Origin, count: usize, others: &[String], flags: &[&str]) -> Self {
        let urls: Vec<String> = (0..count).map(|_| url()).collect();
        let all: Vec<String> = urls.iter().chain(others).cloned().collect();
        let start = |me: &String| Some(member(origin, me, &all, flags));
        let members = urls.iter().map(start).collect();
        Self { urls: all, members }
    }

    /// The place of a key's owner, among all.
    fn owner(&self, key: &str) -> usize {
        owner(&self.urls, key)
    }

    /// A key whose owner has this place.
    fn key_of(&self, place: usize, name: &str) -> String {
        let mut keys = (0..).map(|number| format!("{name}-{number}"));
        keys.find(|key| self.owner(key) == place).expect("a key")
    }

    fn member(&mut self, place: usize) -> &mut Ringfort {
        self.members[place].as_mut().expect("it runs")
    }

    fn resp(&mut self, place: usize) -> Wire {
        Wire::connect(self.member(place).resp()).reset_on_close()
    }

    fn memcache(&mut self, place: usize) -> Wire {
        Wire::connect(self.member(place).memcache()).reset_on_close()
    }

    fn stat(&mut self, place: usize, name: &str) -> u64 {
        self.memcache(place).stat("groups", name)
    }

    fn kill(&mut self, place: usize) {
        self.members[place].take().expect("it runs").kill();
    }
}

/// The place of a key's owner in a list.
fn owner(urls: &[String], key: &str) -> usize {
    let all: Vec<PeerUrl> = urls
        .iter()
        .map(|url| url.parse().expect("a peer"))
        .collect();
    let stranger = "http://nobody:1".parse().expect("a peer");
    let peers = Peers::new(&stranger, &all, PeerRing::Groupcache);
    let owner = peers.owner(key.as_bytes()).expect("somebody");
    all.iter()
        .position(|one| one == owner)
        .expect("it is listed")
}

/// Where a peer will be.
fn url() -> String {
    format!("http://127.0.0.1:{}", free_port())
}

/// A ringfort among peers.
fn member(origin: &Origin, me: &str, all: &[String], flags: &[&str]) -> Ringfort {
    let from = origin.flag();
    let mut args = vec!["--group", "values", "--origin", &from, "--self", me];
    all.iter().for_each(|peer| args.extend(["--peer", peer]));
    args.extend(flags);
    Ringfort::start(&args)
}

/// A listener that is no peer at all: it does the same with each connection.
fn odd_peer(odd: impl Fn(std::net::TcpStream) + Send + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || listener.incoming().flatten().for_each(odd));
    format!("http://{address}")
}
