//! What became of all messages since the area was made, also those of sockets that are gone.

use std::sync::atomic::{AtomicU64, Ordering};

use super::area::Area;
use super::memory::Padded;
use super::process::Process;

/// Counters of the area. Only the worker stores those of [`Counted`], and what it has reported.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Totals {
    pub(super) counted: Padded<Counted>,
    reported: Padded<AtomicU64>,
    /// By many at once, where sockets are full.
    refused: Padded<AtomicU64>,
}

/// Messages of a socket, or of all. Only the worker stores these.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Counted {
    pub(super) accepted: AtomicU64,
    pub(super) delivered: AtomicU64,
    failed: AtomicU64,
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
}

impl Counted {
    pub(super) fn count(&self, accepted: u64, delivered: u64, failed: u64) {
        add(&self.accepted, accepted);
        add(&self.delivered, delivered);
        add(&self.failed, failed);
    }

    /// What was accepted, delivered and failed.
    pub(super) fn read(&self) -> [u64; 3] {
        // Acquire, outcomes first: what is accepted meanwhile must not be fewer than they are.
        let delivered = self.delivered.load(Ordering::Acquire);
        let failed = self.failed.load(Ordering::Acquire);
        [self.accepted.load(Ordering::Relaxed), delivered, failed]
    }

    /// For a new worker: what the one before held is lost, and so has failed. That one may have been
    /// killed after it counted a message for its socket, and before it did so for all.
    pub(super) fn settle(&self) {
        let [accepted, delivered, failed] = self.read();
        let all = accepted.max(delivered + failed);
        // First, so that outcomes are never more.
        self.accepted.store(all, Ordering::Release);
        self.failed.store(all - delivered, Ordering::Release);
    }

    /// For whoever fills a slot anew.
    pub(super) fn clear(&self) {
        for word in [&self.accepted, &self.delivered, &self.failed] {
            word.store(0, Ordering::Relaxed);
        }
    }
}

impl Area {
    /// For the worker: so many more reports were sent.
    pub(crate) fn count_reported(&self, more: u64) {
        add(&self.header().totals.reported, more);
    }

    /// Without a lock.
    pub(crate) fn overview(&self) -> Overview {
        let totals = &self.header().totals;
        let [accepted, delivered, failed] = totals.counted.read();
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
            accepted,
            delivered,
            failed,
            refused: totals.refused.load(Ordering::Relaxed),
            reported: totals.reported.load(Ordering::Relaxed),
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
