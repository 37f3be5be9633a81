//! Shards that have started, until they end.

use std::{
    io,
    sync::{
        Arc,
        atomic::AtomicUsize,
        mpsc::{Receiver, Sender},
    },
    time::Duration,
};

use super::{
    Event, Fleet, StartError,
    grouper::{Grouper, Source},
    preflight,
    preflight::Needs,
    spooler::Spooler,
};
use crate::{config::Config, io::Waker, runtime::Executor, shard::StopFlag};

/// How long the shards may take to end once they were told; longer than their own limit.
const JOIN_PATIENCE: Duration = Duration::from_secs(15);

/// All shards there are, and how to end them.
pub(super) struct Launched {
    pub(super) fleets: Vec<Fleet>,
    stop: StopFlag,
    wakers: Vec<Waker>,
}

impl Launched {
    /// Starts the shards of these, each with shards of its own, and all that stands beside them. A
    /// source that is given is the first one's.
    ///
    /// # Errors
    /// The machine lacks something, or an address is taken.
    pub(super) fn start(
        configs: &[Config],
        mut source: Option<Source>,
        events: &Sender<Event>,
        inbox: &Receiver<Event>,
    ) -> Result<Self, StartError> {
        preflight::run(&Needs::of(configs))?;
        let stop = StopFlag::default();
        let connection_count = Arc::new(AtomicUsize::new(0));
        let mut fleets = configs
            .iter()
            .map(|config| Fleet::launch(config, source.take(), &stop, &connection_count, events))
            .collect::<Result<Vec<_>, _>>()?;
        let shard_count = configs.iter().map(|config| config.cores.len()).sum();
        let wakers = await_start(inbox, shard_count)?;
        fleets.iter_mut().try_for_each(Fleet::start_control)?;
        fleets.iter_mut().try_for_each(Fleet::listen)?;
        fleets.iter().for_each(Fleet::release);
        Ok(Self {
            fleets,
            stop,
            wakers,
        })
    }

    /// Waits for the end, which one shard's failure is, too.
    ///
    /// # Errors
    /// A shard's, or one did not end.
    pub(super) fn serve(self, inbox: &Receiver<Event>) -> io::Result<()> {
        let (mut executors, mut spoolers, mut groupers) = (Vec::new(), Vec::new(), Vec::new());
        for fleet in self.fleets {
            executors.extend(fleet.executors);
            spoolers.extend(fleet.spooler);
            groupers.extend(fleet.grouper);
        }
        let mut result = Ok(());
        let mut running = executors.len();
        if let Ok(Event::Ended(ended)) = inbox.recv() {
            running -= 1;
            result = ended;
        }
        self.stop.raise();
        self.wakers.iter().for_each(Waker::wake);
        while running > 0 {
            match inbox.recv_timeout(JOIN_PATIENCE) {
                Ok(Event::Ended(ended)) => {
                    running -= 1;
                    result = result.and(ended);
                }
                Ok(_) => {}
                Err(_) => return Err(io::Error::other("a shard did not end")),
            }
        }
        executors.into_iter().try_for_each(Executor::join)?;
        // What shards said last is still to be written.
        spoolers.into_iter().try_for_each(Spooler::finish)?;
        groupers.into_iter().try_for_each(Grouper::finish)?;
        result
    }
}

fn await_start(inbox: &Receiver<Event>, shard_count: usize) -> Result<Vec<Waker>, StartError> {
    let mut wakers = Vec::new();
    while wakers.len() < shard_count {
        match inbox.recv() {
            Ok(Event::Started { waker }) => wakers.push(waker),
            Ok(Event::Refused(error)) => return Err(error),
            Ok(Event::Stop) => std::process::exit(0),
            Ok(Event::Ended(_)) | Err(_) => {
                let error = io::Error::other("a shard ended before it began");
                return Err(StartError::Shard { cpu: 0, error });
            }
        }
    }
    Ok(wakers)
}

#[cfg(test)]
mod tests {
    use std::{
        net::{SocketAddr, TcpStream},
        sync::mpsc,
    };

    use super::*;
    use crate::config::{
        Eviction, ITEM_BYTES_MAX_MIN, MEMORY_BYTES_PER_SHARD_MIN, Mode, SpeedConfig,
    };

    #[test]
    fn clients_are_let_in_once_every_shard_has_its_memory() {
        let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let config = Config {
            memcache: any,
            resp: any,
            cores: vec![0, 0],
            memory_bytes: 2 * MEMORY_BYTES_PER_SHARD_MIN,
            item_bytes_max: ITEM_BYTES_MAX_MIN,
            eviction: Eviction::Lru,
            connections_max: 10,
            allows_shutdown: false,
            speed: SpeedConfig::default(),
            mode: Mode::Embedded,
            log: tracing::Level::WARN,
        };
        let (events, inbox) = mpsc::channel();
        let stop = StopFlag::default();
        let mut fleet = Fleet::launch(&config, None, &stop, &Arc::default(), &events).unwrap();
        let addresses = [fleet.memcache, fleet.resp].map(Option::unwrap);
        await_start(&inbox, 2).unwrap();
        for address in addresses {
            let refused = TcpStream::connect(address).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        }
        fleet.listen().unwrap();
        for address in addresses {
            TcpStream::connect(address).unwrap();
        }
    }
}
