//! The numbers that one shard counts, and what came of operations in them.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::store::{Absence, Applied, Condition, Operation, Outcome};

/// One number of one shard; only that shard changes it.
#[derive(Debug, Default)]
pub(in crate::shard) struct Counter(AtomicU64);

impl Counter {
    pub(in crate::shard) fn add(&self, count: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(count),
            Ordering::Relaxed,
        );
    }

    pub(in crate::shard) fn sub(&self, count: u64) {
        self.add(count.wrapping_neg());
    }

    pub(in crate::shard) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(in crate::shard) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one shard.
        #[derive(Debug, Default)]
        pub(in crate::shard) struct Counters {
            $($(#[$doc])* pub(in crate::shard) $name: Counter,)*
        }

        impl Counters {
            pub(super) fn copy_from(&self, other: &Self) {
                $(self.$name.set(other.$name.value());)*
            }
        }

        /// What was counted, by one shard or by all.
        #[derive(Debug, Default, Clone, Copy)]
        pub(in crate::shard) struct Totals {
            $($(#[$doc])* pub(in crate::shard) $name: u64,)*
        }

        impl Totals {
            pub(super) fn add(&mut self, counters: &Counters, at_reset: &Counters) {
                $(
                    let count = counters.$name.value().wrapping_sub(at_reset.$name.value());
                    self.$name = self.$name.wrapping_add(count);
                )*
            }
        }
    };
}

counters! {
    /// Connections open now.
    connections,
    /// Connections accepted since the start.
    connections_total,
    /// Connections refused because there were too many.
    connections_refused,
    /// Keys looked up.
    gets,
    /// Of these, found.
    get_hits,
    /// Storage commands.
    sets,
    /// Deadlines changed or asked to.
    touches,
    /// Of the keys looked up, expired.
    get_expired,
    /// Of the keys looked up, flushed.
    get_flushed,
    /// Values stored, whatever for.
    stored,
    /// Values refused because of their size.
    store_too_large,
    /// Values refused because no memory could be freed.
    store_no_memory,
    /// Conditional stores whose CAS id was the right one.
    cas_hits,
    /// The same, of keys that were not there.
    cas_misses,
    /// The same, of values that somebody else had changed.
    cas_badval,
    /// Deadlines changed.
    touch_hits,
    /// Deadlines that were to be changed of keys that were not there.
    touch_misses,
    /// Deletes.
    deletes,
    /// Of these, of keys that were there.
    delete_hits,
    /// Of these, of keys that were not there, or were not as they should.
    delete_misses,
    /// Increments and decrements.
    counts,
    /// Of these, up.
    incr_hits,
    /// Increments of keys that were not there.
    incr_misses,
    /// Of these, down.
    decr_hits,
    /// Decrements of keys that were not there.
    decr_misses,
    /// memcache's `me`.
    metas,
    /// Flushes.
    flushes,
    /// Receives from downstreams that brought something.
    reads,
    /// Sends to downstreams.
    writes,
    /// Bytes received from downstreams.
    bytes_read,
    /// Bytes sent to downstreams.
    bytes_written,
    /// Requests sent to other shards.
    hops,
    /// Changes of other shards' keys made here, as those slept.
    loans,
    /// Requests sent to backends.
    backend_requests,
    /// Requests that a backend failed to answer.
    backend_failures,
    /// Servers that were ejected.
    backend_ejects,
    /// Servers that were readmitted.
    backend_readmits,
    /// Probes of ejected servers.
    backend_probes,
    /// Reads that found nothing because the key's server was ejected or had not heard of a change.
    backend_eject_misses,
    /// Requests that went to another server than their key's own.
    backend_diverted,
    /// Reads that were sent to replicas.
    backend_replica_reads,
    /// Of these, asked of another server because the replica did not answer.
    backend_replica_retries,
    /// Reads that were sent to masters because their keys were written lately.
    backend_recent_reads,
    /// Requests refused because too many were unanswered for too long.
    backend_in_flight_refused,
    /// Requests that a node of the cluster answered MOVED.
    cluster_moved,
    /// The same, ASK.
    cluster_asked,
    /// How often a node was asked about the cluster.
    cluster_refreshes,
    /// Nodes of the cluster that are known now.
    cluster_nodes,
    /// Fills that were joined rather than started.
    fills_joined,
    /// Changes of copied keys, or of all, that servers told of.
    l1_invalidations,
    /// Connections lost, or given up, that vouched for copies.
    l1_losses,
    /// Deletes promised.
    invalidations,
    /// Values promised.
    writes_behind,
    /// Of these, refused by their servers, and deleted there.
    writes_refused,
    /// Reads answered by writes that wait for their servers.
    reads_from_queue,
    /// The most bytes that were alive in the whole store, as this shard saw it.
    live_bytes_peak,
}

impl Counters {
    /// Counts a look-up that found nothing.
    pub(in crate::shard) fn note_absence(&self, absence: Absence) {
        match absence {
            Absence::Unknown => {}
            Absence::Expired => self.get_expired.add(1),
            Absence::Flushed => self.get_flushed.add(1),
        }
    }

    /// Counts a store that compared CAS ids.
    pub(in crate::shard) fn note_compared(&self, outcome: Outcome) {
        match outcome {
            Outcome::Stored { .. } => self.cas_hits.add(1),
            Outcome::NotFound => self.cas_misses.add(1),
            Outcome::Exists => self.cas_badval.add(1),
            _ => {}
        }
    }

    /// Counts a request of a client that this operation is for, once.
    pub(in crate::shard) fn note_asked(&self, operation: &Operation) {
        match operation {
            Operation::Set { .. } | Operation::Concat { .. } => self.sets.add(1),
            Operation::Delete { .. } => self.deletes.add(1),
            Operation::CountUnsigned { .. } | Operation::CountSigned { .. } => self.counts.add(1),
            Operation::Expire { .. } => self.touches.add(1),
            Operation::Unlink { .. } | Operation::Outdate { .. } | Operation::Term { .. } => {}
        }
    }

    /// Counts what came of an operation that a client asked for. One that gives the old value is a read, too.
    #[inline(always)]
    pub(in crate::shard) fn note_applied(&self, operation: &Operation, applied: Applied) {
        match (operation, applied.outcome) {
            (operation, Outcome::TooLarge) => self.note_too_large(operation),
            (_, Outcome::OutOfMemory) => self.store_no_memory.add(1),
            (Operation::Set { .. } | Operation::Concat { .. }, outcome) => {
                let is_stored = matches!(outcome, Outcome::Stored { .. });
                self.stored.add(u64::from(is_stored));
                if let Operation::Set {
                    condition,
                    wants_old,
                    ..
                } = operation
                {
                    if let Condition::Version(_) = condition {
                        self.note_compared(outcome);
                    }
                    if *wants_old {
                        self.note_shown(applied.has_old);
                    }
                }
            }
            (Operation::Delete { wants_old, .. }, outcome) => {
                match outcome {
                    Outcome::Deleted => self.delete_hits.add(1),
                    // Another value than the one to delete is there: memcached counts neither.
                    Outcome::Exists => {}
                    _ => self.delete_misses.add(1),
                }
                if *wants_old {
                    self.note_shown(applied.has_old);
                }
            }
            (Operation::Expire { .. }, Outcome::NotFound) => self.touch_misses.add(1),
            (Operation::Expire { .. }, _) => self.touch_hits.add(1),
            (Operation::CountUnsigned { down, .. }, Outcome::Unsigned(_)) => {
                self.note_counted(*down);
            }
            (Operation::CountSigned { delta }, Outcome::Signed(_)) => self.note_counted(*delta < 0),
            (Operation::CountUnsigned { down: false, .. }, Outcome::NotFound) => {
                self.incr_misses.add(1);
            }
            (Operation::CountUnsigned { down: true, .. }, Outcome::NotFound) => {
                self.decr_misses.add(1);
            }
            _ => {}
        }
    }

    /// Counts the look-up of a value that is shown as it goes.
    #[cold]
    fn note_shown(&self, is_hit: bool) {
        self.gets.add(1);
        self.get_hits.add(u64::from(is_hit));
    }

    /// As memcached counts: what it has no memory for as it is joined is refused and no more, and a
    /// number that it has none for was a hit.
    #[cold]
    fn note_too_large(&self, operation: &Operation) {
        match operation {
            Operation::Concat { .. } => {}
            Operation::CountUnsigned { down, .. } => self.note_counted(*down),
            _ => self.store_too_large.add(1),
        }
    }

    fn note_counted(&self, down: bool) {
        if down {
            self.decr_hits.add(1);
        } else {
            self.incr_hits.add(1);
        }
    }
}
