//! Joins the engine to the cluster as the driver joins it to sockets, and keeps the books: what
//! was accepted, what became of it, and whether the engine ever spins.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kafka_engine::accumulator::{Accumulator, Record, Topic, Wake};
use kafka_engine::error::{DeliveryError, Failure, Persisted, PublishError};
use kafka_engine::report::{self, Completion, Delivered, Report};
use kafka_engine::settings::{Acks, ReportMode, Settings, TopicSettings};
use kafka_engine::time::{Clock, Time};
use kafka_engine::{ConnId, Engine, Event, Purge, Undelivered};
use kafka_wire::ApiKey;
use kafka_wire::Message as _;
use kafka_wire::message::{ProduceRequest, decode_request_header};
use kafka_wire::record::Header;

use crate::clock::ManualClock;
use crate::cluster::{Cluster, Reach, Reply, endpoint};
use crate::log::Log;

/// No message may be without its outcome for longer than its time-out and this.
const LATENESS: Duration = Duration::from_millis(50);

/// Turns of the engine in one virtual second that nothing from outside caused: with a linger of
/// 5 ms there is something to do 200 times.
const IDLE_TURNS_PER_SECOND: u64 = 400;

/// How often the engine may be called while time stands still and nothing happens.
const TURNS_AT_ONCE: u64 = 100;

/// Connects while time stands still: more than there are brokers and bootstrap addresses.
const CONNECTS_AT_ONCE: u64 = 60;

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
    /// Whether reports are taken as soon as they are there.
    pub takes_reports: bool,
    engine: Engine,
    clock: ManualClock,
    rest: Time,
    links: HashMap<ConnId, Link>,
    mail: BTreeMap<(Time, u64), Mail>,
    letters: u64,
    sent: BTreeMap<u64, Sent>,
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

struct Link {
    broker: i32,
    open: bool,
    hangs: bool,
    /// When the last answer arrives: answers keep their order.
    last_answer: Time,
    /// An answer that waits for the next one.
    held_back: Option<Vec<u8>>,
    /// A request that is being written to a broker that does not read.
    stuck: Option<Vec<u8>>,
    /// When the requests without an answer were handed to the socket.
    unanswered: VecDeque<Time>,
}

