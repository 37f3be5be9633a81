//! The promise: the clients that people have work unchanged.

mod support;

use std::net::SocketAddr;
use std::process::Command;

use support::node;
use support::process::ScratchFolder;
use support::python;
use support::ringfort::Ringfort;

#[test]
fn redis_py() {
    let ringfort = Ringfort::embedded();
    for protocol in ["2", "3"] {
        python::run("with_redis_py.py", &[&port(ringfort.resp()), protocol]);
    }
}

/// On two shards: pipelines, and loops that watch what they read.
#[test]
fn redis_py_transactions() {
    let ringfort = Ringfort::embedded();
    for protocol in ["2", "3"] {
        let args = [&port(ringfort.resp()), protocol];
        python::run("transactions_with_redis_py.py", &args);
    }
}

#[test]
fn pymemcache() {
    let ringfort = Ringfort::embedded();
    python::run("with_pymemcache.py", &[&port(ringfort.memcache())]);
}

#[test]
fn pylibmc() {
    let ringfort = Ringfort::embedded();
    python::run("with_pylibmc.py", &[&port(ringfort.memcache())]);
}

#[test]
fn pylibmc_binary() {
    let ringfort = Ringfort::embedded();
    python::run("with_pylibmc_binary.py", &[&port(ringfort.memcache())]);
}

#[test]
fn python_binary_memcached() {
    let ringfort = Ringfort::embedded();
    python::run(
        "with_python_binary_memcached.py",
        &[&port(ringfort.memcache())],
    );
}

/// libmemcached's own test of what a server is capable of, in both protocols.
#[test]
fn memccapable() {
    let ringfort = Ringfort::embedded();
    for protocol in ["-a", "-b"] {
        let mut command = Command::new("memccapable");
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port(ringfort.memcache()),
            protocol,
        ]);
        let printed = python::output(&mut command, "apt-get install libmemcached-tools");
        let (capable, rest) = (printed.matches("[pass]").count(), printed.lines().last());
        assert!(capable >= 25, "{printed}");
        assert_eq!(rest, Some("All tests passed"), "{printed}");
    }
}

#[test]
fn node_redis() {
    let ringfort = Ringfort::embedded();
    node::run("with_redis.mjs", &[&port(ringfort.resp())]);
}

#[test]
fn ioredis() {
    let ringfort = Ringfort::embedded();
    node::run("with_ioredis.mjs", &[&port(ringfort.resp())]);
}

#[test]
fn memjs() {
    let ringfort = Ringfort::embedded();
    node::run("with_memjs.mjs", &[&port(ringfort.memcache())]);
}

#[test]
fn redis_cli() {
    let ringfort = Ringfort::embedded();
    let cli = |args: &[&str]| redis_tool("redis-cli", ringfort.resp(), args);
    assert_eq!(cli(&["ping"]), "PONG\n");
    assert_eq!(cli(&["-3", "set", "key", "two words"]), "OK\n");
    assert_eq!(cli(&["get", "key"]), "two words\n");
    assert_eq!(cli(&["-3", "mget", "key", "none"]), "two words\n\n");
    assert_eq!(cli(&["-r", "5", "incr", "counter"]), "1\n2\n3\n4\n5\n");
    assert_eq!(cli(&["del", "key", "counter"]), "2\n");
}

#[test]
fn redis_benchmark() {
    let ringfort = Ringfort::embedded();
    let tests = "ping_inline,ping_mbulk,set,get,incr,mset";
    for pipeline in ["1", "16"] {
        let args = [
            "-n", "5000", "-c", "20", "-r", "1000", "-P", pipeline, "-t", tests, "--csv",
        ];
        let printed = redis_tool("redis-benchmark", ringfort.resp(), &args);
        // A heading and a line for each test.
        assert_eq!(
            printed.lines().count(),
            1 + tests.split(',').count(),
            "{printed}"
        );
        assert!(!printed.to_lowercase().contains("err"), "{printed}");
    }
}

#[test]
fn libmemcached_tools() {
    let ringfort = Ringfort::embedded();
    let server = format!("--servers={}", ringfort.memcache());
    let tool = |name: &str, args: &[&str]| {
        let mut command = Command::new(name);
        python::output(
            command.arg(&server).args(args),
            "apt-get install libmemcached-tools",
        )
    };
    let folder = ScratchFolder::new();
    let content = "line one\nline two\n".repeat(500);
    let file = folder.write("copied.txt", &content);
    tool("memccp", &[&file.display().to_string()]);
    assert_eq!(
        tool("memccat", &["copied.txt"]).trim_end(),
        content.trim_end()
    );
    tool("memcexist", &["copied.txt"]);
    tool("memctouch", &["--expire=1000", "copied.txt"]);
    tool("memcping", &[]);
    tool("memcstat", &[]);
    tool("memcrm", &["copied.txt"]);
    tool(
        "memcslap",
        &["--concurrency=4", "--execute-number=500", "--test=set"],
    );
    tool(
        "memcslap",
        &[
            "--concurrency=4",
            "--execute-number=500",
            "--test=get",
            "--initial-load=500",
        ],
    );
    tool("memcflush", &[]);
}

fn redis_tool(name: &str, address: SocketAddr, args: &[&str]) -> String {
    let mut command = Command::new(name);
    command
        .args(["-h", "127.0.0.1", "-p", &port(address)])
        .args(args);
    python::output(&mut command, "apt-get install redis-tools")
}

fn port(address: SocketAddr) -> String {
    address.port().to_string()
}
