//! A segment: a file that begins with what it is, and then has records up to its end.
//!
//! ```text
//!   0            8         12                    20    24
//!   +------------+---------+---------------------+-----+--------+--------+- -
//!   | "RFSPOOL\n"| version | number              | crc | record | record |
//!   +------------+---------+---------------------+-----+--------+--------+- -
//! ```
//!
//! The number is the file's name, too: `%020d.spool`. Every write that was new when the segment
//! was begun has an lsn from there on; older ones in it have been moved from segments before.
//!
//! What a crash or a disk may have done to it, and what is read then:
//!
//! * The last record is cut off: all before it is read, and the rest is [torn](Ending::Torn).
//! * A record's body is damaged: it is [reported](Found::Corrupt), and what follows is read.
//! * A record's header is damaged: reading [stops](Ending::Lost) there, as nobody knows where the
//!   next record begins.
//! * The segment's header is damaged: it is reported, and the records are read, as each has a
//!   checksum of its own. A version that is not known is not read at all.

use core::fmt;

use super::record::{self, Record, Refusal, crc32, u32_at, u64_at};

/// Bytes of a segment's header.
pub const HEADER_BYTES: usize = 24;

/// The longest file that is taken for a segment: one of the largest, which ends with the largest
/// record.
pub const FILE_BYTES_MAX: usize = 64 << 20;

const MAGIC: &[u8; 8] = b"RFSPOOL\n";
const VERSION: u32 = 1;
const SUFFIX: &str = ".spool";
const DIGITS: usize = 20;

/// The name of a segment's file.
pub fn file_name(number: u64) -> String {
    format!("{number:0DIGITS$}{SUFFIX}")
}

/// The number of the segment in a file of this name, if it is one's name.
pub fn number_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(SUFFIX)?;
    let is_name = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_name.then(|| digits.parse().ok()).flatten()
}

/// Appends a segment's header.
pub fn encode_header(out: &mut Vec<u8>, number: u64) {
    let start = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    let crc = crc32(&[&out[start..]]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Something in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'b> {
    /// A record, whole.
    Record {
        /// Where it begins.
        at: usize,
        /// How long it is.
        bytes: usize,
        /// The record.
        record: Record<'b>,
    },
    /// Bytes that were something once; what follows them is read.
    Corrupt {
        /// Where they begin.
        at: usize,
        /// How many.
        bytes: usize,
        /// What they were.
        what: Damage,
    },
}

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The segment's header.
    SegmentHeader,
    /// A record.
    Record,
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With its last record.
    Whole,
    /// In the middle of a record, or with nothing but zeros: a crash came before it was written.
    Torn {
        /// Where the rest begins.
        at: usize,
        /// How long it is.
        bytes: usize,
    },
    /// With bytes in which no record is found any more.
    Lost {
        /// Where they begin.
        at: usize,
        /// How many.
        bytes: usize,
    },
    /// It is of a version that this ringfort does not know, and was not read.
    Foreign {
        /// The version it names.
        version: u32,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SegmentHeader => "the segment's header",
            Self::Record => "a record",
        })
    }
}

/// Reads a segment from its beginning. After the last item, [`Scan::ending`] tells how it ends.
#[derive(Debug, Clone)]
pub struct Scan<'b> {
    bytes: &'b [u8],
    at: usize,
    ending: Option<Ending>,
}

impl<'b> Scan<'b> {
    /// A scan of a whole segment.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            ending: None,
        }
    }

    /// How the segment ends; [`Ending::Whole`] as long as nothing else is known.
    pub fn ending(&self) -> Ending {
        self.ending.unwrap_or(Ending::Whole)
    }

    /// Reads the header. Something to report if it is damaged.
    fn header(&mut self) -> Option<Found<'b>> {
        let Some(header) = self.bytes.first_chunk::<HEADER_BYTES>() else {
            self.end();
            return None;
        };
        let (told, crc) = header.split_at(HEADER_BYTES - 4);
        self.at = HEADER_BYTES;
        if !told.starts_with(MAGIC) || crc32(&[told]) != u32_at(crc, 0) {
            if self.bytes.iter().all(|byte| *byte == 0) {
                self.at = 0;
                self.end();
                return None;
            }
            return Some(Found::Corrupt {
                at: 0,
                bytes: HEADER_BYTES,
                what: Damage::SegmentHeader,
            });
        }
        let version = u32_at(told, MAGIC.len());
        if version != VERSION {
            self.ending = Some(Ending::Foreign { version });
        }
        None
    }

    /// What is left has no record any more.
    fn end(&mut self) {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let (at, bytes) = (self.at, rest.len());
        let is_cut = matches!(record::parse(rest), Err(Refusal::Short)) || at < HEADER_BYTES;
        self.ending = Some(if rest.is_empty() && at >= HEADER_BYTES {
            Ending::Whole
        } else if is_cut || rest.iter().all(|byte| *byte == 0) {
            Ending::Torn { at, bytes }
        } else {
            Ending::Lost { at, bytes }
        });
    }
}

impl<'b> Iterator for Scan<'b> {
    type Item = Found<'b>;

