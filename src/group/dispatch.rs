//! The group's executor: it takes what shards want loaded, asks the source, and answers.
//!
//! So many loads are under way at a time, and so many wait for that; one more is refused at once.
//! Each has its deadline, from when it was asked for: a load that is late is dropped, and one that
//! waits for its turn until then is not begun. Nothing is joined here: for each key there is one
//! load, as the shard that owns it sees to.
//!
//! ```text
//!   load --- another peer owns the key ---> the peer is asked ------- it answers ---> answered
//!     \                                        | it is at fault, silent, or a peer waits
//!      \--- its own, or a peer wants it ------> the source is asked ----------------> answered
//! ```

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    LoadError, Loaded, Loader, PeerError, PeerHandler, Wanted,
    answering::Answering,
    calls::Calls,
    circle::Circle,
    lane::{Lane, Load},
    port::{ControlPort, Counted, LoadOutcome, Reach, Report, Task, Teller, Wish},
    recalls::{Recallable, Recalls},
    statistics::{Board, Count},
    unheard::Unheard,
    visits::Visits,
};
use crate::{
    config::PeerUrl,
    mesh::Doorbell,
    runtime::{self, net},
};

/// Of the time that is left for a load, so much is another peer's, in quarters. The rest is the source's,
/// if the peer says nothing.
const PEER_QUARTERS: u32 = 3;

/// What a group is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a load may take, with its time in the queue.
    pub timeout: Duration,
    /// Loads under way.
    pub loads_max: usize,
    /// Loads that wait for their turn.
    pub queue_max: usize,
}

/// Which shard owns a key.
pub type OwnerOf = Box<dyn Fn(&[u8]) -> usize>;

/// What the executor has to know of the shards.
pub struct Shards {
    /// Its end of the queues of each, by number.
    pub ports: Vec<ControlPort>,
    /// Wakes one.
    pub wake: Box<dyn Fn(usize)>,
    /// Which of them owns a key.
    pub owner: OwnerOf,
}

/// Asks the source for what shards want.
pub struct Dispatch {
    shared: Rc<Shared>,
    doorbell: Doorbell,
}

/// What loads under way share with who starts them.
pub(super) struct Shared {
    pub(super) group: Arc<str>,
    pub(super) loader: Rc<dyn Loader>,
    /// Changes are the loader's affair, too.
    pub(super) writes_through: bool,
    pub(super) limits: Limits,
    pub(super) board: Board,
    ports: RefCell<Vec<ControlPort>>,
    wake: Box<dyn Fn(usize)>,
    /// Whom to wake when all that can go on has.
    unheard: Unheard,
    owner_of: OwnerOf,
    visits: Visits,
    calls: Calls,
    /// What is asked of the source.
    source: Lane,
    /// What is asked of peers.
    around: Lane,
    recalls: Recalls,
    /// The peers, if there are any.
    pub(super) circle: Option<Rc<Circle>>,
}

impl Dispatch {
    /// For these shards, and for threads of the program that call; the loader takes changes, too, or does not.
    pub fn new(
        group: Arc<str>,
        (loader, writes_through): (Rc<dyn Loader>, bool),
        limits: Limits,
        board: Board,
        shards: Shards,
        calls: Calls,
        circle: Option<Rc<Circle>>,
        doorbell: Doorbell,
    ) -> Self {
        let Shards { ports, wake, owner } = shards;
        let shard_count = ports.len();
        let shared = Shared {
            group,
            loader,
            writes_through,
            limits,
            board,
            ports: RefCell::new(ports),
            wake,
            unheard: Unheard::new(shard_count),
            owner_of: owner,
            visits: Visits::default(),
            calls,
            source: Lane::new(limits.loads_max, limits.queue_max),
            around: Lane::new(limits.loads_max, limits.queue_max),
            recalls: Recalls::default(),
            circle,
        };
        Self {
            shared: Rc::new(shared),
            doorbell,
        }
    }

    /// What answers peers.
    pub fn handler(&self) -> Rc<dyn PeerHandler> {
        Rc::new(Answering(Rc::clone(&self.shared)))
    }

    /// What is to be called with each new list of peers.
    pub fn peers_setter(&self) -> impl Fn(&[PeerUrl]) + use<> {
        let shared = Rc::clone(&self.shared);
        move |peers| {
            if let Some(circle) = &shared.circle {
                circle.set_peers(peers);
                let shard_count = shared.ports.borrow().len();
                (0..shard_count).for_each(|shard| shared.unheard.note(shard));
            }
        }
    }

