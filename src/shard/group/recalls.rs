//! Which fills wait for no peer, or are called back already from one: see `group`'s own recalls.

use super::Group;
use crate::{
    fill::FillId,
    group::port::{Reach, Ticket},
    store::Key,
};

/// By number of fill, whether it waits for no peer.
#[derive(Debug, Default)]
pub(super) struct Recalls(Vec<bool>);

impl Recalls {
    /// A fill has started.
    pub(super) fn note_started(&mut self, fill: FillId, reach: Reach) {
        let number = fill.number() as usize;
        if self.0.len() <= number {
            self.0.resize(number + 1, false);
        }
        self.0[number] = reach == Reach::Source;
    }

    /// Whether a fill is to be called back, which it then is.
    fn has_to_recall(&mut self, fill: FillId) -> bool {
        let is_recalled = self.0.get_mut(fill.number() as usize);
        is_recalled.is_some_and(|is_recalled| !core::mem::replace(is_recalled, true))
    }
}

impl Group {
    /// A peer waits for the fill of a key: that one is not to wait for a peer.
    pub(super) fn recall(&mut self, key: Key<'_>) {
        if let Some(fill) = self.fills.under_way(key)
            && self.recalls.has_to_recall(fill)
        {
            self.port.recall(Ticket(fill.number()));
        }
    }
}
