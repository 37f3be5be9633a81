//! Flags about how the servers of a pool are spoken to.

use super::pool::ServersFile;
use super::*;
use crate::config::{
    BACKEND_IN_FLIGHT_DEFAULT, BACKEND_TIMEOUT_DEFAULT, BackendConfig, EjectConfig, OnEject,
    PASSWORD_BYTES_MAX, Readmit, Secret,
};

const REDIS: &str = "--pool resp --server a:1";

fn backend(line: &str) -> BackendConfig {
    match config(line).mode {
        Mode::Pool(pool) => pool.backend,
        Mode::Embedded | Mode::Group(_) => panic!("{line}: no pool"),
    }
}

#[test]
fn timeouts_and_databases() {
    let timeout = |text: &str| backend(&format!("{REDIS} --backend-timeout {text}")).timeout;
    assert_eq!(backend(REDIS).timeout, BACKEND_TIMEOUT_DEFAULT);
    assert_eq!(timeout("200ms"), Duration::from_millis(200));
    assert_eq!(timeout("10m"), Duration::from_secs(600));
    assert_eq!(backend(REDIS).database, 0);
    assert_eq!(backend(REDIS).connection_count, 1);
    let connections = format!("{REDIS} --backend-connections 16");
    assert_eq!(backend(&connections).connection_count, 16);
    assert_eq!(backend(&format!("{REDIS} --backend-db 15")).database, 15);
    for (flag, message) in [
        (
            "--backend-timeout 9ms",
            "--backend-timeout '9ms': out of range; write 10ms to 10m",
        ),
        (
            "--backend-timeout soon",
            "--backend-timeout 'soon': not a duration; write for example 200ms, 2s or 1m",
        ),
        (
            "--backend-connections 17",
            "--backend-connections '17': out of range; write a number from 1 to 16",
        ),
        (
            "--backend-db -1",
            "--backend-db '-1': out of range; write a number from 0 to 2147483647",
        ),
        (
            "--backend-user me",
            "--backend-user me: no password; add --backend-password-file FILE or set \
             RINGFORT_BACKEND_PASSWORD",
        ),
    ] {
        assert_eq!(error(&format!("{REDIS} {flag}")), message);
    }
    assert_eq!(
        error("--pool memcache --server a:1 --backend-db 2"),
        "--backend-db 2: memcached servers have one database; leave it out"
    );
    assert_eq!(
        error("--backend-db 2"),
        "--backend-db: only means something for a pool; add --pool memcache or --pool resp"
    );
}

#[test]
fn what_becomes_of_servers_that_fail() {
    let eject = |flags: &str| backend(&format!("{REDIS} {flags}")).eject;
    assert_eq!(eject(""), EjectConfig::default());
    assert_eq!(backend(REDIS).in_flight_max, BACKEND_IN_FLIGHT_DEFAULT);
    assert_eq!(
        backend(&format!("{REDIS} --backend-in-flight-max 7")).in_flight_max,
        7
    );
    assert_eq!(eject("--eject-after off").after, None);
    assert_eq!(eject("--eject-after 9").after, Some(9));
    assert_eq!(eject("--on-eject miss").policy, OnEject::Miss);
    let flush = eject("--on-eject rehash --readmit flush");
    assert_eq!(
        (flush.policy, flush.readmit),
        (OnEject::Rehash, Readmit::Flush)
    );
    let failover = eject("--on-eject failover --failover-server b:2 --failover-server c:3:4");
    assert_eq!(failover.failover.len(), 2);
    assert_eq!(failover.failover[1].weight, 4);
    assert_eq!(failover.failover_ttl, None);
    let bounded = eject("--on-eject failover --failover-server b:2 --failover-ttl 10m");
    assert_eq!(bounded.failover_ttl, Some(Duration::from_secs(600)));
    for (flags, message) in [
        (
            "--on-eject guess",
            "--on-eject 'guess': not known here; write error or miss or rehash or failover",
        ),
        (
            "--eject-after 0",
            "--eject-after '0': out of range; write a number from 1 to 1000000, or off",
        ),
        (
            "--backend-in-flight-max 0",
            "--backend-in-flight-max '0': out of range; write a number from 1 to 1048576",
        ),
        (
            "--on-eject failover",
            "--on-eject failover: no servers to go to; add --failover-server HOST:PORT",
        ),
        (
            "--failover-server b:2",
            "--failover-server: only means something with --on-eject failover; add that",
        ),
        (
            "--failover-ttl 1m",
            "--failover-ttl: only means something with --on-eject failover; add that",
        ),
        (
            "--on-eject failover --failover-server b:2 --failover-ttl 31d",
            "--failover-ttl '31d': out of range; write 1s to 30d",
        ),
        (
            "--readmit flush",
            "--readmit flush: with --on-eject error a server misses nothing; leave it out",
        ),
        (
            "--on-eject failover --failover-server a:1",
            "--failover-server a:1: is a server of the pool, too; name another one",
        ),
        (
            "--hash-ring twemproxy --distribution random --on-eject rehash",
            "--on-eject rehash: keys of --distribution random have no server of their own; \
             leave one of them out",
        ),
    ] {
        assert_eq!(error(&format!("{REDIS} {flags}")), message);
    }
    assert_eq!(
        error("--on-eject miss"),
        "--on-eject: only means something for a pool; add --pool memcache or --pool resp"
    );
}

#[test]
fn connections_to_redis_servers_have_a_name() {
    let name = |flags: &str| backend(&format!("{REDIS} {flags}")).name;
    assert_eq!(name("").as_deref(), Some("ringfort"));
    assert_eq!(name("--backend-name front-1").as_deref(), Some("front-1"));
    assert_eq!(name("--backend-name off"), None);
    assert_eq!(backend("--pool memcache --server a:1").name, None);
    let memcache = "--pool memcache --server a:1 --backend-name me";
    assert_eq!(
        error(memcache),
        "--backend-name me: memcached servers do not ask for one; leave it out"
    );
    let long = "x".repeat(65);
    assert_eq!(
        error(&format!("{REDIS} --backend-name {long}")),
        format!(
            "--backend-name '{long}': not a name; write up to 64 letters, digits and signs without \
             blanks, or off"
        )
    );
}

#[test]
fn a_password_is_the_first_line_of_a_file_and_is_not_shown() {
    for text in ["secret", "secret\n", "secret\r\nmore\n"] {
        let file = ServersFile::new(text);
        let line = format!(
            "{REDIS} --backend-user me --backend-password-file {}",
            file.path()
        );
        let backend = backend(&line);
        assert_eq!(backend.password, Some(Secret::new("secret")), "{text:?}");
        assert_eq!(backend.user.as_deref(), Some("me"));
        assert!(!format!("{backend:?}").contains("secret"));
    }
    for text in [
        String::new(),
        "\n".into(),
        "x".repeat(PASSWORD_BYTES_MAX + 1),
    ] {
        let file = ServersFile::new(&text);
        let message = error(&format!("{REDIS} --backend-password-file {}", file.path()));
        let expected = "a password has 1 to 4096 bytes; give one, or none at all";
        assert!(message.ends_with(expected), "{message}");
    }
    let message = error(&format!("{REDIS} --backend-password-file /no/such/file"));
    let expected = "--backend-password-file /no/such/file: cannot be read";
    assert!(message.starts_with(expected), "{message}");
}
