//! Whether a replica follows its master.
//!
//! One that is connected but has lost its master answers as if nothing were amiss, with what it had
//! then (`replica-serve-stale-data`), and so does one that somebody has made a master. So each is
//! asked for its `ROLE`, on every connection, every second. One that owes the answer for a second is
//! not asked for anything else: it would not answer that, either.

use crate::{
    backend::{Expects, OnLoss},
    protocol::{
        Parsed,
        resp::{
            Limits,
            reply::{Reply, encode_command, parse_head, parse_reply},
        },
    },
    shard::{
        core::Core,
        pool::{Pool, errand::Pending, link::Link},
    },
    store::UnixMs,
};

/// How often a replica is asked whether it follows, in milliseconds.
const ASK_MS: u64 = 1_000;

/// How long it may take to answer before it is left alone, in milliseconds.
const PATIENCE_MS: u64 = 1_000;

/// What a replica is worth to readers; the better the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::shard::pool) enum Rank {
    /// It owes an answer for too long.
    Silent,
    /// It has not said, or cannot serve for now.
    Unknown,
    /// It has data, and is not told what becomes of it.
    CutOff,
    /// It is told of every change.
    Follows,
}

/// What is known of a replica on the connection that stands.
#[derive(Debug)]
pub(in crate::shard::pool) struct Role {
    rank: Rank,
    /// Since when an answer is owed.
    asked_at: Option<UnixMs>,
    ask_at: UnixMs,
    /// The log has it that it does not follow, or does not say.
    is_logged: bool,
}

impl Role {
    pub(in crate::shard::pool) fn new() -> Self {
        Self {
            rank: Rank::Unknown,
            asked_at: None,
            ask_at: UnixMs(0),
            is_logged: false,
        }
    }

    pub(super) fn rank(&self, now: UnixMs) -> Rank {
        match self.asked_at {
            Some(since) if now.0 >= since.0 + PATIENCE_MS => Rank::Silent,
            _ => self.rank,
        }
    }

    /// When it is to be asked.
    pub(in crate::shard::pool) fn poll_timeout(&self) -> Option<UnixMs> {
        self.asked_at.is_none().then_some(self.ask_at)
    }

    /// Whether it is to be asked now; then it is.
    fn poll_question(&mut self, now: UnixMs) -> bool {
        let is_due = self.poll_timeout().is_some_and(|at| now >= at);
        if is_due {
            self.asked_at = Some(now);
            self.ask_at = UnixMs(now.0 + ASK_MS);
        }
        is_due
    }

    /// It has answered, or will not.
    fn hear(&mut self, rank: Rank) {
        self.asked_at = None;
        self.rank = rank;
    }

    /// It is not what it said, until it says so once more.
    pub(super) fn doubt(&mut self) {
        self.rank = Rank::Unknown;
    }

    /// Its connection is gone; it is asked as soon as there is another one.
    pub(super) fn lose(&mut self) {
        self.hear(Rank::Unknown);
        self.ask_at = UnixMs(0);
    }
}

impl Link {
    /// Asks a replica whether it follows its master, if that is due.
    fn ask_role(&mut self, number: usize, now: UnixMs) {
        let can_be_asked = self.core.is_serving() && self.takes_requests(now);
        let role = self.role.as_mut().filter(|_| can_be_asked);
        if role.is_some_and(|role| role.poll_question(now)) {
            let out = self.ask(Pending::Role(number), Expects::Line, OnLoss::Forget, now);
            encode_command(out, &[b"ROLE"]);
        }
    }
}

impl Core {
    /// Asks a replica whether it follows its master, if that is due.
    pub(in crate::shard) fn ask_role(&mut self, number: usize) {
        let now = self.now;
        if let Some(pool) = &mut self.pool {
            pool.links[number].ask_role(number, now);
        }
    }

    /// A replica has answered that.
    pub(in crate::shard::pool) fn heard_role(&mut self, number: usize, frame: &[u8]) {
        let Some(pool) = &mut self.pool else { return };
        let said = Said::read(frame);
        let rank = match said {
            Said::Follows | Said::Nothing => Rank::Follows,
            // In a cluster nobody is promoted unheard, and who has the slot is asked, or sends on.
            Said::Master if pool.is_cluster() => Rank::Follows,
            Said::Master | Said::CutOff => Rank::CutOff,
            Said::Unfit => Rank::Unknown,
        };
        if let Some(role) = &mut pool.links[number].role {
            role.hear(rank);
        }
        pool.log_role(number, said, rank, frame);
    }

    /// A replica will not answer that.
    pub(in crate::shard::pool) fn not_heard_role(&mut self, number: usize) {
        if let Some(pool) = &mut self.pool
            && let Some(role) = &mut pool.links[number].role
        {
            role.hear(Rank::Unknown);
        }
    }
}

