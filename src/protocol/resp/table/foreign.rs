//! Commands that ringfort itself has no use for, but the Redis servers of a pool have: where their
//! keys stand, so that they reach the server of their key. From Redis 7.0.15's `COMMAND INFO`.

use super::{Command, CommandSpec, KeyPositions};
use crate::protocol::{number, resp::args::Args};

/// What a pool has to know of a request that it passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Whether it changes keys.
    pub is_write: bool,
    /// Whether it looks into a string, as one of memcache's clients may have written it.
    pub is_about_string: bool,
    keys: [KeyPositions; 2],
}

/// Why a request is for no server of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayError {
    /// There is no such command.
    Unknown,
    /// It has no key to choose a server by, or it is not where it must be.
    NoKey,
    /// It may keep a connection waiting that others share.
    Waits,
}

impl Relay {
    /// What is to be known of a request.
    ///
    /// # Errors
    /// No server is to be had for it.
    pub fn of(args: &Args<'_>) -> Result<Self, RelayError> {
        let name = args.name();
        let found = ROWS.binary_search_by(|(row, ..)| {
            let wanted = name.iter().map(u8::to_ascii_lowercase);
            row.bytes().cmp(wanted)
        });
        let Some((_, shape, effect)) = found.ok().and_then(|row| ROWS.get(row)) else {
            return Err(RelayError::Unknown);
        };
        Self {
            is_write: matches!(effect, E::Write | E::WriteString),
            is_about_string: matches!(effect, E::ReadString | E::WriteString),
            keys: shape.keys(args)?,
        }
        .checked()
    }

    /// The same for a request of a command that ringfort knows, too.
    ///
    /// # Errors
    /// It has no key.
    pub fn of_known(spec: &CommandSpec, args: &Args<'_>) -> Result<Self, RelayError> {
        let mut keys = spec.keys.iter().map(|keys| keys.positions(args.count()));
        Self {
            is_write: spec.is_write(),
            is_about_string: matches!(
                spec.command,
                Command::GetRange | Command::Substr | Command::Lcs | Command::MSetNx
            ),
            keys: [(); 2].map(|()| keys.next().unwrap_or(KeyPositions::NONE)),
        }
        .checked()
    }

    fn checked(self) -> Result<Self, RelayError> {
        if self.positions().next().is_some() {
            Ok(self)
        } else {
            Err(RelayError::NoKey)
        }
    }

    fn positions(&self) -> impl Iterator<Item = usize> + use<> {
        let [first, second] = self.keys;
        first.chain(second)
    }

    /// The keys; at least one.
    pub fn keys<'b>(&self, args: &Args<'b>) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let args = *args;
        self.positions()
            .filter_map(move |position| args.get(position))
    }
}

/// Where keys stand.
#[derive(Clone, Copy, Debug)]
enum Shape {
    NoKeys,
    /// There may be keys, but it waits for others to fill them.
    Waits,
    One,
    /// Behind a subcommand.
    Second,
    Both,
    All,
    /// All from the second argument on.
    FromSecond,
    /// Their number is this argument, and they follow.
    Counted(usize),
    /// The first one, and others, whose number is the second argument.
    TargetAndCounted,
    /// The first one, and the one behind `STORE` or `STOREDIST`.
    OneAndStore,
    /// Half of what is behind `STREAMS`. With `BLOCK` before, it waits.
    Streams,
}

/// What is done to the keys.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Read,
    Write,
    ReadString,
    WriteString,
}

