//! The real servers: memcached, redis-server and nutcracker (twemproxy), each on a port of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use super::process::{Process, ScratchFolder, Signal, free_port};
use super::wire::Wire;

/// Which program a [`Backend`] runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memcached,
    /// A memcached that does nothing in the background.
    StillMemcached,
    Redis,
    /// A redis-server that is a cluster of its own, without a slot.
    ClusterRedis,
    /// A memcached that wants a user and a password.
    LockedMemcached,
    Nutcracker,
}

/// A real server that can be stopped, started again on the same port, and frozen. Dropping it kills it.
pub(crate) struct Backend {
    kind: Kind,
    port: u16,
    folder: ScratchFolder,
    /// More arguments.
    extra: String,
    process: Option<Process>,
}

impl Backend {
    /// A memcached with 64 MiB and one thread.
    pub(crate) fn memcached() -> Self {
        Self::start(Kind::Memcached, |_| String::new())
    }

    /// The same with more arguments, for example one more address to listen at.
    pub(crate) fn memcached_with(extra: &str) -> Self {
        Self::start_with(Kind::Memcached, extra, |_| String::new())
    }

    /// As [`Self::memcached`], without the threads that look after entries and hold on to them now and then, which
    /// shows in whether a number is written in place.
    pub(crate) fn still_memcached() -> Self {
        Self::start(Kind::StillMemcached, |_| String::new())
    }

    /// A redis-server that keeps nothing on disk.
    pub(crate) fn redis() -> Self {
        Self::redis_with("")
    }

    /// The same with more arguments, for example `--requirepass secret`.
    pub(crate) fn redis_with(extra: &str) -> Self {
        Self::start_with(Kind::Redis, extra, |_| String::new())
    }

    /// A memcached that wants a user and a password.
    pub(crate) fn memcached_with_password(user: &str, password: &str) -> Self {
        Self::start(Kind::LockedMemcached, |_| format!("{user}:{password}\n"))
    }

    /// Where a redis-server listens beside its port.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// As [`Self::redis`], with its cluster's part switched on.
    pub(crate) fn cluster_redis() -> Self {
        Self::start(Kind::ClusterRedis, |_| String::new())
    }

    /// The same with more arguments, for example a timeout.
    pub(crate) fn cluster_redis_with(extra: &str) -> Self {
        Self::start_with(Kind::ClusterRedis, extra, |_| String::new())
    }

    /// A nutcracker in front of memcacheds: libmemcached's weighted ring over `servers`.
    pub(crate) fn nutcracker(servers: &[SocketAddr]) -> Self {
        let servers: String = servers
            .iter()
            .map(|server| format!("    - {server}:1\n"))
            .collect();
        Self::start(Kind::Nutcracker, move |port| {
            format!(
                "pool:\n  listen: 127.0.0.1:{port}\n  hash: md5\n  distribution: ketama\n  \
                 preconnect: true\n  servers:\n{servers}"
            )
        })
    }

    /// A nutcracker with a configuration of the test's own, made for the port of its first pool, whose servers are
    /// memcacheds.
    pub(crate) fn nutcracker_with(config: impl Fn(u16) -> String) -> Self {
        Self::start(Kind::Nutcracker, config)
    }

    /// Another process may take the port between our look and the start: then the next port is tried.
    fn start(kind: Kind, config: impl Fn(u16) -> String) -> Self {
        Self::start_with(kind, "", config)
    }

    fn start_with(kind: Kind, extra: &str, config: impl Fn(u16) -> String) -> Self {
        const ATTEMPT_COUNT: usize = 10;
        for _ in 0..ATTEMPT_COUNT {
            let port = free_port();
            let folder = ScratchFolder::new();
            folder.write("config", &config(port));
            let mut backend = Self {
                kind,
                port,
                folder,
                extra: extra.to_owned(),
                process: None,
            };
            if backend.try_start().is_ok() {
                return backend;
            }
        }
        panic!("{kind:?} did not start on any of {ATTEMPT_COUNT} ports");
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A raw connection to it.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.address())
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Kills it: what it held is gone, its port refuses.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port, empty. It must be stopped.
    pub(crate) fn restart(&mut self) {
        assert!(self.process.is_none(), "{:?} runs already", self.kind);
        if let Err(stderr) = self.try_start() {
            panic!(
                "{:?} does not come back on port {}: {stderr}",
                self.kind, self.port
            );
        }
    }

