//! Writes that a server does not take.

use ringfort::config::Protocol;

use super::later::{line, line_until, wait_for_servers};
use super::pool_with;
use crate::support::{
    backends::Backend,
    process::{ScratchFolder, Signal},
    wait_for,
    wire::Wire,
};

/// A server that may not be written to for now gets its values once it may.
#[test]
fn a_value_waits_until_its_server_may_take_it() {
    let redis = Backend::redis();
    let mut direct = redis.connect();
    assert_eq!(line(&mut direct, "SET k older\r\n"), "+OK");
    assert_eq!(line(&mut direct, "REPLICAOF 127.0.0.1 1\r\n"), "+OK");
    let folder = ScratchFolder::new();
    let ringfort = pool_with("behind", redis.address(), Protocol::Resp, &folder, &[]);
    let mut wire = Wire::connect(ringfort.resp());
    assert_eq!(line(&mut wire, "SET k newest\r\n"), "+OK");
    wait_for("the server to refuse it", || {
        direct.send(b"INFO errorstats\r\n");
        let head = direct.line();
        let length: usize = head.trim_start_matches('$').parse().expect("a length");
        let text = String::from_utf8(direct.bytes(length + 2)).expect("text");
        text.contains("errorstat_READONLY").then_some(())
    });
    assert_eq!(
        [line(&mut wire, "GET k\r\n"), wire.line()],
        ["$6", "newest"]
    );
    assert_eq!(line(&mut direct, "REPLICAOF NO ONE\r\n"), "+OK");
    line_until(&mut direct, "STRLEN k\r\n", ":6");
    assert_eq!(
        [line(&mut direct, "GET k\r\n"), direct.line()],
        ["$6", "newest"]
    );
}

/// What a server may never be told holds up nothing behind it.
#[test]
fn a_forbidden_key_holds_up_no_other() {
    for policy in ["invalidate", "behind"] {
        let redis = Backend::redis();
        let mut direct = redis.connect();
        assert_eq!(line(&mut direct, "SET app:k older\r\n"), "+OK");
        let allowed = "ACL SETUSER default resetkeys ~app:*\r\n";
        assert_eq!(line(&mut direct, allowed), "+OK");
        let folder = ScratchFolder::new();
        let shards = ["--shards", "1"];
        let ringfort = pool_with(policy, redis.address(), Protocol::Resp, &folder, &shards);
        let mut wire = Wire::connect(ringfort.resp());
        for (request, expected) in [
            ("DEL other\r\n", ":1"),
            ("SET another v\r\n", "+OK"),
            ("DEL app:k\r\n", ":1"),
        ] {
            assert_eq!(line(&mut wire, request), expected, "{policy} {request}");
        }
        line_until(&mut direct, "EXISTS app:k\r\n", ":0");
        wait_for_servers(&ringfort);
    }
}

/// A value that a server does not take was answered already: what the server has instead is older.
#[test]
fn a_value_that_is_refused_is_deleted() {
    let redis = Backend::redis();
    let mut direct = redis.connect();
    assert_eq!(line(&mut direct, "SET k older\r\n"), "+OK");
    assert_eq!(line(&mut direct, "CONFIG SET maxmemory 1\r\n"), "+OK");
    let folder = ScratchFolder::new();
    let ringfort = pool_with(
        "behind",
        redis.address(),
        Protocol::Resp,
        &folder,
        &["--shards", "1"],
    );
    let mut wire = Wire::connect(ringfort.resp());
    wire.send(b"SET k newer\r\nSET other v\r\nDEL third\r\n");
    let said = [wire.line(), wire.line(), wire.line()];
    assert_eq!(said, ["+OK", "+OK", ":1"]);
    line_until(&mut direct, "EXISTS k other\r\n", ":0");
    wait_for_servers(&ringfort);
    assert_eq!(line(&mut direct, "CONFIG SET maxmemory 0\r\n"), "+OK");
    assert_eq!(line(&mut wire, "SET k last\r\n"), "+OK");
    line_until(&mut direct, "GET k\r\n", "$4");
    assert_eq!(direct.line(), "last");
    let (status, stderr) = ringfort.end(Signal::TERM);
    assert!(status.success());
    assert_eq!(
        stderr.matches("does not take a write").count(),
        1,
        "{stderr}"
    );
}

/// What was asked behind a value that is refused was asked of a server with the value: it fails, and is not answered
/// as if the value had never been.
#[test]
fn what_comes_behind_a_refused_value_fails() {
    let redis = Backend::redis();
    let mut direct = redis.connect();
    let folder = ScratchFolder::new();
    let flags = ["--shards", "1"];
    let ringfort = pool_with("behind", redis.address(), Protocol::Resp, &folder, &flags);
    wait_for_servers(&ringfort);
    assert_eq!(line(&mut direct, "SET k older\r\n"), "+OK");
    assert_eq!(line(&mut direct, "CONFIG SET maxmemory 1\r\n"), "+OK");
    let mut wire = Wire::connect(ringfort.resp());
    wire.send(b"SET k newer\r\nGETRANGE k 0 -1\r\n");
    assert_eq!(wire.line(), "+OK");
    assert_eq!(wire.line(), "-ERR backend connection was lost");
    line_until(&mut direct, "EXISTS k\r\n", ":0");
}
