//! The promise: with `--l1 tracked` reads of hot keys never leave ringfort, and yet what anybody writes straight to a
//! Redis server is seen as soon as the server tells of it, whatever becomes of the connections in between.

mod support;

use std::time::{Duration, Instant};

use support::backends::Backend;
use support::gate::{Fault, Gate};
use support::process::Signal;
use support::ringfort::{Ringfort, redis_pool, refusal};
use support::wire::Wire;
use support::{DEADLINE, wait_for};

/// How long it may take to find out that a server is silently gone, with a second's `--backend-timeout`: a second
/// until it is asked and one until it has not answered. The rest is for a loaded machine.
const SILENCE: Duration = Duration::from_secs(1 + 1 + 6);

#[test]
fn whatever_a_stranger_does_to_a_key_is_seen() {
    let (servers, ringfort) = redis_pool(2, &["--l1", "tracked"]);
    let mut clients: Vec<_> = (0..8).map(|_| Wire::connect(ringfort.resp())).collect();
    for key in ["k1", "k2", "k3", "k4", "k5"] {
        clients[0].ask(format!("SET {key} first\r\n"), "+OK\r\n");
        let mut stranger = Wire::connect(owner(&servers, key).address());
        for (change, now) in [
            ("SET KEY second", Some("second")),
            ("APPEND KEY !", Some("second!")),
            ("GETDEL KEY", None),
            ("SETRANGE KEY 0 third", Some("third")),
            (
                "EVAL \"redis.call('SET', 'KEY', 'fourth')\" 0",
                Some("fourth"),
            ),
            ("FLUSHALL", None),
            ("MSET KEY fifth other x", Some("fifth")),
            ("RENAME other KEY", Some("x")),
        ] {
            if get(&mut clients[0], key).is_none() {
                clients[0].ask(format!("SET {key} again\r\n"), "+OK\r\n");
            }
            keep(&mut clients[0], key);
            stranger.send(format!("{}\r\n", change.replace("KEY", key)).as_bytes());
            stranger.line();
            wait_for_value(&mut clients[1], key, now);
            // Nobody goes back behind what one has seen, on either shard.
            for client in &mut clients {
                assert_eq!(get(client, key).as_deref(), now, "{change}");
            }
        }
    }
    assert!(clients[0].info("stats", "l1_invalidations") >= 5 * 8);
    assert_eq!(clients[0].info("stats", "l1_losses"), 0);
}

#[test]
fn what_a_client_writes_it_sees_in_what_is_pipelined_behind() {
    let (_servers, ringfort) = redis_pool(2, &["--l1", "tracked"]);
    for hello in ["", "HELLO 3\r\n"] {
        let mut client = Wire::connect(ringfort.resp());
        client.send(format!("{hello}ECHO begin\r\n").as_bytes());
        while client.line() != "begin" {}
        for key in ["k1", "k2", "k3"] {
            client.ask(format!("SET {key} 0\r\n"), "+OK\r\n");
            keep(&mut client, key);
            let mut pipeline = String::new();
            let mut replies = String::new();
            for number in 1..50 {
                pipeline += &format!("GET {key}\r\nINCR {key}\r\nGET {key}\r\n");
                let before = number - 1;
                for value in [before, number] {
                    let value = value.to_string();
                    replies += &format!("${}\r\n{value}\r\n", value.len());
                    if value == before.to_string() {
                        replies += &format!(":{number}\r\n");
                    }
                }
            }
            client.ask(pipeline, replies);
        }
    }
}

/// The script goes through ringfort, which cannot know what it writes.
#[test]
fn what_a_script_does_not_declare_is_told_of() {
    let server = Backend::redis();
    let ringfort = start(&server, &[]);
    let mut client = Wire::connect(ringfort.resp());
    for round in 0..10 {
        client.ask(format!("SET k{round} old\r\n"), "+OK\r\n");
        let key = format!("k{round}");
        keep(&mut client, &key);
        let script = format!("EVAL \"redis.call('SET', '{key}', 'new')\" 0\r\n");
        client.ask(script, "$-1\r\n");
        wait_for_value(&mut client, &key, Some("new"));
    }
}

