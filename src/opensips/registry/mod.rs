//! The sockets of a server, and the producers behind them.
//!
//! Sockets are those of `broker_id`, found by their ID, and those of events, which match by what
//! they mean. Sockets of one cluster whose producers would be equal share one. Each has a budget of
//! its own, so that one whose topic or cluster is dead takes nothing from the others.

mod cluster;
mod error;
mod flush;
mod headers;
mod ledger;
mod reports;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kafka_engine::say;
use kafka_engine::signal::Signal;
use parking_lot::{Mutex, RwLock};

use super::{BrokerId, KeySource, Members, Payload, Socket, SocketError, SocketWarning, System};
use crate::config::{Config, Finished};
use crate::producer::Flush;
use crate::settings::TopicSettings;
use crate::{CloseError, Contact, FatalError, FlushError, Record, StartError, Topic};

use cluster::Cluster;
use headers::Headers;
use ledger::{Ledger, Limits};

pub use error::{SocketPublishError, SubscribeError};
pub use flush::SocketFlush;
pub use ledger::SocketCounters;
pub use reports::{SocketReport, SocketReports};

/// The sockets that messages are published to. Clones are handles of the same registry; the last to
/// go ends its producers without waiting. `T` is what comes back with the report of a message.
///
/// ```
/// use std::time::Duration;
/// use event_kafka::Record;
/// use event_kafka::opensips::Registry;
///
/// # let cluster = kafka_mock::Cluster::start()?;
/// # let brokers = &cluster.bootstrap();
/// let registry = Registry::default();
/// let socket = format!("kafka:{brokers}/sip-events?t.acks=all&g.linger.ms=1");
/// let events = registry.subscribe(&socket)?.key;
/// let cdrs = registry.define(&format!("[k1]{brokers}/cdr?g.linger.ms=1"))?.key;
/// assert_eq!(registry.find("k1"), Some(cdrs));
///
/// registry.publish(events, Record::new("{}"), "event")?;
/// registry.publish(cdrs, Record::new("{}").key("call-1@sip"), "cdr")?;
/// let mut reports = registry.reports();
/// for _ in 0..2 {
///     let report = reports.wait(Duration::from_secs(5)).unwrap();
///     assert_eq!(report.socket, if report.ticket == "cdr" { cdrs } else { events });
///     println!("{} to {}: {:?}", report.ticket, report.topic, report.outcome);
/// }
/// registry.close(Duration::from_secs(5))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Registry<T> {
    shared: Arc<Shared<T>>,
}

/// Names a socket: its place, and which of the sockets that have been there it is. None is named
/// like an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketKey {
    /// The place, from 0. It is free again once the socket was unsubscribed and all of its messages
    /// were reported.
    pub slot: u32,
    /// Counts the sockets of that place, from 1.
    pub generation: u32,
}

/// A socket that can be published to.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its name.
    pub key: SocketKey,
    /// Whether it was there before.
    pub renewed: bool,
    /// What the socket's author should know.
    pub warnings: Vec<SocketWarning>,
}

/// How a socket is.
#[derive(Clone, Debug)]
pub struct SocketStatus {
    /// Whether it accepts messages.
    pub state: SocketState,
    /// Whether its budget is used up: raised when nothing more fits, and cleared when no more than
    /// 90 % are used.
    pub full: bool,
    /// What became of its messages.
    pub counters: SocketCounters,
    /// How its producer stands with the cluster.
    pub contact: Contact,
    /// Which producer it has: those that share one have the same number, which no later one has.
    pub producer: u64,
}

/// Whether a socket accepts messages.
#[derive(Clone, Debug)]
pub enum SocketState {
    /// It does.
    Open,
    /// It was unsubscribed, and what it had accepted is on its way.
    Unsubscribed,
    /// Its producer failed for good. What is subscribed from now on gets another one.
    Failed(FatalError),
    /// The registry was closed.
    Closed,
}

