//! The cluster as its user holds it.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::fault::{FaultId, Rule};
use crate::server::{Door, Server, Task};
use crate::state::{
    Node, Record, RequestSeen, Settings, Shared, State, TopicSettings, TopicSummary, records,
};
use crate::{PartitionSummary, Profile};

/// Kafka's `max.message.bytes`.
const MAX_MESSAGE_BYTES: usize = 1_048_588;
const RETAIN_BYTES: usize = 64 * 1024 * 1024;
const PARTITIONS: i32 = 4;

/// A running cluster. Dropping it closes all listeners and connections and ends its thread.
///
/// What it holds is in memory; nothing is replicated in truth: all nodes look at the same.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    server: Server,
}

/// How a cluster is to be.
#[derive(Clone, Debug)]
pub struct Builder {
    nodes: i32,
    listen: SocketAddr,
    settings: Settings,
}

impl Cluster {
    /// One node with the newest profile, which creates topics with 4 partitions when they are asked
    /// for.
    ///
    /// # Errors
    ///
    /// There is no free port, or no thread to be had.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// For other clusters than that.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The addresses of all nodes, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self
            .node_ids()
            .into_iter()
            .map(|node| self.address(node).to_string())
            .collect();
        addresses.join(",")
    }

    /// 1, 2, and so on.
    pub fn node_ids(&self) -> Vec<i32> {
        self.shared
            .look(|state| state.nodes.keys().copied().collect())
    }

    /// The address of a node that Metadata names.
    ///
    /// # Panics
    ///
    /// There is no such node.
    pub fn address(&self, node: i32) -> SocketAddr {
        self.with_node(node, |node| node.advertised)
    }

    /// Creates a topic whose partitions are led by the nodes that are up, in turn.
    ///
    /// # Panics
    ///
    /// A broker would refuse: the topic exists, its name is not allowed, or the count is below 1.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.shared
            .change(|state| state.create_usual_topic(name, partitions))
            .unwrap_or_else(|refusal| panic!("topic {name:?}: {}", refusal.message));
    }

    /// Forgets a topic and all its records; false if there is none.
    pub fn delete_topic(&self, name: &str) -> bool {
        self.shared
            .change(|state| state.topics.remove(name).is_some())
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<TopicSummary> {
        self.shared.look(|state| {
            state
                .topics
                .iter()
                .map(|(name, topic)| topic.summary(name))
                .collect()
        })
    }

    /// The node that leads a partition; `None`: nobody does, or there is no such partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.shared
            .look(|state| state.topics.get(topic)?.partition(partition)?.leader)
    }

    /// Lets another node lead a partition, or none, in a new epoch.
    ///
    /// # Panics
    ///
    /// There is no such partition, or no such node.
    pub fn move_leader(&self, topic: &str, partition: i32, to: Option<i32>) {
        if let Some(node) = to {
            self.with_node(node, |_| ());
        }
        self.shared.change(|state| {
            state
                .topics
                .get_mut(topic)
                .and_then(|topic| topic.partition_mut(partition))
                .unwrap_or_else(|| panic!("there is no partition {topic}-{partition}"))
                .lead_by(to);
        });
    }

    /// What a topic holds, by partition and offset; nothing if there is no such topic.
    ///
    /// # Panics
    ///
    /// A batch is compressed: the mock has no codecs. [`Self::batches`] has it as it is.
    pub fn records(&self, topic: &str) -> Vec<Record> {
        let partitions: Vec<PartitionSummary> = self
            .topics()
            .into_iter()
            .filter(|summary| summary.name == topic)
            .flat_map(|summary| summary.partitions)
            .collect();
        (0..)
            .zip(partitions)
            .flat_map(|(partition, _)| {
                self.batches(topic, partition)
                    .into_iter()
                    .flat_map(move |batch| records(topic, partition, &batch))
            })
            .collect()
    }

    /// The batches of a partition, oldest first, as they are stored; none if there is no such
    /// partition.
    pub fn batches(&self, topic: &str, partition: i32) -> Vec<Bytes> {
        self.shared.look(|state| {
            let topic = state.topics.get(topic);
            topic
                .and_then(|topic| topic.partition(partition))
                .map(|partition| partition.log.batches().cloned().collect())
                .unwrap_or_default()
        })
    }

    /// Ends a node: when this returns nobody listens at its addresses and its connections are
    /// closed. Its partitions are led by other nodes from now on, if there are any.
    ///
    /// # Errors
    ///
    /// Its addresses cannot be kept for it.
    pub fn stop_node(&self, node: i32) -> io::Result<()> {
        self.with_node(node, |_| ());
        self.shared.change(|state| state.stop(node));
        self.server.order(node, Task::Stop).map(drop)
    }

    /// Starts a node again at the same addresses. It leads the partitions that nobody leads.
    ///
    /// # Errors
    ///
    /// It cannot listen.
    pub fn start_node(&self, node: i32) -> io::Result<()> {
        self.with_node(node, |_| ());
        self.server.order(node, Task::Start)?;
        self.shared.change(|state| state.start(node));
        Ok(())
    }

    /// Lets a node listen at a new port instead of its advertised one, and Metadata say so. Its
    /// connections are closed, and the old port refuses for good.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub fn move_node(&self, node: i32) -> io::Result<SocketAddr> {
        self.server.order(node, Task::Move)
    }

    /// Lets a node listen at one more address, which Metadata never names and which stays when the
    /// node moves: an address to bootstrap from.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub fn open_side_door(&self, node: i32) -> io::Result<SocketAddr> {
        self.server.order(node, Task::Extend)
    }

    /// Lets two nodes change addresses, and Metadata say so: who still knows the old ones gets the wrong
    /// node. The connections of both are closed.
    ///
    /// # Errors
    ///
    /// There are no such two nodes.
    pub fn exchange_nodes(&self, one: i32, other: i32) -> io::Result<()> {
        self.server.exchange(one, other)
    }

    /// Closes all connections of a node.
    ///
    /// # Errors
    ///
    /// There is no such node.
    pub fn cut_connections(&self, node: i32) -> io::Result<()> {
        self.server.order(node, Task::Cut).map(drop)
    }

    /// Breaks something. The fault is in force when this returns, and the connections that it closes are
    /// closed.
    ///
    /// # Panics
    ///
    /// The rule could never apply: it narrows a fault of connections to an API or a partition, a fault
    /// of some APIs to another one, or it counts what cannot be counted.
    pub fn inject(&self, rule: Rule) -> FaultId {
        let id = self.shared.change(|state| state.faults.inject(rule));
        self.reach();
        id
    }

    /// Ends a fault. Nothing happens if it has ended already.
    pub fn withdraw(&self, fault: FaultId) {
        self.shared.change(|state| state.faults.withdraw(fault));
        self.reach();
    }

    /// Ends all faults.
    pub fn withdraw_all(&self) {
        self.shared.change(|state| state.faults.withdraw_all());
        self.reach();
    }

    /// How many requests or connections a fault has befallen so far; 0 when it is withdrawn, and for
    /// faults that cannot be counted.
    pub fn struck(&self, fault: FaultId) -> u32 {
        self.shared.look(|state| state.faults.struck(fault))
    }

    /// The latest 10,000 requests, oldest first.
    pub fn requests(&self) -> Vec<RequestSeen> {
        self.shared
            .look(|state| state.seen.iter().cloned().collect())
    }

    /// How many connections a node has taken since it exists.
    ///
    /// # Panics
    ///
    /// There is no such node.
    pub fn connections_accepted(&self, node: i32) -> u64 {
        self.with_node(node, |node| node.accepted)
    }

    /// Asks `until` now and whenever anything has changed: a request came, a batch was stored, a
    /// client connected. `None`: it had no answer in time.
    pub fn wait<T>(
        &self,
        timeout: Duration,
        mut until: impl FnMut(&Self) -> Option<T>,
    ) -> Option<T> {
        self.shared.wait(timeout, || until(self))
    }

    fn with_node<T>(&self, node: i32, look: impl FnOnce(&Node) -> T) -> T {
        self.shared.look(|state| match state.nodes.get(&node) {
            Some(node) => look(node),
            None => panic!("there is no node {node}"),
        })
    }

    /// Lets the listeners follow the faults.
    fn reach(&self) {
        for node in self.node_ids() {
            if let Err(error) = self.server.order(node, Task::Reach) {
                panic!("node {node} cannot follow its faults: {error}");
            }
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            nodes: 1,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            settings: Settings {
                profile: Profile::KAFKA_4_4,
                auto_create: Some(PARTITIONS),
                partitions: PARTITIONS,
                topic: TopicSettings {
                    max_message_bytes: MAX_MESSAGE_BYTES,
                    log_append_time: false,
                    retain_bytes: RETAIN_BYTES,
                },
            },
        }
    }
}

