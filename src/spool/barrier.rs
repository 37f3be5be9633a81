//! Values that are not to be told any more, although they are on disk: their keys are to be deleted
//! instead, which is never wrong, as a cache may always have nothing.
//!
//! * After a flush, as the server would have the value back.
//! * After a corruption, as what is lost may have been a newer write of the key, or that the server
//!   has taken it, and then somebody may have changed it since.
//!
//! A *barrier* is the number below which this holds. It stands in a record of its own, in a segment
//! that is not removed before all those before it. What is moved from these to behind it is moved as
//! what it is told as.

use super::{
    limits::Full,
    log::{Change, Log},
    record::{self, Lsn, Operation, Write},
};

impl Log {
    /// From here on all sets so far are to be told as deletes; that is on disk once the group is.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn bar(&mut self) -> Result<(), Full> {
        self.bar_below(Lsn(self.next_lsn))
    }

    fn bar_below(&mut self, below: Lsn) -> Result<(), Full> {
        if !self.has_room(record::HEADER_BYTES as u64) {
            return Err(Full::Disk);
        }
        self.write_out(below, |out| record::encode_barrier(out, below));
        let old = self.barrier;
        self.barrier = old.max(below);
        self.group.changes.push(Change::Barrier { old });
        Ok(())
    }

    /// At start: writes before this number may have been lost, and one of them may be a key's newest.
    /// So what is there is certain only where it deletes.
    pub fn distrust(&mut self, below: Lsn) {
        // However far the lost writes went, they were numbered before the next one.
        self.barrier = self.barrier.max(below.min(Lsn(self.next_lsn)));
    }

    /// Writes down again what is [distrusted](Self::distrust): the damage that tells so may be
    /// removed before all that it is about.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn keep_barrier(&mut self) -> Result<(), Full> {
        match self.barrier {
            barrier if barrier > Lsn(0) && self.index.len() > 0 => self.bar_below(barrier),
            _ => Ok(()),
        }
    }

    /// A write as it is to be told.
    pub fn told<'b>(&self, lsn: Lsn, write: Write<'b>) -> Write<'b> {
        let operation = match write.operation {
            Operation::Set { .. } if lsn < self.barrier => Operation::Delete,
            operation => operation,
        };
        Write { operation, ..write }
    }
}
