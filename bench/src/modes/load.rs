//! Writes every key once: the loader, and what runs do before they measure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::LoadArgs;
use crate::error::BenchError;
use crate::wire::Check;
use crate::worker::conn::Shared;
use crate::worker::fleet::Fleet;
use crate::worker::tally::Tally;
use crate::worker::target::Target;
use crate::workload::script::{Script, Workload};

/// Bytes written before their replies are waited for: enough to keep a server busy, little
/// enough that its replies never fill the socket meanwhile.
const BATCH_BYTES_MAX: usize = 128 * 1024;

/// How long a wait for replies may last at most before the stall is looked for.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// How often the bar moves.
const BAR_MOVES_EVERY: Duration = Duration::from_millis(100);

/// The loader: a progress bar on stderr, and how fast it was on stdout.
pub(crate) fn run(args: &LoadArgs) -> Result<(), BenchError> {
    let workload = args.stored.workload();
    let target = Target::resolve(&args.target)?;
    let bar = ProgressBar::new(u64::from(workload.keys));
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} keys  {per_sec}  {eta} left")
    {
        bar.set_style(style);
    }
    let began = Instant::now();
    write_keys(&target, &workload, &args.cores(), &|written| {
        bar.set_position(written)
    })?;
    bar.finish_and_clear();
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} keys written in {seconds:.2} s, {:.0}/s",
        workload.keys,
        f64::from(workload.keys) / seconds
    );
    Ok(())
}

/// Writes keys `0..keys`, over one connection for each of `cores`, pinned to it, or over one if none is named; fails if
/// a key is not stored. `progress` is told now and then how many are.
pub(crate) fn write_keys(
    target: &Target,
    workload: &Workload,
    cores: &[usize],
    progress: &dyn Fn(u64),
) -> Result<(), BenchError> {
    let (written, is_stopped) = (AtomicU64::new(0), AtomicBool::new(false));
    let places: Vec<_> = match cores {
        [] => vec![None],
        cores => cores.iter().copied().map(Some).collect(),
    };
    let count = places.len() as u64;
    thread::scope(|scope| {
        let part_start = |index: u64| (u64::from(workload.keys) * index / count) as u32;
        let mut writers = Vec::new();
        for (index, core) in (0..).zip(places) {
            let keys = part_start(index)..part_start(index + 1);
            let (written, is_stopped) = (&written, &is_stopped);
            writers.push(scope.spawn(move || {
                let done = write_part(target, workload, core, keys, written, is_stopped);
                if done.is_err() {
                    is_stopped.store(true, Ordering::Relaxed);
                }
                done
            }));
        }
        while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
            progress(written.load(Ordering::Relaxed));
            thread::sleep(BAR_MOVES_EVERY.min(WAIT_MAX));
        }
        progress(written.load(Ordering::Relaxed));
        let done = writers
            .into_iter()
            .map(|writer| writer.join().unwrap_or(Err(BenchError::Stopped)));
        // The first that failed by itself says more than those that were stopped.
        let mut failures: Vec<_> = done.filter_map(Result::err).collect();
        failures.sort_by_key(|failure| matches!(failure, BenchError::Stopped));
        failures.into_iter().next().map_or(Ok(()), Err)
    })
}

fn write_part(
    target: &Target,
    workload: &Workload,
    core: Option<usize>,
    mut keys: std::ops::Range<u32>,
    written: &AtomicU64,
    is_stopped: &AtomicBool,
) -> Result<(), BenchError> {
    if let Some(core) = core
        && !core_affinity::set_for_current(core_affinity::CoreId { id: core })
    {
        return Err(BenchError::Pin { core });
    }
    let check = Check::Whole {
        protocol: workload.protocol,
        items: workload.items.clone(),
    };
    let mut fleet: Option<Fleet> = None;
    while !keys.is_empty() {
        if is_stopped.load(Ordering::Relaxed) {
            return Err(BenchError::Stopped);
        }
        let batch = Arc::new(Script::writes(workload, &mut keys, BATCH_BYTES_MAX));
        let requests = batch.step_count();
        let fleet = match &mut fleet {
            // A whole lap is answered, so the connection stands at the script's start again.
            Some(fleet) => {
                fleet.shared.script = batch;
                fleet
            }
            None => fleet.insert(Fleet::connect(
                target,
                &[0],
                Shared::new(batch, check.clone()),
            )?),
        };
        write_all(fleet, requests)?;
        written.fetch_add(requests as u64, Ordering::Relaxed);
    }
    Ok(())
}

fn write_all(fleet: &mut Fleet, requests: usize) -> Result<(), BenchError> {
    fleet.queue(0, requests);
    fleet.flush(0)?;
    while fleet.in_flight(0) > 0 {
        let mut replies_total = 0;
        for ready_index in 0..fleet.wait(WAIT_MAX)? {
            let (_, replies) = fleet.serve(ready_index)?;
            replies_total += replies;
        }
        let now_ns = fleet.now_ns();
        fleet.watch(now_ns, replies_total)?;
    }
    let Tally {
        first_error,
        first_wrong,
        ..
    } = &fleet.shared.tally;
    match first_error.as_ref().or(first_wrong.as_ref()) {
        Some(shown) => Err(BenchError::Prefill {
            shown: shown.clone(),
        }),
        None => Ok(()),
    }
}
