//! The promise: with `--spin` a shard looks for more for so long and no longer; an idle one leaves its core to others.

mod support;

use std::thread::sleep;
use std::time::Duration;

use support::ringfort::{Ringfort, refusal};
use support::wait_for;
use support::wire::Wire;

/// Asks until the process has used a tenth of a second, then waits until it uses nothing any more. Without the
/// flag what is asked here would take a few milliseconds.
#[test]
fn a_shard_looks_for_more_and_then_sleeps() {
    let mut ringfort = Ringfort::start(&["--spin", "1s"]);
    let mut wire = Wire::connect(ringfort.memcache());
    let start = ringfort.process().cpu_time();
    wait_for("a shard that looks for more", || {
        wire.ask("mn\r\n", "MN\r\n");
        sleep(Duration::from_millis(200));
        (ringfort.process().cpu_time() - start >= Duration::from_millis(100)).then_some(())
    });
    wait_for("shards that sleep", || {
        let before = ringfort.process().cpu_time();
        sleep(Duration::from_millis(500));
        (ringfort.process().cpu_time() == before).then_some(())
    });
    wire.ask("mn\r\n", "MN\r\n");
}

/// What other shards send is answered by one that looks as by one that sleeps.
#[test]
fn shards_that_look_hear_each_other() {
    let ringfort = Ringfort::start(&["--spin", "1ms"]);
    let mut wire = Wire::connect(ringfort.resp());
    for number in 0..500 {
        let key = format!("key:{number}");
        wire.ask(format!("SET {key} {number}\r\n"), "+OK\r\n");
        wire.ask(format!("INCR {key}\r\n"), format!(":{}\r\n", number + 1));
    }
    wire.ask("DBSIZE\r\n", ":500\r\n");
}

#[test]
fn a_length_that_makes_no_sense_is_refused() {
    for (length, reason) in [
        ("2s", "1us to 1s"),
        ("0us", "1us to 1s"),
        ("5", "50us, 1ms"),
    ] {
        let (code, stderr) = refusal(&["--spin", length]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(reason), "{stderr}");
    }
}
