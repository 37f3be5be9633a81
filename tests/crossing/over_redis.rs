//! memcache clients over Redis servers.

use crate::support::wire::Wire;
use crate::support::{python, wait_for};
use crate::{Crossed, L1, bulk, command, play};

/// What is kept before a value with flags 16.
const HEADER_16: &[u8] = b"\0mcflag\xff\0\0\0\x10";

/// All that memcached says to the classic commands, but for what docs/protocols.md tells apart.
#[test]
fn memcache_is_spoken_as_memcached_speaks_it() {
    const SPOKEN: &[&str] = &[
        "memcache_bad_block",
        "memcache_bad_set",
        "memcache_cas",
        "memcache_delete",
        "memcache_large",
        "memcache_long_key",
        "memcache_long_line",
        "memcache_many_keys",
        "memcache_noreply",
        "memcache_noreply_errors",
        "memcache_quit",
        "memcache_retrieval",
        "memcache_storage",
        "memcache_touch",
        "memcache_unknown",
    ];
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1]);
        play(SPOKEN, pool.ringfort.memcache(), &mut 0);
    }
}

#[test]
fn flags_are_kept_and_resp_clients_read_the_value_alone() {
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1]);
        let (mut memcache, mut resp) = (pool.memcache(), pool.resp());
        memcache.ask("set key 16 100 5\r\nvalue\r\n", "STORED\r\n");
        memcache.ask("set plain 0 0 5\r\nvalue\r\n", "STORED\r\n");
        // Whoever reads first fills the L1 for both.
        resp.ask("GET key\r\n", bulk(b"value"));
        for _ in 0..2 {
            memcache.ask("get key\r\n", "VALUE key 16 5\r\nvalue\r\nEND\r\n");
            let both = "VALUE plain 0 5\r\nvalue\r\nVALUE key 16 5\r\nvalue\r\nEND\r\n";
            memcache.ask("get plain none key\r\n", both);
            resp.ask("GET key\r\n", bulk(b"value"));
            resp.ask("MGET plain key\r\n", "*2\r\n$5\r\nvalue\r\n$5\r\nvalue\r\n");
        }
        assert_eq!(stored(&pool, "key"), [HEADER_16, b"value"].concat());
        assert_eq!(stored(&pool, "plain"), b"value");
        // What looks into the value looks behind the header, and leaves flags and life alone.
        resp.ask("STRLEN key\r\n", ":5\r\n");
        resp.ask("APPEND key !\r\n", ":6\r\n");
        memcache.ask("get key\r\n", "VALUE key 16 6\r\nvalue!\r\nEND\r\n");
        expect_seconds(&mut resp, "key", 100);
        resp.ask("GETEX key PERSIST\r\n", bulk(b"value!"));
        memcache.ask("gat 500 key\r\n", "VALUE key 16 6\r\nvalue!\r\nEND\r\n");
        expect_seconds(&mut resp, "key", 500);
        resp.ask("GETSET key other\r\n", bulk(b"value!"));
        memcache.ask("get key\r\n", "VALUE key 0 5\r\nother\r\nEND\r\n");
        memcache.ask("set key 16 0 3\r\nold\r\n", "STORED\r\n");
        resp.ask("SET key new GET\r\n", bulk(b"old"));
        memcache.ask("set key 16 0 3\r\nold\r\n", "STORED\r\n");
        resp.ask("GETDEL key\r\n", bulk(b"old"));
        memcache.ask("get key\r\n", "END\r\n");
    }
}

/// What a client stores is never taken for a header.
#[test]
fn a_value_that_looks_like_a_header_comes_back_as_it_was() {
    let pool = Crossed::over_redis(&[]);
    let (mut memcache, mut resp) = (pool.memcache(), pool.resp());
    let value = [HEADER_16, b"x"].concat();
    for set in [
        command(&[b"SET", b"key", &value]),
        command(&[b"MSET", b"key", &value]),
        command(&[b"SETEX", b"key", b"100", &value]),
        command(&[b"SET", b"key", &value, b"XX"]),
    ] {
        resp.ask(&set, "+OK\r\n");
        resp.ask("GET key\r\n", bulk(&value));
        let shown = [b"VALUE key 0 13\r\n", &value[..], b"\r\nEND\r\n"].concat();
        memcache.ask("get key\r\n", shown);
        resp.ask("STRLEN key\r\n", ":13\r\n");
    }
    resp.ask(command(&[b"SETNX", b"new", &value]), ":1\r\n");
    resp.ask(command(&[b"GETSET", b"new", &value]), bulk(&value));
}

