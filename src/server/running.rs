//! A server within a program: it ends when the program says so, not by a signal.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::AtomicUsize,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
};

use super::{
    Event, Fleet, StartError, await_start, grouper::OpenLoader, preflight, preflight::Needs, serve,
};
use crate::{config::Config, group::calls::Caller, shard::StopFlag};

/// A group's shards and its executor, while they run.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where memcache is served.
    pub(crate) memcache: Option<SocketAddr>,
    /// Where RESP is served.
    pub(crate) resp: Option<SocketAddr>,
    events: Sender<Event>,
    serving: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Starts a group whose source the program brings, and whoever asks it.
    ///
    /// # Errors
    /// The machine lacks something, or an address is taken.
    pub(crate) fn start(config: Config, open: OpenLoader) -> Result<(Self, Caller), StartError> {
        preflight::run(&Needs::of(std::slice::from_ref(&config)))?;
        let (events, inbox) = mpsc::channel();
        let stop = StopFlag::default();
        let connection_count = Arc::new(AtomicUsize::new(0));
        let mut fleet = Fleet::launch(&config, Some(open), &stop, &connection_count, &events)?;
        let wakers = await_start(&inbox, config.cores.len())?;
        fleet.start_control()?;
        fleet.release();
        let Some(caller) = fleet.caller() else {
            let error = io::Error::other("it is no group");
            return Err(StartError::Shard { cpu: 0, error });
        };
        let (memcache, resp) = (fleet.memcache, fleet.resp);
        let serving = std::thread::Builder::new()
            .name("ringfort".into())
            .spawn(move || serve(vec![fleet], &stop, &inbox, &wakers))
            .map_err(|error| StartError::Shard { cpu: 0, error })?;
        let running = Self {
            memcache,
            resp,
            events,
            serving: Some(serving),
        };
        Ok((running, caller))
    }

    /// Ends it, and waits for that; a second time there is nothing to do.
    ///
    /// # Errors
    /// A thread had ended before.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let Some(serving) = self.serving.take() else {
            return Ok(());
        };
        // If nobody hears it, it has ended.
        drop(self.events.send(Event::Stop));
        let panicked = |_| Err(io::Error::other("a thread panicked"));
        serving.join().unwrap_or_else(panicked)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "a group did not end well");
        }
    }
}
