//! What this process does for its peers.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Asker, ChangeFuture, Hop, LoadError, LoadFuture, Loaded, PeerHandler,
    dispatch::Shared,
    port::{Change, Counted, Reach, Wish},
    statistics::Count,
};
use crate::runtime::{self, net};

/// Answers peers out of the shards.
pub(super) struct Answering(pub(super) Rc<Shared>);

impl PeerHandler for Answering {
    fn has_group(&self, group: &str) -> bool {
        *group == *self.0.group
    }

    fn get<'a>(&'a self, _: &'a str, key: Bytes, asker: Asker) -> LoadFuture<'a> {
        let Self(shared) = self;
        shared.board.add(Count::ServerRequests);
        Box::pin(async move {
            let visit = shared.visit(key, Wish::Get(Reach::Source), Counted::Nothing);
            match asker.until {
                // The load goes on, and its value is kept.
                Some(until) => runtime::within(left(until), visit)
                    .await
                    .unwrap_or(Err(LoadError::Late)),
                None => visit.await,
            }
        })
    }

    fn set<'a>(&'a self, _: &'a str, key: Bytes, value: Loaded, asker: Asker) -> ChangeFuture<'a> {
        Box::pin(self.change(key, Change::Set(value), asker))
    }

    fn delete<'a>(&'a self, _: &'a str, key: Bytes, asker: Asker) -> ChangeFuture<'a> {
        Box::pin(self.change(key, Change::Delete, asker))
    }
}

impl Answering {
    /// Whoever asks first takes this process for the key's owner, which tells the others. So does a peer of
    /// another make: of a set it tells nobody else, of a delete everybody.
    async fn change(&self, key: Bytes, change: Change, asker: Asker) -> Result<(), LoadError> {
        let Self(shared) = self;
        let deadline = Instant::now() + shared.limits.timeout;
        let deadline = asker.until.map_or(deadline, |until| until.min(deadline));
        let is_told_to_all = match (asker.hop, &change) {
            (Hop::First, _) | (Hop::Foreign, Change::Set(_)) => false,
            (Hop::Foreign, Change::Delete) | (Hop::Last, _) => true,
        };
        match is_told_to_all {
            true => shared.change_here(key, change, Counted::Nothing).await,
            false => {
                let shared = Rc::clone(shared);
                // It is finished though the asker may be gone: else others would keep what was before.
                let changing = net::finish(async move {
                    let counted = Counted::Nothing;
                    shared.change_as_owner(key, change, counted, deadline).await
                });
                changing.await.unwrap_or(Err(LoadError::Late))
            }
        }
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}
