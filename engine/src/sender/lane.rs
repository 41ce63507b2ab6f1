//! One partition from the sender's side: its leader, what is on the wire, what has to go again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::message::{LeaderIdAndEpoch, MetadataPartition, RecordError};
use kafka_wire::{ErrorCode, Uuid};

use super::Shipment;
use super::identity::Identities;
use super::press::Press;
use super::series::Series;
use super::settle::{fail_all, settle};
use crate::accumulator::{Batch, Core, Partition, QueueState, Stamp, Topic};
use crate::cluster::NodeId;
use crate::compression::{Done, Job};
use crate::error::{DeliveryError, Failure, Persisted, Place};
use crate::report::SettledOutcome;
use crate::settings::Compression;
use crate::time::Time;

/// Requests of one partition on the wire at most: so many batches of each producer does a leader
/// recognise when they come again.
const MAX_IN_FLIGHT: usize = 5;

/// A partition that was quiet for longer has to prove itself anew: its leader may have forgotten the
/// producer (`producer.id.expiration.ms`), and then takes any number for the first one.
const REMEMBERED: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) topic: Arc<Topic>,
    pub(crate) partition: Arc<Partition>,
    pub(crate) topic_id: Uuid,
    pub(crate) leader: Option<NodeId>,
    leader_epoch: i32,
    vanished: Option<Time>,
    /// The topic that the numbers of `series` belong to (KIP-516): one that is made anew has a log
    /// of its own.
    log_id: Uuid,
    /// With idempotence.
    series: Option<Series>,
    /// What goes before the queue, if the topic compresses.
    press: Option<Press>,
    /// Batches that go before the queue and the press, in order.
    head: VecDeque<Parcel>,
    in_flight: VecDeque<Parcel>,
    /// The topic id that those in flight went under; zero if they went by name.
    sent_under: Uuid,
    /// Batches with their outcomes, by id, that are reported after an earlier one.
    concluded: BTreeMap<u64, (Parcel, SettledOutcome)>,
    /// The head is not sent again before then.
    retry_at: Time,
    /// Records that were drained so far.
    drained: u64,
    last_error: Option<Arc<str>>,
    /// Whether the last attempt that ended was a success. Until then one request at a time is on
    /// the wire: behind a new leader, which may refuse a first batch and take a second, pipelining
    /// would turn the order round (franz-go #223).
    proven: bool,
    /// When a batch was taken last.
    taken_at: Time,
    /// Whether an outlet has it on its list.
    pub(super) listed: bool,
}

/// A batch that was drained, and its history.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// How many records of the partition were drained before it.
    pub(crate) id: u64,
    pub(crate) batch: Batch,
    /// Its sequence numbers, once it has them.
    pub(crate) stamp: Option<Stamp>,
    pressing: Pressing,
    /// The topic whose log may have it under these numbers; zero is any that has the name: before
    /// Produce 13 requests go by names, and one that is made anew takes what was meant for the former.
    doubt: Option<Uuid>,
    pub(crate) attempts: u32,
    persisted: Persisted,
    last_error: Option<Arc<str>>,
}

/// Whether a batch has to be compressed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pressing {
    No,
    /// Before it goes.
    Due,
    /// That happens now, under this number.
    Out(u64),
}

impl Pressing {
    fn due(due: bool) -> Self {
        if due { Self::Due } else { Self::No }
    }
}

/// What went wrong with an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Setback {
    pub(crate) error: DeliveryError,
    pub(crate) persisted: Persisted,
    pub(crate) text: Arc<str>,
}

impl Setback {
    /// The same with what is said of one record.
    fn text_of(&self, record: &RecordError<'_>) -> Arc<str> {
        match record.message {
            Some(message) => format!("{}; the record: {message}", self.text).into(),
            None => Arc::clone(&self.text),
        }
    }
}

