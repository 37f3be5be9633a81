//! One record of a segment, both directions.
//!
//! All numbers are little-endian. A record is a header of 24 bytes and a body:
//!
//! ```text
//!   0         4            8           16     17        20       24
//!   +---------+------------+-----------+------+---------+--------+------ - -
//!   | header  | body bytes | lsn       | kind | 0  0  0 | crc    | body
//!   | crc     |            |           |      |         |        |
//!   +---------+------------+-----------+------+---------+--------+------ - -
//!             |<--- header crc covers this -->|
//!   |<------------- crc covers this, and the body -------------->|
//! ```
//!
//! Two checksums, so that a record whose body is damaged can be stepped over: its length is
//! trusted because the header's own checksum holds. Where that does not, nothing behind it can be
//! found again. (To look for the next header byte by byte would find what a client has put into
//! a value.)
//!
//! Kind 1 is a write that a server is still to be told. Kind 2 says that the write of that lsn has
//! been taken; kind 3 that sets before that lsn are to be told as deletes. Both have no body. A
//! write's body:
//!
//! ```text
//!   0           8          9       10             12          16
//!   +-----------+----------+-------+--------------+-----------+- - - -+--------+-----+-------+
//!   | unix ms   | opera-   | speech| server bytes | key bytes | if set: server | key | value |
//!   | of the    | tion     |       |              |           | flags 4,       |     | the   |
//!   | answer    | 1, 2     | 1, 2  |              |           | exptime 8      |     | rest  |
//!   +-----------+----------+-------+--------------+-----------+- - - -+--------+-----+-------+
//! ```

use crc32fast::Hasher;

/// Bytes of every record's header.
pub const HEADER_BYTES: usize = 24;

/// The longest name of a server, in bytes: a DNS name, brackets and a port fit.
pub const SERVER_BYTES_MAX: usize = 512;

/// The longest key in bytes: RESP's.
pub const KEY_BYTES_MAX: usize = 65_535;

/// The longest value in bytes: what `--item-size-max` may be at most.
pub const VALUE_BYTES_MAX: usize = 8 << 20;

/// The longest body. A longer one is not read, whatever its checksum says.
pub const BODY_BYTES_MAX: usize =
    WRITE_BYTES + SET_BYTES + SERVER_BYTES_MAX + KEY_BYTES_MAX + VALUE_BYTES_MAX;

/// The longest record of a delete.
pub const DELETE_BYTES_MAX: usize = HEADER_BYTES + WRITE_BYTES + SERVER_BYTES_MAX + KEY_BYTES_MAX;

/// The longest record of a set whose value is no longer than that.
pub const fn set_bytes_max(value_bytes_max: usize) -> usize {
    DELETE_BYTES_MAX + SET_BYTES + value_bytes_max
}

/// Bytes in front of the names of a write.
const WRITE_BYTES: usize = 16;

/// Bytes that a set has in addition.
const SET_BYTES: usize = 12;

const KIND_WRITE: u8 = 1;
const KIND_DONE: u8 = 2;
const KIND_BARRIER: u8 = 3;

/// The number of a record: it grows with every write, and no two writes of a spool share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// What a segment is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'b> {
    /// A server is to be told this.
    Write {
        /// The write's number.
        lsn: Lsn,
        /// What, and whom.
        write: Write<'b>,
    },
    /// The server has taken the write of this number.
    Done {
        /// The write's number.
        lsn: Lsn,
    },
    /// No value of a set before this number is to be told any more: its key is to be deleted
    /// instead. Everything was flushed, or something newer of the key may have been lost.
    Barrier {
        /// The number.
        below: Lsn,
    },
}

/// Something that a server is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write<'b> {
    /// `HOST:PORT`, as the pool names it; at most [`SERVER_BYTES_MAX`] bytes.
    pub server: &'b [u8],
    /// What it speaks, so that it can be told without the pool.
    pub speech: Speech,
    /// At most [`KEY_BYTES_MAX`] bytes.
    pub key: &'b [u8],
    /// What is to be done with the key.
    pub operation: Operation<'b>,
    /// When it was asked for, in milliseconds since the unix epoch.
    pub unix_ms: u64,
}

/// What is to be done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'b> {
    /// It is to be gone.
    Delete,
    /// It is to have this value.
    Set {
        /// The client's opaque bits.
        flags: u32,
        /// When it expires, in milliseconds since the unix epoch; 0 never.
        exptime: u64,
        /// At most [`VALUE_BYTES_MAX`] bytes.
        value: &'b [u8],
    },
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// memcached's text protocol.
    Memcache,
    /// Redis' protocol.
    Resp,
}

/// A name, a key or a value is longer than a record takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// They end before the header or the body does.
    Short,
    /// The header's checksum does not match, or it announces what no record has.
    Header,
    /// The record's checksum does not match, or the body says what no record says; the record is
    /// that long.
    Body {
        /// Header and body together.
        bytes: usize,
    },
}

