//! The I/O thread's part of the producer, joined together: brokers, connections, lanes, deadlines.

mod identity;
mod links;
mod metadata;
mod topics;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem::Discriminant;
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::ErrorCode;
use kafka_wire::message::ProduceResponse;

use crate::accumulator::{Accumulator, Core, Work};
use crate::cluster::{Cluster, Link, NodeId};
use crate::complaints::Complaints;
use crate::compression::{Done, Job};
use crate::connection::{Answer, ConnId, Connection, ConnectionError, Question, Transmit, Trouble};
use crate::error::{DeliveryError, Place};
use crate::recording::Step;
use crate::say;
use crate::sender::{Refusal, Sender, Shipment};
use crate::settings::{Compression, Endpoint};
use crate::time::Time;
use crate::timers::Timers;
use topics::TopicState;

/// How long unused memory is kept ready.
const POOL_IDLE: Duration = Duration::from_secs(10);

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Connect, and tell by [`Engine::opened`] or [`Engine::closed`].
    Connect {
        /// The name for it.
        conn: ConnId,
        /// Where to.
        endpoint: Endpoint,
    },
    /// Drop this connection; nothing more is to be told about it.
    Disconnect {
        /// Which.
        conn: ConnId,
    },
}

/// What to purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purge {
    /// Messages that wait to be sent, or to be sent again.
    pub queued: bool,
    /// Messages that were sent and not answered yet.
    pub in_flight: bool,
}

/// Messages that were not delivered when the producer was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Their topic.
    pub topic: Arc<str>,
    /// Where they were.
    pub place: Place,
    /// What had gone wrong there last.
    pub last_error: Option<Arc<str>>,
    /// How many.
    pub count: u64,
}

impl std::fmt::Display for Undelivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            topic,
            place,
            last_error,
            count,
        } = self;
        write!(f, "{count} to {topic} ({place}")?;
        match last_error {
            Some(error) => write!(f, ": {error})"),
            None => f.write_str(")"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// A broker is to be sent something.
    Outlet(NodeId),
    /// A broker may be tried again.
    Reconnect(NodeId),
    /// A connection took too long for something.
    Connection(ConnId),
    /// Messages of a partition expire.
    Lane(u32),
    /// Messages of a topic without partitions expire, or have waited long enough for it to appear.
    Stage(u32),
    /// Metadata is to be asked for.
    Refresh,
    /// A producer id is to be asked for.
    Identity,
    /// The pool has been unused for a while.
    Pool,
}

/// The producer without its socket, its clock and its threads. One thread owns it and calls it with
/// what happened and when; it answers with what to do.
#[derive(Debug)]
pub struct Engine {
    accumulator: Arc<Accumulator>,
    core: Arc<Core>,
    cluster: Cluster,
    sender: Sender,
    topics: BTreeMap<u32, TopicState>,
    connections: BTreeMap<ConnId, Connection>,
    next_conn: u64,
    timers: Timers<Timer>,
    events: VecDeque<Event>,
    sendable: VecDeque<ConnId>,
    complaints: Complaints<Subject, Reason>,
    random: fastrand::Rng,
    /// Whether the [fatal error](Core::condemn) has been seen to.
    ended: bool,
}

/// Whom the log complains about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Broker(Endpoint),
    /// What metadata says of a topic.
    Metadata(u32),
    /// What brokers say of a topic's batches.
    Batches(u32),
    /// What becomes of a topic's batches before.
    Codec(u32),
    /// What brokers say to who wants to be somebody.
    Identity,
    /// What brokers say of the cluster.
    Cluster,
}

/// Why the log complains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Connection(Discriminant<Trouble>),
    Code(ErrorCode),
    /// Messages wait, and metadata does not say where they could go.
    NowhereToGo,
    CodecFails,
    TooOldForCodec,
}

impl Engine {
    /// The engine behind `accumulator`, about to find its cluster. `seed` makes its random choices
    /// repeatable.
    pub fn new(accumulator: &Arc<Accumulator>, seed: u64) -> Self {
        let core = Arc::clone(accumulator.core());
        core.tape.begin(seed);
        Self {
            cluster: Cluster::new(&core.settings),
            sender: Sender::new(&core),
            accumulator: Arc::clone(accumulator),
            core,
            topics: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_conn: 0,
            timers: Timers::new(),
            events: VecDeque::new(),
            sendable: VecDeque::new(),
            complaints: Complaints::new(),
            random: fastrand::Rng::with_seed(seed),
            ended: false,
        }
    }

