//! How far a request is that is executed in several goes.
//!
//! A request about many keys may have to wait in the middle: for room at another shard, for memory,
//! or for the client to read. It is held then, tried again in a later turn, and goes on where it
//! was: what is done is not done again, nor looked at. So its work grows with its length and not
//! with its length times the turns it takes.

use arrayvec::ArrayVec;

use super::{
    core::{Core, Mutated},
    form::Form,
    message::Origin,
    replies::{Covers, Part, Seq},
    resp::Tour,
    session::{Session, Step},
};
use crate::{
    protocol::Resume,
    store::{Key, Operation},
};

/// Where a request with many keys goes on after it was held back.
#[derive(Debug, Default)]
pub(super) struct Progress {
    walk: Walk,
    /// What stands before the keys' replies is written.
    has_begun: bool,
    /// The slot of its sum, if it has one.
    seq: Option<Seq>,
    /// A step is done that must not be done again; what there is to know of it.
    mark: Option<u64>,
    /// How far its way through all keys is.
    tour: Option<Box<Tour>>,
}

/// How far it is through its keys.
#[derive(Debug, Default, Clone, Copy)]
struct Walk {
    /// Keys done, and where the next one is.
    done: usize,
    place: usize,
}

impl Walk {
    /// Calls `each` for every item that has not been done yet, until one must wait. Items that are
    /// done are not looked at.
    fn go_on<T>(
        &mut self,
        mut items: impl Resume<Item = T>,
        mut each: impl FnMut(T) -> Step,
    ) -> Step {
        if self.done > 0 {
            items.resume(self.place, self.done);
        }
        loop {
            let place = items.place();
            let Some(item) = items.next() else {
                return Step::Done;
            };
            let step = each(item);
            if step != Step::Done {
                self.place = place;
                return step;
            }
            self.done += 1;
        }
    }
}

impl Session {
    /// Calls `each` for every item of a request that has not been done yet, until one must wait.
    /// Where it stopped is remembered for the next try of the same request.
    pub(super) fn for_each_key<T>(
        &mut self,
        core: &mut Core,
        items: impl IntoIterator<Item = T, IntoIter: Resume>,
        mut each: impl FnMut(&mut Self, &mut Core, T) -> Step,
    ) -> Step {
        let mut walk = self.progress.walk;
        let step = walk.go_on(items.into_iter(), |item| match self.is_full() {
            true => Step::Hold,
            false => each(self, core, item),
        });
        match step {
            Step::Done => self.progress = Progress::default(),
            _ => self.progress.walk = walk,
        }
        step
    }

