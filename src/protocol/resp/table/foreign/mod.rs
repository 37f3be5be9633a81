//! Commands that ringfort itself has no use for, but the Redis servers of a pool have: where their
//! keys stand, so that they reach the server of their key, and what else a pool has to do for them.

mod rows;

use self::rows::ROWS;
use super::{Command, CommandSpec, KeyPositions};
use crate::protocol::{number, resp::args::Args};

/// What a pool has to do for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// The server of its keys answers it.
    Relay(Relay),
    /// It goes another way.
    Way(Way),
}

/// Which way a request goes that no key sends to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Every server is told, and all answer the same.
    Everywhere,
    /// Every server is asked which of these scripts it has.
    Scripts,
    /// All servers are told the same, so any can be asked.
    AnyServer,
    /// It begins to listen.
    Subscribe(Feed),
    /// It ends that.
    Unsubscribe(Feed),
    /// It listens to all that servers are asked.
    Monitor,
}

/// What is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Channels by their names.
    Channels,
    /// Channels by patterns.
    Patterns,
    /// Shard channels, which to servers that are no cluster are channels of another kind.
    ShardChannels,
}

/// What a pool has to know of a request that it passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Whether it changes keys.
    pub is_write: bool,
    /// Whether it looks into a string, as one of memcache's clients may have written it.
    pub is_about_string: bool,
    /// Whether only the key's own server can answer it: it goes on from an answer before, runs what
    /// that server was given, or speaks to who listens there.
    pub is_tied: bool,
    /// Whether it may keep its connection waiting, unless it is part of a transaction.
    pub waits: bool,
    keys: [KeyPositions; 2],
}

/// Why a request is for no server of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayError {
    /// There is no such command.
    Unknown,
    /// Too few or too many arguments for the command of this name.
    Arity(&'static str),
    /// It has no key to choose a server by, or it is not where it must be.
    NoKey,
    /// It is not for clients of a pool.
    Never(Never),
}

/// Why a command is not for clients of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {
    /// It is what servers say to each other.
    Replication,
    /// It is about one server, for who looks after that.
    Administration,
    /// It is about what one connection wrote, and connections are shared.
    Offsets,
}

impl Foreign {
    /// What is to be done for a request of a command that ringfort has no row for.
    ///
    /// # Errors
    /// No server is to be had for it.
    pub fn of(args: &Args<'_>) -> Result<Self, RelayError> {
        let name = args.name();
        let found = ROWS.binary_search_by(|(row, ..)| {
            let wanted = name.iter().map(u8::to_ascii_lowercase);
            row.bytes().cmp(wanted)
        });
        let Some((name, arity, shape, effect)) = found.ok().and_then(|row| ROWS.get(row)) else {
            return Err(RelayError::Unknown);
        };
        if !super::takes(*arity, args.count()) {
            return Err(RelayError::Arity(name));
        }
        match shape {
            Shape::Never(why) => return Err(RelayError::Never(*why)),
            Shape::Way(way) => return Ok(Self::Way(*way)),
            Shape::Script => return script(args).map(Self::Way),
            Shape::Function => return function(args).map(Self::Way),
            _ => {}
        }
        let relay = Relay {
            is_write: matches!(effect, E::Write | E::WriteString | E::Wait),
            is_about_string: matches!(effect, E::ReadString | E::WriteString),
            is_tied: matches!(effect, E::ReadTied),
            waits: matches!(effect, E::Wait) || shape.may_block(args),
            keys: shape.keys(args)?,
        };
        relay.checked().map(Self::Relay)
    }
}

impl Relay {
    /// What a pool has to know of a request of a command that ringfort knows, too.
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
            is_tied: matches!(
                spec.command,
                Command::ObjectFreq | Command::ObjectIdleTime | Command::ObjectRefCount
            ),
            waits: false,
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

    /// The keys, or the channel that chooses the server like one; at least one.
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
    Never(Never),
    Way(Way),
    /// SCRIPT, whose subcommands go different ways.
    Script,
    /// FUNCTION, so too.
    Function,
    One,
    /// Behind a subcommand.
    Second,
    Both,
    All,
    /// All but the last argument, which is a time.
    AllButLast,
    /// All from the second argument on.
    FromSecond,
    /// Their number is this argument, and they follow.
    Counted(usize),
    /// The same, each with a value behind it.
    CountedPairs(usize),
    /// The first one, and others, whose number is the second argument.
    TargetAndCounted,
    /// The first one, and the one behind `STORE` or `STOREDIST`.
    OneAndStore,
    /// Half of what is behind `STREAMS`. With `BLOCK` before, it may wait.
    Streams,
    /// MIGRATE's: the third argument, or all behind `KEYS`.
    Migrate,
}

/// What is done to the keys.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Read,
    /// They are read, and only their own server can do that.
    ReadTied,
    Write,
    ReadString,
    WriteString,
    /// They are changed, perhaps only once others have filled them.
    Wait,
}

