//! The flags of a meta command.

use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};

use crate::cache::Cache;
use crate::words::{Guess, Ttl, Verb};

/// What `E` chooses begins here, far beyond the CAS ids that ringfort counts up.
const GIVEN_START: u64 = 1 << 40;
/// What `R` says: between the times that there are, whatever hundreds of seconds have gone by.
const RECACHE_SOON_SECONDS: u64 = 50;
const RECACHE_LATE_SECONDS: u64 = 5_050;

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    Value,
    Ttl,
    Cas,
    ClientFlags,
    Size,
    Key,
    Hit,
    Idle,
    Opaque(u8),
    Quiet,
    Discreet,
    Base64,
    Vivify(Ttl),
    Recache(bool),
    Touch(Ttl),
    Invalidate,
    Compare(Guess),
    Give(u8),
    SetClientFlags(u8),
    Mode(u8),
    Delta(u64),
    Initial(u64),
    Empty,
}

impl Flag {
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Value => 'v',
            Self::Ttl => 't',
            Self::Cas => 'c',
            Self::ClientFlags => 'f',
            Self::Size => 's',
            Self::Key => 'k',
            Self::Hit => 'h',
            Self::Idle => 'l',
            Self::Opaque(_) => 'O',
            Self::Quiet => 'q',
            Self::Discreet => 'u',
            Self::Base64 => 'b',
            Self::Vivify(_) => 'N',
            Self::Recache(_) => 'R',
            Self::Touch(_) => 'T',
            Self::Invalidate => 'I',
            Self::Compare(_) => 'C',
            Self::Give(_) => 'E',
            Self::SetClientFlags(_) => 'F',
            Self::Mode(_) => 'M',
            Self::Delta(_) => 'D',
            Self::Initial(_) => 'J',
            Self::Empty => 'x',
        }
    }

    /// The word for it, behind a blank.
    pub(crate) fn word(self, counts: bool, guess: impl Fn(Guess) -> u64) -> Vec<u8> {
        let token = match self {
            Self::Opaque(opaque) => opaque.to_string(),
            Self::Vivify(ttl) | Self::Touch(ttl) => ttl.seconds().to_string(),
            Self::Recache(is_late) => recache_seconds(is_late).to_string(),
            Self::Compare(compared) => guess(compared).to_string(),
            Self::Give(number) => given(number).to_string(),
            Self::SetClientFlags(flags) => flags.to_string(),
            Self::Mode(mode) if counts => ["I", "+", "D", "-"][usize::from(mode % 4)].to_owned(),
            Self::Mode(mode) => ["S", "E", "R", "A", "P"][usize::from(mode % 5)].to_owned(),
            Self::Delta(number) | Self::Initial(number) => number.to_string(),
            _ => String::new(),
        };
        format!(" {}{token}", self.letter()).into_bytes()
    }
}

fn given(number: u8) -> u64 {
    GIVEN_START + u64::from(number)
}

fn recache_seconds(is_late: bool) -> u64 {
    if is_late {
        RECACHE_LATE_SECONDS
    } else {
        RECACHE_SOON_SECONDS
    }
}

/// Flags as they come, up to this many of them.
#[derive(Debug, Clone)]
pub(crate) struct AnyFlags(pub(crate) Vec<Flag>);

const FLAGS_MAX: u8 = 8;

impl<'a> Arbitrary<'a> for AnyFlags {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let count = u8::arbitrary(input)? % (FLAGS_MAX + 1);
        let flags: arbitrary::Result<Vec<Flag>> = (0..count).map(|_| input.arbitrary()).collect();
        flags.map(Self)
    }
}

/// Those of a command: each letter at most once, and none that means nothing to it.
#[derive(Debug, Clone)]
pub(crate) struct Flags(Vec<Flag>);

impl Flags {
    pub(crate) fn new(flags: &[Flag], letters: &str) -> Self {
        let mut taken: Vec<Flag> = Vec::new();
        for flag in flags {
            let is_new = taken.iter().all(|one| one.letter() != flag.letter());
            if is_new && letters.contains(flag.letter()) {
                taken.push(*flag);
            }
        }
        Self(taken)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Flag> {
        self.0.iter().copied()
    }

    pub(crate) fn has(&self, letter: char) -> bool {
        self.iter().any(|flag| flag.letter() == letter)
    }

    fn find<T>(&self, pick: impl Fn(Flag) -> Option<T>) -> Option<T> {
        self.iter().find_map(pick)
    }

    pub(crate) fn touch(&self) -> Option<Ttl> {
        self.find(|flag| match flag {
            Flag::Touch(ttl) => Some(ttl),
            _ => None,
        })
    }

    pub(crate) fn vivify(&self) -> Option<Ttl> {
        self.find(|flag| match flag {
            Flag::Vivify(ttl) => Some(ttl),
            _ => None,
        })
    }

    pub(crate) fn compared(&self) -> Option<Guess> {
        self.find(|flag| match flag {
            Flag::Compare(guess) => Some(guess),
            _ => None,
        })
    }

    /// The CAS id that the client chooses.
    pub(crate) fn given(&self) -> Option<u64> {
        self.find(|flag| match flag {
            Flag::Give(number) => Some(given(number)),
            _ => None,
        })
    }

    pub(crate) fn client_flags(&self) -> u32 {
        let flags = self.find(|flag| match flag {
            Flag::SetClientFlags(flags) => Some(flags.into()),
            _ => None,
        });
        flags.unwrap_or(0)
    }

    fn mode(&self) -> Option<u8> {
        self.find(|flag| match flag {
            Flag::Mode(mode) => Some(mode),
            _ => None,
        })
    }

    pub(crate) fn store_verb(&self) -> Verb {
        match self.mode().map(|mode| mode % 5) {
            None | Some(0) => Verb::Set,
            Some(1) => Verb::Add,
            Some(2) => Verb::Replace,
            Some(3) => Verb::Append,
            Some(_) => Verb::Prepend,
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.mode().is_some_and(|mode| mode % 4 > 1)
    }

    pub(crate) fn delta(&self) -> u64 {
        let delta = self.find(|flag| match flag {
            Flag::Delta(delta) => Some(delta),
            _ => None,
        });
        delta.unwrap_or(1)
    }

    pub(crate) fn initial(&self) -> u64 {
        let initial = self.find(|flag| match flag {
            Flag::Initial(initial) => Some(initial),
            _ => None,
        });
        initial.unwrap_or(0)
    }

    /// The deadline once all flags have had their say, in their order.
    pub(crate) fn deadline(&self, cache: &Cache, there: Option<u64>, is_new: bool) -> Option<u64> {
        self.iter().fold(there, |deadline, flag| match flag {
            Flag::Touch(ttl) => cache.deadline(ttl),
            Flag::Vivify(ttl) if is_new => cache.deadline(ttl),
            _ => deadline,
        })
    }

    /// Whether it ends sooner than `R` says; a `T` before it counts.
    pub(crate) fn ends_early(&self, cache: &Cache, mut deadline: Option<u64>) -> bool {
        for flag in self.iter() {
            match flag {
                Flag::Touch(ttl) => deadline = cache.deadline(ttl),
                Flag::Recache(is_late) => {
                    let soon = cache.now() + 1_000 * recache_seconds(is_late);
                    return deadline.is_some_and(|deadline| deadline < soon);
                }
                _ => {}
            }
        }
        false
    }
}