/// Configures a [`Registry`].
#[derive(Default)]
pub struct RegistryBuilder {
    report_all: bool,
    report_records: bool,
    overdraft: Limits,
    on_full: Option<OnFull>,
}

struct Shared<T> {
    report_all: bool,
    report_records: bool,
    overdraft: Limits,
    on_full: Option<OnFull>,
    /// Locked before the places.
    state: Mutex<State>,
    places: RwLock<Vec<Place<T>>>,
    /// How often clusters came or went.
    changes: AtomicU64,
    /// Notified when they do.
    changed: Arc<Signal>,
}

type OnFull = Box<dyn Fn(SocketKey, bool) + Send + Sync>;

#[derive(Default)]
struct State {
    clusters: Vec<Arc<Cluster>>,
    /// How many there have been.
    clusters_so_far: u64,
    ids: HashMap<Box<str>, SocketKey>,
    closed: bool,
}

struct Place<T> {
    generation: u32,
    /// Until it was unsubscribed and all of its messages were reported.
    socket: Option<Arc<Member<T>>>,
}

/// A socket of the registry.
struct Member<T> {
    key: SocketKey,
    id: Option<Box<str>>,
    meaning: Meaning,
    cluster: Arc<Cluster>,
    topic: Topic,
    /// By their names; never more than [`OTHER_TOPICS`].
    other_topics: Mutex<HashMap<Box<str>, Topic>>,
    ledger: Mutex<Ledger<T>>,
}

/// To how many topics a socket can publish besides its own: whoever names them may do so by mistake.
pub const OTHER_TOPICS: usize = 256;

/// What a socket says.
struct Understood {
    finished: Finished,
    meaning: Meaning,
    warnings: Vec<SocketWarning>,
}

/// The ID of a `broker_id`.
struct Id<'a> {
    text: &'a str,
    /// What is wrong if another socket has it.
    taken: SocketError,
}

/// What two sockets of one producer differ in.
#[derive(PartialEq, Eq)]
struct Meaning {
    topic: Box<str>,
    settings: TopicSettings,
    key: KeySource<'static>,
    payload: Payload,
    members: Members,
    headers: Headers,
}

impl<T: Copy> Registry<T> {
    /// Adds the socket of an event, or finds the one that means the same: the same brokers in any
    /// order, the same topic, and properties with the same effect, however they are written. It is
    /// there until it was unsubscribed as often as it was subscribed.
    ///
    /// Files and environment variables that the socket names are read now. That no broker is there
    /// is no error.
    ///
    /// # Errors
    /// A socket that cannot be understood or obeyed, a system out of threads, a registry that was
    /// closed.
    pub fn subscribe(&self, socket: &str) -> Result<Subscription, SubscribeError> {
        self.add(&Socket::parse(socket)?, None)
    }

    /// Adds the socket of a `broker_id`: `[ID]socket`. It has its own budget, whatever it means.
    ///
    /// # Errors
    /// As [`Registry::subscribe`], or the ID is taken.
    pub fn define(&self, broker_id: &str) -> Result<Subscription, SubscribeError> {
        let broker = BrokerId::parse(broker_id)?;
        let id = Id {
            text: broker.id,
            taken: broker.taken(broker_id),
        };
        self.add(&broker.socket, Some(id))
    }

    /// The socket of a `broker_id`.
    pub fn find(&self, id: &str) -> Option<SocketKey> {
        self.shared.state.lock().ids.get(id).copied()
    }

    /// Accepts a message for delivery, or refuses it at once. Never waits. The headers of the socket
    /// come before those of the message, whose `opaque` is not looked at: the ticket comes back.
    ///
    /// # Errors
    /// As [`Topic::publish`], where the budget is that of the socket; or there is no such socket.
    pub fn publish(
        &self,
        key: SocketKey,
        record: Record<'_>,
        ticket: T,
    ) -> Result<(), SocketPublishError> {
        self.publish_within(key, None, record, ticket, Limits::NOTHING)
    }

