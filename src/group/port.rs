//! How shards have keys loaded, and how others than clients reach the keys of shards.
//!
//! Between a shard and the group's executor there are four queues, each from one thread to the other:
//!
//! ```text
//!   shard  -- tasks ----->  executor     as many unanswered as the lane holds
//!          <- results ----               in any order; there is always room
//!          <- visits -----               of peers and of the program; as many unanswered as that holds
//!          -- visited --->               in any order; there is always room
//! ```
//!
//! Who asks counts what is unanswered, so an answer always finds room. A shard rings the [`Doorbell`]
//! once a turn. A recall is not answered; there is one at most for each load, and room for that.

use bytes::Bytes;

use super::{LoadError, Loaded};
use crate::config::PEER_CHANGES_MAX;
use crate::mesh::{Consumer, Doorbell, Producer, queue};

/// Tasks of one shard that are not answered, a power of two.
const TASKS_MAX: usize = 4_096;

/// Loads among them. One more is refused: a source is not asked by more than some thousands at a
/// time, whatever the limits of the executor are. The other places are for changes, so that no
/// slow load keeps them waiting.
const LOADS_MAX: usize = TASKS_MAX - PEER_CHANGES_MAX;

/// Visits to one shard that are not answered; one more is refused.
const VISITS_MAX: usize = 4_096;

/// Names a task of one shard, or a visit to it, until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub u32);

/// Who may be asked for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The peer that owns it, or else the source.
    Peers,
    /// The source alone: a peer asks, and of two with different lists each would wait for the other.
    Source,
}

/// What a client does to a key, wherever its owner is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It gets this value.
    Set(Loaded),
    /// It is forgotten.
    Delete,
}

/// What a shard wants of the executor. Its names for loads and for changes are apart.
#[derive(Debug)]
pub enum Task {
    /// A key is to be loaded.
    Load {
        /// The shard's name for it; it comes back with the result.
        ticket: Ticket,
        /// The key.
        key: Bytes,
        /// Who may be asked.
        reach: Reach,
    },
    /// A load that may wait for a peer is not to wait for one any more: a peer waits for it.
    Recall {
        /// The load's name.
        ticket: Ticket,
    },
    /// A key is to be changed, here and on all peers.
    Change {
        /// The shard's name for it; it comes back with the result.
        ticket: Ticket,
        /// The key.
        key: Bytes,
        /// What becomes of it.
        change: Change,
    },
}

/// What became of a load or a visit.
#[derive(Debug)]
pub struct LoadOutcome {
    /// The load or visit.
    pub ticket: Ticket,
    /// The value, or why there is none.
    pub loaded: Result<Loaded, LoadError>,
}

/// Whose word on a key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    /// The source's: it is kept, as changes are told here.
    Source,
    /// That of the peer that owns the key: what is kept of it is a copy.
    Peer,
    /// Either's, and no peer would tell this process of a change: it is not kept.
    Unheard,
}

/// What became of a task.
#[derive(Debug)]
pub enum Report {
    /// Of a load.
    Loaded {
        /// The value, or why there is none.
        outcome: LoadOutcome,
        /// Whose word it is.
        teller: Teller,
    },
    /// Of a change.
    Changed {
        /// The change.
        ticket: Ticket,
        /// Whether all who have to know know.
        changed: Result<(), LoadError>,
    },
}

/// What a visitor wants of the key's owner.
#[derive(Debug, Clone)]
pub enum Wish {
    /// The value; it is loaded if it is not there.
    Get(Reach),
    /// That it has this value; answered with it.
    Set(Loaded),
    /// That it is forgotten; answered as not found.
    Delete,
}

/// As what a visit counts in statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Nothing, but for a get: whoever asked for a change has counted it.
    Nothing,
    /// A set of the program.
    Set,
    /// A delete of the program.
    Delete,
}

/// Somebody who is no client, and what is wanted.
#[derive(Debug)]
pub struct Visit {
    /// The executor's name for it; it comes back with the outcome.
    pub ticket: Ticket,
    /// The key.
    pub key: Bytes,
    /// What is to be done.
    pub wish: Wish,
    /// As what it counts.
    pub counted: Counted,
}

