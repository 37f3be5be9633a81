//! ringfort as its user meets it: a program, its flags, its ready line, its end.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, ExitStatus};
use std::sync::mpsc;

use super::DEADLINE;
use super::backends::Backend;
use super::process::{Process, ScratchFolder, Signal};

/// Redis servers, and a ringfort with two shards in front of them.
pub(crate) fn redis_pool(count: usize, flags: &[&str]) -> (Vec<Backend>, Ringfort) {
    let backends: Vec<_> = (0..count).map(|_| Backend::redis()).collect();
    let folder = ScratchFolder::new();
    let servers: String = backends
        .iter()
        .map(|one| format!("{} 1\n", one.address()))
        .collect();
    let file = folder.write("servers.txt", &servers).display().to_string();
    let common = [
        "--resp",
        "127.0.0.1:0",
        "--pool",
        "resp",
        "--shards",
        "2",
        "--memory",
        "64MiB",
    ];
    let flags = [&common[..], &["--servers", &file], flags].concat();
    (backends, Ringfort::start_exactly(&flags))
}

/// A running ringfort. Dropping it sends SIGTERM and insists on a clean end.
pub(crate) struct Ringfort {
    process: Option<Process>,
    ready_line: String,
    memcache: Option<SocketAddr>,
    resp: Option<SocketAddr>,
}

impl Ringfort {
    /// Both front ends on free ports, two shards, 64 MiB.
    pub(crate) fn embedded() -> Self {
        Self::start(&[])
    }

    /// As [`Self::embedded`], with `extra` flags after those (a flag given twice counts as given last).
    pub(crate) fn start(extra: &[&str]) -> Self {
        let mut args = vec!["--memcache", "127.0.0.1:0", "--resp", "127.0.0.1:0"];
        for (flag, value) in [
            ("--shards", "2"),
            ("--memory", "64MiB"),
            ("--item-size-max", "1MiB"),
        ] {
            if !extra.contains(&flag) {
                args.extend([flag, value]);
            }
        }
        args.extend(extra);
        Self::start_exactly(&args)
    }

    /// Exactly these flags. Panics with what ringfort wrote to stderr when it does not become ready.
    pub(crate) fn start_exactly(args: &[&str]) -> Self {
        let (mut process, stdout) = Process::spawn(Command::new(binary()).args(args), BUILD_HINT);
        let (sender, receiver) = mpsc::channel();
        // Goes on reading after the ready line: a closed pipe would end a ringfort that says more.
        std::thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| {
                    let _ = sender.send(line);
                });
        });
        let Ok(ready_line) = receiver.recv_timeout(DEADLINE) else {
            process.kill();
            panic!(
                "ringfort {args:?} did not become ready: {:?}",
                process.wait()
            );
        };
        Self {
            memcache: listener(&ready_line, "memcache "),
            resp: listener(&ready_line, "resp "),
            process: Some(process),
            ready_line,
        }
    }

    /// The one line that says that it serves.
    pub(crate) fn ready_line(&self) -> &str {
        &self.ready_line
    }

    /// The memcache listener; panics if it was not asked for.
    pub(crate) fn memcache(&self) -> SocketAddr {
        self.memcache
            .unwrap_or_else(|| panic!("no memcache in {:?}", self.ready_line))
    }

    /// The RESP listener; panics if it was not asked for.
    pub(crate) fn resp(&self) -> SocketAddr {
        self.resp
            .unwrap_or_else(|| panic!("no resp in {:?}", self.ready_line))
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs until it is ended")
    }

    /// Waits for the end that a client has called for: the status and what stands on stderr.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut process = self.process.take().expect("it runs until it is ended");
        process.wait()
    }

    /// Kills it, as a crash would: nothing is finished.
    pub(crate) fn kill(mut self) {
        let mut process = self.process.take().expect("it runs until it is ended");
        process.kill();
    }

    /// Sends `signal` and waits for the end: the status and what stands on stderr.
    pub(crate) fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        let mut process = self.process.take().expect("it runs until it is ended");
        process.signal(signal);
        process.wait()
    }
}

impl Drop for Ringfort {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        if std::thread::panicking() {
            process.kill();
            let (status, stderr) = process.wait();
            eprintln!("ringfort ({status}) had written to stderr:\n{stderr}");
            return;
        }
        if let Some(status) = process.ended() {
            panic!("ringfort ended by itself, {status}:\n{}", process.wait().1);
        }
        process.signal(Signal::TERM);
        let (status, stderr) = process.wait();
        assert!(status.success(), "ringfort ended with {status}:\n{stderr}");
    }
}

/// Runs ringfort with flags that it must refuse; its exit code and stderr. Panics when it serves instead.
pub(crate) fn refusal(args: &[&str]) -> (Option<i32>, String) {
    let (mut process, _stdout) = Process::spawn(Command::new(binary()).args(args), BUILD_HINT);
    let (status, stderr) = process.wait();
    (status.code(), stderr)
}

const BUILD_HINT: &str = "cargo build, or point RINGFORT_BIN at a ringfort";

fn binary() -> String {
    std::env::var("RINGFORT_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_ringfort").to_owned())
}

/// The address that follows `name` in the ready line.
fn listener(ready_line: &str, name: &str) -> Option<SocketAddr> {
    let rest = &ready_line[ready_line.find(name)? + name.len()..];
    let address = rest.split([',', ' ']).next()?;
    Some(
        address
            .parse()
            .unwrap_or_else(|_| panic!("no address after {name:?} in {ready_line:?}")),
    )
}
