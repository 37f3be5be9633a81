//! What a client that keeps copies must be told, and what it may be told beside.

use std::collections::HashSet;

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::cache::Change;
use crate::push::Told;
use crate::resp::{Resp, request, words};
use crate::words::Key;

/// How a client tracks.
#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Off,
    Default,
    NoLoop,
    OptIn,
    OptOut,
    Broadcast { is_prefix: bool, no_loop: bool },
}

/// The prefix of those that have one: two keys begin with it.
const PREFIX: &str = "k";

impl Mode {
    /// The requests that lead to it from any other; each is answered OK.
    pub(crate) fn wire(self) -> Vec<u8> {
        let off = request(&words!["CLIENT", "TRACKING", "OFF"]);
        let mut words = words!["CLIENT", "TRACKING", "ON"];
        match self {
            Self::Off => return [&off[..], &off].concat(),
            Self::Default => {}
            Self::NoLoop => words.extend(words!["NOLOOP"]),
            Self::OptIn => words.extend(words!["OPTIN"]),
            Self::OptOut => words.extend(words!["OPTOUT"]),
            Self::Broadcast { is_prefix, no_loop } => {
                words.extend(words!["BCAST"]);
                if is_prefix {
                    words.extend(words!["PREFIX", PREFIX]);
                }
                if no_loop {
                    words.extend(words!["NOLOOP"]);
                }
            }
        }
        [off, request(&words)].concat()
    }

    fn skips_own(self) -> bool {
        matches!(self, Self::NoLoop | Self::Broadcast { no_loop: true, .. })
    }
}

/// What one client keeps copies of, and has still to hear.
#[derive(Debug)]
pub(crate) struct Tracking {
    mode: Mode,
    /// Keys that were read.
    kept: HashSet<Key>,
    /// Keys that have changed under a copy: to be told at once.
    due: HashSet<Key>,
    /// Keys that have expired under a copy: to be told some time.
    late: HashSet<Key>,
    /// Keys that may be told of, as there was a reason once.
    excused: HashSet<Key>,
    /// Everything was flushed, to be told at least and at most so often: others' flushes may be told as one.
    flush_counts: [usize; 2],
}

impl Tracking {
    pub(crate) fn new() -> Self {
        Self {
            mode: Mode::Off,
            kept: HashSet::new(),
            due: HashSet::new(),
            late: HashSet::new(),
            excused: HashSet::new(),
            flush_counts: [0; 2],
        }
    }

    pub(crate) fn set_mode(&mut self, mode: Mode) {
        // What is broadcast is told at the end of a pipeline, to those who track then.
        if matches!(self.mode, Mode::Broadcast { .. }) {
            self.excused.extend(self.due.drain());
        }
        self.mode = mode;
        // Redis' table keeps the client's number until the keys change.
        self.excused.extend(self.kept.drain());
        self.excused.extend(self.late.drain());
    }

    /// The request that is to stand before a read if the client asks for it, and is answered OK.
    pub(crate) fn caching(&self) -> Option<Vec<u8>> {
        match self.mode {
            Mode::OptIn => Some(request(&words!["CLIENT", "CACHING", "YES"])),
            Mode::OptOut => Some(request(&words!["CLIENT", "CACHING", "NO"])),
            _ => None,
        }
    }

    /// The client reads, having said [`Self::caching`] or not.
    pub(crate) fn read(&mut self, command: &Resp, has_asked: bool) {
        let keeps = match self.mode {
            Mode::Default | Mode::NoLoop => true,
            Mode::OptIn => has_asked,
            Mode::OptOut => !has_asked,
            Mode::Off | Mode::Broadcast { .. } => false,
        };
        for key in command.keys_read() {
            if keeps {
                self.kept.insert(*key);
            }
            // What it knows of it is new.
            if self.late.remove(key) {
                self.excused.insert(*key);
            }
        }
    }

    /// Something has changed, by the client itself or by another.
    pub(crate) fn note(&mut self, change: Change, is_own: bool) {
        let spares = is_own && self.mode.skips_own();
        match change {
            Change::Flushed(_) => {}
            Change::Flush => {
                self.kept.clear();
                // A flush stands for all that came before it.
                self.excused
                    .extend(self.late.drain().chain(self.due.drain()));
                if self.mode != Mode::Off {
                    let [least, most] = self.flush_counts;
                    self.flush_counts = [if is_own { least + 1 } else { least.max(1) }, most + 1];
                }
            }
            Change::Expired(key) => {
                if self.forget(key) {
                    self.late.insert(key);
                }
            }
            Change::Sure(key) if spares => {
                self.kept.remove(&key);
                if self.late.remove(&key) {
                    self.excused.insert(key);
                }
            }
            Change::Sure(key) => {
                if self.forget(key) {
                    self.due.insert(key);
                }
            }
            // Whoever is told of it need not be told of the next change.
            Change::Maybe(key) => {
                if self.forget(key) {
                    self.excused.insert(key);
                }
            }
        }
    }

    /// Takes a copy away. Whether there was one; who broadcasts has one of everything.
    fn forget(&mut self, key: Key) -> bool {
        match self.mode {
            Mode::Broadcast { is_prefix, .. } => {
                !is_prefix || key.bytes().starts_with(PREFIX.as_bytes())
            }
            _ => self.kept.remove(&key),
        }
    }

    /// Compares what the client was told with what it should be.
    pub(crate) fn check(&mut self, told: &Told) -> Result<(), String> {
        let [least, most] = std::mem::take(&mut self.flush_counts);
        if !(least..=most).contains(&told.flush_count) {
            let told = told.flush_count;
            return Err(format!("told of {told} flushes, not {least} to {most}"));
        }
        for key in &told.keys {
            let was_due = self.due.remove(key);
            let was_late = self.late.remove(key);
            let was_excused = self.excused.remove(key);
            if !was_due && !was_late && !was_excused {
                return Err(format!("told of {key:?} for no reason"));
            }
        }
        match self.due.iter().next() {
            Some(key) => Err(format!("not told of {key:?}")),
            None => Ok(()),
        }
    }

    /// A key of which it must still be told.
    pub(crate) fn late(&self) -> Option<Key> {
        self.late.iter().next().copied()
    }
}
