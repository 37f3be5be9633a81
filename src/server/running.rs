//! A server within a program: it ends when the program says so, not by a signal.

use std::{
    io,
    net::SocketAddr,
    sync::mpsc::{self, Sender},
    thread::JoinHandle,
};

use super::{
    Event, StartError,
    grouper::{OpenLoader, Source},
    launched::Launched,
};
use crate::{config::Config, group::calls::Caller, shard::GroupFigures};

/// A group's shards and its executor, while they run.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where memcache is served.
    pub(crate) memcache: Option<SocketAddr>,
    /// Where RESP is served.
    pub(crate) resp: Option<SocketAddr>,
    figures: Option<GroupFigures>,
    events: Sender<Event>,
    serving: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Starts a group whose source the program brings, and whoever asks it.
    ///
    /// # Errors
    /// The machine lacks something, or an address is taken.
    pub(crate) fn start(config: &Config, open: OpenLoader) -> Result<(Self, Caller), StartError> {
        let (events, inbox) = mpsc::channel();
        let (source, caller) = Source::new(open);
        let configs = std::slice::from_ref(config);
        let launched = Launched::start(configs, Some(source), &events, &inbox)?;
        let fleet = launched.fleets.first();
        let (memcache, resp) = fleet.map_or((None, None), |fleet| (fleet.memcache, fleet.resp));
        let figures = fleet.and_then(|fleet| fleet.figures.clone());
        let serving = std::thread::Builder::new()
            .name("ringfort".into())
            .spawn(move || launched.serve(&inbox))
            .map_err(StartError::Thread)?;
        let running = Self {
            memcache,
            resp,
            figures,
            events,
            serving: Some(serving),
        };
        Ok((running, caller))
    }

    /// What the group has counted, by name.
    pub(crate) fn figures(&self) -> Vec<(&'static str, u64)> {
        let figures = self.figures.as_ref();
        figures.map_or_else(Vec::new, GroupFigures::list)
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
