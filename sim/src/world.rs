//! Joins the engine to the cluster as the driver joins it to sockets, and keeps the books: what
//! was accepted, what became of it, and whether the engine ever spins.

mod checks;
mod network;
mod presses;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kafka_engine::accumulator::{Accumulator, Record, Topic, Wake};
use kafka_engine::error::{Failure, PublishError};
use kafka_engine::report::{self, Completion};
use kafka_engine::settings::{Settings, TopicSettings};
use kafka_engine::time::{Clock, Time};
use kafka_engine::{ConnId, Engine, Event, Purge, Undelivered};
use kafka_wire::ApiKey;
use kafka_wire::record::Header;

use crate::clock::ManualClock;
use crate::cluster::{Cluster, endpoint};
use crate::log::Log;
use network::{Link, Mail};
pub use presses::Presses;

/// An engine, a cluster, and virtual time.
pub struct World {
    /// The publishers' side of the engine.
    pub accumulator: Arc<Accumulator>,
    /// What the engine talks to.
    pub cluster: Cluster,
    /// What is known of each message, by its opaque.
    pub outcomes: BTreeMap<u64, Outcome>,
    /// What the engine has said.
    pub log: Log,
    /// Connections that were asked for, and when.
    pub connects: Vec<(Duration, String)>,
    /// Requests that were written: when, to which broker, and of which API.
    pub requests: Vec<(Duration, i32, ApiKey)>,
    /// Who compresses batches.
    pub presses: Presses,
    takes_reports: bool,
    engine: Engine,
    clock: ManualClock,
    rest: Time,
    links: BTreeMap<ConnId, Link>,
    /// Connections on which the broker says nothing any more.
    silent: HashSet<ConnId>,
    mail: BTreeMap<(Time, u64), Mail>,
    letters: u64,
    sent: BTreeMap<u64, Sent>,
    /// When messages without an outcome are to expire.
    due: BTreeSet<(Duration, u64)>,
    completions: BTreeMap<u64, Pin<Box<Completion>>>,
    books: Books,
}

/// A message to publish; what is not set is as in [`Message::default`].
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Length of the value, whose bytes follow from the opaque; `None` is a tombstone.
    pub size: Option<usize>,
    /// The partition to write it to; otherwise one is chosen.
    pub partition: Option<i32>,
    /// When it was created, in milliseconds since 1970; otherwise now.
    pub timestamp: Option<i64>,
    /// Whether its outcome goes to a [`Completion`] instead of a report.
    pub waited_for: bool,
}

/// What became of a message, and when that was known.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When it was known.
    pub at: Duration,
    /// The partition that it was meant for.
    pub partition: i32,
    /// What became of it.
    pub result: report::Outcome,
}

struct Sent {
    at: Duration,
    topic: Arc<Topic>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp: Option<i64>,
}

/// How often the engine was called.
#[derive(Default)]
struct Books {
    accepted: u64,
    /// Of messages before this one, reports were left for a while.
    heard_from: u64,
    /// How often a topic was opened.
    topics: usize,
    second: u64,
    turns_in_second: u64,
    turns_at_once: u64,
    connects_at_once: u64,
}

impl World {
    /// An engine that knows `b1` only, about to find the cluster.
    pub fn new(cluster: Cluster, settings: Settings) -> Self {
        Self::seeded(cluster, settings, 1)
    }

    /// The same, with a seed for everything that the engine draws.
    pub fn seeded(cluster: Cluster, mut settings: Settings, seed: u64) -> Self {
        if settings.bootstrap.is_empty() {
            settings.bootstrap = vec![endpoint("b1")];
        }
        let log = Log::new();
        let accumulator = Accumulator::new(settings, seed);
        let engine = Engine::new(&accumulator, seed);
        let clock = ManualClock::new();
        let mut world = Self {
            cluster,
            engine,
            rest: clock.now(),
            clock,
            accumulator,
            outcomes: BTreeMap::new(),
            log,
            connects: Vec::new(),
            requests: Vec::new(),
            presses: Presses::default(),
            takes_reports: true,
            links: BTreeMap::new(),
            silent: HashSet::new(),
            mail: BTreeMap::new(),
            letters: 0,
            sent: BTreeMap::new(),
            due: BTreeSet::new(),
            completions: BTreeMap::new(),
            books: Books::default(),
        };
        world.turn();
        world
    }

    // What an application does.

    /// Opens a topic with default settings.
    pub fn topic(&mut self, name: &str) -> Arc<Topic> {
        self.topic_with(name, &TopicSettings::default())
    }

