//! Replies that are ready wait for those that other shards have to give, but not for long.

use ringfort::config::Protocol;

use crate::embedded::PATIENCE_MS;
use crate::sim::redis::request;
use crate::sim::{Fleet, Setup, listener};

/// Lets one shard do what it can, and nobody else.
fn turn_alone(fleet: &mut Fleet, shard: usize) {
    fleet.world.step();
    while fleet.world.is_ready(shard) {
        fleet.turn(shard);
        fleet.world.step();
    }
}

/// The owner of the keys behind it is kept from its core.
#[test]
fn a_reply_that_is_ready_waits_a_millisecond_for_other_shards() {
    let mut fleet = Fleet::new(1, &Setup::embedded(2));
    let client = fleet.world.connect(0, listener(Protocol::Resp));
    let mut requests = request(&[b"PING"]);
    for number in 0..8 {
        let key = format!("key-{number}");
        requests.extend(request(&[b"SET", key.as_bytes(), b"1"]));
    }
    fleet.world.send(client, &requests);
    turn_alone(&mut fleet, 0);
    assert_eq!(
        fleet.world.take_received(client),
        b"",
        "keys of both shards are among them"
    );
    fleet.world.advance(1);
    turn_alone(&mut fleet, 0);
    let received = fleet.world.take_received(client);
    assert!(
        received.starts_with(b"+PONG\r\n"),
        "{}",
        received.escape_ascii()
    );
    assert!(received.len() < 7 + 8 * 5, "not all of it is known yet");
    let mut left = 7 + 8 * 5 - received.len();
    let is_answered = fleet.run_until(PATIENCE_MS, |fleet| {
        left -= fleet.world.take_received(client).len();
        left == 0
    });
    assert!(is_answered);
    fleet.world.close(client);
    fleet.check_end();
}
