//! The hash rings place keys where the real things place them: 10,000 keys are written through
//! pylibmc and through twemproxy into real memcacheds, and each memcached is asked what it holds.
//! `twemproxy_placement.rs` has all that twemproxy can be told, without servers at port 11211.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use ringfort::route::{Distribution, HashRingMode, KeyHash, Placement, Router, ServerSpec};

/// Both label rules in one ring: two servers at the port that is left out, one at another.
fn backends() -> [Memcached; 3] {
    [
        Memcached::start(Memcached::default_port),
        Memcached::start(Memcached::free_port),
        Memcached::start(Memcached::default_port),
    ]
}

#[test]
fn libmemcached_places_as_pylibmc_does() {
    let backends = backends();
    let servers = servers(&backends, ["1", "2", "3"]);
    write_with_pylibmc(&servers, "{'ketama_weighted': True}", &keys());
    assert_placement(
        Placement::of(HashRingMode::Libmemcached),
        &servers,
        &backends,
    );
}

#[test]
fn libmemcached_places_as_pylibmc_does_at_equal_weights() {
    let backends = backends();
    let servers = servers(&backends, ["1", "1", "1"]);
    write_with_pylibmc(&servers, "{'ketama_weighted': True}", &keys());
    assert_placement(
        Placement::of(HashRingMode::Libmemcached),
        &servers,
        &backends,
    );
}

/// libmemcached's other hashes (Debian builds it without Hsieh's), divided by the number of servers, and looked up in its ring.
#[test]
fn libmemcached_places_as_pylibmc_does_with_other_hashes() {
    let hashes = [
        ("default", KeyHash::OneAtATime),
        ("md5", KeyHash::Md5),
        ("crc", KeyHash::Crc32),
        ("fnv1_64", KeyHash::Fnv1_64),
        ("fnv1a_64", KeyHash::Fnv1a64),
        ("fnv1_32", KeyHash::Fnv1_32),
        ("fnv1a_32", KeyHash::Fnv1a32),
        ("murmur", KeyHash::Murmur),
        ("jenkins", KeyHash::Jenkins),
    ];
    let backends = backends();
    let mut placed = 0;
    for (name, key_hash) in hashes {
        for distribution in [Distribution::Modula, Distribution::Ketama] {
            placed += 1;
            // Keys of their own, as nobody empties the servers.
            let own = |key: &Vec<u8>| [&key[..], format!("/{placed}").as_bytes()].concat();
            let keys: Vec<_> = keys().iter().take(1_000).map(own).collect();
            let (weights, behaviors) = match distribution {
                Distribution::Ketama => (
                    ["1", "2", "3"],
                    format!("{{'ketama_weighted': True}}, {{'hash': '{name}'}}"),
                ),
                _ => (
                    ["1", "1", "1"],
                    format!("{{'distribution': 'modula', 'hash': '{name}'}}"),
                ),
            };
            let servers = servers(&backends, weights);
            write_with_pylibmc(&servers, &behaviors, &keys);
            let placement = Placement {
                key_hash: Some(key_hash),
                distribution,
                ..Placement::of(HashRingMode::Libmemcached)
            };
            assert_placement_of(&keys, placement, &servers, &backends);
        }
    }
}

#[test]
fn twemproxy_places_as_nutcracker_does() {
    let backends = backends();
    let servers = servers(&backends, ["3", "1", "2"]);
    Nutcracker::start(None, &servers).write(&keys());
    assert_placement(Placement::of(HashRingMode::Twemproxy), &servers, &backends);
}

#[test]
fn twemproxy_places_as_nutcracker_does_with_names() {
    let backends = backends();
    let servers = servers(&backends, ["1 gamma", "2 beta", "1"]);
    Nutcracker::start(None, &servers).write(&keys());
    assert_placement(Placement::of(HashRingMode::Twemproxy), &servers, &backends);
}

#[test]
fn libmemcached_places_as_nutcracker_does_with_md5() {
    let backends = backends();
    let servers = servers(&backends, ["1", "2 beta", "3"]);
    Nutcracker::start(Some("md5"), &servers).write(&keys());
    assert_placement(
        Placement::of(HashRingMode::Libmemcached),
        &servers,
        &backends,
    );
}

