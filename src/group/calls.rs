//! How threads of the program that a group runs in ask for its keys.

use core::cell::RefCell;
use std::{
    collections::VecDeque,
    sync::mpsc::{self, Receiver, Sender, SyncSender},
};

use bytes::Bytes;

use super::{LoadError, Loaded, port::Wish};
use crate::mesh::Doorbell;

/// The text for who asks a group that has ended.
const ENDED: &str = "the group has ended";

/// What a thread wants, and where it waits.
#[derive(Debug)]
pub struct Call {
    /// The key.
    pub key: Bytes,
    /// What is to be done with it.
    pub wish: Wish,
    answer: SyncSender<Result<Loaded, LoadError>>,
}

impl Call {
    /// Gives the caller its answer, unless it has gone.
    pub fn answer(self, answer: Result<Loaded, LoadError>) {
        let _ = self.answer.send(answer);
    }
}

/// Asks a group from any thread.
#[derive(Debug, Clone)]
pub struct Caller {
    calls: Sender<Call>,
    doorbell: Doorbell,
}

impl Caller {
    /// Has something done, and waits for it. It blocks the thread.
    ///
    /// # Errors
    /// Why there is no value.
    pub fn call(&self, key: &[u8], wish: Wish) -> Result<Loaded, LoadError> {
        let ended = |_| LoadError::failed(ENDED);
        let (answer, answered) = mpsc::sync_channel(1);
        let key = Bytes::copy_from_slice(key);
        let call = Call { key, wish, answer };
        self.calls
            .send(call)
            .map_err(|_| LoadError::failed(ENDED))?;
        self.doorbell.ring();
        answered.recv().map_err(ended)?
    }
}

/// Where calls arrive.
#[derive(Debug)]
pub struct Calls {
    arriving: Receiver<Call>,
    arrived: RefCell<VecDeque<Call>>,
}

/// For whoever answers the doorbell.
pub fn calls(doorbell: &Doorbell) -> (Caller, Calls) {
    let (calls, arriving) = mpsc::channel();
    let caller = Caller {
        calls,
        doorbell: doorbell.clone(),
    };
    let calls = Calls {
        arriving,
        arrived: RefCell::default(),
    };
    (caller, calls)
}

impl Calls {
    /// The next call.
    pub fn next(&self) -> Option<Call> {
        self.arrive();
        self.arrived.borrow_mut().pop_front()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.arrive();
        self.arrived.borrow().is_empty()
    }

    fn arrive(&self) {
        self.arrived.borrow_mut().extend(self.arriving.try_iter());
    }
}

#[cfg(all(test, not(ringfort_loom)))]
mod tests {
    use super::*;
    use crate::group::port::Reach;

    #[test]
    fn a_call_is_answered_or_told_of_the_end() {
        let (caller, calls) = calls(&Doorbell::default());
        let answering = std::thread::spawn(move || {
            let call = loop {
                if let Some(call) = calls.next() {
                    break call;
                }
                std::thread::yield_now();
            };
            assert_eq!(call.key, "a");
            call.answer(Ok(Loaded::forever("b")));
            // What comes now is answered by the end.
        });
        assert_eq!(
            caller.call(b"a", Wish::Get(Reach::Peers)),
            Ok(Loaded::forever("b"))
        );
        let ended = caller.call(b"a", Wish::Get(Reach::Peers));
        assert_eq!(ended, Err(LoadError::failed(ENDED)));
        answering.join().expect("no panic");
    }
}
