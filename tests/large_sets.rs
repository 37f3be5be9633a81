//! The promise: a large value that comes in is stored as it was sent, however it is cut and whatever comes behind it;
//! one that does not come whole is not, and takes no more memory than what came of it.

#[path = "large_sets/in_place.rs"]
mod in_place;
mod support;

use std::time::{Duration, Instant};

use support::process::Signal;
use support::ringfort::Ringfort;
use support::wire::Wire;

/// Bytes that tell any place from any other, and one version from another.
fn value(len: usize, version: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(len + 16);
    while value.len() < len {
        let place = value.len();
        value.extend_from_slice(format!("{version}.{place} ").as_bytes());
    }
    value.truncate(len);
    value
}

fn memcache_set(key: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("set {key} 5 0 {}\r\n", value.len());
    [head.as_bytes(), value, b"\r\n"].concat()
}

fn resp_set(key: &str, value: &[u8]) -> Vec<u8> {
    let (key_bytes, value_bytes) = (key.len(), value.len());
    let head = format!("*3\r\n$3\r\nSET\r\n${key_bytes}\r\n{key}\r\n${value_bytes}\r\n");
    [head.as_bytes(), value, b"\r\n"].concat()
}

fn expect_value(wire: &mut Wire, key: &str, value: &[u8]) {
    wire.send(format!("get {key}\r\n").as_bytes());
    let head = format!("VALUE {key} 5 {}\r\n", value.len());
    wire.expect(&[head.as_bytes(), value, b"\r\nEND\r\n"].concat());
}

/// Waits until what was sent has been received, as far as anything shows.
fn settle() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Cut anywhere near its head, where shared buffers end, and near its end; by clients that send their first large
/// value, and by those that have sent some.
#[test]
fn a_value_is_stored_whole_wherever_it_is_cut() {
    const LEN: usize = 100_000;
    let ringfort = Ringfort::embedded();
    let mut reader = Wire::connect(ringfort.memcache());
    let mut used = Wire::connect(ringfort.memcache());
    let mut used_resp = Wire::connect(ringfort.resp());
    let request_bytes = memcache_set("key", &value(LEN, 0)).len();
    let near = |place: usize| place.saturating_sub(3)..=place + 3;
    let cuts = (1..30)
        .chain(near(8 * 1024))
        .chain(near(64 * 1024))
        .chain(request_bytes - 6..request_bytes);
    for (version, cut) in cuts.enumerate() {
        let value = value(LEN, version);
        let mut fresh = Wire::connect(ringfort.memcache());
        for wire in [&mut fresh, &mut used] {
            let request = memcache_set("key", &value);
            wire.send(&request[..cut]);
            settle();
            wire.ask(&request[cut..], "STORED\r\n");
            expect_value(&mut reader, "key", &value);
        }
        let mut fresh = Wire::connect(ringfort.resp());
        for wire in [&mut fresh, &mut used_resp] {
            let request = resp_set("key", &value);
            wire.send(&request[..cut]);
            settle();
            wire.ask(&request[cut..], "+OK\r\n");
            wire.send(b"GET key\r\n");
            let reply = [format!("${LEN}\r\n").as_bytes(), &value, b"\r\n"].concat();
            wire.expect(&reply);
        }
    }
    // In many pieces.
    let value = value(300_000, 1);
    let request = memcache_set("key", &value);
    for piece in request.chunks(7_001) {
        used.send(piece);
        settle();
    }
    used.expect(b"STORED\r\n");
    expect_value(&mut reader, "key", &value);
}

