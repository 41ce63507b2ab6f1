//! The queue of one partition: where publishing threads and the I/O thread meet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::record::{RawHeaders, RecordHeaders};
use parking_lot::Mutex;

use super::batch::{Append, Batch, BatchLimits, Entry, Settlement};
use super::segment::Memory;
use crate::error::PublishError;
use crate::time::{Clock, Time};

/// What an append did to the queue, for whoever drains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The record joined an open batch.
    Joined,
    /// There is something to drain where there was nothing; unless it is full at once, it may
    /// linger.
    Opened {
        /// From then on.
        since: Time,
        full: bool,
    },
    /// A batch became full.
    Filled,
}

/// Batches of one partition that were not drained yet; the last one is open.
#[derive(Debug)]
pub(crate) struct Queue {
    batches: VecDeque<Batch>,
    limits: BatchLimits,
    memory: Arc<Memory>,
    accepted: u64,
    closed: bool,
}

impl Queue {
    pub(super) fn new(limits: BatchLimits, memory: &Arc<Memory>) -> Self {
        let memory = Arc::clone(memory);
        Self {
            batches: VecDeque::new(),
            limits,
            memory,
            accepted: 0,
            closed: false,
        }
    }

    /// Encodes a record into the open batch, or into a new one.
    pub(crate) fn append<H: RecordHeaders + ?Sized>(
        &mut self,
        entry: &mut Entry<'_, H>,
        clock: &(impl Clock + ?Sized),
        coarse: Time,
    ) -> Result<Change, PublishError> {
        if self.closed {
            return Err(PublishError::Closed);
        }
        let change = self.place(
            |batch, limits| batch.append(entry, clock, coarse, limits),
            |memory| Batch::open(memory, clock, coarse),
        )?;
        self.accepted += 1;
        Ok(change)
    }

    /// Takes over a record of `from`, which accepted it.
    pub(crate) fn adopt(
        &mut self,
        entry: &mut Entry<'_, RawHeaders<'_>>,
        published: Time,
        open: impl FnOnce() -> Batch,
    ) {
        let placed = self.place(
            |batch, limits| batch.adopt(entry, published, limits),
            |_| open(),
        );
        debug_assert!(placed.is_ok(), "adopting never lacks memory");
    }

    fn place(
        &mut self,
        mut append: impl FnMut(&mut Batch, BatchLimits) -> Append,
        open: impl FnOnce(&Arc<Memory>) -> Batch,
    ) -> Result<Change, PublishError> {
        let limit = self.memory.budget().bytes().limit();
        if let Some(last) = self.batches.back_mut() {
            match append(last, self.limits) {
                Append::Done if last.is_full(self.limits) => return Ok(Change::Filled),
                Append::Done => return Ok(Change::Joined),
                Append::NoMemory => return Err(PublishError::TooManyBytes { limit }),
                Append::BatchFull => {}
            }
        }
        let mut batch = open(&self.memory);
        if append(&mut batch, self.limits) != Append::Done {
            return Err(PublishError::TooManyBytes { limit });
        }
        let change = match self.batches.is_empty() {
            true => Change::Opened {
                since: batch.opened(),
                full: batch.is_full(self.limits),
            },
            false => Change::Filled,
        };
        self.batches.push_back(batch);
        Ok(change)
    }

    /// Takes the oldest batch, full or not.
    pub(crate) fn pop(&mut self) -> Option<Batch> {
        self.batches.pop_front()
    }

    /// How large the oldest batch is so far.
    pub(crate) fn next_size(&self) -> usize {
        self.batches.front().map_or(0, Batch::size)
    }

    /// Whether a batch is waiting that need not linger, or since when the oldest lingers.
    pub(crate) fn state(&self) -> QueueState {
        match self.batches.front() {
            None => QueueState::Empty,
            Some(first) if self.batches.len() > 1 || first.is_full(self.limits) => QueueState::Full,
            Some(first) => QueueState::Lingering(first.opened()),
        }
    }

    /// When the next message expires.
    pub(crate) fn next_expiry(&self, timeout: Duration) -> Time {
        self.batches
            .front()
            .map_or(Time::NEVER, |batch| batch.next_expiry(timeout))
    }

    /// Takes what is `timeout` old; batches with nothing left are dropped.
    pub(crate) fn expire(
        &mut self,
        now: Time,
        timeout: Duration,
        with_records: bool,
    ) -> Vec<Settlement> {
        let mut settlements = Vec::new();
        while let Some(first) = self.batches.front_mut() {
            let expired = first.expired(now, timeout);
            settlements.extend(first.settle(expired, with_records).if_any());
            if first.unsettled() > 0 {
                break;
            }
            self.batches.pop_front();
        }
        settlements
    }

    /// Takes everything.
    pub(crate) fn purge(&mut self, with_records: bool) -> Vec<Settlement> {
        let batches = self.batches.drain(..);
        batches
            .filter_map(|mut batch| batch.settle_rest(with_records).if_any())
            .collect()
    }

    /// No record is accepted any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    pub(crate) fn unsettled(&self) -> u64 {
        self.batches
            .iter()
            .map(|batch| u64::from(batch.unsettled()))
            .sum()
    }
}

/// See [`Queue::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueState {
    Empty,
    Lingering(Time),
    Full,
}

/// One partition of a topic, shared between publishing threads and the I/O thread.
#[derive(Debug)]
pub(crate) struct Partition {
    index: i32,
    lane: u32,
    queue: Mutex<Queue>,
}

impl Partition {
    /// `lane` is what the sender calls it.
    pub(crate) fn new(index: i32, lane: u32, limits: BatchLimits, memory: &Arc<Memory>) -> Self {
        Self {
            index,
            lane,
            queue: Mutex::new(Queue::new(limits, memory)),
        }
    }

    pub(crate) fn index(&self) -> i32 {
        self.index
    }

    pub(crate) fn lane(&self) -> u32 {
        self.lane
    }

    pub(crate) fn queue(&self) -> parking_lot::MutexGuard<'_, Queue> {
        self.queue.lock()
    }
}
