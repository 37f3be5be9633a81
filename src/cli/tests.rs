//! Each flag, well and badly used, without a process of its own.

mod backend;
mod cluster;
mod group;
mod nutcracker;
mod peers;
mod pool;
mod replicas;

use std::time::Duration;

use super::*;

/// The CPUs of the machine that these tests imagine.
const ALLOWED: [usize; 4] = [0, 1, 4, 5];

/// Words separated by spaces.
fn parse(line: &str) -> Result<Command, CliError> {
    Command::parse_on(&ALLOWED, format!("ringfort {line}").split_whitespace())
}

fn config(line: &str) -> Config {
    match parse(line) {
        Ok(Command::Serve(config)) => *config,
        other => panic!("{line}: {other:?}"),
    }
}

/// The error's line without its `ringfort: error: `.
fn error(line: &str) -> String {
    let error = parse(line).expect_err(line).to_string();
    assert!(!error.contains('\n'), "one line: {error:?}");
    error
        .strip_prefix("ringfort: error: ")
        .expect("it says whose error it is")
        .to_owned()
}

fn assert_errors(cases: &[(&str, &str)]) {
    for (line, message) in cases {
        assert_eq!(error(line), *message, "{line}");
    }
}

fn printed(line: &str) -> String {
    match parse(line) {
        Ok(Command::Print(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn nothing_typed_is_the_default() {
    let expected = Config {
        memcache: Some("127.0.0.1:11211".parse().expect("address")),
        resp: Some("127.0.0.1:6379".parse().expect("address")),
        cores: vec![0, 1, 4, 5],
        memory_bytes: 1 << 30,
        item_bytes_max: 1 << 20,
        eviction: Eviction::Lru,
        connections_max: 10_000,
        allows_shutdown: false,
        speed: SpeedConfig::default(),
        mode: Mode::Embedded,
        log: tracing::Level::WARN,
    };
    assert_eq!(config(""), expected);
}

#[test]
fn listeners() {
    let typed = config("--memcache 0.0.0.0:0 --resp [::1]:7000");
    assert_eq!(typed.memcache, Some("0.0.0.0:0".parse().expect("address")));
    assert_eq!(typed.resp, Some("[::1]:7000".parse().expect("address")));
    let off = config("--memcache off");
    assert_eq!((off.memcache, off.resp), (None, Some(RESP_DEFAULT)));

    const REMEDY: &str =
        "not an IP address and port; write for example 127.0.0.1:11211, [::1]:11211 or off";
    for value in [
        "localhost:1",
        "127.0.0.1",
        ":11211",
        "127.0.0.1:65536",
        "OFF",
        "::1:1",
    ] {
        for flag in ["--memcache", "--resp"] {
            assert_eq!(
                error(&format!("{flag} {value}")),
                format!("{flag} '{value}': {REMEDY}")
            );
        }
    }
    assert_errors(&[
        (
            "--memcache off --resp off",
            "--memcache off --resp off: nothing would be served; leave one on",
        ),
        (
            "--memcache 127.0.0.1:6379",
            "--memcache 127.0.0.1:6379 --resp 127.0.0.1:6379: both want one port; give them \
             different ones",
        ),
    ]);
}

#[test]
fn connections_max() {
    assert_eq!(config("--connections-max 1").connections_max, 1);
    assert_eq!(
        config("--connections-max 1000000").connections_max,
        1_000_000
    );
    const REMEDY: &str = "out of range; write a number from 1 to 1000000";
    for value in ["0", "1000001", "many", "-1", ""] {
        assert_eq!(
            error(&format!("--connections-max={value}")),
            format!("--connections-max '{value}': {REMEDY}")
        );
    }
}

#[test]
fn spin() {
    let spin = |typed: &str| config(typed).speed.spin;
    assert_eq!(spin("--spin 50us"), Duration::from_micros(50));
    assert_eq!(spin("--spin 1s"), Duration::from_secs(1));
    assert_eq!(spin("--spin 1ms --spin off"), Duration::ZERO);
    for (typed, expected) in [
        ("--spin 2s", "1us to 1s, or off"),
        ("--spin 50", "50us, 1ms, or off"),
        ("--spin 0us", "1us to 1s, or off"),
    ] {
        let error = error(typed);
        assert!(error.contains(expected), "{typed}: {error}");
    }
}

#[test]
fn enable_shutdown() {
    assert!(config("--enable-shutdown").allows_shutdown);
    assert!(config("--enable-shutdown --enable-shutdown").allows_shutdown);
    assert!(!config("").allows_shutdown);
}

#[test]
fn cores_and_shards() {
    let cores = |line| config(line).cores;
    assert_eq!(cores("--cores 4"), [4]);
    assert_eq!(cores("--cores 5,0-1"), [5, 0, 1]);
    assert_eq!(cores("--shards 2"), [0, 1]);
    assert_eq!(cores("--shards 2 --cores 4-5,0"), [4, 5]);
    assert_errors(&[
        (
            "--cores 0,2-5",
            "--cores 2: not a CPU that this process may use; choose from 0-1,4-5",
        ),
        (
            "--cores 0,1,0",
            "--cores '0,1,0': CPU 0 is in it twice; name each once",
        ),
        ("--cores 5-4", "--cores '5-4': 5-4 counts down; write 4-5"),
        (
            "--shards 5",
            "--shards 5: more than the allowed CPUs (0-1,4-5); ask for at most 4",
        ),
        (
            "--shards 2 --cores 4",
            "--shards 2: more than --cores (4); ask for at most 1",
        ),
        (
            "--shards 0",
            "--shards '0': out of range; write a number from 1 to 256",
        ),
        (
            "--shards 257",
            "--shards '257': out of range; write a number from 1 to 256",
        ),
    ]);
    for list in ["all", "0,", "0-", "0-1-2", "0-1024", "99999999999999999999"] {
        assert_eq!(
            error(&format!("--cores={list}")),
            format!("--cores '{list}': not a list of CPU numbers; write for example 0,2-5")
        );
    }
}

#[test]
fn many_cores() {
    let cores: Vec<usize> = (0..300).collect();
    let Ok(Command::Serve(config)) = Command::parse_on(&cores, ["ringfort"]) else {
        panic!("the default serves on any machine");
    };
    assert_eq!(config.cores.len(), SHARDS_MAX);
    assert_eq!(config.memory_bytes, SHARDS_MAX * 16 * 1024 * 1024);
    let unknown = Command::parse_on(&[], ["ringfort"]).expect_err("no CPUs");
    assert!(unknown.to_string().contains("--cores: "), "{unknown}");
}

#[test]
fn sizes() {
    let sizes = [
        ("1048576000", 1_048_576_000),
        ("1048576000b", 1_048_576_000),
        ("1000000k", 1_024_000_000),
        ("1000000KiB", 1_024_000_000),
        ("1000000kB", 1_000_000_000),
        ("64MiB", 64 << 20),
        ("64m", 64 << 20),
        ("64M", 64 << 20),
        ("100MB", 100_000_000),
        ("1GiB", 1 << 30),
        ("1g", 1 << 30),
        ("1GB", 1_000_000_000),
    ];
    for (text, bytes) in sizes {
        assert_eq!(
            config(&format!("--shards 1 --memory {text}")).memory_bytes,
            bytes,
            "{text}"
        );
    }
    for text in [
        "",
        "MiB",
        "1.5GiB",
        "-1",
        "+1",
        "1 MiB",
        "1x",
        "0x10",
        "99999999999g",
    ] {
        let args = ["ringfort".to_owned(), format!("--memory={text}")];
        assert_eq!(
            Command::parse_on(&ALLOWED, args)
                .expect_err(text)
                .to_string(),
            format!(
                "ringfort: error: --memory '{text}': not a size; write for example 64MiB, 1g or \
                 1048576"
            )
        );
    }
}

#[test]
fn memory_follows_from_shards_and_item_size() {
    assert_eq!(config("--memory 32MiB --shards 2").memory_bytes, 32 << 20);
    assert_eq!(
        error("--memory 16MiB --shards 2"),
        "--memory 16MiB: too small for --shards 2 and --item-size-max 1MiB; raise it to 32MiB or \
         lower one of them"
    );
    assert_eq!(
        error("--memory 64MiB --shards 1 --item-size-max 8MiB"),
        "--memory 64MiB: too small for --shards 1 and --item-size-max 8MiB; raise it to 72MiB or \
         lower one of them"
    );
}

#[test]
fn eviction() {
    assert_eq!(config("").eviction, Eviction::Lru);
    assert_eq!(config("--eviction lru").eviction, Eviction::Lru);
    let s3_fifo = config("--eviction s3fifo --memory 18MiB --shards 1");
    assert_eq!(s3_fifo.eviction, Eviction::S3Fifo);
    assert_eq!(s3_fifo.store_params().eviction, Eviction::S3Fifo);
    assert_errors(&[
        (
            "--eviction lfu",
            "--eviction 'lfu': not known here; write lru or s3fifo",
        ),
        (
            "--eviction s3fifo --memory 17MiB --shards 1",
            "--memory 17MiB: too small for --shards 1 and --item-size-max 1MiB; raise it to 18MiB \
             or lower one of them",
        ),
    ]);
}

#[test]
fn item_size_max() {
    assert_eq!(config("--item-size-max 1KiB").item_bytes_max, 1024);
    assert_eq!(config("--item-size-max 8m").item_bytes_max, 8 << 20);
    assert_errors(&[
        (
            "--item-size-max 1023",
            "--item-size-max '1023': out of range; write 1KiB to 8MiB",
        ),
        (
            "--item-size-max 9m",
            "--item-size-max '9m': out of range; write 1KiB to 8MiB",
        ),
        (
            "--item-size-max big",
            "--item-size-max 'big': not a size; write for example 64MiB, 1g or 1048576",
        ),
    ]);
}

#[test]
fn log() {
    use tracing::Level;
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    for (text, level) in levels {
        assert_eq!(config(&format!("--log {text}")).log, level);
    }
    assert_eq!(
        error("--log loud"),
        "--log 'loud': not known here; write error or warn or info or debug or trace"
    );
}

#[test]
fn a_flag_given_twice_counts_as_given_last() {
    assert_eq!(
        config("--memcache off --memcache 127.0.0.1:1 --resp off --memory 1g --memory 128m")
            .memory_bytes,
        128 << 20
    );
    let twice = "explain k --server a:1 --hash-ring libketama --hash-ring twemproxy";
    assert!(matches!(parse(twice), Ok(Command::Explain(_))));
}

#[test]
fn claps_own_errors_have_our_shape() {
    assert_errors(&[
        ("--fnord", "--fnord: no such flag; see ringfort --help"),
        ("--shard 2", "--shard: no such flag; did you mean --shards?"),
        ("-m 64", "-m: no such flag; see ringfort --help"),
        (
            "serve",
            "'serve': not a flag or command; see ringfort --help",
        ),
        (
            "--memory",
            "--memory: the value is missing; write --memory <SIZE>",
        ),
        (
            "explain",
            "explain: <KEY> is missing; write ringfort explain KEY --servers FILE",
        ),
        (
            "explain a b",
            "'b': not a flag or command; see ringfort --help",
        ),
        (
            "explain a --memory 1g",
            "--memory: no such flag; see ringfort --help",
        ),
        (
            "--memory 1g explain a",
            "the subcommand 'explain' cannot be used with '--memory <SIZE>'; see ringfort --help",
        ),
    ]);
}

#[test]
fn what_was_typed_cannot_break_the_line() {
    let error = Command::parse_on(&ALLOWED, ["ringfort", "--log", "a\nb\x1b[2J"]);
    assert!(
        error
            .expect_err("a level")
            .to_string()
            .contains(r"--log 'a\nb\u{1b}[2J': ")
    );
}

#[test]
fn help_has_a_line_for_each_flag() {
    let help = printed("--help");
    let flags = [
        "--memcache",
        "--resp",
        "--connections-max",
        "--shards",
        "--cores",
        "--memory",
        "--item-size-max",
        "--eviction",
        "--log",
        "--pool",
        "--servers",
        "--server",
        "--hash-ring",
        "--write",
        "--l1",
    ];
    for flag in flags {
        let lines: Vec<&str> = help
            .lines()
            .filter(|line| line.trim_start().starts_with(&format!("{flag} ")))
            .collect();
        assert_eq!(lines.len(), 1, "{flag}");
        assert!(
            lines[0].contains(" [default: ") && lines[0].ends_with(']'),
            "{}",
            lines[0]
        );
    }
    for heading in ["Listeners:", "Resources:", "Pool:"] {
        assert!(help.lines().any(|line| line == heading), "{heading}");
    }
    assert_eq!(printed("-h"), help);
}

#[test]
fn version() {
    assert_eq!(
        printed("--version"),
        format!("ringfort {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn explain() {
    let Ok(Command::Explain(explain)) = parse("explain user:1 --server a:11211 --server b:11211:2")
    else {
        panic!("an explanation");
    };
    assert!(
        explain[0].to_string().contains("\nowner     "),
        "{explain:?}"
    );
    assert_errors(&[
        (
            "explain k",
            "explain: no servers; add --servers FILE or --server HOST:PORT",
        ),
        (
            "explain k --hash-ring md5",
            "--hash-ring 'md5': not known here; write libmemcached or twemproxy or libketama or \
             spymemcached or evcache or memcached-proxy or mncaudill:SPOTS",
        ),
    ]);
}
