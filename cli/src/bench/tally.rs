//! Counts reports, on a thread of its own.

use std::fmt::Display;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use event_kafka::{Report, Reports};

use super::measure::Samples;
use crate::console::Console;

pub(super) struct Tally {
    origin: Instant,
    console: Console,
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Default)]
struct Counts {
    delivered: u64,
    failed: u64,
    first_delivery_unix_ns: u64,
    /// Microseconds from the call to the report.
    samples: Samples,
}

impl Tally {
    pub(super) fn new(console: Console) -> Self {
        let (counts, changed) = Default::default();
        Self {
            origin: Instant::now(),
            console,
            counts,
            changed,
        }
    }

    pub(super) fn follow(self: &Arc<Self>, reports: Reports) {
        let tally = Arc::clone(self);
        thread::spawn(move || {
            loop {
                tally.settle(reports.wait(Duration::MAX));
            }
        });
    }

    /// The opaque of an event whose way is timed from `called`; never 0.
    pub(super) fn mark(&self, called: Instant) -> u64 {
        called.duration_since(self.origin).as_nanos() as u64 | 1
    }

    pub(super) fn start_sampling(&self, room: usize) {
        self.lock().samples = Samples::with_room(room);
    }

    pub(super) fn take_samples(&self) -> Samples {
        std::mem::take(&mut self.lock().samples)
    }

    /// Delivered and failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        let counts = self.lock();
        (counts.delivered, counts.failed)
    }

    pub(super) fn first_delivery_unix_ns(&self) -> u64 {
        self.lock().first_delivery_unix_ns
    }

    pub(super) fn refuse(&self, reason: &dyn Display) {
        self.fail(&mut self.lock(), reason);
        self.changed.notify_all();
    }

    /// Waits until so many events are settled since the start.
    pub(super) fn wait_for(&self, settled: u64) {
        let mut counts = self.lock();
        while counts.delivered + counts.failed < settled {
            counts = self
                .changed
                .wait(counts)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn settle(&self, reports: impl Iterator<Item = Report>) {
        let mut counts = self.lock();
        for report in reports {
            match report.outcome {
                Ok(_) => self.deliver(&mut counts, report.opaque),
                Err(failure) => self.fail(&mut counts, &failure),
            }
        }
        drop(counts);
        self.changed.notify_all();
    }

    fn deliver(&self, counts: &mut Counts, mark: u64) {
        if counts.delivered == 0 {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            counts.first_delivery_unix_ns = now.as_nanos() as u64;
        }
        counts.delivered += 1;
        if mark != super::UNTIMED {
            let way = self
                .origin
                .elapsed()
                .saturating_sub(Duration::from_nanos(mark));
            counts.samples.add(way.as_micros());
        }
    }

    fn fail(&self, counts: &mut Counts, reason: &dyn Display) {
        if counts.failed == 0 {
            self.console.line(&format!("the first failure: {reason}"));
        }
        counts.failed += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
