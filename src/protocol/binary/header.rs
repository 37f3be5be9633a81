//! The 24 bytes that every request and every reply starts with. All numbers are big-endian.
//!
//! ```text
//! 0       1        2            4               5           6                  8            12       16    24
//! | magic | opcode | key length | extras length | data type | vbucket / status | body length | opaque | cas |
//! ```
//!
//! The body follows: extras, key, value, in that order.

use super::reply::Status;
use super::request::Echo;

/// The first byte of a request.
pub const REQUEST_MAGIC: u8 = 0x80;
/// The first byte of a reply.
const REPLY_MAGIC: u8 = 0x81;
/// All of a header, in bytes.
pub(super) const HEADER_BYTES: usize = 24;

/// A request's header. Its data type and vbucket mean nothing to memcached.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestHeader {
    pub(super) echo: Echo,
    pub(super) key_bytes: usize,
    pub(super) extras_bytes: usize,
    /// Extras, key and value together.
    pub(super) body_bytes: usize,
    pub(super) cas: u64,
}

impl RequestHeader {
    /// Reads all but the magic.
    #[inline]
    pub(super) fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [_, opcode, k0, k1, extras_bytes, _, _, _, rest @ ..] = *bytes;
        let [b0, b1, b2, b3, o0, o1, o2, o3, cas @ ..] = rest;
        Self {
            echo: Echo {
                opcode,
                opaque: u32::from_be_bytes([o0, o1, o2, o3]),
            },
            key_bytes: usize::from(u16::from_be_bytes([k0, k1])),
            extras_bytes: usize::from(extras_bytes),
            // Fits: nothing here runs on fewer than 32 bits.
            body_bytes: u32::from_be_bytes([b0, b1, b2, b3]) as usize,
            cas: u64::from_be_bytes(cas),
        }
    }
}

/// What a reply's header says beside what it repeats of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyHeader {
    pub(super) status: Status,
    pub(super) extras_bytes: usize,
    pub(super) key_bytes: usize,
    pub(super) value_bytes: usize,
    pub(super) cas: u64,
}

impl ReplyHeader {
    /// Appends the header; its body is to follow. A key is shorter than 64 KiB, extras than 256
    /// bytes and the whole than 4 GiB, or the lengths are cut.
    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>, echo: Echo) {
        let body_bytes = self.extras_bytes + self.key_bytes + self.value_bytes;
        out.reserve(HEADER_BYTES + body_bytes);
        let [k0, k1] = (self.key_bytes as u16).to_be_bytes();
        let [s0, s1] = self.status.code().to_be_bytes();
        let fixed = [
            REPLY_MAGIC,
            echo.opcode,
            k0,
            k1,
            self.extras_bytes as u8,
            0,
            s0,
            s1,
        ];
        out.extend_from_slice(&fixed);
        out.extend_from_slice(&(body_bytes as u32).to_be_bytes());
        out.extend_from_slice(&echo.opaque.to_be_bytes());
        out.extend_from_slice(&self.cas.to_be_bytes());
    }
}
