//! The peers around this process: which of them owns a key, and asking them.

use core::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Hop, LoadError, Loaded, PeerClient, PeerError,
    peers::Peers,
    port::Change,
    silences::Silences,
    statistics::{Board, Count},
};
use crate::config::{PeerRing, PeerUrl};

/// A peer that took no change is told of none for so long: another program may serve at its address then.
const READER_FOR: Duration = Duration::from_secs(60);

/// Peers, as far as this process knows them.
pub struct Circle {
    group: Arc<str>,
    me: PeerUrl,
    ring: PeerRing,
    peers: RefCell<Peers>,
    client: PeerClient,
    silences: Silences,
    /// Those that know nothing of changes, and since when that is known: to them each is one more question
    /// for the value.
    readers: RefCell<HashMap<String, Instant>>,
    board: Board,
    has_warned: Cell<bool>,
}

impl Circle {
    /// With exactly these peers.
    pub fn new(
        group: Arc<str>,
        me: PeerUrl,
        peers: &[PeerUrl],
        ring: PeerRing,
        client: PeerClient,
        board: Board,
    ) -> Self {
        let circle = Self {
            group,
            peers: RefCell::new(Peers::new(&me, peers, ring)),
            me,
            ring,
            client,
            silences: Silences::default(),
            readers: RefCell::default(),
            board,
            has_warned: Cell::new(false),
        };
        circle.warn_if_alone();
        circle
    }

    /// Others own the keys from now on.
    pub fn set_peers(&self, peers: &[PeerUrl]) {
        let is_peer = |text: &str| peers.iter().any(|peer| peer.as_str() == text);
        self.silences.retain(is_peer);
        self.readers.borrow_mut().retain(|peer, _| is_peer(peer));
        self.peers.replace(Peers::new(&self.me, peers, self.ring));
        self.warn_if_alone();
    }

    /// Who is not in the list owns nothing, which is seldom meant.
    fn warn_if_alone(&self) {
        let is_listed = self.peers.borrow().has_me();
        if !is_listed && !self.has_warned.replace(true) {
            tracing::warn!(me = %self.me, "this peer is not in the list of peers and owns no keys");
        } else if is_listed {
            self.has_warned.set(false);
        }
    }

    /// The owner of a key; `None` if that is this process.
    pub(super) fn owner(&self, key: &[u8]) -> Option<PeerUrl> {
        self.peers.borrow().owner(key).cloned()
    }

    /// Asks the owner of a key for its value.
    ///
    /// # Errors
    /// There is none, or the peer cannot be asked.
    pub(super) async fn get(
        &self,
        owner: &PeerUrl,
        key: &[u8],
        deadline: Instant,
    ) -> Result<Loaded, PeerError> {
        let asking = self.client.get(owner, &self.group, key, deadline);
        let told = self.unless_silent(owner, deadline, asking).await;
        self.board.add(match told {
            Ok(_) | Err(PeerError::Source(_)) => Count::PeerLoads,
            Err(_) => Count::PeerErrors,
        });
        told
    }

    /// Has a peer do what is done to a key.
    async fn send(
        &self,
        peer: &PeerUrl,
        key: &[u8],
        change: Change,
        hop: Hop,
        deadline: Instant,
    ) -> Result<(), PeerError> {
        let is_recent = |since: &Instant| since.elapsed() < READER_FOR;
        if self
            .readers
            .borrow()
            .get(peer.as_str())
            .is_some_and(is_recent)
        {
            return Err(PeerError::ReadsOnly);
        }
        let (client, group) = (&self.client, &self.group);
        let sending = async {
            match change {
                Change::Set(value) => client.set(peer, group, key, value, hop, deadline).await,
                Change::Delete => client.delete(peer, group, key, hop, deadline).await,
            }
        };
        let sent = self.unless_silent(peer, deadline, sending).await;
        if sent == Err(PeerError::ReadsOnly) {
            let name = peer.as_str().to_owned();
            self.readers.borrow_mut().insert(name, Instant::now());
        }
        sent
    }

    /// Has the owner of a key do what is done to it, and tell all others.
    ///
    /// # Errors
    /// It may not be done, or some may not know.
    pub(super) async fn send_to_owner(
        &self,
        owner: &PeerUrl,
        key: &[u8],
        change: Change,
        deadline: Instant,
    ) -> Result<(), LoadError> {
        let sent = self.send(owner, key, change, Hop::First, deadline).await;
        sent.map_err(|error| match error {
            PeerError::Source(error) => error,
            error => LoadError::failed(named(owner, &error)),
        })
    }

    /// Has all other peers forget a key: its owner, which is this process, has another value of it. Those
    /// that take no changes keep what they have.
    ///
    /// # Errors
    /// Some may not know.
    pub(super) async fn tell_others(&self, key: &[u8], deadline: Instant) -> Result<(), LoadError> {
        let others: Vec<PeerUrl> = self.peers.borrow().others().cloned().collect();
        let telling = others.iter().map(|peer| async move {
            let told = self.send(peer, key, Change::Delete, Hop::Last, deadline);
            match told.await {
                Ok(()) | Err(PeerError::ReadsOnly) => None,
                Err(error) => Some(named(peer, &error)),
            }
        });
        let failures: Vec<String> = all(telling).await.into_iter().flatten().collect();
        match failures.is_empty() {
            true => Ok(()),
            false => Err(LoadError::failed(format_args!(
                "done, but not all peers know: {}",
                failures.join("; ")
            ))),
        }
    }

    /// What a peer answers, unless it was silent just now.
    async fn unless_silent<T>(
        &self,
        peer: &PeerUrl,
        deadline: Instant,
        asking: impl Future<Output = Result<T, PeerError>>,
    ) -> Result<T, PeerError> {
        let name = peer.as_str();
        let asked_at = Instant::now();
        if !self.silences.may_ask(name, asked_at, deadline) {
            return Err(PeerError::Late);
        }
        let told = asking.await;
        match told {
            Err(PeerError::Late) => self.silences.note_silent(name, asked_at, Instant::now()),
            _ => self.silences.note_heard(name),
        }
        told
    }
}

/// An error with the name of the peer that is at fault.
fn named(peer: &PeerUrl, error: &PeerError) -> String {
    match error {
        PeerError::Peer(why) => why.clone(),
        PeerError::Late => format!("peer {peer} did not answer in time"),
        PeerError::ReadsOnly => format!("peer {peer} takes no changes"),
        PeerError::Source(error) => format!("peer {peer}: {error}"),
    }
}

/// Has all of these done at a time; what they gave, in order.
async fn all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        for (future, given) in &mut running {
            if given.is_none()
                && let Poll::Ready(value) = Pin::new(future).poll(context)
            {
                *given = Some(value);
            }
        }
        match running.iter().all(|(_, given)| given.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    running.into_iter().filter_map(|(_, given)| given).collect()
}
