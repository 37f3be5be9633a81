//! The promise: CLIENT LIST says of a client what redis-server says of it: what it is in the middle of, how it is told
//! of changes, and what it asked for last.

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use support::backends::Backend;
use support::ringfort::Ringfort;
use support::wait_for;
use support::wire::Wire;

/// Who asks for something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The client that is looked at.
    It,
    /// One that it may redirect to, which comes and goes.
    Other,
    /// One that looks, and changes keys.
    Admin,
}
use Who::{Admin, It, Other};

/// What is done, one after the other; after each the client is looked at.
const STEPS: &[(Who, &str)] = &[
    (It, "PING"),
    (It, "CLIENT SETNAME me"),
    (It, "MULTI"),
    (It, "SET a 1"),
    (It, "CLIENT GETNAME"),
    (It, "MULTI"),
    (It, "EXEC"),
    (It, "MULTI"),
    (It, "GET"),
    (It, "NOSUCH"),
    (It, "GET a"),
    (It, "EXEC"),
    (It, "MULTI"),
    (It, "GET a"),
    (It, "DISCARD"),
    (It, "WATCH a"),
    (Admin, "SET a 2"),
    (It, "MULTI"),
    (It, "EXEC"),
    (It, "WATCH a"),
    (Admin, "SET a 3"),
    (It, "UNWATCH"),
    (It, "GET"),
    (It, "CLIENT NOSUCH"),
    (It, "CLIENT NO-EVICT ON"),
    (It, "CLIENT TRACKING ON"),
    (It, "CLIENT NO-EVICT OFF"),
    (It, "CLIENT TRACKING OFF"),
    (It, "CLIENT TRACKING ON BCAST PREFIX a PREFIX b"),
    (It, "CLIENT TRACKING OFF"),
    (It, "CLIENT TRACKING ON OPTIN NOLOOP"),
    (It, "CLIENT CACHING YES"),
    (It, "CLIENT TRACKING OFF"),
    (Other, "SUBSCRIBE __redis__:invalidate"),
    (It, "CLIENT TRACKING ON REDIRECT other"),
    (It, "GET a"),
    (It, "CLIENT TRACKINGINFO"),
    (Other, "QUIT"),
    (Admin, "SET a 4"),
    (It, "CLIENT TRACKINGINFO"),
    (It, "CLIENT GETREDIR"),
    (It, "CLIENT TRACKING OFF"),
    (It, "CLIENT GETREDIR"),
    (It, "HELLO 3"),
    (It, "SUBSCRIBE __redis__:invalidate"),
    (It, "CLIENT TRACKING ON"),
    (It, "RESET"),
];

/// Fields that say how much, how long or where, in which servers differ.
const MEASURES: &[&str] = &[
    "id",
    "addr",
    "laddr",
    "fd",
    "age",
    "idle",
    "qbuf",
    "qbuf-free",
    "argv-mem",
    "multi-mem",
    "rbs",
    "rbp",
    "tot-mem",
];

#[test]
fn a_client_is_told_of_as_redis_tells() {
    let (ringfort, redis) = (Ringfort::embedded(), Backend::redis());
    let mut ours = Scene::at(ringfort.resp());
    let mut theirs = Scene::at(redis.address());
    for (who, request) in STEPS {
        let replies = [&mut ours, &mut theirs].map(|scene| scene.ask(*who, request));
        assert_eq!(replies[0], replies[1], "{request}");
        let expected = theirs.told();
        // What others do is heard of a moment later on another shard.
        let mut last = None;
        let found = wait_for_equal(&mut || {
            last = Some(ours.told());
            last.as_ref() == Some(&expected)
        });
        assert!(
            found,
            "after {request}:\nours   {last:?}\ntheirs {expected:?}"
        );
    }
}

#[test]
fn a_client_that_a_pause_holds_is_told_of_as_redis_tells() {
    let (ringfort, redis) = (Ringfort::embedded(), Backend::redis());
    let told = [ringfort.resp(), redis.address()].map(|address| {
        let mut scene = Scene::at(address);
        scene.ask(It, "PING");
        scene.ask(Admin, "CLIENT PAUSE 60000 WRITE");
        scene.it.send(b"SET key value\r\n");
        let held = wait_for("the flag of who is blocked", || {
            let told = scene.told();
            (told["flags"] == "b").then_some(told)
        });
        scene.ask(Admin, "CLIENT UNPAUSE");
        scene.it.expect(b"+OK\r\n");
        (held, scene.told())
    });
    assert_eq!(told[0], told[1]);
}

/// What was queued counts when it is executed, and what was refused when it was.
#[test]
fn the_commands_of_a_transaction_count_as_in_redis() {
    let (ringfort, redis) = (Ringfort::embedded(), Backend::redis());
    let counts = [ringfort.resp(), redis.address()].map(|address| {
        let mut scene = Scene::at(address);
        for request in [
            "CONFIG RESETSTAT",
            "MULTI",
            "SET a 1",
            "GET a",
            "MULTI",
            "WATCH a",
            "EXEC",
            "MULTI",
            "GET",
            "GET a",
            "EXEC",
            "MULTI",
            "GET a",
            "DISCARD",
            "EXEC",
        ] {
            scene.ask(It, request);
        }
        let told = scene.ask(It, "INFO commandstats");
        let lines = told.lines().filter_map(|line| line.split_once(':'));
        // Whether the request that resets counts is left to the server.
        let lines = lines.filter(|(name, _)| !name.contains("resetstat"));
        let mut counts: Vec<String> = lines
            .map(|(name, figures)| {
                let figures = figures
                    .split(',')
                    .filter(|figure| !figure.starts_with("usec"));
                format!("{name} {}", figures.collect::<Vec<_>>().join(" "))
            })
            .collect();
        counts.sort();
        counts
    });
    assert_eq!(counts[0], counts[1]);
}