impl Shape {
    fn keys(self, args: &Args<'_>) -> Result<[KeyPositions; 2], RelayError> {
        let count = args.count();
        let range = |first: usize, end: usize| KeyPositions::new(first, end.min(count));
        let counted = |at: usize| {
            let keys = args.get(at).and_then(number::unsigned).unwrap_or(0);
            let keys = usize::try_from(keys).unwrap_or(usize::MAX);
            range(at + 1, keys.saturating_add(at + 1))
        };
        let single = |keys| Ok([keys, KeyPositions::NONE]);
        match self {
            Self::NoKeys => Err(RelayError::NoKey),
            Self::Waits => Err(RelayError::Waits),
            Self::One => single(range(1, 2)),
            Self::Second => single(range(2, 3)),
            Self::Both => single(range(1, 3)),
            Self::All => single(range(1, count)),
            Self::FromSecond => single(range(2, count)),
            Self::Counted(at) => single(counted(at)),
            Self::TargetAndCounted => Ok([range(1, 2), counted(2)]),
            Self::OneAndStore => {
                let is_store = |word: &[u8]| {
                    word.eq_ignore_ascii_case(b"store") || word.eq_ignore_ascii_case(b"storedist")
                };
                let words = args.iter_from(2).enumerate();
                let store = words.filter(|(_, word)| is_store(word)).last();
                let target = store.map_or(KeyPositions::NONE, |(at, _)| range(at + 3, at + 4));
                Ok([range(1, 2), target])
            }
            Self::Streams => {
                let find = |wanted: &[u8]| {
                    args.iter()
                        .position(|word| word.eq_ignore_ascii_case(wanted))
                };
                let streams = find(b"streams").ok_or(RelayError::NoKey)?;
                if find(b"block").is_some_and(|block| block < streams) {
                    return Err(RelayError::Waits);
                }
                let first = streams + 1;
                single(range(first, first + (count - first) / 2))
            }
        }
    }
}

use Effect as E;
use Shape as S;

