//! The flags of a pool.

use super::*;
use crate::config::{BackendConfig, ReplicasConfig};

const POOL: &str = "--pool memcache --server 10.0.0.1:11211";

fn pool(line: &str) -> PoolConfig {
    match config(line).mode {
        Mode::Pool(pool) => pool,
        Mode::Embedded | Mode::Group(_) => panic!("{line}: no pool"),
    }
}

#[test]
fn a_pool_and_its_defaults() {
    let expected = PoolConfig {
        is_cluster: false,
        name: None,
        protocol: Protocol::Memcache,
        servers: vec!["10.0.0.1:11211".parse().expect("server")],
        placement: Placement::of(HashRingMode::Libmemcached),
        write: WritePolicy::Through,
        l1: L1Config::Off,
        backend: BackendConfig::default(),
        replicas: ReplicasConfig::default(),
        spool: None,
    };
    assert_eq!(pool(POOL), expected);
    assert_eq!(pool("--pool resp --server a:1").protocol, Protocol::Resp);
    assert_eq!(
        error("--pool redis"),
        "--pool 'redis': not known here; write memcache or resp or cluster"
    );
    assert_eq!(
        error("--pool memcache"),
        "--pool memcache: no servers; add --servers FILE or --server HOST:PORT"
    );
}

#[test]
fn a_pool_serves_its_protocol_and_the_other_if_asked_to() {
    let listeners = |line: &str| (config(line).memcache, config(line).resp);
    assert_eq!(listeners(POOL), (Some(MEMCACHE_DEFAULT), None));
    assert_eq!(
        listeners(&format!("{POOL} --resp off")),
        (Some(MEMCACHE_DEFAULT), None)
    );
    assert_eq!(
        listeners("--pool resp --server a:1"),
        (None, Some(RESP_DEFAULT))
    );
    let other = Some("127.0.0.1:1".parse().expect("address"));
    assert_eq!(
        listeners(&format!("{POOL} --resp 127.0.0.1:1")),
        (Some(MEMCACHE_DEFAULT), other)
    );
    assert_eq!(
        listeners(&format!("{POOL} --memcache off --resp 127.0.0.1:1")),
        (None, other)
    );
    assert_eq!(
        listeners("--pool resp --server a:1 --memcache 127.0.0.1:1"),
        (other, Some(RESP_DEFAULT))
    );
    assert_errors(&[
        (
            "--pool memcache --server a:1 --memcache off",
            "--memcache off --resp off: nothing would be served; leave one on",
        ),
        (
            "--pool memcache --server 127.0.0.1:11211",
            "--memcache: server 127.0.0.1:11211 of the pool is this listener; move one of them",
        ),
        (
            "--pool memcache --server 127.0.0.1:7 --resp 127.0.0.1:7",
            "--resp: server 127.0.0.1:7 of the pool is this listener; move one of them",
        ),
    ]);
}

#[test]
fn a_spool_is_for_writes_that_wait() {
    let spool = |line: &str| pool(&format!("{POOL} --write invalidate {line}")).spool;
    assert_eq!(spool(""), None);
    let mut expected = SpoolConfig {
        folder: "s".into(),
        sync: SpoolSync::Always,
        bytes_max: 1 << 30,
    };
    assert_eq!(spool("--spool s"), Some(expected.clone()));
    expected.sync = SpoolSync::Interval;
    expected.bytes_max = 64 << 20;
    let line = "--spool s --spool-sync interval --spool-size-max 64m";
    assert_eq!(spool(line), Some(expected));
    let errors = [
        (
            "--spool s",
            "--spool s: no write waits for its server with --write through; add --write behind or --write invalidate",
        ),
        (
            "--spool-sync none",
            "--spool-sync: only means something for a spool; add --spool DIR",
        ),
        (
            "--spool-size-max 1g",
            "--spool-size-max: only means something for a spool; add --spool DIR",
        ),
        (
            "--spool s --spool-size-max 1m",
            "--spool-size-max '1m': out of range; write 16MiB to 64GiB",
        ),
        (
            "--spool s --spool-sync often",
            "--spool-sync 'often': not known here; write always or interval or none",
        ),
    ];
    for (flags, message) in errors {
        assert_eq!(error(&format!("{POOL} {flags}")), message, "{flags}");
    }
}

