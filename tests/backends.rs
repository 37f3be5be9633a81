//! The promise: a server that is slow, stopped or gone costs its own keys, once, and no request ever gets another's
//! reply; and servers with passwords, databases and unix sockets are served like any other.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use support::backends::Backend;
use support::process::{ScratchFolder, Signal};
use support::ringfort::Ringfort;
use support::wire::Wire;
use support::{DEADLINE, wait_for};

/// A ringfort with one shard in front of `server`.
fn in_front_of(protocol: &str, server: &str, flags: &[&str]) -> Ringfort {
    let listener = format!("--{protocol}");
    let args = [
        &listener,
        "127.0.0.1:0",
        "--shards",
        "1",
        "--memory",
        "64MiB",
        "--pool",
        protocol,
        "--server",
        server,
    ];
    Ringfort::start_exactly(&[&args[..], flags].concat())
}

#[test]
fn a_stopped_server_costs_one_wait_and_is_down_until_it_answers() {
    let server = Backend::memcached();
    let address = server.address().to_string();
    let ringfort = in_front_of("memcache", &address, &["--backend-timeout", "1s"]);
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask("set key 0 0 1\r\nx\r\n", "STORED\r\n");
    server.pause();
    let start = Instant::now();
    wire.send(b"get key\r\n");
    let line = wire.line();
    assert!(line.starts_with("SERVER_ERROR backend "), "{line}");
    let waited = start.elapsed();
    let patience = Duration::from_millis(900)..Duration::from_secs(5);
    assert!(patience.contains(&waited), "{waited:?}");
    // The kernel takes connections for it meanwhile, which does not help anybody.
    let until = Instant::now() + Duration::from_secs(4);
    let mut waits = Vec::new();
    while Instant::now() < until {
        let start = Instant::now();
        wire.ask("get key\r\n", "SERVER_ERROR backend is unavailable\r\n");
        waits.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    // A busy machine may hold up some of them, a server that is asked holds up all.
    waits.sort_unstable();
    let median = waits[waits.len() / 2];
    assert!(median < Duration::from_millis(500), "{median:?}");
    server.resume();
    wait_for("the server to be up again", || {
        wire.send(b"get key\r\n");
        let line = wire.line();
        let is_up = line.starts_with("VALUE ");
        if is_up {
            wire.expect(b"x\r\nEND\r\n");
        }
        is_up.then_some(())
    });
}

/// A server that says what `script` makes it say: it gets each connection's number, its lines and the way back.
fn scripted(
    greeting: (&'static str, &'static str),
    script: impl Fn(usize, &mut dyn BufRead, &mut TcpStream) + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            stream.set_read_timeout(Some(DEADLINE)).expect("a limit");
            let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
            expect(&mut lines, greeting.0);
            if stream.write_all(greeting.1.as_bytes()).is_ok() {
                script(number, &mut lines, &mut stream);
            }
        }
    });
    address
}

fn expect(lines: &mut dyn BufRead, request: &str) {
    let mut got = vec![0; request.len()];
    lines.read_exact(&mut got).expect("a request");
    assert_eq!(String::from_utf8_lossy(&got), request);
}

const MEMCACHE: (&str, &str) = ("version\r\n", "VERSION 1.6.18\r\n");

#[test]
fn a_late_reply_fails_one_request_and_is_nobody_elses() {
    let address = scripted(MEMCACHE, |_, lines, stream| {
        expect(lines, "delete a\r\ndelete b\r\n");
        std::thread::sleep(Duration::from_secs(2));
        stream.write_all(b"DELETED\r\n").expect("ringfort");
        expect(lines, "delete c\r\n");
        stream.write_all(b"NOT_FOUND\r\n").expect("ringfort");
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(b"DELETED\r\n").expect("ringfort");
        let _ = lines.read(&mut [0]);
    });
    let flags = ["--backend-timeout", "3s"];
    let ringfort = in_front_of("memcache", &address.to_string(), &flags);
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask(
        "delete a\r\ndelete b\r\n",
        "DELETED\r\nSERVER_ERROR backend did not answer in time\r\n",
    );
    wire.ask("delete c\r\n", "DELETED\r\n");
}

#[test]
fn a_read_survives_its_connection_and_a_write_does_not() {
    let address = scripted(MEMCACHE, |number, lines, stream| match number {
        0 => expect(lines, "get key\r\n"),
        1 => {
            expect(lines, "get key\r\n");
            let value = b"VALUE key 0 5\r\nright\r\nEND\r\n";
            stream.write_all(value).expect("ringfort");
            expect(lines, "delete key\r\n");
        }
        _ => drop(lines.read(&mut [0])),
    });
    let ringfort = in_front_of("memcache", &address.to_string(), &[]);
    let mut wire = Wire::connect(ringfort.memcache());
    for (request, reply) in [
        ("get key\r\n", "VALUE key 0 5\r\nright\r\nEND\r\n"),
        (
            "delete key\r\n",
            "SERVER_ERROR backend connection was lost\r\n",
        ),
    ] {
        // A connection that stood for a second is expected back at once.
        std::thread::sleep(Duration::from_millis(1_100));
        wire.ask(request, reply);
    }
}