/// A shard's end.
pub struct ShardPort {
    tasks: Producer<Task>,
    results: Consumer<Report>,
    visits: Consumer<Visit>,
    visited: Producer<LoadOutcome>,
    doorbell: Doorbell,
    /// Loads that are not answered.
    load_count: usize,
    /// Changes that are not answered.
    change_count: usize,
    has_sent: bool,
}

/// The executor's end of one shard.
pub struct ControlPort {
    tasks: Consumer<Task>,
    results: Producer<Report>,
    visits: Producer<Visit>,
    visited: Consumer<LoadOutcome>,
    unanswered: usize,
}

/// Makes the queues of one shard.
pub fn ports(doorbell: &Doorbell) -> (ShardPort, ControlPort) {
    let (tasks_in, tasks) = queue(2 * TASKS_MAX);
    let (results, results_out) = queue(TASKS_MAX);
    let (visits, visits_out) = queue(VISITS_MAX);
    let (visited_in, visited) = queue(VISITS_MAX);
    let shard = ShardPort {
        tasks: tasks_in,
        results: results_out,
        visits: visits_out,
        visited: visited_in,
        doorbell: doorbell.clone(),
        load_count: 0,
        change_count: 0,
        has_sent: false,
    };
    let control = ControlPort {
        tasks,
        results,
        visits,
        visited,
        unanswered: 0,
    };
    (shard, control)
}

impl ShardPort {
    /// Hands a load or a change over.
    ///
    /// # Errors
    /// As many of its kind are unanswered as may be; the task comes back.
    pub fn send(&mut self, task: Task) -> Result<(), Task> {
        let (count, max) = match task {
            Task::Load { .. } => (&mut self.load_count, LOADS_MAX),
            Task::Change { .. } => (&mut self.change_count, PEER_CHANGES_MAX),
            Task::Recall { .. } => return Err(task),
        };
        if *count == max {
            return Err(task);
        }
        self.tasks.push(task)?;
        *count += 1;
        self.has_sent = true;
        Ok(())
    }

    /// Has a load that is not answered wait for no peer; at most once each.
    pub fn recall(&mut self, ticket: Ticket) {
        let pushed = self.tasks.push(Task::Recall { ticket });
        debug_assert!(pushed.is_ok(), "more recalls than loads");
        self.has_sent = true;
    }

    /// What became of a task that is done.
    pub fn next_result(&mut self) -> Option<Report> {
        let result = self.results.pop()?;
        match result {
            Report::Loaded { .. } => self.load_count -= 1,
            Report::Changed { .. } => self.change_count -= 1,
        }
        Some(result)
    }

    /// Whether somebody visits who is no client.
    pub fn has_visits(&mut self) -> bool {
        !self.visits.is_empty()
    }

    /// The next who is no client.
    pub fn next_visit(&mut self) -> Option<Visit> {
        self.visits.pop()
    }

    /// Answers a visit that was taken.
    pub fn answer(&mut self, outcome: LoadOutcome) {
        let pushed = self.visited.push(outcome);
        debug_assert!(pushed.is_ok(), "more answers than visits");
        self.has_sent = true;
    }

    /// Wakes the executor if it sleeps and something was sent since the last time.
    pub fn ring(&mut self) {
        if core::mem::take(&mut self.has_sent) {
            self.doorbell.ring();
        }
    }
}

impl ControlPort {
    /// The next task.
    pub fn next_task(&mut self) -> Option<Task> {
        self.tasks.pop()
    }

    /// Whether the shard has said nothing new.
    pub fn is_empty(&mut self) -> bool {
        self.tasks.is_empty() && self.visited.is_empty()
    }

    /// Answers a task that was taken.
    pub fn answer(&mut self, report: Report) {
        let pushed = self.results.push(report);
        debug_assert!(pushed.is_ok(), "more results than tasks");
    }