    /// The same for keys that are read, up to `N` at a time, whose memory is asked for first; `each` says
    /// how many of those it has done.
    pub(super) fn for_each_run<'b, const N: usize>(
        &mut self,
        core: &mut Core,
        keys: impl IntoIterator<Item = &'b [u8], IntoIter: Resume + Clone>,
        mut each: impl FnMut(&mut Self, &mut Core, &[Key<'b>]) -> usize,
    ) -> Step {
        let mut walk = self.progress.walk;
        let mut items = keys.into_iter();
        if walk.done > 0 {
            items.resume(walk.place, walk.done);
        }
        loop {
            let mut start = items.clone();
            let ahead = items.by_ref().take(N);
            let run: ArrayVec<_, N> = ahead.map(|key| core.look_ahead(key)).collect();
            if run.is_empty() {
                self.progress = Progress::default();
                return Step::Done;
            }
            let done = each(self, core, &run);
            walk.done += done;
            if done < run.len() {
                start.by_ref().take(done).for_each(drop);
                walk.place = start.place();
                self.progress.walk = walk;
                return Step::Hold;
            }
        }
    }

    /// Whether what is ready may end in the middle of a reply.
    pub(super) fn is_amid_reply(&self) -> bool {
        self.progress.has_begun || self.has_world()
    }

    /// Writes what stands before the keys' replies, unless the request is only resumed.
    pub(super) fn begin(&mut self, core: &mut Core, encode: impl FnOnce(&mut Vec<u8>)) {
        if !self.progress.has_begun {
            self.progress.has_begun = true;
            encode(self.replies.ready(&mut core.buffers));
        }
    }

    /// Whether some keys of the request at the front have been done, and it goes on behind them.
    pub(super) fn has_done_keys(&self) -> bool {
        self.progress.walk.done > 0
    }

    /// The request at the front is held when so many of its keys are done; the next is at this
    /// [place](Resume::place).
    pub(super) fn hold_at_key(&mut self, done: usize, place: usize) {
        self.progress.walk = Walk { done, place };
    }

    /// Whether keys of the current request have been taken on for a sum.
    pub(super) fn has_sum(&self) -> bool {
        self.progress.seq.is_some()
    }

    /// What was noted of a step of the current request that is done.
    pub(super) fn mark(&self) -> Option<u64> {
        self.progress.mark
    }

    /// Notes that a step of the current request is done, or that the request is.
    pub(super) fn set_mark(&mut self, mark: Option<u64>) {
        self.progress.mark = mark;
    }

    /// The current request's way through all keys, as it was when it was held.
    pub(super) fn take_tour(&mut self) -> Option<Box<Tour>> {
        self.progress.tour.take()
    }

    /// Holds the current request until the next turn, with its way so far.
    pub(super) fn hold_tour(&mut self, core: &mut Core, tour: Box<Tour>) -> Step {
        core.is_busy = true;
        self.progress.tour = Some(tour);
        Step::Hold
    }

    /// The slot that adds up the current request's keys.
    pub(super) fn sum_slot(&mut self, form: Form, parts: usize) -> Origin {
        let seq = match self.progress.seq {
            Some(seq) => seq,
            None => self.replies.defer(form, Covers::AnyKey, parts as u32),
        };
        self.progress.seq = Some(seq);
        Origin {
            token: self.token(),
            seq,
        }
    }

    /// Applies an operation to the key and with the value that `split` gives of each item, and replies
    /// with the sum (or OK), once all are done.
    pub(super) fn mutate_all<'b, T>(
        &mut self,
        core: &mut Core,
        form: Form,
        count: usize,
        operation: Operation,
        items: impl IntoIterator<Item = T, IntoIter: Resume>,
        split: impl Fn(T) -> (&'b [u8], &'b [u8]),
    ) -> Step {
        if count == 0 {
            form.emit_total(0, self.replies.ready(&mut core.buffers));
            return Step::Done;
        }
        let origin = self.sum_slot(form, count);
        self.for_each_key(core, items, |session, core, item| {
            let (key, value) = split(item);
            let key = core.key(key);
            match core.mutate(origin, key, operation, value) {
                Mutated::Full => return Step::Hold,
                Mutated::Later => {}
                Mutated::Now(applied) => {
                    session.count_refusal(core, applied);
                    let part = Part::of_count(applied);
                    session.replies.resolve(origin.seq, part, &mut core.buffers);
                }
            }
            Step::Done
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::protocol::resp::{self, Args, Limits, reply::encode_command};

    /// Notes how often an item was looked at.
    struct Counted<'c, I>(I, &'c Cell<usize>);

    impl<I: Resume> Iterator for Counted<'_, I> {
        type Item = I::Item;

        fn next(&mut self) -> Option<I::Item> {
            self.1.set(self.1.get() + 1);
            self.0.next()
        }
    }

    impl<I: Resume> Resume for Counted<'_, I> {
        fn place(&self) -> usize {
            self.0.place()
        }

        fn resume(&mut self, place: usize, taken: usize) {
            self.0.resume(place, taken);
        }
    }

    /// The keys of a long DEL, of which each go has room for few. What takes them stands in for the owner's mailbox.
    #[test]
    fn a_request_that_is_held_is_not_walked_through_from_the_start() {
        const KEYS: usize = 100_000;
        const ROOM: usize = 512;
        let keys: Vec<String> = (0..KEYS).map(|key| format!("key-{key}")).collect();
        let words: Vec<&[u8]> = std::iter::once("DEL")
            .chain(keys.iter().map(String::as_str))
            .map(str::as_bytes)
            .collect();
        let mut wire = Vec::new();
        encode_command(&mut wire, &words);
        let args: Args<'_> = match resp::parse(&wire, &Limits::for_replies(64)) {
            crate::protocol::Parsed::Complete { request, .. } => request,
            other => panic!("{other:?}"),
        };
        let looks = Cell::new(0);
        let mut walk = Walk::default();
        let (mut done, mut goes) = (0, 0);
        loop {
            goes += 1;
            let mut room = ROOM;
            let items = Counted(args.iter_from(1), &looks);
            let step = walk.go_on(items, |key| {
                if room == 0 {
                    return Step::Hold;
                }
                assert_eq!(key, keys[done].as_bytes(), "each once, in order");
                room -= 1;
                done += 1;
                Step::Done
            });
            if step == Step::Done {
                break;
            }
        }
        assert_eq!(done, KEYS);
        assert!(goes > KEYS / ROOM, "{goes}");
        // One for each key, and in each go one for what had to wait, or for the end.
        assert_eq!(looks.get(), KEYS + goes);
    }
}
