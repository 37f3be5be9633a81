//! The group's executor: it takes what shards want loaded, asks the source, and answers.
//!
//! So many loads are under way at a time, and so many wait for that; one more is refused at once.
//! Each has its deadline, from when it was asked for: a load that is late is dropped, and one that
//! waits for its turn until then is not begun. Nothing is joined here: for each key there is one
//! load, as the shard that owns it sees to.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    LoadError, LoadFuture, Loaded, Loader, Wanted,
    calls::Calls,
    port::{ControlPort, Outcome, Task, Ticket, Wish},
    statistics::{Board, Count},
    unheard::Unheard,
    visits::Visits,
};
use crate::{
    mesh::Doorbell,
    runtime::{self, net},
};

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
struct Shared {
    group: Arc<str>,
    loader: Rc<dyn Loader>,
    limits: Limits,
    board: Board,
    ports: RefCell<Vec<ControlPort>>,
    wake: Box<dyn Fn(usize)>,
    /// Whom to wake when all that can go on has.
    unheard: Unheard,
    owner: OwnerOf,
    visits: Visits,
    calls: Calls,
    queue: RefCell<VecDeque<Load>>,
    under_way: Cell<usize>,
}

/// A key that a shard wants.
struct Load {
    shard: usize,
    ticket: Ticket,
    wanted: Wanted,
}

impl Dispatch {
    /// For these shards, and for threads of the program that call.
    pub fn new(
        group: Arc<str>,
        loader: Rc<dyn Loader>,
        limits: Limits,
        board: Board,
        shards: Shards,
        calls: Calls,
        doorbell: Doorbell,
    ) -> Self {
        let Shards { ports, wake, owner } = shards;
        let shard_count = ports.len();
        let shared = Shared {
            group,
            loader,
            limits,
            board,
            ports: RefCell::new(ports),
            wake,
            unheard: Unheard::new(shard_count),
            owner,
            visits: Visits::default(),
            calls,
            queue: RefCell::default(),
            under_way: Cell::new(0),
        };
        Self {
            shared: Rc::new(shared),
            doorbell,
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
    fn gather(&self) {
        let deadline = Instant::now() + self.limits.timeout;
        let shard_count = self.ports.borrow().len();
        for shard in 0..shard_count {
            while let Some(outcome) = self.next_visited(shard) {
                self.visits.settle(outcome);
            }
            while let Some(Task { ticket, key }) = self.next_task(shard) {
                let wanted = Wanted {
                    group: Arc::clone(&self.group),
                    key,
                    deadline,
                };
                let load = Load {
                    shard,
                    ticket,
                    wanted,
                };
                self.board.add(Count::LoadsDeduped);
                let waiting = self.queue.borrow().len();
                let room = self.limits.loads_max.saturating_sub(self.under_way.get());
                match waiting < room + self.limits.queue_max {
                    true => self.queue.borrow_mut().push_back(load),
                    false => {
                        self.board.add(Count::LoadsRefused);
                        self.answer(&load, Err(LoadError::Busy));
                    }
                }
            }
        }
    }

    fn next_task(&self, shard: usize) -> Option<Task> {
        self.ports.borrow_mut()[shard].next_task()
    }

    fn next_visited(&self, shard: usize) -> Option<Outcome> {
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
                let answer = shared.visit(key, wish).await;
                call.answer(answer);
            });
        }
    }

    /// Visits the shard that owns a key.
    async fn visit(&self, key: Bytes, wish: Wish) -> Result<Loaded, LoadError> {
        let shard = (self.owner)(&key);
        let wake = |shard| self.unheard.note(shard);
        self.visits.visit(&self.ports, shard, key, wish, wake).await
    }

    /// Answers those whose time is over before their turn has come. All have the same patience, so
    /// the first is the first to lose it.
    fn give_up_late(&self) {
        let now = Instant::now();
        loop {
            let is_late = |load: &mut Load| load.wanted.deadline <= now;
            let Some(load) = self.queue.borrow_mut().pop_front_if(is_late) else {
                return;
            };
            self.board.add(Count::LocalLoadErrs);
            self.answer(&load, Err(LoadError::Late));
        }
    }

    /// Until when nobody in the queue is late, if somebody is in it.
    fn patience(&self) -> Option<Duration> {
        let queue = self.queue.borrow();
        let first = queue.front()?;
        Some(
            first
                .wanted
                .deadline
                .saturating_duration_since(Instant::now()),
        )
    }

    /// Begins as many loads as may be under way.
    fn start(self: &Rc<Self>) {
        while self.under_way.get() < self.limits.loads_max {
            let Some(load) = self.queue.borrow_mut().pop_front() else {
                return;
            };
            self.under_way.set(self.under_way.get() + 1);
            let shared = Rc::clone(self);
            net::spawn_local(async move {
                let loaded = shared.load(&load.wanted).await;
                shared.under_way.set(shared.under_way.get() - 1);
                shared.answer(&load, loaded);
                shared.start();
            });
        }
    }

    /// Asks the source, no longer than somebody waits.
    async fn load(&self, wanted: &Wanted) -> Result<Loaded, LoadError> {
        let begun = Instant::now();
        let left = wanted.deadline.saturating_duration_since(begun);
        let loaded = runtime::within(left, self.ask_loader(wanted)).await;
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

    /// Asks the source. If it panics, that is this load's error alone: others wait for theirs.
    async fn ask_loader(&self, wanted: &Wanted) -> Result<Loaded, LoadError> {
        let mut loading: Option<LoadFuture<'_>> = None;
        poll_fn(|cx| {
            let poll = || {
                let loading = loading.get_or_insert_with(|| self.loader.load(wanted));
                loading.as_mut().poll(cx)
            };
            // What a panic leaves behind is dropped, and the loader's own affair.
            let polled = catch_unwind(AssertUnwindSafe(poll));
            polled.unwrap_or_else(|_| Poll::Ready(Err(LoadError::failed("its loader panicked"))))
        })
        .await
    }

    fn answer(&self, load: &Load, loaded: Result<Loaded, LoadError>) {
        let result = Outcome {
            ticket: load.ticket,
            loaded,
        };
        self.ports.borrow_mut()[load.shard].answer(result);
        self.unheard.note(load.shard);
    }
}
