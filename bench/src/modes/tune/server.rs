//! A server that is started for a trial, found by the line that says that it is ready, and ended by its pid whatever happens.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::EXIT_USAGE;
use crate::error::BenchError;
use crate::wire::Protocol;

/// A server that does not say by then that it is ready has failed: touching hundreds of gigabytes takes a while.
const READY_MAX: Duration = Duration::from_secs(120);

/// How long a server may take to end before it is killed: longer than ringfort answers what has arrived.
const END_MAX: Duration = Duration::from_secs(15);

/// How often it is looked at whether a process has ended.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(10);

/// What a server has said on stderr is waited for so long, once it has ended.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Bytes of a server's stderr that are kept, from its first.
const COMPLAINT_BYTES_MAX: u64 = 64 * 1024;

/// The process that runs, if one does. Whoever ends it has the lock, so that its pid is its own until then.
type Slot = Arc<Mutex<Option<Child>>>;

/// What is the same for all servers that are started.
pub(super) struct Launcher {
    pub(super) program: PathBuf,
    pub(super) protocol: Protocol,
    /// Flags that each is given, before those of the trial.
    pub(super) fixed: Vec<String>,
    /// Where they may run.
    pub(super) cores: Vec<usize>,
    slot: Slot,
}

/// One that serves; ends with its drop.
pub(super) struct Server {
    pub(super) address: String,
    pub(super) pid: u32,
    slot: Slot,
}

/// Why there is no server.
pub(super) enum Unready {
    /// It cannot be started at all: no setting is to blame.
    Absent(BenchError),
    /// It does not take its flags, and says why.
    Refused(String),
    /// What it said before it ended, or that it said nothing.
    Failed(String),
}

impl Launcher {
    /// From now on a signal to end ends the server first.
    pub(super) fn new(
        program: PathBuf,
        protocol: Protocol,
        fixed: Vec<String>,
        cores: Vec<usize>,
    ) -> Result<Self, BenchError> {
        let slot = Slot::default();
        end_on_signals(Arc::clone(&slot)).map_err(|cause| BenchError::Io {
            doing: "waiting for signals",
            cause,
        })?;
        Ok(Self {
            program,
            protocol,
            fixed,
            cores,
            slot,
        })
    }

    /// What it says when it is asked for help.
    pub(super) fn help(&self) -> Result<String, BenchError> {
        let asked = Command::new(&self.program)
            .arg("--help")
            .stdin(Stdio::null())
            .output();
        match asked {
            Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(error) => Err(self.absent(error)),
        }
    }

    fn absent(&self, error: std::io::Error) -> BenchError {
        BenchError::flag_file("--server-bin", &self.program, error)
    }

    /// Starts a server and waits until it is ready.
    pub(super) fn start(&self, settings: &[String]) -> Result<Server, Unready> {
        let listeners = match self.protocol {
            Protocol::Memcache | Protocol::Meta => ["--memcache", "127.0.0.1:0", "--resp", "off"],
            Protocol::Resp | Protocol::Resp3 => ["--resp", "127.0.0.1:0", "--memcache", "off"],
        };
        let mut command = Command::new(&self.program);
        command
            .args(&self.fixed)
            .args(settings)
            .args(listeners)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut slot = lock(&self.slot);
        let mut child = self
            .spawn(&mut command)
            .map_err(|error| Unready::Absent(self.absent(error)))?;
        let pid = child.id();
        let ready_lines = child.stdout.take().map(lines);
        let complaint = child.stderr.take().map(complaint);
        *slot = Some(child);
        drop(slot);
        let mut server = Server {
            address: String::new(),
            pid,
            slot: Arc::clone(&self.slot),
        };
        let (Some(ready_lines), Some(complaint)) = (ready_lines, complaint) else {
            return Err(Unready::Failed("it has no output".to_owned()));
        };
        match self.await_ready(&server, &ready_lines) {
            Ok(address) => {
                server.address = address;
                Ok(server)
            }
            Err(why) => {
                let code = server.ended().and_then(|status| status.code());
                drop(server);
                let said = complaint.recv_timeout(LAST_WORDS_MAX).unwrap_or_default();
                let first = said.lines().find(|line| !line.trim().is_empty());
                let why = first.map_or(why, str::to_owned);
                Err(match code == Some(i32::from(EXIT_USAGE)) {
                    true => Unready::Refused(why),
                    false => Unready::Failed(why),
                })
            }
        }
    }