    /// Opens a topic.
    pub fn topic_with(&mut self, name: &str, settings: &TopicSettings) -> Arc<Topic> {
        self.books.topics += 1;
        let (topic, wake) = self.accumulator.topic(name, settings);
        self.rouse(wake);
        topic
    }

    /// Publishes, and returns the opaque by which everything here names the message.
    pub fn publish(&mut self, topic: &Arc<Topic>, message: &Message) -> u64 {
        self.try_publish(topic, message)
            .expect("an acceptable message")
    }

    /// Publishes the same `count` times, and returns the opaques.
    pub fn publish_many(
        &mut self,
        topic: &Arc<Topic>,
        count: usize,
        message: &Message,
    ) -> Vec<u64> {
        (0..count).map(|_| self.publish(topic, message)).collect()
    }

    /// Publishes, and returns the opaque, or why the message was not accepted.
    pub fn try_publish(
        &mut self,
        topic: &Arc<Topic>,
        message: &Message,
    ) -> Result<u64, PublishError> {
        let (opaque, wake) = self.append(topic, message)?;
        self.rouse(wake);
        Ok(opaque)
    }

    /// Publishes while the I/O thread is busy elsewhere. Returns whether it would be roused, too.
    pub fn publish_unnoticed(&mut self, topic: &Arc<Topic>, message: &Message) -> (u64, Wake) {
        self.append(topic, message).expect("an acceptable message")
    }

    fn append(
        &mut self,
        topic: &Arc<Topic>,
        message: &Message,
    ) -> Result<(u64, Wake), PublishError> {
        let opaque = self.books.accepted;
        let id = opaque.to_be_bytes();
        let headers = [Header {
            name: "opaque",
            value: Some(&id),
        }];
        let value = message.size.map(|size| vec![opaque as u8; size]);
        let record = Record {
            key: message.key.as_deref(),
            value: value.as_deref(),
            headers: &headers,
            partition: message.partition,
            timestamp: message.timestamp,
            opaque,
        };
        let completion = message.waited_for.then(Completion::default);
        let wake = topic.publish(&self.clock, &record, completion.clone())?;
        self.books.accepted += 1;
        self.cluster.next_opaque = self.books.accepted;
        if let Some(completion) = completion {
            self.completions.insert(opaque, Box::pin(completion));
        }
        let sent = Sent {
            at: self.elapsed(),
            topic: Arc::clone(topic),
            key: message.key.clone(),
            value,
            timestamp: message.timestamp,
        };
        if let Some(timeout) = topic.settings().message_timeout {
            self.due.insert((sent.at + timeout, opaque));
        }
        let story = &self.cluster.story;
        story.tell(sent.at, || format!("{opaque} is published: {message:?}"));
        self.sent.insert(opaque, sent);
        Ok((opaque, wake))
    }

    /// Has the application take its reports as soon as they are there, which is usual, or leave
    /// them.
    pub fn take_reports_at_once(&mut self, at_once: bool) {
        self.takes_reports = at_once;
        self.books.heard_from = self.books.accepted;
        self.hear();
    }

    /// Sets the wall clock forward, or back.
    pub fn step_wall_clock(&mut self, millis: i64) {
        self.clock.step_wall(millis);
    }

    /// The engine, for what only tests ask of it.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Has nothing linger until the accumulator is told that the flush is over.
    pub fn begin_flush(&mut self) {
        let wake = self.accumulator.begin_flush();
        self.rouse(wake);
    }

    /// Gives up what `purge` names.
    pub fn purge(&mut self, purge: Purge) {
        self.engine.purge(purge, self.clock.now());
        self.something_happened();
        self.turn();
    }

    /// Ends the engine.
    pub fn close(&mut self) -> Vec<Undelivered> {
        let undelivered = self.engine.close(self.clock.now());
        // The threads that compress end with the engine.
        self.mail
            .retain(|_, mail| !matches!(mail, Mail::Compressed(_)));
        self.hear();
        undelivered
    }

    // Time.

