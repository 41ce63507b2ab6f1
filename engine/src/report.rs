//! What became of messages. A batch is settled as one range; reports are walked from it when the
//! application asks for them.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use kafka_wire::record::RecordReader;
use parking_lot::Mutex;

use crate::accumulator::{Memory, Opaques, Packing};
use crate::error::Failure;
use crate::signal::Signal;

/// The outcome of one message.
pub type Outcome = Result<Delivered, Arc<Failure>>;

/// Where a delivered message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// Its offset there; `None` with `acks=0`, when nobody says.
    pub offset: Option<i64>,
    /// The time that the broker gave it, in milliseconds since 1970, where the topic is set to
    /// `LogAppendTime`; `None` where the record keeps its own.
    pub log_append_time: Option<i64>,
}

/// One message's report.
#[derive(Clone, Debug)]
pub struct Report {
    /// The topic that it was published to.
    pub topic: Arc<str>,
    /// The partition that it was meant for; -1 if none had been chosen yet.
    pub partition: i32,
    /// What the publisher gave along with it.
    pub opaque: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// The record itself, if [`report_records`](crate::settings::Settings::report_records) is set.
    pub record: Option<ReportedRecord>,
}

/// A reported record, sharing the memory that it was sent from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedRecord {
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// When it was created, in milliseconds since 1970.
    pub timestamp: i64,
}

/// A range of messages of one partition with one outcome, not yet walked.
#[derive(Debug)]
pub struct Settled {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) outcome: SettledOutcome,
    /// Index of the first message of `opaques` in its batch.
    pub(crate) first: u32,
    pub(crate) opaques: Opaques,
    /// Batch indices that went to a [`Completion`] and get no report, ascending.
    pub(crate) skipped: VecDeque<u32>,
    pub(crate) records: Option<RecordWalk>,
    /// Given back when all of this is dropped.
    #[expect(dead_code, reason = "held for its Drop")]
    pub(crate) held: Held,
    pub(crate) next: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum SettledOutcome {
    Delivered {
        base_offset: Option<i64>,
        log_append_time: Option<i64>,
    },
    Failed(Arc<Failure>),
}

impl SettledOutcome {
    pub(crate) fn of(&self, partition: i32, index: u32) -> Outcome {
        match self {
            Self::Delivered {
                base_offset,
                log_append_time,
            } => Ok(Delivered {
                partition,
                offset: base_offset.and_then(|base| base.checked_add(index.into())),
                log_append_time: *log_append_time,
            }),
            Self::Failed(failure) => Err(Arc::clone(failure)),
        }
    }
}

impl Iterator for Settled {
    type Item = Report;

    fn next(&mut self) -> Option<Report> {
        loop {
            let opaque = *self.opaques.as_slice().get(self.next as usize)?;
            let index = self.first + self.next;
            self.next += 1;
            let record = self.records.as_mut().and_then(RecordWalk::next);
            if self.skipped.front() == Some(&index) {
                self.skipped.pop_front();
                continue;
            }
            return Some(Report {
                topic: Arc::clone(&self.topic),
                partition: self.partition,
                opaque,
                outcome: self.outcome.of(self.partition, index),
                record,
            });
        }
    }
}

/// Messages charged to the budget until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Arc<Memory>,
    count: usize,
}

impl Held {
    pub(crate) fn new(memory: Arc<Memory>, count: usize) -> Self {
        Self { memory, count }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.budget().release_messages(self.count);
    }
}

/// Reads the records of a settled range again, one after the other.
#[derive(Debug)]
pub(crate) struct RecordWalk {
    segments: VecDeque<Bytes>,
    /// What has to be undone first; the application that takes the reports does it.
    packing: Option<(Packing, Arc<Memory>)>,
    base_timestamp: i64,
    skip: u32,
}

impl RecordWalk {
    /// `segments` hold whole records each, unless they are compressed.
    pub(crate) fn new(
        segments: VecDeque<Bytes>,
        packing: Option<(Packing, Arc<Memory>)>,
        base_timestamp: i64,
        skip: u32,
    ) -> Self {
        Self {
            segments,
            packing,
            base_timestamp,
            skip,
        }
    }

    fn next(&mut self) -> Option<ReportedRecord> {
        if let Some((packing, memory)) = self.packing.take() {
            let compressed = self.segments.make_contiguous();
            self.segments = packing.undo(compressed, &memory).into_iter().collect();
        }
        for _ in 0..std::mem::take(&mut self.skip) {
            self.take()?;
        }
        self.take()
    }

    fn take(&mut self) -> Option<ReportedRecord> {
        while self.segments.front()?.is_empty() {
            self.segments.pop_front();
        }
        let segment = self.segments.front_mut()?;
        let whole = segment.clone();
        let mut records = RecordReader::new(&whole);
        let view = records.next()?.ok()?;
        let record = ReportedRecord {
            key: view.key.map(|key| whole.slice_ref(key)),
            value: view.value.map(|value| whole.slice_ref(value)),
            timestamp: self.base_timestamp + view.timestamp_delta,
        };
        let _ = segment.split_to(records.offset());
        Some(record)
    }
}

/// Settled ranges that wait for the application.
#[derive(Debug, Default)]
pub struct ReportQueue {
    settled: Mutex<VecDeque<Settled>>,
    arrived: Arc<Signal>,
}

impl ReportQueue {
    /// Takes everything that is there, oldest first.
    pub fn take(&self) -> VecDeque<Settled> {
        std::mem::take(&mut *self.settled.lock())
    }

    /// Notified when reports arrive where there were none.
    pub fn arrived(&self) -> &Arc<Signal> {
        &self.arrived
    }

    /// `count` enters the messages into the balance, at the same moment for all who look: after a
    /// flush every report is here, and whoever has a report finds it counted.
    pub(crate) fn push(&self, settled: Settled, count: impl FnOnce()) {
        let was_empty = {
            let mut queue = self.settled.lock();
            count();
            queue.push_back(settled);
            queue.len() == 1
        };
        if was_empty {
            self.arrived.notify();
        }
    }
}

/// A future that ends with the outcome of one message.
#[derive(Clone, Debug, Default)]
pub struct Completion(Arc<Mutex<CompletionState>>);

#[derive(Debug, Default)]
struct CompletionState {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

impl Completion {
    pub(crate) fn complete(self, outcome: Outcome) {
        let waker = {
            let mut state = self.0.lock();
            state.outcome = Some(outcome);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Future for Completion {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.0.lock();
        match &state.outcome {
            Some(outcome) => Poll::Ready(outcome.clone()),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
