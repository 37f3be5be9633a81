//! As many loads as a shard may ask for at a time.

use super::{
    group,
    support::{origin::Origin, wait_for, wire::Wire},
};

/// What one shard may have unanswered.
const TASKS_MAX: usize = 4096;

/// Requests of a connection, which it may have waiting.
const DEPTH: usize = 1000;

const BUSY: &str = "-ERR too many loads are waiting";

#[test]
fn a_shard_that_waits_for_too_many_refuses_more_and_counts_them() {
    const CLIENTS: usize = 5;
    let origin = Origin::echo();
    // The queue has room for all that a shard may ask for.
    let flags = [
        "--shards",
        "1",
        "--loads-max",
        "16",
        "--load-timeout",
        "10m",
    ];
    let ringfort = group(&origin, &flags);
    origin.hold();
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| Wire::connect(ringfort.resp()))
        .collect();
    for (client, wire) in clients.iter_mut().enumerate() {
        let keys = (0..DEPTH).map(|key| format!("GET {client}-{key}\r\n"));
        wire.send(keys.collect::<String>().as_bytes());
    }
    let mut admin = Wire::connect(ringfort.memcache());
    wait_for("all to have asked", || {
        (admin.stat("groups", "Gets") == (CLIENTS * DEPTH) as u64).then_some(())
    });
    let mut late = Wire::connect(ringfort.resp());
    late.ask("GET late\r\n", format!("{BUSY}\r\n"));
    let asked = CLIENTS * DEPTH + 1;
    let refused = (asked - TASKS_MAX) as u64;
    assert_eq!(admin.stat("groups", "LoadsRefused"), refused);
    origin.release();
    let mut refusals = vec!["late".to_owned()];
    for (client, wire) in clients.iter_mut().enumerate() {
        for key in (0..DEPTH).map(|key| format!("{client}-{key}")) {
            match wire.line() {
                line if line == BUSY => refusals.push(key),
                line => {
                    assert_eq!(line, format!("${}", key.len()));
                    assert_eq!(wire.line(), key);
                }
            }
        }
    }
    assert_eq!(refusals.len() as u64, refused);
    assert_eq!(admin.stat("groups", "LoadsDeduped"), asked as u64);
    // Whoever was refused is served as soon as there is room.
    for key in &refusals[..3] {
        let value = format!("${}\r\n{key}\r\n", key.len());
        late.ask(format!("GET {key}\r\n"), value);
    }
    assert_eq!(admin.stat("groups", "LoadsRefused"), refused);
}
