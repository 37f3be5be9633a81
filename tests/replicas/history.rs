//! What many connections see of a few keys while replicas are killed and the ways to them fail: as long as replicas
//! are behind for less than `--replica-lag`, one order explains it all. Between two bursts all keys are left alone for
//! longer than that, so that the first reads of each burst are answered by replicas. Nobody gets an error.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Pool;
use super::checker::{Operation, told};
use super::register;
use super::speaker::{KEY_COUNT, Speaker, Stage};
use super::support::gate::Fault;
use super::support::gated::Protocol;
use super::support::over_when_dropped;

const SPEAKER_COUNT: u64 = 6;

const BURST_COUNT: usize = 6;

const BURST: Duration = Duration::from_millis(700);

/// Longer than the lag.
const REST: Duration = Duration::from_millis(2_300);

const GARBAGE: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

#[test]
fn no_read_is_behind_an_acknowledged_write_whatever_becomes_of_replicas() {
    for flags in [
        &["--read-from", "prefer-replica"][..],
        &["--read-from", "any"],
    ] {
        check(&[flags, &["--replica-lag", "2s"]].concat());
    }
}

fn check(flags: &[&str]) {
    let mut pool = Pool::start(2, flags);
    let stage = Stage::new();
    let speakers: Vec<_> = (1..=SPEAKER_COUNT)
        .map(|number| Speaker::new(&stage, pool.connect(), Protocol::Resp, number))
        .collect();
    let mut histories = vec![Vec::new(); KEY_COUNT];
    std::thread::scope(|scope| {
        let threads: Vec<_> = speakers
            .into_iter()
            .map(|speaker| scope.spawn(|| speaker.speak()))
            .collect();
        let over = over_when_dropped(&stage.is_over);
        for burst in 0..BURST_COUNT {
            stage.is_resting.store(false, Ordering::Relaxed);
            befall(&mut pool, burst);
            std::thread::sleep(BURST);
            stage.is_resting.store(true, Ordering::Relaxed);
            (0..2).for_each(|number| pool.wait_until_following(number));
            std::thread::sleep(REST);
        }
        drop(over);
        for thread in threads {
            let (heard, error_count) = thread.join().expect("a speaker");
            assert_eq!(error_count, 0, "{flags:?}: the master was there");
            heard
                .into_iter()
                .for_each(|(key, operation)| histories[key].push(operation));
        }
    });
    let read_count = pool.stat("backend_replica_reads");
    assert!(
        read_count.expect("a number") > 0,
        "{flags:?}: nobody was read"
    );
    assert_explained(&histories);
}

/// Something happens to a replica, and is over when this returns.
fn befall(pool: &mut Pool, burst: usize) {
    let victim = burst / 3 % 2;
    match burst % 3 {
        0 => pool.doors[victim].strike_times(Fault::Cut(7), 2),
        1 => {
            pool.replicas[victim].stop();
            pool.replicas[victim].restart();
            pool.follow(victim);
        }
        _ => pool.doors[victim].strike_times(Fault::Instead(GARBAGE), 2),
    }
}

fn assert_explained(histories: &[Vec<Operation>]) {
    for (key, history) in histories.iter().enumerate() {
        assert!(history.len() > 50, "k{key} was hardly used");
        assert!(
            register::is_linearizable(history),
            "no order explains k{key}:\n{}",
            told(history)
        );
    }
}