/// 10,000 keys of several shapes; a tenth hold bytes from 0x80 up, which twemproxy reads as signed.
fn keys() -> Vec<Vec<u8>> {
    (0..10_000_u32)
        .map(|n| match n % 10 {
            0 => [&b"\x80\xff\xc3"[..], n.to_string().as_bytes(), b"\xa9"].concat(),
            1 => format!("session:{:032x}", u128::from(n) << 90).into_bytes(),
            2 => format!("{n}").into_bytes(),
            3 => format!("a/long/path/{}/{n}", "x".repeat(200)).into_bytes(),
            _ => format!("user:{n}").into_bytes(),
        })
        .collect()
}

/// The backends as a pool would list them, each with its weight and perhaps a name.
fn servers(backends: &[Memcached; 3], weights: [&str; 3]) -> Vec<ServerSpec> {
    let line = |(backend, weight): (&Memcached, &str)| format!("{}:{weight}", backend.address);
    let lines = backends.iter().zip(weights).map(line);
    lines
        .map(|line| ServerSpec::parse_line(&line).expect("a server line"))
        .collect()
}

fn assert_placement(placement: Placement, servers: &[ServerSpec], backends: &[Memcached; 3]) {
    let held = assert_placement_of(&keys(), placement, servers, backends);
    for (server, held) in servers.iter().zip(&held) {
        assert!(
            held.contains(&true),
            "{server} holds no key, so it proves nothing"
        );
    }
}

fn assert_placement_of(
    keys: &[Vec<u8>],
    placement: Placement,
    servers: &[ServerSpec],
    backends: &[Memcached; 3],
) -> Vec<Vec<bool>> {
    let router = Router::build(placement, servers).expect("a router");
    let held: Vec<Vec<bool>> = backends.iter().map(|backend| backend.holds(keys)).collect();
    for (index, key) in keys.iter().enumerate() {
        let holders: Vec<usize> = (0..backends.len()).filter(|&n| held[n][index]).collect();
        let owner = router.owner(key).index();
        assert_eq!(
            holders,
            [owner],
            "{placement:?} {servers:?}: key {}",
            key.escape_ascii()
        );
    }
    held
}

/// Writes the keys with libmemcached, whose behaviors are set one dictionary after the other.
fn write_with_pylibmc(servers: &[ServerSpec], behaviors: &str, keys: &[Vec<u8>]) {
    const SCRIPT: &str = "\
import sys, pylibmc
client = pylibmc.Client(sys.argv[2:])
for behaviors in eval('[' + sys.argv[1] + ']'):
    client.behaviors = behaviors
for key in sys.stdin.buffer.read().split(b'\\n'):
    assert client.set(key, b'v'), key
";
    let python = std::env::var("RINGFORT_PYTHON").unwrap_or_else(|_| ".venv/bin/python".to_owned());
    let specs = servers
        .iter()
        .map(|server| format!("{}:{}", server.address(), server.weight));
    let mut child = Command::new(&python)
        .args(["-c", SCRIPT, behaviors])
        .args(specs)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{python}: {error}; install it with scripts/setup"));
    let written = child
        .stdin
        .take()
        .expect("piped")
        .write_all(&keys.join(&b'\n'));
    let output = child.wait_with_output().expect("the script's end");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        !stderr.contains("ModuleNotFoundError"),
        "{python} has no pylibmc; install it with scripts/setup"
    );
    assert!(output.status.success(), "pylibmc failed: {stderr}");
    written.expect("keys reach the script");
}

/// A child that ends with its handle.
struct Process(Child);

impl Process {
    fn spawn(command: &mut Command) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        match command.stdin(Stdio::null()).stdout(Stdio::null()).spawn() {
            Ok(child) => Self(child),
            Err(error) => panic!("{program}: {error}; install it with scripts/setup"),
        }
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child's state").is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the child is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Memcached {
    address: SocketAddrV4,
    _process: Process,
}

impl Memcached {
    /// Starts at an address of the choice given; another one if somebody else was faster there.
    fn start(choose: fn() -> SocketAddrV4) -> Self {
        for _ in 0..10 {
            let address = choose();
            let mut process = Process::spawn(
                Command::new("memcached")
                    .args(["-u", "nobody", "-U", "0", "-t", "1", "-m", "64"])
                    .args([
                        "-l",
                        &address.ip().to_string(),
                        "-p",
                        &address.port().to_string(),
                    ])
                    .stderr(Stdio::null()),
            );
            let pid = format!("STAT pid {}", process.0.id());
            if poll(&mut process, || {
                stats(address).is_ok_and(|stats| stats.contains(&pid))
            }) {
                return Self {
                    address,
                    _process: process,
                };
            }
        }
        panic!("no memcached would start");
    }

