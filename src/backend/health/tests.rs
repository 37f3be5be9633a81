//! A server's health over made-up lives.

use proptest::prelude::*;

use super::*;
use crate::{
    backend::{RECONNECT_MS_MAX, RECONNECT_MS_MIN},
    config::EJECT_AFTER_DEFAULT,
};

fn health() -> Health {
    Health::new(Some(EJECT_AFTER_DEFAULT), 7)
}

/// Fails it until it is out.
fn eject(health: &mut Health, now: UnixMs) {
    for count in 1..=EJECT_AFTER_DEFAULT {
        assert!(!health.is_out());
        assert_eq!(health.handle_failure(now), count == EJECT_AFTER_DEFAULT);
    }
    assert!(health.is_out() && !health.is_returning());
}

/// Answers probes well until it returns; when that is.
fn recover(health: &mut Health, mut now: UnixMs) -> UnixMs {
    while !health.is_returning() {
        now = health.poll_timeout().expect("a probe").max(now);
        assert!(health.poll_probe(now));
        assert!(!health.poll_probe(now), "one at a time");
        health.handle_probed(true, now);
    }
    now
}

#[test]
fn only_failures_in_a_row_eject() {
    let mut health = health();
    for at in 0..100 {
        health.handle_failure(UnixMs(at));
        health.handle_failure(UnixMs(at));
        assert!(!health.is_out());
        health.handle_good();
    }
    eject(&mut health, UnixMs(100));
    health.handle_good();
    assert!(health.is_out(), "a late reply is no probe");
}

#[test]
fn who_does_not_want_it_ejects_nobody() {
    let mut health = Health::new(None, 7);
    assert!((0..1_000).all(|at| !health.handle_failure(UnixMs(at))));
    assert!(!health.is_out());
    assert_eq!(health.poll_timeout(), None);
}

#[test]
fn who_is_given_a_rest_is_not_probed_before() {
    const REST_MS: u64 = 30_000;
    let mut health = health().resting(REST_MS);
    eject(&mut health, UnixMs(1_000));
    // Connections that cannot be made meanwhile do not shorten it.
    health.handle_failure(UnixMs(2_000));
    assert!(!health.poll_probe(UnixMs(999 + REST_MS)));
    let first = health.poll_timeout().expect("a probe");
    let pauses = 1_000 + REST_MS..=1_000 + REST_MS + RECONNECT_MS_MIN;
    assert!(pauses.contains(&first.0), "{first:?}");
    // Only the first one: after that it is probed as any other.
    let back = recover(&mut health, first);
    assert!(back.0 <= first.0 + 3 * RECONNECT_MS_MIN, "{back:?}");
    health.handle_failure(back);
    let again = health.poll_timeout().expect("a probe");
    assert!(again.0 <= back.0 + RECONNECT_MS_MAX, "{again:?}");
}

#[test]
fn good_probes_in_a_row_and_what_was_missed_bring_it_back() {
    let mut health = health();
    eject(&mut health, UnixMs(1_000));
    for good_count in 0..3 * GOOD_PROBES_MIN {
        let at = health.poll_timeout().expect("a probe");
        assert!(!health.poll_probe(UnixMs(at.0 - 1)), "too early");
        assert!(health.poll_probe(at));
        // Every third one fails.
        let is_good = good_count % GOOD_PROBES_MIN != GOOD_PROBES_MIN - 1;
        assert!(!health.handle_probed(is_good, at));
    }
    let now = recover(&mut health, UnixMs(1_000));
    assert!(health.is_out(), "it has missed something");
    assert_eq!(health.poll_timeout(), None);
    health.handle_settled(now);
    assert!(!health.is_out());
}

#[test]
fn one_failure_ejects_a_server_that_returns() {
    let mut health = health();
    eject(&mut health, UnixMs(0));
    let now = recover(&mut health, UnixMs(0));
    assert!(!health.handle_failure(now), "it is not ejected anew");
    assert!(health.is_out() && !health.is_returning());
    health.handle_settled(now);
    assert!(health.is_out(), "settling is over");
}

#[test]
fn pauses_between_bad_probes_grow_and_end_at_a_second() {
    let mut health = health();
    eject(&mut health, UnixMs(0));
    let mut now = UnixMs(0);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let at = health.poll_timeout().expect("a probe");
        pauses.push(at.0 - now.0);
        now = at;
        assert!(health.poll_probe(now));
        health.handle_probed(false, now);
    }
    assert!(pauses[0] <= RECONNECT_MS_MIN, "{pauses:?}");
    assert!(pauses[9] >= RECONNECT_MS_MAX / 2, "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= RECONNECT_MS_MAX));
}

#[test]
fn who_flaps_stays_out_longer_each_time_and_is_forgiven() {
    let mut health = health();
    let mut now = UnixMs(0);
    let mut out_ms = Vec::new();
    for _ in 0..8 {
        eject(&mut health, now);
        let back = recover(&mut health, now);
        out_ms.push(back.0 - now.0);
        health.handle_settled(back);
        now = UnixMs(back.0 + 10);
    }
    assert!(out_ms[0] < FLAP_MS_MIN, "{out_ms:?}");
    for (flap, ms) in out_ms[1..].iter().enumerate() {
        let least = (FLAP_MS_MIN << flap).min(FLAP_MS_MAX);
        assert!(*ms >= least && *ms < least + 100, "{out_ms:?}");
    }
    now = UnixMs(now.0 + FLAP_WINDOW_MS);
    eject(&mut health, now);
    assert!(recover(&mut health, now).0 - now.0 < FLAP_MS_MIN);
}

proptest! {
    /// Whatever happens to it: it is ejected by enough failures in a row alone, readmitted by
    /// enough good probes in a row and settling alone, and there is always a way back.
    #[test]
    fn a_life_is_as_its_naive_twin_says(
        events in prop::collection::vec((0_u8..6, 0_u64..5_000), 1..300),
    ) {
        let mut health = Health::new(Some(EJECT_AFTER_DEFAULT), 3);
        let (mut failures, mut goods, mut is_out, mut is_back) = (0, 0, false, false);
        let mut now = UnixMs(0);
        for (event, ms) in events {
            now = UnixMs(now.0 + ms);
            match event {
                0 | 1 => {
                    let is_ejected = health.handle_failure(now);
                    failures += 1;
                    (goods, is_back) = (0, false);
                    prop_assert_eq!(is_ejected, !is_out && failures >= EJECT_AFTER_DEFAULT);
                    is_out |= is_ejected;
                }
                2 => {
                    health.handle_good();
                    failures = 0;
                }
                3 | 4 if health.poll_probe(now) => {
                    prop_assert!(is_out && !is_back);
                    goods = if event == 3 { goods + 1 } else { 0 };
                    is_back = health.handle_probed(event == 3, now);
                    prop_assert!(!is_back || goods >= GOOD_PROBES_MIN);
                }
                5 => {
                    health.handle_settled(now);
                    if is_back {
                        (is_out, is_back, failures, goods) = (false, false, 0, 0);
                    }
                }
                _ => {}
            }
            prop_assert_eq!(health.is_out(), is_out);
            prop_assert_eq!(health.is_returning(), is_back);
            prop_assert!(!is_out || is_back || health.poll_timeout().is_some());
        }
        if is_out {
            let back = recover(&mut health, now);
            prop_assert!(back.0 - now.0 <= FLAP_MS_MAX + RECONNECT_MS_MAX);
        }
    }
}
