//! Where batches of one partition are on their way from the queue to the wire while they are
//! compressed: sealed, in order, and not drained yet.

use std::collections::VecDeque;
use std::time::Duration;

use crate::accumulator::{Batch, Core, Settlement};
use crate::compression::{Done, Job, Place};
use crate::settings::Compression;
use crate::time::Time;

/// Batches that are compressed ahead of their turn. They are full: for others it is better to stay
/// open.
const AHEAD: usize = 4;

#[derive(Debug)]
pub(super) struct Press {
    lane: u32,
    compression: Compression,
    batches: VecDeque<Pressed>,
    next: u64,
}

#[derive(Debug)]
struct Pressed {
    number: u64,
    batch: Batch,
    ready: bool,
}

impl Press {
    pub(super) fn new(lane: u32, compression: Compression) -> Self {
        Self {
            lane,
            compression,
            batches: VecDeque::new(),
            next: 0,
        }
    }

    pub(super) fn compression(&self) -> Compression {
        self.compression
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.batches.len() >= AHEAD
    }

    /// Whether the oldest batch may go.
    pub(super) fn is_ready(&self) -> bool {
        self.batches.front().is_some_and(|first| first.ready)
    }

    /// How large the oldest batch is.
    pub(super) fn next_size(&self) -> Option<usize> {
        self.batches.front().map(|first| first.batch.size())
    }

    /// Seals a batch, and has it compressed.
    pub(super) fn put(&mut self, mut batch: Batch, core: &Core) -> Job {
        let (number, job) = self.compress(&mut batch, core);
        self.batches.push_back(Pressed {
            number,
            batch,
            ready: false,
        });
        job
    }

    /// Has a batch compressed that somebody else keeps, under this number.
    pub(super) fn compress(&mut self, batch: &mut Batch, core: &Core) -> (u64, Job) {
        let number = self.next;
        self.next += 1;
        let place = Place {
            lane: self.lane,
            number,
        };
        core.tape.output(|| {
            let (lane, size) = (self.lane, batch.size());
            format!("has batch {number} of lane {lane} compressed: {size} bytes")
        });
        let job = Job::new(place, self.compression, batch.seal(), &core.memory);
        (number, job)
    }

    /// Takes a batch that its broker can only read as it is.
    pub(super) fn put_plain(&mut self, batch: Batch) {
        let number = self.next;
        self.next += 1;
        self.batches.push_back(Pressed {
            number,
            batch,
            ready: true,
        });
    }

    /// Takes a batch back from compression, unless it is [kept](Self::compress) by somebody else, or
    /// gone: it expired or was purged. Then `done` comes back.
    pub(super) fn finish(&mut self, done: Done) -> Option<Done> {
        let number = done.place.number;
        let mut batches = self.batches.iter_mut();
        let Some(pressed) = batches.find(|pressed| pressed.number == number) else {
            return Some(done);
        };
        pressed.ready = true;
        done.put_into(&mut pressed.batch);
        None
    }

    /// Takes the oldest batch, if it is ready and none of its messages expired meanwhile. If some
    /// did, the others are compressed again.
    pub(super) fn pop(&mut self, core: &Core, jobs: &mut VecDeque<Job>) -> Option<Batch> {
        let first = self.batches.pop_front_if(|first| first.ready)?;
        let complete = first.batch.unsettled() == first.batch.count();
        let mut batch = first.batch.trimmed();
        if complete || batch.is_packed() {
            return Some(batch);
        }
        let (number, job) = self.compress(&mut batch, core);
        self.batches.push_front(Pressed {
            number,
            batch,
            ready: false,
        });
        jobs.push_back(job);
        None
    }

    /// When the next message expires.
    pub(super) fn next_expiry(&self, timeout: Duration) -> Time {
        let batches = self.batches.iter();
        let expiries = batches.map(|pressed| pressed.batch.next_expiry(timeout));
        expiries.min().unwrap_or(Time::NEVER)
    }

    /// Takes what is `timeout` old; batches with nothing left are dropped.
    pub(super) fn expire(
        &mut self,
        now: Time,
        timeout: Duration,
        with_records: bool,
    ) -> Vec<Settlement> {
        let expire = |pressed: &mut Pressed| {
            let expired = pressed.batch.expired(now, timeout);
            pressed.batch.settle(expired, with_records).if_any()
        };
        let settlements = self.batches.iter_mut().filter_map(expire).collect();
        self.batches.retain(|pressed| pressed.batch.unsettled() > 0);
        settlements
    }

    /// Takes everything.
    pub(super) fn purge(&mut self, with_records: bool) -> Vec<Settlement> {
        let batches = self.batches.drain(..);
        batches
            .filter_map(|mut pressed| pressed.batch.settle_rest(with_records).if_any())
            .collect()
    }

    pub(super) fn unsettled(&self) -> u64 {
        let batches = self.batches.iter();
        batches
            .map(|pressed| u64::from(pressed.batch.unsettled()))
            .sum()
    }
}
