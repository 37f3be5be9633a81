//! A reply with a value over `--item-size-max` is one request's affair: who asked for it gets an error line, and
//! what others have asked on the same connection is answered as if nothing had been.

use std::iter::once;

use crate::support::wire::Wire;
use crate::{Crossed, L1, bulk, command};

/// Of which a ringfort with 16 KiB keeps nothing; it takes many receives to step over.
const LARGE_BYTES: usize = 900 << 10;

const RESP_ERROR: &str =
    "-ERR reply has a value over the maximum allowed size (--item-size-max)\r\n";
const MEMCACHE_ERROR: &str = "SERVER_ERROR object too large for cache\r\n";

#[test]
fn a_redis_value_that_is_too_large_is_one_requests_affair() {
    for l1 in L1 {
        let pool = Crossed::over_redis(&["--l1", l1, "--item-size-max", "16KiB"]);
        let large = "x".repeat(LARGE_BYTES);
        for backend in &pool.backends {
            let mut wire = backend.connect();
            wire.ask(command(&[b"SET", b"large", large.as_bytes()]), "+OK\r\n");
            let list = command(&[b"RPUSH", b"list", b"a", large.as_bytes(), b"b"]);
            wire.ask(list, ":3\r\n");
            wire.ask("SET small y\r\nSET other z\r\n", "+OK\r\n+OK\r\n");
        }
        let (mut resp, mut memcache) = (pool.resp(), pool.memcache());
        for _ in 0..3 {
            resp.ask(
                "GET small\r\nGET large\r\nLRANGE list 0 -1\r\nGET small\r\nSTRLEN large\r\nGET other\r\n",
                format!("$1\r\ny\r\n{RESP_ERROR}{RESP_ERROR}$1\r\ny\r\n:{LARGE_BYTES}\r\n$1\r\nz\r\n"),
            );
            memcache.ask(
                "get small\r\nget large\r\nget large small other\r\nget other\r\n",
                format!(
                    "VALUE small 0 1\r\ny\r\nEND\r\n{MEMCACHE_ERROR}{MEMCACHE_ERROR}\
                     VALUE other 0 1\r\nz\r\nEND\r\n"
                ),
            );
        }
        resp.ask("GETRANGE large 0 2\r\n", bulk(b"xxx"));
    }
}

#[test]
fn a_memcached_value_that_is_too_large_is_one_requests_affair() {
    for l1 in L1 {
        let pool = Crossed::over_memcached(&["--l1", l1, "--item-size-max", "16KiB"]);
        let large = "x".repeat(LARGE_BYTES);
        for backend in &pool.backends {
            let mut wire = backend.connect();
            let set = format!("set large 0 0 {LARGE_BYTES}\r\n{large}\r\n");
            wire.ask(set.as_bytes(), "STORED\r\n");
            let sets = "set small 0 0 1\r\ny\r\nset other 0 0 1\r\nz\r\n";
            wire.ask(sets, "STORED\r\nSTORED\r\n");
        }
        let (small, other) = ("VALUE small 0 1\r\ny\r\n", "VALUE other 0 1\r\nz\r\n");
        // What comes together shares a `get`.
        let mut others: Vec<Wire> = (0..4).map(|_| pool.memcache()).collect();
        let (mut resp, mut memcache) = (pool.resp(), pool.memcache());
        for _ in 0..3 {
            for wire in others.iter_mut().chain(once(&mut memcache)) {
                wire.send(b"get small\r\nget large\r\nget other\r\ngets large\r\nmg large v\r\nget small\r\n");
            }
            for wire in others.iter_mut().chain(once(&mut memcache)) {
                let said = format!(
                    "{small}END\r\n{MEMCACHE_ERROR}{other}END\r\n{MEMCACHE_ERROR}{MEMCACHE_ERROR}{small}END\r\n"
                );
                wire.expect(said.as_bytes());
            }
            resp.ask(
                "GET large\r\nGET small\r\n",
                "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n$1\r\ny\r\n",
            );
        }
    }
}
