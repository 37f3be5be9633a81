//! Files, as twemproxy has them and as people get them wrong.

use std::time::Duration;

use super::*;
use crate::config::{Protocol, Secret};
use crate::route::{Distribution, HashRingMode, HashTag, KeyHash, Placement, ServerSpec};

/// Each key once, and the ways to write a server.
const FULL: &str = "\
# The pools of a shop.
alpha:
  listen: 127.0.0.1:22121
  hash: hsieh
  hash_tag: \"{}\"
  distribution: modula
  timeout: 400
  backlog: 1024
  client_connections: 500
  tcpkeepalive: true
  reuseport: true
  redis: true
  redis_auth: secret
  redis_db: 3
  preconnect: true
  server_connections: 2
  auto_eject_hosts: true
  server_retry_timeout: 2000
  server_failure_limit: 1
  servers:
   - 127.0.0.1:6379:1 one
   - ::1:6380:2 two
   - cache-3:6381:100000

beta:
    listen: 127.0.0.1:22122
    servers:
    - 127.0.0.1:11211:1
";

fn pools(text: &str) -> Vec<NutcrackerPool> {
    parse(text).unwrap_or_else(|fault| panic!("line {}: {}", fault.line, fault.text))
}

fn error(text: &str) -> String {
    let error = Nutcracker::parse("n.yml".into(), text).expect_err(text);
    error.message().to_owned()
}

#[test]
fn every_key_is_read() {
    let server = |text| ServerSpec::parse_twemproxy(text).expect(text);
    let expected = NutcrackerPool {
        name: "alpha".into(),
        line: 2,
        listen: "127.0.0.1:22121".parse().expect("an address"),
        protocol: Protocol::Resp,
        placement: Placement {
            hash_ring: HashRingMode::Twemproxy,
            key_hash: Some(KeyHash::Hsieh),
            distribution: Distribution::Modula,
            hash_tag: Some(HashTag::BRACES),
        },
        servers: vec![
            server("127.0.0.1:6379:1 one"),
            server("::1:6380:2 two"),
            server("cache-3:6381:100000"),
        ],
        timeout: Some(Duration::from_millis(400)),
        password: Some(Secret::new("secret")),
        database: 3,
        auto_eject: Some(AutoEject {
            failure_limit: 1,
            retry: Duration::from_secs(2),
        }),
        notes: vec![
            Note::new(
                8,
                "backlog: ringfort asks the kernel for 4096 on each shard",
            ),
            Note::new(
                9,
                "client_connections: --connections-max is the limit, for all pools together",
            ),
            Note::new(10, "tcpkeepalive: has no counterpart and is ignored"),
            Note::new(
                13,
                "redis_auth: told to the servers; clients are not asked for it",
            ),
            Note::new(
                16,
                "server_connections: ringfort has one connection from each shard to each server",
            ),
            Note::new(
                17,
                "auto_eject_hosts: commands about several keys that one server has to do (SINTER, \
                 RENAME, EVAL) are refused, as keys may move",
            ),
        ],
    };
    let pools = pools(FULL);
    assert_eq!(pools.len(), 2);
    assert_eq!(pools[0], expected);
}

#[test]
fn what_is_not_told_is_as_twemproxy_has_it() {
    let beta = &pools(FULL)[1];
    assert_eq!((beta.name.as_str(), beta.line), ("beta", 25));
    assert_eq!(beta.protocol, Protocol::Memcache);
    assert_eq!(beta.placement, Placement::of(HashRingMode::Twemproxy));
    assert_eq!(beta.timeout, None);
    assert_eq!(beta.auto_eject, None);
    assert_eq!(beta.notes, []);
}

