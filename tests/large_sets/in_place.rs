//! Values that are received to where they will lie.

use std::time::{Duration, Instant};

use super::support::ringfort::Ringfort;
use super::support::wire::Wire;
use super::{expect_value, memcache_set, resp_set, settle, value};

/// Each kind of server that values come to differently.
fn servers() -> Vec<Ringfort> {
    let more: [&[&str]; 3] = [
        &["--shards", "1"],
        &["--shards", "2"],
        &["--shards", "1", "--eviction", "s3fifo"],
    ];
    more.map(|more| Ringfort::start(&[&["--memory", "128MiB"], more].concat()))
        .into()
}

/// A client that has sent a large value, and so may have the next one come where it will lie.
fn proven(ringfort: &Ringfort) -> Wire {
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask(memcache_set("first", &value(900_000, 0)), "STORED\r\n");
    wire
}

/// While a value comes in, its key is what it was, whatever that becomes; then it is the value.
#[test]
fn what_happens_meanwhile_happens_before() {
    const LEN: usize = 300_000;
    for ringfort in servers() {
        let mut other = Wire::connect(ringfort.memcache());
        for (round, meanwhile, reply) in [
            (1, "flush_all\r\n", "OK\r\n"),
            (2, "delete key\r\n", "DELETED\r\n"),
            (3, "set key 0 0 1\r\nv\r\n", "STORED\r\n"),
            (4, "touch key 100\r\n", "TOUCHED\r\n"),
            (5, "append key 0 0 1\r\nv\r\n", "STORED\r\n"),
        ] {
            let mut wire = proven(&ringfort);
            other.ask("set key 5 0 3\r\nold\r\n", "STORED\r\n");
            let value = value(LEN, round);
            let request = memcache_set("key", &value);
            let (start, rest) = request.split_at(LEN / 2);
            wire.send(start);
            settle();
            expect_value(&mut other, "key", b"old");
            other.ask(meanwhile, reply);
            wire.ask(rest, "STORED\r\n");
            expect_value(&mut other, "key", &value);
            other.ask("set key 0 0 1\r\nv\r\n", "STORED\r\n");
            other.ask("get key\r\n", "VALUE key 0 1\r\nv\r\nEND\r\n");
            // What is over already takes what is there along.
            let over = String::from_utf8(request).unwrap();
            wire.ask(over.replacen(" 0 ", " -1 ", 1), "STORED\r\n");
            other.ask("get key\r\n", "END\r\n");
        }
    }
}

/// A block that does not end where it should is refused as by memcached, and what stands behind it is read as it is
/// there: exactly the announced bytes were taken.
#[test]
fn a_block_with_another_end_is_refused() {
    for ringfort in servers() {
        let mut wire = proven(&ringfort);
        for len in 400_000..400_010 {
            let bad = value(len, 1);
            for (end, reply) in [("XY", ""), ("\rY", ""), ("X\n", ""), ("XYmn\r\n", "MN\r\n")] {
                let head = format!("set key 5 0 {len}\r\n");
                let request = [head.as_bytes(), &bad, end.as_bytes()].concat();
                let (start, rest) = request.split_at(200_000);
                wire.send(start);
                settle();
                wire.ask(rest, format!("CLIENT_ERROR bad data chunk\r\n{reply}"));
                wire.ask("get key\r\n", "END\r\n");
            }
            let head = format!("set key 5 0 {}\r\n", len - 1);
            let late = [head.as_bytes(), &bad, b"\r\n"].concat();
            wire.send(&late[..200_000]);
            settle();
            wire.ask(&late[200_000..], "CLIENT_ERROR bad data chunk\r\nERROR\r\n");
            // The end in pieces of its own.
            let whole = value(len, 2);
            let request = memcache_set("whole", &whole);
            let (start, end) = request.split_at(request.len() - 2);
            wire.send(start);
            settle();
            wire.send(&end[..1]);
            settle();
            wire.ask([&end[1..], b"mn\r\n"].concat(), "STORED\r\nMN\r\n");
            expect_value(&mut wire, "whole", &whole);
        }
        let large = value(1_100_000, 1);
        let too_large = [b"set key 0 0 1100000\r\n", &large[..], b"\r\nmn\r\n"].concat();
        wire.ask(
            too_large,
            "SERVER_ERROR object too large for cache\r\nMN\r\n",
        );
    }
}

/// What stands behind a value that came to its place is served behind it, be it large itself.
#[test]
fn what_stands_behind_is_served_behind() {
    for ringfort in servers() {
        let mut wire = Wire::connect(ringfort.resp());
        for round in 10..30 {
            let values = [500_000 + round, 700_000, 90_000].map(|len| value(len, round));
            let mut request = Vec::new();
            let mut reply = Vec::new();
            for (number, value) in values.iter().enumerate() {
                let key = format!("key-{}", (number + round) % 5);
                request.extend(resp_set(&key, value));
                request.extend(format!("STRLEN {key}\r\nGETRANGE {key} 0 1\r\n").as_bytes());
                let len = value.len();
                reply.extend(format!("+OK\r\n:{len}\r\n$2\r\n{round}\r\n").as_bytes());
            }
            wire.ask(&request, &reply);
        }
        // Redis does not look at what stands behind a body.
        let mut request = resp_set("key", &value(300_000, 1));
        let end = request.len() - 2;
        request[end..].copy_from_slice(b"XY");
        wire.ask([&request[..], b"PING\r\n"].concat(), "+OK\r\n+PONG\r\n");
        // In a transaction, and with an option.
        wire.ask("MULTI\r\n", "+OK\r\n");
        wire.ask(resp_set("key", &value(600_000, 2)), "+QUEUED\r\n");
        wire.ask("EXEC\r\n", "*1\r\n+OK\r\n");
        wire.ask("STRLEN key\r\n", ":600000\r\n");
        let mut request = resp_set("key", &value(600_000, 2));
        request[1] = b'4';
        wire.ask([&request[..], b"$2\r\nNX\r\n"].concat(), "$-1\r\n");
    }
}

