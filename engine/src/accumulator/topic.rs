//! A topic as its publishers see it: a route to partitions, or a stage while there is none.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use kafka_wire::record::{Header, RecordHeaders};
use parking_lot::{Mutex, MutexGuard};

use super::batch::{Entry, Settlement};
use super::partition::{Change, Partition, Queue};
use super::partitioner::{Chooser, Stay};
use super::{Core, Wake, Work};
use crate::error::PublishError;
use crate::recording::Place;
use crate::report::Completion;
use crate::settings::TopicSettings;
use crate::time::{Clock, Time};

/// A message to publish. Everything is borrowed: it is encoded before `publish` returns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// The key, which decides the partition where none is given.
    pub key: Option<&'a [u8]>,
    /// The payload; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers, in this order; a name may come more than once.
    pub headers: &'a [Header<'a>],
    /// The partition, from 0; `None` lets the partitioner choose.
    pub partition: Option<i32>,
    /// When the event happened, in milliseconds since 1970; `None` is now.
    pub timestamp: Option<i64>,
    /// Handed back with the report.
    pub opaque: u64,
}

/// One topic of one producer.
#[derive(Debug)]
pub struct Topic {
    name: Arc<str>,
    settings: TopicSettings,
    slot: u32,
    variant: u32,
    core: Arc<Core>,
    route: ArcSwap<Route>,
    chooser: Chooser,
    stage: Mutex<Stage>,
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl<'a> Record<'a> {
    /// A message with this payload.
    pub fn new(value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            value: Some(value.as_ref()),
            ..Self::default()
        }
    }

    /// A tombstone: a null payload, which deletes its key from a compacted topic.
    pub fn tombstone() -> Self {
        Self::default()
    }

    /// Sets the key. Records of one key go to one partition, in order.
    pub fn key(self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self {
            key: Some(key.as_ref()),
            ..self
        }
    }

    /// Sets the headers.
    pub fn headers(self, headers: &'a [Header<'a>]) -> Self {
        Self { headers, ..self }
    }

    /// Sets the partition.
    pub fn partition(self, partition: i32) -> Self {
        Self {
            partition: Some(partition),
            ..self
        }
    }

    /// Sets the time of the event, in milliseconds since 1970.
    pub fn timestamp(self, timestamp: i64) -> Self {
        Self {
            timestamp: Some(timestamp),
            ..self
        }
    }

    /// Sets what comes back with the report.
    pub fn opaque(self, opaque: u64) -> Self {
        Self { opaque, ..self }
    }
}

/// Where records of a topic can go. Empty until the cluster has said what partitions there are.
#[derive(Debug, Default)]
pub(crate) struct Route {
    pub(crate) partitions: Vec<Arc<Partition>>,
    /// Partitions that have a leader, ascending.
    pub(crate) available: Vec<u32>,
    /// Partitions that the topic had before it was made anew with fewer. Nothing goes there; what
    /// was accepted for them still counts.
    pub(crate) former: Vec<Arc<Partition>>,
}

impl Route {
    pub(crate) fn is_available(&self, partition: u32) -> bool {
        self.available.binary_search(&partition).is_ok()
    }

    /// Whether a partition can be chosen: it has a leader, or none has.
    pub(crate) fn takes(&self, partition: u32) -> bool {
        let existing = (partition as usize) < self.partitions.len();
        self.is_available(partition) || (existing && self.available.is_empty())
    }
}

impl Topic {
    pub(super) fn new(
        name: Arc<str>,
        settings: TopicSettings,
        (slot, variant): (u32, u32),
        core: &Arc<Core>,
    ) -> Self {
        let seed = core.seed ^ u64::from(slot) << 32;
        let stay = Stay {
            linger: core.settings.sticky_linger,
            bytes: core.limits().bytes,
        };
        Self {
            name,
            chooser: Chooser::new(settings.partitioner, stay, seed),
            settings,
            slot,
            variant,
            core: Arc::clone(core),
            route: ArcSwap::default(),
            stage: Mutex::new(Stage::new(core)),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// The topic's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it was opened with.
    pub fn settings(&self) -> &TopicSettings {
        &self.settings
    }

    /// Accepts a message: encodes it into the open batch of its partition. Never blocks on I/O and
    /// makes no system call; an error gives nothing away. The caller rouses the I/O thread if
    /// [`Wake`] says so.
    pub fn publish(
        &self,
        clock: &(impl Clock + ?Sized),
        record: &Record<'_>,
        completion: Option<Completion>,
    ) -> Result<Wake, PublishError> {
        let mut entry = Entry::of(record, completion);
        self.check(record, &entry)?;
        let budget = self.core.memory.budget();
        if !budget.messages().take(1) {
            return Err(self.core.too_many_messages());
        }
        let accepted = self.accept(clock, record.partition, &mut entry);
        accepted.map_err(|error| {
            budget.return_message();
            match error {
                PublishError::Closed => self.core.closed_because(),
                error => error,
            }
        })
    }

    fn check(
        &self,
        record: &Record<'_>,
        entry: &Entry<'_, [Header<'_>]>,
    ) -> Result<(), PublishError> {
        let limit = self.core.settings.message_max_bytes;
        if let Some(size) = entry.size_beyond(limit) {
            return Err(PublishError::MessageTooLarge { size, limit });
        }
        match record.timestamp {
            Some(timestamp) if timestamp < 0 => Err(PublishError::InvalidTimestamp { timestamp }),
            _ => Ok(()),
        }
    }

    fn accept(
        &self,
        clock: &(impl Clock + ?Sized),
        partition: Option<i32>,
        entry: &mut Entry<'_, [Header<'_>]>,
    ) -> Result<Wake, PublishError> {
        let coarse = clock.coarse();
        let route = self.route.load();
        if !route.partitions.is_empty() {
            return self.accept_at(&route, clock, coarse, partition, entry);
        }
        let mut stage = self.stage.lock();
        // The stage may have been emptied, and the route laid, before the lock was ours.
        let route = self.route.load();
        if !route.partitions.is_empty() {
            drop(stage);
            return self.accept_at(&route, clock, coarse, partition, entry);
        }
        let change = stage.append(partition, entry, clock, coarse)?;
        drop(stage);
        Ok(match change {
            Change::Opened { .. } => self.core.announce(Work::Topic(self.slot), Time::default()),
            Change::Joined | Change::Filled => Wake::No,
        })
    }

