//! The promise: with `--read-from`, replicas answer reads and nothing else; what was written through ringfort a
//! moment ago is read from the master; and whatever a replica says or breaks, no client gets an error as long as
//! another server can answer. Only one that stands still, and says nothing, costs who has just asked it their time.

mod support;

#[path = "support/linearizability.rs"]
mod checker;
#[path = "replicas/cluster.rs"]
mod cluster;
#[path = "replicas/commands.rs"]
mod commands;
#[path = "replicas/history.rs"]
mod history;
#[path = "support/sim/register.rs"]
mod register;
#[path = "histories/speaker.rs"]
mod speaker;
#[path = "replicas/trouble.rs"]
mod trouble;

use support::backends::Backend;
use support::gate::{Fault, Gate};
use support::ringfort::Ringfort;
use support::wait_for;
use support::wire::Wire;

const KEY_COUNT: usize = 40;

/// What a master is called where servers have different values on purpose.
const MASTER: &str = "master";

/// A master, replicas that follow it by way of a gate each, and a ringfort that is told of all.
struct Pool {
    master: Backend,
    replicas: Vec<Backend>,
    /// Between each replica and the master.
    gates: Vec<Gate>,
    /// Between ringfort and each replica.
    doors: Vec<Gate>,
    ringfort: Option<Ringfort>,
}

impl Pool {
    /// So many replicas, which take writes, so that a test can tell by a value who was read.
    fn start(replica_count: usize, flags: &[&str]) -> Self {
        let mut pool = Self::without_ringfort(replica_count, "");
        pool.start_ringfort(flags);
        pool
    }

    fn without_ringfort(replica_count: usize, extra: &str) -> Self {
        let master = Backend::redis_with("--repl-diskless-sync-delay 0");
        let extra = format!("--replica-read-only no {extra}");
        let replicas: Vec<Backend> = (0..replica_count)
            .map(|_| Backend::redis_with(extra.trim_end()))
            .collect();
        let gates: Vec<Gate> = replicas
            .iter()
            .map(|_| Gate::open_before(master.address()))
            .collect();
        let doors = replicas
            .iter()
            .map(|replica| Gate::open_before(replica.address()));
        let pool = Self {
            doors: doors.collect(),
            master,
            replicas,
            gates,
            ringfort: None,
        };
        for number in 0..replica_count {
            pool.follow(number);
        }
        pool
    }

