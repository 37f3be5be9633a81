//! The promise: whatever a downstream sends, or does not send, or does not read, it harms nobody but itself.

use std::net::SocketAddr;

mod support;

use support::process::Signal;
use support::ringfort::Ringfort;
use support::wire::Wire;

const MIB: usize = 1024 * 1024;

#[test]
fn a_memcache_value_over_the_limit_is_swallowed_and_refused() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.memcache());
    for value_bytes in [MIB + 1, 3 * MIB, 40 * MIB] {
        wire.send(format!("set big 0 0 {value_bytes}\r\n").as_bytes());
        wire.send(&vec![b'x'; value_bytes]);
        wire.ask(
            "\r\nget big\r\n",
            "SERVER_ERROR object too large for cache\r\nEND\r\n",
        );
    }
}

/// As Redis does at `proto-max-bulk-len`: the length alone is the offence, so it closes before the value comes.
#[test]
fn a_resp_bulk_over_the_limit_closes_with_a_reason() {
    let ringfort = Ringfort::embedded();
    let limit = MIB.to_string();
    Wire::connect(ringfort.resp()).ask(
        "CONFIG GET proto-max-bulk-len\r\n",
        format!("*2\r\n$18\r\nproto-max-bulk-len\r\n$7\r\n{limit}\r\n"),
    );
    for value_bytes in [MIB + 1, 3 * MIB, 40 * MIB] {
        let mut wire = Wire::connect(ringfort.resp());
        wire.send(format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${value_bytes}\r\n").as_bytes());
        wire.expect(b"-ERR Protocol error: invalid bulk length\r\n");
        wire.expect_close();
        // Who sends on regardless may see a reset instead of the reason, never a store.
        let mut wire = Wire::connect(ringfort.resp());
        wire.try_send(format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${value_bytes}\r\n").as_bytes());
        wire.try_send(&vec![b'x'; value_bytes]);
        wire.rest();
    }
    Wire::connect(ringfort.resp()).ask("EXISTS big\r\n", ":0\r\n");
}

/// A value within the limit for bulks may still be too large as an item: with its key, and 59 bytes for a header as
/// memcached has it.
#[test]
fn a_value_that_is_too_large_with_its_key_is_refused() {
    const HEADER_BYTES: usize = 59;
    let ringfort = Ringfort::embedded();
    let largest = MIB - HEADER_BYTES - "key".len();
    for (value_bytes, resp, memcache) in [
        (largest, "+OK", "STORED"),
        (
            largest + 1,
            "-ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            "SERVER_ERROR object too large for cache",
        ),
        (
            MIB,
            "-ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            "SERVER_ERROR object too large for cache",
        ),
    ] {
        let value = vec![b'v'; value_bytes];
        let found = i64::from(value_bytes == largest);
        let mut wire = Wire::connect(ringfort.resp());
        wire.send(format!("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n${value_bytes}\r\n").as_bytes());
        wire.send(&value);
        wire.ask("\r\nEXISTS key\r\n", format!("{resp}\r\n:{found}\r\n"));
        let mut wire = Wire::connect(ringfort.memcache());
        wire.ask("set key 0 0 3\r\nold\r\n", "STORED\r\n");
        wire.send(format!("set key 0 0 {value_bytes}\r\n").as_bytes());
        wire.send(&value);
        wire.ask("\r\nmn\r\n", format!("{memcache}\r\nMN\r\n"));
        Wire::connect(ringfort.resp()).ask("EXISTS key\r\n", format!(":{found}\r\n"));
    }
}

/// A million bulks of a MiB are within every single limit, and a TiB together.
#[test]
fn a_resp_request_without_end_closes() {
    let mut ringfort = Ringfort::embedded();
    let before_bytes = ringfort.process().rss_bytes();
    let mut wire = Wire::connect(ringfort.resp());
    wire.try_send(b"*1048576\r\n$4\r\nMSET\r\n");
    let mut bulk = b"$3\r\nkey\r\n$1000000\r\n".to_vec();
    bulk.resize(bulk.len() + 1_000_000, b'v');
    bulk.extend_from_slice(b"\r\n");
    let sent = (0..1000).take_while(|_| wire.try_send(&bulk)).count();
    assert!(sent < 200, "{sent} MB of one request were taken");
    Wire::connect(ringfort.resp()).ask("EXISTS key\r\n", ":0\r\n");
    let grown_bytes = ringfort.process().rss_bytes().saturating_sub(before_bytes);
    assert!(grown_bytes < 32 * MIB as u64, "grew by {grown_bytes} bytes");
    let peer = wire.local_address();
    let (status, told) = ringfort.end(Signal::TERM);
    assert!(status.success(), "{told}");
    let lines: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("too long"))
        .collect();
    let [line] = lines[..] else {
        panic!("one line about it: {told}");
    };
    for part in [&format!("{peer}"), "67108864", "WARN"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

/// The largest that must work, so that the limit is where it is said to be.
#[test]
fn a_value_just_under_the_limit_is_stored() {
    let ringfort = Ringfort::embedded();
    // Entry, key and header count towards memcached's limit; half a KiB is more than they need.
    let value = vec![b'v'; MIB - 512];
    let mut wire = Wire::connect(ringfort.memcache());
    wire.send(format!("set large 0 0 {}\r\n", value.len()).as_bytes());
    wire.send(&value);
    wire.ask(
        "\r\nget large\r\n",
        format!("STORED\r\nVALUE large 0 {}\r\n", value.len()),
    );
    wire.expect(&value);
    wire.expect(b"\r\nEND\r\n");
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("GET large\r\n", format!("${}\r\n", value.len()));
    wire.expect(&value);
}

#[test]
fn absurd_memcache_lengths_are_refused_and_the_connection_stays() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.memcache());
    for length in [
        "-1",
        "-2147483648",
        "2147483647",
        "4294967299",
        "99999999999",
        "1e3",
        "0x10",
        "٣",
    ] {
        wire.ask(
            format!("set key 0 0 {length}\r\nmn\r\n"),
            "CLIENT_ERROR bad command line format\r\nMN\r\n",
        );
    }
}

#[test]
fn absurd_resp_lengths_close_the_connection_with_a_reason() {
    let ringfort = Ringfort::embedded();
    let cases = [
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$536870913\r\n", "invalid bulk length"),
        ("*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        ("*2147483648\r\n", "invalid multibulk length"),
        ("*99999999999999999999\r\n", "invalid multibulk length"),
        ("*1\r\n:1\r\n", "expected '$', got ':'"),
        ("GET \"unbalanced\r\n", "unbalanced quotes in request"),
    ];
    for (request, reason) in cases {
        let mut wire = Wire::connect(ringfort.resp());
        wire.ask(request, format!("-ERR Protocol error: {reason}\r\n"));
        wire.expect_close();
    }
}

/// An announced length reserves nothing: ten thousand words and half a gigabyte are only announced here.
#[test]
fn announced_lengths_cost_no_memory() {
    let mut ringfort = Ringfort::embedded();
    let before_bytes = ringfort.process().rss_bytes();
    let mut wires = Vec::new();
    for _ in 0..100 {
        let mut wire = Wire::connect(ringfort.resp());
        wire.send(b"*1048576\r\n$536870912\r\nx");
        wires.push(wire);
        let mut wire = Wire::connect(ringfort.memcache());
        wire.send(b"set key 0 0 1000000\r\nx");
        wires.push(wire);
    }
    others_are_served(&ringfort);
    let grown_bytes = ringfort.process().rss_bytes().saturating_sub(before_bytes);
    // 64 KiB a connection for its buffers is plenty; a megabyte each would be 200.
    assert!(grown_bytes < 32 * MIB as u64, "grew by {grown_bytes} bytes");
}

#[test]
fn a_block_without_its_end_is_refused() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.memcache());
    wire.ask(
        "set key 0 0 3\r\nabcdef\r\n",
        "CLIENT_ERROR bad data chunk\r\n",
    );
    // What is left of the block is a line of its own.
    assert!(wire.line().contains("ERROR"));
    wire.ask("get key\r\n", "END\r\n");
}