#[test]
fn a_copy_does_not_outlive_its_key() {
    let server = Backend::redis_with("--enable-debug-command yes");
    let ringfort = start(&server, &[]);
    let mut client = Wire::connect(ringfort.resp());
    let mut stranger = server.connect();
    // The server notices nothing by itself, so it tells nobody.
    stranger.ask("DEBUG SET-ACTIVE-EXPIRE 0\r\n", "+OK\r\n");
    for round in 0..3 {
        const LIFE: Duration = Duration::from_millis(400);
        stranger.ask(format!("SET k{round} v PX 400\r\n"), "+OK\r\n");
        let key = format!("k{round}");
        let ends = Instant::now() + LIFE;
        let hits = client.info("stats", "keyspace_hits");
        wait_for("the key to end", || {
            let asked = Instant::now();
            let value = get(&mut client, &key);
            // The server counts in whole milliseconds.
            let is_over = asked > ends + Duration::from_millis(3);
            assert!(!is_over || value.is_none(), "{:?} later", asked - ends);
            value.is_none().then_some(())
        });
        let hits_now = client.info("stats", "keyspace_hits");
        assert!(hits_now > hits, "it was kept: {hits} and {hits_now} hits");
    }
}

/// The server kills one of the two connections, and somebody writes what nobody hears of any more.
#[test]
fn a_connection_that_is_killed_takes_its_copies_with_it() {
    let server = Backend::redis();
    let ringfort = start(&server, &["--backend-connections", "2"]);
    let mut client = Wire::connect(ringfort.resp());
    let mut stranger = server.connect();
    for round in 0..6 {
        client.ask(format!("SET k {round}\r\n"), "+OK\r\n");
        keep(&mut client, "k");
        let victims = connections(&mut stranger, round % 2 == 0);
        assert!(!victims.is_empty());
        let losses = client.info("stats", "l1_losses");
        let mut line = String::from("MULTI\r\n");
        for id in &victims {
            line += &format!("CLIENT KILL ID {id}\r\n");
        }
        line += "SET k new\r\nEXEC\r\n";
        stranger.send(line.as_bytes());
        while !stranger.line().starts_with('*') {}
        (0..=victims.len()).for_each(|_| drop(stranger.line()));
        wait_for_value(&mut client, "k", Some("new"));
        assert!(client.info("stats", "l1_losses") > losses);
    }
}

#[test]
fn a_server_that_comes_back_empty_leaves_no_copy() {
    let mut server = Backend::redis();
    let ringfort = start(&server, &[]);
    let mut client = Wire::connect(ringfort.resp());
    for _ in 0..3 {
        client.ask("SET k v\r\n", "+OK\r\n");
        keep(&mut client, "k");
        server.stop();
        wait_for("the copy to go", || {
            get_or_error(&mut client, "k").is_err().then_some(())
        });
        server.restart();
        wait_for("the server", || match get_or_error(&mut client, "k") {
            Ok(value) => {
                assert_eq!(value, None);
                Some(())
            }
            Err(_) => None,
        });
    }
}

#[test]
fn a_server_that_stands_still_is_found_out_and_told_of_when_it_goes_on() {
    let server = Backend::redis();
    let ringfort = start(&server, &["--backend-timeout", "1s"]);
    let mut client = Wire::connect(ringfort.resp());
    client.ask("SET k old\r\n", "+OK\r\n");
    keep(&mut client, "k");
    server.pause();
    let started = Instant::now();
    wait_for("the copy to go", || {
        get_or_error(&mut client, "k").is_err().then_some(())
    });
    assert!(started.elapsed() < SILENCE, "{:?}", started.elapsed());
    server.resume();
    server.connect().ask("SET k new\r\n", "+OK\r\n");
    wait_for("the server", || match get_or_error(&mut client, "k") {
        Ok(value) => {
            assert_eq!(value.as_deref(), Some("new"));
            Some(())
        }
        Err(_) => None,
    });
    keep(&mut client, "k");
}

