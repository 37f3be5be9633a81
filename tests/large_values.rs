//! The promise: a large value is sent from where it lies, and whoever reads it slowly gets it as it was when it was asked
//! for, whatever becomes of the key and its memory meanwhile; nobody is kept from writing by that for good.

mod support;

use support::binary::{self, packet};
use support::origin::{Answer, Origin};
use support::process::Signal;
use support::ringfort::Ringfort;
use support::wire::Wire;

const VALUE_BYTES: usize = 500_000;

/// A value that tells any place of it from any other, and from those of another version.
fn value(key: usize, version: usize) -> Vec<u8> {
    value_of(VALUE_BYTES, key, version)
}

fn value_of(bytes: usize, key: usize, version: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(bytes + 16);
    let mut place = 0;
    while value.len() < bytes {
        value.extend_from_slice(format!("{key}.{version}.{place} ").as_bytes());
        place += 1;
    }
    value.truncate(bytes);
    value
}

fn set(wire: &mut Wire, key: usize, version: usize) {
    let mut request = format!("set key-{key} 7 0 {VALUE_BYTES}\r\n").into_bytes();
    request.extend(value(key, version));
    request.extend(b"\r\n");
    wire.ask(request, "STORED\r\n");
}

fn expect_memcache(wire: &mut Wire, key: usize, version: usize) {
    let mut reply = format!("VALUE key-{key} 7 {VALUE_BYTES}\r\n").into_bytes();
    reply.extend(value(key, version));
    reply.extend(b"\r\nEND\r\n");
    wire.expect(&reply);
}

/// How often each of them asks: for more than the sockets between take, so that a send is stuck.
const ASKED: usize = 40;

/// Each of them asks for a value again and again and reads nothing. Then more than the whole memory is written, and
/// all keys anew, twice. Then they read: first what was there when they asked, and all of it whole.
#[test]
fn who_reads_slowly_gets_what_was_there() {
    const KEYS: usize = 8;
    let mut ringfort = Ringfort::start(&["--memory", "192MiB"]);
    let mut writer = Wire::connect(ringfort.memcache());
    (0..KEYS).for_each(|key| set(&mut writer, key, 0));
    let mut readers = Vec::new();
    for key in 0..KEYS {
        let mut memcache = Wire::connect(ringfort.memcache());
        memcache.send(format!("get key-{key}\r\n").repeat(ASKED).as_bytes());
        let mut resp = Wire::connect(ringfort.resp());
        let name = format!("key-{key}");
        let request = format!("*2\r\n$3\r\nGET\r\n${}\r\n{name}\r\n", name.len());
        resp.send(request.repeat(ASKED).as_bytes());
        // They have been served when their first bytes come.
        expect_start(&mut memcache, b"VALUE");
        expect_start(&mut resp, b"$");
        readers.push((memcache, resp));
    }
    for version in 1..=2 {
        (1_000..1_400).for_each(|key| set(&mut writer, key, version));
        (0..KEYS).for_each(|key| set(&mut writer, key, version));
    }
    for (key, (memcache, resp)) in readers.iter_mut().enumerate() {
        let memcache_head = format!("VALUE key-{key} 7 {VALUE_BYTES}\r\n");
        expect_versions(memcache, &memcache_head, key, "\r\nEND\r\n");
        expect_versions(resp, &format!("${VALUE_BYTES}\r\n"), key, "\r\n");
    }
    // What they held back is memory again.
    (2_000..2_400).for_each(|key| set(&mut writer, key, 0));
    let rss_bytes = ringfort.process().rss_bytes();
    let limit_bytes: u64 = 192 << 20;
    assert!(
        rss_bytes <= limit_bytes + limit_bytes / 20,
        "{rss_bytes} bytes resident"
    );
}

/// Reads the answers to all that was asked: first the oldest version, then any later ones, none before an older one,
/// and the newest in the end, as the sockets do not hold so many.
fn expect_versions(wire: &mut Wire, head: &str, key: usize, tail: &str) {
    let versions = [0, 1, 2].map(|version| value(key, version));
    let mut newest = 0;
    for number in 0..ASKED {
        wire.expect(head.as_bytes());
        let bytes = wire.bytes(VALUE_BYTES);
        let version = (newest..=2).find(|version| bytes == versions[*version]);
        newest = version.unwrap_or_else(|| panic!("key {key}, answer {number}: torn, or too old"));
        assert!(number > 0 || newest == 0, "key {key} as it became later");
        wire.expect(tail.as_bytes());
    }
    assert_eq!(newest, 2, "not all was served before it was read");
}