impl Lane {
    pub(crate) fn new(
        topic: Arc<Topic>,
        partition: Arc<Partition>,
        series: Option<Series>,
        compression: Option<Compression>,
    ) -> Self {
        let press = compression.map(|compression| Press::new(partition.lane(), compression));
        Self {
            press,
            topic,
            partition,
            topic_id: Uuid::ZERO,
            log_id: Uuid::ZERO,
            series,
            leader: None,
            leader_epoch: -1,
            vanished: None,
            head: VecDeque::new(),
            in_flight: VecDeque::new(),
            sent_under: Uuid::ZERO,
            concluded: BTreeMap::new(),
            retry_at: Time::default(),
            drained: 0,
            last_error: None,
            proven: false,
            taken_at: Time::default(),
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
        self.vanished = None;
        self.topic_id = topic_id;
        self.know_log(topic_id);
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

    /// Where the topic was made anew, its new log has nothing of what went by the id of the former,
    /// and does not know this producer.
    fn know_log(&mut self, topic_id: Uuid) {
        if topic_id == Uuid::ZERO || topic_id == self.log_id {
            return;
        }
        if self.log_id != Uuid::ZERO {
            self.interrupt();
            for parcel in &mut self.head {
                parcel.doubt = parcel.doubt.filter(|log| *log == Uuid::ZERO);
            }
        }
        self.log_id = topic_id;
    }

    /// Takes over what its former leader says of the present one, if that is news (KIP-951). True
    /// if the leader is another one now.
    pub(super) fn follow(&mut self, hint: LeaderIdAndEpoch) -> bool {
        let leader = Some(NodeId(hint.leader_id));
        if hint.leader_epoch <= self.leader_epoch || leader == self.leader {
            return false;
        }
        self.leader_epoch = hint.leader_epoch;
        self.proven = false;
        self.set_leader(leader);
        true
    }

    /// Metadata does not list the partition any more. What waits here may still go, should it be
    /// listed again soon.
    pub(super) fn vanish(&mut self, now: Time) {
        self.set_leader(None);
        self.vanished.get_or_insert(now);
        self.last_error = Some("the topic has no such partition any more".into());
    }

    /// Since when metadata has not listed the partition any more, while messages wait for it.
    pub(crate) fn vanished(&self) -> Option<Time> {
        self.vanished.filter(|_| self.has_waiting())
    }

    /// Whoever led it before has to [forget](super::Sender::unlist) it.
    pub(super) fn set_leader(&mut self, leader: Option<NodeId>) {
        self.leader = leader;
        self.listed = false;
    }

    /// When something may be sent: now or in the past, later, or [`Time::NEVER`] until something
    /// happens.
    pub(crate) fn due(&self, core: &Core, identities: &Identities) -> Time {
        if !self.may_send(identities) {
            return Time::NEVER;
        }
        if !self.head.is_empty() {
            let next = self.next_of_head().and_then(|next| self.head.get(next));
            return match next.map(|parcel| parcel.pressing) {
                Some(Pressing::Out(_)) => Time::NEVER,
                _ => self.retry_at,
            };
        }
        if let Some(press) = self.press.as_ref().filter(|press| !press.is_empty()) {
            return match press.is_ready() {
                true => Time::default(),
                false => Time::NEVER,
            };
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
        self.has_waiting() || !self.in_flight.is_empty()
    }

    /// Whether messages wait here to be sent, or to be sent again.
    pub(crate) fn has_waiting(&self) -> bool {
        let pressed = self.press.as_ref().is_some_and(|press| !press.is_empty());
        let queued = self.partition.queue().state() != QueueState::Empty;
        queued || pressed || !self.head.is_empty()
    }

    /// Has batches compressed that are full, or due and about to go; `produce` is the version that
    /// the leader speaks. Returns whether it is too old for the codec: its batches go as they are.
    pub(crate) fn compress(
        &mut self,
        (core, identities): (&Core, &Identities),
        now: Time,
        produce: i16,
        jobs: &mut VecDeque<Job>,
    ) -> bool {
        let may_send = self.head.is_empty() && self.may_send(identities);
        let room = self.window() - self.in_flight.len().min(self.window());
        let Some(press) = &mut self.press else {
            return false;
        };
        let too_old = press.compression().codec.oldest_produce() > produce;
        let mut queue = self.partition.queue();
        while !press.is_full() {
            let due = match queue.state() {
                QueueState::Empty => false,
                QueueState::Full => true,
                // A batch that cannot go yet stays open for more.
                QueueState::Lingering(_) if !may_send || press.len() >= room => false,
                QueueState::Lingering(since) => {
                    core.is_flushing() || since.after(core.settings.linger) <= now
                }
            };
            let batch = if due { queue.pop() } else { None };
            match batch {
                Some(batch) if too_old => press.put_plain(batch),
                Some(batch) => jobs.push_back(press.put(batch, core)),
                None => break,
            }
        }
        too_old && press.is_ready()
    }

    /// Takes back what was to be compressed.
    pub(crate) fn compressed(&mut self, done: Done) {
        let done = self.press.as_mut().and_then(|press| press.finish(done));
        let Some(done) = done else { return };
        let out = Pressing::Out(done.place.number);
        if let Some(parcel) = self.head.iter_mut().find(|parcel| parcel.pressing == out) {
            parcel.pressing = Pressing::No;
            done.put_into(&mut parcel.batch);
        }
    }

    /// The next batch to send, if it is allowed to go now; lingering is over for it.
    pub(crate) fn take(
        &mut self,
        (core, identities): (&Core, &Identities),
        now: Time,
        jobs: &mut VecDeque<Job>,
    ) -> Option<Parcel> {
        if self.in_flight.is_empty() && self.taken_at.after(REMEMBERED) <= now {
            self.proven = false;
        }
        if !self.may_send(identities) {
            return None;
        }
        let mut parcel = match self.head.is_empty() {
            true => self.drain(core, jobs)?,
            false if self.retry_at > now => return None,
            false => self.take_again(core, jobs)?,
        };
        if parcel.stamp.is_none() {
            let series = self.series.as_mut();
            parcel.stamp = series.and_then(|s| s.number(parcel.batch.count(), identities));
        }
        self.taken_at = now;
        Some(parcel)
    }

    fn drain(&mut self, core: &Core, jobs: &mut VecDeque<Job>) -> Option<Parcel> {
        let batch = match &mut self.press {
            Some(press) => press.pop(core, jobs),
            None => self.partition.queue().pop().map(Batch::trimmed),
        }?;
        let id = self.drained;
        self.drained += u64::from(batch.count());
        Some(Parcel {
            id,
            batch,
            stamp: None,
            pressing: Pressing::No,
            doubt: None,
            attempts: 0,
            persisted: Persisted::No,
            last_error: None,
        })
    }

    /// The next batch of the head, without what expired. What was taken apart since it was compressed
    /// is compressed again first.
    fn take_again(&mut self, core: &Core, jobs: &mut VecDeque<Job>) -> Option<Parcel> {
        let next = self.next_of_head()?;
        let mut parcel = self.head.remove(next)?;
        if parcel.stamp.is_none() && parcel.pressing == Pressing::No {
            let packed = parcel.batch.is_packed();
            parcel.batch = parcel.batch.trimmed();
            parcel.pressing = Pressing::due(packed && !parcel.batch.is_packed());
        }
        if let (Some(press), Pressing::Due) = (&mut self.press, parcel.pressing) {
            let (number, job) = press.compress(&mut parcel.batch, core);
            parcel.pressing = Pressing::Out(number);
            jobs.push_back(job);
        }
        if matches!(parcel.pressing, Pressing::Out(_)) {
            self.head.insert(next, parcel);
            return None;
        }
        Some(parcel)
    }

    /// Begins the series of numbers anew where it was broken, once it is known of every batch
    /// whether it is in the log.
    pub(crate) fn renumber(&mut self, identities: &mut Identities) {
        let open = !self.in_flight.is_empty() || self.has_doubtful();
        let series = self.series.as_mut().filter(|series| series.is_broken());
        let Some(series) = series.filter(|_| !open) else {
            return;
        };
        series.begin_anew(identities);
        self.proven = false;
        self.head.iter_mut().for_each(|parcel| parcel.stamp = None);
    }

    /// About how large the next batch is.
    pub(crate) fn next_size(&self) -> usize {
        match self.head.front() {
            Some(parcel) => parcel.batch.size(),
            None => match self.press.as_ref().and_then(Press::next_size) {
                Some(size) => size,
                None => self.partition.queue().next_size(),
            },
        }
    }

    /// A batch is on its way.
    pub(crate) fn sent(&mut self, mut parcel: Parcel) {
        parcel.attempts += 1;
        self.sent_under = self.topic_id;
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
            self.conclude(
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
            self.give_up(core, parcel, setback.error);
        }
    }

    /// An attempt failed; the batch goes again at `retry_at` (given the number of attempts), unless
    /// it was tried often enough.
    pub(crate) fn again(
        &mut self,
        core: &Core,
        shipment: Shipment,
        setback: &Setback,
        retry_at: impl FnOnce(u32) -> Time,
    ) {
        let Some(mut parcel) = self.landed(shipment.parcel) else {
            return;
        };
        parcel.blame(setback);
        // What it was sent to may be gone together with its log.
        let log = shipment.topic_id;
        let same_log = log == Uuid::ZERO || log == self.log_id;
        if setback.persisted == Persisted::Maybe && same_log {
            // Zero, which means more than one log, goes before all others.
            parcel.doubt = Some(parcel.doubt.map_or(log, |other| other.min(log)));
        }
        self.retry(core, parcel, setback, retry_at);
    }

    /// The leader misses what comes before a batch. If that is on its way or waits to go again, the
    /// batch goes again behind it. If not, numbers begin anew, after a gap in the log unless it is
    /// known where the numbers are, or the leader has `forgotten` the producer.
    pub(crate) fn out_of_order(
        &mut self,
        core: &Core,
        id: u64,
        setback: &Setback,
        forgotten: bool,
        retry_at: impl FnOnce(u32) -> Time,
    ) {
        let Some(mut parcel) = self.landed(id) else {
            return;
        };
        parcel.blame(setback);
        // The leader would have recognised it. It may come there yet, from a connection that is lost
        // on this side only, so that its message may be in the log.
        parcel.doubt = None;
        let others = self.in_flight.iter().chain(&self.head);
        let mut before = others.filter(|other| other.id < parcel.id);
        let comes_behind = before.any(|other| other.stamp.is_some());
        if forgotten || !comes_behind {
            if !forgotten && !self.is_interrupted() {
                core.forbid_gap(&setback.text);
            }
            parcel.stamp = None;
            self.interrupt();
        }
        self.retry(core, parcel, setback, retry_at);
    }

    /// A batch is larger than its broker takes: it goes again in parts, under the same numbers.
    /// If it cannot be parted, it has failed.
    pub(crate) fn split(&mut self, core: &Core, id: u64, setback: &Setback) {
        let Some(mut parcel) = self.landed(id) else {
            return;
        };
        parcel.blame(setback);
        let whole = parcel.batch.count() == 1 || self.may_be_double(&parcel);
        parcel.pressing = Pressing::due(parcel.batch.is_packed());
        if whole || parcel.batch.unpack().is_err() {
            return self.give_up(core, parcel, setback.error);
        }
        self.proven = false;
        self.last_error = Some(Arc::clone(&setback.text));
        self.check_numbers(&mut parcel);
        let Parcel { id, batch, .. } = parcel;
        for (index, batch) in batch.split() {
            self.insert(Parcel {
                id: id + u64::from(index),
                batch,
                stamp: parcel.stamp.map(|stamp| stamp.skip(index)),
                last_error: parcel.last_error.clone(),
                ..parcel
            });
        }
    }

    /// A broker refuses a batch for good. Where it names the records to blame (KIP-467), they fail,
    /// and the others go again.
    pub(crate) fn refused(
        &mut self,
        core: &Core,
        id: u64,
        setback: &Setback,
        named: &[RecordError<'_>],
    ) {
        let Some(mut parcel) = self.landed(id) else {
            return;
        };
        parcel.blame(setback);
        let named: BTreeMap<u32, &RecordError<'_>> = named
            .iter()
            .filter_map(|error| Some((u32::try_from(error.batch_index).ok()?, error)))
            .filter(|(index, _)| *index < parcel.batch.count())
            .collect();
        let whole = named.is_empty() || self.may_be_double(&parcel);
        parcel.pressing = Pressing::due(parcel.batch.is_packed());
        if whole || parcel.batch.unpack().is_err() {
            return self.give_up(core, parcel, setback.error);
        }
        self.interrupt();
        core.forbid_gap(&setback.text);
        self.last_error = Some(Arc::clone(&setback.text));
        let Parcel { id, batch, .. } = parcel;
        let (rest, blamed) = batch.without(|index| named.contains_key(&index));
        for (index, batch) in blamed {
            let alone = Parcel {
                batch,
                last_error: Some(setback.text_of(named[&index])),
                ..parcel
            };
            self.fail(core, alone, setback.error, Place::InFlight);
        }
        if rest.unsettled() > 0 {
            self.insert(Parcel {
                id,
                batch: rest,
                stamp: None,
                ..parcel
            });
        }
    }

    fn retry(
        &mut self,
        core: &Core,
        parcel: Parcel,
        setback: &Setback,
        retry_at: impl FnOnce(u32) -> Time,
    ) {
        self.proven = false;
        self.last_error = Some(Arc::clone(&setback.text));
        if parcel.attempts > core.settings.max_retries {
            return self.give_up(core, parcel, setback.error);
        }
        if parcel.batch.unsettled() == 0 {
            self.interrupt();
        } else {
            self.retry_at = self.retry_at.max(retry_at(parcel.attempts));
            self.insert(parcel);
        }
    }

    /// Numbers were given to what will not be in the log, as far as this producer is concerned.
    fn interrupt(&mut self) {
        if let Some(series) = &mut self.series {
            series.interrupt();
            self.proven = false;
        }
    }

    fn is_interrupted(&self) -> bool {
        self.series.as_ref().is_some_and(Series::is_broken)
    }

    /// Fails what is older than the topic allows. `trouble` is what the leader suffers from.
    pub(crate) fn expire(&mut self, core: &Core, now: Time, trouble: Option<&Arc<str>>) {
        let Some(timeout) = self.topic.settings().message_timeout else {
            return;
        };
        let with_records = core.settings.report_records;
        let last_error = self.last_error.as_ref().or(trouble).cloned();
        let place = self.waiting_place();
        let index = self.partition.index();
        let sent = self.in_flight.iter_mut();
        let sent = sent.map(|parcel| (parcel, Place::InFlight));
        let waiting = self.head.iter_mut().map(|parcel| (parcel, place));
        let mut parcels: Vec<(&mut Parcel, Place)> = sent.chain(waiting).collect();
        parcels.sort_by_key(|(parcel, _)| parcel.id);
        for (parcel, place) in parcels {
            let expired = parcel.batch.expired(now, timeout);
            let settlement = parcel.batch.settle(expired, with_records);
            if let Some(settlement) = settlement.if_any() {
                let mut failure = parcel.failure(DeliveryError::TimedOut, place);
                failure.last_error = failure.last_error.or_else(|| last_error.clone());
                let outcome = SettledOutcome::Failed(Arc::new(failure));
                settle(core, &self.topic, index, settlement, outcome);
            }
        }
        self.report_concluded(core);
        let press = self.press.as_mut();
        let mut expired = press.map_or_else(Vec::new, |p| p.expire(now, timeout, with_records));
        expired.extend(self.partition.queue().expire(now, timeout, with_records));
        let failure = Failure::unsent(DeliveryError::TimedOut, place, last_error);
        fail_all(core, &self.topic, index, expired, failure);
        self.drop_settled();
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
        let press = self.press.as_ref();
        let pressed = press.map_or(Time::NEVER, |press| press.next_expiry(timeout));
        let queued = self.partition.queue().next_expiry(timeout);
        drained.unwrap_or(Time::NEVER).min(pressed).min(queued)
    }

    /// Fails everything that is not on the wire.
    pub(crate) fn purge_waiting(
        &mut self,
        core: &Core,
        error: DeliveryError,
        why: Option<&Arc<str>>,
    ) {
        let place = self.waiting_place();
        let last_error = why.or(self.last_error.as_ref()).cloned();
        if self.head.iter().any(|parcel| parcel.stamp.is_some()) {
            self.interrupt();
        }
        for mut parcel in std::mem::take(&mut self.head) {
            parcel.last_error = parcel.last_error.take().or_else(|| last_error.clone());
            self.fail(core, parcel, error, place);
        }
        self.report_concluded(core);
        let with_records = core.settings.report_records;
        let press = self.press.as_mut();
        let mut waiting = press.map_or_else(Vec::new, |press| press.purge(with_records));
        waiting.extend(self.partition.queue().purge(with_records));
        let failure = Failure::unsent(error, place, last_error);
        fail_all(core, &self.topic, self.partition.index(), waiting, failure);
    }

    /// Fails everything that is on the wire; the answers will find nothing any more.
    pub(crate) fn purge_in_flight(
        &mut self,
        core: &Core,
        error: DeliveryError,
        why: Option<&Arc<str>>,
    ) {
        if !self.in_flight.is_empty() {
            self.interrupt();
        }
        for mut parcel in std::mem::take(&mut self.in_flight) {
            // Whatever ends it, this attempt was not answered.
            parcel.persisted = Persisted::Maybe;
            parcel.last_error = why.cloned().or(parcel.last_error);
            self.fail(core, parcel, error, Place::InFlight);
        }
        self.report_concluded(core);
    }

    /// Messages whose outcome is known, and not reported yet.
    pub(crate) fn unreported(&self) -> u64 {
        let parcels = self.concluded.values();
        parcels
            .map(|(parcel, _)| u64::from(parcel.batch.unsettled()))
            .sum()
    }

    /// Messages without an outcome: waiting, and on the wire.
    pub(crate) fn unsettled(&self) -> (u64, u64) {
        let sum = |parcels: &VecDeque<Parcel>| -> u64 {
            parcels
                .iter()
                .map(|parcel| u64::from(parcel.batch.unsettled()))
                .sum()
        };
        let pressed = self.press.as_ref().map_or(0, Press::unsettled);
        (
            sum(&self.head) + pressed + self.partition.queue().unsettled(),
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

    /// Whether one more batch may be on the wire, and could have sequence numbers if it needs them.
    fn may_send(&self, identities: &Identities) -> bool {
        let goes_on = |series: &Series| series.can_go_on(identities) || self.has_doubtful();
        // What went under another id, or by name, may be refused where the next would be taken.
        let apart = !self.in_flight.is_empty() && self.sent_under != self.topic_id;
        let room = self.in_flight.len() < self.window() && !apart;
        room && self.series.as_ref().is_none_or(goes_on)
    }

    fn window(&self) -> usize {
        if self.proven { MAX_IN_FLIGHT } else { 1 }
    }

    /// Whether anything that waits may be in the log already.
    fn has_doubtful(&self) -> bool {
        self.head.iter().any(|parcel| parcel.doubt.is_some())
    }

    /// Which batch of the head is next. While the series is broken, those that have no number any
    /// more wait for others whose outcome is open.
    fn next_of_head(&self) -> Option<usize> {
        match self.is_interrupted() {
            true => self.head.iter().position(|parcel| parcel.stamp.is_some()),
            false => Some(0),
        }
    }

    fn landed(&mut self, id: u64) -> Option<Parcel> {
        let position = self.in_flight.iter().position(|parcel| parcel.id == id)?;
        self.in_flight.remove(position)
    }

    /// Lines a batch up to go again.
    fn insert(&mut self, mut parcel: Parcel) {
        self.check_numbers(&mut parcel);
        let position = self.head.partition_point(|other| other.id < parcel.id);
        self.head.insert(position, parcel);
    }

    /// Takes the numbers from a batch of which messages have expired, unless it may be in the log
    /// with them: they must not come there any more.
    fn check_numbers(&mut self, parcel: &mut Parcel) {
        let complete = parcel.batch.unsettled() == parcel.batch.count();
        if parcel.stamp.is_some() && parcel.doubt.is_none() && !complete {
            parcel.stamp = None;
            self.interrupt();
        }
    }

    /// Whether a batch could come into the log twice if its records were sent under other numbers.
    fn may_be_double(&self, parcel: &Parcel) -> bool {
        parcel.doubt.is_some() && self.series.is_some()
    }

    /// Forgets what expired while it waited to go again.
    fn drop_settled(&mut self) {
        for mut parcel in std::mem::take(&mut self.head) {
            self.check_numbers(&mut parcel);
            match parcel.batch.unsettled() {
                0 if parcel.stamp.is_some() => self.interrupt(),
                0 => {}
                _ => self.head.push_back(parcel),
            }
        }
    }

    fn give_up(&mut self, core: &Core, parcel: Parcel, error: DeliveryError) {
        self.interrupt();
        core.forbid_gap(parcel.last_error.as_ref().unwrap_or(&error.name().into()));
        let failure = Arc::new(parcel.failure(error, Place::InFlight));
        self.conclude(core, parcel, SettledOutcome::Failed(failure));
    }

    /// Ends a batch by its answer. Reports of an idempotent producer keep the order of the
    /// partition: while an earlier batch has no outcome, this one is not reported.
    fn conclude(&mut self, core: &Core, parcel: Parcel, outcome: SettledOutcome) {
        if self.series.is_some() && self.comes_behind(parcel.id) {
            self.concluded.insert(parcel.id, (parcel, outcome));
        } else {
            self.end(core, parcel, outcome);
        }
    }

    /// Reports what waits for no earlier batch any more.
    pub(super) fn report_concluded(&mut self, core: &Core) {
        while let Some(first) = self.concluded.first_entry() {
            let id = *first.key();
            if self.comes_behind(id) {
                return;
            }
            if let Some((parcel, outcome)) = self.concluded.remove(&id) {
                self.end(core, parcel, outcome);
            }
        }
    }

    /// Whether a batch before this one has messages without an outcome.
    fn comes_behind(&self, id: u64) -> bool {
        let mut pending = self.in_flight.iter().chain(&self.head);
        pending.any(|other| other.id < id && other.batch.unsettled() > 0)
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
