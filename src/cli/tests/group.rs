//! `--group` and what belongs to it.

use std::time::Duration;

use super::{config, error};
use crate::config::{GroupConfig, Mode};

fn group(line: &str) -> GroupConfig {
    match config(line).mode {
        Mode::Group(group) => group,
        mode => panic!("{line}: {mode:?}"),
    }
}

#[test]
fn a_group_has_an_origin_and_limits() {
    let plain = group("--group g --origin http://a:81/x/{key}");
    assert_eq!(plain.name, "g");
    let origin = plain.origin.expect("an origin");
    assert_eq!(origin.to_string(), "http://a:81/x/{key}");
    assert_eq!(plain.load_timeout, Duration::from_secs(5));
    assert_eq!((plain.loads_max, plain.load_queue_max), (256, 4096));
    assert_eq!(plain.negative_ttl, Duration::ZERO);
    let remembering = group("--group g --origin dir:/srv --negative-ttl 2s");
    assert_eq!(remembering.negative_ttl, Duration::from_secs(2));
    assert_eq!((plain.stale, plain.early_refresh), (Duration::ZERO, true));
    let fresh = group("--group g --origin dir:/srv --stale 1h --early-refresh off");
    assert_eq!(fresh.stale, Duration::from_secs(3600));
    assert!(!fresh.early_refresh);
    let limited = group(
        "--group a-B_1. --origin dir:/srv --load-timeout 20ms --loads-max 1 --load-queue-max 0",
    );
    assert_eq!(limited.load_timeout, Duration::from_millis(20));
    assert_eq!((limited.loads_max, limited.load_queue_max), (1, 0));
}

#[test]
fn a_login_is_for_servers() {
    for (line, told) in [
        (
            "--group g --origin dir:a --origin-password-file p",
            "--origin-password-file: only means something for servers; leave it out, or load from",
        ),
        (
            "--origin-user me",
            "--origin-user: only means something for a group; add --group NAME",
        ),
        (
            "--group g --origin redis://a:1 --origin-user me",
            "--origin-user me: no password; add --origin-password-file FILE or set",
        ),
    ] {
        let error = error(line);
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn what_does_not_go_with_a_group_is_told() {
    for (line, told) in [
        (
            "--group g",
            "--group g: no origin to load from; add --origin",
        ),
        (
            "--origin dir:a",
            "--origin: only means something for a group; add --group NAME",
        ),
        (
            "--loads-max 5",
            "--loads-max: only means something for a group",
        ),
        (
            "--load-queue-max 5",
            "--load-queue-max: only means something for a group",
        ),
        (
            "--load-timeout 5s",
            "--load-timeout: only means something for a group",
        ),
        ("--stale 5s", "--stale: only means something for a group"),
        (
            "--group g --origin dir:a --stale 8760h",
            "--stale '8760h': out of range; write 1ms to 168h",
        ),
        (
            "--group g --origin dir:a --early-refresh yes",
            "--early-refresh 'yes': not on or off; write one of them",
        ),
        (
            "--group a/b --origin dir:a",
            "--group 'a/b': not a name; write",
        ),
        (
            "--group g --origin ftp://a/{key}",
            "--origin 'ftp://a/{key}': ",
        ),
        (
            "--group g --origin dir:a --load-timeout 0s",
            "--load-timeout '0s': out of range; write 1ms to 10m",
        ),
        (
            "--group g --origin dir:a --loads-max 0",
            "--loads-max '0': out of range; write a number from 1 to 4096",
        ),
        (
            "--group g --origin dir:a --pool resp --server a:1",
            "--group g: cannot be had together with --pool; leave one of the two out",
        ),
        (
            "--group g --origin dir:a --l1 1s",
            "--l1: only means something for a pool",
        ),
        (
            "--nutcracker x --group g --origin dir:a",
            "--group: the file of --nutcracker",
        ),
    ] {
        let error = error(line);
        assert!(error.starts_with(told), "{line}: {error}");
    }
}