    /// As [`Registry::publish`], for a message that somebody took on behalf of the socket while it was
    /// not full: it may overdraw the budget ([`RegistryBuilder::overdraft`]). It goes to another topic
    /// of the cluster if one is named, with the properties that the socket has for topics.
    ///
    /// # Errors
    /// As [`Registry::publish`]; or the topic has a name that no broker accepts, or is one more than
    /// the [`OTHER_TOPICS`] that a socket has besides its own.
    pub fn publish_promised(
        &self,
        key: SocketKey,
        topic: Option<&str>,
        record: Record<'_>,
        ticket: T,
    ) -> Result<(), SocketPublishError> {
        self.publish_within(key, topic, record, ticket, self.shared.overdraft)
    }

    /// Reports of all sockets: one for every message that was accepted, unless
    /// `delivery.report.only.error` of its socket says otherwise (but see
    /// [`RegistryBuilder::report_all`]). A message counts against the
    /// budget of its socket until its report was taken and dropped.
    pub fn reports(&self) -> SocketReports<T> {
        SocketReports::new(Arc::clone(&self.shared))
    }

    /// The topic of a socket; `None` once it was unsubscribed and all of its messages were reported.
    pub fn topic(&self, key: SocketKey) -> Option<Box<str>> {
        let places = self.shared.places.read();
        find(&places, key).map(|member| member.meaning.topic.clone())
    }

    /// How a socket is; `None` once it was unsubscribed and all of its messages were reported.
    pub fn status(&self, key: SocketKey) -> Option<SocketStatus> {
        let closed = self.shared.state.lock().closed;
        let places = self.shared.places.read();
        let member = find(&places, key)?;
        let ledger = member.ledger.lock();
        let state = match member.cluster.producer().fatal_error() {
            _ if !ledger.is_open() => SocketState::Unsubscribed,
            Some(error) => SocketState::Failed(error),
            None if closed => SocketState::Closed,
            None => SocketState::Open,
        };
        Some(SocketStatus {
            state,
            full: ledger.is_full(),
            counters: ledger.counters(),
            contact: member.cluster.producer().contact(),
            producer: member.cluster.number,
        })
    }

    /// Takes back one [`Registry::subscribe`], or a [`Registry::define`], whose ID is free then.
    /// After the last one the socket accepts nothing any more; what it has accepted is delivered and
    /// reported as ever. Whether there was such a socket.
    pub fn unsubscribe(&self, key: SocketKey) -> bool {
        let mut state = self.shared.state.lock();
        let places = self.shared.places.read();
        let Some(member) = find(&places, key).map(Arc::clone) else {
            return false;
        };
        drop(places);
        let done = {
            let mut ledger = member.ledger.lock();
            if !ledger.is_open() {
                return false;
            }
            ledger.leave();
            if !ledger.is_open()
                && let Some(id) = &member.id
            {
                state.ids.remove(id);
            }
            ledger.is_done()
        };
        drop(state);
        if done {
            self.shared.remove(&member);
        }
        true
    }

    /// Has the producer of a socket send without lingering until the answer is dropped, and waits for
    /// nothing; `None` if there is no such socket. Others that share the producer do not linger either.
    pub fn begin_flush(&self, key: SocketKey) -> Option<SocketFlush> {
        let places = self.shared.places.read();
        let member = find(&places, key)?;
        Some(SocketFlush::begin(Arc::clone(&member.cluster)))
    }

    /// Sends without lingering, and waits until every message of every socket has its outcome.
    /// Reports stay to be taken.
    ///
    /// # Errors
    /// The time is over; says how many messages are left, which are not affected.
    pub fn drain(&self, timeout: Duration) -> Result<(), FlushError> {
        let clusters = self.shared.state.lock().clusters.clone();
        drain(&clusters, timeout)
    }

