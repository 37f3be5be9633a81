//! Replicas that fail, each in its own way.

use std::time::{Duration, Instant};

use super::support::gate::Fault;
use super::support::wait_for;
use super::support::wire::Wire;
use super::{KEY_COUNT, MASTER, Pool, bulk, get, info, kinds, replica_name};

/// Two replicas, each with values of its own, both read from.
fn two_replicas(flags: &[&str]) -> Pool {
    let flags = [&["--read-from", "prefer-replica"], flags].concat();
    let pool = Pool::start(2, &flags);
    pool.mark();
    pool.wait_for_readers(&["replica-0", "replica-1"]);
    pool
}

#[test]
fn a_replica_that_is_killed_costs_nobody_an_error() {
    let mut pool = two_replicas(&[]);
    let mut wire = pool.connect();
    let readers = pool.readers(&mut wire);
    // It is stopped with requests under way: it is frozen first.
    pool.replicas[0].pause();
    for key in 0..KEY_COUNT {
        wire.send(format!("GET k{key}\r\n").as_bytes());
    }
    std::thread::sleep(Duration::from_millis(100));
    pool.replicas[0].stop();
    for (key, reader) in readers.iter().enumerate() {
        let value = bulk(&mut wire).expect("a value");
        assert_eq!(value, "replica-1", "{key}: it was {reader}");
    }
    assert!(pool.stat("backend_replica_retries").expect("a number") > 0);
    assert_eq!(pool.stat("backend_failures"), Some(0));
    // Another one is nobody's replica, and has nothing: it is not read from before it follows.
    pool.replicas[0].restart();
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(kinds(&pool.readers(&mut wire)), ["replica-1"]);
    pool.follow(0);
    pool.wait_for_readers(&[MASTER, "replica-1"]);
}

#[test]
fn a_replica_that_stands_still_is_left_alone_until_it_moves() {
    let pool = two_replicas(&[]);
    pool.replicas[0].pause();
    let mut wire = pool.connect();
    // What was under way to it may take as long as a server may; then nobody is kept waiting.
    wait_for("others to be read from", || {
        let started = Instant::now();
        let all: Vec<_> = (0..KEY_COUNT).map(|key| try_get(&mut wire, key)).collect();
        let is_well = all
            .iter()
            .all(|value| value.as_deref() == Some("replica-1"));
        (is_well && started.elapsed() < Duration::from_secs(1)).then_some(())
    });
    pool.replicas[0].resume();
    pool.wait_for_readers(&["replica-0", "replica-1"]);
}

#[test]
fn a_replica_without_its_master_is_the_last_to_be_read() {
    let mut pool = two_replicas(&[]);
    pool.gates[0].shut();
    pool.wait_for_readers(&["replica-1"]);
    pool.gates[1].shut();
    pool.wait_for_readers(&[MASTER]);
    pool.master.stop();
    let mut wire = pool.connect();
    wait_for("old values to be better than none", || {
        let all: Vec<_> = (0..KEY_COUNT).map(|key| try_get(&mut wire, key)).collect();
        let is_replica = |value: &Option<String>| {
            value
                .as_ref()
                .is_some_and(|value| value.starts_with("replica"))
        };
        all.iter().all(is_replica).then_some(())
    });
    wire.send(b"SET k0 x\r\n");
    let line = wire.line();
    assert!(line.starts_with("-ERR backend"), "{line}");
    // And the other way round.
    pool.master.restart();
    pool.gates.iter().for_each(|gate| gate.open());
    pool.wait_until_following(0);
    pool.wait_until_following(1);
    pool.mark();
    pool.wait_for_readers(&["replica-0", "replica-1"]);
}

#[test]
fn a_replica_that_was_promoted_is_the_last_to_be_read() {
    let pool = two_replicas(&[]);
    let mut replica = pool.replicas[1].connect();
    replica.ask("REPLICAOF NO ONE\r\n", "+OK\r\n");
    pool.wait_for_readers(&["replica-0"]);
    pool.follow(1);
    pool.mark();
    pool.wait_for_readers(&["replica-0", "replica-1"]);
}