impl Write<'_> {
    /// Bytes of its record.
    pub fn record_bytes(&self) -> usize {
        let more = match self.operation {
            Operation::Delete => 0,
            Operation::Set { value, .. } => SET_BYTES + value.len(),
        };
        HEADER_BYTES + WRITE_BYTES + more + self.server.len() + self.key.len()
    }

    /// Whether it fits a record.
    ///
    /// # Errors
    /// It does not.
    pub fn check(&self) -> Result<(), TooLong> {
        let value_bytes = match self.operation {
            Operation::Delete => 0,
            Operation::Set { value, .. } => value.len(),
        };
        let fits = self.server.len() <= SERVER_BYTES_MAX
            && self.key.len() <= KEY_BYTES_MAX
            && value_bytes <= VALUE_BYTES_MAX;
        fits.then_some(()).ok_or(TooLong)
    }
}

/// Appends the record of a write that [fits](Write::check).
pub fn encode_write(out: &mut Vec<u8>, lsn: Lsn, write: &Write<'_>) {
    let start = start(out);
    out.extend_from_slice(&write.unix_ms.to_le_bytes());
    out.push(match write.operation {
        Operation::Delete => 1,
        Operation::Set { .. } => 2,
    });
    out.push(match write.speech {
        Speech::Memcache => 1,
        Speech::Resp => 2,
    });
    out.extend_from_slice(&(write.server.len() as u16).to_le_bytes());
    out.extend_from_slice(&(write.key.len() as u32).to_le_bytes());
    let value = match write.operation {
        Operation::Delete => &[],
        Operation::Set {
            flags,
            exptime,
            value,
        } => {
            out.extend_from_slice(&flags.to_le_bytes());
            out.extend_from_slice(&exptime.to_le_bytes());
            value
        }
    };
    for part in [write.server, write.key, value] {
        out.extend_from_slice(part);
    }
    seal(&mut out[start..], lsn, KIND_WRITE);
}

/// Appends the record that a write has been taken.
pub fn encode_done(out: &mut Vec<u8>, lsn: Lsn) {
    let start = start(out);
    seal(&mut out[start..], lsn, KIND_DONE);
}

/// Appends the record that sets before a number are to be told as deletes.
pub fn encode_barrier(out: &mut Vec<u8>, below: Lsn) {
    let start = start(out);
    seal(&mut out[start..], below, KIND_BARRIER);
}

/// The number in the header of a record that is damaged behind it.
pub fn damaged_lsn(bytes: &[u8]) -> Option<Lsn> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    Some(Lsn(u64_at(header, 8)))
}

/// Reads the record that `bytes` begin with; and how long it is.
///
/// # Errors
/// They do not begin with a record.
pub fn parse(bytes: &[u8]) -> Result<(Record<'_>, usize), Refusal> {
    let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(Refusal::Short)?;
    let (announced, crc) = header.split_at(HEADER_BYTES - 4);
    if crc32(&[&announced[4..]]) != u32_at(announced, 0) {
        return Err(Refusal::Header);
    }
    let body_bytes = u32_at(announced, 4) as usize;
    let kind = announced[16];
    if body_bytes > BODY_BYTES_MAX || !matches!(kind, KIND_WRITE | KIND_DONE | KIND_BARRIER) {
        return Err(Refusal::Header);
    }
    let bytes_all = HEADER_BYTES + body_bytes;
    let body = bytes.get(HEADER_BYTES..bytes_all).ok_or(Refusal::Short)?;
    let damaged = Refusal::Body { bytes: bytes_all };
    if crc32(&[announced, body]) != u32_at(crc, 0) {
        return Err(damaged);
    }
    let lsn = Lsn(u64_at(announced, 8));
    let record = match kind {
        KIND_DONE if body.is_empty() => Record::Done { lsn },
        KIND_BARRIER if body.is_empty() => Record::Barrier { below: lsn },
        KIND_WRITE => Record::Write {
            lsn,
            write: parse_write(body).ok_or(damaged)?,
        },
        _ => return Err(damaged),
    };
    Ok((record, bytes_all))
}

fn parse_write(body: &[u8]) -> Option<Write<'_>> {
    let (fixed, rest) = body.split_at_checked(WRITE_BYTES)?;
    let (set, rest) = match fixed[8] {
        1 => (None, rest),
        2 => {
            let (set, rest) = rest.split_at_checked(SET_BYTES)?;
            (Some(set), rest)
        }
        _ => return None,
    };
    let speech = match fixed[9] {
        1 => Speech::Memcache,
        2 => Speech::Resp,
        _ => return None,
    };
    let server_bytes = usize::from(u16::from_le_bytes([fixed[10], fixed[11]]));
    let (server, rest) = rest.split_at_checked(server_bytes)?;
    let (key, value) = rest.split_at_checked(u32_at(fixed, 12) as usize)?;
    let operation = match set {
        None if value.is_empty() => Operation::Delete,
        None => return None,
        Some(set) => Operation::Set {
            flags: u32_at(set, 0),
            exptime: u64_at(set, 4),
            value,
        },
    };
    let write = Write {
        server,
        speech,
        key,
        operation,
        unix_ms: u64_at(fixed, 0),
    };
    write.check().ok().map(|()| write)
}