    /// Drains, then ends all producers. Nothing is accepted any more; reports can still be taken.
    ///
    /// # Errors
    /// Messages that were not delivered in time, by topic and reason. Each has failed with a report
    /// of its own.
    pub fn close(&self, timeout: Duration) -> Result<(), CloseError> {
        let clusters = {
            let mut state = self.shared.state.lock();
            state.closed = true;
            state.clusters.clone()
        };
        // What is left is counted below, together with what comes meanwhile.
        let _ = drain(&clusters, timeout);
        let ends = clusters.iter().map(|cluster| {
            let producer = cluster.producer().clone();
            producer.close(Duration::ZERO).err()
        });
        let errors = ends.collect::<Vec<_>>().into_iter().flatten();
        let undelivered: Vec<_> = errors.flat_map(|error| error.undelivered).collect();
        if undelivered.is_empty() {
            Ok(())
        } else {
            Err(CloseError { undelivered })
        }
    }

    fn publish_within(
        &self,
        key: SocketKey,
        topic: Option<&str>,
        record: Record<'_>,
        ticket: T,
        overdraft: Limits,
    ) -> Result<(), SocketPublishError> {
        let places = self.shared.places.read();
        let member = find(&places, key).ok_or(SocketPublishError::NoSocket)?;
        member.publish(topic, record, ticket, overdraft, &self.shared)
    }

    fn add(&self, socket: &Socket<'_>, id: Option<Id<'_>>) -> Result<Subscription, SubscribeError> {
        let Understood {
            finished,
            meaning,
            warnings,
        } = understand(socket)?;
        let (key, renewed) = self.shared.enter(&finished, meaning, id)?;
        if !renewed {
            for warning in &finished.warnings {
                say!(finished.settings, WARN Conf, "{warning}");
            }
        }
        Ok(Subscription {
            key,
            renewed,
            warnings,
        })
    }
}

/// What [`Registry::subscribe`] would find in a socket, without doing so.
///
/// # Errors
/// It cannot be obeyed.
pub fn check_socket(socket: &Socket<'_>) -> Result<Vec<SocketWarning>, SubscribeError> {
    Ok(understand(socket)?.warnings)
}

/// Whether [`Registry::subscribe`] makes one of two sockets of events, as they mean the same.
///
/// # Errors
/// One of them cannot be obeyed. Where the topics differ, that is not looked at.
pub fn sockets_match(one: &Socket<'_>, other: &Socket<'_>) -> Result<bool, SubscribeError> {
    // Properties take far longer than texts, and a socket is compared with all that there are.
    if one.topic != other.topic {
        return Ok(false);
    }
    let (one, other) = (understand(one)?, understand(other)?);
    let is_one_cluster =
        cluster::normal(&one.finished.settings) == cluster::normal(&other.finished.settings);
    Ok(is_one_cluster && one.meaning == other.meaning)
}

fn understand(socket: &Socket<'_>) -> Result<Understood, SubscribeError> {
    let mut config = Config::default();
    let resolved = socket.resolve(&System)?;
    let warnings = resolved.configure(&mut config)?;
    let finished = config.finish().map_err(StartError::Config)?;
    let meaning = Meaning {
        topic: socket.topic.into(),
        settings: finished.topic_settings.clone(),
        key: socket.key.clone().into_owned(),
        payload: socket.payload,
        members: socket.members,
        headers: Headers::new(&resolved.headers()),
    };
    Ok(Understood {
        finished,
        meaning,
        warnings,
    })
}

impl RegistryBuilder {
    /// Whether every message has its report, whatever `delivery.report.only.error` of its socket says;
    /// [`SocketReport::is_wanted`] tells those that it would not let through.
    pub fn report_all(mut self, report_all: bool) -> Self {
        self.report_all = report_all;
        self
    }

    /// Whether reports carry the record. Its memory is then held until the report is dropped.
    pub fn report_records(mut self, report_records: bool) -> Self {
        self.report_records = report_records;
        self
    }

    /// By how much [`Registry::publish_promised`] may overdraw the budget of each socket: as much as
    /// can have been promised before everybody knows that the socket is full. Nothing unless set.
    pub fn overdraft(mut self, messages: usize, bytes: usize) -> Self {
        self.overdraft = Limits { messages, bytes };
        self
    }