impl Pool {
    /// Tells the operator once that a replica does not follow, and once that it does again.
    fn log_role(&mut self, number: usize, said: Said, rank: Rank, frame: &[u8]) {
        let is_odd = rank != Rank::Follows || said == Said::Nothing;
        let Some(role) = &mut self.links[number].role else {
            return;
        };
        if std::mem::replace(&mut role.is_logged, is_odd) == is_odd {
            return;
        }
        let backend = self.name_of(self.server_of(number));
        let line = frame.trim_ascii_end().escape_ascii();
        match said {
            Said::Follows => tracing::warn!(backend, "follows its master again"),
            Said::Master if is_odd => {
                tracing::warn!(
                    backend,
                    "says that it is no replica: it is the last to be read"
                );
            }
            Said::CutOff => tracing::warn!(
                backend,
                "is not connected to its master: it is the last to be read"
            ),
            Said::Nothing => tracing::warn!(
                backend,
                "does not say whether it follows its master, and is taken to: {line}"
            ),
            Said::Master | Said::Unfit => {}
        }
    }
}

/// What an answer to ROLE says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Follows,
    /// It is a replica that is not connected to its master, or has not got all of its data.
    CutOff,
    Master,
    /// It cannot serve.
    Unfit,
    /// It may not say, or does not know how.
    Nothing,
}

impl Said {
    fn read(frame: &[u8]) -> Self {
        if frame.starts_with(b"-") {
            return match crate::backend::is_unfit(frame) {
                true => Self::Unfit,
                false => Self::Nothing,
            };
        }
        let [role, _, _, state] = elements(frame);
        match (role, state) {
            (Some(b"slave"), Some(b"connected")) => Self::Follows,
            (Some(b"slave"), _) => Self::CutOff,
            (Some(b"master"), _) => Self::Master,
            _ => Self::Nothing,
        }
    }
}

/// The first elements of an array, as far as they are strings.
fn elements(frame: &[u8]) -> [Option<&[u8]>; 4] {
    let limits = Limits::for_replies(frame.len());
    let mut found = [None; 4];
    let Parsed::Complete { request, consumed } = parse_head(frame, &limits) else {
        return found;
    };
    let mut rest = &frame[consumed..];
    for element in found.iter_mut().take(request.owed) {
        let Parsed::Complete { request, consumed } = parse_reply(rest, &limits) else {
            break;
        };
        if let Reply::Bulk(text) = request {
            *element = text;
        }
        rest = &rest[consumed..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICA: &str = "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6379\r\n";

    #[test]
    fn a_replica_says_whether_it_is_told_of_changes() {
        let replica = |state: &str| format!("{REPLICA}${}\r\n{state}\r\n:14\r\n", state.len());
        for (frame, expected) in [
            (replica("connected"), Said::Follows),
            (replica("connect"), Said::CutOff),
            (replica("connecting"), Said::CutOff),
            (replica("sync"), Said::CutOff),
            (replica("none"), Said::CutOff),
            ("*3\r\n$6\r\nmaster\r\n:14\r\n*0\r\n".into(), Said::Master),
            ("-LOADING Redis is loading\r\n".into(), Said::Unfit),
            ("-NOPERM no\r\n".into(), Said::Nothing),
            ("-ERR unknown command\r\n".into(), Said::Nothing),
            ("+OK\r\n".into(), Said::Nothing),
            ("*0\r\n".into(), Said::Nothing),
            ("*1\r\n$5\r\nslave\r\n".into(), Said::CutOff),
            ("*2\r\n*0\r\n*0\r\n".into(), Said::Nothing),
        ] {
            assert_eq!(Said::read(frame.as_bytes()), expected, "{frame:?}");
        }
    }

    #[test]
    fn one_that_owes_an_answer_is_worth_nothing() {
        let mut role = Role::new();
        assert!(role.poll_question(UnixMs(10)));
        assert!(!role.poll_question(UnixMs(5_000)), "it is being asked");
        role.hear(Rank::Follows);
        assert_eq!(role.rank(UnixMs(5_000)), Rank::Follows);
        assert_eq!(role.poll_timeout(), Some(UnixMs(1_010)));
        assert!(role.poll_question(UnixMs(6_000)));
        assert_eq!(role.rank(UnixMs(6_999)), Rank::Follows);
        assert_eq!(role.rank(UnixMs(7_000)), Rank::Silent);
        role.hear(Rank::CutOff);
        assert_eq!(role.rank(UnixMs(9_000)), Rank::CutOff);
        role.lose();
        assert_eq!(role.rank(UnixMs(9_000)), Rank::Unknown);
        assert_eq!(role.poll_timeout(), Some(UnixMs(0)));
    }
}