/// Packets are lost both ways, so neither side hears of the other's end.
#[test]
fn a_silent_cut_is_found_out_in_the_time_that_is_promised() {
    let server = Backend::redis();
    let gate = Gate::open_before(server.address());
    let address = gate.address().to_string();
    let ringfort = start_at(&address, &["--backend-timeout", "1s"]);
    let mut client = Wire::connect(ringfort.resp());
    wait_for("the server", || get_or_error(&mut client, "k").ok());
    client.ask("SET k old\r\n", "+OK\r\n");
    keep(&mut client, "k");
    gate.strike(Fault::Swallow);
    server.connect().ask("SET k new\r\n", "+OK\r\n");
    let cut = Instant::now();
    wait_for("the copy to go", || match get_or_error(&mut client, "k") {
        Ok(value) => {
            assert_eq!(value.as_deref(), Some("old"), "nothing new can come");
            None
        }
        Err(_) => Some(()),
    });
    assert!(cut.elapsed() < SILENCE, "{:?}", cut.elapsed());
    gate.heal();
    wait_for("the server", || match get_or_error(&mut client, "k") {
        Ok(value) => {
            assert_eq!(value.as_deref(), Some("new"));
            Some(())
        }
        Err(_) => None,
    });
}

/// A server too old to tell of changes, or that may not: its values are passed on, the log says so once, and clients
/// see nothing of it.
#[test]
fn a_server_that_does_not_tell_is_served_without_copies() {
    let old = Backend::redis_with("--rename-command HELLO HELLO-OF-LATER");
    let forbidden = Backend::redis();
    let mut admin = forbidden.connect();
    admin.ask("ACL SETUSER default -client|tracking\r\n", "+OK\r\n");
    for (server, reason) in [(&old, "HELLO was answered: "), (&forbidden, "NOPERM")] {
        let ringfort = start(server, &[]);
        let mut client = Wire::connect(ringfort.resp());
        let mut stranger = server.connect();
        for round in 0..200 {
            stranger.ask(format!("SET k {round}\r\n"), "+OK\r\n");
            assert_eq!(get(&mut client, "k"), Some(round.to_string()));
        }
        assert_eq!(client.info("stats", "keyspace_hits"), 0);
        let (_, stderr) = ringfort.end(Signal::TERM);
        let told: Vec<_> = stderr
            .lines()
            .filter(|line| line.contains(reason))
            .collect();
        assert_eq!(told.len(), 2, "once a shard:\n{stderr}");
        assert!(
            told.iter()
                .all(|line| line.contains("does not tell of changes")),
            "{stderr}"
        );
    }
}

#[test]
fn memcache_clients_see_what_is_written_past_them() {
    let server = Backend::redis();
    let ringfort = start(&server, &["--memcache", "127.0.0.1:0"]);
    let mut client = Wire::connect(ringfort.memcache());
    let mut other = Wire::connect(ringfort.resp());
    for round in 0..20 {
        client.ask("set k 7 0 3\r\nold\r\n", "STORED\r\n");
        keep(&mut other, "k");
        client.ask("get k\r\n", "VALUE k 7 3\r\nold\r\nEND\r\n");
        server
            .connect()
            .ask(format!("SET k {round:02}\r\n"), "+OK\r\n");
        wait_for("the change", || {
            client.send(b"get k\r\n");
            let line = client.line();
            let value = client.line();
            assert_eq!(client.line(), "END");
            (line == "VALUE k 0 2" && value == format!("{round:02}")).then_some(())
        });
    }
}

#[test]
fn deletes_that_are_promised_and_writes_of_strangers_go_together() {
    let server = Backend::redis();
    let ringfort = start(&server, &["--write", "invalidate"]);
    let mut client = Wire::connect(ringfort.resp());
    let mut stranger = server.connect();
    for round in 0..20 {
        stranger.ask(format!("SET k {round}\r\n"), "+OK\r\n");
        wait_for_value(&mut client, "k", Some(&round.to_string()));
        keep(&mut client, "k");
        client.ask("SET k ignored\r\n", "+OK\r\n");
        wait_for_value(&mut client, "k", None);
    }
}

