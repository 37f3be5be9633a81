//! What a server would say of a key that it does not have.

use crate::{
    backend::Expects, config::Protocol, protocol::memcache::Spelling, shard::message::Errand,
};

const NULL: &[u8] = b"$-1\r\n";
const ZERO: &[u8] = b":0\r\n";
const EMPTY: &[u8] = b"*0\r\n";

/// A server's reply to a read of a key that it does not have; `None` if that is not known. The
/// request is the errand's, so in the server's own words.
pub(super) fn reply(
    protocol: Protocol,
    errand: Errand,
    spelling: Spelling,
    request: &[u8],
) -> Option<&'static [u8]> {
    match (protocol, errand) {
        (Protocol::Resp, Errand::Fetch) => Some(NULL),
        (Protocol::Resp, Errand::Read(_) | Errand::ReadHome(_)) => of_command(request),
        (Protocol::Memcache, Errand::Fetch) if spelling == Spelling::Base64 => Some(b"EN\r\n"),
        // Whoever asked for several keys at once ends the reply.
        (Protocol::Memcache, Errand::Fetch | Errand::Read(Expects::Retrieval)) => Some(b""),
        (Protocol::Memcache, Errand::Read(_)) => Some(b"EN\r\n"),
        _ => None,
    }
}

/// What Redis says to a read of one key that is not there.
fn of_command(request: &[u8]) -> Option<&'static [u8]> {
    const COMMANDS: &[(&[u8], &[&[u8]])] = &[
        (
            NULL,
            &[
                b"GET",
                b"HGET",
                b"LINDEX",
                b"ZSCORE",
                b"ZRANK",
                b"ZREVRANK",
                b"DUMP",
            ],
        ),
        (
            ZERO,
            &[
                b"STRLEN",
                b"EXISTS",
                b"TOUCH",
                b"HLEN",
                b"HEXISTS",
                b"HSTRLEN",
                b"LLEN",
                b"SCARD",
                b"SISMEMBER",
                b"ZCARD",
                b"ZCOUNT",
                b"ZLEXCOUNT",
                b"BITCOUNT",
                b"GETBIT",
                b"XLEN",
            ],
        ),
        (
            EMPTY,
            &[
                b"HGETALL",
                b"HKEYS",
                b"HVALS",
                b"LRANGE",
                b"SMEMBERS",
                b"ZRANGE",
                b"ZREVRANGE",
                b"ZRANGEBYSCORE",
                b"ZREVRANGEBYSCORE",
                b"ZRANGEBYLEX",
                b"ZREVRANGEBYLEX",
                b"XRANGE",
                b"XREVRANGE",
            ],
        ),
        (
            b":-2\r\n",
            &[b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME"],
        ),
        (b"$0\r\n\r\n", &[b"GETRANGE", b"SUBSTR"]),
        (b"+none\r\n", &[b"TYPE"]),
    ];
    let name = name(request)?;
    let is_it = |names: &&[&[u8]]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    COMMANDS
        .iter()
        .find(|(_, names)| is_it(names))
        .map(|(reply, _)| *reply)
}

/// The command's name in a request that is encoded as an array.
fn name(request: &[u8]) -> Option<&[u8]> {
    let head = memchr::memchr(b'$', request)?;
    let start = head + memchr::memchr(b'\n', &request[head..])? + 1;
    let end = start + memchr::memchr(b'\r', &request[start..])?;
    Some(&request[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resp(request: &[u8]) -> Option<&'static [u8]> {
        let read = Errand::Read(Expects::Line);
        reply(Protocol::Resp, read, Spelling::Text, request)
    }

    #[test]
    fn a_redis_that_lacks_a_key_says_so_in_each_commands_way() {
        assert_eq!(resp(b"*2\r\n$6\r\nstrlen\r\n$1\r\nk\r\n"), Some(ZERO));
        assert_eq!(
            resp(b"*2\r\n$3\r\nTTL\r\n$1\r\nk\r\n"),
            Some(&b":-2\r\n"[..])
        );
        assert_eq!(resp(b"*2\r\n$7\r\nHGETALL\r\n$1\r\nk\r\n"), Some(EMPTY));
        assert_eq!(resp(b"*2\r\n$5\r\nHMGET\r\n$1\r\nk\r\n"), None);
        for odd in [&b""[..], b"*1\r\n", b"*1\r\n$3", b"*1\r\n$3\r\nGET"] {
            assert_eq!(resp(odd), None, "{}", odd.escape_ascii());
        }
    }

    #[test]
    fn a_write_has_no_such_reply() {
        for protocol in [Protocol::Memcache, Protocol::Resp] {
            for expects in [Expects::Line, Expects::Meta, Expects::Retrieval] {
                let write = Errand::Write(expects);
                assert_eq!(reply(protocol, write, Spelling::Text, b"set k"), None);
            }
        }
    }

    #[test]
    fn a_memcached_that_lacks_a_key_says_nothing_or_en() {
        let of = |errand, spelling| reply(Protocol::Memcache, errand, spelling, b"");
        assert_eq!(of(Errand::Fetch, Spelling::Text), Some(&b""[..]));
        assert_eq!(of(Errand::Fetch, Spelling::Base64), Some(&b"EN\r\n"[..]));
        let meta = Errand::Read(Expects::Meta);
        assert_eq!(of(meta, Spelling::Text), Some(&b"EN\r\n"[..]));
    }
}
