//! The promise: a transaction is one step to everybody, on any shard and in either protocol, and its limits cost
//! only who reaches them.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use support::backends::Backend;
use support::ringfort::Ringfort;
use support::wire::Wire;

/// Enough that no shard is left without one, as the kernel spreads them.
const CONNECTION_COUNT: usize = 16;

/// Together on all accounts.
const TOTAL: i64 = 600;

#[test]
fn whoever_looks_sees_all_of_a_transfer_or_nothing() {
    const ROUNDS: usize = 150;
    let ringfort = Ringfort::embedded();
    let (resp, memcache) = (ringfort.resp(), ringfort.memcache());
    Wire::connect(resp).ask("MSET a 100 b 200 c 300\r\n", "+OK\r\n");
    let movers = AtomicUsize::new(CONNECTION_COUNT);
    std::thread::scope(|scope| {
        for number in 0..CONNECTION_COUNT {
            let movers = &movers;
            scope.spawn(move || {
                let mut wire = Wire::connect(resp);
                let (from, to) = (number % 3, (number + 1) % 3);
                let names = ["a", "b", "c"];
                for round in 0..ROUNDS {
                    let amount = (number + round) % 20;
                    let request = format!(
                        "MULTI\r\nDECRBY {} {amount}\r\nINCRBY {} {amount}\r\nMGET a b c\r\nEXEC\r\n",
                        names[from], names[to]
                    );
                    wire.send(request.as_bytes());
                    wire.expect(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n");
                    wire.line();
                    wire.line();
                    assert_eq!(sum_of_bulks(&mut wire), TOTAL);
                }
                movers.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for number in 0..CONNECTION_COUNT {
            let movers = &movers;
            scope.spawn(move || {
                let address = if number % 2 == 0 { resp } else { memcache };
                let mut wire = Wire::connect(address);
                while movers.load(Ordering::Relaxed) > 0 {
                    let sum = if number % 2 == 0 {
                        wire.send(b"MULTI\r\nMGET a b c\r\nEXEC\r\n");
                        wire.expect(b"+OK\r\n+QUEUED\r\n*1\r\n");
                        sum_of_bulks(&mut wire)
                    } else {
                        wire.send(b"get a b c\r\n");
                        sum_of_values(&mut wire)
                    };
                    assert_eq!(sum, TOTAL);
                }
            });
        }
    });
}

/// Of `*3` and three bulks.
fn sum_of_bulks(wire: &mut Wire) -> i64 {
    assert_eq!(wire.line(), "*3");
    let number = |wire: &mut Wire| -> i64 {
        wire.line();
        wire.line().parse().expect("a number")
    };
    number(wire) + number(wire) + number(wire)
}

/// Of what a memcache retrieval of three keys gives.
fn sum_of_values(wire: &mut Wire) -> i64 {
    let mut sum = 0;
    while wire.line() != "END" {
        sum += wire.line().parse::<i64>().expect("a number");
    }
    sum
}

#[test]
fn a_transaction_that_is_too_large_is_refused_whole() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("MULTI\r\nSET began 1\r\n", "+OK\r\n+QUEUED\r\n");
    let value = "v".repeat(1_000_000);
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n{value}\r\n");
    let queued = (64 << 20) / set.len();
    for _ in 0..queued {
        wire.ask(&set, "+QUEUED\r\n");
    }
    wire.ask(&set, "-ERR the transaction is too large\r\n");
    wire.ask(
        "EXEC\r\nEXISTS began k\r\n",
        "-EXECABORT Transaction discarded because of previous errors.\r\n:0\r\n",
    );
}

/// Its client gets nothing more, but it is executed to its end, and nobody waits for the client.
#[test]
fn a_reply_that_nobody_reads_does_not_stop_the_world() {
    let ringfort = Ringfort::embedded();
    let mut other = Wire::connect(ringfort.resp());
    let value = "v".repeat(1_000_000);
    other.ask(
        format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n{value}\r\n"),
        "+OK\r\n",
    );
    let mut wire = Wire::connect(ringfort.resp());
    let gets = "GET k\r\n".repeat(100);
    wire.send(format!("MULTI\r\nINCR began\r\n{gets}INCR ended\r\nEXEC\r\n").as_bytes());
    while !other_sees(&mut other, "ended", 1) {}
    assert!(other_sees(&mut other, "began", 1));
    let cut = wire.rest();
    assert!(cut.len() < 100_000_000, "all of it was sent");
}

fn other_sees(wire: &mut Wire, key: &str, number: i64) -> bool {
    wire.send(format!("INCRBY {key} 0\r\n").as_bytes());
    wire.line() == format!(":{number}")
}

#[test]
fn more_watched_keys_than_a_connection_may_have_are_refused() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.resp());
    for number in 0..4_096 {
        wire.ask(format!("WATCH k{number} k0\r\n"), "+OK\r\n");
    }
    wire.ask("WATCH more\r\n", "-ERR too many keys are watched\r\n");
    wire.ask(
        "SET k4095 1\r\nMULTI\r\nEXEC\r\nWATCH more\r\n",
        "+OK\r\n+OK\r\n*-1\r\n+OK\r\n",
    );
}

#[test]
fn a_pool_of_memcached_servers_has_no_transactions_and_says_so() {
    let memcached = Backend::memcached();
    let ringfort = Ringfort::start_exactly(&[
        "--memcache",
        "off",
        "--resp",
        "127.0.0.1:0",
        "--pool",
        "memcache",
        "--server",
        &memcached.address().to_string(),
    ]);
    let mut wire = Wire::connect(ringfort.resp());
    let refused = "-ERR transactions are not possible over memcache servers\r\n";
    wire.ask("MULTI\r\n", refused);
    wire.ask("WATCH k\r\n", refused);
    wire.ask("EXEC\r\n", "-ERR EXEC without MULTI\r\n");
    wire.ask("DISCARD\r\n", "-ERR DISCARD without MULTI\r\n");
    wire.ask(
        "UNWATCH\r\nSET k 1\r\nGET k\r\n",
        "+OK\r\n+OK\r\n$1\r\n1\r\n",
    );
}
