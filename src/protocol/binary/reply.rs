//! Replies, written for a downstream.

use super::header::ReplyHeader;
use super::request::Echo;

/// What became of a request. Codes and texts are memcached's, except where it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Success,
    /// No such key, or no such statistics.
    NotFound,
    /// A key that is there and should not be, or has another cas id.
    Exists,
    /// The value is over the limit.
    TooLarge,
    /// Lengths that the command cannot have.
    InvalidArguments,
    /// Nothing to append to, or no room to.
    NotStored,
    /// The value there is no number.
    NonNumeric,
    /// No such command.
    UnknownCommand,
    /// No room.
    OutOfMemory,
    /// The command is known, and not to be had here.
    NotSupported,
    /// What was to be asked could not be.
    Internal,
}

impl Status {
    /// The code in the header (`protocol_binary.h`; the last two are only in the protocol's text).
    pub const fn code(self) -> u16 {
        match self {
            Self::Success => 0x00,
            Self::NotFound => 0x01,
            Self::Exists => 0x02,
            Self::TooLarge => 0x03,
            Self::InvalidArguments => 0x04,
            Self::NotStored => 0x05,
            Self::NonNumeric => 0x06,
            Self::UnknownCommand => 0x81,
            Self::OutOfMemory => 0x82,
            Self::NotSupported => 0x83,
            Self::Internal => 0x84,
        }
    }

    /// The text that an error has for its value.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Success => "",
            Self::NotFound => "Not found",
            Self::Exists => "Data exists for key.",
            Self::TooLarge => "Too large.",
            Self::InvalidArguments => "Invalid arguments",
            Self::NotStored => "Not stored.",
            Self::NonNumeric => "Non-numeric server-side value for incr or decr",
            Self::UnknownCommand => "Unknown command",
            Self::OutOfMemory => "Out of memory",
            Self::NotSupported => "Not supported",
            Self::Internal => "Internal error",
        }
    }
}

/// Appends an error with its text.
pub fn error(out: &mut Vec<u8>, echo: Echo, status: Status) {
    write(out, echo, status, &[], &[], status.text().as_bytes(), 0);
}

/// Appends an error with a text of our own.
pub fn refusal(out: &mut Vec<u8>, echo: Echo, status: Status, text: &[u8]) {
    write(out, echo, status, &[], &[], text, 0);
}

/// Appends the miss of a get that shows its key: the key is there in place of a text.
pub fn miss_with_key(out: &mut Vec<u8>, echo: Echo, key: &[u8]) {
    write(out, echo, Status::NotFound, &[], key, &[], 0);
}

/// Appends a success that has nothing to say but the entry's cas id, 0 if there is none.
pub fn done(out: &mut Vec<u8>, echo: Echo, cas: u64) {
    write(out, echo, Status::Success, &[], &[], &[], cas);
}

/// Appends a value, with its key if one is given.
#[inline]
pub fn value(out: &mut Vec<u8>, echo: Echo, key: Option<&[u8]>, flags: u32, data: &[u8], cas: u64) {
    value_head(out, echo, key, flags, data.len(), cas);
    out.extend_from_slice(data);
}

/// Appends what stands before the data of a value, of so many bytes.
#[inline]
pub fn value_head(
    out: &mut Vec<u8>,
    echo: Echo,
    key: Option<&[u8]>,
    flags: u32,
    data_bytes: usize,
    cas: u64,
) {
    let flags = flags.to_be_bytes();
    let key = key.unwrap_or_default();
    write_head(out, echo, Status::Success, &flags, key, data_bytes, cas);
}

/// Appends the answer to a touch that found its entry: a value without the value.
pub fn touched(out: &mut Vec<u8>, echo: Echo, flags: u32, cas: u64) {
    let flags = flags.to_be_bytes();
    write(out, echo, Status::Success, &flags, &[], &[], cas);
}

