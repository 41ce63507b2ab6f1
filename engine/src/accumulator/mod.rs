//! Where messages wait: encoded at publish, per partition, within a budget. The only part of the
//! engine that threads share.

mod batch;
mod budget;
mod opaques;
mod partition;
mod partitioner;
mod segment;
mod stamp;
mod topic;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

pub(crate) use batch::{Batch, BatchLimits, Packing, Settlement};
use budget::Budget;
pub(crate) use opaques::Opaques;
pub(crate) use partition::{Partition, Queue, QueueState};
pub(crate) use segment::Memory;
pub(crate) use stamp::{ProducerId, Stamp};
pub(crate) use topic::Route;
pub use topic::{Record, Topic};

use crate::contact::Contact;
use crate::error::{DeliveryError, FatalError, PublishError};
use crate::recording::Tape;
use crate::report::ReportQueue;
use crate::settings::{Settings, TopicSettings};
use crate::signal::Signal;
use crate::time::Time;

/// Whether the I/O thread has to be roused: it sleeps, and past the time at which there is
/// something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// It will look in time by itself.
    No,
    /// Rouse it.
    Yes,
}

/// Something that changed in the accumulator, for the I/O thread to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// A topic is new, or its stage got its first record.
    Topic(u32),
    /// The queue of a partition (by the sender's number) has something to drain.
    Partition(u32),
    /// A flush began, or a purge or the end was asked for.
    Control,
}

/// The topics of one producer and what they share.
#[derive(Debug)]
pub struct Accumulator {
    core: Arc<Core>,
    topics: Mutex<Topics>,
}

#[derive(Debug, Default)]
struct Topics {
    by_meaning: HashMap<(Arc<str>, TopicSettings), Arc<Topic>>,
    by_slot: Vec<Arc<Topic>>,
    closed: bool,
}

/// Messages accepted since the start, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Accepted by `publish`.
    pub accepted: u64,
    /// Delivered.
    pub delivered: u64,
    /// Failed.
    pub failed: u64,
    /// Accepted and without an outcome so far.
    pub held: u64,
}

impl Accumulator {
    /// `seed` makes the choice of partitions repeatable.
    pub fn new(settings: Settings, seed: u64) -> Arc<Self> {
        Self::on(Tape::recording(settings.recording), settings, seed)
    }