#[test]
fn flags_of_a_pool_want_a_pool() {
    for flag in [
        "--spool s",
        "--spool-sync none",
        "--spool-size-max 1g",
        "--servers f",
        "--server a:1",
        "--hash-ring libketama",
        "--write through",
        "--l1 1s",
    ] {
        let name = flag.split(' ').next().expect("a flag");
        assert_eq!(
            error(flag),
            format!("{name}: only means something for a pool; add --pool memcache or --pool resp")
        );
    }
}

#[test]
fn servers_one_by_one() {
    let servers = pool("--pool memcache --server a:1:5 --server [::1]:2").servers;
    assert_eq!(servers.len(), 2);
    assert_eq!((servers[0].weight, &*servers[1].host), (5, "::1"));
    assert_errors(&[
        (
            "--pool memcache --server a",
            "--server 'a': 'a' has no port; write a:11211",
        ),
        (
            "--pool memcache --server a:1 --server a:1:2",
            "--server: server 'a:1' is listed twice; name each once",
        ),
    ]);
}

#[test]
fn servers_of_a_file() {
    let file = ServersFile::new("10.0.0.1:11211 600\n10.0.0.2:11211 300\n");
    let line = format!("--pool memcache --servers {}", file.path());
    assert_eq!(pool(&line).servers[1].weight, 300);
    assert_eq!(pool(&format!("{line} --server b:1")).servers.len(), 3);
    assert_eq!(
        error(&format!("{line} --server 10.0.0.1:11211")),
        "--server: server '10.0.0.1:11211' is listed twice; name each once"
    );

    let file = ServersFile::new("# pool\n\n10.0.0.1:11211 x\n");
    assert_eq!(
        error(&format!("--pool memcache --servers {}", file.path())),
        format!(
            "--servers {}:3: weight 'x' is not a number from 1 to 1000000",
            file.path()
        )
    );
    assert_eq!(
        error("--pool memcache --servers /dev/zero"),
        "--servers /dev/zero: longer than 4194304 bytes; name a file of HOST:PORT WEIGHT lines"
    );
    assert_eq!(
        error("--pool memcache --servers /nowhere/servers.txt"),
        "--servers /nowhere/servers.txt: cannot be read (No such file or directory (os error 2)); \
         name a file of HOST:PORT WEIGHT lines"
    );
}

#[test]
fn placement() {
    let placement = |flags: &str| pool(&format!("{POOL} {flags}")).placement;
    for mode in HashRingMode::ALL {
        let typed = placement(&format!("--hash-ring {mode}"));
        assert_eq!(typed, Placement::of(mode));
    }
    let typed =
        placement("--hash-ring twemproxy --key-hash hsieh --distribution modula --hash-tag {}");
    let expected = Placement {
        hash_ring: HashRingMode::Twemproxy,
        key_hash: Some(KeyHash::Hsieh),
        distribution: Distribution::Modula,
        hash_tag: Some(HashTag::BRACES),
    };
    assert_eq!(typed, expected);
    let errors = [
        (
            "--hash-ring ketama",
            "--hash-ring 'ketama': not known here; write libmemcached or twemproxy or libketama or \
             spymemcached or evcache or memcached-proxy or mncaudill:SPOTS",
        ),
        (
            "--key-hash sha1",
            "--key-hash 'sha1': not known here; write one_at_a_time or md5 or crc16 or crc32 or \
             crc32a or fnv1_64 or fnv1a_64 or fnv1_32 or fnv1a_32 or hsieh or murmur or jenkins",
        ),
        (
            "--distribution rendezvous",
            "--distribution 'rendezvous': not known here; write ketama or modula or random",
        ),
        (
            "--hash-tag {",
            "--hash-tag '{': not two characters; write for example {}",
        ),
        (
            "--hash-ring evcache --key-hash md5",
            "--hash-ring evcache: evcache has one key hash and one distribution; leave out \
             --key-hash and --distribution, or choose libmemcached or twemproxy",
        ),
        (
            "--distribution random",
            "--hash-ring libmemcached: libmemcached has no distribution random; choose twemproxy",
        ),
    ];
    for (flags, message) in errors {
        assert_eq!(error(&format!("{POOL} {flags}")), message, "{flags}");
    }
    for flag in ["--key-hash md5", "--distribution modula", "--hash-tag {}"] {
        assert_eq!(
            error(flag),
            format!(
                "{}: only means something for a pool; add --pool memcache or --pool resp",
                flag.split(' ').next().expect("a flag")
            )
        );
    }
}