#[test]
fn settings_of_ejection_mean_nothing_without_it() {
    let text = "p:\n  listen: 127.0.0.1:1\n  auto_eject_hosts: false\n  server_retry_timeout: 1\n  \
                server_failure_limit: 1\n  preconnect: false\n  servers:\n  - a:1:1\n";
    let pool = &pools(text)[0];
    let expected = Note::new(
        6,
        "preconnect: ringfort connects to all servers when it starts",
    );
    assert_eq!(pool.notes, [expected]);
    assert_eq!(pool.auto_eject, None);
}

#[test]
fn ejection_is_twemproxys_own_where_nothing_is_told() {
    let pool = |lines: &str| {
        let text = format!("p:\n  listen: 127.0.0.1:1\n{lines}  servers:\n  - a:1:1\n");
        pools(&text).remove(0)
    };
    let plain = pool("  auto_eject_hosts: true\n");
    assert_eq!(plain.notes, []);
    let expected = AutoEject {
        failure_limit: 2,
        retry: Duration::from_secs(30),
    };
    assert_eq!(plain.auto_eject, Some(expected));
    let hasty = pool("  server_failure_limit: 0\n  auto_eject_hosts: true\n");
    assert_eq!(hasty.auto_eject.map(|eject| eject.failure_limit), Some(1));
    let random = pool("  distribution: random\n  auto_eject_hosts: true\n");
    assert_eq!(random.auto_eject, None);
    let note = "auto_eject_hosts: with distribution random no server is ejected; what would go to \
                one that is down is answered with an error";
    assert_eq!(random.notes, [Note::new(4, note)]);
}

#[test]
fn a_timeout_is_brought_into_what_there_is() {
    let pool = |timeout| {
        let text =
            format!("p:\n  listen: 127.0.0.1:1\n  timeout: {timeout}\n  servers:\n  - a:1:1\n");
        pools(&text).remove(0)
    };
    assert_eq!((pool(0).timeout, pool(0).notes), (None, vec![]));
    assert_eq!(pool(10).notes, []);
    let brought = Note::new(3, "timeout: brought into 10 to 600000 ms");
    for timeout in [9, 600_001] {
        assert_eq!(pool(timeout).notes, std::slice::from_ref(&brought));
    }
}

#[test]
fn a_note_names_file_line_and_pool() {
    let nutcracker = Nutcracker::parse("n.yml".into(), FULL).expect("pools");
    let expected = "n.yml:10: pool 'alpha', tcpkeepalive: has no counterpart and is ignored";
    let notes = nutcracker.notes();
    assert!(notes.iter().any(|note| note == expected), "{notes:?}");
}

#[test]
fn an_error_names_file_line_key_and_remedy() {
    let pool = |line: &str| format!("p:\n  listen: 127.0.0.1:1\n  {line}\n  servers:\n  - a:1:1\n");
    let cases = [
        (
            "hash: sha1",
            "hash 'sha1': not known here; write one_at_a_time or md5 or crc16 or crc32 or crc32a or fnv1_64 or fnv1a_64 or fnv1_32 or fnv1a_32 or hsieh or murmur or jenkins",
        ),
        (
            "hash_tag: \"{\"",
            "hash_tag '{': not two characters; write for example {}",
        ),
        (
            "distribution: rendezvous",
            "distribution 'rendezvous': not known here; write ketama or modula or random",
        ),
        (
            "redis: yes",
            "redis 'yes': neither true nor false; write one of them",
        ),
        (
            "timeout: -1",
            "timeout '-1': not a number; write one from 0 to 2147483647",
        ),
        (
            "timeout: 2147483648",
            "timeout '2147483648': not a number; write one from 0 to 2147483647",
        ),
        (
            "server_connections: 0",
            "server_connections '0': no connection is too few; write 1 or more",
        ),
        (
            "eject: true",
            "eject: not a key of twemproxy 0.5; correct or remove it",
        ),
        ("hash: [md5]", "hash: not a value; write hash: VALUE"),
        ("hash:", "hash: not a value; write hash: VALUE"),
        (
            "redis_auth: x",
            "redis_auth: the pool is not Redis'; add redis: true",
        ),
    ];
    for (line, message) in cases {
        let expected = format!("--nutcracker n.yml:3: pool 'p', {message}");
        assert_eq!(error(&pool(line)), expected, "{line}");
    }
}