    /// Since the start of the world.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.clock.now().after(duration);
        while self.step(end) {}
    }

    /// Runs until `reached`, for `limit` at most; false if it was not reached.
    pub fn run_until(&mut self, limit: Duration, mut reached: impl FnMut(&Self) -> bool) -> bool {
        let end = self.clock.now().after(limit);
        loop {
            if reached(self) {
                return true;
            }
            if !self.step(end) {
                return reached(self);
            }
        }
    }

    /// Runs until everything accepted has its outcome.
    pub fn run_dry(&mut self, limit: Duration) {
        let dry = self.run_until(limit, |world| world.held() == 0);
        assert!(
            dry,
            "{} messages without outcome after {limit:?}",
            self.held()
        );
    }

    /// Whether nothing at all is planned before `duration` is over.
    pub fn sleeps_for(&self, duration: Duration) -> bool {
        let first_mail = self.mail.keys().next().map_or(Time::NEVER, |(at, _)| *at);
        self.rest.min(first_mail) >= self.clock.now().after(duration)
    }

    /// How many requests of an API a broker was sent, answered or not.
    pub fn requests_of(&self, api: ApiKey, broker: i32) -> usize {
        let requests = self.requests.iter();
        let matching = requests.filter(|(_, to, of)| (*to, *of) == (broker, api));
        matching.count()
    }

    /// Connections that are open or in the making.
    pub fn connections(&self) -> usize {
        self.links.len()
    }

    // What came of it.

    /// Messages accepted so far; the opaque of the next one.
    pub fn accepted(&self) -> u64 {
        self.books.accepted
    }

    /// Messages without outcome.
    pub fn held(&self) -> u64 {
        self.accumulator.balance().held
    }

    /// Where a delivered message is.
    pub fn offset(&self, opaque: u64) -> i64 {
        let delivered = self.outcomes[&opaque].result.as_ref();
        let delivered = delivered.expect("delivered");
        delivered.offset.expect("an offset")
    }

    /// Why a message failed, which it must have.
    pub fn failure(&self, opaque: u64) -> &Failure {
        let outcome = self.outcomes.get(&opaque).expect("an outcome");
        outcome.result.as_ref().expect_err("failed")
    }

    /// How many messages were delivered.
    pub fn delivered(&self) -> usize {
        self.outcomes.values().filter(|o| o.result.is_ok()).count()
    }

    // The driver's part.

    /// A caller rouses the I/O thread only when told to.
    pub fn rouse(&mut self, wake: Wake) {
        self.something_happened();
        if wake == Wake::Yes {
            self.turn();
        }
    }

    /// The next thing that happens, if that is before `end`; otherwise it is `end`.
    fn step(&mut self, end: Time) -> bool {
        let first_mail = self.mail.keys().next().map_or(Time::NEVER, |(at, _)| *at);
        let next = self.rest.min(first_mail).max(self.clock.now());
        if next >= end {
            self.move_to(end);
            if next > end {
                return false;
            }
        }
        self.move_to(next);
        if first_mail <= next {
            self.deliver_mail();
        }
        self.turn();
        true
    }

    fn move_to(&mut self, time: Time) {
        if time > self.clock.now() {
            self.books.turns_at_once = 0;
            self.books.connects_at_once = 0;
        }
        self.clock.set(time);
        if self.clock.elapsed().as_secs() > self.books.second {
            self.books.second = self.clock.elapsed().as_secs();
            self.books.turns_in_second = 0;
        }
    }

    /// Something from outside gives the engine a reason to be called a few times.
    fn something_happened(&mut self) {
        self.books.turns_at_once = 0;
        self.books.turns_in_second = self.books.turns_in_second.saturating_sub(4);
    }

    /// Calls the engine as the I/O thread does, until it rests.
    fn turn(&mut self) {
        loop {
            self.count_turn();
            let now = self.clock.now();
            self.engine.advance(now);
            while let Some(event) = self.engine.poll_event() {
                match event {
                    Event::Connect { conn, endpoint } => self.connect(conn, &endpoint),
                    Event::Disconnect { conn } => {
                        self.links.remove(&conn);
                    }
                }
            }
            let mut transmitted = false;
            while let Some(conn) = self.engine.poll_sendable() {
                transmitted |= self.transmit(conn);
            }
            while let Some(job) = self.engine.poll_job() {
                let (duration, done) = self.presses.run(job);
                self.post(now.after(duration), Mail::Compressed(done));
            }
            self.hear();
            match self.engine.rest() {
                Some(rest) if !transmitted => {
                    self.rest = rest;
                    return self.check_rest();
                }
                _ => {}
            }
        }
    }
}

impl Message {
    /// A value of so many bytes, and nothing else.
    pub fn of(size: usize) -> Self {
        Self {
            size: Some(size),
            ..Self::default()
        }
    }

    /// The same for a partition.
    pub fn to(self, partition: i32) -> Self {
        Self {
            partition: Some(partition),
            ..self
        }
    }

    /// The same with a key.
    pub fn key(self, key: &str) -> Self {
        Self {
            key: Some(key.into()),
            ..self
        }
    }

    /// The same with a [`Completion`].
    pub fn waited_for(self) -> Self {
        Self {
            waited_for: true,
            ..self
        }
    }
}

/// So many milliseconds.
pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So many seconds.
pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
