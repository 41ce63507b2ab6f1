//! Tells sleepers that something they wait for may have come. Carries wakers only, so that threads,
//! futures and event descriptors can all wait for the same thing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// A set of wakers, all woken by the next [`Signal::notify`].
#[derive(Debug, Default)]
pub struct Signal {
    occupied: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Signal {
    /// Has `waker` woken at the next [`Signal::notify`]. Look at the condition once more after
    /// registering: it may have come true just before.
    pub fn register(&self, waker: &Waker) {
        let mut wakers = self.wakers.lock();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        self.occupied.store(true, Ordering::SeqCst);
    }

    /// Wakes and forgets everybody registered; one load where there is nobody.
    pub fn notify(&self) {
        if !self.occupied.load(Ordering::SeqCst) {
            return;
        }
        let woken = {
            let mut wakers = self.wakers.lock();
            self.occupied.store(false, Ordering::SeqCst);
            std::mem::take(&mut *wakers)
        };
        woken.into_iter().for_each(Waker::wake);
    }
}