    /// Has partitions that have sent nothing begin with this sequence number instead of 0: for tests
    /// of what follows the last one.
    pub fn begin_sequences_at(&mut self, first: i32) {
        let tape = &self.core.tape;
        let _step = tape.step(Time::default(), || Step::BeginSequencesAt(first));
        self.sender.begin_sequences_at(first);
    }

    /// Looks at what publishers left, and does what is due. To be called first, when roused, when
    /// [`Engine::rest`] says so, and after whatever else the engine was told.
    pub fn advance(&mut self, now: Time) {
        let _step = self.core.tape.step(now, || Step::Advance);
        for work in self.core.look() {
            match work {
                Work::Topic(slot) => self.stage_changed(slot),
                Work::Partition(lane) => {
                    self.core.memory.top_up();
                    self.seek_leaders(lane);
                    self.lane_changed(lane, now);
                }
                Work::Control => self.hurry(now),
            }
        }
        while let Some(timer) = self.timers.pop(now) {
            self.fire(timer, now);
        }
        self.end_if_condemned();
        self.refresh_metadata(now);
        self.seek_identity(now);
        if self.core.memory.has_free() {
            self.timers.arm(Timer::Pool, now.after(POOL_IDLE));
        }
    }

    /// When to call [`Engine::advance`] unless roused before; `None` if there is work already.
    pub fn rest(&mut self) -> Option<Time> {
        let next = self.timers.next();
        self.core.rest_until(next).then_some(next)
    }

    /// Something for the driver to do.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A connection for which [`Engine::poll_transmit`] may have something.
    pub fn poll_sendable(&mut self) -> Option<ConnId> {
        self.sendable.pop_front()
    }

    /// The next request to write on a connection, once the last one is written.
    pub fn poll_transmit(&mut self, conn: ConnId, now: Time) -> Option<Transmit> {
        let _step = self.core.tape.step(now, || Step::PollTransmit(conn.0));
        let connection = self.connections.get_mut(&conn)?;
        if connection.unwritten() == 0 {
            self.line_up(conn, now);
        }
        let connection = self.connections.get_mut(&conn)?;
        let transmit = connection.next_output();
        if let Some(transmit) = &transmit {
            let written = || format!("writes on connection {}: {transmit}", conn.0);
            self.core.tape.output(written);
        }
        self.timers
            .arm(Timer::Connection(conn), connection.deadline());
        transmit
    }

