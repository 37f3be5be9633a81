//! Operations that the ring's queue has no room for, in the order in which they were asked for.
//!
//! The kernel may refuse to take the queue for a while: it is short of memory, or wants its completions read
//! first. Nothing is dropped then, and nobody spins: what does not fit waits here, and is handed over in the
//! next turn, which has read the completions. Whatever is behind it waits, too, as a cancel must not overtake
//! what it cancels. There is no more of it than operations that may be in flight: a few for each socket.

use std::{collections::VecDeque, io};

use io_uring::squeue;

/// The ring's submission queue, as far as this needs it.
pub(super) trait Queue {
    /// Puts an operation at the end. False if there is no room.
    fn push(&mut self, entry: &squeue::Entry) -> bool;

    /// Has the kernel take what is there.
    fn submit(&mut self) -> io::Result<()>;
}

/// What waits for room.
#[derive(Default)]
pub(super) struct Backlog(VecDeque<squeue::Entry>);

impl Backlog {
    /// Whether nothing waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts an operation behind what waits.
    pub(super) fn push(&mut self, entry: squeue::Entry) {
        self.0.push_back(entry);
    }

    /// Hands over what the kernel takes now; the rest goes on waiting.
    ///
    /// # Errors
    /// The kernel refuses the ring as a whole.
    pub(super) fn hand_over(&mut self, queue: &mut impl Queue) -> io::Result<()> {
        self.fill(queue);
        while !self.is_empty() {
            match queue.submit() {
                Err(error) if is_passing(&error) => return Ok(()),
                result => result?,
            }
            if self.fill(queue) == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Puts as many into the queue as it has room for; how many.
    fn fill(&mut self, queue: &mut impl Queue) -> usize {
        let count = self.0.len();
        while self.0.front().is_some_and(|entry| queue.push(entry)) {
            self.0.pop_front();
        }
        count - self.0.len()
    }
}

/// Whether an error of the ring is none: a signal, the timeout, no memory just now, or completions to be read
/// first.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN)
    )
}

#[cfg(test)]
mod tests {
    use io_uring::opcode;

    use super::*;

    /// A queue of four, and a kernel that takes as many at a time as it is told to, if it takes any.
    #[derive(Default)]
    struct Fake {
        queued: Vec<u64>,
        taken: Vec<u64>,
        room: usize,
        error: Option<i32>,
    }

    impl Queue for Fake {
        fn push(&mut self, entry: &squeue::Entry) -> bool {
            let has_room = self.queued.len() < 4;
            if has_room {
                self.queued.push(entry.get_user_data());
            }
            has_room
        }

        fn submit(&mut self) -> io::Result<()> {
            if let Some(errno) = self.error {
                return Err(io::Error::from_raw_os_error(errno));
            }
            let count = self.queued.len().min(self.room);
            self.taken.extend(self.queued.drain(..count));
            Ok(())
        }
    }

    fn backlog(numbers: std::ops::Range<u64>) -> Backlog {
        let mut backlog = Backlog::default();
        for number in numbers {
            backlog.push(opcode::Nop::new().build().user_data(number));
        }
        backlog
    }

    #[test]
    fn all_goes_over_in_order_where_the_kernel_takes_it() {
        let mut backlog = backlog(0..15);
        let mut queue = Fake {
            room: 3,
            ..Fake::default()
        };
        backlog.hand_over(&mut queue).unwrap();
        assert!(backlog.is_empty());
        queue.taken.append(&mut queue.queued);
        assert_eq!(queue.taken, (0..15).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_kernel_does_not_take_now_waits_for_the_next_turn() {
        for errno in [libc::EBUSY, libc::EAGAIN, libc::EINTR] {
            let mut backlog = backlog(0..9);
            let mut queue = Fake {
                room: 100,
                error: Some(errno),
                ..Fake::default()
            };
            backlog.hand_over(&mut queue).unwrap();
            assert_eq!((queue.queued.len(), backlog.0.len()), (4, 5), "{errno}");
            queue.error = None;
            backlog.hand_over(&mut queue).unwrap();
            queue.taken.append(&mut queue.queued);
            assert_eq!(queue.taken, (0..9).collect::<Vec<_>>());
        }
        // It has no error, and takes nothing.
        let mut backlog = backlog(0..9);
        let mut queue = Fake::default();
        backlog.hand_over(&mut queue).unwrap();
        assert_eq!((queue.queued.len(), backlog.0.len()), (4, 5));
    }

    #[test]
    fn a_ring_that_is_broken_is_told_of() {
        let mut backlog = backlog(0..9);
        let mut queue = Fake {
            error: Some(libc::EBADFD),
            ..Fake::default()
        };
        let error = backlog.hand_over(&mut queue).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADFD));
        assert_eq!(backlog.0.len(), 5, "none is lost");
    }
}
