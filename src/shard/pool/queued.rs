//! A queued write as its server is told it, and as a client that reads its key sees it.
//!
//! A set is told with the life that is left to it, so it does not matter what time it is on the
//! server; one whose life is over is told as a delete. Of what it would replace nothing may stay.

use super::{link::Speech, over_memcache, over_resp};
use crate::{
    config::Protocol,
    protocol::{
        memcache::{self, Exptime, Spelling, StoreVerb},
        number, resp,
    },
    spool::Operation,
    store::UnixMs,
};

/// What is left of the life of something that ends at `exptime`, in milliseconds since the unix
/// epoch, or never if that is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    ForGood,
    Ms(u64),
    Nothing,
}

impl Left {
    fn of(exptime: u64, now: UnixMs) -> Self {
        match exptime {
            0 => Self::ForGood,
            at if at <= now.0 => Self::Nothing,
            at => Self::Ms(at - now.0),
        }
    }
}

/// Whether the key is gone once this is done.
pub(super) fn is_gone(operation: Operation<'_>, now: UnixMs) -> bool {
    match operation {
        Operation::Delete => true,
        Operation::Set { exptime, .. } => Left::of(exptime, now) == Left::Nothing,
    }
}

/// Appends the request for a write. `knows_meta` is whether a memcache server does.
pub(super) fn encode(
    out: &mut Vec<u8>,
    speech: Speech,
    knows_meta: bool,
    (key, operation): (&[u8], Operation<'_>),
    now: UnixMs,
) {
    let spelling = match speech.is_crossed {
        true => Spelling::of(key).unwrap_or(Spelling::Text),
        false => Spelling::Text,
    };
    // A server that does not know meta commands would take the value for requests.
    let can_be_set = spelling == Spelling::Text || knows_meta;
    match (speech.protocol, operation) {
        (Protocol::Resp, Operation::Set { exptime, value, .. }) => match Left::of(exptime, now) {
            Left::ForGood => resp::reply::encode_command(out, &[b"SET", key, value]),
            Left::Ms(ms) => {
                let mut digits = itoa::Buffer::new();
                let ms = digits.format(ms.min(over_resp::PX_MAX)).as_bytes();
                resp::reply::encode_command(out, &[b"SET", key, value, b"PX", ms]);
            }
            Left::Nothing => resp::reply::encode_command(out, &[b"DEL", key]),
        },
        (Protocol::Resp, Operation::Delete) => resp::reply::encode_command(out, &[b"DEL", key]),
        (
            Protocol::Memcache,
            Operation::Set {
                flags,
                exptime,
                value,
            },
        ) if can_be_set => match memcached_exptime(exptime, now) {
            Some(exptime) if spelling == Spelling::Text => {
                let verb = StoreVerb::Set;
                memcache::reply::encode_store(out, verb, key, flags, exptime, value);
            }
            Some(exptime) => over_memcache::encode_set(out, key, exptime, value),
            None => over_memcache::encode_delete(out, key, spelling),
        },
        (Protocol::Memcache, _) => over_memcache::encode_delete(out, key, spelling),
    }
}

/// The largest time from now that memcached does not take for a unix time, in seconds.
const RELATIVE_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;

/// What is left of a life in memcached's whole seconds, rounded up; far ends as a unix time. None
/// if it is over.
fn memcached_exptime(exptime: u64, now: UnixMs) -> Option<Exptime> {
    let ms = match Left::of(exptime, now) {
        Left::ForGood => return Some(Exptime::NEVER),
        Left::Ms(ms) => ms,
        Left::Nothing => return None,
    };
    let seconds = match ms.div_ceil(1_000) {
        seconds @ ..=RELATIVE_SECONDS_MAX => seconds,
        _ => exptime.div_ceil(1_000),
    };
    Some(Exptime(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

/// Appends the value of a set as its server would answer a plain read of the key.
pub(super) fn push_value(
    out: &mut Vec<u8>,
    protocol: Protocol,
    spelling: Spelling,
    key: &[u8],
    (flags, value): (u32, &[u8]),
) {
    match (protocol, spelling) {
        (Protocol::Resp, _) => resp::reply::bulk(out, value),
        (Protocol::Memcache, Spelling::Text) => {
            memcache::reply::value(out, key, flags, value, None);
        }
        (Protocol::Memcache, Spelling::Base64) => {
            out.extend_from_slice(b"VA ");
            number::write(out, value.len());
            out.extend_from_slice(b" f");
            number::write(out, flags);
            for part in [b"\r\n", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_700_000_000_500);

    fn told(protocol: Protocol, key: &str, exptime: u64, knows_meta: bool) -> String {
        let speech = Speech {
            protocol,
            is_crossed: true,
        };
        let set = Operation::Set {
            flags: 7,
            exptime,
            value: b"v",
        };
        let mut out = Vec::new();
        encode(&mut out, speech, knows_meta, (key.as_bytes(), set), NOW);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_set_is_told_with_the_life_that_is_left() {
        let in_ms = |ms: u64| NOW.0 + ms;
        let memcached = |exptime| told(Protocol::Memcache, "k", exptime, false);
        assert_eq!(memcached(0), "set k 7 0 1\r\nv\r\n");
        assert_eq!(memcached(in_ms(1)), "set k 7 1 1\r\nv\r\n");
        assert_eq!(memcached(in_ms(60_000)), "set k 7 60 1\r\nv\r\n");
        let far = "set k 7 1702592002 1\r\nv\r\n";
        assert_eq!(memcached(in_ms(2_592_001_000)), far);
        assert_eq!(memcached(NOW.0), "delete k\r\n");
        assert_eq!(memcached(1), "delete k\r\n");
        let redis = |exptime| told(Protocol::Resp, "k", exptime, false);
        assert_eq!(redis(0), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
        assert!(redis(in_ms(60_000)).ends_with("$2\r\nPX\r\n$5\r\n60000\r\n"));
        assert_eq!(redis(NOW.0), "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n");
    }

    #[test]
    fn a_key_that_is_no_text_is_set_only_where_that_can_be_said() {
        let memcached = |knows_meta, exptime| told(Protocol::Memcache, "a b", exptime, knows_meta);
        assert_eq!(memcached(true, 0), "ms YSBi 1 b MS\r\nv\r\n");
        assert_eq!(memcached(true, NOW.0 + 1), "ms YSBi 1 b MS T1\r\nv\r\n");
        assert_eq!(memcached(false, 0), "md YSBi b\r\n");
    }

    #[test]
    fn a_reader_sees_what_the_server_would_say() {
        let seen = |protocol, spelling| {
            let mut out = Vec::new();
            push_value(&mut out, protocol, spelling, b"k", (7, b"hi"));
            String::from_utf8(out).unwrap()
        };
        let text = Spelling::Text;
        assert_eq!(seen(Protocol::Resp, text), "$2\r\nhi\r\n");
        assert_eq!(seen(Protocol::Memcache, text), "VALUE k 7 2\r\nhi\r\n");
        let meta = seen(Protocol::Memcache, Spelling::Base64);
        assert_eq!(meta, "VA 2 f7\r\nhi\r\n");
    }
}
