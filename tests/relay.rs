//! The promise: in front of Redis servers every command about one key is served, whatever the key's value is, and
//! what several servers cannot do together is refused by name while the connection stays.

mod support;

use support::backends::Backend;
use support::process::ScratchFolder;
use support::ringfort::Ringfort;
use support::wire::Wire;

#[test]
fn commands_about_one_key_reach_its_server() {
    let (backends, ringfort) = pool(3, &["--l1", "off"]);
    let mut wire = Wire::connect(ringfort.resp());
    for number in 0..50 {
        wire.ask(format!("HSET hash-{number} field {number}\r\n"), ":1\r\n");
    }
    for number in 0..50 {
        let value = number.to_string();
        let reply = format!("${}\r\n{value}\r\n", value.len());
        wire.ask(format!("hget hash-{number} field\r\n"), reply);
    }
    let counts = backends.each_count();
    assert_eq!(counts.iter().sum::<usize>(), 50, "{counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    wire.ask(
        "*4\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$1\r\na\r\n$1\r\nb\r\n",
        ":2\r\n",
    );
    wire.ask("LRANGE l 0 -1\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    wire.ask("OBJECT REFCOUNT l\r\n", ":1\r\n");
    wire.ask(
        "GET l\r\n",
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    );
    wire.ask(
        "SET s Hello\r\nGETRANGE s 1 2\r\nSETRANGE s 0 J\r\nGET s\r\n",
        "+OK\r\n$2\r\nel\r\n:5\r\n$5\r\nJello\r\n",
    );
    wire.ask(
        "EXPIREAT s 33177117420\r\nEXPIRETIME s\r\n",
        ":1\r\n:33177117420\r\n",
    );
    wire.ask(
        "SET f 1.5\r\nINCRBYFLOAT f 0.25\r\n",
        "+OK\r\n$4\r\n1.75\r\n",
    );
    wire.ask(
        "EVAL \"return redis.call('GET', KEYS[1])\" 1 s\r\n",
        "$5\r\nJello\r\n",
    );
}

/// It comes in hundreds of pieces, of which each is read once: a reply that is read from its start with every piece
/// takes longer than a server may.
#[test]
fn a_reply_of_many_elements_comes_whole() {
    const ELEMENTS: usize = 200_000;
    let (backends, ringfort) = pool(1, &["--l1", "off"]);
    let element = "x".repeat(60);
    let push = format!("RPUSH list{}\r\n", format!(" {element}").repeat(1000));
    let mut server = backends.0[0].connect();
    for count in (1000..=ELEMENTS).step_by(1000) {
        server.ask(&push, format!(":{count}\r\n"));
    }
    let list = format!(
        "*{ELEMENTS}\r\n{}",
        format!("$60\r\n{element}\r\n").repeat(ELEMENTS)
    );
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask(
        "LRANGE list 0 -1\r\nLLEN list\r\n",
        format!("{list}:{ELEMENTS}\r\n"),
    );
}

#[test]
fn what_several_servers_cannot_do_is_refused_by_name() {
    let (_backends, ringfort) = pool(3, &["--l1", "off"]);
    let mut wire = Wire::connect(ringfort.resp());
    for (request, command) in [
        (
            "RANDOMKEY",
            "RANDOMKEY is about the keys of all servers of the pool",
        ),
        (
            "scan 0",
            "SCAN is about the keys of all servers of the pool",
        ),
        (
            "KEYS *",
            "KEYS is about the keys of all servers of the pool",
        ),
        (
            "BLPOP k 0",
            "BLPOP may wait, which would hold up others on the same connection",
        ),
        (
            "PSUBSCRIBE c",
            "PSUBSCRIBE has no key that would choose a server of the pool",
        ),
        (
            "SINTER a b c d e f g h",
            "SINTER has keys on several servers of the pool",
        ),
        (
            "MSETNX a 1 b 1 c 1 d 1 e 1 f 1",
            "MSETNX has keys on several servers of the pool",
        ),
    ] {
        wire.ask(format!("{request}\r\n"), format!("-ERR {command}\r\n"));
    }
    wire.ask(
        "FROBNICATE k\r\n",
        "-ERR unknown command 'FROBNICATE', with args beginning with: 'k' \r\n",
    );
    wire.ask(
        "SET a 1\r\nRENAME a a\r\nSINTER none none\r\n",
        "+OK\r\n+OK\r\n*0\r\n",
    );
}

#[test]
fn one_server_knows_all_keys() {
    let (_backends, ringfort) = pool(1, &["--l1", "off"]);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask(
        "RANDOMKEY\r\nMSETNX a 1 b 2\r\nRENAME a c\r\n",
        "$-1\r\n:1\r\n+OK\r\n",
    );
    wire.ask(
        "KEYS c*\r\nSCAN 0 MATCH c COUNT 100\r\n",
        "*1\r\n$1\r\nc\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n",
    );
    wire.ask("LCS b c LEN\r\n", ":0\r\n");
}

#[test]
fn an_l1_shows_no_value_that_was_replaced_by_a_relayed_command() {
    let (_backends, ringfort) = pool(3, &["--l1", "60s"]);
    let mut wires = [(); 4].map(|()| Wire::connect(ringfort.resp()));
    wires[0].ask("SET s Hello\r\n", "+OK\r\n");
    wires
        .iter_mut()
        .for_each(|wire| wire.ask("GET s\r\n", "$5\r\nHello\r\n"));
    wires[1].ask("SETRANGE s 0 J\r\n", ":5\r\n");
    wires
        .iter_mut()
        .for_each(|wire| wire.ask("GET s\r\n", "$5\r\nJello\r\n"));
    wires[2].ask("SETBIT s 7 1\r\n", ":0\r\n");
    wires
        .iter_mut()
        .for_each(|wire| wire.ask("GET s\r\n", "$5\r\nKello\r\n"));
    wires[3].ask(
        "RENAME s s\r\n",
        "-ERR RENAME changes several keys at once, which is not possible with an L1\r\n",
    );
}

struct Backends(Vec<Backend>);

impl Backends {
    fn each_count(&self) -> Vec<usize> {
        let count = |backend: &Backend| {
            let mut wire = backend.connect();
            wire.send(b"DBSIZE\r\n");
            wire.line()
                .trim_start_matches(':')
                .parse()
                .expect("a count")
        };
        self.0.iter().map(count).collect()
    }
}

fn pool(count: usize, flags: &[&str]) -> (Backends, Ringfort) {
    let backends: Vec<_> = (0..count).map(|_| Backend::redis()).collect();
    let folder = ScratchFolder::new();
    let servers: String = backends
        .iter()
        .map(|one| format!("{} 1\n", one.address()))
        .collect();
    let file = folder.write("servers.txt", &servers).display().to_string();
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
    let flags = [&common[..], &["--servers", &file], flags].concat();
    (Backends(backends), Ringfort::start_exactly(&flags))
}