/// What stands behind a large value is served behind it, be it large itself.
#[test]
fn what_comes_behind_is_served_in_its_order() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.memcache());
    for round in 0..6 {
        let values = [40_000, 700_000, 30_000, 1_000_000].map(|len| value(len, round));
        let mut request = Vec::new();
        for (number, value) in values.iter().enumerate() {
            request.extend(memcache_set(&format!("key-{number}"), value));
            request.extend(format!("set small-{number} 0 0 1\r\n{round}\r\n").as_bytes());
        }
        request.extend(b"set refused 0 0 200000\r\n");
        request.extend(value(200_000, round));
        request.extend(b"..mn\r\nget small-3 small-0\r\n");
        wire.send(&request);
        (0..2 * values.len()).for_each(|_| wire.expect(b"STORED\r\n"));
        wire.expect(b"CLIENT_ERROR bad data chunk\r\nMN\r\n");
        for number in [3, 0] {
            wire.expect(format!("VALUE small-{number} 0 1\r\n{round}\r\n").as_bytes());
        }
        wire.expect(b"END\r\n");
        for (number, value) in values.iter().enumerate() {
            expect_value(&mut wire, &format!("key-{number}"), value);
        }
        wire.ask("get refused\r\n", "END\r\n");
    }
    let mut resp = Wire::connect(ringfort.resp());
    let values = [500_000, 1_000, 600_000].map(|len| value(len, 7));
    let [first, second, third] = values.each_ref().map(|value| {
        let head = format!("${}\r\n", value.len());
        [head.as_bytes(), value, b"\r\n"].concat()
    });
    for _ in 0..3 {
        resp.send(
            &[
                b"*5\r\n$4\r\nMSET\r\n$1\r\na\r\n",
                &first[..],
                b"$1\r\nb\r\n",
                &third,
            ]
            .concat(),
        );
        resp.send(&resp_set("c", &values[1]));
        resp.send(b"MGET a c b\r\n");
        resp.expect(b"+OK\r\n+OK\r\n*3\r\n");
        resp.expect(&[&first[..], &second, &third].concat());
    }
}

/// More connections at a time than there are shared buffers for: some run out of them, in the middle of a value.
#[test]
fn many_at_once_keep_apart() {
    const CLIENTS: usize = 60;
    let ringfort = Ringfort::start(&["--memory", "256MiB", "--shards", "1"]);
    let address = ringfort.memcache();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let mut wire = Wire::connect(address);
                let key = format!("key-{client}");
                for round in 0..6 {
                    let value = value(300_000, client * 10 + round);
                    wire.ask(memcache_set(&key, &value), "STORED\r\n");
                    expect_value(&mut wire, &key, &value);
                }
            });
        }
    });
}

/// Clients that go away in the middle, in any way, leave neither a value nor memory behind; nor does the end of
/// ringfort wait for those that have not finished.
#[test]
fn who_goes_away_in_the_middle_stores_nothing() {
    let mut ringfort = Ringfort::start(&["--memory", "64MiB"]);
    let mut reader = Wire::connect(ringfort.memcache());
    let mut admin = Wire::connect(ringfort.resp());
    let kept = value(200_000, 0);
    reader.ask(memcache_set("key", &kept), "STORED\r\n");
    let request = memcache_set("key", &value(900_000, 1));
    for round in 0..40 {
        let cut = [100, 8_000, 60_000, 500_000, request.len() - 1][round % 5];
        let connect = || Wire::connect(ringfort.memcache());
        let (mut closes, mut finishes) = (connect(), connect());
        let (mut breaks, mut killed) = (connect().reset_on_close(), Wire::connect(ringfort.resp()));
        for wire in [&mut closes, &mut finishes, &mut breaks] {
            wire.send(&request[..cut]);
        }
        killed.send(b"CLIENT ID\r\n");
        let id = killed.line().split_off(1);
        killed.send(&resp_set("key", &value(900_000, 1))[..cut]);
        settle();
        finishes.finish_sending();
        finishes.expect_close();
        admin.ask(format!("CLIENT KILL ID {}\r\n", id.trim()), ":1\r\n");
        killed.expect_close();
        drop((closes, breaks));
        expect_value(&mut reader, "key", &kept);
    }
    let rss_bytes = ringfort.process().rss_bytes();
    let limit_bytes: u64 = 64 << 20;
    assert!(
        rss_bytes <= limit_bytes + limit_bytes / 20,
        "{rss_bytes} bytes resident"
    );
    let mut unfinished = Wire::connect(ringfort.memcache());
    unfinished.send(&request[..600_000]);
    settle();
    let start = Instant::now();
    let (status, stderr) = ringfort.end(Signal::TERM);
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(start.elapsed() < Duration::from_secs(5), "it waited");
}