    /// Works until `is_stopping` says so. What is under way then is dropped: no shard is left to hear
    /// of it.
    pub async fn run(self, is_stopping: impl Fn() -> bool) {
        let Self { shared, doorbell } = self;
        while !is_stopping() {
            shared.gather();
            shared.answer_calls();
            shared.give_up_late();
            shared.start();
            shared.unheard.wake(&shared.wake);
            let patience = shared.patience();
            let is_idle = || !is_stopping() && shared.is_idle();
            let is_ready = |waker: &Waker| match shared.unheard.has_none(waker) {
                true => doorbell.poll(waker, is_idle),
                false => Poll::Ready(()),
            };
            runtime::wait_until(is_ready, patience).await;
            doorbell.awake();
        }
    }
}

impl Shared {
    /// Takes what shards have handed over.
    fn gather(self: &Rc<Self>) {
        let deadline = Instant::now() + self.limits.timeout;
        let shard_count = self.ports.borrow().len();
        for shard in 0..shard_count {
            while let Some(outcome) = self.next_visited(shard) {
                self.visits.settle(outcome);
            }
            while let Some(task) = self.next_task(shard) {
                self.take(shard, task, deadline);
            }
        }
    }

    fn take(self: &Rc<Self>, shard: usize, task: Task, deadline: Instant) {
        match task {
            Task::Load { ticket, key, reach } => {
                self.board.add(Count::LoadsDeduped);
                let owner = match reach {
                    Reach::Peers => self.owner(&key),
                    Reach::Source => None,
                };
                let wanted = Wanted {
                    group: Arc::clone(&self.group),
                    key,
                    deadline,
                };
                self.queue(Load {
                    shard,
                    ticket,
                    wanted,
                    owner,
                });
            }
            Task::Recall { ticket } => {
                self.recalls.recall(shard, ticket);
                if let Some(load) = self.around.remove(shard, ticket) {
                    self.queue_at_source(load);
                }
            }
            Task::Change {
                ticket,
                key,
                change,
            } => {
                let shared = Rc::clone(self);
                net::spawn_local(async move {
                    let changing = shared.change(key, change, Counted::Nothing, deadline);
                    let changed = changing.await;
                    shared.report(shard, Report::Changed { ticket, changed });
                });
            }
        }
    }

    /// The peer that owns a key, if it is another.
    fn owner(&self, key: &[u8]) -> Option<PeerUrl> {
        self.circle.as_ref()?.owner(key)
    }

    fn queue(&self, load: Load) {
        let lane = match load.owner {
            Some(_) => &self.around,
            None => &self.source,
        };
        if let Some(load) = lane.push(load) {
            self.board.add(Count::LoadsRefused);
            self.answer(&load, Err(LoadError::Busy), Teller::Source);
        }
    }

    /// No peer is asked for it, whoever owns it.
    fn queue_at_source(&self, load: Load) {
        self.queue(Load {
            owner: None,
            ..load
        });
    }

    fn next_task(&self, shard: usize) -> Option<Task> {
        self.ports.borrow_mut()[shard].next_task()
    }

    fn next_visited(&self, shard: usize) -> Option<LoadOutcome> {
        self.ports.borrow_mut()[shard].next_visited()
    }

    fn is_idle(&self) -> bool {
        let mut ports = self.ports.borrow_mut();
        ports.iter_mut().all(ControlPort::is_empty) && self.calls.is_empty()
    }

    /// Has the owners of their keys do what threads of the program want.
    fn answer_calls(self: &Rc<Self>) {
        while let Some(call) = self.calls.next() {
            let shared = Rc::clone(self);
            net::spawn_local(async move {
                let (key, wish) = (call.key.clone(), call.wish.clone());
                let answer = match wish {
                    Wish::Set(loaded) => shared.set(key, loaded).await,
                    Wish::Delete => shared.delete(key).await,
                    wish => shared.visit(key, wish, Counted::Nothing).await,
                };
                call.answer(answer);
            });
        }
    }

    /// Visits the shard that owns a key.
    pub(super) async fn visit(
        &self,
        key: Bytes,
        wish: Wish,
        counted: Counted,
    ) -> Result<Loaded, LoadError> {
        let shard = (self.owner_of)(&key);
        let wake = |shard| self.unheard.note(shard);
        let visiting = self
            .visits
            .visit(&self.ports, shard, (key, wish, counted), wake);
        visiting.await
    }

