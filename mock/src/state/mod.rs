//! What is so in the cluster: nodes, topics, leaders, logs, producers, and what clients asked.

mod batch;
mod log;
mod producers;
mod record;
mod seen;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kafka_protocol::ResponseError;
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;
use uuid::Uuid;

use crate::Profile;
use crate::fault::Faults;

pub(crate) use batch::{Rejection, records};
pub(crate) use producers::ProducerRules;
pub use record::Record;
pub use seen::RequestSeen;
pub(crate) use seen::Seen;
pub(crate) use topic::{Append, Appended, Partition, Topic, TopicSettings, check_name};
pub use topic::{PartitionSummary, TopicSummary};

/// Of each partition, where there are as many nodes.
const USUAL_REPLICAS: usize = 3;
/// All partitions of a cluster together: each costs memory.
const MOST_PARTITIONS: usize = 10_000;
/// Of different refusals in the log: clients can make up as many as they like.
const MOST_REFUSALS: usize = 100;
/// Kafka gives out its first producer id so.
const FIRST_PRODUCER_ID: i64 = 0;

/// The state, and who waits for it to change.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<Guarded>,
    /// For threads.
    changed: Condvar,
    /// For tasks: counts the changes.
    pulse: watch::Sender<u64>,
}

#[derive(Debug)]
struct Guarded {
    state: State,
    changes: u64,
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(Guarded { state, changes: 0 }),
            changed: Condvar::new(),
            pulse: watch::Sender::new(0),
        }
    }

    pub(crate) fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        at(&self.state.lock().state)
    }

    /// Wakes everybody who waits for a change.
    pub(crate) fn change<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        self.change_if(|state| (what(state), true))
    }

    /// Wakes them only if it says that something has changed.
    pub(crate) fn change_if<T>(&self, what: impl FnOnce(&mut State) -> (T, bool)) -> T {
        let mut guarded = self.state.lock();
        let (outcome, changed) = what(&mut guarded.state);
        if !changed {
            return outcome;
        }
        guarded.changes += 1;
        self.pulse.send_replace(guarded.changes);
        drop(guarded);
        self.changed.notify_all();
        outcome
    }

    /// Tells of every change from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.pulse.subscribe()
    }

    /// Asks `until` now and after every change, until it has an answer or the time is over.
    pub(crate) fn wait<T>(
        &self,
        timeout: Duration,
        mut until: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        // None: so late that it never comes.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            // Read before asking: a change meanwhile must not be slept through.
            let asked_at = self.state.lock().changes;
            if let Some(answer) = until() {
                return Some(answer);
            }
            let mut guarded = self.state.lock();
            while guarded.changes == asked_at {
                let Some(deadline) = deadline else {
                    self.changed.wait(&mut guarded);
                    continue;
                };
                if self.changed.wait_until(&mut guarded, deadline).timed_out() {
                    drop(guarded);
                    return until();
                }
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) cluster_id: String,
    pub(crate) nodes: BTreeMap<i32, Node>,
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) faults: Faults,
    pub(crate) seen: Seen,
    connections: u64,
    next_producer_id: i64,
    /// What the log has told of what clients were refused.
    refusals: BTreeSet<String>,
}

/// What the cluster was built with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) profile: Profile,
    /// How many partitions a topic gets that is created because somebody asks for it.
    pub(crate) auto_create: Option<i32>,
    /// How many partitions a topic gets that is created without saying so.
    pub(crate) partitions: i32,
    pub(crate) topic: TopicSettings,
}

#[derive(Debug)]
pub(crate) struct Node {
    /// What Metadata says.
    pub(crate) advertised: SocketAddr,
    pub(crate) up: bool,
    pub(crate) accepted: u64,
}

impl State {
    pub(crate) fn new(settings: Settings, nodes: BTreeMap<i32, SocketAddr>) -> Self {
        let up = |address| Node {
            advertised: address,
            up: true,
            accepted: 0,
        };
        Self {
            settings,
            cluster_id: "kafka-mock".to_owned(),
            nodes: nodes.into_iter().map(|(id, at)| (id, up(at))).collect(),
            topics: BTreeMap::new(),
            faults: Faults::default(),
            seen: Seen::default(),
            connections: 0,
            next_producer_id: FIRST_PRODUCER_ID,
            refusals: BTreeSet::new(),
        }
    }

    /// What clients of this node see.
    pub(crate) fn profile(&self, node: i32) -> Profile {
        self.faults.profile(node).unwrap_or(self.settings.profile)
    }