#[test]
fn a_memcache_line_without_end_closes() {
    let ringfort = Ringfort::embedded();
    for first in ["set ", "gat 0 ", "x"] {
        let mut wire = Wire::connect(ringfort.memcache());
        wire.try_send(first.as_bytes());
        wire.try_send(&[b'x'; 70_000]);
        wire.expect_close();
    }
    // A get may be long, not endless.
    let mut wire = Wire::connect(ringfort.memcache());
    wire.try_send(b"get ");
    while wire.try_send(&[b'x'; 64 * 1024]) {}
    others_are_served(&ringfort);
}

#[test]
fn binary_junk_is_answered_or_closed_never_stored() {
    let ringfort = Ringfort::embedded();
    // A fixed xorshift: the same junk in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..200 {
        let junk: Vec<u8> = (0..1024)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect();
        for address in [ringfort.memcache(), ringfort.resp()] {
            let mut wire = Wire::connect(address).reset_on_close();
            wire.try_send(&junk);
            wire.finish_sending();
            wire.rest();
        }
    }
    Wire::connect(ringfort.resp()).ask("DBSIZE\r\n", ":0\r\n");
    others_are_served(&ringfort);
}

#[test]
fn half_a_request_and_a_close_leave_nothing() {
    let ringfort = Ringfort::embedded();
    for (address, whole) in [
        (ringfort.memcache(), "set half 0 0 4\r\nhalf\r\n"),
        (
            ringfort.resp(),
            "*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$4\r\nhalf\r\n",
        ),
    ] {
        for cut in 0..whole.len() {
            let mut wire = Wire::connect(address);
            wire.send(&whole.as_bytes()[..cut]);
            wire.finish_sending();
            wire.expect_close();
        }
    }
    Wire::connect(ringfort.memcache()).ask("get half\r\n", "END\r\n");
    Wire::connect(ringfort.resp()).ask("GET half\r\n", "$-1\r\n");
}