    fn start_ringfort(&mut self, flags: &[&str]) {
        let master = self.master.address().to_string();
        let mut args = vec![
            "--pool".to_owned(),
            "resp".into(),
            "--server".into(),
            master.clone(),
        ];
        for door in &self.doors {
            args.push("--replica".into());
            args.push(format!("{master}={}", door.address()));
        }
        let common = "--resp 127.0.0.1:0 --shards 2 --memory 64MiB --backend-timeout 2s";
        args.extend(common.split(' ').map(str::to_owned));
        args.extend(flags.iter().map(|&flag| flag.to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.ringfort = Some(Ringfort::start_exactly(&args));
    }

    /// Has a replica follow the master, until it has all that the master has.
    fn follow(&self, number: usize) {
        let port = self.gates[number].address().port();
        let mut wire = self.replicas[number].connect();
        wire.ask(format!("REPLICAOF 127.0.0.1 {port}\r\n"), "+OK\r\n");
        self.wait_until_following(number);
    }

    fn wait_until_following(&self, number: usize) {
        wait_for("a replica to follow its master", || {
            let text = info(&self.replicas[number], "replication");
            text.contains("master_link_status:up").then_some(())
        });
    }

    /// Until reads of all keys are answered by these, and no others, whichever shard is asked. At the start a shard
    /// does not know yet whether replicas follow.
    fn wait_for_readers(&self, readers: &[&str]) {
        for _ in 0..8 {
            let mut wire = self.connect();
            wait_for("reads to go where they are meant to", || {
                (kinds(&self.readers(&mut wire)) == readers).then_some(())
            });
        }
    }

    fn connect(&self) -> Wire {
        let ringfort = self.ringfort.as_ref().expect("a ringfort");
        Wire::connect(ringfort.resp())
    }

    /// A number out of INFO.
    fn stat(&self, name: &str) -> Option<u64> {
        let mut wire = self.connect();
        stat(&mut wire, name)
    }

    /// Gives every server a value of its own for each key, so that a reply tells who gave it; only then, with nothing
    /// written lately, the test goes on.
    fn mark(&self) {
        let mut master = self.master.connect();
        for key in 0..KEY_COUNT {
            set(&mut master, key, MASTER);
        }
        let mark = format!("{:?}", std::time::Instant::now()).replace(' ', "");
        master.ask(format!("SET mark {mark}\r\n"), "+OK\r\n");
        for (number, replica) in self.replicas.iter().enumerate() {
            let mut wire = replica.connect();
            wait_for("a replica to have all keys", || {
                wire.send(b"GET mark\r\n");
                (bulk(&mut wire).as_ref() == Some(&mark)).then_some(())
            });
            for key in 0..KEY_COUNT {
                set(&mut wire, key, &replica_name(number));
            }
        }
    }

    /// Who answers for each key.
    fn readers(&self, wire: &mut Wire) -> Vec<String> {
        (0..KEY_COUNT)
            .map(|key| get(wire, key).expect("a value"))
            .collect()
    }
}

/// Each name once, in order.
fn kinds(names: &[String]) -> Vec<&str> {
    let mut kinds: Vec<&str> = names.iter().map(String::as_str).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn replica_name(number: usize) -> String {
    format!("replica-{number}")
}

fn set(wire: &mut Wire, key: usize, value: &str) {
    wire.ask(format!("SET k{key} {value}\r\n"), "+OK\r\n");
}

/// Panics on an error: there is none to be had in these tests.
fn get(wire: &mut Wire, key: usize) -> Option<String> {
    wire.send(format!("GET k{key}\r\n").as_bytes());
    bulk(wire)
}

fn bulk(wire: &mut Wire) -> Option<String> {
    let line = wire.line();
    let len = line.strip_prefix('$');
    let len = len.unwrap_or_else(|| panic!("not a string: {line}"));
    let len: usize = len.parse().ok()?;
    let bytes = wire.bytes(len + 2);
    Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

fn stat(wire: &mut Wire, name: &str) -> Option<u64> {
    wire.send(b"INFO stats\r\n");
    let text = bulk(wire)?;
    let prefix = format!("{name}:");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix))?;
    line.parse().ok()
}

/// What a server says of itself.
fn info(server: &Backend, section: &str) -> String {
    let mut wire = server.connect();
    wire.send(format!("INFO {section}\r\n").as_bytes());
    bulk(&mut wire).expect("a text")
}

/// How often a server executed a command.
fn calls(server: &Backend, command: &str) -> u64 {
    let text = info(server, "commandstats");
    let prefix = format!("cmdstat_{command}:calls=");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
    let count = line.and_then(|line| line.split(',').next()?.parse().ok());
    count.unwrap_or(0)
}

#[test]
fn each_policy_reads_from_whom_it_says() {
    for (policy, readers) in [
        ("prefer-master", &[MASTER][..]),
        ("replica", &["replica-0", "replica-1"]),
        ("prefer-replica", &["replica-0", "replica-1"]),
        ("any", &[MASTER, "replica-0", "replica-1"]),
    ] {
        let mut pool = Pool::without_ringfort(2, "");
        pool.mark();
        pool.start_ringfort(&["--read-from", policy]);
        pool.wait_for_readers(readers);
        let mut wire = pool.connect();
        let seen = pool.readers(&mut wire);
        assert_eq!(
            pool.readers(&mut wire),
            seen,
            "{policy}: a key stays where it is"
        );
    }
}

/// Nothing is said of `--read-from`, and nothing is read from anybody else.
#[test]
fn masters_are_read_from_unless_replicas_are_asked_for() {
    let (server, other) = (Backend::redis(), Backend::redis());
    let port = server.address().port();
    let follow = format!("REPLICAOF 127.0.0.1 {port}\r\n");
    other.connect().ask(follow, "+OK\r\n");
    let server_flag = server.address().to_string();
    let flags = [
        "--pool",
        "resp",
        "--server",
        &server_flag,
        "--resp",
        "127.0.0.1:0",
    ];
    let small = ["--shards", "1", "--memory", "64MiB"];
    let ringfort = Ringfort::start_exactly(&[&flags[..], &small].concat());
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("SET k v\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n");
    assert_eq!(calls(&server, "role"), 0);
    assert_eq!(calls(&other, "get"), 0);
    assert_eq!(stat(&mut wire, "backend_replica_reads"), Some(0));
}

/// The way from the master to the replica takes for ever here.
#[test]
fn what_was_written_lately_is_read_from_the_master() {
    let pool = Pool::start(
        1,
        &["--read-from", "prefer-replica", "--replica-lag", "60s"],
    );
    pool.mark();
    pool.wait_for_readers(&["replica-0"]);
    pool.gates[0].strike(Fault::Swallow);
    let (mut writer, mut reader) = (pool.connect(), pool.connect());
    for key in 0..KEY_COUNT {
        set(&mut writer, key, "new");
        assert_eq!(get(&mut reader, key).as_deref(), Some("new"), "{key}");
        assert_eq!(get(&mut writer, key).as_deref(), Some("new"), "{key}");
    }
    assert!(pool.stat("backend_recent_reads").expect("a number") >= 2 * KEY_COUNT as u64);
    // In other ways, too: several keys at once, a transaction, a script, all keys.
    writer.ask("MSET m1 new m2 new\r\n", "+OK\r\n");
    reader.ask("MGET m1 m2\r\n", "*2\r\n$3\r\nnew\r\n$3\r\nnew\r\n");
    writer.ask(
        "MULTI\r\nSET t new\r\nEXEC\r\n",
        "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n",
    );
    reader.ask("GET t\r\n", "$3\r\nnew\r\n");
    let script = "EVAL \"return redis.call('SET', KEYS[1], 'new')\" 1 s\r\n";
    writer.ask(script, "+OK\r\n");
    reader.ask("GET s\r\n", "$3\r\nnew\r\n");
    writer.ask("RENAME s r\r\n", "+OK\r\n");
    reader.ask("EXISTS s r\r\nSTRLEN r\r\n", ":1\r\n:3\r\n");
    writer.ask("DEL k0 k1\r\n", ":2\r\n");
    reader.ask("EXISTS k0 k1 k2\r\n", ":1\r\n");
    writer.ask(
        "RPUSH l x\r\nBLPOP l 0\r\n",
        ":1\r\n*2\r\n$1\r\nl\r\n$1\r\nx\r\n",
    );
    reader.ask("LLEN l\r\n", ":0\r\n");
    // A script without keys may have written any.
    let script = "EVAL \"return redis.call('SET', 'u', 'new')\" 0\r\n";
    writer.ask(
        format!("MULTI\r\nSET k8 x\r\n{script}EXEC\r\n"),
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n",
    );
    reader.ask("GET u\r\n", "$3\r\nnew\r\n");
    writer.ask("FLUSHALL\r\n", "+OK\r\n");
    reader.ask("GET k9\r\n", "$-1\r\n");
    assert_eq!(calls(&pool.replicas[0], "flushall"), 0, "it was not asked");
}

/// Where nothing is said to be recent, a pipeline is still answered as by one server.
#[test]
fn one_pipeline_reads_its_own_writes_and_does_not_write_before_its_reads() {
    let pool = Pool::start(
        1,
        &["--read-from", "prefer-replica", "--replica-lag", "off"],
    );
    pool.mark();
    pool.wait_for_readers(&["replica-0"]);
    pool.gates[0].strike(Fault::Swallow);
    let mut wire = pool.connect();
    let value = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    for key in 0..KEY_COUNT {
        let requests = format!("GET k{key}\r\nSET k{key} a\r\nGET k{key}\r\nMGET k{key}\r\n");
        let replies = [
            value("replica-0"),
            "+OK\r\n".into(),
            value("a"),
            format!("*1\r\n{}", value("a")),
        ];
        wire.ask(requests, replies.concat());
        wire.ask(format!("GET k{key}\r\n"), value("replica-0"));
    }
    // The replica owes an answer, so the write behind it is not sent.
    pool.replicas[0].pause();
    wire.send(b"GET k0\r\nSET k0 b\r\nGET k1\r\nDEL k1 k2\r\n");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut master = pool.master.connect();
    master.ask("MGET k0 k1\r\n", "*2\r\n$1\r\na\r\n$1\r\na\r\n");
    pool.replicas[0].resume();
    wire.expect(format!("{0}+OK\r\n{0}:2\r\n", value("replica-0")).as_bytes());
    master.ask("MGET k0 k1\r\n", "*2\r\n$1\r\nb\r\n$-1\r\n");
}
