//! A closed loop: each connection sends a batch, waits for all its replies, sends the next.
//!
//! This finds out what a server can do and what a request costs it. It says little about the
//! latency that users see: while the server is slow, the loop asks less.

use std::time::Duration;

use crate::error::BenchError;
use crate::worker::fleet::Fleet;
use crate::worker::recorder::{Measured, Phase, Recorder};

/// How long a wait may last at most, so that the end of the run is noticed.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// Runs until the window is over, or until each connection has sent as many requests as `requests` has for it. A
/// latency is a service time: from when its batch was handed to the kernel until the reply was read.
pub(crate) fn run(
    fleet: &mut Fleet,
    depth: usize,
    requests: Option<&[usize]>,
    mut recorder: Recorder,
) -> Result<Measured, BenchError> {
    let mut left = requests.map_or_else(|| vec![usize::MAX; fleet.connections()], <[_]>::to_vec);
    let mut batch_start_ns = vec![0; fleet.connections()];
    // Without a warm-up the first replies count, too.
    recorder.turn(fleet.now_ns(), &mut fleet.shared.tally)?;
    for (connection_index, start_ns) in batch_start_ns.iter_mut().enumerate() {
        *start_ns = fleet.now_ns();
        start_batch(fleet, connection_index, depth, &mut left)?;
    }
    loop {
        let ready = fleet.wait(WAIT_MAX)?;
        let mut replies_total = 0;
        for ready_index in 0..ready {
            let (connection_index, replies) = fleet.serve(ready_index)?;
            if replies == 0 {
                continue;
            }
            replies_total += replies;
            let now_ns = fleet.now_ns();
            recorder.record(now_ns - batch_start_ns[connection_index], replies);
            if fleet.in_flight(connection_index) == 0 {
                batch_start_ns[connection_index] = now_ns;
                start_batch(fleet, connection_index, depth, &mut left)?;
            }
        }
        let now_ns = fleet.now_ns();
        fleet.watch(now_ns, replies_total)?;
        let mut phase = recorder.turn(now_ns, &mut fleet.shared.tally)?;
        if requests.is_some() && left.iter().all(|&left| left == 0) && fleet.in_flight_total() == 0
        {
            recorder.close(now_ns, &mut fleet.shared.tally)?;
            phase = Phase::Over;
        }
        if phase == Phase::Over {
            return Ok(recorder.finish(fleet.shared.tally.clone()));
        }
    }
}

fn start_batch(
    fleet: &mut Fleet,
    connection_index: usize,
    depth: usize,
    left: &mut [usize],
) -> Result<(), BenchError> {
    let left = &mut left[connection_index];
    let count = depth.min(*left);
    if *left < usize::MAX {
        *left -= count;
    }
    if count == 0 {
        return Ok(());
    }
    fleet.queue(connection_index, count);
    fleet.flush(connection_index)
}