#[test]
fn a_thousand_connections_come_and_go() {
    let mut ringfort = Ringfort::embedded();
    for _ in 0..2 {
        for address in [ringfort.memcache(), ringfort.resp()] {
            let mut wires: Vec<_> = (0..500).map(|_| Wire::connect(address)).collect();
            for wire in wires.iter_mut().step_by(3) {
                wire.send(b"get ");
            }
            // Some say goodbye, some are cut off.
            for (index, wire) in wires.into_iter().enumerate() {
                drop(if index % 2 == 0 {
                    wire.reset_on_close()
                } else {
                    wire
                });
            }
        }
    }
    others_are_served(&ringfort);
    let pid = ringfort.process().pid();
    support::wait_for("the connections to be given back", || {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        (open < 100).then_some(())
    });
}

#[test]
fn a_downstream_that_never_reads_is_alone_with_it() {
    for is_resp in [false, true] {
        let mut ringfort = Ringfort::embedded();
        let value = vec![b'v'; 100_000];
        let mut writer = Wire::connect(ringfort.memcache());
        writer.send(format!("set value 0 0 {}\r\n", value.len()).as_bytes());
        writer.send(&value);
        writer.ask("\r\n", "STORED\r\n");
        let before_bytes = ringfort.process().rss_bytes();

        let address = if is_resp {
            ringfort.resp()
        } else {
            ringfort.memcache()
        };
        let mut deaf = Wire::connect(address);
        // A thousand of them are 100 MB. It stops taking requests, or closes: both are fine.
        let requests = b"get value\r\n".repeat(1000);
        let mut sent = 0;
        while sent < requests.len() {
            match deaf.send_available(&requests[sent..]) {
                Some(0) | None => break,
                Some(count) => sent += count,
            }
        }
        for _ in 0..100 {
            others_are_served(&ringfort);
        }
        let grown_bytes = ringfort.process().rss_bytes().saturating_sub(before_bytes);
        assert!(grown_bytes < 32 * MIB as u64, "grew by {grown_bytes} bytes");
    }
}