/// A key is read from a server that stands in, and changed by a stranger on its own server once that is back.
#[test]
fn no_copy_of_a_stand_in_is_left_when_the_server_returns() {
    let mut own = Backend::redis();
    let stand_in = Backend::redis();
    let failover = stand_in.address().to_string();
    let ringfort = start(
        &own,
        &["--on-eject", "failover", "--failover-server", &failover],
    );
    let mut client = Wire::connect(ringfort.resp());
    stand_in.connect().ask("SET k other\r\n", "+OK\r\n");
    client.ask("SET k own\r\n", "+OK\r\n");
    keep(&mut client, "k");
    own.stop();
    wait_for("the stand-in", || {
        (get_or_error(&mut client, "k") == Ok(Some("other".into()))).then_some(())
    });
    keep(&mut client, "k");
    own.restart();
    own.connect().ask("SET k returned\r\n", "+OK\r\n");
    wait_for("the server's return", || {
        (get_or_error(&mut client, "k") == Ok(Some("returned".into()))).then_some(())
    });
}

#[test]
fn memcached_servers_do_not_tell() {
    let flags = [
        "--pool",
        "memcache",
        "--server",
        "127.0.0.1:1",
        "--l1",
        "tracked",
    ];
    let (code, stderr) = refusal(&flags);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("--l1 tracked: memcache servers do not tell of changes"),
        "{stderr}"
    );
}

fn start(server: &Backend, flags: &[&str]) -> Ringfort {
    start_at(&server.address().to_string(), flags)
}

fn start_at(server: &str, flags: &[&str]) -> Ringfort {
    let common = [
        "--resp",
        "127.0.0.1:0",
        "--pool",
        "resp",
        "--shards",
        "2",
        "--memory",
        "64MiB",
    ];
    let pool = ["--l1", "tracked", "--server", server];
    Ringfort::start_exactly(&[&common[..], &pool, flags].concat())
}

/// The server that has a key.
fn owner<'s>(servers: &'s [Backend], key: &str) -> &'s Backend {
    let has_key = |server: &&Backend| {
        let mut wire = server.connect();
        wire.send(format!("EXISTS {key}\r\n").as_bytes());
        wire.line() == ":1"
    };
    servers.iter().find(has_key).expect("one that has it")
}

/// Ids of the connections at a server that hear of changes, or of those that others hear for.
fn connections(wire: &mut Wire, listeners: bool) -> Vec<String> {
    wire.send(b"CLIENT LIST\r\n");
    let len: usize = wire.line()[1..].parse().expect("a length");
    let list = String::from_utf8(wire.bytes(len + 2)).expect("text");
    let field = |line: &str, name: &str| {
        let mut fields = line.split(' ');
        let value = fields.find_map(|field| field.strip_prefix(name));
        value.expect("a field").to_owned()
    };
    let tracking = list
        .lines()
        .filter(|line| !line.is_empty() && field(line, "redir=") != "-1");
    let name = if listeners { "redir=" } else { "id=" };
    let mut ids: Vec<_> = tracking.map(|line| field(line, name)).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn get_or_error(wire: &mut Wire, key: &str) -> Result<Option<String>, String> {
    wire.send(format!("GET {key}\r\n").as_bytes());
    let line = wire.line();
    match line.split_at(1) {
        ("$", "-1") => Ok(None),
        ("$", _) => Ok(Some(wire.line())),
        ("_", _) => Ok(None),
        _ => Err(line),
    }
}

fn get(wire: &mut Wire, key: &str) -> Option<String> {
    get_or_error(wire, key).expect("a server that is there")
}

fn wait_for_value(wire: &mut Wire, key: &str, value: Option<&str>) {
    wait_for(key, || {
        (get_or_error(wire, key).as_ref().map(Option::as_deref) == Ok(value)).then_some(())
    });
}

/// Reads a key until it is answered out of a copy.
fn keep(wire: &mut Wire, key: &str) {
    let started = Instant::now();
    loop {
        let before = wire.info("stats", "keyspace_hits");
        // While a server is away there is nothing to keep.
        let _ = get_or_error(wire, key);
        if wire.info("stats", "keyspace_hits") > before {
            return;
        }
        assert!(started.elapsed() < DEADLINE, "{key} is never kept");
        std::thread::sleep(support::POLL_INTERVAL);
    }
}
