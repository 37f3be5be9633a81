//! Requests in which every shard has a share: they go round all of them, and the replies' parts are
//! gathered where the client is.
//!
//! A share may be about connections, which requests cannot reach while they are being served. So
//! the shard itself gives its share once it has served what came in, in the same turn; until all
//! shares are there, nothing more of that client is served.

use std::sync::Arc;

use super::{
    core::Core,
    form::Form,
    message::{Ask, AskBody, Origin},
    meter::{EVENT_NAMES, History},
    pause::Pause,
    replies::Covers,
    session::{Session, Step},
};
use crate::protocol::{
    binary::Echo,
    resp::{ClientKind, Version},
};

/// What every shard is asked.
#[derive(Debug)]
pub(super) enum Round {
    /// CLIENT LIST.
    Clients(ClientsWanted),
    /// memcache's `stats conns`; `echo` is the binary protocol's.
    Conns { echo: Option<Echo> },
    /// CLIENT INFO, which only the client's own shard is asked.
    ThisClient,
    /// CLIENT KILL.
    Kill(Kill),
    /// CLIENT UNBLOCK.
    Unblock(Unblock),
    /// CLIENT PAUSE.
    Pause(Pause),
    /// CLIENT UNPAUSE.
    Unpause,
    /// CONFIG RESETSTAT.
    ResetStats,
    /// `slowlog-max-len` is this now.
    TrimSlowLog { len_max: u64 },
    /// SLOWLOG GET: so many of the requests before the one of this number.
    SlowLog { count: usize, before: u64 },
    /// SLOWLOG LEN.
    SlowLogLen { before: u64 },
    /// SLOWLOG RESET.
    ResetSlowLog { before: u64 },
    /// LATENCY LATEST, HISTORY, GRAPH and DOCTOR: what they make of the events' histories.
    Events(EventsWanted),
    /// LATENCY RESET, for these events.
    ResetEvents([bool; EVENT_NAMES.len()]),
}

/// What becomes of the events' histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventsWanted {
    /// The latest sample of each.
    Latest,
    /// All samples of the event of this number.
    History(usize),
    /// The same, drawn.
    Graph(usize),
    /// All of it in words.
    Doctor,
}

/// Whom CLIENT LIST is about.
#[derive(Debug)]
pub(super) enum ClientsWanted {
    All,
    Kind(ClientKind),
    /// In this order.
    Ids(Vec<i64>),
}

/// Whom CLIENT KILL is about: who meets every condition.
#[derive(Debug)]
pub(super) struct Kill {
    pub(super) id: Option<u64>,
    pub(super) kind: Option<ClientKind>,
    pub(super) addr: Option<Vec<u8>>,
    pub(super) laddr: Option<Vec<u8>>,
    /// Who asked, if that client is to be spared.
    pub(super) spared: Option<u64>,
    /// The old form, which kills one at most and says whether there was one.
    pub(super) is_old_form: bool,
}

/// Whose wait at a server of the pool CLIENT UNBLOCK ends.
#[derive(Debug)]
pub(super) struct Unblock {
    pub(super) id: u64,
    /// The request that waits is answered with an error, and not as if its time were over.
    pub(super) with_error: bool,
}

/// One shard's share of a reply.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub(super) count: u64,
    /// Parts of the reply, and by what they are ordered.
    pub(super) items: Vec<(u64, Vec<u8>)>,
    /// By number of event.
    pub(super) events: Vec<History>,
}

impl Share {
    /// The parts of all shares, in order.
    pub(super) fn in_order(shares: Vec<Self>) -> Vec<(u64, Vec<u8>)> {
        let mut items: Vec<_> = shares.into_iter().flat_map(|share| share.items).collect();
        items.sort_by_key(|(order, _)| *order);
        items
    }
}

/// A reply whose parts are being gathered.
#[derive(Debug)]
struct Gathering {
    origin: Origin,
    round: Arc<Round>,
    version: Version,
    shards_left: usize,
    shares: Vec<Share>,
}

/// The rounds that this shard's clients have started, one a client at most, as each waits for its
/// own.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    gatherings: Vec<Gathering>,
    /// Rounds to which this shard has not given its own share.
    own: Vec<(Origin, Arc<Round>)>,
    /// Own shares that had to wait for a server.
    late: Vec<(Origin, Share)>,
}

impl Rounds {
    /// Whether this shard owes a share to a client of its own.
    pub(super) fn has_own(&self) -> bool {
        !self.own.is_empty() || !self.late.is_empty()
    }

    /// A share for a client of this shard is there that was asked for earlier.
    pub(super) fn give_late(&mut self, origin: Origin, share: Share) {
        self.late.push((origin, share));
    }

    pub(super) fn take_late(&mut self) -> Vec<(Origin, Share)> {
        std::mem::take(&mut self.late)
    }

    pub(super) fn take_own(&mut self) -> Vec<(Origin, Arc<Round>)> {
        std::mem::take(&mut self.own)
    }
}

/// A round all of whose shares are there.
pub(super) struct Finished {
    pub(super) round: Arc<Round>,
    pub(super) version: Version,
    pub(super) shares: Vec<Share>,
}

impl Session {
    /// Asks every shard; the reply comes once all have answered, and nothing is served before.
    pub(super) fn go_round(&mut self, core: &mut Core, round: Round, version: Version) -> Step {
        self.set_barred(true);
        let seq = self.replies.defer(Form::Verbatim, Covers::Nothing, 1);
        let origin = Origin {
            token: self.token(),
            seq,
        };
        core.start_round(origin, round, version);
        Step::Done
    }
}

impl Core {
    fn start_round(&mut self, origin: Origin, round: Round, version: Version) {
        let stays_here = matches!(round, Round::ThisClient);
        let round = Arc::new(round);
        let shard_count = if stays_here {
            1
        } else {
            self.mesh.shard_count()
        };
        self.rounds.gatherings.push(Gathering {
            origin,
            round: Arc::clone(&round),
            version,
            shards_left: shard_count,
            shares: Vec::with_capacity(shard_count),
        });
        if !stays_here {
            self.ask_others(|| Ask {
                origin,
                body: AskBody::Round(Arc::clone(&round)),
            });
        }
        self.rounds.own.push((origin, round));
    }

    /// Takes a shard's share of a reply; the whole, once all are there.
    pub(super) fn gather(&mut self, origin: Origin, share: Share) -> Option<Finished> {
        let gatherings = &mut self.rounds.gatherings;
        let place = gatherings.iter().position(|one| one.origin == origin)?;
        let gathering = &mut gatherings[place];
        gathering.shares.push(share);
        gathering.shards_left -= 1;
        if gathering.shards_left > 0 {
            return None;
        }
        let Gathering {
            round,
            version,
            shares,
            ..
        } = gatherings.swap_remove(place);
        Some(Finished {
            round,
            version,
            shares,
        })
    }
}
