//! A cluster that this process has started, and what can happen to its nodes.

use std::fmt::Display;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xtask::{TestBroker, kafka};

use super::{Cluster, Needs};

/// A running cluster with empty storage; a [`Cluster`] to work with. Dropping it ends it and removes
/// its data.
///
/// Nodes are named by their ids, from 1 on.
#[derive(Debug)]
pub(crate) struct PrivateCluster {
    nodes: Nodes,
    cluster: Cluster,
    /// Given up last.
    _turn: Option<MutexGuard<'static, ()>>,
}

impl PrivateCluster {
    /// Starts it and waits until it can be worked with, once no other test of this process has a real
    /// one: nodes that share two cores with those of another test miss their heartbeats.
    pub(super) fn start(broker: &TestBroker, needs: Needs) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = matches!(broker, TestBroker::Kafka { .. })
            .then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
        let nodes = Nodes::start(broker, needs);
        Self {
            cluster: nodes.cluster(),
            nodes,
            _turn: turn,
        }
    }

    /// Stops a node in an orderly way and waits until it is gone. Its data stays.
    pub(crate) fn stop(&mut self, node: i32) {
        match &mut self.nodes {
            Nodes::Mock(mock) => must(mock.stop_node(node), "stopping a node"),
            Nodes::Kafka(kafka) => must(kafka.stop(node), "stopping a node"),
        }
    }

    /// Kills a node as a crash would. Its data stays as it is.
    pub(crate) fn kill(&mut self, node: i32) {
        match &mut self.nodes {
            Nodes::Mock(mock) => must(mock.stop_node(node), "killing a node"),
            Nodes::Kafka(kafka) => must(kafka.kill(node), "killing a node"),
        }
    }

    /// Starts a stopped or killed node again on the same address and data, and waits until all
    /// running nodes can be worked with, if they are a majority.
    pub(crate) fn restart(&mut self, node: i32) {
        match &mut self.nodes {
            Nodes::Mock(mock) => must(mock.start_node(node), "starting a node"),
            Nodes::Kafka(kafka) => must(kafka.restart(node), "starting a node"),
        }
    }

    /// Kills every node.
    pub(crate) fn kill_all(&mut self) {
        self.node_ids().into_iter().for_each(|node| self.kill(node));
    }

    /// Starts every node again.
    pub(crate) fn restart_all(&mut self) {
        let nodes = self.node_ids().into_iter();
        nodes.for_each(|node| self.restart(node));
    }

    /// Lets a node do nothing more, its connections open ([`Needs::pause`]).
    pub(crate) fn pause(&mut self, node: i32) {
        must(self.processes().pause(node), "pausing a node");
    }

    /// Has a paused node go on.
    pub(crate) fn resume(&mut self, node: i32) {
        must(self.processes().resume(node), "resuming a node");
    }

    /// The cluster as the nodes other than this one see it.
    pub(crate) fn without(&self, node: i32) -> Cluster {
        let others = self.node_ids().into_iter().filter(|other| *other != node);
        let addresses = others.map(|other| self.nodes.address(other));
        Cluster::new(addresses.collect::<Vec<_>>().join(","))
    }

    /// The ids of all nodes, running or not.
    pub(crate) fn node_ids(&self) -> Vec<i32> {
        match &self.nodes {
            Nodes::Mock(mock) => mock.node_ids(),
            Nodes::Kafka(kafka) => kafka.node_ids(),
        }
    }

    /// The ids of the processes that it consists of: none, if it lives in this one.
    pub(crate) fn process_ids(&self) -> Vec<u32> {
        let Nodes::Kafka(kafka) = &self.nodes else {
            return Vec::new();
        };
        let nodes = kafka.node_ids().into_iter();
        nodes
            .filter_map(|node| must(kafka.process_id(node), "asking for a process"))
            .collect()
    }

    fn processes(&mut self) -> &mut kafka::Cluster {
        match &mut self.nodes {
            Nodes::Kafka(kafka) => kafka,
            Nodes::Mock(_) => panic!("the test does not say that it needs to pause"),
        }
    }
}

impl Deref for PrivateCluster {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

/// The nodes themselves. Dropping them ends them and removes what they stored.
#[derive(Debug)]
pub(super) enum Nodes {
    Mock(Arc<kafka_mock::Cluster>),
    Kafka(kafka::Cluster),
}

impl Nodes {
    /// How many there are of this broker; `None` if it is not for us to start.
    pub(super) fn count(broker: &TestBroker) -> Option<usize> {
        match broker {
            TestBroker::Mock { .. } => Some(MOCK_NODES as usize),
            TestBroker::Kafka { nodes, .. } => Some((*nodes).into()),
            TestBroker::Outside { .. } => None,
        }
    }

    pub(super) fn start(broker: &TestBroker, needs: Needs) -> Self {
        let creates_topics = needs.creates_topics();
        match broker {
            TestBroker::Mock { profile } => {
                let builder = kafka_mock::Cluster::builder()
                    .profile(must(profile.parse(), "the mock's profile"))
                    .nodes(MOCK_NODES)
                    .auto_create(creates_topics.then_some(PARTITIONS.into()));
                Self::Mock(Arc::new(must(builder.start(), "starting kafka-mock")))
            }
            TestBroker::Kafka { nodes, version, .. } => {
                let creates_topics = creates_topics.to_string();
                let options = kafka::Options {
                    nodes: *nodes,
                    version: version.clone(),
                    partitions: PARTITIONS,
                    properties: vec![("auto.create.topics.enable".to_owned(), creates_topics)],
                };
                Self::Kafka(must(kafka::Cluster::start(&options), "starting Kafka"))
            }
            TestBroker::Outside { .. } => panic!("{broker} is somebody else's"),
        }
    }

    pub(super) fn cluster(&self) -> Cluster {
        match self {
            Self::Mock(mock) => Cluster::of_mock(Arc::clone(mock)),
            Self::Kafka(kafka) => Cluster::new(kafka.bootstrap()),
        }
    }

    fn address(&self, node: i32) -> String {
        match self {
            Self::Mock(mock) => mock.address(node).to_string(),
            Self::Kafka(kafka) => {
                let mut nodes = kafka.node_ids().into_iter().zip(kafka.addresses());
                let found = nodes.find(|(id, _)| *id == node);
                found.expect("the cluster has this node").1.to_string()
            }
        }
    }
}

/// Of a topic that comes into being by its first use.
const PARTITIONS: u16 = 4;

/// They cost nothing: no test need be skipped for want of them.
const MOCK_NODES: i32 = 3;

fn must<T, E: Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}
