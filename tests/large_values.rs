//! The promise: a large value is sent from where it lies, and whoever reads it slowly gets it as it was when it was asked
//! for, whatever becomes of the key and its memory meanwhile; nobody is kept from writing by that for good.

mod support;

use support::process::Signal;
use support::ringfort::Ringfort;
use support::wire::Wire;

const VALUE_BYTES: usize = 500_000;

/// A value that tells any place of it from any other, and from those of another version.
fn value(key: usize, version: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(VALUE_BYTES + 16);
    let mut place = 0;
    while value.len() < VALUE_BYTES {
        value.extend_from_slice(format!("{key}.{version}.{place} ").as_bytes());
        place += 1;
    }
    value.truncate(VALUE_BYTES);
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
