//! How a value with memcache flags is kept where there are none: in a Redis string.
//!
//! ```text
//! flags 0:   | value
//! else:      | 00 'mcflag' FF | flags, 4 bytes, big end first | value
//! a promise: | 00 'mcflag' FE | 8 bytes that no other promise has
//! ```
//!
//! A promise stands where a client was told to make the value that is missing; for everybody it is an
//! empty value without flags. A value that begins as a header or a promise does is kept behind a header, too,
//! whatever its flags, so that nothing a client stores is taken for one. docs/protocols.md tells why
//! it is done so.

/// What a header begins with.
pub const MARK: &[u8; 8] = b"\0mcflag\xff";

/// Bytes of a header.
pub const HEADER_BYTES: usize = MARK.len() + size_of::<u32>();

/// What a promise begins with.
const PROMISE_MARK: &[u8; 8] = b"\0mcflag\xfe";

/// Bytes of a promise.
const PROMISE_BYTES: usize = PROMISE_MARK.len() + size_of::<u64>();

/// Whether a stored string is a promise.
pub fn is_promise(stored: &[u8]) -> bool {
    stored.len() == PROMISE_BYTES && stored.starts_with(PROMISE_MARK)
}

/// A promise with this number, which is to be its own.
pub fn promise(number: u64) -> [u8; 16] {
    let mut stored = [0; PROMISE_BYTES];
    let (mark, own) = stored.split_at_mut(PROMISE_MARK.len());
    mark.copy_from_slice(PROMISE_MARK);
    own.copy_from_slice(&number.to_be_bytes());
    stored
}

/// A stored string as flags and value.
pub fn split(stored: &[u8]) -> (u32, &[u8]) {
    if is_promise(stored) {
        return (0, &[]);
    }
    let header = stored
        .strip_prefix(MARK)
        .and_then(|rest| rest.split_first_chunk());
    match header {
        Some((flags, value)) => (u32::from_be_bytes(*flags), value),
        None => (0, stored),
    }
}

/// Whether a value is kept behind a header.
pub fn has_header(flags: u32, value: &[u8]) -> bool {
    flags != 0 || value.starts_with(MARK) || value.starts_with(PROMISE_MARK)
}

/// Appends a value as a server is to keep it.
pub fn push(out: &mut Vec<u8>, flags: u32, value: &[u8]) {
    if has_header(flags, value) {
        push_header(out, flags);
    }
    out.extend_from_slice(value);
}

/// Appends the header of a value.
pub fn push_header(out: &mut Vec<u8>, flags: u32) {
    out.extend_from_slice(MARK);
    out.extend_from_slice(&flags.to_be_bytes());
}
