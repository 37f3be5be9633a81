//! `--nutcracker` and the flags beside it.

use super::pool::ServersFile;
use super::*;
use crate::config::{BACKEND_TIMEOUT_DEFAULT, EjectConfig, OnEject, Readmit};

const FILE: &str = "\
one:
  listen: 127.0.0.1:22121
  client_connections: 77
  servers:
  - 10.0.0.1:11211:1
  - 10.0.0.2:11211:1
two:
  listen: 127.0.0.1:22122
  redis: true
  timeout: 400
  servers:
  - 10.0.0.1:6379:1 a
";

fn pools(line: &str) -> Pools {
    match parse(line) {
        Ok(Command::ServePools(pools)) => pools,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn each_pool_is_served_at_its_address() {
    let file = ServersFile::new(FILE);
    let Pools { configs, notes } = pools(&format!(
        "--nutcracker {} --shards 2 --memory 128MiB --l1 1s --write invalidate",
        file.path()
    ));
    let [one, two] = &configs[..] else {
        panic!("two pools: {configs:?}");
    };
    let address = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!((one.memcache, one.resp), (address(22121), None));
    assert_eq!((two.memcache, two.resp), (None, address(22122)));
    for config in &configs {
        assert_eq!((config.memory_bytes, config.cores.len()), (64 << 20, 2));
        let Mode::Pool(pool) = &config.mode else {
            panic!("a pool");
        };
        assert_eq!(pool.write, WritePolicy::Invalidate);
        assert_eq!(pool.l1, L1Config::For(Duration::from_secs(1)));
        assert_eq!(pool.placement, Placement::of(HashRingMode::Twemproxy));
    }
    let note = format!(
        "{}:3: pool 'one', client_connections: --connections-max is the limit, for all pools together",
        file.path()
    );
    assert_eq!(notes, [note]);
    let timeout = |config: &Config| match &config.mode {
        Mode::Pool(pool) => pool.backend.timeout,
        Mode::Embedded | Mode::Group(_) => panic!("a pool"),
    };
    assert_eq!(timeout(one), BACKEND_TIMEOUT_DEFAULT);
    assert_eq!(timeout(two), Duration::from_millis(400));
}

#[test]
fn a_file_brings_its_own_pools() {
    let file = ServersFile::new(FILE);
    for flag in [
        "--memcache off",
        "--resp 127.0.0.1:1",
        "--pool memcache",
        "--servers servers.txt",
        "--server a:1",
        "--hash-ring twemproxy",
        "--key-hash md5",
        "--distribution modula",
        "--hash-tag {}",
        "--backend-timeout 1s",
    ] {
        let name = flag.split(' ').next().expect("a flag");
        assert_eq!(
            error(&format!("--nutcracker {} {flag}", file.path())),
            format!(
                "{name}: the file of --nutcracker has its pools' own; leave one of the two out"
            )
        );
    }
    assert_eq!(
        error("--nutcracker /nowhere/n.yml"),
        "--nutcracker /nowhere/n.yml: cannot be read (No such file or directory (os error 2)); \
         name twemproxy's configuration"
    );
}

fn eject(config: &Config) -> &EjectConfig {
    match &config.mode {
        Mode::Pool(pool) => &pool.backend.eject,
        Mode::Embedded | Mode::Group(_) => panic!("a pool"),
    }
}

#[test]
fn flags_about_ejection_count_where_the_file_says_nothing() {
    let text = FILE.replace("  timeout: 400\n", "  auto_eject_hosts: true\n");
    let file = ServersFile::new(&text);
    let with = |flags: &str| pools(&format!("--nutcracker {} {flags}", file.path())).configs;
    let of_file = EjectConfig {
        policy: OnEject::Rehash,
        after: Some(2),
        rest: Duration::from_secs(30),
        ..EjectConfig::default()
    };
    let configs = with("");
    assert_eq!(*eject(&configs[0]), EjectConfig::default());
    assert_eq!(*eject(&configs[1]), of_file);
    let configs = with("--on-eject miss --eject-after 7 --readmit flush");
    let of_flags = EjectConfig {
        policy: OnEject::Miss,
        after: Some(7),
        ..EjectConfig::default()
    };
    assert_eq!(*eject(&configs[0]), of_flags);
    let flushed = EjectConfig {
        readmit: Readmit::Flush,
        ..of_file
    };
    assert_eq!(*eject(&configs[1]), flushed);

    let plain = ServersFile::new(FILE);
    for (flags, message) in [
        (
            "--failover-server c:1",
            "--failover-server: cannot stand in for all pools of --nutcracker; leave one of the \
             two out",
        ),
        (
            "--failover-ttl 1m",
            "--failover-ttl: pools of --nutcracker have no servers to go to; leave one of the two \
             out",
        ),
        (
            "--on-eject failover",
            "--on-eject failover: pools of --nutcracker have no servers to go to; write error, \
             miss or rehash",
        ),
        (
            "--readmit flush",
            "--readmit flush: in no pool of --nutcracker a server misses anything; leave it out",
        ),
    ] {
        let line = format!("--nutcracker {} {flags}", plain.path());
        assert_eq!(error(&line), message);
    }
}

#[test]
fn connections_are_named_where_servers_take_names() {
    let file = ServersFile::new(FILE);
    let names = |flags: &str| {
        let configs = pools(&format!("--nutcracker {} {flags}", file.path())).configs;
        let name = |config: &Config| match &config.mode {
            Mode::Pool(pool) => pool.backend.name.clone(),
            Mode::Embedded | Mode::Group(_) => panic!("a pool"),
        };
        configs.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(""), [None, Some("ringfort".into())]);
    assert_eq!(
        names("--backend-name front-1"),
        [None, Some("front-1".into())]
    );
    assert_eq!(names("--backend-name off"), [None, None]);
}

#[test]
fn pools_have_to_go_together() {
    let twice = "a:\n  listen: 127.0.0.1:1\n  servers:\n  - s:1:1\nb:\n  listen: 0.0.0.0:1\n  servers:\n  - s:1:1\n";
    let file = ServersFile::new(twice);
    assert_eq!(
        error(&format!("--nutcracker {}", file.path())),
        format!(
            "--nutcracker {}: 0.0.0.0:1: two pools want this port; give them different ones",
            file.path()
        )
    );
    let own = "a:\n  listen: 127.0.0.1:1\n  servers:\n  - 127.0.0.1:1:1\n";
    let file = ServersFile::new(own);
    assert_eq!(
        error(&format!("--nutcracker {}", file.path())),
        format!(
            "--nutcracker {}:1: pool 'a', --memcache: server 127.0.0.1:1 of the pool is this \
             listener; move one of them",
            file.path()
        )
    );
}

#[test]
fn a_key_is_explained_in_each_pool() {
    let file = ServersFile::new(FILE);
    let Ok(Command::Explain(explains)) =
        parse(&format!("explain foo --nutcracker {}", file.path()))
    else {
        panic!("explanations");
    };
    let answers: Vec<String> = explains.iter().map(ToString::to_string).collect();
    assert_eq!(answers.len(), 2);
    assert!(answers[0].starts_with("pool      one\nring      twemproxy\n"));
    assert!(answers[1].contains("\nowner     10.0.0.1:6379 weight 1 name a\n"));
}
