//! CPU time, as the kernel's scheduler accounts it: ours and the server's.
//!
//! `/proc/PID/task/TID/schedstat` opens with the nanoseconds a thread has run, and those it was
//! ready to run and did not (kernel `Documentation/scheduler/sched-stats.rst`): the second tells
//! that something else was on its core. A thread that is running right now is brought up
//! to date at the scheduler's tick, so a difference is good to a few milliseconds: measure for a
//! second or more.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::BenchError;

/// Time of a process's threads, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// Spent on a core, ns.
    pub(crate) run_ns: u64,
    /// Ready to run while something else had the core, ns.
    pub(crate) wait_ns: u64,
}

impl CpuTime {
    /// What has passed since `earlier`; 0 where a thread that ended took its time with it.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            run_ns: self.run_ns.saturating_sub(earlier.run_ns),
            wait_ns: self.wait_ns.saturating_sub(earlier.wait_ns),
        }
    }
}

/// Where the recorder reads CPU time; a fake one in its tests.
pub(crate) trait CpuClocks {
    /// The server's so far; `None` when no server process is known.
    fn server(&mut self) -> Result<Option<CpuTime>, BenchError>;

    /// The calling thread's so far: a worker's own.
    fn worker(&mut self) -> Result<CpuTime, BenchError>;
}

/// The kernel's clocks.
pub(crate) struct SchedulerClocks {
    pub(crate) server_pid: Option<u32>,
}

impl CpuClocks for SchedulerClocks {
    fn server(&mut self) -> Result<Option<CpuTime>, BenchError> {
        let Some(pid) = self.server_pid else {
            return Ok(None);
        };
        let tasks = format!("/proc/{pid}/task");
        match process_time(Path::new(&tasks)) {
            Ok(cpu_time) => Ok(Some(cpu_time)),
            Err(cause) => Err(BenchError::ServerCpu { pid, cause }),
        }
    }

    fn worker(&mut self) -> Result<CpuTime, BenchError> {
        let line = fs::read_to_string("/proc/thread-self/schedstat");
        line.and_then(|line| thread_time(&line))
            .map_err(|cause| BenchError::Io {
                doing: "reading /proc/thread-self/schedstat",
                cause,
            })
    }
}

/// Sum over a process's threads.
fn process_time(tasks: &Path) -> io::Result<CpuTime> {
    let mut total = CpuTime::default();
    for task in fs::read_dir(tasks)? {
        match fs::read_to_string(task?.path().join("schedstat")) {
            Ok(line) => {
                let thread = thread_time(&line)?;
                total.run_ns += thread.run_ns;
                total.wait_ns += thread.wait_ns;
            }
            // The thread ended between the two looks.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

fn thread_time(schedstat: &str) -> io::Result<CpuTime> {
    let mut numbers = schedstat.split_ascii_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(run_ns)), Some(Ok(wait_ns))) => Ok(CpuTime { run_ns, wait_ns }),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "schedstat is not as documented",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_running_and_waiting() {
        let time = thread_time("123456 789 10\n").unwrap();
        assert_eq!(
            time,
            CpuTime {
                run_ns: 123_456,
                wait_ns: 789
            }
        );
        for line in ["", "1", "x 1 2"] {
            assert!(thread_time(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let mut clocks = SchedulerClocks {
            server_pid: Some(u32::MAX),
        };
        let error = clocks.server().unwrap_err().to_string();
        assert!(error.contains("process 4294967295"), "{error}");
        assert!(!error.contains('\n'));
    }
}
