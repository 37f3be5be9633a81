//! A RESP client as the model sees it: its version, its transaction, what it watches and tracks.

use std::collections::HashMap;

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::cache::{Cache, Change};
use crate::push::Told;
use crate::reply::{Reply, line, text};
use crate::resp::{Resp, request, words};
use crate::tracking::{Mode, Tracking};
use crate::words::Key;

/// What is about the connection.
#[derive(Arbitrary, Debug, Clone)]
pub(crate) enum Session {
    Multi,
    Exec,
    Discard,
    Watch { keys: [Key; 2] },
    Unwatch,
    Track(Mode),
}

impl Session {
    pub(crate) fn wire(&self) -> Vec<u8> {
        match self {
            Self::Multi => request(&words!["MULTI"]),
            Self::Exec => request(&words!["EXEC"]),
            Self::Discard => request(&words!["DISCARD"]),
            Self::Watch { keys: [a, b] } => request(&words!["WATCH", a.bytes(), b.bytes()]),
            Self::Unwatch => request(&words!["UNWATCH"]),
            Self::Track(mode) => mode.wire(),
        }
    }
}

/// Whether a watched key has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    Clean,
    /// It may be seen so or so.
    Unsure,
    Dirty,
}

#[derive(Debug)]
pub(crate) struct RespClient {
    is_resp3: bool,
    /// What is queued since MULTI.
    queue: Option<Vec<Resp>>,
    watches: HashMap<Key, Watched>,
    pub(crate) tracking: Tracking,
}

impl RespClient {
    pub(crate) fn new(is_resp3: bool) -> Self {
        Self {
            is_resp3,
            queue: None,
            watches: HashMap::new(),
            tracking: Tracking::new(),
        }
    }

    /// Compares what it was told with what it should be. RESP2 has no pushes.
    pub(crate) fn check_told(&mut self, told: &Told) -> Result<(), String> {
        if self.is_resp3 {
            self.tracking.check(told)
        } else if told.keys.is_empty() && told.flush_count == 0 {
            Ok(())
        } else {
            Err("pushes in RESP2".to_owned())
        }
    }

    /// A key of which it must still be told.
    pub(crate) fn late(&self) -> Option<Key> {
        self.tracking.late().filter(|_| self.is_resp3)
    }

    fn null(&self) -> &'static str {
        if self.is_resp3 { "_\r\n" } else { "$-1\r\n" }
    }

    fn null_array(&self) -> &'static str {
        if self.is_resp3 { "_\r\n" } else { "*-1\r\n" }
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether what EXEC comes to cannot be told beforehand.
    pub(crate) fn is_unsure(&self) -> bool {
        !self.is_dirty() && self.watches.values().any(|one| *one == Watched::Unsure)
    }

    fn is_dirty(&self) -> bool {
        self.watches.values().any(|one| *one == Watched::Dirty)
    }

    /// A key has changed, by whomever.
    pub(crate) fn note(&mut self, change: Change) {
        let (key, state) = match change {
            Change::Sure(key) | Change::Expired(key) | Change::Flushed(key) => {
                (key, Watched::Dirty)
            }
            Change::Maybe(key) => (key, Watched::Unsure),
            Change::Flush => return,
        };
        if let Some(watched) = self.watches.get_mut(&key)
            && *watched != Watched::Dirty
        {
            *watched = state;
        }
    }

    /// What a session's request is answered, and what is to be executed and answered behind that.
    /// `is_refused` says how EXEC went if it [cannot be told](Self::is_unsure).
    pub(crate) fn answer(&mut self, session: &Session, is_refused: bool) -> (Reply, Vec<Resp>) {
        let reply = match session {
            Session::Exec => return self.exec(is_refused),
            Session::Multi if self.is_in_transaction() => {
                line("-ERR MULTI calls can not be nested")
            }
            Session::Multi => {
                self.queue = Some(Vec::new());
                line("+OK")
            }
            Session::Discard => {
                if self.queue.take().is_none() {
                    line("-ERR DISCARD without MULTI")
                } else {
                    self.watches.clear();
                    line("+OK")
                }
            }
            Session::Watch { .. } if self.is_in_transaction() => {
                line("-ERR WATCH inside MULTI is not allowed")
            }
            Session::Watch { keys } => {
                for key in keys {
                    self.watches.entry(*key).or_insert(Watched::Clean);
                }
                line("+OK")
            }
            // Queued, it would come too late to matter.
            Session::Unwatch => {
                self.watches.clear();
                line("+OK")
            }
            Session::Track(mode) => {
                self.tracking.set_mode(*mode);
                [line("+OK"), line("+OK")].concat()
            }
        };
        (reply, Vec::new())
    }

    fn exec(&mut self, is_refused: bool) -> (Reply, Vec<Resp>) {
        let Some(queue) = self.queue.take() else {
            return (line("-ERR EXEC without MULTI"), Vec::new());
        };
        let is_refused = self.is_dirty() || (self.is_unsure() && is_refused);
        self.watches.clear();
        if is_refused {
            return (vec![text(self.null_array())], Vec::new());
        }
        (line(&format!("*{}", queue.len())), queue)
    }

    /// What a command is answered, now or when it is queued.
    pub(crate) fn command(&mut self, command: &Resp, cache: &mut Cache, has_asked: bool) -> Reply {
        if let Some(queue) = &mut self.queue {
            queue.push(command.clone());
            return line("+QUEUED");
        }
        self.execute(command, cache, has_asked)
    }

    /// What a command is answered when it is executed.
    pub(crate) fn execute(&mut self, command: &Resp, cache: &mut Cache, has_asked: bool) -> Reply {
        self.tracking.read(command, has_asked);
        command.answer(cache, self.null())
    }
}