    pub(crate) fn on(tape: Tape, settings: Settings, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            core: Core::new(tape, settings, seed),
            topics: Mutex::default(),
        })
    }

    /// The topic of this name and these settings, made at its first use.
    pub fn topic(&self, name: &str, settings: &TopicSettings) -> (Arc<Topic>, Wake) {
        let mut topics = self.topics.lock();
        let meaning = (Arc::from(name), settings.clone());
        if let Some(known) = topics.by_meaning.get(&meaning) {
            return (Arc::clone(known), Wake::No);
        }
        let slot = topics.by_slot.len() as u32;
        let name = Arc::clone(&meaning.0);
        let namesakes = topics.by_slot.iter().filter(|topic| *topic.name() == name);
        let variant = namesakes.count() as u32;
        let topic = Topic::new(name, settings.clone(), (slot, variant), &self.core);
        let topic = Arc::new(topic);
        topics.by_slot.push(Arc::clone(&topic));
        topics.by_meaning.insert(meaning, Arc::clone(&topic));
        if topics.closed {
            topic.close();
        }
        (
            topic,
            self.core.announce(Work::Topic(slot), Time::default()),
        )
    }

    /// What this producer was told.
    pub fn settings(&self) -> &Settings {
        &self.core.settings
    }

    /// Why this producer is of no use any more, if it is not.
    pub fn fatal_error(&self) -> Option<&FatalError> {
        self.core.condemned()
    }

    /// How this producer stands with its cluster.
    pub fn contact(&self) -> Contact {
        self.core.contact.lock().clone()
    }

    /// Notified when that changes.
    pub fn contact_changed(&self) -> &Arc<Signal> {
        &self.core.contact_changed
    }

    /// What the flight [recorder](crate::recording) holds, as a file; `None` if there is none
    /// ([`Settings::recording`]).
    pub fn recording(&self) -> Option<Vec<u8>> {
        self.core.tape.written(&self.core.settings)
    }

    /// Outcomes that wait for the application.
    pub fn reports(&self) -> &ReportQueue {
        &self.core.reports
    }

    /// Notified when the budget has room again.
    pub fn room(&self) -> &Arc<Signal> {
        self.core.memory.budget().room()
    }

    /// Notified whenever messages got their outcome.
    pub fn settled(&self) -> &Arc<Signal> {
        &self.core.settled
    }

    /// Messages and bytes charged to the budget.
    pub fn queued(&self) -> (usize, usize) {
        let budget = self.core.memory.budget();
        (budget.messages().used(), budget.bytes().used())
    }

    /// Sends without lingering until [`Accumulator::end_flush`].
    pub fn begin_flush(&self) -> Wake {
        self.core.flushing.fetch_add(1, Ordering::SeqCst);
        self.core.announce(Work::Control, Time::default())
    }

    /// Ends what [`Accumulator::begin_flush`] began.
    pub fn end_flush(&self) {
        self.core.flushing.fetch_sub(1, Ordering::SeqCst);
    }

    /// The balance over all topics.
    pub fn balance(&self) -> Balance {
        let topics = self.topics.lock().by_slot.clone();
        let totals = topics.iter().map(|topic| topic.totals());
        let sum = totals.fold(Balance::default(), |sum, (accepted, delivered, failed)| {
            Balance {
                accepted: sum.accepted + accepted,
                delivered: sum.delivered + delivered,
                failed: sum.failed + failed,
                held: 0,
            }
        });
        Balance {
            held: sum.accepted - sum.delivered - sum.failed,
            ..sum
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn at(&self, slot: u32) -> Arc<Topic> {
        Arc::clone(&self.look_at_topics().by_slot[slot as usize])
    }

    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.look_at_topics().by_slot.clone()
    }

    /// The topics as the engine sees them.
    fn look_at_topics(&self) -> MutexGuard<'_, Topics> {
        for (name, settings) in self.core.tape.topics_to_open() {
            let _ = self.topic(&name, &settings);
        }
        let topics = self.topics.lock();
        self.core.tape.topics(&topics.by_slot);
        topics
    }

    /// Topics that are made from now on accept nothing.
    pub(crate) fn close(&self) {
        self.topics.lock().closed = true;
        self.core.closed.store(true, Ordering::SeqCst);
        self.room().notify();
    }
}

/// What the topics of one producer share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) memory: Arc<Memory>,
    pub(crate) reports: ReportQueue,
    pub(crate) settled: Arc<Signal>,
    pub(crate) tape: Tape,
    closed: AtomicBool,
    fatal: OnceLock<FatalError>,
    contact: Mutex<Contact>,
    contact_changed: Arc<Signal>,
    seed: u64,
    flushing: AtomicUsize,
    work: Mutex<Vec<Work>>,
    roused: AtomicBool,
    /// When the I/O thread looks by itself; `Time::NEVER` while it is at work.
    next_look: AtomicU64,
}

impl Core {
    fn new(tape: Tape, settings: Settings, seed: u64) -> Arc<Self> {
        let budget = Budget::new(settings.queue_max_messages, settings.queue_max_bytes);
        Arc::new(Self {
            settings,
            memory: Memory::new(budget),
            reports: ReportQueue::default(),
            settled: Arc::default(),
            tape,
            closed: AtomicBool::new(false),
            fatal: OnceLock::new(),
            contact: Mutex::default(),
            contact_changed: Arc::default(),
            seed,
            flushing: AtomicUsize::new(0),
            work: Mutex::default(),
            roused: AtomicBool::new(false),
            next_look: AtomicU64::new(Time::NEVER.as_nanos()),
        })
    }

