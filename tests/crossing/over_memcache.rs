//! RESP clients over memcached servers.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use crate::support::ringfort::Ringfort;
use crate::support::wire::Wire;
use crate::support::{python, wait_for};
use crate::{Crossed, L1, bulk, command, play};

/// What Redis says, where it is not about what memcached cannot do.
#[test]
fn resp_is_spoken_as_redis_speaks_it() {
    const SPOKEN: &[&str] = &[
        "resp_client",
        "resp_errors",
        "resp_inline",
        "resp_inline_oversize",
        "resp_inline_quote_end",
        "resp_inline_quotes",
        "resp_many_keys",
        "resp_quit",
    ];
    for l1 in L1 {
        let pool = Crossed::over_memcached(&["--l1", l1]);
        play(SPOKEN, pool.ringfort.resp(), &mut 0);
    }
}

/// Each line is a request typed inline, and its reply.
const CONVERSATION: &[(&str, &str)] = &[
    ("GET key", "$-1"),
    ("SET key value", "+OK"),
    ("GET key", "$5\r\nvalue"),
    (
        "MGET key none key",
        "*3\r\n$5\r\nvalue\r\n$-1\r\n$5\r\nvalue",
    ),
    ("STRLEN key", ":5"),
    ("STRLEN none", ":0"),
    ("TYPE key", "+string"),
    ("TYPE none", "+none"),
    ("EXISTS key none key", ":2"),
    ("TOUCH key none", ":1"),
    // Conditions.
    ("SET key other NX", "$-1"),
    ("SET none other XX", "$-1"),
    ("SET key other XX", "+OK"),
    ("SETNX key x", ":0"),
    ("SETNX new x", ":1"),
    ("DEL new none", ":1"),
    ("UNLINK new", ":0"),
    // Times.
    ("TTL key", ":-1"),
    ("PTTL key", ":-1"),
    ("TTL none", ":-2"),
    ("PTTL none", ":-2"),
    ("EXPIRE none 100", ":0"),
    ("EXPIRE key 1000", ":1"),
    ("PERSIST key", ":1"),
    ("PERSIST key", ":0"),
    ("PERSIST none", ":0"),
    ("EXPIRE key 0", ":1"),
    ("GET key", "$-1"),
    ("SET key value EXAT 1", "+OK"),
    ("GET key", "$-1"),
    ("SETEX key 1000 value", "+OK"),
    ("GETEX key PERSIST", "$5\r\nvalue"),
    ("TTL key", ":-1"),
    ("GETEX key EX 1000", "$5\r\nvalue"),
    ("PERSIST key", ":1"),
    ("GETEX none EX 1000", "$-1"),
    ("GETEX key EXAT 1", "$5\r\nvalue"),
    ("GETEX key", "$-1"),
    ("SET key value", "+OK"),
    ("GETDEL key", "$5\r\nvalue"),
    ("GETDEL key", "$-1"),
    // Numbers.
    ("INCR n", ":1"),
    ("INCRBY n 9", ":10"),
    ("DECR n", ":9"),
    ("DECRBY n 9", ":0"),
    ("INCRBY n 0", ":0"),
    ("SET n 9223372036854775806", "+OK"),
    ("INCR n", ":9223372036854775807"),
    (
        "INCR n",
        "-ERR increment or decrement would overflow, and the memcache server has counted on",
    ),
    ("SET n -5", "+OK"),
    ("INCR n", "-ERR value is not an integer or out of range"),
    ("DECR n", "-ERR value is not an integer or out of range"),
    ("SET n x", "+OK"),
    ("INCR n", "-ERR value is not an integer or out of range"),
    // Where there is nothing, and where there is.
    ("APPEND text ab", ":2"),
    ("APPEND text cd", ":4"),
    ("GET text", "$4\r\nabcd"),
    ("MSET a 1 b 2 c 3", "+OK"),
    ("MGET a b c", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3"),
    ("FLUSHALL", "+OK"),
    ("MGET a text", "*2\r\n$-1\r\n$-1"),
];

#[test]
fn what_means_the_same_is_done() {
    for l1 in L1 {
        let pool = Crossed::over_memcached(&["--l1", l1]);
        let mut resp = pool.resp();
        for (request, reply) in CONVERSATION {
            resp.ask(format!("{request}\r\n"), format!("{reply}\r\n"));
        }
        // Pipelined it means the same, also where a request takes several steps.
        let requests = CONVERSATION
            .iter()
            .map(|(request, _)| format!("{request}\r\n"));
        let replies = CONVERSATION.iter().map(|(_, reply)| format!("{reply}\r\n"));
        resp.ask(requests.collect::<String>(), replies.collect::<String>());
    }
}

/// One error line that names the command and the reason; nothing is done, and the connection goes on.
#[test]
fn what_cannot_be_done_is_said() {
    let pool = Crossed::over_memcached(&[]);
    let mut resp = pool.resp();
    resp.ask("SET key value\r\n", "+OK\r\n");
    let below =
        "DECRBY below zero cannot be done over memcache servers: they count no negative numbers";
    for (request, line) in [
        (
            "GETSET key x",
            "GETSET cannot be done over memcache servers: they cannot replace a value and give the old one in one step",
        ),
        (
            "SET key x GET",
            "SET cannot be done over memcache servers: they cannot replace a value and give the old one in one step",
        ),
        (
            "SET key x KEEPTTL",
            "SET cannot be done over memcache servers: they cannot replace a value and leave its time to live",
        ),
        (
            "expire key 10 NX",
            "EXPIRE cannot be done over memcache servers: they cannot make a time to live depend on the one that is \
             there",
        ),
        (
            "SET key x EX 1000000000",
            "SET cannot be done over memcache servers: they count time up to the year 2038",
        ),
        (
            "DBSIZE",
            "DBSIZE cannot be done over memcache servers: they count what has expired, too",
        ),
        ("DECR none", below),
        ("INCRBY none -1", below),
    ] {
        resp.ask(format!("{request}\r\n"), format!("-ERR {line}\r\n"));
        resp.ask("GET key\r\n", bulk(b"value"));
        resp.ask("TTL key\r\n", ":-1\r\n");
    }
    resp.ask("GET none\r\n", "$-1\r\n");
}

const UNNAMEABLE: &str = "-ERR key cannot be named to a memcache server: those have 1 to 250 bytes, or 1 to 186 if \
                          there are blanks or control characters\r\n";

#[test]
fn keys_that_text_cannot_name_go_in_base64_or_not_at_all() {
    for l1 in L1 {
        let pool = Crossed::over_memcached(&["--l1", l1]);
        let (mut resp, mut memcache) = (pool.resp(), pool.memcache());
        wait_for_versions(&mut resp);
        resp.ask("SET witness 1\r\n", "+OK\r\n");
        let longest = [b' '; 186];
        let injected = b"key\r\nflush_all\r\n";
        for key in [
            &b"two words"[..],
            b"\0",
            b"\r\n",
            injected,
            b"tab\t",
            &longest,
        ] {
            let ask = |resp: &mut Wire, words: &[&[u8]], reply: &[u8]| {
                resp.ask(command(words), reply);
            };
            ask(&mut resp, &[b"SET", key, b"1"], b"+OK\r\n");
            ask(&mut resp, &[b"GET", key], b"$1\r\n1\r\n");
            ask(&mut resp, &[b"GET", key], b"$1\r\n1\r\n");
            ask(&mut resp, &[b"INCR", key], b":2\r\n");
            ask(&mut resp, &[b"DECR", key], b":1\r\n");
            ask(&mut resp, &[b"APPEND", key, b"0"], b":2\r\n");
            ask(&mut resp, &[b"STRLEN", key], b":2\r\n");
            ask(&mut resp, &[b"EXPIRE", key, b"1000"], b":1\r\n");
            ask(&mut resp, &[b"PERSIST", key], b":1\r\n");
            ask(
                &mut resp,
                &[b"MGET", b"witness", key],
                b"*2\r\n$1\r\n1\r\n$2\r\n10\r\n",
            );
            ask(&mut resp, &[b"EXISTS", b"witness", key], b":2\r\n");
            ask(&mut resp, &[b"DEL", key], b":1\r\n");
            ask(&mut resp, &[b"APPEND", key, b"x"], b":1\r\n");
            ask(&mut resp, &[b"GETDEL", key], b"$1\r\nx\r\n");
            ask(&mut resp, &[b"SETNX", key, b"x"], b":1\r\n");
            ask(
                &mut resp,
                &[b"SET", key, b"y", b"XX", b"EX", b"1000"],
                b"+OK\r\n",
            );
            ask(&mut resp, &[b"GETEX", key, b"PERSIST"], b"$1\r\ny\r\n");
            ask(&mut resp, &[b"MSET", b"other", b"1", key, b"z"], b"+OK\r\n");
            ask(&mut resp, &[b"GET", key], b"$1\r\nz\r\n");
        }
        let too_long = [b' '; 187];
        for key in [&b""[..], &too_long, &[b'k'; 251]] {
            for words in [
                &[&b"GET"[..], key][..],
                &[b"SET", key, b"1"],
                &[b"INCR", key],
                &[b"TTL", key],
                &[b"MGET", b"witness", key],
                &[b"MSET", b"witness", b"2", key, b"1"],
                &[b"DEL", b"witness", key],
                &[b"EXISTS", b"witness", key],
            ] {
                resp.ask(command(words), UNNAMEABLE);
            }
        }
        // memcache's text takes a tab for a part of a key: it is the same one.
        memcache.ask("get tab\t\r\n", "VALUE tab\t 0 1\r\nz\r\nEND\r\n");
        memcache.ask("set tab\t 0 0 1\r\nm\r\n", "STORED\r\n");
        resp.ask(command(&[b"GET", b"tab\t"]), "$1\r\nm\r\n");
        resp.ask("GET witness\r\n", "$1\r\n1\r\n");
        memcache.ask("get key\r\n", "END\r\n");
    }
}

#[test]
fn times_are_whole_seconds_rounded_up() {
    let pool = Crossed::over_memcached(&[]);
    let (mut resp, mut memcache) = (pool.resp(), pool.memcache());
    resp.ask("SET key value PX 99001\r\n", "+OK\r\n");
    assert!((30..=100).contains(&number(&mut resp, "TTL key\r\n")));
    let ms = number(&mut resp, "PTTL key\r\n");
    assert!(ms % 1000 == 0 && (30_000..=100_000).contains(&ms), "{ms}");
    resp.ask("PEXPIRE key 500001\r\n", ":1\r\n");
    assert!((430..=501).contains(&number(&mut resp, "TTL key\r\n")));
    // Farther than thirty days, where memcache's times change their meaning. memcached's own clock may be late.
    resp.ask("SET key value EX 10000000\r\n", "+OK\r\n");
    let seconds = number(&mut resp, "TTL key\r\n");
    assert!((9_999_900..=10_000_009).contains(&seconds), "{seconds}");
    memcache.ask("touch key 0\r\n", "TOUCHED\r\n");
    resp.ask("TTL key\r\n", ":-1\r\n");
}

#[test]
fn flags_are_kept_where_redis_has_none() {
    for l1 in L1 {
        let pool = Crossed::over_memcached(&["--l1", l1]);
        let (mut resp, mut memcache) = (pool.resp(), pool.memcache());
        memcache.ask("set key 16 100 2\r\n10\r\n", "STORED\r\n");
        // Whoever reads first fills the L1 for both.
        resp.ask("GET key\r\n", bulk(b"10"));
        for _ in 0..2 {
            memcache.ask("get key\r\n", "VALUE key 16 2\r\n10\r\nEND\r\n");
            resp.ask("GET key\r\n", bulk(b"10"));
        }
        resp.ask("INCR key\r\n", ":11\r\n");
        resp.ask("DECR key\r\n", ":10\r\n");
        resp.ask("APPEND key 0\r\n", ":3\r\n");
        resp.ask("EXPIRE key 1000\r\n", ":1\r\n");
        memcache.ask("get key\r\n", "VALUE key 16 3\r\n100\r\nEND\r\n");
        resp.ask("DECR key\r\n", ":99\r\n");
        // memcached leaves a blank in place of the digit that is gone, or not; it counts on either way.
        resp.ask("INCR key\r\n", ":100\r\n");
        memcache.ask("get key\r\n", "VALUE key 16 3\r\n100\r\nEND\r\n");
        resp.ask("SET key x\r\n", "+OK\r\n");
        memcache.ask("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
    }
}

/// Both protocols' readers share one fetch and one copy.
#[test]
fn the_l1_is_one_for_both() {
    let pool = Crossed::over_memcached(&["--l1", "60s"]);
    let (mut resp, mut memcache) = (pool.resp(), pool.memcache());
    memcache.ask("set key 16 0 5\r\nvalue\r\n", "STORED\r\n");
    let gets = || -> u64 {
        pool.backends
            .iter()
            .map(|one| one.memcached_stat("cmd_get"))
            .sum()
    };
    let before = gets();
    for _ in 0..5 {
        resp.ask("GET key\r\n", bulk(b"value"));
        memcache.ask("get key\r\n", "VALUE key 16 5\r\nvalue\r\nEND\r\n");
    }
    assert_eq!(gets() - before, 1);
    resp.ask("SET key other\r\n", "+OK\r\n");
    memcache.ask("get key\r\n", "VALUE key 0 5\r\nother\r\nEND\r\n");
    memcache.ask("set key 1 0 3\r\nold\r\n", "STORED\r\n");
    resp.ask("GET key\r\n", bulk(b"old"));
}

#[test]
fn invalidation_throws_values_away_and_deletes() {
    let pool = Crossed::over_memcached(&["--write", "invalidate", "--l1", "60s"]);
    let (mut resp, mut memcache) = (pool.resp(), pool.memcache());
    for backend in &pool.backends {
        let mut wire = backend.connect();
        wire.ask("set key 16 0 3\r\nold\r\n", "STORED\r\n");
        wire.ask("ms YSBi 3 b\r\nold\r\n", "HD\r\n");
    }
    resp.ask("GET key\r\n", bulk(b"old"));
    resp.ask(command(&[b"GET", b"a b"]), bulk(b"old"));
    resp.ask("SET key new\r\n", "+OK\r\n");
    resp.ask(command(&[b"SET", b"a b", b"new"]), "+OK\r\n");
    for key in [&b"key"[..], b"a b"] {
        wait_for("the delete to arrive", || {
            resp.send(&command(&[b"GET", key]));
            match &*resp.line() {
                "$-1" => Some(()),
                line => {
                    assert_eq!(line, "$3");
                    resp.expect(b"old\r\n");
                    None
                }
            }
        });
    }
    memcache.ask("get key\r\n", "END\r\n");
    resp.ask("DEL key none\r\n", ":2\r\n");
    // What needs the old value goes to the server.
    resp.ask("INCR n\r\n", ":1\r\n");
    resp.ask("GET n\r\n", "$1\r\n1\r\n");
}

#[test]
fn a_server_that_is_killed_takes_only_its_own_keys_with_it() {
    const KEYS: usize = 60;
    for l1 in L1 {
        let mut pool = Crossed::over_memcached(&["--l1", l1]);
        let mut resp = pool.resp();
        for key in 0..KEYS {
            resp.ask(format!("INCR key-{key}\r\n"), ":1\r\n");
        }
        pool.backends[0].stop();
        let mut counted = 0;
        for key in 0..KEYS {
            resp.send(format!("APPEND key-{key} 0\r\n").as_bytes());
            match resp.line() {
                line if line == ":2" => counted += 1,
                line => assert!(line.starts_with("-ERR backend "), "{line:?}"),
            }
        }
        assert!((1..KEYS).contains(&counted), "{counted}");
        let all: Vec<String> = (0..KEYS).map(|key| format!("key-{key}")).collect();
        let unavailable = "-ERR backend is unavailable\r\n";
        resp.ask(format!("EXISTS {}\r\n", all.join(" ")), unavailable);
        resp.ask("FLUSHALL\r\n", unavailable);
        pool.backends[0].restart();
        wait_for("the server to be used again", || {
            let counted = (0..KEYS).filter(|key| {
                resp.send(format!("SET key-{key} 1\r\n").as_bytes());
                resp.line() == "+OK"
            });
            (counted.count() == KEYS).then_some(())
        });
        for key in 0..KEYS {
            resp.ask(format!("DECR key-{key}\r\n"), ":0\r\n");
        }
    }
}

/// A server without meta commands would take a data block for the next command: it is not sent one.
#[test]
fn an_old_server_is_not_sent_what_it_would_misread() {
    for write in ["through", "invalidate"] {
        let old = OldServer::start();
        let address = old.address.to_string();
        let ringfort = Ringfort::start(&[
            "--shards", "1", "--pool", "memcache", "--server", &address, "--write", write,
        ]);
        let mut resp = Wire::connect(ringfort.resp());
        resp.ask("GET key\r\n", "$-1\r\n");
        let unknown = "-ERR backend does not know memcache's meta commands\r\n";
        resp.ask(command(&[b"SET", b"a b", b"flush_all"]), unknown);
        if write == "through" {
            resp.ask(command(&[b"APPEND", b"a b", b"flush_all"]), unknown);
        }
        resp.ask("TTL key\r\n", unknown);
        assert_eq!(old.lines(), ["version", "get key", "mg key t"]);
    }
}

/// A memcached of a time before meta commands, which has nothing and notes what it is asked.
struct OldServer {
    address: SocketAddr,
    asked: mpsc::Receiver<String>,
}

impl OldServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, asked) = mpsc::channel();
        std::thread::spawn(move || {
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            let mut out = stream.try_clone().expect("a socket");
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let reply = match line.split(' ').next() {
                    Some("version") => "VERSION 1.5.6\r\n",
                    Some("get") => "END\r\n",
                    _ => "ERROR\r\n",
                };
                let _ = sender.send(line);
                if out.write_all(reply.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Self { address, asked }
    }

    fn lines(&self) -> Vec<String> {
        self.asked.try_iter().collect()
    }
}

#[test]
fn client_libraries_share_a_pool() {
    for l1 in L1 {
        let pool = Crossed::over_memcached(&["--l1", l1]);
        let ports = [pool.ringfort.memcache(), pool.ringfort.resp()]
            .map(|address| address.port().to_string());
        python::run("with_both.py", &[&ports[0], &ports[1], "memcached"]);
    }
}

fn number(resp: &mut Wire, request: &str) -> i64 {
    resp.send(request.as_bytes());
    resp.line()[1..].parse().expect("a number")
}

/// Until every shard has heard every server's version.
fn wait_for_versions(resp: &mut Wire) {
    let many: Vec<String> = (0..32).map(|number| format!("key {number}")).collect();
    let pairs = many.iter().flat_map(|key| [key.as_bytes(), b"1"]);
    let mset: Vec<&[u8]> = std::iter::once(&b"MSET"[..]).chain(pairs).collect();
    wait_for("keys in base64 to be taken", || {
        resp.send(&command(&mset));
        (resp.line() == "+OK").then_some(())
    });
}
