//! One measurement, as often and at whatever rates a mode wants it.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::Common;
use crate::error::BenchError;
use crate::modes::load;
use crate::output::files::Files;
use crate::output::live::Live;
use crate::output::report::{Load, Report, Second};
use crate::wire::Check;
use crate::worker::cpu::{CpuClocks, SchedulerClocks};
use crate::worker::crew::{self, Pace, Plan, Task, Watch};
use crate::worker::target::Target;
use crate::workload::arrivals::{Arrivals, Pacing, Schedule};
use crate::workload::script::{Script, Workload};

/// Longer than any run that ends with its last request.
pub(crate) const ENDLESS: Duration = Duration::from_secs(1 << 32);

/// Everything that is the same in all measurements of a mode.
pub(crate) struct Bench {
    pub(crate) label: String,
    drawn: Drawn,
    target: Target,
    server_pid: Option<u32>,
    /// Of a closed loop, of all connections together; without, it lasts as long as a point says.
    requests: Option<u64>,
    is_live: bool,
}

/// A load, drawn and ready to be put on servers.
#[derive(Clone)]
pub(crate) struct Drawn {
    pub(crate) workload: Workload,
    pub(crate) cores: Vec<usize>,
    script: Arc<Script>,
    check: Check,
    connections: usize,
    pub(crate) depth: usize,
}

/// What differs from one to the next.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    /// How requests arrive; `None` for a closed loop.
    pub(crate) pacing: Option<Pacing>,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
}

impl Drawn {
    /// Every reply is to be judged whole.
    pub(crate) fn of(workload: Workload, connections: u32, depth: u32, cores: Vec<usize>) -> Self {
        let depth = depth as usize;
        Self {
            script: Arc::new(Script::draw(&workload, depth)),
            check: Check::Whole {
                protocol: workload.protocol,
                items: workload.items.clone(),
            },
            connections: connections as usize,
            workload,
            cores,
            depth,
        }
    }

    /// For a server that is known by its process.
    pub(crate) fn against(&self, target: Target, server_pid: u32) -> Bench {
        Bench {
            label: String::new(),
            drawn: self.clone(),
            target,
            server_pid: Some(server_pid),
            requests: None,
            is_live: false,
        }
    }
}

impl Bench {
    /// Fills the server if that was asked for, and draws the requests.
    pub(crate) fn prepare(args: &Common) -> Result<Self, BenchError> {
        let workload = args.workload.workload();
        let target = Target::resolve(&args.target)?;
        let cores = args.cores();
        pin(&cores)?;
        Files(&args.output).check()?;
        check_server(args.server_pid)?;
        if args.prefill {
            load::write_keys(&target, &workload, &cores, &|_| {})?;
        }
        let mut drawn = Drawn::of(workload, args.fleet.connections, args.fleet.depth, cores);
        if let Some(reply_bytes) = args.reply_bytes {
            drawn.check = Check::Length {
                reply_bytes: reply_bytes as usize,
            };
        }
        Ok(Self {
            label: args.label.clone(),
            is_live: Live::is_wanted(args.output.live),
            server_pid: args.server_pid,
            requests: None,
            target,
            drawn,
        })
    }

    /// Has each closed loop end after so many requests, and measure them from the first one on.
    pub(crate) fn with_requests(self, requests: Option<u64>) -> Self {
        Self { requests, ..self }
    }

    /// Measures; `watch` gets each second's latencies.
    pub(crate) fn measure(&self, point: Point, watch: Watch<'_>) -> Result<Report, BenchError> {
        let plan = Plan {
            target: self.target.clone(),
            check: self.drawn.check.clone(),
            depth: self.drawn.depth,
            warmup_ns: point.warmup.as_nanos() as u64,
            duration_ns: point.duration.as_nanos() as u64,
            server_pid: self.server_pid,
        };
        let lasts = self.requests.is_none().then_some(point.duration);
        let mut live = self.is_live.then(|| Live::new(lasts));
        let mut series = Vec::new();
        let found = crew::run(&plan, self.tasks(point), &mut |second, latencies| {
            series.push(Second::of(second, latencies));
            if let Some(live) = &mut live {
                live.tell(second, latencies);
            }
            watch(second, latencies)
        })?;
        Ok(Report {
            label: self.label.clone(),
            load: Load::drawn(&self.drawn.workload),
            connections: self.drawn.connections,
            depth: self.drawn.depth,
            rate: point.pacing.map(|pacing| pacing.rate),
            burst: point.pacing.map(|pacing| pacing.burst),
            measured: found.measured,
            kept: found.kept,
            series,
        })
    }

    /// Connections are dealt out in turn. Each begins elsewhere in the script, so that they do not ask for the same
    /// keys in step.
    fn tasks(&self, point: Point) -> Vec<Task> {
        let Drawn {
            cores,
            script,
            connections: total,
            depth,
            ..
        } = &self.drawn;
        let workers = cores.len().max(1);
        let batches = script.step_count() / depth;
        let task = |worker: usize| {
            let connections = (worker..*total).step_by(workers);
            let firsts = connections.map(|connection| batches * connection / total * depth);
            let pace = match point.pacing {
                None => Pace::Closed {
                    requests: self.requests.map(|requests| {
                        let own = (worker..*total).step_by(workers);
                        own.map(|connection| share(requests, connection, *total))
                            .collect()
                    }),
                },
                Some(pacing) => Pace::Open(Schedule::Drawn(Arrivals::new(pacing, worker, workers))),
            };
            Task {
                core: cores.get(worker).copied(),
                script: Arc::clone(script),
                firsts: firsts.collect(),
                pace,
            }
        };
        (0..workers).map(task).collect()
    }
}

/// Of so many requests those of one connection.
fn share(requests: u64, connection: usize, connections: usize) -> usize {
    let (connection, connections) = (connection as u64, connections as u64);
    let is_longer = connection < requests % connections;
    (requests / connections + u64::from(is_longer)) as usize
}

/// Keeps the thread that waits and prints off the other cores: one of them may be the server's. Fails if one of these
/// cannot be had.
pub(crate) fn pin(cores: &[usize]) -> Result<(), BenchError> {
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    let is_allowed = |core: usize| allowed.iter().any(|id| id.id == core);
    if let Some(core) = cores.iter().find(|&&core| !is_allowed(core)) {
        let allowed: Vec<_> = allowed.iter().map(|id| id.id.to_string()).collect();
        let allowed = allowed.join(",");
        return Err(BenchError::flag(
            "--cores",
            format_args!("{core}: this process may run on {allowed}: name some of those"),
        ));
    }
    match cores.first() {
        Some(&core) if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) => {
            Err(BenchError::Pin { core })
        }
        _ => Ok(()),
    }
}

/// Fails if the process whose CPU time is to be measured is not there.
pub(crate) fn check_server(pid: Option<u32>) -> Result<(), BenchError> {
    let mut clocks = SchedulerClocks { server_pid: pid };
    match clocks.server() {
        Err(BenchError::ServerCpu { pid, cause }) => Err(BenchError::flag(
            "--server-pid",
            format_args!("{pid}: {cause}: give the pid of a server that runs on this machine"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_shared_out_whole() {
        for (requests, connections) in [(1, 3), (9, 3), (100, 7)] {
            let shares = (0..connections).map(|one| share(requests, one, connections));
            assert_eq!(shares.sum::<usize>() as u64, requests);
        }
    }
}