enum Mail {
    Opened(ConnId),
    Closed(ConnId, &'static str),
    Answer(ConnId, Vec<u8>),
    Garbage(ConnId, &'static str),
    /// The broker reads again.
    Writable(ConnId),
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
            takes_reports: true,
            links: HashMap::new(),
            mail: BTreeMap::new(),
            letters: 0,
            sent: BTreeMap::new(),
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
        self.sent.insert(opaque, sent);
        Ok((opaque, wake))
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

    // Faults of brokers and network.

    /// Breaks a broker's connections; new ones go as `reach` says.
    pub fn crash(&mut self, broker: i32, reach: Reach) {
        self.cluster.broker(broker).reach = reach;
        for conn in self.conns_to(broker) {
            self.post(self.clock.now(), Mail::Closed(conn, "connection reset"));
        }
    }

    /// Has a broker read on.
    pub fn read_on(&mut self, broker: i32) {
        self.cluster.broker(broker).reads = true;
        for conn in self.conns_to(broker) {
            self.post(self.clock.now(), Mail::Writable(conn));
        }
    }

    /// Has what arrived from a broker be no frame at all.
    pub fn garble(&mut self, broker: i32, what: &'static str) {
        for conn in self.conns_to(broker) {
            self.post(self.clock.now(), Mail::Garbage(conn, what));
        }
    }

    /// Has a broker send something on each of its connections.
    pub fn say_unasked(&mut self, broker: i32, frame: Vec<u8>) {
        for conn in self.conns_to(broker) {
            self.post(self.clock.now(), Mail::Answer(conn, frame.clone()));
        }
    }

    fn conns_to(&self, broker: i32) -> Vec<ConnId> {
        let conns = self.links.iter().filter(|(_, link)| link.broker == broker);
        conns.map(|(conn, _)| *conn).collect()
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

    /// Takes the reports that are there, and checks them.
    pub fn take_reports(&mut self) {
        let at = self.elapsed();
        let settled = self.accumulator.reports().take();
        for report in settled.into_iter().flatten() {
            let sent = &self.sent[&report.opaque];
            assert_eq!(report.topic, *sent.topic.name());
            if let Some(record) = &report.record {
                assert_eq!(record.key.as_deref(), sent.key.as_deref());
                assert_eq!(record.value.as_deref(), sent.value.as_deref());
                assert!(sent.timestamp.is_none_or(|t| t == record.timestamp));
            }
            let expected = self.accumulator.settings().report_records;
            assert_eq!(report.record.is_some(), expected);
            self.note(at, report);
        }
    }

    /// The end of a test: every message has exactly one outcome, which is true, came in time, and
    /// left nothing behind.
    pub fn verify(&mut self) {
        self.take_reports();
        let balance = self.accumulator.balance();
        assert_eq!(balance.held, 0, "without outcome");
        assert_eq!(self.accumulator.queued(), (0, 0), "given back");
        assert_eq!(balance.accepted, self.sent.len() as u64);
        if self.accumulator.settings().reports == ReportMode::All {
            assert_eq!(self.outcomes.len(), self.sent.len(), "one outcome each");
        }
        self.verify_log();
        let logged = self.cluster.everything_logged();
        for (opaque, outcome) in &self.outcomes {
            match &outcome.result {
                Ok(delivered) => self.verify_place(*opaque, delivered),
                Err(failure) => assert!(
                    failure.persisted == Persisted::Maybe || !logged.contains(opaque),
                    "{opaque} is in the log and failed with {failure}"
                ),
            }
            self.verify_time(*opaque, outcome);
        }
    }

    /// What is said in five minutes about an address, a topic's metadata or a topic's batches is
    /// four complaints at most, and that each is over.
    fn verify_log(&self) {
        let hosts: HashSet<&String> = self.connects.iter().map(|(_, host)| host).collect();
        let subjects = hosts.len() + 2 * self.books.topics;
        let periods = 1 + self.elapsed().as_secs() as usize / 300;
        let lines = self.log.lines();
        assert!(lines.len() <= 8 * subjects * periods, "{lines:#?}");
    }

    /// Delivered messages of a partition stand in the log in the order of their publication.
    /// With one writer per partition, that is the order of their opaques.
    pub fn verify_order(&self) {
        let mut last = HashMap::new();
        for (opaque, outcome) in &self.outcomes {
            let Ok(Delivered {
                partition,
                offset: Some(offset),
                ..
            }) = outcome.result
            else {
                continue;
            };
            let lane = (Arc::as_ptr(&self.sent[opaque].topic), partition);
            let before = last.insert(lane, offset);
            assert!(before < Some(offset), "{opaque} at {partition}: {offset}");
        }
    }

    fn verify_place(&self, opaque: u64, delivered: &Delivered) {
        let sent = &self.sent[&opaque];
        let Some(offset) = delivered.offset else {
            let acks = sent.topic.settings().acks;
            return assert_eq!(acks, Acks::None, "only acks=0 has no offset");
        };
        let partition = delivered.partition as usize;
        let name = sent.topic.name();
        let mut there = self.cluster.at_offset(name, partition, offset);
        let logged = there.find(|logged| logged.opaque == opaque);
        let logged = logged.expect("it is at the reported offset");
        assert!(logged.key == sent.key && logged.value == sent.value);
        assert!(sent.timestamp.is_none_or(|t| t == logged.timestamp));
    }

    fn verify_time(&self, opaque: u64, outcome: &Outcome) {
        let sent = &self.sent[&opaque];
        let Some(timeout) = sent.topic.settings().message_timeout else {
            return;
        };
        let took = outcome.at - sent.at;
        if self.takes_reports {
            let latest = timeout + LATENESS;
            assert!(took <= latest, "{opaque} had its outcome after {took:?}");
        }
        let timed_out = |f: &Arc<Failure>| f.error == DeliveryError::TimedOut;
        if outcome.result.as_ref().is_err_and(timed_out) {
            assert!(took >= timeout, "{opaque} expired after {took:?}");
        }
    }

    fn note(&mut self, at: Duration, report: Report) {
        let outcome = Outcome {
            at,
            partition: report.partition,
            result: report.outcome,
        };
        let before = self.outcomes.insert(report.opaque, outcome);
        assert!(before.is_none(), "{} has two outcomes", report.opaque);
    }

    fn poll_completions(&mut self) {
        let at = self.clock.elapsed();
        let mut context = Context::from_waker(Waker::noop());
        let outcomes = &mut self.outcomes;
        self.completions.retain(|opaque, completion| {
            let Poll::Ready(result) = completion.as_mut().poll(&mut context) else {
                return true;
            };
            let partition = result.as_ref().map_or(-1, |delivered| delivered.partition);
            let outcome = Outcome {
                at,
                partition,
                result,
            };
            let before = outcomes.insert(*opaque, outcome);
            assert!(before.is_none(), "{opaque} has two outcomes");
            false
        });
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

    fn deliver_mail(&mut self) {
        let Some((_, mail)) = self.mail.pop_first() else {
            return;
        };
        self.something_happened();
        let now = self.clock.now();
        match mail {
            Mail::Opened(conn) => {
                if let Some(link) = self.links.get_mut(&conn) {
                    link.open = true;
                    self.engine.opened(conn, now);
                }
            }
            Mail::Closed(conn, reason) => {
                if self.links.remove(&conn).is_some() {
                    self.engine.closed(conn, reason, now);
                }
            }
            Mail::Garbage(conn, what) => {
                if self.links.remove(&conn).is_some() {
                    self.engine.garbled(conn, what, now);
                }
            }
            Mail::Answer(conn, frame) => {
                if let Some(link) = self.links.get_mut(&conn) {
                    link.unanswered.pop_front();
                    self.engine.receive(conn, &frame, now);
                }
            }
            Mail::Writable(conn) => {
                let link = self.links.get_mut(&conn);
                if let Some(frame) = link.and_then(|link| link.stuck.take()) {
                    self.written(conn, &frame);
                    self.transmit(conn);
                }
            }
        }
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
            self.hear();
            match self.engine.rest() {
                Some(rest) if !transmitted => {
                    self.rest = rest;
                    return self.check_waits();
                }
                _ => {}
            }
        }
    }

    /// No request is without its answer, or not written, for longer than requests may take.
    fn check_waits(&self) {
        let settings = self.accumulator.settings();
        let longest = settings
            .request_timeout
            .max(settings.connection_setup_timeout);
        for link in self.links.values() {
            let since = link.unanswered.front().copied().unwrap_or(Time::NEVER);
            let waited = self.clock.now().since(since);
            assert!(waited < longest, "no answer after {waited:?}");
        }
    }

    fn count_turn(&mut self) {
        self.books.turns_at_once += 1;
        self.books.turns_in_second += 1;
        assert!(
            self.books.turns_at_once < TURNS_AT_ONCE,
            "the engine never rests"
        );
        assert!(
            self.books.turns_in_second < IDLE_TURNS_PER_SECOND,
            "the engine spins at {:?}",
            self.elapsed()
        );
    }

    /// Takes what there is to take, and checks the balance.
    fn hear(&mut self) {
        if self.takes_reports {
            self.take_reports();
        }
        self.poll_completions();
        let (settings, (_, bytes)) = (self.accumulator.settings(), self.accumulator.queued());
        let most = settings
            .queue_max_bytes
            .saturating_add(settings.message_max_bytes);
        assert!(bytes <= most, "{bytes} bytes are in use");
        let balance = self.accumulator.balance();
        assert_eq!(balance.accepted, self.books.accepted);
        assert_eq!(balance.held, self.engine.count_held(), "{balance:?}");
        assert_eq!(
            balance.accepted,
            balance.delivered + balance.failed + balance.held
        );
    }

    fn connect(&mut self, conn: ConnId, at: &kafka_engine::settings::Endpoint) {
        self.connects.push((self.elapsed(), at.host.clone()));
        self.books.connects_at_once += 1;
        assert!(
            self.books.connects_at_once < CONNECTS_AT_ONCE,
            "connects without end: {:?}",
            self.connects.split_off(self.connects.len() - 10)
        );
        let now = self.clock.now();
        let broker = self.cluster.at(at);
        let link = Link {
            broker: broker.unwrap_or(-1),
            open: false,
            hangs: false,
            last_answer: now,
            held_back: None,
            stuck: None,
            unanswered: VecDeque::new(),
        };
        self.links.insert(conn, link);
        if self.cluster.black_holes.contains(at) {
            return;
        }
        let reach = broker.map(|id| self.cluster.broker(id).reach);
        match reach {
            Some(Reach::Up | Reach::Hangs) => self.post(now, Mail::Opened(conn)),
            Some(Reach::Refuses) | None => self.post(now, Mail::Closed(conn, "connection refused")),
        }
    }

    fn transmit(&mut self, conn: ConnId) -> bool {
        let mut transmitted = false;
        let writable = |link: &&mut Link| link.open && link.stuck.is_none();
        while self.links.get_mut(&conn).filter(writable).is_some() {
            let now = self.clock.now();
            let Some(transmit) = self.engine.poll_transmit(conn, now) else {
                break;
            };
            transmitted = true;
            let chunks: Vec<&[u8]> = transmit.chunks.iter().map(AsRef::as_ref).collect();
            let bytes = chunks.concat();
            let (length, frame) = bytes.split_first_chunk().expect("a length");
            assert_eq!(i32::from_be_bytes(*length) as usize, frame.len());
            self.write(conn, frame);
        }
        transmitted
    }

    /// Writes a request, if its broker reads.
    fn write(&mut self, conn: ConnId, frame: &[u8]) {
        let now = self.clock.now();
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.unanswered.push_back(now);
        let broker = self.cluster.brokers.get(&link.broker);
        match broker.is_some_and(|broker| !broker.reads) {
            true => link.stuck = Some(frame.to_vec()),
            false => self.written(conn, frame),
        }
    }

    fn written(&mut self, conn: ConnId, frame: &[u8]) {
        if is_without_answer(frame)
            && let Some(link) = self.links.get_mut(&conn)
        {
            link.unanswered.pop_back();
        }
        self.carry(conn, frame);
        self.engine.transmitted(conn, self.clock.now());
    }

    /// Brings a request to its broker.
    fn carry(&mut self, conn: ConnId, frame: &[u8]) {
        let now = self.clock.now();
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let (header, _) = decode_request_header(frame).expect("a request header");
        let request = (self.clock.elapsed(), link.broker, header.api);
        self.requests.push(request);
        if link.hangs {
            return;
        }
        link.last_answer = link.last_answer.max(now);
        let last_answer = link.last_answer;
        let closed = Mail::Closed(conn, "the broker closed the connection");
        match self.cluster.handle(link.broker, frame, now) {
            Reply::Answer(delay, answer) => {
                let at = last_answer.max(now.after(delay));
                link.last_answer = at;
                let held_back = link.held_back.take();
                for answer in [Some(answer), held_back].into_iter().flatten() {
                    self.post(at, Mail::Answer(conn, answer));
                }
            }
            Reply::TwoAnswers(answer) => {
                self.post(last_answer, Mail::Answer(conn, answer.clone()));
                self.post(last_answer, Mail::Answer(conn, answer));
            }
            Reply::LateAnswer(answer) => link.held_back = Some(answer),
            Reply::None => {}
            Reply::Hang => link.hangs = true,
            Reply::LastAnswer(answer) => {
                link.hangs = true;
                self.post(last_answer, Mail::Answer(conn, answer));
                self.post(last_answer, closed);
            }
            Reply::Close => {
                link.hangs = true;
                self.post(last_answer, closed);
            }
        }
    }

    fn post(&mut self, at: Time, mail: Mail) {
        self.letters += 1;
        self.mail.insert((at, self.letters), mail);
    }
}

/// Whether it is a Produce request with `acks=0`.
fn is_without_answer(frame: &[u8]) -> bool {
    let (header, mut body) = decode_request_header(frame).expect("a request header");
    if header.api != ApiKey::Produce {
        return false;
    }
    let request = ProduceRequest::decode(&mut body, header.version);
    request.expect("a Produce request").acks == 0
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