    /// Has somebody visit the shard, which is to be woken.
    ///
    /// # Errors
    /// As many are unanswered as may be; the visit comes back.
    pub fn visit(&mut self, visit: Visit) -> Result<(), Visit> {
        if self.unanswered == VISITS_MAX {
            return Err(visit);
        }
        self.visits.push(visit)?;
        self.unanswered += 1;
        Ok(())
    }

    /// What became of a visit.
    pub fn next_visited(&mut self) -> Option<LoadOutcome> {
        let outcome = self.visited.pop()?;
        self.unanswered -= 1;
        Some(outcome)
    }
}

impl core::fmt::Debug for ShardPort {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ShardPort").finish_non_exhaustive()
    }
}

impl core::fmt::Debug for ControlPort {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ControlPort").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use super::*;

    fn task(number: u32) -> Task {
        Task::Load {
            ticket: Ticket(number),
            key: Bytes::new(),
            reach: Reach::Peers,
        }
    }

    fn change(number: u32) -> Task {
        Task::Change {
            ticket: Ticket(number),
            key: Bytes::new(),
            change: Change::Delete,
        }
    }

    fn ticket(task: &Task) -> Ticket {
        let (Task::Load { ticket, .. } | Task::Recall { ticket } | Task::Change { ticket, .. }) =
            task;
        *ticket
    }

    fn visit(number: u32) -> Visit {
        Visit {
            ticket: Ticket(number),
            key: Bytes::new(),
            wish: Wish::Get(Reach::Peers),
            counted: Counted::Nothing,
        }
    }

    fn busy(ticket: Ticket) -> LoadOutcome {
        LoadOutcome {
            ticket,
            loaded: Err(LoadError::Busy),
        }
    }

    #[test]
    fn every_task_finds_room_for_its_result() {
        let (mut shard, mut control) = ports(&Doorbell::default());
        for _ in 0..2 {
            for number in 0..LOADS_MAX as u32 {
                shard.send(task(number)).expect("room");
            }
            let refused = shard.send(task(7)).expect_err("as many as may be");
            assert_eq!(ticket(&refused), Ticket(7));
            // Each may be recalled.
            for number in 0..LOADS_MAX as u32 {
                shard.recall(Ticket(number));
            }
            // Changes have places of their own.
            for number in 0..PEER_CHANGES_MAX as u32 {
                shard.send(change(number)).expect("room");
            }
            assert!(shard.send(change(7)).is_err(), "as many as may be");
            let mut taken: Vec<Task> = std::iter::from_fn(|| control.next_task()).collect();
            let changes = taken.split_off(2 * LOADS_MAX);
            let recalled = taken.split_off(LOADS_MAX);
            assert_eq!(recalled.len(), LOADS_MAX);
            assert!(shard.send(task(0)).is_err(), "taken is not answered");
            assert!(shard.send(change(0)).is_err(), "taken is not answered");
            for one in &changes {
                let (ticket, changed) = (ticket(one), Ok(()));
                control.answer(Report::Changed { ticket, changed });
            }
            taken.reverse();
            for one in &taken {
                control.answer(Report::Loaded {
                    outcome: busy(ticket(one)),
                    teller: Teller::Source,
                });
            }
            assert!(control.is_empty());
            assert_eq!(
                std::iter::from_fn(|| shard.next_result()).count(),
                TASKS_MAX
            );
        }
    }

    #[test]
    fn every_visit_finds_room_for_its_answer() {
        let (mut shard, mut control) = ports(&Doorbell::default());
        for _ in 0..2 {
            for number in 0..VISITS_MAX as u32 {
                control.visit(visit(number)).expect("room");
            }
            assert!(control.visit(visit(7)).is_err(), "as many as may be");
            let mut taken: Vec<Visit> = std::iter::from_fn(|| shard.next_visit()).collect();
            taken.reverse();
            taken.iter().for_each(|one| shard.answer(busy(one.ticket)));
            assert!(!control.is_empty());
            let visited = std::iter::from_fn(|| control.next_visited());
            assert_eq!(visited.count(), VISITS_MAX);
        }
    }
}