    fn next(&mut self) -> Option<Found<'b>> {
        if self.at == 0
            && let Some(damage) = self.header()
        {
            return Some(damage);
        }
        if self.ending.is_some() {
            return None;
        }
        let at = self.at;
        match record::parse(self.bytes.get(at..).unwrap_or_default()) {
            Ok((record, bytes)) => {
                self.at += bytes;
                Some(Found::Record { at, bytes, record })
            }
            Err(Refusal::Body { bytes }) => {
                self.at += bytes;
                Some(Found::Corrupt {
                    at,
                    bytes,
                    what: Damage::Record,
                })
            }
            Err(Refusal::Short | Refusal::Header) => {
                self.end();
                None
            }
        }
    }
}

/// Reads a segment from bytes of any kind: what is read lies in order within them, and a record
/// says the same again when it is written again. For the fuzzer.
pub fn fuzz_scan(bytes: &[u8]) {
    let mut scan = Scan::new(bytes);
    let mut end = 0;
    for found in scan.by_ref() {
        let (at, length) = match found {
            Found::Record { at, bytes, .. } | Found::Corrupt { at, bytes, .. } => (at, bytes),
        };
        assert!(end <= at && length > 0 && at + length <= bytes.len());
        end = at + length;
        if let Found::Record { record, .. } = found {
            let mut again = Vec::new();
            match record {
                Record::Write { lsn, write } => record::encode_write(&mut again, lsn, &write),
                Record::Done { lsn } => record::encode_done(&mut again, lsn),
                Record::Barrier { below } => record::encode_barrier(&mut again, below),
            }
            assert_eq!(record::parse(&again), Ok((record, again.len())));
        }
    }
    assert_eq!(scan.next(), None, "an end is an end");
    match scan.ending() {
        Ending::Whole => assert_eq!(end.max(HEADER_BYTES), bytes.len()),
        Ending::Torn { at, bytes: rest } | Ending::Lost { at, bytes: rest } => {
            assert_eq!(at + rest, bytes.len());
            assert!(at >= end);
        }
        Ending::Foreign { version } => assert_ne!(version, VERSION),
    }
}

/// The number that a segment's header names, if it is not damaged.
pub fn header_number(bytes: &[u8]) -> Option<u64> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let (told, crc) = header.split_at(HEADER_BYTES - 4);
    let is_one = told.starts_with(MAGIC) && crc32(&[told]) == u32_at(crc, 0);
    is_one.then(|| u64_at(told, MAGIC.len() + 4))
}

#[cfg(test)]
mod tests {
    use super::{super::record::Lsn, *};

    fn segment(lsns: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_header(&mut bytes, 1);
        for lsn in lsns {
            record::encode_done(&mut bytes, Lsn(*lsn));
        }
        bytes
    }

    fn lsns(bytes: &[u8]) -> (Vec<Result<u64, Damage>>, Ending) {
        let mut scan = Scan::new(bytes);
        let found =
            scan.by_ref().map(|found| match found {
                Found::Record {
                    record:
                        Record::Done { lsn }
                        | Record::Write { lsn, .. }
                        | Record::Barrier { below: lsn },
                    ..
                } => Ok(lsn.0),
                Found::Corrupt { what, .. } => Err(what),
            });
        (found.collect(), scan.ending())
    }

    #[test]
    fn files_are_named_by_number() {
        assert_eq!(file_name(42), "00000000000000000042.spool");
        for (name, number) in [
            ("00000000000000000042.spool", Some(42)),
            ("18446744073709551615.spool", Some(u64::MAX)),
            ("18446744073709551616.spool", None),
            ("42.spool", None),
            ("0000000000000000004x.spool", None),
            ("+0000000000000000042.spool", None),
            ("00000000000000000042.spool~", None),
        ] {
            assert_eq!(number_of(name), number, "{name}");
        }
        assert_eq!(header_number(&segment(&[])), Some(1));
    }

    #[test]
    fn a_damaged_record_is_stepped_over_and_a_damaged_header_is_not() {
        let whole = segment(&[1, 2, 3]);
        assert_eq!(lsns(&whole), (vec![Ok(1), Ok(2), Ok(3)], Ending::Whole));
        let flip = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            lsns(&bytes)
        };
        let second = HEADER_BYTES + record::HEADER_BYTES;
        let skipped = vec![Ok(1), Err(Damage::Record), Ok(3)];
        assert_eq!(flip(second + 20), (skipped, Ending::Whole));
        let lost = Ending::Lost {
            at: second,
            bytes: 48,
        };
        assert_eq!(flip(second + 8), (vec![Ok(1)], lost));
        let (found, ending) = flip(3);
        assert_eq!(found[0], Err(Damage::SegmentHeader));
        assert_eq!((found.len(), ending), (4, Ending::Whole));
    }

    #[test]
    fn another_version_is_left_alone() {
        let mut bytes = segment(&[1]);
        bytes[8] = 2;
        let crc = crc32(&[&bytes[..20]]);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(lsns(&bytes), (vec![], Ending::Foreign { version: 2 }));
    }

    #[test]
    fn zeros_at_the_end_are_a_torn_tail() {
        let mut bytes = segment(&[1]);
        let at = bytes.len();
        bytes.extend([0; 100]);
        assert_eq!(lsns(&bytes), (vec![Ok(1)], Ending::Torn { at, bytes: 100 }));
        assert_eq!(lsns(&[0; 50]), (vec![], Ending::Torn { at: 0, bytes: 50 }));
        assert_eq!(lsns(&[]), (vec![], Ending::Torn { at: 0, bytes: 0 }));
    }
}