/// What EXEC will do nothing with is neither kept nor counted.
#[test]
fn nothing_more_is_queued_once_a_watched_key_has_changed() {
    // On one shard what has changed is known at once.
    let (ringfort, redis) = (Ringfort::start(&["--shards", "1"]), Backend::redis());
    let told = [ringfort.resp(), redis.address()].map(|address| {
        let mut scene = Scene::at(address);
        let steps = [
            (It, "WATCH w"),
            (It, "MULTI"),
            (It, "SET a 1"),
            (Other, "SET w 1"),
            (It, "SET b 1"),
            (It, "GET"),
            (It, "SET c 1"),
            (It, "EXEC"),
            (It, "MULTI"),
            (It, "SET a 1"),
        ];
        steps.map(|(who, request)| (scene.ask(who, request), scene.line()["multi"].clone()))
    });
    assert_eq!(told[0], told[1]);
}

#[test]
fn what_is_queued_is_counted() {
    let ringfort = Ringfort::embedded();
    let mut scene = Scene::at(ringfort.resp());
    scene.ask(It, "MULTI");
    let empty = scene.line();
    scene.ask(It, "SET key 0123456789012345678901234567890123456789");
    let queued = scene.line();
    let number = |line: &Fields, name: &str| line[name].parse::<u64>().expect("a number");
    assert_eq!(number(&empty, "multi-mem"), 0);
    assert!(number(&queued, "multi-mem") > 40);
    assert!(number(&queued, "tot-mem") > number(&empty, "tot-mem") + 40);
}

type Fields = BTreeMap<String, String>;

/// Three connections to one server.
struct Scene {
    address: SocketAddr,
    it: Wire,
    other: Wire,
    admin: Wire,
    id: String,
    other_id: String,
}

impl Scene {
    fn at(address: SocketAddr) -> Self {
        let [mut it, mut other, admin] = [(); 3].map(|()| Wire::connect(address));
        let id = |wire: &mut Wire| ask(wire, "CLIENT ID").trim_start_matches(':').to_owned();
        Self {
            address,
            id: id(&mut it),
            other_id: id(&mut other),
            it,
            other,
            admin,
        }
    }

    /// One request and its reply, in which the other's number is a word.
    fn ask(&mut self, who: Who, request: &str) -> String {
        let request = request.replace("REDIRECT other", &format!("REDIRECT {}", self.other_id));
        let wire = match who {
            It => &mut self.it,
            Other => &mut self.other,
            Admin => &mut self.admin,
        };
        let reply = ask(wire, &request);
        if request == "QUIT" {
            wire.expect_close();
            let other_id = self.other_id.clone();
            wait_for("the end of a connection", || {
                let line = ask(&mut self.admin, &format!("CLIENT LIST ID {other_id}"));
                line.is_empty().then_some(())
            });
            self.other = Wire::connect(self.address);
        }
        // What HELLO says of the server differs.
        if request == "HELLO 3" {
            return "hello".to_owned();
        }
        if !request.contains("TRACKINGINFO") && !request.contains("GETREDIR") {
            return reply;
        }
        let words = reply.split('\n').map(|word| {
            if word.trim_start_matches(':') == self.other_id {
                "other"
            } else {
                word
            }
        });
        words.collect::<Vec<_>>().join("\n")
    }

    fn line(&mut self) -> Fields {
        let line = ask(&mut self.admin, &format!("CLIENT LIST ID {}", self.id));
        let pairs = line
            .trim_end()
            .split(' ')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// What does not depend on the server.
    fn told(&mut self) -> Fields {
        let mut line = self.line();
        line.retain(|name, _| !MEASURES.contains(&name.as_str()));
        if let Some(redirect) = line.get_mut("redir").filter(|id| **id == self.other_id) {
            "other".clone_into(redirect);
        }
        line
    }
}

/// Whether it comes true in time.
fn wait_for_equal(is_true: &mut dyn FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !is_true() {
        if start.elapsed() > support::DEADLINE {
            return false;
        }
        std::thread::sleep(support::POLL_INTERVAL);
    }
    true
}

fn ask(wire: &mut Wire, request: &str) -> String {
    wire.send(format!("{request}\r\n").as_bytes());
    reply(wire)
}

/// A reply, its parts in lines.
fn reply(wire: &mut Wire) -> String {
    let line = wire.line();
    let (sign, rest) = line.split_at(1);
    let count = rest.parse::<usize>();
    match (sign, count) {
        ("$" | "=", Ok(length)) => {
            let text = String::from_utf8(wire.bytes(length)).expect("text");
            wire.expect(b"\r\n");
            text
        }
        ("*" | "~" | ">", Ok(count)) => parts(wire, count),
        ("%", Ok(count)) => parts(wire, 2 * count),
        _ => line,
    }
}

fn parts(wire: &mut Wire, count: usize) -> String {
    let parts: Vec<_> = (0..count).map(|_| reply(wire)).collect();
    parts.join("\n")
}
