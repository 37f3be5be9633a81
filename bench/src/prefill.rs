//! Writes every key once, so that reads of the run hit.

use std::net::SocketAddr;

use crate::conn::Shared;
use crate::error::BenchError;
use crate::fleet::Fleet;
use crate::protocol::Check;
use crate::script::{Script, Workload};
use crate::tally::Tally;

/// Bytes written before their replies are waited for: enough to keep a server busy, little
/// enough that its replies never fill the socket meanwhile.
const BATCH_BYTES_MAX: usize = 128 * 1024;

/// How long a wait for replies may last at most before the stall is looked for.
const WAIT_MAX: std::time::Duration = std::time::Duration::from_millis(100);

/// Writes keys `0..keys` over one connection, and fails if one is not stored.
pub(crate) fn run(target: (&str, SocketAddr), workload: &Workload) -> Result<(), BenchError> {
    let check = Check::Whole {
        protocol: workload.protocol,
        items: workload.items,
    };
    let mut key_indexes = 0..workload.keys;
    let first = Script::writes(workload, &mut key_indexes, BATCH_BYTES_MAX);
    let mut fleet = Fleet::connect(target, 1, 1, Shared::new(first, check))?;
    loop {
        write_all(&mut fleet)?;
        let Tally {
            stored,
            ref first_error,
            ref first_wrong,
            ..
        } = fleet.shared.tally;
        if let Some(shown) = first_error.as_ref().or(first_wrong.as_ref()) {
            return Err(BenchError::Prefill {
                shown: shown.clone(),
            });
        }
        if key_indexes.is_empty() {
            debug_assert_eq!(stored, u64::from(workload.keys));
            return Ok(());
        }
        // A whole lap is answered, so the connection stands at the script's start again.
        fleet.shared.script = Script::writes(workload, &mut key_indexes, BATCH_BYTES_MAX);
    }
}

fn write_all(fleet: &mut Fleet) -> Result<(), BenchError> {
    let requests = fleet.shared.script.step_count();
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
    Ok(())
}
