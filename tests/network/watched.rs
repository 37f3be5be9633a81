//! Where no deadline of ringfort's finds out that the other side is gone, the kernel does: by keep-alive where nothing
//! is said, by what is not confirmed where something is.

use std::time::{Duration, Instant};

use crate::far::FarPool;
use crate::namespaces::Network;
use crate::support::gated::Speech;
use crate::support::wait_for;
use crate::support::wire::Wire;

/// What is said and not confirmed for so long breaks a connection. The first probe of one on which nothing is said
/// goes out after the same time, and Linux applies that limit to it, too, before it has sent three.
const SILENCE: Duration = Duration::from_secs(30);

/// For kernels that do send three, 5 seconds apart, and for a busy machine.
const ROOM: Duration = Duration::from_secs(25);

#[test]
fn the_kernel_finds_out_what_no_deadline_does() {
    Network::run(|network| {
        // So that it is not ringfort that gives up.
        let flags = ["--shards", "1", "--backend-timeout", "10m"];
        let pool = FarPool::start(network, Speech::RESP, 0, &flags);
        let mut waiting = pool.connect();
        let mut asking = pool.connect();
        asking.ask("SET key value\r\n", "+OK\r\n");
        // It waits on a connection of its own, for as long as it likes, and hears nothing until something comes.
        waiting.send(b"BLPOP list 0\r\n");
        let mut direct = pool.far.connect();
        wait_for("it to wait", || is_waiting(&mut direct).then_some(()));
        network.cut();
        std::thread::scope(|scope| {
            scope.spawn(|| hears_of_it(waiting, b""));
            scope.spawn(|| hears_of_it(asking, b"SET key other\r\n"));
        });
        network.heal();
        let mut wire = pool.connect();
        wait_for("the server to be heard again", || {
            wire.send(b"SET key value\r\n");
            (wire.line() == "+OK").then_some(())
        });
    });
}

/// Whether somebody waits for a list at the server.
fn is_waiting(direct: &mut Wire) -> bool {
    direct.send(b"CLIENT LIST\r\nECHO end\r\n");
    let mut is_waiting = false;
    loop {
        let line = direct.line();
        is_waiting |= line.contains("cmd=blpop");
        if line == "end" {
            return is_waiting;
        }
    }
}

/// Is told that the connection was lost, when that is known and not before.
fn hears_of_it(mut wire: Wire, request: &[u8]) {
    let start = Instant::now();
    wire.send(request);
    let heard = wire.some_within(SILENCE + ROOM);
    let took = start.elapsed();
    let expected = b"-ERR backend connection was lost\r\n".to_vec();
    assert_eq!(heard, Some(Some(expected)), "after {took:?}");
    // The silence may have begun a little before.
    assert!(took + Duration::from_secs(3) > SILENCE, "{took:?}");
}
