//! A trace, sent again.

use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::{ReplayArgs, Speed};
use crate::error::BenchError;
use crate::modes::point;
use crate::modes::run::{exit_code, tell};
use crate::output::files::Files;
use crate::output::hlog;
use crate::output::live::Live;
use crate::output::record::Document;
use crate::output::report::{Load, Report, Second};
use crate::wire::{Check, Op};
use crate::worker::crew::{self, Pace, Plan, Task};
use crate::worker::target::Target;
use crate::workload::arrivals::{Schedule, Start};
use crate::workload::item::Items;
use crate::workload::rng::mix;
use crate::workload::script::Script;
use crate::workload::trace::{Row, Trace};

/// Bytes of one worker's requests at most, so that the script's offsets hold them.
const SCRIPT_BYTES_MAX: u64 = u32::MAX as u64;

/// Fails if the trace cannot be read, the run could not be finished or a reply was wrong.
pub(crate) fn run(args: &ReplayArgs) -> Result<ExitCode, BenchError> {
    let target = Target::resolve(&args.target)?;
    let cores = args.cores();
    point::pin(&cores)?;
    args.latencies.check()?;
    Files(&args.output).check()?;
    point::check_server(args.server_pid)?;
    let trace = Trace::read(&args.trace)?;
    let items = trace.items();
    let tasks = Deal {
        args,
        items: &items,
        cores: &cores,
    }
    .tasks(&trace.rows)?;
    let plan = Plan {
        target,
        check: Check::Whole {
            protocol: args.protocol,
            items,
        },
        depth: args.depth as usize,
        warmup_ns: 0,
        duration_ns: point::ENDLESS.as_nanos() as u64,
        server_pid: args.server_pid,
    };
    let mut live = Live::is_wanted(args.output.live).then(|| Live::new(None));
    let mut series = Vec::new();
    let found = hlog::with(args.latencies.hlog.as_deref(), |log| {
        crew::run(&plan, tasks, &mut |second, latencies| {
            series.push(Second::of(second, latencies));
            if let Some(live) = &mut live {
                live.tell(second, latencies);
            }
            log.write(second, latencies)
        })
    })?;
    let report = Report {
        label: args.label.clone(),
        load: Load::replayed(args.protocol, &args.trace, &trace),
        connections: args.connections as usize,
        depth: args.depth as usize,
        rate: match args.speed {
            Speed::Times(speed) => Some(trace.requests_per_s() * speed),
            Speed::Max => None,
        },
        burst: None,
        measured: found.measured,
        kept: found.kept,
        series,
    };
    tell(&report, &args.latencies)?;
    Files(&args.output).json(&Document::Replay(report.to_record()))?;
    Ok(exit_code(&report))
}

/// Deals a trace out to workers and connections, so that requests for one key stay in order.
struct Deal<'r> {
    args: &'r ReplayArgs,
    items: &'r Items,
    cores: &'r [usize],
}

impl Deal<'_> {
    fn tasks(&self, rows: &[Row]) -> Result<Vec<Task>, BenchError> {
        let connections = self.args.connections as usize;
        let workers = self.cores.len().clamp(1, connections);
        let connection_of =
            |row: &Row| (mix(u64::from(row.key_index)) % connections as u64) as usize;
        let task = |worker: usize| {
            let own: Vec<_> = rows
                .iter()
                .filter(|row| connection_of(row) % workers == worker)
                .collect();
            let own_connections = (worker..connections).step_by(workers).count();
            let place = |row: &Row| connection_of(row) / workers;
            let (script, firsts, counts) = self.script(&own, own_connections, &place)?;
            let pace = match self.args.speed {
                Speed::Max => Pace::Closed {
                    requests: Some(counts),
                },
                Speed::Times(speed) => Pace::Open(Schedule::Listed {
                    starts: own
                        .iter()
                        .map(|row| Start {
                            at_ns: (row.at_ns as f64 / speed) as u64,
                            count: 1,
                            connection: Some(place(row)),
                        })
                        .collect(),
                    next: 0,
                }),
            };
            Ok(Task {
                core: self.cores.get(worker).copied(),
                script: Arc::new(script),
                firsts,
                pace,
            })
        };
        // A worker that no key fell to has nothing to send.
        let has_rows = |worker: &usize| {
            rows.iter()
                .any(|row| connection_of(row) % workers == *worker)
        };
        (0..workers).filter(has_rows).map(task).collect()
    }

    /// The requests of each connection in a row, one connection after the other; where each begins, and how many it has.
    fn script(
        &self,
        rows: &[&Row],
        connections: usize,
        place: &dyn Fn(&Row) -> usize,
    ) -> Result<(Script, Vec<usize>, Vec<usize>), BenchError> {
        let mut parts = vec![Vec::new(); connections];
        for row in rows {
            parts[place(row)].push(*row);
        }
        let counts: Vec<_> = parts.iter().map(Vec::len).collect();
        let firsts = counts.iter().scan(0, |next, count| {
            Some(std::mem::replace(next, *next + count))
        });
        // A connection without requests stands at the next one's first; the last may stand at the end, which is none.
        let last_step = rows.len().saturating_sub(1);
        let firsts = firsts.map(|first| first.min(last_step)).collect();
        let (protocol, items) = (self.args.protocol, self.items);
        let mut script = Script::default();
        for row in parts.into_iter().flatten() {
            let keys = [row.key_index];
            script.push(row.op, &keys, |out| match row.op {
                Op::Read => protocol.append_read(out, &keys, items),
                Op::Write => {
                    protocol.append_write(out, row.key_index, row.value_bytes as usize, 0, items)
                }
                Op::Delete => protocol.append_delete(out, row.key_index, items),
            });
            if script.bytes().len() as u64 > SCRIPT_BYTES_MAX {
                let why = format!(
                    "more than {SCRIPT_BYTES_MAX} bytes of requests for one worker: cut it"
                );
                return Err(BenchError::file(&self.args.trace, why));
            }
        }
        Ok((script, firsts, counts))
    }
}
