//! The promise: through a pool of memcached servers, memcache's meta commands are answered as by those servers, in
//! order, and the L1 never shows what they have overwritten.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};

use support::backends::Backend;
use support::ringfort::Ringfort;
use support::wire::Wire;

fn ringfort_before(backend: &Backend, flags: &[&str]) -> Ringfort {
    let address = backend.address().to_string();
    let mut args = vec![
        "--memcache",
        "127.0.0.1:0",
        "--shards",
        "2",
        "--memory",
        "64MiB",
    ];
    args.extend(["--pool", "memcache", "--server", &address]);
    args.extend(flags);
    Ringfort::start_exactly(&args)
}

/// What a server says to all of it, pipelined.
fn told(address: SocketAddr, conversation: &str) -> String {
    let mut wire = Wire::connect(address);
    wire.send(conversation.replace('\n', "\r\n").as_bytes());
    let mut lines = Vec::new();
    while lines.last().map(String::as_str) != Some("VERSION") {
        let line = wire.line();
        let is_last = line.starts_with("VERSION ");
        lines.push(if is_last { "VERSION".to_owned() } else { line });
    }
    lines.join("\n")
}

/// Each kind of reply, told and hidden; the same numbers on servers that heard nothing else.
const CONVERSATION: &str = "\
mg none
mg none q
mg none k O1
mn
ms a 5 T100 F7
hello
ms a 1 ME q
x
ms b 3 q
abc
mg a v f s k O2
mg a v q
mg b q s
get a b
md b q
md b q k
ma n N100
ma n q
ma n q v
ma n v D5
ma a q
md a I T50 q
mg a v
mg a q v
mg a T300 u s
ms a 1 C1 q
x
ms a 1 MR q O7
y
mg fill N30 v
mg fill N30 q
ms Zm9v 3 b k q
bar
mg Zm9v b k v
get foo
md Zm9v b k
me none
me Zm9v b
mg a !
mg a v v
md a q q
ms a 3 MX
abc
ms a 3 q
abcdef
ms a 70000 q
LARGE
mg a s
mg a v
incr n 1
mn
version
";

#[test]
fn a_pool_answers_as_its_server() {
    let conversation = CONVERSATION.replace("LARGE", &"x".repeat(70_000));
    let direct = Backend::still_memcached();
    let expected = told(direct.address(), &conversation);
    for l1 in ["off", "60s"] {
        let backend = Backend::still_memcached();
        let ringfort = ringfort_before(&backend, &["--l1", l1]);
        assert_eq!(
            told(ringfort.memcache(), &conversation),
            expected,
            "L1 {l1}"
        );
    }
}

#[test]
fn writes_drop_the_copy() {
    let backend = Backend::memcached();
    let ringfort = ringfort_before(&backend, &["--l1", "60s"]);
    let mut writer = Wire::connect(ringfort.memcache());
    // Enough connections that some are on either shard.
    let mut readers: Vec<_> = (0..8).map(|_| Wire::connect(ringfort.memcache())).collect();
    let mut all_see = |value: &str| {
        let reply = match value {
            "" => "END\r\n".to_owned(),
            value => format!("VALUE foo 0 {}\r\n{value}\r\nEND\r\n", value.len()),
        };
        for reader in &mut readers {
            reader.ask("get foo\r\n", &reply);
        }
    };
    let writes = [
        ("ms foo 3\r\none\r\n", "HD\r\n", "one"),
        ("ms Zm9v 3 b q\r\ntwo\r\nmn\r\n", "MN\r\n", "two"),
        ("ms foo 1 MA\r\n!\r\n", "HD\r\n", "two!"),
        ("ms foo 1\r\n5\r\n", "HD\r\n", "5"),
        ("ma foo q\r\nmn\r\n", "MN\r\n", "6"),
        ("ma Zm9v b v\r\n", "VA 1\r\n7\r\n", "7"),
        ("md foo q\r\nmn\r\n", "MN\r\n", ""),
        (
            "mg foo N30\r\nms foo 4\r\nback\r\n",
            "HD W\r\nHD\r\n",
            "back",
        ),
        ("mg foo T-1\r\n", "HD\r\n", ""),
    ];
    for (request, reply, value) in writes {
        writer.ask(request, reply);
        all_see(value);
        // Again, from the copies.
        all_see(value);
    }
    // Only the server knows that an item is stale.
    writer.ask("ms foo 1\r\nx\r\n", "HD\r\n");
    all_see("x");
    writer.ask("md foo I\r\n", "HD\r\n");
    all_see("x");
    writer.ask("mg foo v\r\n", "VA 1 X W\r\nx\r\n");
    writer.ask("mg foo v\r\n", "VA 1 Z X\r\nx\r\n");
}