/// Makes room for a header.
fn start(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + HEADER_BYTES, 0);
    start
}

/// Fills the header of a record whose body is there.
fn seal(record: &mut [u8], lsn: Lsn, kind: u8) {
    let body_bytes = (record.len() - HEADER_BYTES) as u32;
    record[4..8].copy_from_slice(&body_bytes.to_le_bytes());
    record[8..16].copy_from_slice(&lsn.0.to_le_bytes());
    record[16] = kind;
    let header_crc = crc32(&[&record[4..HEADER_BYTES - 4]]);
    record[..4].copy_from_slice(&header_crc.to_le_bytes());
    let crc = crc32(&[&record[..HEADER_BYTES - 4], &record[HEADER_BYTES..]]);
    record[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}

pub(super) fn crc32(parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// The number at `at`; the caller has looked that it is there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// As [`u32_at`].
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELETE: Write<'_> = Write {
        server: b"10.0.0.1:11211",
        speech: Speech::Memcache,
        key: b"user:1",
        operation: Operation::Delete,
        unix_ms: 0x0102_0304_0506,
    };

    #[test]
    fn a_delete_is_these_bytes() {
        let mut bytes = Vec::new();
        encode_write(&mut bytes, Lsn(7), &DELETE);
        let expected: &[&[u8]] = &[
            b"\x45\xf2\x91\xe3",             // header crc
            b"\x24\0\0\0",                   // body bytes: 16 + 14 + 6
            b"\x07\0\0\0\0\0\0\0",           // lsn
            b"\x01\0\0\0",                   // a write
            b"\xdc\x52\xd4\xf5",             // crc
            b"\x06\x05\x04\x03\x02\x01\0\0", // unix ms
            b"\x01\x01",                     // delete, memcache
            b"\x0e\0",                       // server bytes
            b"\x06\0\0\0",                   // key bytes
            b"10.0.0.1:11211",
            b"user:1",
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(bytes.len(), DELETE.record_bytes());
    }

    #[test]
    fn what_is_written_is_read() {
        let set = Write {
            speech: Speech::Resp,
            operation: Operation::Set {
                flags: 5,
                exptime: 99,
                value: b"value",
            },
            ..DELETE
        };
        let mut bytes = Vec::new();
        encode_write(&mut bytes, Lsn(1), &set);
        let set_bytes = bytes.len();
        encode_done(&mut bytes, Lsn(2));
        encode_barrier(&mut bytes, Lsn(9));
        encode_write(&mut bytes, Lsn(3), &DELETE);
        let write = |lsn, write| Record::Write {
            lsn: Lsn(lsn),
            write,
        };
        assert_eq!(parse(&bytes), Ok((write(1, set), set.record_bytes())));
        let rest = &bytes[set_bytes..];
        assert_eq!(parse(rest), Ok((Record::Done { lsn: Lsn(2) }, 24)));
        let rest = &rest[24..];
        assert_eq!(parse(rest), Ok((Record::Barrier { below: Lsn(9) }, 24)));
        let rest = &rest[24..];
        assert_eq!(parse(rest), Ok((write(3, DELETE), rest.len())));
    }

    #[test]
    fn nothing_longer_than_a_limit_is_read() {
        let server = [b's'; SERVER_BYTES_MAX + 1];
        let key = [b'k'; KEY_BYTES_MAX + 1];
        for (server, key, fits) in [
            (&server[1..], &key[1..], true),
            (&server[..], &key[1..], false),
            (&server[1..], &key[..], false),
        ] {
            let long = Write {
                server,
                key,
                ..DELETE
            };
            let mut bytes = Vec::new();
            encode_write(&mut bytes, Lsn(1), &long);
            assert_eq!(long.check().is_ok(), fits);
            assert_eq!(parse(&bytes).is_ok(), fits);
            assert!(bytes.len() <= DELETE_BYTES_MAX || !fits);
        }
        let mut header = [0; HEADER_BYTES];
        header[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        header[16] = KIND_WRITE;
        let crc = crc32(&[&header[4..HEADER_BYTES - 4]]);
        header[..4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(parse(&header), Err(Refusal::Header), "not waited for");
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(parse(&[0; 64]), Err(Refusal::Header));
        assert_eq!(parse(&[]), Err(Refusal::Short));
    }
}
