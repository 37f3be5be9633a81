//! The control executor: a thread for what is not the data path and waits for files.

use core::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Poll, Waker},
    time::Duration,
};
use std::io;

use glommio::{LocalExecutorBuilder, Placement, PoolPlacement, timer::Timer};

use super::Executor;

/// How much a control executor does at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ControlWidth {
    /// Entries of its rings: what it may have the kernel do.
    pub(crate) ring_depth: usize,
    /// Threads of its own for what blocks.
    pub(crate) blocking_thread_count: usize,
}

/// How long a control executor sleeps at most. It need not wake for anything; but should it ever
/// sleep through a completion, what waits for that is late by this much, and not for ever.
const NAP_MAX: Duration = Duration::from_secs(1);

/// Starts a thread, pinned nowhere, that runs the task which `start` makes there.
///
/// # Errors
/// The executor cannot be made.
pub(crate) fn spawn_control<T, Start, Work>(
    name: &str,
    width: ControlWidth,
    start: Start,
) -> io::Result<Executor<T>>
where
    T: Send + 'static,
    Start: FnOnce() -> Work + Send + 'static,
    Work: Future<Output = T> + 'static,
{
    LocalExecutorBuilder::new(Placement::Unbound)
        .name(name)
        .io_memory(0)
        .ring_depth(width.ring_depth)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(width.blocking_thread_count))
        .spawn(move || async move {
            let naps = glommio::spawn_local(async {
                loop {
                    sleep(NAP_MAX).await;
                }
            });
            naps.detach();
            // A task of its own, so that other threads can wake it.
            glommio::spawn_local(start()).await
        })
        .map(Executor)
        .map_err(|error| io::Error::other(error.to_string()))
}

/// Waits until `is_ready` says so, which is asked whenever its waker is woken, or until so much time
/// has passed.
pub(crate) async fn wait_until(
    mut is_ready: impl FnMut(&Waker) -> Poll<()>,
    patience: Option<Duration>,
) {
    let ready = poll_fn(|context| is_ready(context.waker()));
    match patience {
        // That it took too long is all the same.
        Some(patience) => {
            within(patience, ready).await;
        }
        None => ready.await,
    }
}

/// Waits for so long.
pub(crate) async fn sleep(duration: Duration) {
    Timer::new(duration).await;
}

/// What a future gives, unless so much time passes first: then it is dropped.
pub(crate) async fn within<T>(patience: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut timer = Timer::new(patience);
    poll_fn(|context| {
        if let Poll::Ready(result) = future.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        Pin::new(&mut timer).poll(context).map(|_| None)
    })
    .await
}