/// Waits for the first bytes of a reply and leaves them to be read.
fn expect_start(wire: &mut Wire, start: &[u8]) {
    let bytes = wire.bytes(start.len());
    assert_eq!(bytes, start);
    wire.unread(&bytes);
}

/// Clients that go away in the middle of a value leave nothing behind, and neither does the end of ringfort.
#[test]
fn who_goes_away_in_the_middle_leaves_nothing() {
    let ringfort = Ringfort::start(&["--memory", "128MiB"]);
    let mut writer = Wire::connect(ringfort.memcache());
    (0..8).for_each(|key| set(&mut writer, key, 0));
    for round in 1..=4 {
        let mut readers: Vec<_> = (0..16)
            .map(|_| Wire::connect(ringfort.memcache()))
            .collect();
        for (number, reader) in readers.iter_mut().enumerate() {
            reader.send(
                format!("get key-{}\r\n", number % 8)
                    .repeat(ASKED)
                    .as_bytes(),
            );
            expect_start(reader, b"VALUE");
        }
        drop(readers);
        // Every segment is written to several times over.
        (0..300).for_each(|key| set(&mut writer, key, round));
        writer.send(b"get key-299\r\n");
        expect_memcache(&mut writer, 299, round);
        (0..8).for_each(|key| set(&mut writer, key, round));
    }
    let mut reader = Wire::connect(ringfort.memcache());
    reader.send(b"get key-0\r\n");
    expect_start(&mut reader, b"VALUE");
    drop(reader);
    let (status, stderr) = ringfort.end(Signal::TERM);
    assert_eq!(status.code(), Some(0), "{stderr}");
}

fn expect_resp(wire: &mut Wire, key: usize, version: usize) {
    let mut reply = format!("${VALUE_BYTES}\r\n").into_bytes();
    reply.extend(value(key, version));
    reply.extend(b"\r\n");
    wire.expect(&reply);
}

/// Large and small ones, present and absent, with other requests between: replies come in their order.
#[test]
fn large_values_keep_their_place_among_replies() {
    let ringfort = Ringfort::embedded();
    let mut writer = Wire::connect(ringfort.memcache());
    (0..4).for_each(|key| set(&mut writer, key, 0));
    writer.ask("set small 0 0 1\r\nx\r\n", "STORED\r\n");
    let mut wire = Wire::connect(ringfort.memcache());
    wire.send(
        b"get key-0\r\nget small\r\nget key-1\r\nget key-2 small key-3\r\ngets none\r\nget key-3\r\nmn\r\n",
    );
    expect_memcache(&mut wire, 0, 0);
    wire.expect(b"VALUE small 0 1\r\nx\r\nEND\r\n");
    expect_memcache(&mut wire, 1, 0);
    for (key, small) in [(2, Some("small")), (3, None)] {
        let mut block = format!("VALUE key-{key} 7 {VALUE_BYTES}\r\n").into_bytes();
        block.extend(value(key, 0));
        block.extend(b"\r\n");
        wire.expect(&block);
        if let Some(small) = small {
            wire.expect(format!("VALUE {small} 0 1\r\nx\r\n").as_bytes());
        }
    }
    wire.expect(b"END\r\nEND\r\n");
    expect_memcache(&mut wire, 3, 0);
    wire.expect(b"MN\r\n");
    let mut resp = Wire::connect(ringfort.resp());
    resp.send(b"GET key-0\r\nCLIENT REPLY SKIP\r\nGET key-1\r\nGET small\r\nMULTI\r\nGET key-2\r\nEXEC\r\n");
    expect_resp(&mut resp, 0, 0);
    resp.expect(b"$1\r\nx\r\n+OK\r\n+QUEUED\r\n*1\r\n");
    expect_resp(&mut resp, 2, 0);
}

const MIB: usize = 1 << 20;

fn mib(key: usize) -> Vec<u8> {
    value_of(MIB, key, 0)
}

