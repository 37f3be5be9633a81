//! A thread beside the shards, for what waits for files and other machines.

use std::io;

use crate::{
    mesh::Doorbell,
    runtime::{self, ControlWidth, Executor},
    shard::StopFlag,
};

/// One such thread, from when its parts are there until no shard is left; it starts from an `S`.
pub(super) struct ControlThread<S> {
    state: State<S>,
    doorbell: Doorbell,
    /// Raised, and the bell rung, when no shard is left.
    stop: StopFlag,
}

enum State<S> {
    Opened(Box<S>),
    Running(Executor<()>),
    Failed,
}

impl<S: Send + 'static> ControlThread<S> {
    /// One that hears the bell, and ends when the flag is raised.
    pub(super) fn new(seed: S, doorbell: Doorbell, stop: StopFlag) -> Self {
        Self {
            state: State::Opened(Box::new(seed)),
            doorbell,
            stop,
        }
    }

    /// Starts it, once.
    ///
    /// # Errors
    /// There is no thread or no ring to be had.
    pub(super) fn start<W: Future<Output = ()> + 'static>(
        &mut self,
        name: &str,
        width: ControlWidth,
        work: impl FnOnce(S) -> W + Send + 'static,
    ) -> io::Result<()> {
        if let State::Opened(seed) = std::mem::replace(&mut self.state, State::Failed) {
            let executor = runtime::spawn_control(name, width, move || work(*seed))?;
            self.state = State::Running(executor);
        }
        Ok(())
    }

    /// Tells it that no shard is left, and waits for its end.
    ///
    /// # Errors
    /// It panicked.
    pub(super) fn finish(self) -> io::Result<()> {
        self.stop.raise();
        self.doorbell.ring();
        match self.state {
            State::Running(executor) => executor.join(),
            State::Opened(_) | State::Failed => Ok(()),
        }
    }
}