    fn accept_at(
        &self,
        route: &Route,
        clock: &(impl Clock + ?Sized),
        coarse: Time,
        partition: Option<i32>,
        entry: &mut Entry<'_, [Header<'_>]>,
    ) -> Result<Wake, PublishError> {
        let count = route.partitions.len();
        let chosen = self
            .pick(route, partition, entry, coarse)
            .map_err(|partition| PublishError::UnknownPartition { partition, count })?;
        let partition = &route.partitions[chosen];
        let change = partition.door().append(entry, clock, coarse)?;
        let due = match change {
            Change::Joined => return Ok(Wake::No),
            Change::Opened { since, full: false } => since.after(self.core.settings.linger),
            Change::Opened { full: true, .. } | Change::Filled => Time::default(),
        };
        let work = Work::Partition(partition.lane());
        Ok(self.core.announce(work, due))
    }

    /// The index of the partition that was asked for, or else of one for the record; the one that was
    /// asked for as an error if there is none such.
    fn pick<H: RecordHeaders + ?Sized>(
        &self,
        route: &Route,
        explicit: Option<i32>,
        entry: &Entry<'_, H>,
        now: Time,
    ) -> Result<usize, i32> {
        let Some(explicit) = explicit else {
            let size = || entry.size();
            return Ok(self.chooser.choose(entry.key, size, route, now));
        };
        let index = usize::try_from(explicit).ok();
        let existing = index.filter(|index| *index < route.partitions.len());
        existing.ok_or(explicit)
    }

    /// Accepts nothing: the producer was closed before.
    pub(super) fn close(&self) {
        self.stage.lock().queue.close();
    }

    pub(crate) fn slot(&self) -> u32 {
        self.slot
    }

    /// How many topics of the same name, with other settings, were opened before.
    pub(crate) fn variant(&self) -> u32 {
        self.variant
    }

    pub(crate) fn route(&self) -> Arc<Route> {
        self.route.load_full()
    }

    /// The stage as the engine sees it.
    pub(crate) fn stage(&self) -> MutexGuard<'_, Stage> {
        let mut stage = self.stage.lock();
        let place = Place::Stage(self.slot);
        self.core.tape.records(place, &mut stage.queue);
        stage
    }

    /// Lays a route. What was staged goes to the partitions first, under the stage's lock, so that
    /// no later record can overtake it. Returns the staged records whose partition does not exist,
    /// each with that partition.
    pub(crate) fn lay_route(&self, route: Route, now: Time) -> Vec<(i32, Settlement)> {
        let with_records = self.core.settings.report_records;
        let mut rejected = Vec::new();
        let mut stage = self.stage();
        while let Some(batch) = stage.queue.pop() {
            let template = batch.successor(Time::default());
            batch.take_apart(|_, mut entry, published| {
                let explicit = stage.targets.pop_front().flatten();
                let open = || template.successor(published);
                let pick = || self.pick(&route, explicit, &entry, now);
                match self.core.tape.pick(pick) {
                    Ok(chosen) => {
                        let mut queue = route.partitions[chosen].queue();
                        queue.adopt(&mut entry, published, open);
                    }
                    Err(partition) => {
                        let mut alone = template.alone(&mut entry, published);
                        rejected.push((partition, alone.settle_rest(with_records)));
                    }
                }
            });
        }
        self.route.store(Arc::new(route));
        rejected
    }

    pub(crate) fn count_delivered(&self, count: u32) {
        self.delivered.fetch_add(count.into(), Ordering::SeqCst);
    }

    pub(crate) fn count_failed(&self, count: u32) {
        self.failed.fetch_add(count.into(), Ordering::SeqCst);
    }

    /// Messages accepted, delivered and failed since the start.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        // Settled first: what is accepted meanwhile must not make the balance negative.
        let delivered = self.delivered.load(Ordering::SeqCst);
        let failed = self.failed.load(Ordering::SeqCst);
        let staged = self.stage.lock().queue.accepted();
        let route = self.route.load();
        let partitions = route.partitions.iter().chain(&route.former);
        let direct: u64 = partitions.map(|p| p.door().accepted()).sum();
        (staged + direct, delivered, failed)
    }
}