    /// Freezes it: the kernel goes on taking connections and bytes for it, and nothing answers.
    pub(crate) fn pause(&self) {
        let process = self.process.as_ref().expect("a running backend");
        process.signal(Signal::STOP);
        // The signal stops one thread after the other.
        let tasks = format!("/proc/{}/task", process.pid());
        super::wait_for("all its threads to stop", || {
            let tasks = std::fs::read_dir(&tasks).expect("a process").flatten();
            let mut states = tasks.map(|task| {
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                let state = stat
                    .rsplit_once(") ")
                    .map(|(_, rest)| rest.starts_with('T'));
                state.unwrap_or(false)
            });
            states.all(|is_stopped| is_stopped).then_some(())
        });
    }

    pub(crate) fn resume(&self) {
        self.process
            .as_ref()
            .expect("a running backend")
            .signal(Signal::CONT);
    }

    /// One number out of memcached's `stats`, for example `cmd_get`.
    pub(crate) fn memcached_stat(&self, name: &str) -> u64 {
        self.connect().stat("", name)
    }

    /// Ready when it answers; an error (its stderr) when it ends first.
    fn try_start(&mut self) -> Result<(), String> {
        let (mut process, _stdout) = Process::spawn(&mut self.command(), self.install_hint());
        let answered = super::wait_for("a real server to answer", || match process.ended() {
            Some(_) => Some(false),
            None => self.answers().then_some(true),
        });
        if !answered {
            return Err(process.wait().1);
        }
        self.process = Some(process);
        Ok(())
    }

    fn command(&self) -> Command {
        let port = self.port;
        let folder = self.folder.path().display();
        let redis_server = redis_server();
        let (program, args): (&str, _) = match self.kind {
            Kind::Memcached => ("memcached", memcached_args(port)),
            Kind::StillMemcached => (
                "memcached",
                memcached_args(port) + " -o no_lru_maintainer,no_lru_crawler",
            ),
            Kind::Redis => (
                &redis_server,
                format!(
                    "--bind 127.0.0.1 --port {port} --save  --appendonly no --dir {folder} --unixsocket \
                     {folder}/redis.sock"
                ),
            ),
            Kind::LockedMemcached => (
                "memcached",
                memcached_args(port) + &format!(" -Y {folder}/config"),
            ),
            Kind::ClusterRedis => (
                &redis_server,
                format!(
                    "--bind 127.0.0.1 --port {port} --save  --appendonly no --dir {folder} \
                     --cluster-enabled yes --cluster-port {}",
                    free_port()
                ),
            ),
            Kind::Nutcracker => (
                "/usr/sbin/nutcracker",
                format!("-c {folder}/config -o {folder}/log -s {}", free_port()),
            ),
        };
        let mut command = Command::new(program);
        // Split at single blanks: two in a row are an empty argument, which `--save` wants.
        command.args(args.split(' '));
        command.args(self.extra.split_ascii_whitespace());
        command
    }

    fn install_hint(&self) -> &'static str {
        match self.kind {
            Kind::Memcached | Kind::StillMemcached | Kind::LockedMemcached => {
                "apt-get install memcached"
            }
            Kind::Redis | Kind::ClusterRedis => "apt-get install redis-server",
            Kind::Nutcracker => "apt-get install nutcracker",
        }
    }

    fn answers(&self) -> bool {
        let (request, reply): (&[u8], &[u8]) = match self.kind {
            Kind::Memcached | Kind::StillMemcached => (b"mn\r\n", b"MN\r\n"),
            Kind::LockedMemcached => (b"mn\r\n", b"CLIENT_ERROR unauthenticated\r\n"),
            Kind::Redis if !self.extra.is_empty() => (b"ECHO\r\n", b"-"),
            Kind::ClusterRedis if self.extra.contains("--requirepass") => (b"PING\r\n", b"-NOAUTH"),
            Kind::Redis | Kind::ClusterRedis => (b"PING\r\n", b"+PONG\r\n"),
            // twemproxy closes on what it does not know; asking for a key tells that a server is behind it.
            Kind::Nutcracker => (b"get ready\r\n", b"END\r\n"),
        };
        let ask = || {
            let mut stream = TcpStream::connect(self.address())?;
            stream.set_read_timeout(Some(super::DEADLINE))?;
            stream.write_all(request)?;
            let mut answer = vec![0; reply.len()];
            stream.read_exact(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        ask().is_ok_and(|answer| answer == reply)
    }
}

/// Another program may take Redis' part: `RINGFORT_REDIS_SERVER` says where it is.
fn redis_server() -> String {
    std::env::var("RINGFORT_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into())
}

/// As root memcached wants to be told whom to become; else it ignores -u.
fn memcached_args(port: u16) -> String {
    format!("-l 127.0.0.1 -p {port} -U 0 -m 64 -t 1 -c 4096 -u nobody")
}
