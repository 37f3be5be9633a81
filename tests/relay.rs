//! The promise: in front of Redis servers every command about one key is served, whatever the key's value is, and
//! what several servers cannot do together is refused by name while the connection stays.

mod support;

use support::backends::Backend;
use support::ringfort::{Ringfort, redis_pool};
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
            "EVAL return 0",
            "EVAL has no key that would choose a server of the pool",
        ),
        (
            "replicaof no one",
            "REPLICAOF is what servers say to each other",
        ),
        (
            "SCRIPT KILL",
            "SCRIPT is about one server: ask that, not the pool",
        ),
        (
            "SINTER a b c d e f g h i j k l m n o p q r s t u v w x y z",
            "SINTER has keys on several servers of the pool",
        ),
        (
            "MSETNX a 1 b 1 c 1 d 1 e 1 f 1 g 1 h 1 i 1 j 1 k 1 l 1 m 1 n 1 o 1 p 1 q 1 r 1 s 1",
            "MSETNX has keys on several servers of the pool",
        ),
    ] {
        wire.ask(format!("{request}\r\n"), format!("-ERR {command}\r\n"));
    }
    let counted = wire.info("stats", "total_error_replies");
    wire.ask(
        "FROBNICATE k\r\n",
        "-ERR unknown command 'FROBNICATE', with args beginning with: 'k' \r\n",
    );
    wire.ask(
        "HSET k\r\n",
        "-ERR wrong number of arguments for 'hset' command\r\n",
    );
    assert_eq!(wire.info("stats", "total_error_replies"), counted + 2);
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
}

/// Keys of several shards, one server.
#[test]
fn an_l1_shows_no_value_that_a_command_about_several_keys_replaced() {
    const KEYS: usize = 8;
    let (_backends, ringfort) = pool(1, &["--l1", "60s"]);
    let mut wires = [(); 4].map(|()| Wire::connect(ringfort.resp()));
    let read_all = |wires: &mut [Wire], value: &str| {
        for wire in wires {
            for key in 0..KEYS {
                let reply = format!("${}\r\n{value}\r\n", value.len());
                wire.ask(format!("GET key-{key}\r\n"), reply);
            }
        }
    };
    let all =
        |value: &str| -> String { (0..KEYS).map(|key| format!(" key-{key} {value}")).collect() };
    wires[0].ask(format!("MSET{}\r\n", all("old")), "+OK\r\n");
    read_all(&mut wires, "old");
    let keys: String = (0..KEYS).map(|key| format!(" key-{key}")).collect();
    let script = "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1]) end return #KEYS";
    wires[1].ask(
        format!("EVAL \"{script}\" {KEYS}{keys} newer\r\n"),
        format!(":{KEYS}\r\n"),
    );
    read_all(&mut wires, "newer");
    // What is pipelined behind sees it, and what came before is done before.
    wires[2].ask(
        format!(
            "SET key-0 first\r\nRENAME key-0 key-1\r\nGET key-1\r\nGET key-0\r\nMSET{}\r\n",
            all("last")
        ),
        "+OK\r\n+OK\r\n$5\r\nfirst\r\n$-1\r\n+OK\r\n",
    );
    read_all(&mut wires, "last");
    wires[3].ask(
        "DEL key-1\r\nRENAMENX key-0 key-1\r\nCOPY key-1 key-0\r\nEXISTS key-0 key-1\r\n",
        ":1\r\n:1\r\n:1\r\n:2\r\n",
    );
    read_all(&mut wires, "last");
}

#[test]
fn scripts_and_functions_are_known_to_every_server() {
    const DIGEST: &str = "4e6d8fc8bb01276962cce5371fa795a7763657ae";
    let (backends, ringfort) = pool(3, &["--l1", "off"]);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("SCRIPT EXISTS a b\r\n", "*2\r\n:0\r\n:0\r\n");
    let script = "SCRIPT LOAD \"return redis.call('get', KEYS[1])\"\r\n";
    let mut direct = backends.0[0].connect();
    direct.ask(
        "EVAL \"return redis.call('get', KEYS[1])\" 1 x\r\n",
        "$-1\r\n",
    );
    // One server has it, and not the others.
    wire.ask(
        format!("SCRIPT EXISTS {DIGEST} b\r\n"),
        "*2\r\n:0\r\n:0\r\n",
    );
    wire.ask(script, format!("$40\r\n{DIGEST}\r\n"));
    wire.ask(
        format!("SCRIPT EXISTS b {DIGEST}\r\n"),
        "*2\r\n:0\r\n:1\r\n",
    );
    for number in 0..30 {
        wire.ask(
            format!("SET key-{number} {number:03}\r\nEVALSHA {DIGEST} 1 key-{number}\r\n"),
            format!("+OK\r\n$3\r\n{number:03}\r\n"),
        );
    }
    wire.ask("SCRIPT FLUSH\r\n", "+OK\r\n");
    wire.ask(
        format!("EVALSHA {DIGEST} 1 key-1\r\n"),
        "-NOSCRIPT No matching script. Please use EVAL.\r\n",
    );
    wire.ask(
        "SCRIPT FLUSH SOON\r\n",
        "-ERR SCRIPT FLUSH only support SYNC|ASYNC option\r\n",
    );
    let library = "#!lua name=lib\nredis.register_function('f', function(keys) return redis.call('get', keys[1]) end)";
    let load = format!(
        "*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n${}\r\n{library}\r\n",
        library.len()
    );
    wire.ask(load, "$3\r\nlib\r\n");
    for number in 0..30 {
        wire.ask(
            format!("FCALL f 1 key-{number}\r\n"),
            format!("$3\r\n{number:03}\r\n"),
        );
    }
    wire.ask("FUNCTION DELETE lib\r\n", "+OK\r\n");
}

/// Whatever a server has keys for is served, or refused with a reason.
#[test]
fn every_command_of_redis_is_known() {
    let (backends, ringfort) = pool(2, &["--l1", "off"]);
    let mut wire = Wire::connect(ringfort.resp());
    let names = command_names(&backends.0[0]);
    assert!(names.len() > 200, "{names:?}");
    for name in names {
        // Too few arguments for any that has some. These change what the connection is, or end it.
        let is_deadly = [
            "quit", "shutdown", "monitor", "reset", "sync", "psync", "multi",
        ]
        .contains(&&*name);
        if is_deadly {
            continue;
        }
        wire.send(format!("{name}\r\nECHO end-of-{name}\r\n").as_bytes());
        let line = wire.line();
        assert!(!line.starts_with("-ERR unknown command"), "{name}: {line}");
        let mut last = line;
        while last != format!("end-of-{name}") {
            last = wire.line();
        }
    }
}

/// The names that `COMMAND LIST` gives.
fn command_names(backend: &Backend) -> Vec<String> {
    let mut wire = backend.connect();
    wire.send(b"COMMAND LIST\r\n");
    let count: usize = wire
        .line()
        .trim_start_matches('*')
        .parse()
        .expect("a count");
    let name = |_| {
        wire.line();
        wire.line()
    };
    let names = (0..count).map(name);
    // A container's subcommands are no commands.
    names.filter(|name| !name.contains('|')).collect()
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
    let (backends, ringfort) = redis_pool(count, flags);
    (Backends(backends), ringfort)
}