    fn free_port() -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port())
    }

    /// Port 11211 of a loopback address of its own, so that it is free even where a memcached runs.
    fn default_port() -> SocketAddrV4 {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        let process = (std::process::id() % 200) as u8;
        let next = || {
            let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            SocketAddrV4::new(Ipv4Addr::new(127, 20 + process, high, low), 11211)
        };
        let mut choices = std::iter::repeat_with(next).take(100);
        choices
            .find(|address| TcpListener::bind(address).is_ok())
            .expect("a free loopback address")
    }

    /// Which of the keys it holds.
    fn holds(&self, keys: &[Vec<u8>]) -> Vec<bool> {
        let mut stream = TcpStream::connect(self.address).expect("memcached accepts");
        let mut replies = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut held = Vec::with_capacity(keys.len());
        for key in keys {
            stream
                .write_all(&[b"get ", &key[..], b"\r\n"].concat())
                .expect("a get is sent");
            let mut line = Vec::new();
            replies.read_until(b'\n', &mut line).expect("a reply");
            let hit = line.starts_with(b"VALUE ");
            if hit {
                let mut value = [0; b"v\r\nEND\r\n".len()];
                replies.read_exact(&mut value).expect("a value");
                line = value.to_vec();
            }
            assert!(
                line.ends_with(b"END\r\n"),
                "not a reply to get: {}",
                line.escape_ascii()
            );
            held.push(hit);
        }
        held
    }
}

/// Twemproxy in front of a pool of memcacheds.
struct Nutcracker {
    port: u16,
    configuration: PathBuf,
    process: Process,
}

impl Nutcracker {
    /// With the key hash given, else its default.
    fn start(hash: Option<&str>, servers: &[ServerSpec]) -> Self {
        let (port, stats_port) = (free_port(), free_port());
        let hash = hash
            .map(|hash| format!("\n  hash: {hash}"))
            .unwrap_or_default();
        let line = |server: &ServerSpec| {
            let name = server
                .name
                .as_ref()
                .map(|name| format!(" {name}"))
                .unwrap_or_default();
            format!("\n   - {}:{}{name}", server.address(), server.weight)
        };
        let lines: String = servers.iter().map(line).collect();
        let text = format!(
            "pool:\n  listen: 127.0.0.1:{port}{hash}\n  distribution: ketama\n  servers:{lines}\n"
        );
        let name = format!("ringfort-nutcracker-{}-{port}.yml", std::process::id());
        let configuration = std::env::temp_dir().join(name);
        std::fs::write(&configuration, text).expect("a configuration is written");

        // Debian installs it where only root's PATH looks.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let process = Process::spawn(
            Command::new("nutcracker")
                .env("PATH", path)
                .arg("-c")
                .arg(&configuration)
                .args(["-v", "2", "-a", "127.0.0.1", "-s", &stats_port.to_string()]),
        );
        let mut started = Self {
            port,
            configuration,
            process,
        };
        let accepts = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        assert!(
            poll(&mut started.process, accepts),
            "nutcracker did not start"
        );
        started
    }

    fn write(&self, keys: &[Vec<u8>]) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it accepts");
        let mut replies = BufReader::new(stream.try_clone().expect("a second handle"));
        for key in keys {
            stream
                .write_all(&[b"set ", &key[..], b" 0 0 1\r\nv\r\n"].concat())
                .expect("a set is sent");
            let mut reply = Vec::new();
            replies.read_until(b'\n', &mut reply).expect("a reply");
            assert_eq!(reply.escape_ascii().to_string(), "STORED\\r\\n");
        }
    }
}

impl Drop for Nutcracker {
    fn drop(&mut self) {
        // A file left behind in the temporary directory does no harm.
        let _ = std::fs::remove_file(&self.configuration);
    }
}

/// Asks until the answer is yes; false if the process ended first.
fn poll(process: &mut Process, ready: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if process.has_ended() {
            return false;
        }
        if ready() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("a server neither started nor ended within 30 s");
}

fn stats(address: SocketAddrV4) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"stats\r\nquit\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