    /// What is done when [`SocketStatus::full`] of a socket changes. It is called in the order of
    /// the changes, by whoever publishes or takes a report just then, and must be short and not use
    /// the registry.
    pub fn on_full(mut self, tell: impl Fn(SocketKey, bool) + Send + Sync + 'static) -> Self {
        self.on_full = Some(Box::new(tell));
        self
    }

    /// The registry.
    pub fn build<T>(self) -> Registry<T> {
        Registry {
            shared: Arc::new(Shared {
                report_all: self.report_all,
                report_records: self.report_records,
                overdraft: self.overdraft,
                on_full: self.on_full,
                state: Mutex::default(),
                places: RwLock::new(Vec::new()),
                changes: AtomicU64::new(0),
                changed: Arc::default(),
            }),
        }
    }
}

impl<T: Copy> Shared<T> {
    /// The socket of this meaning, and whether it was there before.
    fn enter(
        &self,
        finished: &Finished,
        meaning: Meaning,
        id: Option<Id<'_>>,
    ) -> Result<(SocketKey, bool), SubscribeError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(SubscribeError::Closed);
        }
        if let Some(id) = &id
            && state.ids.contains_key(id.text)
        {
            return Err(id.taken.clone().into());
        }
        let found = state.clusters.iter().find(|known| known.serves(finished));
        let cluster = match found.map(Arc::clone) {
            Some(cluster) => cluster,
            None => {
                let number = state.clusters_so_far + 1;
                let cluster = Cluster::start(number, finished, self.report_records)?;
                let cluster = Arc::new(cluster);
                state.clusters_so_far = number;
                state.clusters.push(Arc::clone(&cluster));
                self.clusters_changed();
                cluster
            }
        };
        if id.is_none()
            && let Some(key) = self.join(&cluster, &meaning)
        {
            return Ok((key, true));
        }
        let id = id.map(|id| Box::from(id.text));
        let key = self.settle(cluster, meaning, id.clone());
        state.ids.extend(id.map(|id| (id, key)));
        Ok((key, false))
    }

    /// Uses a socket once more, if there is one of this meaning.
    fn join(&self, cluster: &Arc<Cluster>, meaning: &Meaning) -> Option<SocketKey> {
        let places = self.places.read();
        let mut members = places.iter().filter_map(|place| place.socket.as_ref());
        let member = members.find(|member| {
            member.id.is_none()
                && Arc::ptr_eq(&member.cluster, cluster)
                && member.meaning == *meaning
                && member.ledger.lock().join()
        })?;
        Some(member.key)
    }

    /// Gives a socket a place.
    fn settle(&self, cluster: Arc<Cluster>, meaning: Meaning, id: Option<Box<str>>) -> SocketKey {
        let topic = cluster.topic(&meaning.topic, &meaning.settings);
        let topic = topic.expect("the socket's grammar has no other names");
        let ledger = Mutex::new(cluster.ledger());
        let mut places = self.places.write();
        let free = places.iter().position(|place| place.socket.is_none());
        let slot = free.unwrap_or_else(|| {
            places.push(Place {
                generation: 0,
                socket: None,
            });
            places.len() - 1
        });
        let place = &mut places[slot];
        place.generation += 1;
        let key = SocketKey {
            slot: slot as u32,
            generation: place.generation,
        };
        place.socket = Some(Arc::new(Member {
            key,
            id,
            meaning,
            cluster,
            topic,
            other_topics: Mutex::default(),
            ledger,
        }));
        key
    }

    /// Forgets a socket that has left and of which everything was reported, and its producer, which
    /// ends with its last handle, if that was the last of it.
    fn remove(&self, member: &Member<T>) {
        let mut state = self.state.lock();
        let mut places = self.places.write();
        let place = &mut places[member.key.slot as usize];
        let present = place.socket.as_ref();
        if present.is_none_or(|present| present.key != member.key) {
            return;
        }
        place.socket = None;
        let mut others = places.iter().filter_map(|place| place.socket.as_ref());
        if others.any(|other| Arc::ptr_eq(&other.cluster, &member.cluster)) {
            return;
        }
        drop(places);
        let clusters = &mut state.clusters;
        clusters.retain(|cluster| !Arc::ptr_eq(cluster, &member.cluster));
        self.clusters_changed();
    }

    fn clusters_changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.changed.notify();
    }

    fn tell_full(&self, key: SocketKey, change: Option<bool>) {
        if let (Some(full), Some(tell)) = (change, &self.on_full) {
            tell(key, full);
        }
    }
}

