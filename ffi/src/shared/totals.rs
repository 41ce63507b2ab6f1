//! What became of all messages since the area was made, also those of sockets that are gone.

use std::sync::atomic::{AtomicU64, Ordering};

use super::area::Area;
use super::memory::Padded;
use super::process::Process;

/// Counters of the area. Only the worker stores those of [`Counted`].
#[derive(Debug)]
#[repr(C)]
pub(super) struct Totals {
    counted: Padded<Counted>,
    /// By many at once, where sockets are full.
    refused: Padded<AtomicU64>,
}

#[derive(Debug)]
#[repr(C)]
struct Counted {
    accepted: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    reported: AtomicU64,
}

/// The area at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overview {
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) refused: u64,
    /// Reports that were sent.
    pub(crate) reported: u64,
    /// Bytes of the messages that sockets hold.
    pub(crate) held_bytes: u64,
    /// Lanes that processes have taken.
    pub(crate) lanes: u64,
    /// Bytes that the worker has not taken from them yet.
    pub(crate) lane_bytes: u64,
    /// Sockets in the table.
    pub(crate) sockets: u64,
    /// Whether a process serves the area.
    pub(crate) has_worker: bool,
}

impl Totals {
    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self, accepted: u64, delivered: u64, failed: u64) {
        let counted = &self.counted;
        add(&counted.accepted, accepted);
        add(&counted.delivered, delivered);
        add(&counted.failed, failed);
    }
}

impl Totals {
    /// For a new worker, once nothing of the one before is held any more: that one may have been
    /// killed after it counted a message for its socket, and before it did so here.
    pub(super) fn settle(&self) {
        let Counted {
            accepted,
            delivered,
            failed,
            ..
        } = &*self.counted;
        let delivered = delivered.load(Ordering::Relaxed);
        let outcomes = delivered + failed.load(Ordering::Relaxed);
        let all = accepted.load(Ordering::Relaxed).max(outcomes);
        // First, so that outcomes are never more.
        accepted.store(all, Ordering::Release);
        failed.store(all - delivered, Ordering::Release);
    }
}

impl Area {
    /// For the worker: so many more reports were sent.
    pub(crate) fn count_reported(&self, more: u64) {
        add(&self.header().totals.counted.reported, more);
    }

    /// Without a lock.
    pub(crate) fn overview(&self) -> Overview {
        let totals = &self.header().totals;
        let counted = &totals.counted;
        // Acquire, outcomes first: what is accepted meanwhile must not be fewer than they are.
        let (delivered, failed) = (
            counted.delivered.load(Ordering::Acquire),
            counted.failed.load(Ordering::Acquire),
        );
        let sockets = self.sockets();
        let seats = self.seats().iter();
        let is_taken = |owner: &AtomicU64| owner.load(Ordering::Relaxed) != 0;
        let taken = seats.filter(|seat| is_taken(&seat.owner));
        let (lanes, lane_bytes) = taken.fold((0, 0), |(lanes, bytes), seat| {
            (lanes + 1, bytes + seat.lane.waiting())
        });
        let (count, held_bytes) = sockets.all().fold((0, 0), |(count, bytes), (id, _)| {
            (count + 1, bytes + sockets.held_bytes(id))
        });
        let worker = Process::from_word(self.header().worker.load(Ordering::Acquire));
        Overview {
            accepted: counted.accepted.load(Ordering::Relaxed),
            delivered,
            failed,
            refused: totals.refused.load(Ordering::Relaxed),
            reported: counted.reported.load(Ordering::Relaxed),
            held_bytes,
            lanes,
            lane_bytes,
            sockets: count,
            has_worker: worker.is_some_and(Process::is_alive),
        }
    }
}

/// Only the worker does.
fn add(word: &AtomicU64, more: u64) {
    if more > 0 {
        let count = word.load(Ordering::Relaxed).wrapping_add(more);
        word.store(count, Ordering::Release);
    }
}