/// Every command of Redis that ringfort has no row for, in alphabetical order.
#[rustfmt::skip]
static ROWS: &[(&str, Shape, Effect)] = &[
    ("bitcount", S::One, E::ReadString),
    ("bitfield", S::One, E::WriteString), ("bitfield_ro", S::One, E::ReadString),
    ("bitop", S::FromSecond, E::Write), ("bitpos", S::One, E::ReadString),
    ("blmove", S::Waits, E::Write), ("blmpop", S::Waits, E::Write), ("blpop", S::Waits, E::Write),
    ("brpop", S::Waits, E::Write), ("brpoplpush", S::Waits, E::Write),
    ("bzmpop", S::Waits, E::Write), ("bzpopmax", S::Waits, E::Write),
    ("bzpopmin", S::Waits, E::Write), 
    ("dump", S::One, E::Read), ("eval", S::Counted(2), E::Write),
    ("eval_ro", S::Counted(2), E::Read), ("evalsha", S::Counted(2), E::Write),
    ("evalsha_ro", S::Counted(2), E::Read), ("failover", S::NoKeys, E::Read),
    ("fcall", S::Counted(2), E::Write), ("fcall_ro", S::Counted(2), E::Read),
    ("function", S::NoKeys, E::Read), ("geoadd", S::One, E::Write), ("geodist", S::One, E::Read),
    ("geohash", S::One, E::Read), ("geopos", S::One, E::Read),
    ("georadius", S::OneAndStore, E::Write), ("georadius_ro", S::One, E::Read),
    ("georadiusbymember", S::OneAndStore, E::Write), ("georadiusbymember_ro", S::One, E::Read),
    ("geosearch", S::One, E::Read), ("geosearchstore", S::Both, E::Write),
    ("getbit", S::One, E::ReadString), ("hdel", S::One, E::Write), ("hexists", S::One, E::Read),
    ("hget", S::One, E::Read), ("hgetall", S::One, E::Read), ("hincrby", S::One, E::Write),
    ("hincrbyfloat", S::One, E::Write), ("hkeys", S::One, E::Read), ("hlen", S::One, E::Read),
    ("hmget", S::One, E::Read), ("hmset", S::One, E::Write), ("hrandfield", S::One, E::Read),
    ("hscan", S::One, E::Read), ("hset", S::One, E::Write), ("hsetnx", S::One, E::Write),
    ("hstrlen", S::One, E::Read), ("hvals", S::One, E::Read), 
    ("lindex", S::One, E::Read), ("linsert", S::One, E::Write), ("llen", S::One, E::Read),
    ("lmove", S::Both, E::Write), ("lmpop", S::Counted(1), E::Write),
    ("lpop", S::One, E::Write), ("lpos", S::One, E::Read),
    ("lpush", S::One, E::Write), ("lpushx", S::One, E::Write), ("lrange", S::One, E::Read),
    ("lrem", S::One, E::Write), ("lset", S::One, E::Write), ("ltrim", S::One, E::Write),
    ("migrate", S::Waits, E::Write), 
    ("monitor", S::NoKeys, E::Read), ("move", S::One, E::Write), ("pfadd", S::One, E::Write),
    ("pfcount", S::All, E::Read), ("pfdebug", S::NoKeys, E::Write), ("pfmerge", S::All, E::Write),
    ("pfselftest", S::NoKeys, E::Read), ("psubscribe", S::NoKeys, E::Read),
    ("psync", S::NoKeys, E::Read), ("publish", S::NoKeys, E::Read), ("pubsub", S::NoKeys, E::Read),
    ("punsubscribe", S::NoKeys, E::Read), ("replconf", S::NoKeys, E::Read),
    ("replicaof", S::NoKeys, E::Read), ("restore", S::One, E::Write),
    ("restore-asking", S::One, E::Write), ("rpop", S::One, E::Write),
    ("rpoplpush", S::Both, E::Write), ("rpush", S::One, E::Write), ("rpushx", S::One, E::Write),
    ("sadd", S::One, E::Write), ("scard", S::One, E::Read),
    ("script", S::NoKeys, E::Read), ("sdiff", S::All, E::Read), ("sdiffstore", S::All, E::Write),
    ("setbit", S::One, E::WriteString), 
    ("sinter", S::All, E::Read), ("sintercard", S::Counted(1), E::Read),
    ("sinterstore", S::All, E::Write), ("sismember", S::One, E::Read),
    ("slaveof", S::NoKeys, E::Read), ("smembers", S::One, E::Read), ("smismember", S::One, E::Read),
    ("smove", S::Both, E::Write), ("sort", S::OneAndStore, E::Write), ("sort_ro", S::One, E::Read),
    ("spop", S::One, E::Write), ("spublish", S::NoKeys, E::Read), ("srandmember", S::One, E::Read),
    ("srem", S::One, E::Write), ("sscan", S::One, E::Read), ("ssubscribe", S::NoKeys, E::Read),
    ("sunion", S::All, E::Read),
    ("sunionstore", S::All, E::Write), ("sunsubscribe", S::NoKeys, E::Read),
    ("swapdb", S::NoKeys, E::Write), ("sync", S::NoKeys, E::Read),
    ("xack", S::One, E::Write), ("xadd", S::One, E::Write),
    ("xautoclaim", S::One, E::Write), ("xclaim", S::One, E::Write), ("xdel", S::One, E::Write),
    ("xgroup", S::Second, E::Write), ("xinfo", S::Second, E::Read), ("xlen", S::One, E::Read),
    ("xpending", S::One, E::Read), ("xrange", S::One, E::Read), ("xread", S::Streams, E::Read),
    ("xreadgroup", S::Streams, E::Write), ("xrevrange", S::One, E::Read),
    ("xsetid", S::One, E::Write), ("xtrim", S::One, E::Write), ("zadd", S::One, E::Write),
    ("zcard", S::One, E::Read), ("zcount", S::One, E::Read), ("zdiff", S::Counted(1), E::Read),
    ("zdiffstore", S::TargetAndCounted, E::Write), ("zincrby", S::One, E::Write),
    ("zinter", S::Counted(1), E::Read), ("zintercard", S::Counted(1), E::Read),
    ("zinterstore", S::TargetAndCounted, E::Write), ("zlexcount", S::One, E::Read),
    ("zmpop", S::Counted(1), E::Write), ("zmscore", S::One, E::Read), ("zpopmax", S::One, E::Write),
    ("zpopmin", S::One, E::Write), ("zrandmember", S::One, E::Read), ("zrange", S::One, E::Read),
    ("zrangebylex", S::One, E::Read), ("zrangebyscore", S::One, E::Read),
    ("zrangestore", S::Both, E::Write), ("zrank", S::One, E::Read), ("zrem", S::One, E::Write),
    ("zremrangebylex", S::One, E::Write), ("zremrangebyrank", S::One, E::Write),
    ("zremrangebyscore", S::One, E::Write), ("zrevrange", S::One, E::Read),
    ("zrevrangebylex", S::One, E::Read), ("zrevrangebyscore", S::One, E::Read),
    ("zrevrank", S::One, E::Read), ("zscan", S::One, E::Read), ("zscore", S::One, E::Read),
    ("zunion", S::Counted(1), E::Read), ("zunionstore", S::TargetAndCounted, E::Write),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Parsed;
    use crate::protocol::resp::{Limits, parse, reply::encode_command, table};

    fn keys(words: &str) -> Result<Vec<String>, RelayError> {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let mut wire = Vec::new();
        encode_command(&mut wire, &words);
        let limits = Limits {
            bulk_bytes_max: 100,
            args_max: 100,
            inline_bytes_max: 100,
        };
        let Parsed::Complete { request: args, .. } = parse(&wire, &limits) else {
            panic!("a whole request");
        };
        let relay = match table::lookup(args.name()) {
            Some(spec) => Relay::of_known(spec, &args)?,
            None => Relay::of(&args)?,
        };
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        Ok(relay.keys(&args).map(text).collect())
    }

    #[test]
    fn keys_are_found_wherever_they_stand() {
        for (words, expected) in [
            ("HGET k f", "k"),
            ("lmove a b LEFT RIGHT", "a b"),
            ("sinter a b c", "a b c"),
            ("bitop AND d a b", "d a b"),
            ("xgroup CREATE k g $", "k"),
            ("zunion 2 a b WEIGHTS 1 2", "a b"),
            ("zunionstore d 2 a b WEIGHTS 1 2", "d a b"),
            ("eval return 1 k arg", "k"),
            ("sort k BY x STORE d", "k d"),
            ("sort k", "k"),
            ("georadius k 1 2 3 km STORE a STOREDIST b", "k b"),
            ("xread COUNT 2 STREAMS a b 0 0", "a b"),
            ("xreadgroup GROUP g c STREAMS a >", "a"),
            ("rename a b", "a b"),
            ("getrange k 0 1", "k"),
        ] {
            let seen = keys(words).map(|keys| keys.join(" "));
            assert_eq!(seen.as_deref(), Ok(expected), "{words}");
        }
    }

    #[test]
    fn what_is_for_no_server_says_why() {
        for (words, expected) in [
            ("xyzzy k", RelayError::Unknown),
            ("psubscribe k", RelayError::NoKey),
            ("script LOAD x", RelayError::NoKey),
            ("hget", RelayError::NoKey),
            ("xgroup HELP", RelayError::NoKey),
            ("eval return 0", RelayError::NoKey),
            ("eval return 0 k", RelayError::NoKey),
            ("eval return x k", RelayError::NoKey),
            ("eval return 99999999999999999999 k", RelayError::NoKey),
            ("xread COUNT 2", RelayError::NoKey),
            ("xread STREAMS", RelayError::NoKey),
            ("xread BLOCK 0 STREAMS a 0", RelayError::Waits),
            ("blpop k 0", RelayError::Waits),
            ("randomkey", RelayError::NoKey),
        ] {
            assert_eq!(keys(words), Err(expected), "{words}");
        }
        let too_many = keys("eval return 18446744073709551615 k");
        assert_eq!(
            too_many,
            Ok(vec!["k".to_owned()]),
            "the server will refuse it"
        );
    }

    #[test]
    fn rows_are_in_order_and_not_our_own() {
        assert!(ROWS.is_sorted_by_key(|(name, ..)| *name));
        for (name, ..) in ROWS {
            assert!(table::lookup(name.as_bytes()).is_none(), "{name}");
        }
    }
}
