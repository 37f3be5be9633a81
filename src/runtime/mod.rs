//! The only door to glommio: executors pinned to cores, with a task that may block in a ring of
//! its own; and the control executor, which waits for files.
//!
//! A shard's task waits in the shard's own ring, not in glommio's: going through glommio for each
//! wait would cost many system calls. The task is alone on its executor, so glommio's reactor,
//! which allocates and enters the kernel several times a visit, is not visited at all. A task that
//! is to run beside it would need a `yield_if_needed` in the loop. Nothing else in the house names
//! glommio: who asks servers from a program of its own on glommio does it through [`net`].

pub(crate) mod net;

mod control;
pub(crate) mod files;

use core::time::Duration;
use std::io;

pub(crate) use self::control::{ControlWidth, sleep, spawn_control, wait_until, within};
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

/// glommio's preemption timer, which nobody reads here: as slow as can be.
const PREEMPT_INTERVAL: Duration = Duration::from_secs(3600);

/// Entries of glommio's rings, which carry next to nothing here.
const RING_DEPTH: usize = 16;

/// `RLIMIT_MEMLOCK` below which glommio does not start, in bytes.
pub(crate) const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// A thread that runs one executor.
pub(crate) struct Executor<T: Send + 'static>(ExecutorJoinHandle<T>);

impl<T: Send + 'static> Executor<T> {
    /// Waits for the task to end.
    ///
    /// # Errors
    /// The thread panicked.
    pub(crate) fn join(self) -> io::Result<T> {
        self.0
            .join()
            .map_err(|error| io::Error::other(error.to_string()))
    }
}

/// Starts a thread pinned to `cpu`. There `start` makes the state of a task, and `turn` is called
/// on it until it gives a result.
///
/// # Errors
/// The executor cannot be made.
pub(crate) fn spawn_pinned<S, T, Start, Turn>(
    cpu: usize,
    name: &str,
    start: Start,
    turn: Turn,
) -> io::Result<Executor<T>>
where
    T: Send + 'static,
    Start: FnOnce() -> Result<S, T> + Send + 'static,
    Turn: Fn(&mut S) -> Option<T> + Send + 'static,
    S: 'static,
{
    LocalExecutorBuilder::new(Placement::Fixed(cpu))
        .name(name)
        .io_memory(0)
        .ring_depth(RING_DEPTH)
        .preempt_timer(PREEMPT_INTERVAL)
        .spawn(move || async move {
            let mut state = match start() {
                Ok(state) => state,
                Err(result) => return result,
            };
            loop {
                if let Some(result) = turn(&mut state) {
                    return result;
                }
            }
        })
        .map(Executor)
        .map_err(|error| io::Error::other(error.to_string()))
}
