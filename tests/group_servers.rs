//! The promise to whoever puts a group in front of memcached or Redis servers: each key is loaded once for all who ask
//! for it of all peers, with the server's flags and time to live, and what a client writes is on the server and seen
//! by everybody before it is answered.

mod support;

use std::time::Duration;

use support::backends::Backend;
use support::binary::{packet_with, reply};
use support::process::{ScratchFolder, free_port};
use support::ringfort::{Ringfort, refusal};
use support::wait_for;
use support::wire::Wire;

/// A group over these servers.
fn group(origin: &str, flags: &[&str]) -> Ringfort {
    Ringfort::start(&[&["--group", "values", "--origin", origin], flags].concat())
}

fn redis_origin(server: &Backend) -> String {
    format!("redis://{}", server.address())
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// A number of a reply to TTL or PTTL.
fn number(client: &mut Wire, request: &str) -> i64 {
    client.send(format!("{request}\r\n").as_bytes());
    client.line()[1..].parse().expect("a number")
}

#[test]
fn a_redis_server_is_asked_once_and_its_times_to_live_count() {
    let redis = Backend::redis();
    let mut server = redis.connect();
    server.ask(
        "SET for-ever v\r\nSET short w PX 90000\r\n",
        "+OK\r\n+OK\r\n",
    );
    server.ask("LPUSH list a\r\n", ":1\r\n");
    let ringfort = group(&redis_origin(&redis), &[]);
    let hits = |server: &mut Wire| server.info("stats", "keyspace_hits");
    let before = hits(&mut server);
    redis.pause();
    let mut clients: Vec<_> = (0..50)
        .flat_map(|_| [ringfort.memcache(), ringfort.resp()])
        .map(Wire::connect)
        .collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(if number % 2 == 0 {
            b"get for-ever\r\n"
        } else {
            b"GET for-ever\r\n"
        });
    }
    let mut stats = Wire::connect(ringfort.memcache());
    wait_for("all to have asked", || {
        (stats.stat("groups", "Gets") >= 100).then_some(())
    });
    redis.resume();
    for (number, client) in clients.iter_mut().enumerate() {
        client.expect(if number % 2 == 0 {
            b"VALUE for-ever 0 1\r\nv\r\nEND\r\n"
        } else {
            b"$1\r\nv\r\n"
        });
    }
    // GET and PTTL are two look-ups.
    assert_eq!(hits(&mut server) - before, 2);
    let mut client = Wire::connect(ringfort.resp());
    assert_eq!(number(&mut client, "TTL for-ever"), -1);
    client.ask("GET short\r\n", bulk("w"));
    let left = number(&mut client, "PTTL short");
    assert!((1..=90_000).contains(&left), "{left}");
    client.ask("GET nothing\r\n", "$-1\r\n");
    let line =
        "-ERR origin said: WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    client.ask("GET list\r\n", line);
}