/// What has come of such a value is the store's memory, and none of the connection's.
#[test]
fn what_comes_to_its_place_takes_no_other_memory() {
    let ringfort = Ringfort::start(&["--memory", "128MiB", "--shards", "1"]);
    let mut admin = Wire::connect(ringfort.resp());
    let memory = |admin: &mut Wire| {
        admin.send(b"CLIENT LIST\r\n");
        let len: usize = admin.line()[1..].trim().parse().unwrap();
        let list = String::from_utf8(admin.bytes(len + 2)).unwrap();
        let figures = list.split("tot-mem=").skip(1);
        let figures = figures.map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap());
        figures.sum::<usize>()
    };
    let mut wires = [
        Wire::connect(ringfort.memcache()),
        Wire::connect(ringfort.resp()),
    ];
    let value = value(600_000, 1);
    let requests = [memcache_set("key", &value), resp_set("key", &value)];
    let replies = ["STORED\r\n", "+OK\r\n"];
    for round in 0..3 {
        for ((wire, request), reply) in wires.iter_mut().zip(&requests).zip(replies) {
            wire.send(&request[..60_000]);
            std::thread::sleep(Duration::from_millis(50));
            let bytes = memory(&mut admin);
            // The first one comes to a buffer: nothing says that all of it will come.
            assert_eq!(bytes > 60_000, round == 0, "{bytes}");
            wire.ask(&request[60_000..], reply);
        }
    }
}

/// A pause that begins while a value comes in holds it back to its end.
#[test]
fn a_pause_in_between_holds_it_back() {
    let ringfort = Ringfort::start(&["--memory", "128MiB", "--shards", "1"]);
    let mut admin = Wire::connect(ringfort.resp());
    for round in 0..3 {
        let mut wire = proven(&ringfort);
        let value = value(300_000, round);
        let request = memcache_set("key", &value);
        wire.send(&request[..200_000]);
        settle();
        let start = Instant::now();
        admin.ask("CLIENT PAUSE 400 WRITE\r\n", "+OK\r\n");
        wire.ask(
            [&request[200_000..], b"mn\r\n"].concat(),
            "STORED\r\nMN\r\n",
        );
        assert!(start.elapsed() >= Duration::from_millis(300), "it waited");
        expect_value(&mut wire, "key", &value);
    }
}

/// Memory is written many times over while values come in slowly, and nobody ever sees one that is not whole. Who goes in
/// the middle leaves nothing behind.
#[test]
fn what_comes_slowly_comes_whole() {
    const SLOW: usize = 12;
    const PIECE: usize = 100_000;
    const LEN: usize = 8 * PIECE;
    for mut ringfort in servers() {
        let mut slow: Vec<_> = (0..SLOW).map(|_| proven(&ringfort)).collect();
        let mut requests: Vec<_> = (0..SLOW)
            .map(|number| memcache_set(&format!("slow-{number}"), &value(LEN, number)))
            .collect();
        let (mut writer, mut reader) = (proven(&ringfort), Wire::connect(ringfort.memcache()));
        let mut count = 0;
        let len_of = |count: usize| 20_000 + count * 7_919 % 900_000;
        let key_of = |count: usize| format!("key-{}", count % 300);
        for _ in 0..8 {
            for (wire, request) in slow.iter_mut().zip(&mut requests) {
                wire.send(&request[..PIECE]);
                request.drain(..PIECE);
            }
            let mut gone: Vec<_> = (0..3).map(|_| proven(&ringfort)).collect();
            let half = memcache_set("gone", &value(LEN, 0));
            gone.iter_mut().for_each(|wire| wire.send(&half[..LEN / 2]));
            for _ in 0..60 {
                count += 1;
                let value = value(len_of(count), count);
                writer.ask(memcache_set(&key_of(count), &value), "STORED\r\n");
            }
            reader.ask("get gone slow-0 slow-1 slow-5 slow-11\r\n", "END\r\n");
        }
        for (number, (wire, rest)) in slow.iter_mut().zip(&requests).enumerate() {
            wire.ask(rest, "STORED\r\n");
            let value = value(LEN, number);
            expect_value(&mut reader, &format!("slow-{number}"), &value);
        }
        expect_value(&mut reader, &key_of(count), &value(len_of(count), count));
        let rss_bytes = ringfort.process().rss_bytes();
        assert!(rss_bytes <= (128 << 20) * 21 / 20, "{rss_bytes} bytes");
    }
}
