//! A child process that cannot outlive its test, with its error stream kept.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, kill_process};

pub(crate) use rustix::process::Signal;

/// A running child. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    stderr: Receiver<String>,
}

impl Process {
    /// Starts `command` with nothing to read and both outputs piped.
    ///
    /// Panics when the program does not exist, naming `mend` as the way to get it.
    pub(crate) fn spawn(command: &mut Command, mend: &str) -> (Self, ChildStdout) {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot start {command:?}: {error}; to mend it: {mend}")
        });
        let mut pipe = child.stderr.take().expect("stderr was piped");
        let stdout = child.stdout.take().expect("stdout was piped");
        // Read as it comes: a full pipe would stop the child.
        let (sender, stderr) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        });
        (Self { child, stderr }, stdout)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid");
        kill_process(pid, signal).expect("a child that nobody has waited for can be signalled");
    }

    /// The exit status if the child has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait for a child")
    }

    /// Waits for the child to end by itself; the status and everything it wrote to stderr.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let status = super::wait_for("a process to end", || self.ended());
        // A grandchild may hold the pipe open for ever; then we do without.
        let stderr = self
            .stderr
            .recv_timeout(super::DEADLINE)
            .unwrap_or_default();
        (status, stderr)
    }

    /// Ends the child at once, whatever it is doing.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Bytes of memory that the child holds now (RssAnon and RssShmem). Pages of files, its own program among them,
    /// are the page cache's: they are shared, and a test's program has twice as many as the one that is shipped.
    pub(crate) fn rss_bytes(&self) -> u64 {
        (self.status_kib("RssAnon:") + self.status_kib("RssShmem:")) * 1024
    }

    /// CPU time that the child has used, in steps of the kernel's clock tick, a hundredth of a second.
    pub(crate) fn cpu_time(&self) -> std::time::Duration {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("a running child");
        // Behind the name, which stands in parentheses: utime and stime are fields 14 and 15 of all.
        let fields = stat.rsplit_once(") ").expect("a name").1;
        let ticks: u64 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().expect("a number of ticks"))
            .sum();
        std::time::Duration::from_millis(ticks * 10)
    }

    /// A field of `/proc/<pid>/status` that is given in kB.
    fn status_kib(&self, field: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("status");
        status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("no {field} in the status of a running process"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port on which nobody listens now.
///
/// It lies below the range that the kernel hands out to outgoing connections (32768 on Linux), so a server can be
/// stopped and started on the same port without a connection of another test sitting on it. Test processes start
/// at different places; two that meet are settled by whoever binds first, and the callers try again.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = (std::process::id() % 120 * 100) as u16;
        let port = FIRST + start.wrapping_add(step) % COUNT;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port among {COUNT}");
}

/// An empty folder that disappears with its owner.
pub(crate) struct ScratchFolder(PathBuf);

impl ScratchFolder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ringfort-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch folder");
        Self(path)
    }

    /// Writes a file into the folder and gives its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a scratch file");
        path
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
