//! What wakes a thread that listens to shards, and is none.
//!
//! The listener says that it sleeps and then looks at its queues once more; a shard pushes and then
//! looks whether somebody sleeps, with a SeqCst fence between the two steps on each side, as between
//! shards. So ringing costs a system call only while nobody listens, and no wake-up is lost.

use core::task::{Poll, Waker};
use std::sync::{Arc, OnceLock};

use crate::sync::{AtomicBool, Ordering, fence};

/// What wakes whoever listens.
#[derive(Debug, Clone, Default)]
pub struct Doorbell(Arc<Bell>);

#[derive(Debug, Default)]
struct Bell {
    /// Whether somebody sleeps until it rings.
    is_awaited: AtomicBool,
    /// Who. Set before the first sleep, and then the same for ever.
    sleeper: OnceLock<Waker>,
}

impl Doorbell {
    /// Ready if something is there to do, by `is_idle`'s word; else the task of `waker` will be
    /// woken when the bell rings. Always called by one and the same task.
    pub fn poll(&self, waker: &Waker, mut is_idle: impl FnMut() -> bool) -> Poll<()> {
        let sleeper = self.0.sleeper.get_or_init(|| waker.clone());
        debug_assert!(sleeper.will_wake(waker), "one task listens");
        self.0.is_awaited.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if is_idle() {
            return Poll::Pending;
        }
        self.0.is_awaited.store(false, Ordering::Relaxed);
        Poll::Ready(())
    }

    /// Nobody sleeps any more, whatever has woken them.
    pub fn awake(&self) {
        self.0.is_awaited.store(false, Ordering::Relaxed);
    }

    /// Wakes who sleeps.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        let bell = &self.0;
        let sleeps = bell.is_awaited.load(Ordering::Relaxed);
        if sleeps
            && bell.is_awaited.swap(false, Ordering::Relaxed)
            && let Some(sleeper) = bell.sleeper.get()
        {
            sleeper.wake_by_ref();
        }
    }
}

#[cfg(all(test, ringfort_loom))]
mod loom_tests {
    use super::*;
    use crate::mesh::queue;

    struct Flag(AtomicBool);

    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn no_write_is_slept_through() {
        loom::model(|| {
            let flag = Arc::new(Flag(AtomicBool::new(false)));
            let waker = Waker::from(Arc::clone(&flag));
            let doorbell = Doorbell::default();
            let (mut producer, mut consumer) = queue::<u32>(2);
            let ringing = doorbell.clone();
            let sender = loom::thread::spawn(move || {
                producer.push(1).expect("room");
                ringing.ring();
            });
            let slept = doorbell.poll(&waker, || consumer.is_empty()).is_pending();
            sender.join().expect("no panic");
            assert!(!slept || flag.0.load(Ordering::SeqCst), "it sleeps on");
        });
    }
}