#[test]
fn write() {
    let write = |policy| pool(&format!("{POOL} --write {policy}")).write;
    assert_eq!(write("through"), WritePolicy::Through);
    assert_eq!(write("invalidate"), WritePolicy::Invalidate);
    assert_eq!(
        error(&format!("{POOL} --write back")),
        "--write 'back': not known here; write through or behind or invalidate"
    );
}

#[test]
fn writes_that_wait_have_a_server_and_room() {
    assert_eq!(
        pool(&format!("{POOL} --write behind")).write,
        WritePolicy::Behind
    );
    let behind = |line: &str| error(&format!("{POOL} --write behind {line}"));
    assert_eq!(
        behind("--on-eject rehash"),
        "--on-eject rehash: with --write behind keys cannot go to other servers, as their writes \
         wait for their own; leave one of them out"
    );
    assert_eq!(
        behind("--hash-ring twemproxy --distribution random"),
        "--write behind: keys of --distribution random have no server of their own; leave one of \
         them out"
    );
    assert_eq!(
        behind("--spool s --spool-size-max 64m --item-size-max 8m --memory 1g"),
        "--spool-size-max 64MiB: too small for values of --item-size-max 8MiB; raise it to 128MiB \
         or lower the other"
    );
}

#[test]
fn l1() {
    let l1 = |ttl| pool(&format!("{POOL} --l1 {ttl}")).l1;
    assert_eq!(l1("off"), L1Config::Off);
    assert_eq!(l1("500ms"), L1Config::For(Duration::from_millis(500)));
    assert_eq!(l1("1s"), L1Config::For(Duration::from_secs(1)));
    assert_eq!(l1("2m"), L1Config::For(Duration::from_secs(120)));
    let of_redis = pool("--pool resp --server a:1 --l1 tracked");
    assert_eq!(of_redis.l1, L1Config::Tracked);
    assert_eq!(
        error(&format!("{POOL} --l1 tracked")),
        "--l1 tracked: memcache servers do not tell of changes, Redis servers do; give a duration \
         instead"
    );
    let of_cluster = pool("--pool cluster --server a:1 --l1 tracked");
    assert!(of_cluster.is_cluster && of_cluster.l1 == L1Config::Tracked);
    for (ttl, reason) in [
        (
            "5",
            "not a duration; write for example 500ms, 1s, 2m, or tracked or off",
        ),
        (
            "soon",
            "not a duration; write for example 500ms, 1s, 2m, or tracked or off",
        ),
        ("0s", "out of range; write 1ms to 24h, or tracked or off"),
        ("2days", "out of range; write 1ms to 24h, or tracked or off"),
    ] {
        assert_eq!(
            error(&format!("{POOL} --l1 {ttl}")),
            format!("--l1 '{ttl}': {reason}")
        );
    }
}

/// A servers file that disappears with its owner.
pub(super) struct ServersFile(PathBuf);

impl ServersFile {
    pub(super) fn new(text: &str) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringfort-servers-{}-{number}.txt", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a servers file");
        Self(path)
    }

    pub(super) fn path(&self) -> impl std::fmt::Display {
        self.0.display()
    }
}

impl Drop for ServersFile {
    fn drop(&mut self) {
        // A file left behind in the temporary directory does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}
