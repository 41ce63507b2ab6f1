//! What may be held: messages until their report was taken, bytes until their memory is free.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::segment::Funding;
use crate::signal::Signal;

#[derive(Debug)]
pub(crate) struct Budget {
    messages: Quota,
    bytes: Quota,
    room: Arc<Signal>,
}

impl Budget {
    pub(crate) fn new(max_messages: Option<usize>, max_bytes: usize) -> Self {
        Self {
            messages: Quota::new(max_messages.unwrap_or(usize::MAX)),
            bytes: Quota::new(max_bytes),
            room: Arc::default(),
        }
    }

    pub(crate) fn messages(&self) -> &Quota {
        &self.messages
    }

    pub(crate) fn bytes(&self) -> &Quota {
        &self.bytes
    }

    /// Notified whenever something was given back.
    pub(crate) fn room(&self) -> &Arc<Signal> {
        &self.room
    }

    /// Has no room for any message from now on.
    pub(crate) fn close(&self) {
        self.messages.limit.store(0, Ordering::SeqCst);
        self.room.notify();
    }

    pub(crate) fn release_messages(&self, count: usize) {
        self.messages.release(count);
        self.room.notify();
    }

    /// Gives back what was taken for a message that was not accepted after all. Nobody is notified:
    /// whoever waits for room and tries again would wake itself, for ever. Another who found no
    /// room meanwhile is notified by the next true release.
    pub(crate) fn return_message(&self) {
        self.messages.release(1);
    }

    pub(crate) fn release_bytes(&self, count: usize) {
        self.bytes.release(count);
        self.room.notify();
    }
}

/// A count within a limit. Its order is total with that of `Signal`: who listens and then finds no
/// room is notified.
#[derive(Debug)]
pub(crate) struct Quota {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl Quota {
    fn new(limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
        }
    }

    pub(crate) fn take(&self, count: usize) -> bool {
        let limit = self.limit();
        let fits = |used: usize| used.checked_add(count).filter(|sum| *sum <= limit);
        let taken = self
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits);
        taken.is_ok()
    }

    pub(crate) fn charge(&self, count: usize, funding: Funding) -> bool {
        match funding {
            Funding::Budget => self.take(count),
            Funding::Granted => {
                self.used.fetch_add(count, Ordering::SeqCst);
                true
            }
        }
    }

    /// Whether so many could be taken now.
    pub(crate) fn fits(&self, count: usize) -> bool {
        self.used().saturating_add(count) <= self.limit()
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    fn release(&self, count: usize) {
        self.used.fetch_sub(count, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_refuses_what_would_pass_its_limit_and_keeps_nothing_of_it() {
        let quota = Quota::new(10);
        assert!(quota.take(7));
        assert!(!quota.take(4));
        assert!(quota.take(3));
        quota.release(10);
        assert_eq!(quota.used(), 0);
    }
}
