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
    stream::CONNECTIONS_MAX,
    turns::{Turn, Turns},
    wire::has_path,
};
use crate::{
    config::{PeerRing, PeerUrl},
    runtime,
};

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
    /// What each owner may be sent at a time.
    turns: RefCell<HashMap<String, OwnerTurns>>,
    /// Those that know nothing of changes, and since when that is known: to them each is one more question
    /// for the value.
    readers: RefCell<HashMap<String, Instant>>,
    board: Board,
    has_warned: Cell<bool>,
}

/// Turns at the places of an owner.
#[derive(Clone)]
struct OwnerTurns {
    loads: Turns,
    changes: Turns,
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
            turns: RefCell::default(),
            readers: RefCell::default(),
            board,
            has_warned: Cell::new(false),
        };
        circle.warn_if_alone();
        circle
    }

    /// Others own the keys from now on. What is kept of before is given up, as far as nobody may have been told to
    /// tell this process of changes: lists differ for a moment.
    pub fn set_peers(&self, peers: &[PeerUrl]) {
        let is_peer = |text: &str| peers.iter().any(|peer| peer.as_str() == text);
        self.silences.retain(is_peer);
        self.readers.borrow_mut().retain(|peer, _| is_peer(peer));
        self.turns.borrow_mut().clear();
        self.peers.replace(Peers::new(&self.me, peers, self.ring));
        self.board.note_peers(self.has_me());
        self.warn_if_alone();
    }

    /// Whether this process is among them, and so told of changes.
    pub(super) fn has_me(&self) -> bool {
        self.peers.borrow().has_me()
    }

    /// Whether peers can be asked for a key.
    pub(super) fn can_name(&self, key: &[u8]) -> bool {
        has_path(&self.group, key)
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

    /// The owner of a key; `None` if that is this process, or if nobody else can be asked for it.
    pub(super) fn owner(&self, key: &[u8]) -> Option<PeerUrl> {
        let is_nameable = self.can_name(key);
        is_nameable.then(|| self.peers.borrow().owner(key).cloned())?
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
        let told = match self.load_turn(owner, deadline).await {
            Some(_turn) => {
                let asking = self.client.get(owner, &self.group, key, deadline);
                self.unless_silent(owner, deadline, asking).await
            }
            None => Err(PeerError::Late),
        };
        self.board.add(match told {
            Ok(_) | Err(PeerError::Source(_)) => Count::PeerLoads,
            Err(_) => Count::PeerErrors,
        });
        told
    }

    /// A turn to ask the owner of a key, unless it is silent or there is none in time.
    async fn load_turn(&self, owner: &PeerUrl, deadline: Instant) -> Option<Turn> {
        let now = Instant::now();
        if self.silences.is_silent(owner.as_str(), now) {
            return None;
        }
        let turns = self.turns_of(owner).loads;
        runtime::within(deadline.saturating_duration_since(now), turns.take()).await
    }

    /// Has a peer do what is done to a key; whether it has told others if it was to.
    async fn send(
        &self,
        peer: &PeerUrl,
        key: &[u8],
        change: Change,
        hop: Hop,
        deadline: Instant,
    ) -> Result<bool, PeerError> {
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
        let turns = self.turns_of(owner).changes;
        let left = deadline.saturating_duration_since(Instant::now());
        let Some(turn) = runtime::within(left, turns.take()).await else {
            return Err(LoadError::failed(named(owner, &PeerError::Late)));
        };
        let sent = self.send(owner, key, change, Hop::First, deadline).await;
        drop(turn);
        match sent {
            Ok(true) => Ok(()),
            // It is of another make, and has told nobody.
            Ok(false) => self.tell_others(key, Some(owner), deadline).await,
            Err(PeerError::Source(error)) => Err(error),
            Err(error) => Err(LoadError::failed(named(owner, &error))),
        }
    }

    /// A change keeps a place of its owner's until the owner has told all others, who need places for that, and a
    /// load until the owner's source has answered. So all peers together take half of the places for changes, and
    /// the other half for loads, and who comes then waits where it was asked for.
    fn turns_of(&self, owner: &PeerUrl) -> OwnerTurns {
        let max = CONNECTIONS_MAX / 2 / self.peers.borrow().others().count().max(1);
        let mut turns = self.turns.borrow_mut();
        let turns = turns.entry(owner.as_str().to_owned());
        let new = || OwnerTurns {
            loads: Turns::new(max),
            changes: Turns::new(max),
        };
        turns.or_insert_with(new).clone()
    }

    /// Has all other peers forget a key, but for one that knows: its owner has another value of it. Those that take
    /// no changes keep what they have.
    ///
    /// # Errors
    /// Some may not know.
    pub(super) async fn tell_others(
        &self,
        key: &[u8],
        but: Option<&PeerUrl>,
        deadline: Instant,
    ) -> Result<(), LoadError> {
        let mut others: Vec<PeerUrl> = self.peers.borrow().others().cloned().collect();
        others.retain(|peer| Some(peer) != but);
        let telling = others.iter().map(|peer| async move {
            let told = self.send(peer, key, Change::Delete, Hop::Last, deadline);
            match told.await {
                Ok(_) | Err(PeerError::ReadsOnly) => None,
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
        let now = Instant::now();
        match told {
            Err(PeerError::Late) => self.silences.note_silent(name, asked_at, now),
            Err(PeerError::Unreachable(_)) => self.silences.note_unreachable(name, now),
            _ => self.silences.note_heard(name),
        }
        told
    }
}

/// An error with the name of the peer that is at fault.
fn named(peer: &PeerUrl, error: &PeerError) -> String {
    match error {
        PeerError::Peer(why) | PeerError::Unreachable(why) => why.clone(),
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
