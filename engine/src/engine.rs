//! The I/O thread's part of the producer, joined together: brokers, connections, lanes, deadlines.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::message::{ApiKey, ProduceResponse};
use kafka_wire::message::{MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataTopic};
use kafka_wire::{ErrorCode, Uuid};
use tracing::{debug, info, warn};

use crate::accumulator::{Accumulator, Batch, Core, Partition, Route, Settlement, Topic, Work};
use crate::backoff::backoff;
use crate::cluster::{Changes, Cluster, Link, NodeId, Refresh};
use crate::connection::{Answer, ConnId, Connection, ConnectionError, Transmit, Trouble};
use crate::error::{DeliveryError, Failure, Place};
use crate::report::SettledOutcome;
use crate::sender::{Lane, Sender, Shipment, settle};
use crate::settings::Endpoint;
use crate::time::Time;
use crate::timers::Timers;

/// While no broker answers, another one is tried after so long.
const NEXT_CANDIDATE: Duration = Duration::from_millis(500);

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
    connections: HashMap<ConnId, Connection>,
    next_conn: u64,
    timers: Timers<Timer>,
    events: VecDeque<Event>,
    sendable: VecDeque<ConnId>,
    random: fastrand::Rng,
}

/// What the I/O thread knows of a topic.
#[derive(Debug)]
struct TopicState {
    topic: Arc<Topic>,
    lanes: Vec<u32>,
    /// Since when messages wait while the cluster says that there is no such topic.
    unknown_since: Option<Time>,
    last_error: Option<Arc<str>>,
}

impl Engine {
    /// The engine behind `accumulator`, about to find its cluster. `seed` makes its random choices
    /// repeatable.
    pub fn new(accumulator: &Arc<Accumulator>, seed: u64) -> Self {
        let core = Arc::clone(accumulator.core());
        Self {
            cluster: Cluster::new(&core.settings.bootstrap, Refresh::new(&core.settings)),
            sender: Sender::new(&core),
            accumulator: Arc::clone(accumulator),
            core,
            topics: BTreeMap::new(),
            connections: HashMap::new(),
            next_conn: 0,
            timers: Timers::new(),
            events: VecDeque::new(),
            sendable: VecDeque::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Looks at what publishers left, and does what is due. To be called first, when roused, when
    /// [`Engine::rest`] says so, and after whatever else the engine was told.
    pub fn advance(&mut self, now: Time) {
        for work in self.core.look() {
            match work {
                Work::Topic(slot) => self.stage_changed(slot, now),
                Work::Partition(lane) => {
                    self.use_memory(now);
                    self.lane_changed(lane, now);
                }
                Work::Control => self.hurry(now),
            }
        }
        while let Some(timer) = self.timers.pop(now) {
            self.fire(timer, now);
        }
        self.refresh_metadata(now);
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
        let connection = self.connections.get_mut(&conn)?;
        let settings = &self.core.settings;
        let node = connection.node;
        let transmit = connection.next_output().or_else(|| {
            // An answer makes room again, and gets the connection polled again.
            if connection.versions().is_none() || connection.in_flight() >= settings.max_in_flight {
                return None;
            }
            let cargo = self.sender.collect(node, now);
            let transmit = cargo.and_then(|cargo| self.sender.dispatch(cargo, connection, now));
            self.timers.arm(Timer::Outlet(node), self.sender.due(node));
            transmit
        });
        self.timers
            .arm(Timer::Connection(conn), connection.deadline(settings));
        transmit
    }

    /// What [`Engine::poll_transmit`] gave is written.
    pub fn transmitted(&mut self, conn: ConnId, now: Time) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        if let Some(shipments) = connection.transmitted(now) {
            self.sender.written(&shipments);
            self.relist(&shipments, now);
        }
    }

    /// A connection is open.
    pub fn opened(&mut self, conn: ConnId, now: Time) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match connection.opened(now) {
            Ok(()) => self.sendable.push_back(conn),
            Err(error) => self.drop_connection(conn, &error, now),
        }
    }