/// Expects lines, and for a number in their place the value of that key.
fn expect_all(wire: &mut Wire, expected: &[Result<usize, String>]) {
    for part in expected {
        match part {
            Ok(key) => wire.expect(&mib(*key)),
            Err(line) => wire.expect(line.as_bytes()),
        }
    }
}

/// Sends all requests at once, and then expects the answers to them.
fn converse(wire: &mut Wire, conversation: &[(&str, Vec<Result<usize, String>>)]) {
    let requests: String = conversation.iter().map(|(request, _)| *request).collect();
    wire.send(requests.as_bytes());
    for (request, expected) in conversation {
        println!("{request}");
        expect_all(wire, expected);
    }
}

fn line(line: &str) -> Result<usize, String> {
    Err(format!("{line}\r\n"))
}

fn block(name: &str, flags: u32, key: usize) -> [Result<usize, String>; 3] {
    [
        line(&format!("VALUE {name} {flags} {MIB}")),
        Ok(key),
        line(""),
    ]
}

/// The values of two keys by all that shows a value, in one pipeline, with small ones between; by the shard that has
/// them and by another.
#[test]
fn all_that_shows_a_large_value_shows_every_byte() {
    for shards in ["1", "2"] {
        let ringfort = Ringfort::start(&[
            "--shards",
            shards,
            "--memory",
            "256MiB",
            "--item-size-max",
            "2MiB",
        ]);
        let mut wire = Wire::connect(ringfort.memcache());
        for key in 0..2 {
            let request = format!("ms key-{key} {MIB} F7 E5\r\n");
            wire.send(request.as_bytes());
            wire.send(&mib(key));
            wire.ask("\r\n", "HD\r\n");
        }
        wire.ask("set small 0 0 1\r\nx\r\n", "STORED\r\n");
        let small = || line("VALUE small 0 1\r\nx");
        let [zero, one] = [0, 1].map(|key| move || block(&format!("key-{key}"), 7, key));
        let two_and_small = || [&zero()[..], &[small()], &one(), &[line("END")]].concat();
        let meta = |head: &str, key| vec![line(head), Ok(key), line("")];
        let conversation = [
            ("get key-0 small key-1\r\n", two_and_small()),
            ("gat 0 key-0 small key-1\r\n", two_and_small()),
            (
                "gats 0 key-1\r\n",
                vec![
                    line(&format!("VALUE key-1 7 {MIB} 5")),
                    Ok(1),
                    line("\r\nEND"),
                ],
            ),
            // Tells of it, changes it, and would make it.
            (
                "mg key-0 v k f\r\n",
                meta(&format!("VA {MIB} kkey-0 f7"), 0),
            ),
            ("mg key-1 v T0 s\r\n", meta(&format!("VA {MIB} s{MIB}"), 1)),
            ("mg key-0 v N9 c q\r\n", meta(&format!("VA {MIB} c5"), 0)),
            ("mg key-0 v C5 s\r\n", vec![line(&format!("HD s{MIB}"))]),
            ("mg key-0 s\r\n", vec![line(&format!("HD s{MIB}"))]),
            ("mg key-1 v\r\nmn\r\n", {
                let mut expected = meta(&format!("VA {MIB}"), 1);
                expected.push(line("MN"));
                expected
            }),
        ];
        converse(&mut wire, &conversation);
        let mut wire = Wire::connect(ringfort.memcache());
        let asked: &[(u8, usize, &[u8])] = &[
            (GET, 0, b""),
            (GETK, 1, b""),
            (GAT, 0, &[0; 4]),
            (GATK, 1, &[0; 4]),
        ];
        for (opcode, key, extras) in asked {
            wire.send(&packet(*opcode, format!("key-{key}").as_bytes(), extras));
        }
        for &(opcode, key, _) in asked {
            let reply = binary::reply(&mut wire);
            let name = match opcode {
                GETK | GATK => format!("key-{key}"),
                _ => String::new(),
            };
            assert_eq!((reply.opcode, reply.status, reply.cas), (opcode, 0, 5));
            assert_eq!((reply.extras, reply.key), (vec![0, 0, 0, 7], name.into()));
            assert!(reply.value == mib(key), "{opcode:#x} with {shards} shards");
        }
    }
}

