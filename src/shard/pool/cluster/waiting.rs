//! Requests that wait until it is known who has their slot, and go there in the order in which they
//! came.

use super::{NOBODY, UNSERVED, WAITING};
use crate::{
    backend::Recalled,
    protocol::{
        Parsed,
        resp::{
            self, Args, Limits,
            table::{self, Foreign, Relay},
        },
    },
    route::Slot,
    shard::{
        core::Core,
        pool::errand::{Delivery, Pending, UNAVAILABLE},
        resp::limits,
    },
};

impl Core {
    /// Sends what has waited and need not any more.
    pub(super) fn let_go(&mut self, deliver: &mut impl FnMut(&mut Self, Delivery<'_>)) {
        let limits = limits(self);
        let lanes = match &self.pool {
            Some(pool) => pool.connection_count,
            None => return,
        };
        for lane in 0..lanes {
            let Some(pool) = &mut self.pool else { return };
            let waiting = pool.first_link(WAITING) + lane;
            for (pending, again) in pool.links[waiting].core.pipeline().take_unsent() {
                let failed = self.place_waiting(lane, pending, &again, &limits);
                if let Some((pending, reason)) = failed {
                    self.fail(pending, reason, deliver);
                }
            }
        }
    }

    /// Puts a request where it belongs now; what it was for, and why that is nowhere.
    fn place_waiting(
        &mut self,
        lane: usize,
        pending: Pending,
        again: &Recalled,
        limits: &Limits,
    ) -> Option<(Pending, &'static str)> {
        let now = self.now;
        let pool = self.pool.as_mut()?;
        let cluster = pool.cluster.as_ref()?;
        let slot = slot_of(again.bytes(), limits);
        let server = slot.map_or(NOBODY, |slot| cluster.server_of_slot(slot));
        if server == NOBODY {
            return Some((pending, UNSERVED));
        }
        let place = pool.first_link(server) + lane;
        let link = &mut pool.links[place];
        if !link.core.takes_requests(now) {
            return Some((pending, UNAVAILABLE));
        }
        link.core.pipeline().push_again(pending, again);
        None
    }
}

/// The slot of a request's first key.
fn slot_of(request: &[u8], limits: &Limits) -> Option<Slot> {
    let Parsed::Complete { request: args, .. } = resp::parse(request, limits) else {
        return None;
    };
    let relay = relay_of(&args)?;
    let key = relay.keys(&args).next()?;
    Some(Slot::of(key))
}

fn relay_of(args: &Args<'_>) -> Option<Relay> {
    match args.get(0).and_then(table::lookup) {
        Some(spec) => {
            let sub = args.get(1).and_then(|word| spec.subcommand(word));
            Relay::of_known(sub.unwrap_or(spec), args).ok()
        }
        None => match Foreign::of(args) {
            Ok(Foreign::Relay(relay)) => Some(relay),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::resp::reply::encode_command;

    #[test]
    fn a_request_has_the_slot_of_its_first_key() {
        let slot = |words: &[&[u8]]| {
            let mut wire = Vec::new();
            encode_command(&mut wire, words);
            slot_of(&wire, &Limits::for_replies(1024))
        };
        let foo = Some(Slot::of(b"foo"));
        for words in [
            &[&b"GET"[..], b"foo"][..],
            &[b"set", b"foo", b"bar"],
            &[b"OBJECT", b"ENCODING", b"foo"],
            &[b"HSET", b"foo", b"a", b"b"],
            &[b"EVALSHA", b"x", b"1", b"foo"],
            &[b"XREAD", b"STREAMS", b"foo", b"0"],
            &[b"SPUBLISH", b"foo", b"x"],
            &[b"PUBLISH", b"foo", b"x"],
        ] {
            assert_eq!(slot(words), foo, "{words:?}");
        }
        assert_eq!(slot(&[b"PING"]), None);
        assert_eq!(slot(&[b"NO-SUCH", b"foo"]), None);
        assert_eq!(slot_of(b"*1\r\n$3", &Limits::for_replies(8)), None);
    }
}