/// Records of a topic whose partitions are not known, encoded already.
#[derive(Debug)]
pub(crate) struct Stage {
    queue: Queue,
    /// The partition that each waiting record asks for, if it does.
    targets: VecDeque<Option<i32>>,
}

impl Stage {
    fn new(core: &Core) -> Self {
        Self {
            queue: Queue::new(core.limits(), &core.memory, &core.tape),
            targets: VecDeque::new(),
        }
    }

    fn append(
        &mut self,
        target: Option<i32>,
        entry: &mut Entry<'_, [Header<'_>]>,
        clock: &(impl Clock + ?Sized),
        coarse: Time,
    ) -> Result<Change, PublishError> {
        let change = self.queue.append(entry, clock, coarse)?;
        self.targets.push_back(target);
        Ok(change)
    }

    /// Takes what is `timeout` old.
    pub(crate) fn expire(
        &mut self,
        now: Time,
        timeout: Duration,
        with_records: bool,
    ) -> Vec<Settlement> {
        let settlements = self.queue.expire(now, timeout, with_records);
        let expired = settlements.iter().map(|settlement| settlement.range.len());
        // In a replay there are none: where records went is recorded, and not what they asked for.
        let targets = self.targets.len().min(expired.sum());
        self.targets.drain(..targets);
        settlements
    }

    /// Takes everything.
    pub(crate) fn purge(&mut self, with_records: bool) -> Vec<Settlement> {
        self.targets.clear();
        self.queue.purge(with_records)
    }

    pub(crate) fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::task::{Wake, Waker};

    use super::super::{Accumulator, StoppedClock};
    use super::*;
    use crate::settings::Settings;

    const THREADS: u64 = 4;
    const MESSAGES: u64 = 3_000;

    /// Lays a route to `count` new partitions while others publish.
    fn lay_route(topic: &Topic, count: i32) {
        let core = &topic.core;
        let partition = |index| {
            let lane = index as u32;
            Arc::new(Partition::new(
                (index, lane),
                core.limits(),
                &core.memory,
                &core.tape,
            ))
        };
        let route = Route {
            partitions: (0..count).map(partition).collect(),
            available: (0..count as u32).collect(),
            former: Vec::new(),
        };
        assert!(topic.lay_route(route, Time::default()).is_empty());
    }

    struct Count(AtomicU64);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_message_that_finds_no_room_wakes_nobody_who_waits_for_room() {
        for queue_max_bytes in 0..1_000 {
            let settings = Settings {
                queue_max_bytes,
                batch_messages: 3,
                ..Settings::default()
            };
            let accumulator = Accumulator::new(settings, 1);
            let (topic, _) = accumulator.topic("t", &TopicSettings::default());
            lay_route(&topic, 1);
            let publish = || topic.publish(&StoppedClock, &Record::new(&[0; 50]), None);
            while publish().is_ok() {}
            let woken = Arc::new(Count(AtomicU64::new(0)));
            let mut listener = accumulator.room().listener();
            listener.listen(&Waker::from(Arc::clone(&woken)));
            assert!(publish().is_err());
            assert_eq!(woken.0.load(Ordering::SeqCst), 0, "{queue_max_bytes}");
        }
    }

    #[test]
    fn threads_that_publish_while_the_route_is_laid_keep_their_order_and_lose_nothing() {
        for round in 0..20 {
            let settings = Settings {
                batch_messages: 100,
                queue_max_messages: None,
                ..Settings::default()
            };
            let accumulator = Accumulator::new(settings, round);
            let (topic, _) = accumulator.topic("t", &TopicSettings::default());
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let topic = &topic;
                    scope.spawn(move || {
                        for number in 0..MESSAGES {
                            let key = [thread as u8, number as u8 % 5];
                            let record = Record::new(b"v").key(&key);
                            let record = record.opaque(thread * MESSAGES + number);
                            let _ = topic
                                .publish(&StoppedClock, &record, None)
                                .expect("there is room");
                        }
                    });
                }
                while topic.stage().queue().accepted() < MESSAGES / 2 {
                    std::hint::spin_loop();
                }
                lay_route(&topic, 3);
            });
            let mut seen = BTreeSet::new();
            for partition in &topic.route().partitions {
                let mut last = [None; THREADS as usize];
                let mut queue = partition.queue();
                while let Some(mut batch) = queue.pop() {
                    for opaque in batch.settle_rest(false).opaques.as_slice() {
                        let thread = (opaque / MESSAGES) as usize;
                        assert!(last[thread] < Some(*opaque), "thread {thread}");
                        last[thread] = Some(*opaque);
                        seen.insert(*opaque);
                    }
                }
            }
            assert_eq!(seen.len() as u64, THREADS * MESSAGES);
            assert_eq!(accumulator.balance().accepted, THREADS * MESSAGES);
        }
    }
}