    /// A connection could not be made, or is gone.
    pub fn closed(&mut self, conn: ConnId, reason: &str, now: Time) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        let error = connection.lost(reason);
        self.drop_connection(conn, &error, now);
    }

    /// An answer arrived: a whole frame without its length.
    pub fn receive(&mut self, conn: ConnId, frame: &[u8], now: Time) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match connection.receive(frame, now) {
            Ok(Answer::Again) => {}
            Ok(Answer::Ready) => self.ready(conn, now),
            Ok(Answer::Metadata(response)) => self.learn(&response, now),
            Ok(Answer::Produce(response, shipments)) => {
                self.produced(conn, &response, shipments, now);
            }
            Err(error) => return self.drop_connection(conn, &error, now),
        }
        self.sendable.push_back(conn);
    }

    /// Fails messages without waiting for their delivery.
    pub fn purge(&mut self, purge: Purge) {
        if purge.queued {
            // Some may have been made since the last look.
            for topic in self.accumulator.all() {
                self.meet(topic);
            }
            for state in self.topics.values_mut() {
                state.purge_stage(&self.core, DeliveryError::PurgedQueued, Place::NoMetadata);
            }
            for lane in self.sender.lanes_mut() {
                lane.purge_waiting(&self.core, DeliveryError::PurgedQueued, None);
            }
        }
        if purge.in_flight {
            for lane in self.sender.lanes_mut() {
                lane.purge_in_flight(&self.core);
            }
        }
    }

    /// The end: nothing is accepted any more, and what was not delivered fails. Returns what that
    /// was.
    pub fn close(&mut self, now: Time) -> Vec<Undelivered> {
        self.accumulator.close();
        // Topics that were made since the last look.
        self.advance(now);
        for state in self.topics.values() {
            state.topic.stage().queue().close();
        }
        for lane in self.sender.lanes_mut() {
            lane.partition.queue().close();
        }
        let undelivered = self.undelivered();
        self.purge(Purge {
            queued: true,
            in_flight: true,
        });
        undelivered
    }

    /// Messages held, counted where they are; for tests of the balance.
    pub fn count_held(&self) -> u64 {
        let staged: u64 = self
            .topics
            .values()
            .map(|state| state.topic.stage().queue().unsettled())
            .sum();
        let lanes = self.sender.lanes().map(|(_, lane)| lane.unsettled());
        staged
            + lanes
                .map(|(waiting, in_flight)| waiting + in_flight)
                .sum::<u64>()
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

    // Deadlines.

    fn fire(&mut self, timer: Timer, now: Time) {
        match timer {
            Timer::Outlet(node) => self.serve(node, now),
            Timer::Reconnect(node) => self.backoff_over(node, now),
            Timer::Connection(conn) => self.check_connection(conn, now),
            Timer::Lane(lane) => self.expire_lane(lane, now),
            Timer::Stage(slot) => self.expire_stage(slot, now),
            Timer::Refresh => {}
            Timer::Pool => {
                if self.core.memory.trim() {
                    self.timers.arm(Timer::Pool, now.after(POOL_IDLE));
                }
            }
        }
    }

    fn check_connection(&mut self, conn: ConnId, now: Time) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        let settings = &self.core.settings;
        match connection.overdue(settings, now) {
            Some(error) => self.drop_connection(conn, &error, now),
            None => {
                let deadline = connection.deadline(settings);
                self.timers.arm(Timer::Connection(conn), deadline);
            }
        }
    }

    fn expire_lane(&mut self, index: u32, now: Time) {
        let leader = self.sender.lane(index).leader;
        let trouble = self.trouble_at(leader).cloned();
        let lane = self.sender.lane_mut(index);
        lane.expire(&self.core, now, trouble.as_ref());
        self.timers.arm(Timer::Lane(index), lane.next_expiry());
    }

    fn expire_stage(&mut self, slot: u32, now: Time) {
        let Some(trouble) = self.topics.get(&slot).map(|state| self.trouble_of(state)) else {
            return;
        };
        let propagation_max = self.core.settings.topic_propagation_max;
        let state = self.topics.get_mut(&slot).expect("looked up above");
        if let Some(timeout) = state.topic.settings().message_timeout {
            let failure = Arc::new(Failure::unsent(
                DeliveryError::TimedOut,
                Place::NoMetadata,
                trouble,
            ));
            state
                .topic
                .stage()
                .expire(now, timeout, |batch, settlement| {
                    let outcome = SettledOutcome::Failed(Arc::clone(&failure));
                    settle(&self.core, &state.topic, -1, batch, settlement, outcome);
                });
        }
        state.forget_wait();
        let given_up = |since: Time| since.after(propagation_max) <= now;
        if state.unknown_since.is_some_and(given_up) {
            state.purge_stage(&self.core, DeliveryError::UnknownTopic, Place::NoMetadata);
        }
        self.arm_stage(slot);
    }

    fn arm_stage(&mut self, slot: u32) {
        let Some(state) = self.topics.get(&slot) else {
            return;
        };
        let timeout = state.topic.settings().message_timeout;
        let expiry = timeout.map_or(Time::NEVER, |t| state.topic.stage().queue().next_expiry(t));
        let propagation_max = self.core.settings.topic_propagation_max;
        let given_up = state
            .unknown_since
            .map_or(Time::NEVER, |s| s.after(propagation_max));
        self.timers.arm(Timer::Stage(slot), expiry.min(given_up));
    }

    // What publishers left.

    fn stage_changed(&mut self, slot: u32, now: Time) {
        self.meet(self.accumulator.at(slot));
        self.cluster.refresh.want();
        self.arm_stage(slot);
        self.use_memory(now);
    }

    fn meet(&mut self, topic: Arc<Topic>) {
        if let Entry::Vacant(unmet) = self.topics.entry(topic.slot()) {
            unmet.insert(TopicState {
                topic,
                lanes: Vec::new(),
                unknown_since: None,
                last_error: None,
            });
            self.cluster.refresh.want_urgently();
        }
    }

    fn lane_changed(&mut self, index: u32, now: Time) {
        let expiry = self.sender.lane(index).next_expiry();
        self.timers.arm(Timer::Lane(index), expiry);
        self.list(index, now);
    }

    fn use_memory(&mut self, now: Time) {
        self.core.memory.top_up();
        self.timers.arm(Timer::Pool, now.after(POOL_IDLE));
    }

    fn hurry(&mut self, now: Time) {
        for node in self.sender.hurry() {
            self.serve(node, now);
        }
    }

    // From lanes to brokers.

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

    fn relist(&mut self, shipments: &[Shipment], now: Time) {
        for shipment in shipments {
            self.list(shipment.lane, now);
        }
    }

    /// Gets a broker what is waiting for it: now, when it is due, or when the broker is there.
    fn serve(&mut self, node: NodeId, now: Time) {
        let due = self.sender.due(node);
        match self.cluster.get(node).map(|node| node.link) {
            Some(Link::Up(conn)) if due <= now => self.sendable.push_back(conn),
            Some(Link::Up(_)) => self.timers.arm(Timer::Outlet(node), due),
            Some(Link::Down) if due != Time::NEVER => self.connect(node, now),
            None if due != Time::NEVER => self.cluster.refresh.want(),
            Some(_) | None => {}
        }
    }

    fn connect(&mut self, id: NodeId, now: Time) {
        let Some(node) = self.cluster.get_mut(id) else {
            return;
        };
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        node.link = Link::Opening(conn, now);
        let endpoint = node.endpoint.clone();
        let connection = Connection::new(id, endpoint.clone(), &self.core.settings, now);
        self.timers.arm(
            Timer::Connection(conn),
            connection.deadline(&self.core.settings),
        );
        self.connections.insert(conn, connection);
        self.events.push_back(Event::Connect { conn, endpoint });
    }

    fn ready(&mut self, conn: ConnId, now: Time) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        let id = connection.node;
        if let Some(node) = self.cluster.get_mut(id) {
            if node.failures > 0 {
                info!(broker = %node.endpoint, "connected again");
            }
            node.connected(conn);
        }
        self.serve(id, now);
    }

    /// Ends a connection: its broker is tried again later, its batches are sent again.
    fn drop_connection(&mut self, conn: ConnId, error: &ConnectionError, now: Time) {
        let Some(connection) = self.connections.remove(&conn) else {
            return;
        };
        self.events.push_back(Event::Disconnect { conn });
        self.cluster.refresh.lost(conn);
        let id = connection.node;
        let shipments = connection.into_shipments();
        let idle = matches!(error.trouble, Trouble::Idle | Trouble::Dismissed);
        // Brokers close connections that are idle for long: that is no news.
        let unneeded = matches!(error.trouble, Trouble::Lost { .. })
            && shipments.is_empty()
            && self.sender.due(id) == Time::NEVER;
        if self
            .cluster
            .get(id)
            .is_some_and(|node| node.connection() == Some(conn))
        {
            self.back_off(id, error, unneeded, now);
        }
        if !idle {
            // Its partitions may have another leader by now.
            self.cluster.refresh.want();
        }
        let why: Arc<str> = error.to_string().into();
        self.sender.lost(&shipments, &why, now, &mut self.random);
        self.relist(&shipments, now);
        // Something may have become due for it at this very moment.
        self.serve(id, now);
    }

    fn back_off(&mut self, id: NodeId, error: &ConnectionError, unneeded: bool, now: Time) {
        let settings = &self.core.settings;
        let (first, max) = (settings.reconnect_backoff, settings.reconnect_backoff_max);
        let Some(node) = self.cluster.get_mut(id) else {
            return;
        };
        if matches!(error.trouble, Trouble::Idle | Trouble::Dismissed) {
            node.link = Link::Down;
            debug!("{error}");
            return;
        }
        node.failures += 1;
        node.last_error = Some(error.to_string().into());
        let wait = backoff(first, max, node.failures, 0.75..=1.5, &mut self.random);
        let until = now.after(wait);
        node.link = Link::Backoff(until);
        self.timers.arm(Timer::Reconnect(id), until);
        match node.failures {
            1 if !unneeded => warn!("{error}; trying again until it works"),
            failures => debug!(failures, ?wait, "{error}"),
        }
    }

    fn backoff_over(&mut self, id: NodeId, now: Time) {
        let Some(node) = self.cluster.get_mut(id) else {
            return;
        };
        match node.link {
            Link::Backoff(until) if until <= now => node.link = Link::Down,
            Link::Backoff(until) => self.timers.arm(Timer::Reconnect(id), until),
            _ => {}
        }
        self.serve(id, now);
    }

    // Answers.

    fn produced(
        &mut self,
        conn: ConnId,
        response: &ProduceResponse<'_>,
        shipments: Vec<Shipment>,
        now: Time,
    ) {
        let broker = match self.connections.get(&conn) {
            Some(connection) => connection.endpoint.clone(),
            None => return,
        };
        let lanes = shipments.clone();
        let name = broker.to_string();
        let verdict = self
            .sender
            .answered(response, shipments, &name, now, &mut self.random);
        if verdict.leaders_moved {
            self.cluster.refresh.want();
        }
        if !verdict.unanswered.is_empty() {
            let error = ConnectionError {
                broker,
                trouble: Trouble::Incomplete {
                    api: ApiKey::Produce,
                },
            };
            let why: Arc<str> = error.to_string().into();
            self.sender
                .lost(&verdict.unanswered, &why, now, &mut self.random);
            self.drop_connection(conn, &error, now);
        }
        self.relist(&lanes, now);
    }

    /// Takes over what an answer to Metadata says.
    fn learn(&mut self, response: &MetadataResponse<'_>, now: Time) {
        let changes = self.cluster.update(&response.brokers);
        self.apply(changes, now);
        let slots: Vec<u32> = self.topics.keys().copied().collect();
        let mut complete = !response.brokers.is_empty();
        for slot in slots {
            let name = Arc::clone(self.topics[&slot].topic.name());
            // A topic that was opened after the question was asked is not in the answer.
            let answer = response
                .topics
                .iter()
                .find(|topic| topic.name == Some(&name));
            if let Some(answer) = answer {
                self.learn_topic(slot, answer, now);
            }
            complete &= !self.needs_metadata(slot);
        }
        self.cluster
            .refresh
            .answered(complete, now, &mut self.random);
    }

    fn apply(&mut self, changes: Changes, now: Time) {
        if let Some((conn, node)) = changes.adopted
            && let Some(connection) = self.connections.get_mut(&conn)
        {
            connection.node = node;
        }
        for conn in changes.obsolete {
            if let Some(connection) = self.connections.get(&conn) {
                let broker = connection.endpoint.clone();
                let error = ConnectionError {
                    broker,
                    trouble: Trouble::Dismissed,
                };
                self.drop_connection(conn, &error, now);
            }
        }
    }

    fn learn_topic(&mut self, slot: u32, answer: &MetadataTopic<'_>, now: Time) {
        let code = answer.error_code;
        let usable = code.is_ok() || code == ErrorCode::LEADER_NOT_AVAILABLE;
        if usable && !answer.partitions.is_empty() {
            self.update_partitions(slot, answer, now);
            return;
        }
        let Some(state) = self.topics.get_mut(&slot) else {
            return;
        };
        let text: Arc<str> = format!("{} ({})", code.name(), code.text()).into();
        state.last_error = Some(Arc::clone(&text));
        if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && state.lanes.is_empty() {
            let waiting = state.topic.stage().queue().unsettled() > 0;
            state.unknown_since = state.unknown_since.or(waiting.then_some(now));
        } else if !code.is_retriable() && !code.is_ok() {
            warn!(topic = %state.topic.name(), "{text}");
            let error = DeliveryError::Broker(code);
            state.purge_stage(&self.core, error, Place::NoMetadata);
            for lane in state.lanes.clone() {
                self.sender
                    .lane_mut(lane)
                    .purge_waiting(&self.core, error, Some(text.clone()));
            }
        }
        self.arm_stage(slot);
    }

    fn update_partitions(&mut self, slot: u32, answer: &MetadataTopic<'_>, now: Time) {
        let Some(state) = self.topics.get_mut(&slot) else {
            return;
        };
        state.unknown_since = None;
        state.last_error = None;
        // Partitions are numbered without gaps: what is listed says how many there are, never a
        // number that a peer claims.
        for index in state.lanes.len()..answer.partitions.len() {
            let lane = self.sender.next_lane();
            let partition =
                Partition::new(index as i32, lane, self.core.limits(), &self.core.memory);
            state.lanes.push(lane);
            self.sender
                .add(Lane::new(Arc::clone(&state.topic), Arc::new(partition)));
        }
        let lanes = state.lanes.clone();
        for partition in &answer.partitions {
            let Some(index) = usize::try_from(partition.partition_index)
                .ok()
                .and_then(|index| lanes.get(index).copied())
            else {
                continue;
            };
            let lane = self.sender.lane_mut(index);
            let former = lane.leader;
            if lane.update_leader(answer.topic_id, partition)
                && let Some(former) = former
            {
                self.sender.unlist(index, former);
            }
        }
        self.lay_route(slot, now);
        for lane in lanes {
            self.lane_changed(lane, now);
        }
    }

    fn lay_route(&mut self, slot: u32, now: Time) {
        let Some(state) = self.topics.get(&slot) else {
            return;
        };
        let lanes = || state.lanes.iter().map(|lane| self.sender.lane(*lane));
        let led = (0..).zip(lanes()).filter(|(_, lane)| lane.leader.is_some());
        let available: Vec<u32> = led.map(|(index, _)| index).collect();
        let current = state.topic.route();
        if current.partitions.len() == state.lanes.len() && current.available == available {
            return;
        }
        let partitions = lanes().map(|lane| Arc::clone(&lane.partition)).collect();
        let count = state.lanes.len();
        state.topic.lay_route(
            Route {
                partitions,
                available,
            },
            now,
            |target, mut batch| {
                let text = format!("partition {target} of {count}").into();
                let error = DeliveryError::UnknownPartition;
                let failure = Arc::new(Failure::unsent(error, Place::Queued, Some(text)));
                let settlement = batch.settle(batch.count());
                let outcome = SettledOutcome::Failed(failure);
                settle(
                    &self.core,
                    &state.topic,
                    target,
                    &batch,
                    settlement,
                    outcome,
                );
            },
        );
    }

    // Metadata.

    /// Whether messages of a topic wait for metadata.
    fn needs_metadata(&self, slot: u32) -> bool {
        let state = &self.topics[&slot];
        let staged = state.topic.stage().queue().unsettled() > 0;
        let stranded = state.lanes.iter().any(|lane| {
            let lane = self.sender.lane(*lane);
            let led = lane
                .leader
                .is_some_and(|leader| self.cluster.get(leader).is_some());
            !led && lane.has_messages()
        });
        staged || stranded
    }

    fn refresh_metadata(&mut self, now: Time) {
        if !self.cluster.refresh.is_due(now) {
            self.timers
                .arm(Timer::Refresh, self.cluster.refresh.next_due());
            return;
        }
        let usable = self
            .connections
            .iter()
            .filter(|(_, c)| c.versions().is_some());
        match usable
            .min_by_key(|(conn, c)| (c.in_flight(), **conn))
            .map(|(conn, _)| *conn)
        {
            Some(conn) => self.ask_metadata(conn, now),
            None => self.find_broker(now),
        }
    }

    fn ask_metadata(&mut self, conn: ConnId, now: Time) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        // A topic that is open with two settings is still one.
        let states = self.topics.values();
        let names: BTreeSet<&str> = states.map(|state| &**state.topic.name()).collect();
        let topics = names.into_iter().map(|name| MetadataRequestTopic {
            topic_id: Uuid::ZERO,
            name: Some(name),
        });
        let request = MetadataRequest {
            topics: Some(topics.collect()),
            allow_auto_topic_creation: true,
            ..MetadataRequest::default()
        };
        let deadline = now.after(self.core.settings.request_timeout);
        match connection.ask_metadata(&request, deadline) {
            Ok(()) => {
                self.cluster.refresh.ask(conn);
                self.sendable.push_back(conn);
                self.timers.arm(Timer::Connection(conn), deadline);
            }
            Err(error) => self.drop_connection(conn, &error, now),
        }
    }

    /// Connects to some broker: another one whenever the last does not answer soon.
    fn find_broker(&mut self, now: Time) {
        let next_try = self
            .cluster
            .opening_since()
            .map(|since| since.after(NEXT_CANDIDATE));
        if let Some(at) = next_try.filter(|at| *at > now) {
            self.timers.arm(Timer::Refresh, at);
            return;
        }
        let candidates = self.cluster.candidates();
        let down = |id: &NodeId| self.cluster.get(*id).is_some_and(|n| n.link == Link::Down);
        if let Some(candidate) = candidates.into_iter().find(down) {
            self.connect(candidate, now);
            self.timers.arm(Timer::Refresh, now.after(NEXT_CANDIDATE));
        }
    }

    // What is wrong.

    fn trouble_at(&self, leader: Option<NodeId>) -> Option<&Arc<str>> {
        leader.and_then(|leader| self.cluster.get(leader)?.last_error.as_ref())
    }

    fn trouble_of(&self, state: &TopicState) -> Option<Arc<str>> {
        state
            .last_error
            .clone()
            .or_else(|| self.cluster.last_error())
    }
}

impl TopicState {
    /// Messages that come later have all of `topic.metadata.propagation.max.ms` again.
    fn forget_wait(&mut self) {
        if self.topic.stage().queue().unsettled() == 0 {
            self.unknown_since = None;
        }
    }

    fn purge_stage(&mut self, core: &Core, error: DeliveryError, place: Place) {
        let failure = Arc::new(Failure::unsent(error, place, self.last_error.clone()));
        self.topic
            .stage()
            .purge(|batch: &Batch, settlement: Settlement| {
                let outcome = SettledOutcome::Failed(Arc::clone(&failure));
                settle(core, &self.topic, -1, batch, settlement, outcome);
            });
        self.forget_wait();
    }
}