#[test]
fn what_is_written_is_on_the_redis_server_first() {
    let redis = Backend::redis();
    let ringfort = group(&redis_origin(&redis), &[]);
    let mut server = redis.connect();
    let mut resp = Wire::connect(ringfort.resp());
    let mut memcache = Wire::connect(ringfort.memcache());
    resp.ask("SET a 1\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n");
    server.ask("GET a\r\n", bulk("1"));
    // Something else changes it: what was kept is shown until it is written here.
    server.ask("SET a 2\r\n", "+OK\r\n");
    resp.ask("GET a\r\n", bulk("1"));
    resp.ask("SET a 3 PX 90000\r\nGET a\r\n", "+OK\r\n$1\r\n3\r\n");
    let left = number(&mut server, "PTTL a");
    assert!((1..=90_000).contains(&left), "{left}");
    resp.ask("MSET b 1 c 2\r\n", "+OK\r\n");
    server.ask("MGET b c\r\n", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    resp.ask(
        "DEL a b\r\nMGET a b c\r\n",
        ":2\r\n*3\r\n$-1\r\n$-1\r\n$1\r\n2\r\n",
    );
    server.ask("EXISTS a b c\r\n", ":1\r\n");
    // Flags are kept as pools keep them.
    memcache.ask("set f 7 0 1\r\nx\r\n", "STORED\r\n");
    server.ask("GET f\r\n", b"$13\r\n\0mcflag\xff\0\0\0\x07x\r\n");
    memcache.ask(
        "get f\r\nget f\r\n",
        "VALUE f 7 1\r\nx\r\nEND\r\n".repeat(2),
    );
    resp.ask("GET f\r\n", bulk("x"));
    memcache.ask("ms m 1 F9 T90\r\ny\r\n", "HD\r\n");
    memcache.ask("mg m f v\r\nmg m f v\r\n", "VA 1 f9\r\ny\r\n".repeat(2));
    let left = number(&mut server, "TTL m");
    assert!((1..=90).contains(&left), "{left}");
    let mut binary = Wire::connect(ringfort.memcache());
    let extras = [0, 0, 0, 5, 0, 0, 0, 0];
    binary.send(&packet_with(0x01, b"b5", &extras, b"z", 0));
    assert_eq!(reply(&mut binary).status, 0);
    memcache.ask("get b5\r\n", "VALUE b5 5 1\r\nz\r\nEND\r\n");
    memcache.ask("set gone 0 -1 1\r\nx\r\nget gone\r\n", "STORED\r\nEND\r\n");
    memcache.ask("delete f\r\nget f\r\n", "DELETED\r\nEND\r\n");
    server.ask("EXISTS f\r\n", ":0\r\n");
}

#[test]
fn a_server_that_is_away_is_an_error_and_comes_back() {
    let mut redis = Backend::redis();
    redis.connect().ask("SET a 1\r\n", "+OK\r\n");
    let ringfort = group(&redis_origin(&redis), &["--load-timeout", "500ms"]);
    let mut client = Wire::connect(ringfort.resp());
    client.ask("GET a\r\n", bulk("1"));
    redis.pause();
    client.ask("GET b\r\n", "-ERR origin did not answer in time\r\n");
    client.ask("SET a 2\r\n", "-ERR origin did not answer in time\r\n");
    redis.resume();
    // It may have been done, and so what was kept is gone.
    wait_for("the server to have done it", || {
        client.send(b"GET a\r\n");
        let head = client.line();
        (head == "$1" && client.line() == "2").then_some(())
    });
    redis.stop();
    client.send(b"GET c\r\n");
    let line = client.line();
    assert!(line.starts_with("-ERR "), "{line}");
    client.send(b"SET c v\r\n");
    let line = client.line();
    assert!(line.starts_with("-ERR "), "{line}");
    redis.restart();
    wait_for("the server to be asked again", || {
        client.send(b"SET c v\r\n");
        (client.line() == "+OK").then_some(())
    });
    client.ask("GET c\r\n", bulk("v"));
    redis.connect().ask("GET c\r\n", bulk("v"));
    // One that was never there is tried again, too.
    let port = free_port();
    let ringfort = group(&format!("redis://127.0.0.1:{port}"), &[]);
    let mut client = Wire::connect(ringfort.resp());
    let line = "-ERR origin cannot be reached: Connection refused\r\n";
    client.ask("GET a\r\n", line);
    client.ask("SET a v\r\n", line);
}

#[test]
fn keys_of_several_memcacheds_are_where_a_pool_of_them_has_them() {
    let servers = [Backend::memcached(), Backend::memcached()];
    let addresses: Vec<String> = servers
        .iter()
        .map(|one| one.address().to_string())
        .collect();
    let pool = Ringfort::start(&[
        "--pool",
        "memcache",
        "--server",
        &addresses[0],
        "--server",
        &format!("{}:3", addresses[1]),
    ]);
    let origin = format!("memcache://{},{}:3", addresses[0], addresses[1]);
    let ringfort = group(&origin, &[]);
    let mut writer = Wire::connect(pool.memcache());
    let mut reader = Wire::connect(ringfort.memcache());
    for number in 0..60 {
        writer.ask(format!("set k{number} {number} 0 1\r\nv\r\n"), "STORED\r\n");
        let told = format!("VALUE k{number} {number} 1\r\nv\r\nEND\r\n");
        reader.ask(format!("get k{number}\r\n"), told);
    }
    for number in 60..120 {
        reader.ask(
            format!("set k{number} {number} 90 1\r\nv\r\n"),
            "STORED\r\n",
        );
        let told = format!("VALUE k{number} {number} 1\r\nv\r\nEND\r\n");
        writer.ask(format!("get k{number}\r\n"), &told);
        reader.ask(format!("get k{number}\r\n"), told);
    }
    for one in &servers {
        assert!(one.memcached_stat("curr_items") > 10, "both have some");
    }
    let mut resp = Wire::connect(ringfort.resp());
    let left = number(&mut resp, "TTL k60");
    assert!((1..=90).contains(&left), "{left}");
    assert_eq!(number(&mut resp, "TTL k0"), -1);
    // Keys that are no text to memcached.
    resp.ask("*3\r\n$3\r\nSET\r\n$3\r\na b\r\n$1\r\nv\r\n", "+OK\r\n");
    resp.ask("*2\r\n$3\r\nGET\r\n$3\r\na b\r\n", bulk("v"));
    resp.ask("*2\r\n$3\r\nDEL\r\n$3\r\na b\r\n", ":1\r\n");
    resp.ask("*2\r\n$3\r\nGET\r\n$3\r\na b\r\n", "$-1\r\n");
    let long = "k".repeat(251);
    resp.ask(format!("GET {long}\r\n"), "$-1\r\n");
    resp.ask(
        format!("SET {long} v\r\n"),
        "-ERR memcached has no such keys\r\n",
    );
    resp.ask("SET k0 x\r\nGET k0\r\n", "+OK\r\n$1\r\nx\r\n");
    writer.ask("get k0\r\n", "VALUE k0 0 1\r\nx\r\nEND\r\n");
}

#[test]
fn peers_load_once_from_a_server_and_see_each_others_writes() {
    let redis = Backend::redis();
    let mut server = redis.connect();
    let origin = redis_origin(&redis);
    let urls: Vec<String> = (0..3)
        .map(|_| format!("http://127.0.0.1:{}", free_port()))
        .collect();
    let start = |me: &String| {
        let mut flags = vec!["--hot", "all", "--self", me];
        urls.iter().for_each(|url| flags.extend(["--peer", url]));
        group(&origin, &flags)
    };
    let mut members: Vec<_> = urls.iter().map(start).collect();
    let mut clients: Vec<_> = members
        .iter()
        .map(|one| Wire::connect(one.memcache()))
        .collect();
    let mut writers: Vec<_> = members
        .iter()
        .map(|one| Wire::connect(one.memcache()))
        .collect();
    for number in 0..30 {
        server.ask(format!("SET k{number} v PX 90000\r\n"), "+OK\r\n");
        let before = server.info("stats", "keyspace_hits");
        for client in clients.iter_mut().chain(&mut writers) {
            let told = format!("VALUE k{number} 0 1\r\nv\r\nEND\r\n");
            client.ask(format!("get k{number}\r\n"), told);
        }
        let hits = server.info("stats", "keyspace_hits") - before;
        assert_eq!(hits, 2, "k{number} is loaded once, by GET and PTTL");
        let writer = &mut writers[number % 3];
        writer.ask(
            format!("set k{number} {number} 90 1\r\nw\r\n"),
            "STORED\r\n",
        );
        for client in &mut clients {
            let told = format!("VALUE k{number} {number} 1\r\nw\r\nEND\r\n");
            client.ask(format!("get k{number}\r\n"), told);
        }
    }
    let hits = server.info("stats", "keyspace_hits");
    for client in &mut clients {
        client.ask("get k0\r\n", "VALUE k0 0 1\r\nw\r\nEND\r\n");
    }
    assert_eq!(server.info("stats", "keyspace_hits"), hits);
    members.remove(2).kill();
    for number in 30..60 {
        server.ask(format!("SET k{number} v\r\n"), "+OK\r\n");
        for client in &mut clients[..2] {
            let told = format!("VALUE k{number} 0 1\r\nv\r\nEND\r\n");
            client.ask(format!("get k{number}\r\n"), told);
        }
    }
}

#[test]
fn what_is_no_list_of_servers_is_refused() {
    for (origin, told) in [
        ("redis://", "--origin 'redis://': '' has no port"),
        ("redis://127.0.0.1:1,127.0.0.1:1", "is named twice"),
        ("memcache://127.0.0.1", "has no port"),
    ] {
        let (status, said) = refusal(&["--group", "g", "--origin", origin]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(told), "{said}");
    }
}

/// What a peer's change is to do to others is done, though the peer has gone before its turn came.
#[test]
fn an_owner_finishes_a_change_whose_asker_has_gone() {
    let redis = Backend::redis();
    let mut server = redis.connect();
    server.ask("SET k old\r\n", "+OK\r\n");
    let origin = redis_origin(&redis);
    let urls: Vec<String> = (0..2)
        .map(|_| format!("http://127.0.0.1:{}", free_port()))
        .collect();
    let start = |me: &String| {
        let peers: Vec<&str> = urls.iter().flat_map(|url| ["--peer", url]).collect();
        let flags = ["--self", me, "--hot", "all", "--load-timeout", "10m"];
        group(&origin, &[&flags[..], &peers].concat())
    };
    let members = [start(&urls[0]), start(&urls[1])];
    let mut clients = [0, 1].map(|place: usize| Wire::connect(members[place].resp()));
    for client in &mut clients {
        client.ask("GET k\r\n", bulk("old"));
    }
    // Whom the other asks is the owner.
    let owner = match clients[0].info("groups", "HotItems") {
        0 => 0,
        _ => 1,
    };
    let address = urls[owner]["http://".len()..].parse().expect("an address");
    redis.pause();
    let mut asker = Wire::connect(address);
    asker.send(b"DELETE /_groupcache/values/k HTTP/1.1\r\nhost: h\r\nringfort-hops: 1\r\n\r\n");
    // So that the owner has begun, and waits for the server.
    std::thread::sleep(Duration::from_millis(300));
    drop(asker);
    std::thread::sleep(Duration::from_millis(300));
    redis.resume();
    wait_for("the server to have done it", || {
        server.send(b"EXISTS k\r\n");
        (server.line() == ":0").then_some(())
    });
    for client in &mut clients {
        wait_for("nobody to show what was", || {
            client.send(b"GET k\r\n");
            match client.line().as_str() {
                "$-1" => Some(()),
                _ => {
                    client.line();
                    None
                }
            }
        });
    }
}

#[test]
fn servers_behind_a_password() {
    let redis = Backend::redis_with("--requirepass secret");
    let memcached = Backend::memcached_with_password("me", "secret");
    let folder = ScratchFolder::new();
    let path = |name: &str, text: &str| folder.write(name, text).display().to_string();
    let (right, wrong) = (path("right", "secret\n"), path("wrong", "sesame\n"));
    let memcache_origin = format!("memcache://{}", memcached.address());
    let memcache_login = ["--origin-user", "me", "--origin-password-file"];
    for (origin, login) in [
        (redis_origin(&redis), &memcache_login[2..]),
        (memcache_origin, &memcache_login[..]),
    ] {
        let ringfort = group(&origin, &[login, &[&right]].concat());
        let mut client = Wire::connect(ringfort.resp());
        client.ask("GET k\r\n", "$-1\r\n");
        client.ask("SET k v\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n");
        // Another one sees it, who has not written it.
        let other = group(&origin, &[login, &[&right]].concat());
        Wire::connect(other.resp()).ask("GET k\r\n", bulk("v"));
        let locked_out = group(&origin, &[login, &[&wrong]].concat());
        let mut client = Wire::connect(locked_out.resp());
        client.send(b"GET k\r\n");
        let line = client.line();
        assert!(line.starts_with("-ERR origin refused: "), "{line}");
    }
}