    /// A child runs where the thread that has started it may.
    fn spawn(&self, command: &mut Command) -> std::io::Result<Child> {
        let mut cores = CpuSet::new();
        self.cores.iter().for_each(|&core| cores.set(core));
        thread::scope(|scope| {
            let started = scope.spawn(|| {
                sched_setaffinity(None, &cores)?;
                command.spawn()
            });
            started
                .join()
                .unwrap_or_else(|_| Err(std::io::Error::other("a thread panicked")))
        })
    }

    /// The address that the ready line tells.
    fn await_ready(&self, server: &Server, lines: &Receiver<String>) -> Result<String, String> {
        let name = match self.protocol {
            Protocol::Memcache | Protocol::Meta => "memcache",
            Protocol::Resp | Protocol::Resp3 => "resp",
        };
        let deadline = Instant::now() + READY_MAX;
        while Instant::now() < deadline {
            match lines.recv_timeout(LOOKED_AT_EVERY) {
                Ok(line) => match address_in(&line, name) {
                    Some(address) => return Ok(address.to_owned()),
                    None => continue,
                },
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOKED_AT_EVERY),
            }
            if let Some(status) = server.ended() {
                return Err(format!("it ended at once ({status}) and said nothing"));
            }
        }
        Err(format!("it was not ready within {READY_MAX:?}"))
    }
}

impl Server {
    /// How it has ended, if it has.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        lock(&self.slot).as_mut()?.try_wait().ok().flatten()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut lock(&self.slot));
    }
}

/// Ends what runs, first by asking.
fn end(slot: &mut Option<Child>) {
    let Some(mut child) = slot.take() else {
        return;
    };
    // Once it is waited for, its pid may be somebody else's.
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    // That it ends by itself meanwhile is as good, each time.
    let _ = kill_process(Pid::from_child(&child), Signal::TERM);
    let deadline = Instant::now() + END_MAX;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(None) => thread::sleep(LOOKED_AT_EVERY),
            Ok(Some(_)) | Err(_) => return,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn lock(slot: &Slot) -> MutexGuard<'_, Option<Child>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A signal that ends this program ends the server before; the exit status is the shell's for it.
fn end_on_signals(slot: Slot) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // Held until the end, so that no other one is started.
                let mut slot = lock(&slot);
                end(&mut slot);
                std::process::exit(128 + signal);
            }
        })?;
    Ok(())
}

/// Where the line says that a protocol is served, as in `ringfort ready: memcache 127.0.0.1:11211, 1 shard`.
fn address_in<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (_, served) = line.split_once("ready: ")?;
    let mut words = served.split([' ', ',']);
    words.find(|word| *word == name)?;
    words.next().filter(|word| word.contains(':'))
}

/// Reads a server's lines for as long as it writes some: a pipe that is full would stop it, a closed one might end it.
fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Whoever does not listen any more has seen the one.
            let _ = sender.send(line);
        }
    });
    lines
}

/// What a server says first on stderr, once it says no more.
fn complaint(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, said) = channel();
    thread::spawn(move || {
        let mut output = output;
        let mut bytes = Vec::new();
        let kept = output
            .by_ref()
            .take(COMPLAINT_BYTES_MAX)
            .read_to_end(&mut bytes);
        if kept.is_ok() {
            let _ = std::io::copy(&mut output, &mut std::io::sink());
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_tells_the_address() {
        let line = "ringfort ready: memcache 127.0.0.1:11211, resp [::1]:6379, 2 shards, 1 GiB";
        assert_eq!(address_in(line, "memcache"), Some("127.0.0.1:11211"));
        assert_eq!(address_in(line, "resp"), Some("[::1]:6379"));
        for other in [
            "",
            "ringfort ready: 1 shard",
            "memcache 127.0.0.1:1",
            "ready: memcache soon",
        ] {
            assert_eq!(address_in(other, "memcache"), None, "{other}");
        }
    }
}