#[test]
fn invalidating_writes_are_answered_at_once() {
    let backend = Backend::memcached();
    let ringfort = ringfort_before(&backend, &["--write", "invalidate"]);
    let mut wire = Wire::connect(ringfort.memcache());
    let mut server = backend.connect();
    server.ask("set key 0 0 3\r\nold\r\n", "STORED\r\n");
    wire.ask("ms key 3 k O1 T5\r\nnew\r\n", "HD kkey O1\r\n");
    wire.ask("ms key 3 q\r\nnew\r\nmn\r\n", "MN\r\n");
    // What is deleted is gone before a request behind it gets there.
    wire.ask("mg key\r\n", "EN\r\n");
    server.ask("set key 0 0 3\r\nold\r\n", "STORED\r\n");
    wire.ask("md key k\r\n", "HD kkey\r\n");
    wire.ask("md none q\r\nmn\r\n", "MN\r\n");
    wire.ask("mg key\r\n", "EN\r\n");
    // What compares, joins or tells of the new item goes to the server.
    wire.ask("ms key 1 C5\r\nx\r\n", "NF\r\n");
    wire.ask("ms key 1 MA\r\nx\r\n", "NS\r\n");
    server.ask("set key 0 0 3\r\nold\r\n", "STORED\r\n");
    wire.ask("ms key 1 MA\r\nx\r\n", "HD\r\n");
    wire.ask("md key I\r\nmg key v\r\n", "HD\r\nVA 4 X W\r\noldx\r\n");
}

#[test]
fn a_server_that_is_down_is_an_error_even_to_the_quiet() {
    let mut backend = Backend::memcached();
    let ringfort = ringfort_before(&backend, &[]);
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask("mg key v\r\n", "EN\r\n");
    backend.stop();
    for request in ["mg key q\r\n", "md key q\r\n", "ms key 1 q\r\nx\r\n"] {
        wire.send(request.as_bytes());
        let line = wire.line();
        assert!(
            line.starts_with("SERVER_ERROR backend"),
            "{request}: {line}"
        );
    }
    wire.ask("mn\r\n", "MN\r\n");
}

/// A data block must not become requests of a server that does not know what it belongs to.
#[test]
fn a_server_without_meta_commands_is_sent_no_data() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let heard = std::thread::spawn(move || hear_as_memcached_1_4(&listener));
    let ringfort = Ringfort::start_exactly(&[
        "--memcache",
        "127.0.0.1:0",
        "--shards",
        "1",
        "--memory",
        "64MiB",
        "--pool",
        "memcache",
        "--server",
        &address,
    ]);
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask("mg key v\r\n", "ERROR\r\n");
    for flags in ["", " q"] {
        wire.ask(
            format!("ms key 9{flags}\r\nflush_all\r\n"),
            "SERVER_ERROR backend does not know memcache's meta commands\r\n",
        );
    }
    wire.ask("mg key q\r\n", "ERROR\r\n");
    drop(ringfort);
    let lines = heard.join().expect("the server ends with its connection");
    assert_eq!(lines, ["version", "mg key v", "mg key"]);
}

/// Answers the first connection's requests until it ends; all that it asked.
fn hear_as_memcached_1_4(listener: &TcpListener) -> Vec<String> {
    let (stream, _) = listener.accept().expect("a connection");
    let mut replies = stream.try_clone().expect("a second handle");
    let mut lines = Vec::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let reply: &[u8] = match line.as_str() {
            "version" => b"VERSION 1.4.39\r\n",
            _ => b"ERROR\r\n",
        };
        replies.write_all(reply).expect("a reply");
        lines.push(line);
    }
    lines
}
