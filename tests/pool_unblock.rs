//! The promise: CLIENT UNBLOCK ends the wait of a client at a server of the pool as it does at a Redis server, whichever
//! shards the two clients are on, and whoever comes just then: nothing is taken from a list that nobody gets, and
//! nobody is woken but who was meant.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::backends::Backend;
use support::ringfort::{Ringfort, redis_pool};
use support::wire::Wire;
use support::{over_when_dropped, wait_for};

fn pool(l1: &str) -> (Vec<Backend>, Ringfort) {
    redis_pool(1, &["--l1", l1])
}

fn id_of(wire: &mut Wire) -> u64 {
    wire.send(b"CLIENT ID\r\n");
    wire.line()[1..].parse().expect("a number")
}

/// Until so many clients wait at the server.
fn wait_for_waiting(server: &Backend, count: usize) {
    let mut direct = server.connect();
    wait_for("clients to wait at the server", || {
        direct.send(b"INFO clients\r\n");
        let head = direct.line();
        let bytes = direct.bytes(head[1..].parse::<usize>().expect("a length") + 2);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let line = format!("blocked_clients:{count}\r\n");
        text.contains(&line).then_some(())
    });
}

/// Ends the wait of a client that its server knows of. Ringfort may hear of the connection's number there a moment
/// later than others see the client wait, and finds nobody until then.
fn unblock(asking: &mut Wire, id: u64, reason: &str) {
    wait_for("the wait to be ended", || {
        asking.send(format!("CLIENT UNBLOCK {id}{reason}\r\n").as_bytes());
        (asking.line() == ":1").then_some(())
    });
}

#[test]
fn a_wait_ends_as_if_its_time_were_over_or_with_an_error() {
    const NOTHING: &str = "*-1\r\n";
    const ERROR: &str = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
    for l1 in ["off", "60s"] {
        let (servers, ringfort) = pool(l1);
        let mut asking: Vec<Wire> = (0..6).map(|_| Wire::connect(ringfort.resp())).collect();
        let mut waiting = Wire::connect(ringfort.resp());
        let id = id_of(&mut waiting);
        for request in [
            "BLPOP list 0",
            "BLMOVE list other LEFT LEFT 0",
            "BZPOPMIN set 0",
            "XREAD BLOCK 0 STREAMS stream $",
        ] {
            for (reason, reply) in [("", NOTHING), (" TIMEOUT", NOTHING), (" error", ERROR)] {
                // From either shard.
                for asking in &mut asking {
                    waiting.send(format!("{request}\r\nPING\r\n").as_bytes());
                    wait_for_waiting(&servers[0], 1);
                    unblock(asking, id, reason);
                    waiting.expect(reply.as_bytes());
                    waiting.expect(b"+PONG\r\n");
                    // It does not wait any more.
                    asking.ask(format!("CLIENT UNBLOCK {id}{reason}\r\n"), ":0\r\n");
                }
            }
        }
        // What is pushed from here on is for nobody who waited before.
        asking[0].ask("RPUSH list x\r\nLLEN list\r\n", ":1\r\n:1\r\n");
    }
}

#[test]
fn a_resp3_client_gets_its_null() {
    let (servers, ringfort) = pool("off");
    let mut waiting = Wire::connect(ringfort.resp());
    waiting.send(b"HELLO 3\r\nECHO end\r\n");
    while waiting.line() != "end" {}
    let id = id_of(&mut waiting);
    waiting.send(b"BLPOP list 0\r\n");
    wait_for_waiting(&servers[0], 1);
    let mut asking = Wire::connect(ringfort.resp());
    unblock(&mut asking, id, "");
    waiting.expect(b"_\r\n");
}

#[test]
fn who_does_not_wait_is_not_found() {
    let (mut servers, ringfort) = pool("off");
    let mut idle = Wire::connect(ringfort.resp());
    let mut asking = Wire::connect(ringfort.resp());
    for id in [0, -1, i64::MAX, id_of(&mut idle) as i64] {
        asking.ask(format!("CLIENT UNBLOCK {id}\r\n"), ":0\r\n");
    }
    let own = id_of(&mut asking);
    asking.ask(
        format!("CLIENT UNBLOCK {own}\r\nPING\r\n"),
        ":0\r\n+PONG\r\n",
    );
    // Who waits is told apart in the list, as at Redis.
    let flags = |asking: &mut Wire, id: u64| {
        asking.send(format!("CLIENT LIST ID {id}\r\n").as_bytes());
        let head = asking.line();
        let bytes = asking.bytes(head[1..].parse::<usize>().expect("a length") + 2);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let flags = text
            .split(' ')
            .find_map(|field| field.strip_prefix("flags="));
        flags.expect("flags").to_owned()
    };
    let id = id_of(&mut idle);
    assert_eq!(flags(&mut asking, id), "N");
    idle.send(b"BLPOP list 0\r\n");
    wait_for_waiting(&servers[0], 1);
    assert_eq!(flags(&mut asking, id), "b");
    // A server that is stopped ends nobody's wait; who asks is not kept waiting for ever.
    servers[0].pause();
    asking.ask(format!("CLIENT UNBLOCK {id}\r\n"), ":0\r\n");
    servers[0].stop();
    idle.expect(b"-ERR backend connection was lost\r\n");
    asking.ask(format!("CLIENT UNBLOCK {id}\r\n"), ":0\r\n");
}