/// Who announces much and sends some of it holds no more memory than a few times what was sent.
#[test]
fn what_is_announced_takes_no_memory() {
    const CLIENTS: usize = 200;
    const SENT: usize = 40_000;
    let mut ringfort = Ringfort::start(&["--memory", "64MiB"]);
    let request = memcache_set("key", &value(1_000_000, 0));
    let mut wires: Vec<_> = (0..CLIENTS)
        .map(|_| Wire::connect(ringfort.memcache()))
        .collect();
    // They have shown that they send what they announce, too.
    wires
        .iter_mut()
        .for_each(|wire| wire.ask(&request, "STORED\r\n"));
    settle();
    let before = ringfort.process().rss_bytes();
    wires
        .iter_mut()
        .for_each(|wire| wire.send(&request[..SENT]));
    std::thread::sleep(Duration::from_millis(100));
    let grown = ringfort.process().rss_bytes().saturating_sub(before);
    let most = (CLIENTS * 2 * SENT) as u64 + (4 << 20);
    assert!(
        grown <= most,
        "{grown} bytes more for {CLIENTS} clients that sent {SENT} each"
    );
    // Their input shows in the list of clients.
    let mut resp = Wire::connect(ringfort.resp());
    resp.send(&resp_set("key", &value(1_000_000, 0))[..SENT]);
    settle();
    let mut admin = Wire::connect(ringfort.resp());
    admin.send(b"CLIENT LIST\r\n");
    let len: usize = admin.line()[1..].trim().parse().unwrap();
    let list = String::from_utf8(admin.bytes(len + 2)).unwrap();
    let inputs = list.split("qbuf=").skip(1);
    let input_bytes = inputs.map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert!(input_bytes.clone().any(|bytes| bytes > 4_000), "{list}");
}

/// Large values are received a few at a time; those that do not come to their end keep no other waiting.
#[test]
fn who_stops_in_the_middle_holds_nobody_up() {
    const STUCK: usize = 30;
    let ringfort = Ringfort::start(&["--memory", "128MiB", "--shards", "1"]);
    let value = value(900_000, 0);
    let request = memcache_set("key", &value);
    let connect = |_| Wire::connect(ringfort.memcache());
    let mut stuck: Vec<_> = (0..STUCK).map(connect).collect();
    stuck
        .iter_mut()
        .for_each(|wire| wire.send(&request[..100_000]));
    settle();
    let start = Instant::now();
    let mut wires: Vec<_> = (0..20).map(connect).collect();
    for wire in &mut wires {
        wire.ask(&request, "STORED\r\n");
        expect_value(wire, "key", &value);
    }
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    // Nor do they wait themselves, once they go on.
    for wire in &mut stuck {
        wire.ask(&request[100_000..], "STORED\r\n");
    }
    // Those who go while they wait are forgotten.
    stuck
        .iter_mut()
        .for_each(|wire| wire.send(&request[..100_000]));
    drop(stuck);
    wires[0].ask(&request, "STORED\r\n");
}

/// A client that sends a value slowly is not idle, however little of it is told to anybody; one that has stopped in the
/// middle is.
#[test]
fn who_sends_slowly_is_not_idle() {
    let ringfort = Ringfort::embedded();
    let mut admin = Wire::connect(ringfort.resp());
    admin.ask("CONFIG SET timeout 2\r\n", "+OK\r\n");
    let value = value(400_000, 0);
    let request = memcache_set("key", &value);
    let (mut slow, mut stopped) = (
        Wire::connect(ringfort.memcache()),
        Wire::connect(ringfort.memcache()),
    );
    stopped.send(&request[..100_000]);
    for piece in request.chunks(50_000) {
        slow.send(piece);
        std::thread::sleep(Duration::from_millis(800));
        admin.ask("PING\r\n", "+PONG\r\n");
    }
    slow.expect(b"STORED\r\n");
    expect_value(&mut slow, "key", &value);
    stopped.expect_close();
}
