//! An executor of its own for what wants one.

use std::future::Future;

use glommio::{LocalExecutorBuilder, Placement};

/// Runs a task on a glommio executor of its own.
pub(crate) fn run<F: Future<Output = ()> + 'static>(task: impl FnOnce() -> F + Send + 'static) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Memlock);
    limit.current = limit.maximum;
    setrlimit(Resource::Memlock, limit).expect("a limit can be raised as far as is allowed");
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(0)
        .ring_depth(64)
        .spawn(move || async move { task().await })
        .expect("an executor")
        .join()
        .expect("the task ends");
}