impl Builder {
    /// How many nodes: 1 or more. Their numbers begin with 1.
    pub fn nodes(self, nodes: i32) -> Self {
        Self { nodes, ..self }
    }

    /// Where node 1 listens; the others take free ports of the same host. Port 0 is any free one.
    pub fn listen(self, address: SocketAddr) -> Self {
        Self {
            listen: address,
            ..self
        }
    }

    /// What brokers they are.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.settings.profile = profile;
        self
    }

    /// How many partitions a topic gets that is created because somebody asks for it; `None`:
    /// it is not created.
    pub fn auto_create(mut self, partitions: Option<i32>) -> Self {
        self.settings.auto_create = partitions;
        self.settings.partitions = partitions.unwrap_or(PARTITIONS);
        self
    }

    /// How many bytes of batches each partition keeps; then the oldest go. At least the latest batch
    /// stays.
    pub fn retain_bytes(mut self, bytes: usize) -> Self {
        self.settings.topic.retain_bytes = bytes;
        self
    }

    /// The size of the largest batch that is taken (`max.message.bytes`).
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.settings.topic.max_message_bytes = bytes;
        self
    }

    /// Whether records get the time of the append instead of their own.
    pub fn log_append_time(mut self, on: bool) -> Self {
        self.settings.topic.log_append_time = on;
        self
    }

    /// Starts the nodes. They answer when this returns.
    ///
    /// # Errors
    ///
    /// The count of nodes is below 1, an address is not free, or there is no thread to be had.
    pub fn start(self) -> io::Result<Cluster> {
        if self.nodes < 1 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a cluster has 1 node or more, not {}", self.nodes),
            ));
        }
        let any = SocketAddr::new(self.listen.ip(), 0);
        let mut doors = BTreeMap::new();
        for node in 1..=self.nodes {
            let address = if node == 1 { self.listen } else { any };
            doors.insert(node, Door::new(address)?);
        }
        let addresses = doors.iter().map(|(id, door)| (*id, door.address()));
        let shared = Arc::new(Shared::new(State::new(self.settings, addresses.collect())));
        let server = Server::start(shared.clone(), doors)?;
        let cluster = Cluster { shared, server };
        for node in cluster.node_ids() {
            cluster.server.order(node, Task::Start)?;
        }
        Ok(cluster)
    }
}
