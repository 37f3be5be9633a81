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
    shard::{
        core::Core,
        pool::{
            errand::{Delivery, Pending},
            failure::{LOST, UNAVAILABLE},
            over_resp,
        },
        resp::limits,
    },
};

impl Core {
    /// Sends what has waited and need not any more.
    pub(super) fn let_go(&mut self, deliver: &mut impl FnMut(&mut Self, Delivery<'_>)) {
        let limits = limits_of_kept(self);
        let lanes = match &self.pool {
            Some(pool) => pool.lanes().count(),
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
        if self.relies_on_lost(again) {
            return Some((pending, LOST));
        }
        let pool = self.pool.as_mut()?;
        let cluster = pool.cluster.as_ref()?;
        let waiting = pool.first_link(WAITING) + lane;
        let is_queued = matches!(pending, Pending::QueuedWrite);
        let nowhere = pool.first_link(NOBODY) + lane;
        let server = first_key(again.bytes(), limits, |key| cluster.server(key));
        let number = server.map_or(nowhere, |server| pool.first_link(server) + lane);
        // What goes on waiting keeps its place: a write that is taken back comes behind what was sent behind it, which
        // then fails.
        let stays = number == waiting;
        if is_queued && !stays && !pool.can_take_write(number, now) {
            pool.take_write_back(waiting, now);
            return None;
        }
        if number == nowhere {
            return Some((pending, UNSERVED));
        }
        if !pool.links[number].core.takes_requests(now) {
            return Some((pending, UNAVAILABLE));
        }
        pool.note_write_sent_on(&pending, waiting, number);
        let pipeline = pool.links[number].core.pipeline();
        pipeline.push_again(pending, again);
        None
    }
}

/// What requests to nodes are read by: they may have a header before the value that clients do not send.
pub(in crate::shard::pool) fn limits_of_kept(core: &Core) -> Limits {
    let limits = limits(core);
    Limits {
        bulk_bytes_max: limits.bulk_bytes_max + over_resp::HEADER_BYTES,
        ..limits
    }
}

/// What `look` makes of a request's first key, if it has one.
pub(in crate::shard::pool) fn first_key<R>(
    request: &[u8],
    limits: &Limits,
    look: impl FnOnce(&[u8]) -> R,
) -> Option<R> {
    let Parsed::Complete { request: args, .. } = resp::parse(request, limits) else {
        return None;
    };
    let relay = relay_of(&args)?;
    let key = relay.keys(&args).next()?;
    Some(look(key))
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
    use crate::{protocol::resp::reply::encode_command, route::Slot};

    #[test]
    fn a_request_has_the_slot_of_its_first_key() {
        let slot = |words: &[&[u8]]| {
            let mut wire = Vec::new();
            encode_command(&mut wire, words);
            first_key(&wire, &Limits::for_replies(1024), Slot::of)
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
        let cut_off = first_key(b"*1\r\n$3", &Limits::for_replies(8), Slot::of);
        assert_eq!(cut_off, None);
    }
}
