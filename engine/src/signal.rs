//! Tells sleepers that something they wait for may have come. Carries wakers only, so that threads,
//! futures and event descriptors can all wait for the same thing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// Something to wait for.
#[derive(Debug, Default)]
pub struct Signal {
    occupied: AtomicBool,
    /// Who listens, each by a number of its own.
    wakers: Mutex<Vec<(u64, Waker)>>,
    numbers: AtomicU64,
}

impl Signal {
    /// A place to wait at.
    pub fn listener(self: &Arc<Self>) -> Listener {
        Listener {
            signal: Arc::clone(self),
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Wakes and forgets everybody who listens; one load where there is nobody.
    pub fn notify(&self) {
        if !self.occupied.load(Ordering::SeqCst) {
            return;
        }
        let woken = {
            let mut wakers = self.wakers.lock();
            self.occupied.store(false, Ordering::SeqCst);
            std::mem::take(&mut *wakers)
        };
        woken.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// Somebody who waits for a [`Signal`], forgotten when dropped.
#[derive(Debug)]
pub struct Listener {
    signal: Arc<Signal>,
    number: u64,
}

impl Listener {
    /// Has `waker` woken at the next [`Signal::notify`]. Look at the condition once more after
    /// this: it may have come true just before. A waker must not publish by itself: it may be
    /// called while a queue is locked.
    pub fn listen(&mut self, waker: &Waker) {
        let mut wakers = self.signal.wakers.lock();
        match wakers.iter_mut().find(|(number, _)| *number == self.number) {
            Some((_, known)) => known.clone_from(waker),
            None => wakers.push((self.number, waker.clone())),
        }
        self.signal.occupied.store(true, Ordering::SeqCst);
    }
}

/// Somebody else, who does not listen yet.
impl Clone for Listener {
    fn clone(&self) -> Self {
        self.signal.listener()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut wakers = self.signal.wakers.lock();
        wakers.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_there_once_and_forgotten_when_it_goes() {
        let signal = Arc::new(Signal::default());
        let mut listener = signal.listener();
        listener.listen(Waker::noop());
        listener.listen(Waker::noop());
        assert_eq!(signal.wakers.lock().len(), 1);
        drop(listener);
        assert_eq!(signal.wakers.lock().len(), 0);
    }
}
