//! One partition from the sender's side: its leader, what is on the wire, what has to go again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::message::MetadataPartition;
use kafka_wire::{ErrorCode, Uuid};

use super::settle::{fail_all, settle};
use crate::accumulator::{Batch, Core, Partition, QueueState, Topic};
use crate::cluster::NodeId;
use crate::error::{DeliveryError, Failure, Persisted, Place};
use crate::report::SettledOutcome;
use crate::time::Time;

/// Requests of one partition on the wire at most; also the bound that idempotence will need.
const MAX_IN_FLIGHT: usize = 5;

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) topic: Arc<Topic>,
    pub(crate) partition: Arc<Partition>,
    pub(crate) topic_id: Uuid,
    pub(crate) leader: Option<NodeId>,
    leader_epoch: i32,
    /// Batches that go before the queue, in the order of their first attempt.
    head: VecDeque<Parcel>,
    in_flight: VecDeque<Parcel>,
    /// The head is not sent again before then.
    retry_at: Time,
    next_parcel: u64,
    last_error: Option<Arc<str>>,
    /// Whether the last attempt that ended was a success. Until then one request at a time is on
    /// the wire: behind a new leader, which may refuse a first batch and take a second, pipelining
    /// would turn the order round (franz-go #223).
    proven: bool,
    /// Whether an outlet has it on its list.
    pub(super) listed: bool,
}

/// A batch that was drained, and its history.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) id: u64,
    pub(crate) batch: Batch,
    pub(crate) attempts: u32,
    persisted: Persisted,
    last_error: Option<Arc<str>>,
}

/// What went wrong with an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Setback {
    pub(crate) error: DeliveryError,
    pub(crate) persisted: Persisted,
    pub(crate) text: Arc<str>,
}

impl Lane {
    pub(crate) fn new(topic: Arc<Topic>, partition: Arc<Partition>) -> Self {
        Self {
            topic,
            partition,
            topic_id: Uuid::ZERO,
            leader: None,
            leader_epoch: -1,
            head: VecDeque::new(),
            in_flight: VecDeque::new(),
            retry_at: Time::default(),
            next_parcel: 0,
            last_error: None,
            proven: false,
            listed: false,
        }
    }

    /// Takes over what metadata says, unless it is older than what is known (KIP-320). What is known
    /// and `useless`, because no broker is that leader, counts for nothing: it may have been a lie.
    /// True if the leader is another one now.
    pub(crate) fn update_leader(
        &mut self,
        topic_id: Uuid,
        metadata: &MetadataPartition,
        useless: bool,
    ) -> bool {
        let MetadataPartition {
            leader_id,
            leader_epoch,
            ..
        } = *metadata;
        // A topic that was deleted and made anew counts its leaders from the start (KIP-516).
        let anew = topic_id != Uuid::ZERO && topic_id != self.topic_id;
        self.topic_id = topic_id;
        let older = leader_epoch >= 0 && leader_epoch < self.leader_epoch;
        if older && !anew && !useless {
            return false;
        }
        let leader = (leader_id >= 0).then_some(NodeId(leader_id));
        let moved = leader != self.leader;
        self.proven &= !moved;
        if moved {
            self.set_leader(leader);
        }
        self.leader_epoch = leader_epoch;
        if leader.is_none() {
            let code = match metadata.error_code.is_ok() {
                true => ErrorCode::LEADER_NOT_AVAILABLE,
                false => metadata.error_code,
            };
            self.last_error = Some(code.text().into());
        }
        moved
    }

    /// Metadata does not list the partition any more. What waits here may still go, should it be
    /// listed again.
    pub(crate) fn vanish(&mut self) {
        self.set_leader(None);
        self.last_error = Some("the topic has no such partition any more".into());
    }

    /// Whoever led it before has to [forget](super::Sender::unlist) it.
    pub(super) fn set_leader(&mut self, leader: Option<NodeId>) {
        self.leader = leader;
        self.listed = false;
    }

    /// When something may be sent: now or in the past, later, or [`Time::NEVER`] until something
    /// happens.
    pub(crate) fn due(&self, core: &Core) -> Time {
        if !self.may_send() {
            return Time::NEVER;
        }
        if !self.head.is_empty() {
            return self.retry_at;
        }
        match self.partition.queue().state() {
            QueueState::Empty => Time::NEVER,
            QueueState::Full => Time::default(),
            QueueState::Lingering(_) if core.is_flushing() => Time::default(),
            QueueState::Lingering(since) => since.after(core.settings.linger),
        }
    }