    /// Makes a Produce request of what is due for the broker of a connection. True if there is one.
    fn line_up(&mut self, conn: ConnId, now: Time) -> bool {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return false;
        };
        let Some(versions) = connection.versions() else {
            return false;
        };
        // An answer makes room again, and gets the connection polled again.
        if connection.in_flight() >= self.core.settings.max_in_flight {
            return false;
        }
        let (node, muted_until) = (connection.node, connection.muted_until());
        if muted_until > now {
            // Whoever wanted to ask it something looks then, too.
            self.timers.arm(Timer::Outlet(node), muted_until);
            return false;
        }
        let before = connection.unwritten();
        if let Some(cargo) = self.sender.collect(node, versions.produce, now) {
            self.sender.dispatch(cargo, connection, now);
        }
        let lined_up = connection.unwritten() > before;
        self.timers.arm(Timer::Outlet(node), self.sender.due(node));
        if let Some(lane) = self.sender.take_unreadable() {
            self.complain_of_age(lane, conn, now);
        }
        lined_up
    }

    /// Makes requests in advance while another one is being written, as many as may wait.
    fn line_up_more(&mut self, conn: ConnId, now: Time) {
        let most = self.core.settings.backpressure_threshold;
        let waits = |engine: &Self| match engine.connections.get(&conn) {
            Some(connection) => (1..most).contains(&connection.unwritten()),
            None => false,
        };
        while waits(self) && self.line_up(conn, now) {}
    }

    /// A batch to compress, on another thread; the result goes to [`Engine::compressed`].
    pub fn poll_job(&mut self) -> Option<Job> {
        self.sender.next_job()
    }

    /// Takes back what [`Engine::poll_job`] gave.
    pub fn compressed(&mut self, done: Done, now: Time) {
        let recorded = || Step::Compressed(done.recorded());
        let _step = self.core.tape.step(now, recorded);
        let lane = done.place.lane;
        if let Some(why) = &done.failure {
            self.complain_of_codec(lane, why, now);
        }
        self.sender.lane_mut(lane).compressed(done);
        self.list(lane, now);
    }

    /// What [`Engine::poll_transmit`] gave is written.
    pub fn transmitted(&mut self, conn: ConnId, now: Time) {
        let _step = self.core.tape.step(now, || Step::Transmitted(conn.0));
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        if let Some(shipments) = connection.transmitted(now) {
            // There will be no better sign of life.
            self.proven(conn);
            self.sender.written(&shipments);
            self.relist(&shipments, now);
        }
    }

    /// An answer arrived: a whole frame without its length.
    pub fn receive(&mut self, conn: ConnId, frame: &[u8], now: Time) {
        let _step = self.core.tape.step(now, || Step::Receive(conn.0, frame));
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match connection.receive(frame, now) {
            Ok(Answer::Again | Answer::Late) => {}
            Ok(Answer::Ready) => self.ready(conn, now),
            Ok(Answer::Metadata(response)) => {
                self.proven(conn);
                self.learn(conn, &response, now);
            }
            Ok(Answer::Produce(question, response, shipments)) => {
                self.produced(conn, question, &response, shipments, now);
            }
            Ok(Answer::ProducerId(variant, response)) => {
                self.identified(conn, variant, &response, now);
            }
            Err(error) => return self.drop_connection(conn, &error, now),
        }
        self.sendable.push_back(conn);
    }

    /// Fails messages without waiting for their delivery.
    pub fn purge(&mut self, purge: Purge, now: Time) {
        let Purge { queued, in_flight } = purge;
        let recorded = || Step::Purge { queued, in_flight };
        let _step = self.core.tape.step(now, recorded);
        if queued {
            self.fail_waiting(DeliveryError::PurgedQueued, None);
        }
        if in_flight {
            self.fail_in_flight(DeliveryError::PurgedInFlight, None);
        }
        // What waited behind them may go.
        self.list_all(now);
    }

    /// The end: nothing is accepted any more, and what was not delivered fails. Returns what that
    /// was.
    pub fn close(&mut self, now: Time) -> Vec<Undelivered> {
        let _step = self.core.tape.step(now, || Step::Close);
        self.accumulator.close();
        // Topics that were made since the last look.
        self.advance(now);
        self.close_queues();
        let undelivered = self.undelivered();
        self.purge(
            Purge {
                queued: true,
                in_flight: true,
            },
            now,
        );
        undelivered
    }

    /// The end, too, but for the reports, if the producer is of no use any more.
    fn end_if_condemned(&mut self) {
        let Some(fatal) = self.core.condemned().filter(|_| !self.ended).cloned() else {
            return;
        };
        self.ended = true;
        say!(self.core.settings, ERROR Generic, "{fatal}; nothing is accepted or sent any more");
        self.accumulator.close();
        self.fail_waiting(fatal.error, Some(&fatal.text));
        self.close_queues();
        // Some may have come before the queues were closed.
        self.fail_waiting(fatal.error, Some(&fatal.text));
        self.fail_in_flight(fatal.error, Some(&fatal.text));
    }

    fn close_queues(&mut self) {
        for state in self.topics.values() {
            state.topic.stage().queue().close();
        }
        for lane in self.sender.lanes_mut() {
            lane.partition.queue().close();
        }
    }

    fn fail_waiting(&mut self, error: DeliveryError, why: Option<&Arc<str>>) {
        // Some may have been made since the last look.
        for topic in self.accumulator.all() {
            self.meet(topic);
        }
        for state in self.topics.values_mut() {
            state.purge_stage(&self.core, error, why);
        }
        for lane in self.sender.lanes_mut() {
            lane.purge_waiting(&self.core, error, why);
        }
    }

    fn fail_in_flight(&mut self, error: DeliveryError, why: Option<&Arc<str>>) {
        for lane in self.sender.lanes_mut() {
            lane.purge_in_flight(&self.core, error, why);
        }
    }

    /// Messages held, counted where they are; for tests of the balance.
    pub fn count_held(&self) -> u64 {
        let staged: u64 = self
            .topics
            .values()
            .map(|state| state.topic.stage().queue().unsettled())
            .sum();
        let lanes = self.sender.lanes().map(|(_, lane)| {
            let (waiting, in_flight) = lane.unsettled();
            waiting + in_flight + lane.unreported()
        });
        staged + lanes.sum::<u64>()
    }

    fn undelivered(&self) -> Vec<Undelivered> {
        let staged = self.topics.values().map(|state| {
            let count = state.topic.stage().queue().unsettled();
            (
                &state.topic,
                Place::NoMetadata,
                self.trouble_of(state),
                count,
            )
        });
        let lanes = self.sender.lanes().flat_map(|(_, lane)| {
            let (waiting, in_flight) = lane.unsettled();
            let last_error = lane.last_error().or(self.trouble_at(lane.leader)).cloned();
            [
                (
                    &lane.topic,
                    lane.waiting_place(),
                    last_error.clone(),
                    waiting,
                ),
                (&lane.topic, Place::InFlight, last_error, in_flight),
            ]
        });
        let mut sums = BTreeMap::new();
        for (topic, place, last_error, count) in staged.chain(lanes).filter(|(.., n)| *n > 0) {
            *sums
                .entry((Arc::clone(topic.name()), place, last_error))
                .or_insert(0) += count;
        }
        let sums = sums.into_iter();
        sums.map(|((topic, place, last_error), count)| Undelivered {
            topic,
            place,
            last_error,
            count,
        })
        .collect()
    }

    fn fire(&mut self, timer: Timer, now: Time) {
        match timer {
            Timer::Outlet(node) => self.serve(node, now),
            Timer::Reconnect(node) => self.backoff_over(node, now),
            Timer::Connection(conn) => self.check_connection(conn, now),
            Timer::Lane(lane) => self.expire_lane(lane, now),
            Timer::Stage(slot) => self.expire_stage(slot, now),
            Timer::Refresh | Timer::Identity => {}
            Timer::Pool => self.core.memory.trim(),
        }
    }

    fn expire_lane(&mut self, index: u32, now: Time) {
        let leader = self.sender.lane(index).leader;
        let trouble = self.trouble_at(leader);
        let trouble = trouble.or(self.sender.identities.last_error.as_ref());
        let trouble = trouble.cloned();
        let lane = self.sender.lane_mut(index);
        lane.expire(&self.core, now, trouble.as_ref());
        let slot = lane.topic.slot();
        self.expire_vanished(index, now);
        self.forget_wait(slot);
        self.lane_changed(index, now);
    }

    fn lane_changed(&mut self, index: u32, now: Time) {
        let lane = self.sender.lane(index);
        let propagation_max = self.core.settings.topic_propagation_max;
        let given_up = lane
            .vanished()
            .map_or(Time::NEVER, |at| at.after(propagation_max));
        self.timers
            .arm(Timer::Lane(index), lane.next_expiry().min(given_up));
        self.list(index, now);
    }

    fn hurry(&mut self, now: Time) {
        for node in self.sender.hurry() {
            self.serve(node, now);
        }
    }

    /// Sees to it that what a lane has to send is sent.
    fn list(&mut self, index: u32, now: Time) {
        let listed = self.sender.list(index);
        let lane = self.sender.lane(index);
        match listed {
            Some(leader) => self.serve(leader, now),
            None if lane.leader.is_none() && lane.has_messages() => self.cluster.refresh.want(),
            None => {}
        }
    }

    fn list_all(&mut self, now: Time) {
        (0..self.sender.next_lane()).for_each(|lane| self.list(lane, now));
    }

    fn relist(&mut self, shipments: &[Shipment], now: Time) {
        for shipment in shipments {
            self.list(shipment.lane, now);
        }
    }

    /// Gets a broker what is waiting for it: now, when it is due, or when the broker is there.
    fn serve(&mut self, node: NodeId, now: Time) {
        let due = self.sender.due(node);
        match self.cluster.get(node).map(|node| node.link) {
            Some(Link::Up(conn)) if due <= now => {
                self.line_up_more(conn, now);
                self.sendable.push_back(conn);
            }
            Some(Link::Up(_)) => self.timers.arm(Timer::Outlet(node), due),
            Some(Link::Down) if due != Time::NEVER => self.connect(node, now),
            None if due != Time::NEVER => self.cluster.refresh.want(),
            Some(_) | None => {}
        }
    }

    fn produced(
        &mut self,
        conn: ConnId,
        question: Question,
        response: &ProduceResponse<'_>,
        shipments: Vec<Shipment>,
        now: Time,
    ) {
        let (node, broker) = match self.connections.get(&conn) {
            Some(connection) => (connection.node, connection.endpoint.clone()),
            None => return,
        };
        let lanes = shipments.clone();
        self.hear_of_leaders(response, now);
        let name = broker.to_string();
        let verdict = self.sender.answered(
            response,
            shipments,
            (node, &name),
            &self.cluster,
            now,
            &mut self.random,
        );
        if verdict.leaders_moved {
            self.cluster.refresh.want();
        }
        match verdict.nonsense {
            None => self.proven(conn),
            Some(source) => {
                let trouble = Trouble::Nonsense { question, source };
                let error = ConnectionError { broker, trouble };
                let why: Arc<str> = error.to_string().into();
                self.sender
                    .lost(verdict.unanswered, &why, now, &mut self.random);
                self.drop_connection(conn, &error, now);
            }
        }
        for refusal in &verdict.refusals {
            if refusal.code == ErrorCode::UNKNOWN_TOPIC_ID {
                self.disbelieve(refusal.lane, refusal.topic_id);
            }
            self.complain_of(refusal, now);
        }
        let recovered = verdict.recovered.iter();
        let topics: BTreeSet<u32> = recovered
            .map(|lane| self.sender.lane(*lane).topic.slot())
            .collect();
        for slot in topics {
            self.relieved(slot);
        }
        self.relist(&lanes, now);
    }

    /// Gets to know the leaders that an answer names (KIP-951).
    fn hear_of_leaders(&mut self, response: &ProduceResponse<'_>, now: Time) {
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let leaders: BTreeSet<i32> = partitions.map(|p| p.current_leader.leader_id).collect();
        let endpoints = response.node_endpoints.iter();
        for node in endpoints.filter(|node| leaders.contains(&node.node_id)) {
            if let Some(conn) = self.cluster.hear_of(node) {
                self.dismiss(conn, now);
            }
        }
    }

    fn complain_of_codec(&mut self, lane: u32, why: &str, now: Time) {
        let topic = &self.sender.lane(lane).topic;
        let subject = Subject::Codec(topic.slot());
        match self.complaints.complain(subject, Reason::CodecFails, now) {
            Some(unsaid) => say!(
                self.core.settings, WARN Msg,
                topic = %topic.name(),
                "a batch goes uncompressed: {why}{unsaid}"
            ),
            None => say!(
                self.core.settings, DEBUG Msg,
                topic = %topic.name(),
                "a batch goes uncompressed: {why}"
            ),
        }
    }

    /// Says that a broker is older than the codec of a topic.
    fn complain_of_age(&mut self, lane: u32, conn: ConnId, now: Time) {
        let topic = &self.sender.lane(lane).topic;
        let connection = self.connections.get(&conn);
        let compression = topic.settings().compression(&self.core.settings);
        let (Some(connection), Some(Compression { codec, .. })) = (connection, compression) else {
            return;
        };
        let subject = Subject::Codec(topic.slot());
        let reason = Reason::TooOldForCodec;
        let (topic, broker) = (topic.name(), &connection.endpoint);
        let needed = codec.oldest_produce();
        if let Some(unsaid) = self.complaints.complain(subject, reason, now) {
            say!(
                self.core.settings, WARN Msg,
                %topic,
                "batches go uncompressed: {codec} needs Produce {needed}, and {broker} is older; \
                 choose another codec, or newer brokers{unsaid}"
            );
        }
    }

    fn complain_of(&mut self, refusal: &Refusal, now: Time) {
        let lane = self.sender.lane(refusal.lane);
        let (topic, partition) = (lane.topic.name(), lane.partition.index());
        let subject = Subject::Batches(lane.topic.slot());
        let reason = Reason::Code(refusal.code);
        match self.complaints.complain(subject, reason, now) {
            Some(unsaid) => {
                say!(self.core.settings, WARN Msg, %topic, partition, "{}{unsaid}", refusal.text)
            }
            None => say!(self.core.settings, DEBUG Msg, %topic, partition, "{}", refusal.text),
        }
    }

    /// Batches of a topic were delivered, after some that were not.
    fn relieved(&mut self, slot: u32) {
        let Some(state) = self.topics.get(&slot) else {
            return;
        };
        let mut lanes = state.lanes.iter().map(|lane| self.sender.lane(*lane));
        let well = lanes.all(|lane| lane.last_error().is_none());
        if well && self.complaints.over(&Subject::Batches(slot)) {
            say!(
                self.core.settings, INFO Msg,
                topic = %state.topic.name(), "batches are delivered again"
            );
        }
    }
}
