//! How a value with memcache flags is kept where there are none: in a Redis string.
//!
//! ```text
//! flags 0:  | value
//! else:     | 00 'mcflag' FF | flags, 4 bytes, big end first | value
//! ```
//!
//! A value that begins as a header does is kept behind one, too, whatever its flags, so that
//! nothing a client stores is taken for a header. docs/protocols.md tells why it is done so.

/// What a header begins with.
pub const MARK: &[u8; 8] = b"\0mcflag\xff";

/// Bytes of a header.
pub const HEADER_BYTES: usize = MARK.len() + size_of::<u32>();

/// A stored string as flags and value.
pub fn split(stored: &[u8]) -> (u32, &[u8]) {
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
    flags != 0 || value.starts_with(MARK)
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
