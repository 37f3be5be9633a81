//! A folder of segments, as files: for the start, and for the command line.
//!
//! While ringfort runs, its segments are written elsewhere; here they are found, read whole, one
//! after the other, and put in order after a crash.

use core::fmt;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    index::Place,
    limits::Limits,
    log::Log,
    record::{self, Lsn, Record, Write},
    segment::{self, Damage, Ending, Found, Scan},
};

/// The file that one ringfort holds a lock on.
const LOCK_NAME: &str = "LOCK";

/// Keys may be private.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A folder of segments.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held as long as this is.
    lock: Option<File>,
}

/// Why a folder cannot be used.
#[derive(Debug)]
pub enum FolderError {
    /// Another ringfort holds it.
    InUse,
    /// It, or the file named, cannot be used.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("a running ringfort holds it"),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for FolderError {}

/// Something in a segment that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw {
    /// The segment's number.
    pub segment: u64,
    /// Where it begins.
    pub at: usize,
    /// How many bytes.
    pub bytes: usize,
    /// What it is.
    pub kind: FlawKind,
}

/// What is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlawKind {
    /// A crash came before this was written; nobody had been promised it.
    Torn,
    /// It is skipped.
    Corrupt(Damage),
    /// No record is found in the rest.
    Lost,
    /// The segment is of a version that is not known, and not read.
    Foreign(u32),
}

impl FlawKind {
    /// Whether something that a client may have been promised is missing.
    pub fn is_corruption(self) -> bool {
        !matches!(self, Self::Torn)
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment, at, bytes, ..
        } = self;
        let name = segment::file_name(*segment);
        match self.kind {
            FlawKind::Torn => write!(f, "{name}: torn at byte {at}, {bytes} bytes are cut off"),
            FlawKind::Corrupt(what) => {
                write!(
                    f,
                    "{name}: {what} of {bytes} bytes at byte {at} is corrupt and skipped"
                )
            }
            FlawKind::Lost => write!(
                f,
                "{name}: a record's header at byte {at} is corrupt, {bytes} bytes are not read"
            ),
            FlawKind::Foreign(version) => {
                write!(
                    f,
                    "{name}: version {version} is not known, the segment is not read"
                )
            }
        }
    }
}