#[test]
fn servers_and_listeners_are_checked() {
    let cases = [
        (
            "p:\n  listen: 127.0.0.1:1\n",
            "n.yml:1: pool 'p', servers: missing; add servers: with '- HOST:PORT:WEIGHT' lines",
        ),
        (
            "p:\n  servers:\n  - a:1:1\n",
            "n.yml:1: pool 'p', listen: missing; add listen: HOST:PORT",
        ),
        (
            "p:\n  listen: /tmp/p.sock 0666\n  servers:\n  - a:1:1\n",
            "n.yml:2: pool 'p', listen '/tmp/p.sock 0666': unix sockets are not served; write HOST:PORT",
        ),
        (
            "p:\n  listen: 127.0.0.1:0\n",
            "n.yml:2: pool 'p', listen '127.0.0.1:0': the port is not a number from 1 to 65535; write HOST:PORT",
        ),
        (
            "p:\n  listen: 127.0.0.1\n",
            "n.yml:2: pool 'p', listen '127.0.0.1': not an address and port; write for example 127.0.0.1:22121",
        ),
        (
            "p:\n  servers: a:1:1\n",
            "n.yml:2: pool 'p', servers: not a list; write '- HOST:PORT:WEIGHT' lines",
        ),
        (
            "p:\n  servers:\n  - a:1:1\n  - b:1\n",
            "n.yml:4: pool 'p', servers: 'b:1' is not HOST:PORT:WEIGHT; add what is missing",
        ),
        (
            "p:\n  servers:\n  - /:1\n",
            "n.yml:3: pool 'p', servers: '/' is not a path of up to 107 bytes from / on",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(error(text), format!("--nutcracker {message}"), "{text}");
    }
    let six = pools("p:\n  listen: ::1:22121\n  servers:\n  - a:1:1\n");
    assert_eq!(six[0].listen, "[::1]:22121".parse().expect("an address"));
}

#[test]
fn a_file_has_one_shape() {
    let begins = [
        ("", "n.yml:1: there is no pool; write a pool's name"),
        (
            "# nothing\n",
            "n.yml:2: there is no pool; write a pool's name",
        ),
        ("- a\n", "n.yml:1: this is not a map of pools; write"),
        ("p: x\n", "n.yml:1: pool 'p' has no keys; write"),
        (
            "p:\n  a: {b: c}\n",
            "n.yml:2: 'a' has neither a value nor a list; write",
        ),
        (
            "p:\n  listen: a:1\n  listen: b:1\n",
            "n.yml:3: 'listen' is given twice; leave one",
        ),
        (
            "p:\n  a: b\np:\n  a: b\n",
            "n.yml:3: there are two pools 'p'; rename one of them",
        ),
        (
            "p:\n  servers:\n  - a: b\n",
            "n.yml:3: this is not a value; write",
        ),
        ("p:\n  a: \"b\n", "n.yml:"),
        ("p:\n\ta: b\n", "n.yml:"),
        (
            "p:\n  a: b\n---\nq:\n  a: b\n",
            "n.yml:4: this is not a map of pools; write",
        ),
    ];
    for (text, begin) in begins {
        let error = error(text);
        assert!(
            error.starts_with(&format!("--nutcracker {begin}")),
            "{text:?}: {error}"
        );
    }
    let text: String = (0..=POOLS_MAX)
        .map(|n| {
            format!(
                "p{n}:\n  listen: 127.0.0.1:{}\n  servers:\n  - a:1:1\n",
                n + 1
            )
        })
        .collect();
    assert_eq!(
        error(&text),
        "--nutcracker n.yml:513: more than 128 pools; start another ringfort for the rest"
    );
}
