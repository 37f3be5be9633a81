//! Values with memcache flags as the servers of a pool keep them, and the CAS ids that they have there.

use sha1::{Digest, Sha1};

pub(super) use crate::protocol::memcache::flagged::has_header;
pub(in crate::shard::pool) use crate::protocol::memcache::flagged::push;
pub(in crate::shard) use crate::protocol::memcache::flagged::{HEADER_BYTES, split};
pub(super) use crate::protocol::memcache::flagged::{is_promise, promise};
use crate::protocol::{
    memcache::flagged::{MARK, push_header},
    resp::reply,
};

/// Appends a value as the bulk that a server is to store.
pub(in crate::shard) fn push_bulk(out: &mut Vec<u8>, flags: u32, value: &[u8]) {
    if !has_header(flags, value) {
        return reply::bulk(out, value);
    }
    reply::bulk_header(out, HEADER_BYTES + value.len());
    push_header(out, flags);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Hexadecimal digits of a CAS id: as many as fit 63 bits, as some clients keep ids with a sign.
pub(super) const CAS_DIGITS: u32 = 15;

/// The CAS id of a stored string: the first 60 bits of its SHA-1, as it is the one digest that
/// Redis' scripts can make.
pub(in crate::shard) fn cas(stored: &[u8]) -> u64 {
    cas_in(Sha1::digest(stored).into())
}

/// The CAS id of the string that keeps this value.
pub(in crate::shard) fn cas_of(flags: u32, value: &[u8]) -> u64 {
    let mut sha1 = Sha1::new();
    if has_header(flags, value) {
        sha1.update(MARK);
        sha1.update(flags.to_be_bytes());
    }
    sha1.update(value);
    cas_in(sha1.finalize().into())
}

fn cas_in(digest: [u8; 20]) -> u64 {
    let first = digest
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first));
    first >> (u64::BITS - 4 * CAS_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(flags: u32, value: &[u8]) -> Vec<u8> {
        let mut bulk = Vec::new();
        push_bulk(&mut bulk, flags, value);
        let start = bulk.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let body = bulk[start..].strip_suffix(b"\r\n").unwrap();
        assert_eq!(bulk[..start], *format!("${}\r\n", body.len()).as_bytes());
        body.to_vec()
    }

    #[test]
    fn what_is_stored_comes_back() {
        let header = stored(7, b"");
        let promise = promise(7);
        let parts = [&b""[..], b"plain", MARK, &header, &header[..11]];
        for value in parts.into_iter().chain([&promise[..], &promise[..8]]) {
            for flags in [0, 1, u32::MAX] {
                assert_eq!(split(&stored(flags, value)), (flags, value));
            }
        }
    }

    #[test]
    fn a_value_without_flags_is_kept_as_it_is() {
        assert_eq!(stored(0, b"plain"), b"plain");
        assert_eq!(stored(16, b"text"), b"\0mcflag\xff\0\0\0\x10text");
    }

    #[test]
    fn a_promise_is_an_empty_value_that_nobody_stores() {
        let whole = promise(0x0102_0304_0506_0708);
        assert_eq!(&whole, b"\0mcflag\xfe\x01\x02\x03\x04\x05\x06\x07\x08");
        assert!(is_promise(&whole));
        assert_eq!(split(&whole), (0, &b""[..]));
        assert_ne!(cas(&whole), cas(&promise(1)), "each has an id of its own");
        for other in [
            &whole[..15],
            &[&whole[..], b"x"].concat(),
            &stored(0, &whole),
        ] {
            assert!(!is_promise(other));
        }
    }

    #[test]
    fn a_string_too_short_for_a_header_has_none() {
        for length in 0..HEADER_BYTES {
            let stored = &stored(7, b"x")[..length];
            assert_eq!(split(stored), (0, stored));
        }
    }

    /// `redis-cli EVAL "return redis.sha1hex('v')" 0` begins with these digits.
    #[test]
    fn a_cas_id_is_what_a_script_finds() {
        assert_eq!(cas(b"v"), 0x7a3_8d8c_bd20_d993);
        for (flags, value) in [(0, &b"v"[..]), (7, b"v"), (0, MARK), (7, b"")] {
            assert_eq!(cas_of(flags, value), cas(&stored(flags, value)));
        }
    }
}