impl<T: Copy> Member<T> {
    fn publish(
        &self,
        topic: Option<&str>,
        record: Record<'_>,
        ticket: T,
        overdraft: Limits,
        shared: &Shared<T>,
    ) -> Result<(), SocketPublishError> {
        let mut ledger = self.ledger.lock();
        let opaque = |index| u64::from(self.key.slot) << u32::BITS | u64::from(index);
        let result = self.meaning.headers.before(record, |record| {
            ledger.enter(&record, ticket, overdraft, |index| {
                let record = record.opaque(opaque(index));
                let published = match topic {
                    None => self.topic.publish(record),
                    Some(name) => self.other_topic(name)?.publish(record),
                };
                published.map_err(SocketPublishError::Refused)
            })
        });
        // Under the lock, so that changes are told in their order.
        shared.tell_full(self.key, ledger.full_change());
        result
    }

    /// A topic that is perhaps not that of the socket. It stays open, as its messages would wait for
    /// metadata each time.
    fn other_topic(&self, name: &str) -> Result<Topic, SocketPublishError> {
        if *name == *self.meaning.topic {
            return Ok(self.topic.clone());
        }
        let mut others = self.other_topics.lock();
        if let Some(topic) = others.get(name) {
            return Ok(topic.clone());
        }
        if others.len() >= OTHER_TOPICS {
            return Err(SocketPublishError::TooManyTopics);
        }
        let opened = self.cluster.topic(name, &self.meaning.settings);
        let topic = opened.map_err(|_| SocketPublishError::TopicName)?;
        others.insert(name.into(), topic.clone());
        Ok(topic)
    }

    /// Takes a message out of the budget.
    fn settle(&self, index: u32, delivered: bool, shared: &Shared<T>) {
        let mut ledger = self.ledger.lock();
        ledger.settle(index, delivered);
        shared.tell_full(self.key, ledger.full_change());
        let done = ledger.is_done();
        drop(ledger);
        if done {
            shared.remove(self);
        }
    }
}

fn find<T>(places: &[Place<T>], key: SocketKey) -> Option<&Arc<Member<T>>> {
    let place = places.get(key.slot as usize)?;
    place.socket.as_ref().filter(|member| member.key == key)
}

fn drain(clusters: &[Arc<Cluster>], timeout: Duration) -> Result<(), FlushError> {
    let start = Instant::now();
    // All at a time.
    let flushes: Vec<Flush<'_>> = clusters
        .iter()
        .map(|cluster| cluster.producer().begin_flush())
        .collect();
    let left = flushes.iter().map(|flush| {
        let flushed = flush.wait(timeout.saturating_sub(start.elapsed()));
        flushed.map_or_else(|error| error.remaining, |()| 0)
    });
    match left.sum() {
        0 => Ok(()),
        remaining => Err(FlushError { remaining }),
    }
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        RegistryBuilder::default().build()
    }
}

impl<T> Clone for Registry<T> {
    fn clone(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        Self { shared }
    }
}

impl<T> fmt::Debug for Registry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.shared.places.read();
        let members = places.iter().filter_map(|place| place.socket.as_ref());
        f.debug_list()
            .entries(members.map(|member| member.key))
            .finish()
    }
}