impl Shape {
    fn keys(self, args: &Args<'_>) -> Result<[KeyPositions; 2], RelayError> {
        let count = args.count();
        let range = |first: usize, end: usize| KeyPositions::new(first, end.min(count));
        let number = |at: usize| {
            let number = args.get(at).and_then(number::unsigned).unwrap_or(0);
            usize::try_from(number).unwrap_or(usize::MAX)
        };
        let counted = |at: usize| range(at + 1, number(at).saturating_add(at + 1));
        let single = |keys| Ok([keys, KeyPositions::NONE]);
        match self {
            Self::NoKeys | Self::Never(_) | Self::Way(_) | Self::Script | Self::Function => {
                Err(RelayError::NoKey)
            }
            Self::One => single(range(1, 2)),
            Self::Second => single(range(2, 3)),
            Self::Both => single(range(1, 3)),
            Self::All => single(range(1, count)),
            Self::AllButLast => single(range(1, count - 1)),
            Self::FromSecond => single(range(2, count)),
            Self::Counted(at) => single(counted(at)),
            Self::CountedPairs(at) => {
                let end = number(at).saturating_mul(2).saturating_add(at + 1);
                single(KeyPositions::every_other(at + 1, end.min(count)))
            }
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
                let first = position(args, b"streams").ok_or(RelayError::NoKey)? + 1;
                single(range(first, first + (count - first) / 2))
            }
            Self::Migrate if args.get(3) != Some(b"") => single(range(3, 4)),
            Self::Migrate => {
                let keys = position(args, b"keys").ok_or(RelayError::NoKey)?;
                single(range(keys + 1, count))
            }
        }
    }

    /// Whether a request of this shape waits for others to fill its keys, if that is how it is made.
    fn may_block(self, args: &Args<'_>) -> bool {
        let Self::Streams = self else { return false };
        let block = position(args, b"block");
        block.is_some_and(|block| position(args, b"streams").is_some_and(|at| block < at))
    }
}

/// Where a word stands among the arguments, in any case.
fn position(args: &Args<'_>, wanted: &[u8]) -> Option<usize> {
    args.iter()
        .position(|word| word.eq_ignore_ascii_case(wanted))
}

/// Scripts are loaded everywhere, so that each server has them for its keys.
fn script(args: &Args<'_>) -> Result<Way, RelayError> {
    match subcommand(args).as_slice() {
        b"load" | b"flush" => Ok(Way::Everywhere),
        b"exists" if args.count() > 2 => Ok(Way::Scripts),
        b"kill" | b"debug" => Err(RelayError::Never(Never::Administration)),
        _ => Ok(Way::AnyServer),
    }
}

/// So are libraries of functions.
fn function(args: &Args<'_>) -> Result<Way, RelayError> {
    match subcommand(args).as_slice() {
        b"load" | b"delete" | b"flush" | b"restore" => Ok(Way::Everywhere),
        b"kill" | b"stats" => Err(RelayError::Never(Never::Administration)),
        _ => Ok(Way::AnyServer),
    }
}

fn subcommand(args: &Args<'_>) -> Vec<u8> {
    args.at(1).to_ascii_lowercase()
}

use Effect as E;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Parsed;
    use crate::protocol::resp::{Limits, parse, reply::encode_command, table};

    fn wire(words: &str) -> Vec<u8> {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let mut wire = Vec::new();
        encode_command(&mut wire, &words);
        wire
    }

    fn keys(words: &str) -> Result<Vec<String>, RelayError> {
        let wire = wire(words);
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
            None => match Foreign::of(&args)? {
                Foreign::Relay(relay) => relay,
                Foreign::Way(way) => panic!("{words} goes its own way: {way:?}"),
            },
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
            ("blpop a b 0", "a b"),
            ("blmpop 0 2 a b LEFT", "a b"),
            ("bzmpop 0 1 a MIN", "a"),
            ("xread BLOCK 0 STREAMS a 0", "a"),
            ("migrate host 1 k 0 9", "k"),
            ("migrate host 1  0 9 COPY KEYS a b", "a b"),
            ("msetex 2 a 1 b 2 EX 9", "a b"),
            ("publish channel message", "channel"),
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
            ("hget", RelayError::Arity("hget")),
            ("hget k", RelayError::Arity("hget")),
            ("xread COUNT 2", RelayError::Arity("xread")),
            ("replicaof h 1", RelayError::Never(Never::Replication)),
            ("script KILL", RelayError::Never(Never::Administration)),
            ("pubsub CHANNELS", RelayError::NoKey),
            ("xgroup HELP", RelayError::NoKey),
            ("eval return 0", RelayError::NoKey),
            ("eval return 0 k", RelayError::NoKey),
            ("eval return x k", RelayError::NoKey),
            ("eval return 99999999999999999999 k", RelayError::NoKey),
            ("xread COUNT 2 STREAMS", RelayError::NoKey),
            ("migrate host 1  0 9", RelayError::NoKey),
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