    /// Whether messages wait here for their outcome.
    pub(crate) fn has_messages(&self) -> bool {
        let waiting = self.partition.queue().state() != QueueState::Empty;
        waiting || !self.head.is_empty() || !self.in_flight.is_empty()
    }

    /// The next batch to send, if it is allowed to go now; lingering is over for it.
    pub(crate) fn take(&mut self, now: Time) -> Option<Parcel> {
        if !self.may_send() {
            return None;
        }
        if !self.head.is_empty() {
            if self.retry_at > now {
                return None;
            }
            let mut parcel = self.head.pop_front()?;
            parcel.batch = parcel.batch.trimmed();
            return Some(parcel);
        }
        let batch = self.partition.queue().pop()?.trimmed();
        let id = self.next_parcel;
        self.next_parcel += 1;
        Some(Parcel {
            id,
            batch,
            attempts: 0,
            persisted: Persisted::No,
            last_error: None,
        })
    }

    /// About how large the next batch is.
    pub(crate) fn next_size(&self) -> usize {
        match self.head.front() {
            Some(parcel) => parcel.batch.size(),
            None => self.partition.queue().next_size(),
        }
    }

    /// A batch is on its way.
    pub(crate) fn sent(&mut self, mut parcel: Parcel) {
        parcel.attempts += 1;
        self.in_flight.push_back(parcel);
    }

    /// A batch was delivered.
    pub(crate) fn delivered(
        &mut self,
        core: &Core,
        id: u64,
        base_offset: Option<i64>,
        log_append_time: Option<i64>,
    ) {
        if let Some(parcel) = self.landed(id) {
            self.last_error = None;
            // What failed goes again alone, and first.
            self.proven = self.head.is_empty();
            self.end(
                core,
                parcel,
                SettledOutcome::Delivered {
                    base_offset,
                    log_append_time,
                },
            );
        }
    }

    /// An attempt failed for good.
    pub(crate) fn failed(&mut self, core: &Core, id: u64, setback: &Setback) {
        if let Some(mut parcel) = self.landed(id) {
            parcel.blame(setback);
            self.fail(core, parcel, setback.error, Place::InFlight);
        }
    }

    /// An attempt failed; the batch goes again `wait` from now, unless it was tried often enough.
    pub(crate) fn again(
        &mut self,
        core: &Core,
        id: u64,
        setback: &Setback,
        retry_at: impl FnOnce(u32) -> Time,
    ) {
        let Some(mut parcel) = self.landed(id) else {
            return;
        };
        self.proven = false;
        parcel.blame(setback);
        self.last_error = Some(Arc::clone(&setback.text));
        if parcel.attempts > core.settings.max_retries {
            self.fail(core, parcel, setback.error, Place::InFlight);
        } else if parcel.batch.unsettled() > 0 {
            self.retry_at = self.retry_at.max(retry_at(parcel.attempts));
            self.insert(parcel);
        }
    }

    /// Fails what is older than the topic allows. `trouble` is what the leader suffers from.
    pub(crate) fn expire(&mut self, core: &Core, now: Time, trouble: Option<&Arc<str>>) {
        let Some(timeout) = self.topic.settings().message_timeout else {
            return;
        };
        let with_records = core.settings.report_records;
        let last_error = self.last_error.as_ref().or(trouble).cloned();
        let place = self.waiting_place();
        let (topic, index) = (&self.topic, self.partition.index());
        let parcels = self
            .in_flight
            .iter_mut()
            .map(|parcel| (parcel, Place::InFlight));
        for (parcel, place) in parcels.chain(self.head.iter_mut().map(|parcel| (parcel, place))) {
            let expired = parcel.batch.expired(now, timeout);
            let settlement = parcel.batch.settle(expired, with_records);
            if let Some(settlement) = settlement.if_any() {
                let mut failure = parcel.failure(DeliveryError::TimedOut, place);
                failure.last_error = failure.last_error.or_else(|| last_error.clone());
                let outcome = SettledOutcome::Failed(Arc::new(failure));
                settle(core, topic, index, settlement, outcome);
            }
        }
        self.head.retain(|parcel| parcel.batch.unsettled() > 0);
        let expired = self.partition.queue().expire(now, timeout, with_records);
        let failure = Failure::unsent(DeliveryError::TimedOut, place, last_error);
        fail_all(core, topic, index, expired, failure);
    }