/// A server whose user may not say so.
#[test]
fn a_server_that_does_not_obey_ends_no_wait() {
    let server = Backend::redis_with("--user default on nopass ~* &* +@all -client|id");
    let address = server.address().to_string();
    let flags = [
        "--resp",
        "127.0.0.1:0",
        "--pool",
        "resp",
        "--server",
        &address,
    ];
    let ringfort = Ringfort::start_exactly(&flags);
    let mut waiting = Wire::connect(ringfort.resp());
    let id = id_of(&mut waiting);
    waiting.send(b"BLPOP list 0\r\n");
    wait_for_waiting(&server, 1);
    let mut asking = Wire::connect(ringfort.resp());
    asking.ask(format!("CLIENT UNBLOCK {id}\r\n"), ":0\r\n");
    asking.ask("RPUSH list x\r\n", ":1\r\n");
    waiting.expect(b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n");
}

/// Elements are pushed while waits are ended: each is got once, and each wait that was ended is one client's that was
/// meant.
#[test]
fn no_element_is_lost_and_nobody_else_is_woken() {
    const WAITING: usize = 6;
    const ELEMENTS: usize = 1_500;
    const STOP: &str = "stop";
    let (_servers, ringfort) = pool("off");
    let mut waiting: Vec<Wire> = (0..WAITING)
        .map(|_| Wire::connect(ringfort.resp()))
        .collect();
    let ids: Vec<u64> = waiting.iter_mut().map(id_of).collect();
    let is_over = AtomicBool::new(false);
    let mut pushing = Wire::connect(ringfort.resp());
    let mut asking = Wire::connect(ringfort.resp());
    std::thread::scope(|scope| {
        let waiting: Vec<_> = waiting
            .into_iter()
            .map(|wire| scope.spawn(|| take_until(wire, STOP)))
            .collect();
        let asking = scope.spawn(|| {
            let mut ended = HashMap::new();
            while !is_over.load(Ordering::Relaxed) {
                for id in &ids {
                    asking.send(format!("CLIENT UNBLOCK {id}\r\n").as_bytes());
                    let count: usize = asking.line()[1..].parse().expect("a number");
                    *ended.entry(*id).or_insert(0) += count;
                }
            }
            ended
        });
        let over = over_when_dropped(&is_over);
        for number in 0..ELEMENTS {
            pushing.send(format!("RPUSH list {number}\r\n").as_bytes());
            pushing.line();
            if number % 3 == 0 {
                std::thread::sleep(Duration::from_micros(300));
            }
        }
        wait_for("all to be taken", || {
            pushing.send(b"LLEN list\r\n");
            (pushing.line() == ":0").then_some(())
        });
        drop(over);
        let ended = asking.join().expect("who ends waits");
        pushing.send(format!("RPUSH list{}\r\n", format!(" {STOP}").repeat(WAITING)).as_bytes());
        pushing.line();
        let mut taken = Vec::new();
        for (waiting, id) in waiting.into_iter().zip(&ids) {
            let (elements, nothing_count) = waiting.join().expect("who waits");
            assert_eq!(nothing_count, ended[id], "client {id}");
            taken.extend(elements);
        }
        assert!(ended.values().sum::<usize>() > 100, "{ended:?}");
        taken.sort_unstable();
        assert_eq!(taken, (0..ELEMENTS).collect::<Vec<_>>());
    });
}

/// Takes elements until one says that it is the last; those, and how often there was nothing.
fn take_until(mut wire: Wire, stop: &str) -> (Vec<usize>, usize) {
    let mut taken = Vec::new();
    let mut nothing_count = 0;
    loop {
        wire.send(b"BLPOP list 0\r\n");
        match &wire.line()[..] {
            "*-1" => nothing_count += 1,
            line => {
                assert_eq!(line, "*2");
                wire.expect(b"$4\r\nlist\r\n");
                wire.line();
                let element = wire.line();
                if element == stop {
                    return (taken, nothing_count);
                }
                taken.push(element.parse().expect("a number"));
            }
        }
    }
}