    pub(crate) fn nodes_up(&self) -> impl Iterator<Item = (i32, &Node)> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.up)
            .map(|(id, node)| (*id, node))
    }

    /// Each node whose number is there, once.
    pub(crate) fn nodes_among(
        &self,
        numbers: impl Iterator<Item = i32>,
    ) -> impl Iterator<Item = (i32, &Node)> {
        let numbers: BTreeSet<i32> = numbers.collect();
        self.nodes
            .iter()
            .filter(move |(id, _)| numbers.contains(id))
            .map(|(id, node)| (*id, node))
    }

    /// The node with the lowest number, of those that are up.
    pub(crate) fn controller(&self) -> Option<i32> {
        self.nodes_up().next().map(|(id, _)| id)
    }

    /// A topic as it is when nobody says how it should be, at the nodes that are up in turn.
    pub(crate) fn create_usual_topic(
        &mut self,
        name: &str,
        partitions: i32,
    ) -> Result<Uuid, Rejection> {
        self.check_topic(name, partitions)?;
        let replicas = self.spread(partitions, self.usual_replication())?;
        self.create_topic(name, replicas, self.settings.topic)
    }

    /// `replicas`: the nodes of each partition; the first one leads it.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        replicas: Vec<Vec<i32>>,
        settings: TopicSettings,
    ) -> Result<Uuid, Rejection> {
        self.check_topic(name, i32::try_from(replicas.len()).unwrap_or(i32::MAX))?;
        let id = Uuid::from_u128(fastrand::u128(1..));
        let topic = Topic {
            id,
            settings,
            partitions: replicas.into_iter().map(Partition::new).collect(),
        };
        self.topics.insert(name.to_owned(), topic);
        Ok(id)
    }

    pub(crate) fn usual_replication(&self) -> usize {
        self.nodes_up().count().min(USUAL_REPLICAS)
    }

    /// The nodes of each partition, from those that are up.
    pub(crate) fn spread(
        &self,
        partitions: i32,
        replication: usize,
    ) -> Result<Vec<Vec<i32>>, Rejection> {
        let nodes: Vec<i32> = self.nodes_up().map(|(id, _)| id).collect();
        if replication == 0 || replication > nodes.len() {
            return Err(Rejection::new(
                ResponseError::InvalidReplicationFactor,
                format!("{replication} replicas cannot be at {} nodes", nodes.len()),
            ));
        }
        let mut turn = (0..nodes.len()).cycle();
        Ok((0..partitions)
            .filter_map(|_| turn.next())
            .map(|first| {
                (first..first + replication)
                    .map(|next| nodes[next % nodes.len()])
                    .collect()
            })
            .collect())
    }

    /// Whether a topic could be created.
    pub(crate) fn check_topic(&self, name: &str, partitions: i32) -> Result<(), Rejection> {
        check_name(name)?;
        if self.topics.contains_key(name) {
            return Err(Rejection::new(
                ResponseError::TopicAlreadyExists,
                format!("topic {name} exists"),
            ));
        }
        if partitions < 1 {
            return Err(Rejection::new(
                ResponseError::InvalidPartitions,
                format!("a topic has 1 partition or more, not {partitions}"),
            ));
        }
        let present: usize = self
            .topics
            .values()
            .map(|topic| topic.partitions.len())
            .sum();
        if present.saturating_add(partitions as usize) > MOST_PARTITIONS {
            return Err(Rejection::new(
                ResponseError::InvalidPartitions,
                format!("this broker has room for {MOST_PARTITIONS} partitions in all"),
            ));
        }
        Ok(())
    }

    /// The name and the topic with this id.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<(&str, &Topic)> {
        self.topics
            .iter()
            .find(|(_, topic)| topic.id == id)
            .map(|(name, topic)| (name.as_str(), topic))
    }

    pub(crate) fn next_producer_id(&mut self) -> i64 {
        let id = self.next_producer_id;
        self.next_producer_id += 1;
        id
    }

    /// Whether a refusal is the first of its kind, for the log to tell.
    pub(crate) fn is_news(&mut self, refusal: &str) -> bool {
        self.refusals.len() < MOST_REFUSALS && self.refusals.insert(refusal.to_owned())
    }

    /// Counts a connection to a node; returns its number.
    pub(crate) fn accepted(&mut self, node: i32) -> u64 {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.accepted += 1;
        }
        self.connections += 1;
        self.connections
    }

    /// Its partitions are led by others from now on, if others are up.
    pub(crate) fn stop(&mut self, node: i32) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.up = false;
        }
        let up: Vec<i32> = self.nodes_up().map(|(id, _)| id).collect();
        for partition in self.partitions_mut() {
            if partition.leader == Some(node) {
                let heir = partition.replicas.iter().find(|one| up.contains(one));
                partition.lead_by(heir.copied());
            }
        }
    }

    /// Partitions of it that nobody leads are its own again.
    pub(crate) fn start(&mut self, node: i32) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.up = true;
        }
        for partition in self.partitions_mut() {
            if partition.leader.is_none() && partition.replicas.contains(&node) {
                partition.lead_by(Some(node));
            }
        }
    }

    fn partitions_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.topics
            .values_mut()
            .flat_map(|topic| topic.partitions.iter_mut())
    }
}

/// Milliseconds since the epoch, by a clock that is off by `skew`.
pub(crate) fn wall_clock(skew: i64) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis())
        .unwrap_or(i64::MAX)
        .saturating_add(skew)
}