const GET: u8 = 0x00;
const GETK: u8 = 0x0c;
const GAT: u8 = 0x1d;
const GATK: u8 = 0x23;

/// The same in a group: what was loaded, what is here, and what is here but comes behind what has to be loaded.
#[test]
fn members_of_a_group_show_every_byte() {
    let origin = Origin::start(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        match name.strip_prefix("key-").map(str::parse) {
            Some(Ok(key)) => Answer::value(mib(key)),
            _ => Answer::value("x"),
        }
    });
    let flag = origin.flag();
    let flags = ["--group", "g", "--origin", &flag, "--item-size-max", "2MiB"];
    let ringfort = Ringfort::start(&flags);
    let mut wire = Wire::connect(ringfort.memcache());
    let small = |name: &str| line(&format!("VALUE {name} 0 1\r\nx"));
    let [zero, one] = [0, 1].map(|key| move || block(&format!("key-{key}"), 0, key));
    let end = || vec![line("END")];
    // The answers are those of the first time, of the second, and behind one that is loaded.
    for cold in ["a", "a", "b"] {
        let all = [&[small(cold)], &zero()[..], &[small("c")], &one(), &end()].concat();
        let request = format!("get {cold} key-0 c key-1\r\n");
        converse(&mut wire, &[(&request, all)]);
    }
    let meta = vec![line(&format!("VA {MIB} s{MIB}")), Ok(1), line("")];
    let single = [&zero()[..], &end()].concat();
    converse(
        &mut wire,
        &[("get key-0\r\n", single), ("mg key-1 v s\r\n", meta)],
    );
    let mut wire = Wire::connect(ringfort.memcache());
    wire.send(&packet(GET, b"key-1", b""));
    assert!(binary::reply(&mut wire).value == mib(1));
    let mut wire = Wire::connect(ringfort.resp());
    let bulk = |key| [line(&format!("${MIB}")), Ok(key), line("")];
    let array = [&[line("*3")], &bulk(1)[..], &[line("$1\r\nx")], &bulk(0)].concat();
    converse(
        &mut wire,
        &[
            ("GET key-0\r\n", bulk(0).into()),
            ("MGET key-1 c key-0\r\n", array.clone()),
            ("MGET key-1 d key-0\r\n", array),
        ],
    );
}

/// More keys than are looked up ahead, with more in them than is sent at a time, and others that are not there.
#[test]
fn all_of_many_keys_come_in_order() {
    const KEYS: usize = 150;
    const BYTES: usize = 30_000;
    let is_there = |key: usize| key % 5 != 3;
    let ringfort = Ringfort::embedded();
    let mut memcache = Wire::connect(ringfort.memcache());
    for key in (0..KEYS).filter(|key| is_there(*key)) {
        memcache.send(format!("set key-{key} 0 0 {BYTES}\r\n").as_bytes());
        memcache.send(&value_of(BYTES, key, 0));
        memcache.ask("\r\n", "STORED\r\n");
    }
    let mut resp = Wire::connect(ringfort.resp());
    // Of a usual line, of one that is spelled otherwise, and of one that is longer.
    for (count, space) in [(60, " "), (60, "  "), (KEYS, " ")] {
        let names: Vec<String> = (0..count).map(|key| format!("key-{key}")).collect();
        let line = names.join(space);
        memcache.send(format!("get {line}\r\nget key-3 key-0\r\nmn\r\n").as_bytes());
        resp.send(format!("MGET {line}\r\nPING\r\n").as_bytes());
        resp.expect(format!("*{count}\r\n").as_bytes());
        for key in 0..count {
            let value = [&value_of(BYTES, key, 0)[..], b"\r\n"].concat();
            if is_there(key) {
                memcache.expect(format!("VALUE key-{key} 0 {BYTES}\r\n").as_bytes());
                memcache.expect(&value);
                resp.expect(format!("${BYTES}\r\n").as_bytes());
                resp.expect(&value);
            } else {
                resp.expect(b"$-1\r\n");
            }
        }
        memcache.expect(format!("END\r\nVALUE key-0 0 {BYTES}\r\n").as_bytes());
        memcache.expect(&value_of(BYTES, 0, 0));
        memcache.expect(b"\r\nEND\r\nMN\r\n");
        resp.expect(b"+PONG\r\n");
    }
}