    /// When [`Lane::expire`] has something to do next.
    pub(crate) fn next_expiry(&self) -> Time {
        let Some(timeout) = self.topic.settings().message_timeout else {
            return Time::NEVER;
        };
        let drained = self.in_flight.iter().chain(&self.head);
        let drained = drained
            .map(|parcel| parcel.batch.next_expiry(timeout))
            .min();
        drained
            .unwrap_or(Time::NEVER)
            .min(self.partition.queue().next_expiry(timeout))
    }

    /// Fails everything that is not on the wire.
    pub(crate) fn purge_waiting(
        &mut self,
        core: &Core,
        error: DeliveryError,
        why: Option<Arc<str>>,
    ) {
        let place = self.waiting_place();
        let last_error = why.or_else(|| self.last_error.clone());
        for mut parcel in std::mem::take(&mut self.head) {
            parcel.last_error = parcel.last_error.take().or_else(|| last_error.clone());
            self.fail(core, parcel, error, place);
        }
        let waiting = self.partition.queue().purge(core.settings.report_records);
        let failure = Failure::unsent(error, place, last_error);
        fail_all(core, &self.topic, self.partition.index(), waiting, failure);
    }

    /// Fails everything that is on the wire; the answers will find nothing any more.
    pub(crate) fn purge_in_flight(&mut self, core: &Core) {
        for parcel in std::mem::take(&mut self.in_flight) {
            self.fail(core, parcel, DeliveryError::PurgedInFlight, Place::InFlight);
        }
    }

    /// Messages without an outcome: waiting, and on the wire.
    pub(crate) fn unsettled(&self) -> (u64, u64) {
        let sum = |parcels: &VecDeque<Parcel>| -> u64 {
            parcels
                .iter()
                .map(|parcel| u64::from(parcel.batch.unsettled()))
                .sum()
        };
        (
            sum(&self.head) + self.partition.queue().unsettled(),
            sum(&self.in_flight),
        )
    }

    /// Where messages are that wait here.
    pub(crate) fn waiting_place(&self) -> Place {
        if self.leader.is_some() {
            Place::Queued
        } else {
            Place::NoLeader
        }
    }

    pub(crate) fn last_error(&self) -> Option<&Arc<str>> {
        self.last_error.as_ref()
    }

    /// Whether one more batch may be on the wire.
    fn may_send(&self) -> bool {
        let window = if self.proven { MAX_IN_FLIGHT } else { 1 };
        self.in_flight.len() < window
    }

    fn landed(&mut self, id: u64) -> Option<Parcel> {
        let position = self.in_flight.iter().position(|parcel| parcel.id == id)?;
        self.in_flight.remove(position)
    }

    fn insert(&mut self, parcel: Parcel) {
        let position = self.head.partition_point(|other| other.id < parcel.id);
        self.head.insert(position, parcel);
    }

    fn fail(&self, core: &Core, parcel: Parcel, error: DeliveryError, place: Place) {
        let failure = Arc::new(parcel.failure(error, place));
        self.end(core, parcel, SettledOutcome::Failed(failure));
    }

    fn end(&self, core: &Core, mut parcel: Parcel, outcome: SettledOutcome) {
        let settlement = parcel.batch.settle_rest(core.settings.report_records);
        if let Some(settlement) = settlement.if_any() {
            let index = self.partition.index();
            settle(core, &self.topic, index, settlement, outcome);
        }
    }
}

impl Parcel {
    fn blame(&mut self, setback: &Setback) {
        self.last_error = Some(Arc::clone(&setback.text));
        if setback.persisted == Persisted::Maybe {
            self.persisted = Persisted::Maybe;
        }
    }

    fn failure(&self, error: DeliveryError, place: Place) -> Failure {
        let unanswered = place == Place::InFlight && !matches!(error, DeliveryError::Broker(_));
        Failure {
            error,
            place,
            attempts: self.attempts,
            persisted: if unanswered {
                Persisted::Maybe
            } else {
                self.persisted
            },
            last_error: self.last_error.clone(),
        }
    }
}

/// How long to wait before attempt number `attempts + 1`.
pub(crate) fn retry_wait(core: &Core, attempts: u32, random: &mut fastrand::Rng) -> Duration {
    let settings = &core.settings;
    let (first, max) = (settings.retry_backoff, settings.retry_backoff_max);
    crate::backoff::backoff(first, max, attempts, 0.8..=1.2, random)
}