/// As above, but it reads in the end: then it gets what it asked for.
#[test]
fn a_downstream_that_reads_late_gets_everything_in_order() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.memcache());
    const REPLIES: usize = 200;
    let value = vec![b'v'; 20_000];
    wire.send(b"set value 0 0 20000\r\n");
    wire.send(&value);
    wire.ask("\r\nset n 0 0 1\r\n0\r\n", "STORED\r\nSTORED\r\n");
    let mut requests = Vec::new();
    for number in 0..REPLIES {
        requests.extend_from_slice(format!("get value none-{number}\r\nincr n 1\r\n").as_bytes());
    }
    wire.send(&requests);
    others_are_served(&ringfort);
    for number in 0..REPLIES {
        wire.expect(b"VALUE value 0 20000\r\n");
        wire.expect(&value);
        wire.expect(format!("\r\nEND\r\n{}\r\n", number + 1).as_bytes());
    }
}

#[test]
fn connections_beyond_the_maximum_are_told_and_closed() {
    const CONNECTIONS_MAX: usize = 20;
    let ringfort = Ringfort::start(&["--connections-max", "20"]);
    for (address, greeting, ready, refusal) in [
        (
            ringfort.memcache(),
            "mn\r\n",
            "MN\r\n",
            "ERROR Too many open connections\r\n",
        ),
        (
            ringfort.resp(),
            "PING\r\n",
            "+PONG\r\n",
            "-ERR max number of clients reached\r\n",
        ),
    ] {
        let mut served = Vec::new();
        let mut refused = 0;
        // Each shard may round the limit in its own favour; twice the number cannot all be served.
        for _ in 0..2 * CONNECTIONS_MAX {
            let mut wire = Wire::connect(address);
            wire.try_send(greeting.as_bytes());
            let first = String::from_utf8_lossy(&wire.bytes(1)).into_owned();
            let rest = if first == ready[..1] { ready } else { refusal };
            wire.expect(&rest.as_bytes()[1..]);
            if rest == refusal {
                wire.expect_close();
                refused += 1;
            } else {
                served.push(wire);
            }
        }
        assert!(
            served.len() <= CONNECTIONS_MAX + 2,
            "{} served",
            served.len()
        );
        assert!(
            served.len() >= CONNECTIONS_MAX / 2,
            "{} served",
            served.len()
        );
        assert_eq!(served.len() + refused, 2 * CONNECTIONS_MAX);
        served.iter_mut().for_each(|wire| wire.ask(greeting, ready));
        drop(served);
        // Their places become free.
        support::wait_for("a place to become free", || {
            let mut wire = Wire::connect(address);
            wire.try_send(greeting.as_bytes());
            (wire.bytes(1) == ready.as_bytes()[..1]).then_some(())
        });
    }
}

/// Both front ends answer on several connections, so on every shard.
fn others_are_served(ringfort: &Ringfort) {
    let ask = |address: SocketAddr, request: &str, reply: &str| {
        (0..4).for_each(|_| Wire::connect(address).reset_on_close().ask(request, reply));
    };
    ask(
        ringfort.memcache(),
        "set other 0 0 1\r\no\r\nget other\r\ndelete other noreply\r\nmn\r\n",
        "STORED\r\nVALUE other 0 1\r\no\r\nEND\r\nMN\r\n",
    );
    ask(ringfort.resp(), "PING\r\n", "+PONG\r\n");
}