    pub(crate) fn limits(&self) -> BatchLimits {
        BatchLimits {
            bytes: self
                .settings
                .batch_bytes
                .min(self.settings.message_max_bytes),
            messages: self.settings.batch_messages,
        }
    }

    /// Why a message is refused when no more may be held.
    fn too_many_messages(&self) -> PublishError {
        let limit = self.memory.budget().messages().limit();
        match self.is_closed() {
            true => self.closed_because(),
            false => PublishError::TooManyMessages { limit },
        }
    }

    /// Ends the producer: nothing is accepted from now on. What is held fails as soon as the I/O
    /// thread looks; whoever hears of a failure that ended the producer finds it ended.
    pub(crate) fn condemn(&self, fatal: FatalError) {
        // The first reason is the one.
        if self.fatal.set(fatal).is_ok() {
            self.closed.store(true, Ordering::SeqCst);
            self.memory.budget().close();
        }
    }

    /// A message failed for another reason than its time-out.
    pub(crate) fn forbid_gap(&self, text: &Arc<str>) {
        if self.settings.gapless {
            self.condemn(FatalError {
                error: DeliveryError::GaplessGuarantee,
                text: Arc::clone(text),
            });
        }
    }

    /// Shows how the producer stands with its cluster.
    pub(crate) fn set_contact(&self, contact: Contact) {
        let mut shown = self.contact.lock();
        let is_news = std::mem::discriminant(&*shown) != std::mem::discriminant(&contact);
        *shown = contact;
        drop(shown);
        if is_news {
            self.contact_changed.notify();
        }
    }

    /// What has ended the producer, if something has.
    pub(crate) fn condemned(&self) -> Option<&FatalError> {
        self.fatal.get()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Why a message is refused when nothing is accepted any more.
    fn closed_because(&self) -> PublishError {
        let fatal = self.fatal.get();
        fatal.map_or(PublishError::Closed, |fatal| PublishError::Fatal {
            error: fatal.error,
        })
    }

    /// Whether somebody flushes, as the engine sees it.
    pub(crate) fn is_flushing(&self) -> bool {
        self.tape.flushing(self.somebody_flushes())
    }

    fn somebody_flushes(&self) -> bool {
        self.flushing.load(Ordering::SeqCst) > 0
    }

    /// Leaves `work` for the I/O thread, which has to do something about it at `due`.
    pub(crate) fn announce(&self, work: Work, due: Time) -> Wake {
        self.work.lock().push(work);
        let next_look = Time::from_nanos(self.next_look.load(Ordering::SeqCst));
        let in_time = next_look <= due && !self.somebody_flushes();
        if in_time || self.roused.swap(true, Ordering::SeqCst) {
            Wake::No
        } else {
            Wake::Yes
        }
    }

    /// The I/O thread looks: whoever announces work from now on has to rouse it.
    pub(crate) fn look(&self) -> Vec<Work> {
        self.next_look
            .store(Time::NEVER.as_nanos(), Ordering::SeqCst);
        self.roused.store(false, Ordering::SeqCst);
        let left = std::mem::take(&mut *self.work.lock());
        self.tape.work(left)
    }

    /// The I/O thread will look again at `next` by itself. False if work came in meanwhile: its
    /// publisher may have relied on a look that is over.
    pub(crate) fn rest_until(&self, next: Time) -> bool {
        self.next_look.store(next.as_nanos(), Ordering::SeqCst);
        self.work.lock().is_empty()
    }
}

/// A clock that says the same for ever.
#[cfg(test)]
struct StoppedClock;

#[cfg(test)]
impl crate::time::Clock for StoppedClock {
    fn now(&self) -> Time {
        Time::from_nanos(1)
    }

    fn coarse(&self) -> Time {
        Time::default()
    }

    fn wall_ms(&self) -> i64 {
        0
    }
}