#[test]
fn garbage_costs_a_connection_and_no_more() {
    let address = scripted(MEMCACHE, |number, lines, stream| {
        expect(lines, "delete key\r\n");
        let reply: &[u8] = match number {
            0 => b"VALUE key 0 1\r\nx\r\nEND\r\n",
            _ => b"DELETED\r\n",
        };
        stream.write_all(reply).expect("ringfort");
        let _ = lines.read(&mut [0]);
    });
    let ringfort = in_front_of("memcache", &address.to_string(), &[]);
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask(
        "delete key\r\n",
        "SERVER_ERROR backend connection was lost\r\n",
    );
    wait_for("another connection", || {
        wire.send(b"delete key\r\n");
        let line = wire.line();
        let unavailable = "SERVER_ERROR backend is unavailable";
        assert!(line == "DELETED" || line == unavailable, "{line}");
        (line == "DELETED").then_some(())
    });
}

#[test]
fn a_password_and_a_database_are_given_to_each_connection() {
    let server = Backend::redis_with("--requirepass secret");
    let folder = ScratchFolder::new();
    let file = folder.write("password", "secret\n").display().to_string();
    let address = server.address().to_string();
    let flags = ["--backend-password-file", &file, "--backend-db", "2"];
    let ringfort = in_front_of("resp", &address, &flags);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("SET key value\r\n", "+OK\r\n");
    let mut direct = server.connect();
    direct.ask("AUTH secret\r\nGET key\r\n", "+OK\r\n$-1\r\n");
    direct.ask("SELECT 2\r\nGET key\r\n", "+OK\r\n$5\r\nvalue\r\n");
    // The connection is new, the database the same.
    direct.ask("CLIENT KILL TYPE normal SKIPME yes\r\n", ":1\r\n");
    wait_for("another connection", || {
        wire.send(b"GET key\r\n");
        let line = wire.line();
        (line == "$5").then(|| wire.expect(b"value\r\n"))
    });
}

#[test]
fn connections_to_redis_servers_have_a_name() {
    let server = Backend::redis();
    let address = server.address().to_string();
    let cases: [(&[&str], &str); 3] = [
        (&[], "ringfort"),
        (&["--backend-name", "front-1"], "front-1"),
        (&["--backend-name", "off"], ""),
    ];
    for (flags, name) in cases {
        let ringfort = in_front_of("resp", &address, flags);
        let mut wire = Wire::connect(ringfort.resp());
        wire.ask("SET key value\r\n", "+OK\r\n");
        let mut direct = server.connect();
        direct.send(b"CLIENT LIST\r\n");
        let length = direct.line().trim_start_matches('$').parse();
        let list = direct.bytes(length.expect("a length"));
        let list = String::from_utf8(list).expect("a text");
        let is_ours =
            |line: &&str| line.contains(&format!(" name={name} ")) && line.contains(" cmd=set ");
        assert_eq!(list.lines().filter(is_ours).count(), 1, "{list}");
    }
}

#[test]
fn a_refused_password_is_told_once_and_the_server_counts_as_down() {
    let server = Backend::redis_with("--requirepass secret");
    let ringfort = in_front_of("resp", &server.address().to_string(), &[]);
    let mut wire = Wire::connect(ringfort.resp());
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        wire.ask("GET key\r\n", "-ERR backend is unavailable\r\n");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(wire);
    let (status, stderr) = ringfort.end(Signal::TERM);
    assert!(status.success());
    let told = stderr.matches("PING was answered: NOAUTH").count();
    assert_eq!(told, 1, "{stderr}");
}

#[test]
fn memcached_is_given_user_and_password() {
    let server = Backend::memcached_with_password("me", "secret");
    let folder = ScratchFolder::new();
    let file = folder.write("password", "secret").display().to_string();
    let flags = ["--backend-user", "me", "--backend-password-file", &file];
    let ringfort = in_front_of("memcache", &server.address().to_string(), &flags);
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask("set key 0 0 5\r\nvalue\r\n", "STORED\r\n");
    wire.ask("get key\r\n", "VALUE key 0 5\r\nvalue\r\nEND\r\n");
}

#[test]
fn a_server_may_listen_on_a_unix_socket_or_have_a_name() {
    let server = Backend::redis();
    let socket = format!("unix:{}", server.socket().display());
    let name = format!("localhost:{}", server.address().port());
    for address in [socket, name] {
        let ringfort = in_front_of("resp", &address, &[]);
        let mut wire = Wire::connect(ringfort.resp());
        wire.ask("SET key value\r\n", "+OK\r\n");
        wire.ask("GET key\r\n", "$5\r\nvalue\r\n");
    }
}

#[test]
fn keys_are_spread_over_connections_and_each_stays_in_order() {
    const KEYS: usize = 200;
    let server = Backend::redis();
    let flags = ["--backend-connections", "3"];
    let ringfort = in_front_of("resp", &server.address().to_string(), &flags);
    let mut wire = Wire::connect(ringfort.resp());
    let mut requests = String::new();
    let mut replies = String::new();
    for key in 0..KEYS {
        requests += &format!("SET key-{key} {key}\r\nINCR key-{key}\r\nGET key-{key}\r\n");
        let next = (key + 1).to_string();
        replies += &format!("+OK\r\n:{next}\r\n${}\r\n{next}\r\n", next.len());
        // It is on another connection than its second key may be, and still sees what was set.
        requests += &format!("RPUSH list-{key} a\r\nRPUSH other-{key} b\r\n");
        requests += &format!("LMOVE list-{key} other-{key} LEFT RIGHT\r\nLLEN other-{key}\r\n");
        replies += ":1\r\n:1\r\n$1\r\na\r\n:2\r\n";
    }
    wire.ask(requests, replies);
    let mut direct = server.connect();
    direct.send(b"INFO clients\r\n");
    let count = loop {
        let line = direct.line();
        if let Some(count) = line.strip_prefix("connected_clients:") {
            break count.to_owned();
        }
    };
    assert_eq!(count, "4", "three of them are ringfort's");
}
