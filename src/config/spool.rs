//! Where writes wait for their servers on disk, and how much of it.

use std::path::PathBuf;
use std::str::FromStr;

use super::{GIB, MIB};

/// Bytes on disk of a spool, by default: about four million deletes of keys of 40 bytes that wait,
/// which is an hour of a thousand a second.
pub const SPOOL_BYTES_MAX_DEFAULT: usize = GIB;

/// The least that a spool may be limited to: its segments then hold a few thousand records each.
pub const SPOOL_BYTES_MAX_MIN: usize = 16 * MIB;

/// The most: live records take about 70 bytes of memory each, which are 20 GiB then.
pub const SPOOL_BYTES_MAX_MAX: usize = 64 * GIB;

/// Writes that wait for their servers on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The folder, for this process alone.
    pub folder: PathBuf,
    /// What is promised when a write is answered.
    pub sync: SpoolSync,
    /// Bytes on disk.
    pub bytes_max: usize,
}

/// What is promised of a spooled write when it is answered. Each survives the end of the process,
/// however it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolSync {
    /// It is on the disk: it survives a loss of power, too.
    Always,
    /// It will be within 100 ms.
    Interval,
    /// It will be when the kernel sees fit.
    None,
}

impl FromStr for SpoolSync {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "always" => Ok(Self::Always),
            "interval" => Ok(Self::Interval),
            "none" => Ok(Self::None),
            _ => Err(()),
        }
    }
}