    /// Whether others know this process, and so tell it of changes.
    pub(super) fn is_listed(&self) -> bool {
        self.circle.as_ref().is_none_or(|circle| circle.has_me())
    }

    /// Answers those whose time is over before their turn has come.
    fn give_up_late(&self) {
        let now = Instant::now();
        for lane in [&self.source, &self.around] {
            while let Some(load) = lane.next_late(now) {
                self.board.add(Count::LocalLoadErrs);
                self.answer(&load, Err(LoadError::Late), Teller::Source);
            }
        }
    }

    /// Until when nobody in a queue is late, if somebody is in one.
    fn patience(&self) -> Option<Duration> {
        let lanes = [&self.source, &self.around];
        let first = lanes.into_iter().filter_map(Lane::next_deadline).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// Begins as many loads as may be under way.
    fn start(self: &Rc<Self>) {
        while let Some(load) = self.source.begin() {
            let shared = Rc::clone(self);
            net::spawn_local(async move {
                let loaded = shared.load(&load.wanted).await;
                shared.source.end();
                shared.answer(&load, loaded, Teller::Source);
                shared.start();
            });
        }
        while let Some(load) = self.around.begin() {
            let shared = Rc::clone(self);
            let recallable = self.recalls.begin(load.shard, load.ticket);
            net::spawn_local(async move {
                let told = shared.ask_owner(&load, recallable).await;
                shared.around.end();
                match told {
                    Some(loaded) => shared.answer(&load, loaded, Teller::Peer),
                    None => shared.queue_at_source(load),
                }
                shared.start();
            });
        }
    }

    /// Asks the peer that owns a key; what it says of it, unless the source is to be asked here.
    async fn ask_owner(
        &self,
        load: &Load,
        recallable: Recallable,
    ) -> Option<Result<Loaded, LoadError>> {
        let (circle, owner) = (self.circle.as_ref()?, load.owner.as_ref()?);
        let now = Instant::now();
        let left = load.wanted.deadline.saturating_duration_since(now);
        let asking = circle.get(owner, &load.wanted.key, now + left / 4 * PEER_QUARTERS);
        match recallable.unless_recalled(asking).await? {
            Ok(loaded) => Some(Ok(loaded)),
            Err(PeerError::Source(error)) => Some(Err(error)),
            Err(error) => {
                tracing::debug!(%owner, %error, "the source is asked instead of a peer");
                None
            }
        }
    }

    /// Asks the source, no longer than somebody waits.
    async fn load(&self, wanted: &Wanted) -> Result<Loaded, LoadError> {
        let begun = Instant::now();
        let left = wanted.deadline.saturating_duration_since(begun);
        let loaded = runtime::within(left, unless_it_panics(|| self.loader.load(wanted))).await;
        let loaded = loaded.unwrap_or(Err(LoadError::Late));
        if loaded.is_ok() {
            self.board.note_load(begun.elapsed());
        }
        self.board.add(match loaded {
            Ok(_) | Err(LoadError::NotFound { .. }) => Count::LocalLoads,
            Err(_) => Count::LocalLoadErrs,
        });
        loaded
    }

    fn answer(&self, load: &Load, loaded: Result<Loaded, LoadError>, teller: Teller) {
        let outcome = LoadOutcome {
            ticket: load.ticket,
            loaded,
        };
        let teller = match self.is_listed() {
            true => teller,
            false => Teller::Unheard,
        };
        let report = Report::Loaded { outcome, teller };
        self.report(load.shard, report);
    }

    fn report(&self, shard: usize, report: Report) {
        self.ports.borrow_mut()[shard].answer(report);
        self.unheard.note(shard);
    }
}

/// What a source does. If it panics, that is the error of this alone: others wait for theirs.
pub(super) async fn unless_it_panics<'a, T>(
    begin: impl Fn() -> SourceFuture<'a, T>,
) -> Result<T, LoadError> {
    let mut doing = None;
    poll_fn(|cx| {
        let poll = || doing.get_or_insert_with(&begin).as_mut().poll(cx);
        // What a panic leaves behind is dropped, and the loader's own affair.
        let polled = catch_unwind(AssertUnwindSafe(poll));
        polled.unwrap_or_else(|_| Poll::Ready(Err(LoadError::failed("its loader panicked"))))
    })
    .await
}

/// A load or a change under way.
type SourceFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LoadError>> + 'a>>;