/// Appends the number that an increment or decrement came to.
pub fn number(out: &mut Vec<u8>, echo: Echo, number: u64, cas: u64) {
    let number = number.to_be_bytes();
    write(out, echo, Status::Success, &[], &[], &number, cas);
}

/// Appends the answer to version.
pub fn version(out: &mut Vec<u8>, echo: Echo, version: &str) {
    write(out, echo, Status::Success, &[], &[], version.as_bytes(), 0);
}

/// Appends one statistic. After the last one comes one without a name: [`done`].
pub fn stat(out: &mut Vec<u8>, echo: Echo, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    let (name, value) = (name.as_ref(), value.as_ref());
    write(out, echo, Status::Success, &[], name, value, 0);
}

#[inline]
fn write(
    out: &mut Vec<u8>,
    echo: Echo,
    status: Status,
    extras: &[u8],
    key: &[u8],
    value: &[u8],
    cas: u64,
) {
    write_head(out, echo, status, extras, key, value.len(), cas);
    out.extend_from_slice(value);
}

#[inline]
fn write_head(
    out: &mut Vec<u8>,
    echo: Echo,
    status: Status,
    extras: &[u8],
    key: &[u8],
    value_bytes: usize,
    cas: u64,
) {
    let header = ReplyHeader {
        status,
        extras_bytes: extras.len(),
        key_bytes: key.len(),
        value_bytes,
        cas,
    };
    header.write(out, echo);
    out.extend_from_slice(extras);
    out.extend_from_slice(key);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo {
        opcode: 0x0c,
        opaque: 0xdead_beef,
    };

    fn check(write: impl FnOnce(&mut Vec<u8>), expected: &[u8]) {
        let mut out = b"before".to_vec();
        write(&mut out);
        assert_eq!(
            out[b"before".len()..].escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn replies_are_written_as_memcached_writes_them() {
        check(
            |out| value(out, ECHO, Some(b"key"), 5, b"hello", 7),
            b"\x81\x0c\0\x03\x04\0\0\0\0\0\0\x0c\xde\xad\xbe\xef\0\0\0\0\0\0\0\x07\0\0\0\x05keyhello",
        );
        check(
            |out| value(out, ECHO, None, u32::MAX, b"", u64::MAX),
            b"\x81\x0c\0\0\x04\0\0\0\0\0\0\x04\xde\xad\xbe\xef\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        );
        check(
            |out| miss_with_key(out, ECHO, b"key"),
            b"\x81\x0c\0\x03\0\0\0\x01\0\0\0\x03\xde\xad\xbe\xef\0\0\0\0\0\0\0\0key",
        );
        check(
            |out| error(out, ECHO, Status::UnknownCommand),
            b"\x81\x0c\0\0\0\0\0\x81\0\0\0\x0f\xde\xad\xbe\xef\0\0\0\0\0\0\0\0Unknown command",
        );
        check(
            |out| done(out, ECHO, 258),
            b"\x81\x0c\0\0\0\0\0\0\0\0\0\0\xde\xad\xbe\xef\0\0\0\0\0\0\x01\x02",
        );
        check(
            |out| touched(out, ECHO, 3, 1),
            b"\x81\x0c\0\0\x04\0\0\0\0\0\0\x04\xde\xad\xbe\xef\0\0\0\0\0\0\0\x01\0\0\0\x03",
        );
        check(
            |out| number(out, ECHO, 10, 1),
            b"\x81\x0c\0\0\0\0\0\0\0\0\0\x08\xde\xad\xbe\xef\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x0a",
        );
        check(
            |out| stat(out, ECHO, "pid", "12"),
            b"\x81\x0c\0\x03\0\0\0\0\0\0\0\x05\xde\xad\xbe\xef\0\0\0\0\0\0\0\0pid12",
        );
        check(
            |out| version(out, ECHO, "1.6"),
            b"\x81\x0c\0\0\0\0\0\0\0\0\0\x03\xde\xad\xbe\xef\0\0\0\0\0\0\0\x001.6",
        );
    }
}