#[test]
fn numbers_count_in_both_protocols() {
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1]);
        let (mut memcache, mut resp) = (pool.memcache(), pool.resp());
        memcache.ask("set n 2 100 2\r\n10\r\n", "STORED\r\n");
        memcache.ask("incr n 5\r\n", "15\r\n");
        resp.ask("INCRBY n 5\r\n", ":20\r\n");
        memcache.ask("decr n 11\r\n", "9\r\n");
        // No blank behind it, as memcached would leave: Redis could not count on.
        memcache.ask("get n\r\n", "VALUE n 2 1\r\n9\r\nEND\r\n");
        resp.ask("DECR n\r\n", ":8\r\n");
        expect_seconds(&mut resp, "n", 100);
        resp.ask("DECRBY n 20\r\n", ":-12\r\n");
        let refused = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
        memcache.ask("incr n 1\r\n", refused);
        // Beyond 53 bits a script's own numbers would be wrong.
        resp.ask("SET n 9007199254740993\r\n", "+OK\r\n");
        resp.ask("INCR n\r\n", ":9007199254740994\r\n");
        memcache.ask("incr n 1\r\n", "9007199254740995\r\n");
        memcache.ask("set n 2 0 19\r\n9223372036854775807\r\n", "STORED\r\n");
        let overflow = "-ERR increment or decrement would overflow\r\n";
        resp.ask("INCR n\r\n", overflow);
        memcache.ask("incr n 1\r\n", "9223372036854775808\r\n");
        memcache.ask("incr n 9223372036854775808\r\n", "0\r\n");
        memcache.ask("incr none 1\r\n", "NOT_FOUND\r\n");
    }
}

/// An id stands for what is stored, so whoever stores the same again has changed nothing.
#[test]
fn a_cas_id_is_good_for_as_long_as_the_value_stays() {
    let pool = Crossed::over_redis(&["--l1", "60s"]);
    let (mut memcache, mut resp) = (pool.memcache(), pool.resp());
    let mut read = |flags: u32| {
        memcache.send(b"gets key\r\n");
        let line = memcache.line();
        let id = line.strip_prefix(&format!("VALUE key {flags} 3 "));
        let id: i64 = id
            .unwrap_or_else(|| panic!("{line}"))
            .parse()
            .expect("63 bits");
        memcache.expect(b"one\r\nEND\r\n");
        id
    };
    resp.ask("SET key one\r\n", "+OK\r\n");
    let id = read(0);
    resp.ask("SET key two\r\n", "+OK\r\n");
    resp.ask("SET key one EX 100\r\n", "+OK\r\n");
    assert_eq!(read(0), id);
    pool.memcache()
        .ask(format!("cas key 7 0 3 {id}\r\none\r\n"), "STORED\r\n");
    assert_ne!(read(7), id, "flags count");
    let mut memcache = pool.memcache();
    memcache.ask(format!("cas key 7 0 3 {id}\r\nsix\r\n"), "EXISTS\r\n");
    memcache.ask(format!("cas none 7 0 3 {id}\r\nsix\r\n"), "NOT_FOUND\r\n");
    memcache.ask(
        "cas key 7 0 3 18446744073709551615\r\nsix\r\n",
        "EXISTS\r\n",
    );
}

/// Its scripts are gone with a server's memory of them; one request hears of it, the next one works.
#[test]
fn a_server_that_forgets_the_script_is_given_it_again() {
    let pool = Crossed::over_redis(&["--shards", "1"]);
    let mut memcache = pool.memcache();
    memcache.ask("set n 0 0 1\r\n1\r\nincr n 1\r\n", "STORED\r\n2\r\n");
    for backend in &pool.backends {
        backend.connect().ask("SCRIPT FLUSH\r\n", "+OK\r\n");
    }
    let lost = "SERVER_ERROR backend had lost its script and did nothing, try again\r\n";
    memcache.ask("incr n 1\r\n", lost);
    memcache.ask("incr n 1\r\n", "3\r\n");
}

#[test]
fn what_cannot_be_done_is_said_and_the_connection_goes_on() {
    let pool = Crossed::over_redis(&[]);
    let mut memcache = pool.memcache();
    let delayed = "SERVER_ERROR flush_all with a delay cannot be done over Redis servers: they flush at once\r\n";
    memcache.ask(
        "flush_all 10\r\nflush_all\r\n",
        [delayed, "OK\r\n"].concat(),
    );
    for backend in &pool.backends {
        backend.connect().ask("RPUSH list 1\r\n", ":1\r\n");
    }
    let wrong =
        "SERVER_ERROR WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    for request in [
        "get list\r\n",
        "get list list\r\n",
        "incr list 1\r\n",
        "append list 0 0 1\r\nx\r\n",
    ] {
        memcache.ask(request, wrong);
    }
    pool.resp()
        .ask("STRLEN list\r\n", wrong.replace("SERVER_ERROR ", "-"));
    memcache.ask("delete list\r\n", "DELETED\r\n");
}