impl Folder {
    /// A folder to read from, whoever writes to it.
    ///
    /// # Errors
    /// It is not there, or may not be read.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let folder = Self {
            path: path.to_owned(),
            lock: None,
        };
        folder.segments().map(|_| folder)
    }

    /// A folder for this process alone, as long as the value lives. It is made if it is not there.
    ///
    /// # Errors
    /// Another process has it, or it cannot be made.
    pub fn lock(path: &Path) -> Result<Self, FolderError> {
        let mut folder = Self {
            path: path.to_owned(),
            lock: None,
        };
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(path);
        made.map_err(|error| folder.failed(path, error))?;
        folder.try_lock()?;
        Ok(folder)
    }

    /// Takes the lock of a folder that is there.
    ///
    /// # Errors
    /// Another process has it, or the lock's file cannot be made.
    pub fn try_lock(&mut self) -> Result<(), FolderError> {
        let path = self.path.join(LOCK_NAME);
        let opened = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(&path);
        let file = opened.map_err(|error| self.failed(&path, error))?;
        match file.try_lock() {
            Ok(()) => {
                self.lock = Some(file);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse),
            Err(TryLockError::Error(error)) => Err(self.failed(&path, error)),
        }
    }

    /// Whether another process holds the lock.
    pub fn is_in_use(&self) -> bool {
        let Ok(file) = File::open(self.path.join(LOCK_NAME)) else {
            return false;
        };
        self.lock.is_none() && matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Whether it has ever been a ringfort's.
    pub fn has_lock_file(&self) -> bool {
        self.path.join(LOCK_NAME).exists()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a segment is.
    pub fn file(&self, number: u64) -> PathBuf {
        self.path.join(segment::file_name(number))
    }

    /// The numbers of the segments that are there, from the oldest on.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn segments(&self) -> Result<Vec<u64>, FolderError> {
        let failed = |error| self.failed(&self.path, error);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            numbers.extend(name.to_str().and_then(segment::number_of));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A whole segment.
    ///
    /// # Errors
    /// It cannot be read, or is longer than a segment can be.
    pub fn read(&self, number: u64) -> Result<Vec<u8>, FolderError> {
        let path = self.file(number);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| {
            file.take(segment::FILE_BYTES_MAX as u64 + 1)
                .read_to_end(&mut bytes)
        });
        match read {
            Ok(length) if length <= segment::FILE_BYTES_MAX => Ok(bytes),
            Ok(_) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, "too long for a segment");
                Err(self.failed(&path, error))
            }
            Err(error) => Err(self.failed(&path, error)),
        }
    }

    /// Reads all segments into a log, and tells what is not as it was written.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn load(&self, limits: Limits, seed: u64) -> Result<(Log, Vec<Flaw>), FolderError> {
        let mut log = Log::new(limits, seed);
        let mut flaws = Vec::new();
        let numbers = self.segments()?;
        for (nth, number) in numbers.iter().enumerate() {
            let bytes = self.read(*number)?;
            let next = numbers.get(nth + 1).copied();
            load_segment(&mut log, *number, next, &bytes, &mut flaws);
        }
        Ok((log, flaws))
    }

    /// As [`Folder::load`], and puts the files in order: torn ends are cut off, and all that is left
    /// is synced, so that what makes a record dead does not get lost when the record is removed.
    ///
    /// # Errors
    /// A file cannot be read, cut or synced.
    pub fn recover(&self, limits: Limits, seed: u64) -> Result<(Log, Vec<Flaw>), FolderError> {
        let (log, flaws) = self.load(limits, seed)?;
        for number in self.segments()? {
            let path = self.file(number);
            let is_cut = |flaw: &&Flaw| flaw.segment == number && flaw.kind == FlawKind::Torn;
            let cut = flaws.iter().find(is_cut);
            let synced = OpenOptions::new().write(true).open(&path).and_then(|file| {
                cut.map_or(Ok(()), |flaw| file.set_len(flaw.at as u64))?;
                file.sync_data()
            });
            synced.map_err(|error| self.failed(&path, error))?;
        }
        // The names of the files, and of the folder itself if it is new.
        for folder in [self.path.clone(), self.path.join("..")] {
            let synced = File::open(&folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| self.failed(&folder, error))?;
        }
        Ok((log, flaws))
    }

    /// Calls `take` with each live write as it is to be told, in the order in which they were asked
    /// for. A segment is read again for each run of records in it.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn live(&self, log: &Log, take: impl FnMut(Lsn, &Write<'_>)) -> Result<(), FolderError> {
        self.read_places(log, log.live(), take)
    }

    /// The same in the order in which they stand, so that each segment is read once.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn live_as_it_stands(
        &self,
        log: &Log,
        take: impl FnMut(Lsn, &Write<'_>),
    ) -> Result<(), FolderError> {
        let mut places = log.live();
        places.sort_unstable_by_key(|place| (place.segment, place.at));
        self.read_places(log, places, take)
    }

    fn read_places(
        &self,
        log: &Log,
        places: Vec<Place>,
        mut take: impl FnMut(Lsn, &Write<'_>),
    ) -> Result<(), FolderError> {
        let mut read: Option<(u64, Vec<u8>)> = None;
        for place in places {
            let is_read = |(number, _): &(u64, Vec<u8>)| *number == place.segment;
            let (_, bytes) = match read.take().filter(is_read) {
                Some(read) => read,
                None => (place.segment, self.read(place.segment)?),
            };
            let record = bytes.get(place.at as usize..).map(record::parse);
            if let Some(Ok((Record::Write { lsn, write }, _))) = record {
                take(lsn, &log.told(lsn, write));
            }
            read = Some((place.segment, bytes));
        }
        Ok(())
    }

    fn failed(&self, path: &Path, error: io::Error) -> FolderError {
        FolderError::File {
            path: path.to_owned(),
            error,
        }
    }
}

/// Reads one segment into a log that has all before it. `next` is the number of the one behind it:
/// what was new in this one has lower ones.
pub(super) fn load_segment(
    log: &mut Log,
    number: u64,
    next: Option<u64>,
    bytes: &[u8],
    flaws: &mut Vec<Flaw>,
) {
    let mut scan = Scan::new(bytes);
    let mut flaw = |at, bytes, kind| {
        flaws.push(Flaw {
            segment: number,
            at,
            bytes,
            kind,
        });
    };
    let mut records = Vec::new();
    let all_of_it = Lsn(next.unwrap_or(u64::MAX));
    // What may have been lost: numbers below this.
    let mut lost_below = Lsn(0);
    for found in scan.by_ref() {
        match found {
            Found::Record { at, bytes, record } => records.push((at, bytes, record)),
            Found::Corrupt {
                at,
                bytes: length,
                what,
            } => {
                if what == Damage::Record {
                    let lsn = bytes.get(at..).and_then(record::damaged_lsn);
                    let behind = lsn.map_or(all_of_it, |Lsn(lsn)| Lsn(lsn.saturating_add(1)));
                    lost_below = lost_below.max(behind);
                }
                flaw(at, length, FlawKind::Corrupt(what));
            }
        }
    }
    let mut kept = bytes.len();
    match scan.ending() {
        Ending::Whole => {}
        Ending::Torn { at, bytes } => {
            kept = at;
            flaw(at, bytes, FlawKind::Torn);
        }
        Ending::Lost { at, bytes } => {
            lost_below = all_of_it;
            flaw(at, bytes, FlawKind::Lost);
        }
        Ending::Foreign { version } => {
            lost_below = all_of_it;
            flaw(0, bytes.len(), FlawKind::Foreign(version));
        }
    }
    log.found_segment(number, kept as u64);
    for (at, bytes, record) in records {
        log.found_record(at, bytes, &record);
    }
    log.distrust(lost_below);
}
