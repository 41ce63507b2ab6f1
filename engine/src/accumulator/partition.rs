//! The queue of one partition: where publishing threads and the I/O thread meet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::record::{Header, RawHeaders};
use parking_lot::{Mutex, MutexGuard};

use super::batch::{Append, Batch, BatchLimits, Entry, Settlement};
use super::segment::Memory;
use crate::error::PublishError;
use crate::recording::{Message, NotedClock, Notes, Place, Tape};
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
    door: Door,
    /// For the flight recorder.
    notes: Notes,
}

/// Whether records are accepted; one word for publishers to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    /// They are, and noted.
    Watched,
    Closed,
}

impl Queue {
    pub(super) fn new(limits: BatchLimits, memory: &Arc<Memory>, tape: &Tape) -> Self {
        let memory = Arc::clone(memory);
        Self {
            batches: VecDeque::new(),
            limits,
            memory,
            accepted: 0,
            door: match tape.wants_notes() {
                true => Door::Watched,
                false => Door::Open,
            },
            notes: Notes::default(),
        }
    }

    /// Encodes a record into the open batch, or into a new one.
    pub(crate) fn append(
        &mut self,
        entry: &mut Entry<'_, [Header<'_>]>,
        clock: &(impl Clock + ?Sized),
        coarse: Time,
    ) -> Result<Change, PublishError> {
        match self.door {
            Door::Open => self.accept(entry, clock, coarse),
            Door::Watched | Door::Closed => self.append_watched(entry, clock, coarse),
        }
    }

    /// Inlined, so that the way of a publisher whom nobody watches stays as short as it can be.
    #[inline(always)]
    fn accept(
        &mut self,
        entry: &mut Entry<'_, [Header<'_>]>,
        clock: &(impl Clock + ?Sized),
        coarse: Time,
    ) -> Result<Change, PublishError> {
        let change = self.place(
            |batch, limits| batch.append(entry, clock, coarse, limits),
            |memory| Batch::open(memory, clock, coarse),
        )?;
        self.accepted += 1;
        Ok(change)
    }

    #[cold]
    #[inline(never)]
    fn append_watched(
        &mut self,
        entry: &mut Entry<'_, [Header<'_>]>,
        clock: &(impl Clock + ?Sized),
        coarse: Time,
    ) -> Result<Change, PublishError> {
        if self.door == Door::Closed {
            return Err(PublishError::Closed);
        }
        let accepted = self.accept(entry, clock, coarse);
        self.note(entry, coarse, accepted.is_ok());
        accepted
    }

    /// Leaves the flight recorder a note: all that the outcome depended on.
    fn note(&mut self, entry: &Entry<'_, [Header<'_>]>, coarse: Time, accepted: bool) {
        // One that found no room has left nothing but perhaps a mark.
        let Some(last) = self
            .batches
            .back()
            .filter(|last| accepted || last.ends_at(coarse))
        else {
            return;
        };
        let content = (entry.key, entry.value);
        let message = || Message::of(content, entry.headers, entry.timestamp, entry.opaque);
        let clock = (last.opened(), last.wall_offset());
        self.notes.add(coarse, clock, accepted.then(message));
    }

    /// Hands out what was noted since the last time.
    pub(crate) fn take_notes(&mut self, take: impl FnOnce(&[u8])) {
        self.notes.take(take);
    }

    /// Does once more what was noted, with zeros for the content of the message; `None` stands for one
    /// that had found no room. False if there is none now.
    pub(crate) fn replay(&mut self, clock: &NotedClock, message: Option<&Message>) -> bool {
        let coarse = clock.coarse();
        let Some(message) = message else {
            if let Some(last) = self.batches.back_mut() {
                last.keep_marks(clock, coarse);
            }
            return true;
        };
        let limit = self.memory.budget().bytes().limit();
        let replayed = message.with_zeros(limit, |record| {
            self.append(&mut Entry::of(&record, None), clock, coarse)
        });
        matches!(replayed, Some(Ok(_)))
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

    /// How large all that waits is.
    pub(crate) fn size(&self) -> usize {
        self.batches.iter().map(Batch::size).sum()
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
        self.door = Door::Closed;
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
    tape: Tape,
}

impl Partition {
    /// `lane` is what the sender calls it.
    pub(crate) fn new(
        (index, lane): (i32, u32),
        limits: BatchLimits,
        memory: &Arc<Memory>,
        tape: &Tape,
    ) -> Self {
        Self {
            index,
            lane,
            queue: Mutex::new(Queue::new(limits, memory, tape)),
            tape: tape.clone(),
        }
    }

    pub(crate) fn index(&self) -> i32 {
        self.index
    }

    pub(crate) fn lane(&self) -> u32 {
        self.lane
    }

    /// The queue as other threads than the engine's see it.
    pub(super) fn door(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// The queue as the engine sees it.
    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        let mut queue = self.queue.lock();
        self.tape.records(Place::Lane(self.lane), &mut queue);
        queue
    }
}