#[test]
fn invalidation_throws_values_away_and_deletes() {
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--write", "invalidate", "--l1", l1]);
        let (mut memcache, mut resp) = (pool.memcache(), pool.resp());
        let filled = [HEADER_16, b"old"].concat();
        for backend in &pool.backends {
            let set = command(&[b"SET", b"key", &filled]);
            backend.connect().ask(set, "+OK\r\n");
        }
        memcache.ask("get key\r\n", "VALUE key 16 3\r\nold\r\nEND\r\n");
        memcache.ask("set key 0 0 3\r\nnew\r\n", "STORED\r\n");
        wait_for("the delete to arrive", || {
            memcache.send(b"get key\r\n");
            let line = memcache.line();
            if line == "END" {
                return Some(());
            }
            assert_eq!(line, "VALUE key 16 3", "the old one, or none");
            memcache.expect(b"old\r\nEND\r\n");
            None
        });
        resp.ask("GET key\r\n", "$-1\r\n");
        // What needs the old value goes to the server.
        memcache.ask("incr key 1\r\n", "NOT_FOUND\r\n");
    }
}

#[test]
fn a_server_that_is_killed_takes_only_its_own_keys_with_it() {
    const KEYS: usize = 60;
    for l1 in L1 {
        let mut pool = Crossed::over_redis(&["--l1", l1]);
        let mut memcache = pool.memcache();
        for key in 0..KEYS {
            memcache.ask(format!("set key-{key} 5 0 1\r\n1\r\n"), "STORED\r\n");
        }
        pool.backends[0].stop();
        let mut counted = 0;
        for key in 0..KEYS {
            memcache.send(format!("incr key-{key} 1\r\n").as_bytes());
            match memcache.line() {
                line if line == "2" => counted += 1,
                line => assert!(line.starts_with("SERVER_ERROR backend "), "{line:?}"),
            }
        }
        assert!((1..KEYS).contains(&counted), "{counted}");
        let all: Vec<String> = (0..KEYS).map(|key| format!("key-{key}")).collect();
        memcache.send(format!("get {}\r\n", all.join(" ")).as_bytes());
        let last = std::iter::repeat_with(|| memcache.line())
            .find(|line| !line.starts_with("VALUE ") && line != "2" && line != "1");
        assert_eq!(last.as_deref(), Some("SERVER_ERROR backend is unavailable"));
        memcache.ask("flush_all\r\n", "SERVER_ERROR backend is unavailable\r\n");
        // Back again, it is greeted again: scripts work.
        pool.backends[0].restart();
        wait_for("the server to be used again", || {
            let stored = (0..KEYS).filter(|key| {
                memcache.send(format!("set key-{key} 5 0 1\r\n1\r\n").as_bytes());
                memcache.line() == "STORED"
            });
            (stored.count() == KEYS).then_some(())
        });
        for key in 0..KEYS {
            memcache.ask(format!("incr key-{key} 1\r\n"), "2\r\n");
        }
    }
}

#[test]
fn client_libraries_share_a_pool() {
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1]);
        let ports = [pool.ringfort.memcache(), pool.ringfort.resp()]
            .map(|address| address.port().to_string());
        python::run("with_pymemcache.py", &[&ports[0]]);
        python::run("with_pylibmc.py", &[&ports[0]]);
        python::run("with_both.py", &[&ports[0], &ports[1], "redis"]);
    }
}

/// What is left of so many seconds.
fn expect_seconds(resp: &mut Wire, key: &str, given: i64) {
    resp.send(format!("TTL {key}\r\n").as_bytes());
    let left: i64 = resp.line()[1..].parse().expect("a number");
    assert!((given - 70..=given).contains(&left), "{left} of {given} s");
}

/// The string that one of the servers keeps.
fn stored(pool: &Crossed, key: &str) -> Vec<u8> {
    let lengths = pool.backends.each_ref().map(|backend| {
        let mut wire = backend.connect();
        wire.send(format!("GET {key}\r\n").as_bytes());
        let length: i64 = wire.line()[1..].parse().expect("a length");
        usize::try_from(length)
            .ok()
            .map(|length| wire.bytes(length))
    });
    let mut found = lengths.into_iter().flatten();
    let value = found.next().unwrap_or_else(|| panic!("nobody has {key}"));
    assert_eq!(found.next(), None, "only one has it");
    value
}