#[test]
fn what_a_replica_will_not_answer_is_asked_of_the_master() {
    let mut pool = Pool::without_ringfort(1, "--replica-serve-stale-data no");
    pool.mark();
    pool.start_ringfort(&["--read-from", "prefer-replica"]);
    pool.wait_for_readers(&["replica-0"]);
    let mut wire = pool.connect();
    pool.gates[0].shut();
    wait_for("the replica to say so", || {
        // Each of these is answered, by whomever.
        pool.readers(&mut wire);
        let mut replica = pool.replicas[0].connect();
        replica.send(b"GET k0\r\n");
        replica.line().starts_with("-MASTERDOWN").then_some(())
    });
    assert_eq!(kinds(&pool.readers(&mut wire)), [MASTER]);
    assert_eq!(pool.stat("backend_failures"), Some(0));
}

/// A replica that is given all data anew answers nothing while it reads it, on connections that stand.
#[test]
fn a_replica_that_loads_costs_nobody_an_error() {
    const VALUES: usize = 2_000;
    let pool = two_replicas(&[]);
    let mut replica = pool.replicas[0].connect();
    replica.ask(
        "CONFIG SET loading-process-events-interval-bytes 1024\r\n",
        "+OK\r\n",
    );
    replica.ask("CONFIG SET key-load-delay 500\r\n", "+OK\r\n");
    replica.ask("REPLICAOF NO ONE\r\n", "+OK\r\n");
    let mut master = pool.master.connect();
    for number in 0..VALUES {
        let value = "x".repeat(100);
        master.ask(format!("SET filler{number} {value}\r\n"), "+OK\r\n");
    }
    // Not the history that the master has, so all is sent.
    replica.ask("SET other history\r\n", "+OK\r\n");
    let port = pool.gates[0].address().port();
    replica.ask(format!("REPLICAOF 127.0.0.1 {port}\r\n"), "+OK\r\n");
    let mut wire = pool.connect();
    wait_for("the replica to load", || {
        pool.readers(&mut wire);
        info(&pool.replicas[0], "persistence")
            .contains("\nloading:1")
            .then_some(())
    });
    wait_for("the replica to have loaded", || {
        pool.readers(&mut wire);
        info(&pool.replicas[0], "persistence")
            .contains("\nloading:0")
            .then_some(())
    });
    pool.wait_until_following(0);
    pool.wait_for_readers(&[MASTER, "replica-1"]);
    assert_eq!(pool.stat("backend_failures"), Some(0));
}

#[test]
fn what_no_server_says_costs_nobody_an_error() {
    let pool = two_replicas(&[]);
    let mut wire = pool.connect();
    for fault in [
        Fault::Instead("HTTP/1.1 400 Bad Request\r\n\r\n"),
        Fault::Cut(3),
        Fault::Instead("$900000000000000000000\r\n"),
    ] {
        pool.doors[0].strike_times(fault, 3);
        wait_for("garbage to be heard", || {
            pool.readers(&mut wire);
            pool.doors[0].is_spent().then_some(())
        });
        pool.doors[0].heal();
        pool.wait_for_readers(&["replica-0", "replica-1"]);
    }
    assert_eq!(pool.stat("backend_failures"), Some(0));
}

#[test]
fn replicas_alone_are_not_stood_in_for() {
    let mut pool = Pool::without_ringfort(2, "");
    pool.mark();
    pool.start_ringfort(&["--read-from", "replica"]);
    let mut wire = pool.connect();
    let names = [replica_name(0), replica_name(1)];
    let readers = pool.readers(&mut wire);
    assert!(
        readers.iter().all(|reader| names.contains(reader)),
        "from the first read on"
    );
    pool.replicas[0].stop();
    wait_for("the other one to be read from", || {
        (kinds(&pool.readers(&mut wire)) == ["replica-1"]).then_some(())
    });
    pool.replicas[1].stop();
    wait_for("nobody to be left", || {
        wire.send(b"GET k0\r\n");
        let line = wire.line();
        if line.starts_with('$') {
            wire.line();
        }
        (line == "-ERR backend is unavailable").then_some(())
    });
    // The master is there for what changes, and for who has just changed it.
    wire.ask("SET k0 new\r\nGET k0\r\n", "+OK\r\n$3\r\nnew\r\n");
    assert_eq!(get(&mut pool.master.connect(), 0).as_deref(), Some("new"));
}

/// The value, or nothing if there is an error.
fn try_get(wire: &mut Wire, key: usize) -> Option<String> {
    wire.send(format!("GET k{key}\r\n").as_bytes());
    let line = wire.line();
    line.strip_prefix('$').map(|_| wire.line())
}
