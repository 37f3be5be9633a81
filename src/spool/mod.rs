//! The spool: writes that are to reach a server later, kept on disk until it has taken them.
//!
//! A folder of segment files, each a run of checksummed records. Records are only ever appended; a
//! segment is removed once nothing in it is needed. This module knows the bytes and the
//! bookkeeping; it opens no file but in [`folder`] (for the command line and for the start), so a
//! crash can be rehearsed by cutting a slice.
//!
//! * `record`: one record's bytes
//! * `segment`: a segment's header, and reading records off what a crash or a disk has left
//! * `index`: which write of a key is the newest, and where it stands
//! * `log`, `moving`, `limits`: where the next record goes, what may be removed, what is to be moved
//!   so that more may, when it is full
//! * `barrier`: values that are not to be told any more
//! * `port`, `board`: how shards hand writes over and hear of them, and what is counted
//! * `folder`: the files of a folder, the lock that one ringfort holds, and the start
//! * `mcrouter`: the deletes that mcrouter has left on disk

mod barrier;
mod board;
pub mod folder;
mod index;
mod limits;
pub mod log;
pub mod mcrouter;
mod moving;
pub mod port;
pub mod record;
pub mod segment;
#[cfg(test)]
mod tests;

pub use self::{
    board::{Board, Count},
    folder::{Folder, FolderError},
    index::Place,
    limits::{Figures, Full, Limits},
    log::{Leftover, Log, Step},
    moving::Slice,
    record::{Operation, Record, Speech, Write},
    segment::{Found, Scan},
};
