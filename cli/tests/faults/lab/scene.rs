//! Where a case plays: a cluster in this process, one topic, and the nodes that faults befall.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use kafka_mock::{ApiKey, Cluster, Fault, FaultId, Record, Rule};

/// The only topic.
pub(crate) const TOPIC: &str = "calls";

pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    /// Where the producer looks for the cluster: the address of every node, and one that stays when
    /// they move.
    pub(crate) bootstrap: String,
    sick: i32,
    partitions: i32,
    /// Led by the sick node when the scene was set.
    sick_partitions: Vec<usize>,
    /// What was in logs that are deleted.
    buried: Mutex<Vec<Record>>,
}

/// Whether other nodes than the sick one are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The only node is sick.
    Alone,
    /// One of three nodes is.
    OneOfThree,
}

/// A fault that has begun.
#[derive(Debug, Default)]
pub(crate) struct Affliction {
    rules: Vec<FaultId>,
    /// What ends it, besides withdrawing the rules.
    end: Option<fn(&Scene)>,
}

impl Affliction {
    pub(crate) fn until(end: fn(&Scene)) -> Self {
        Self {
            rules: Vec::new(),
            end: Some(end),
        }
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self.end = self.end.or(other.end);
        self
    }

    /// Whether every rule that it is made of has befallen something.
    pub(crate) fn has_struck(&self, scene: &Scene) -> bool {
        self.rules
            .iter()
            .all(|rule| scene.cluster.struck(*rule) > 0)
    }

    pub(crate) fn end(self, scene: &Scene) {
        for rule in self.rules {
            scene.cluster.withdraw(rule);
        }
        if let Some(end) = self.end {
            end(scene);
        }
    }
}

impl Scene {
    pub(crate) fn set(extent: Extent) -> Self {
        let nodes = match extent {
            Extent::Alone => 1,
            Extent::OneOfThree => 3,
        };
        let cluster = Cluster::builder()
            .nodes(nodes)
            .auto_create(None)
            .log_append_time(true)
            .start()
            .expect("loopback has free ports");
        let partitions = PARTITIONS_PER_NODE * nodes;
        cluster.create_topic(TOPIC, partitions);
        let sick = cluster.node_ids()[0];
        let side_door = cluster
            .open_side_door(sick)
            .expect("loopback has a free port");
        let is_sick = |index: &usize| cluster.leader(TOPIC, number(*index)) == Some(sick);
        let sick_partitions = (0..partitions as usize).filter(is_sick).collect();
        Self {
            bootstrap: format!("{},{side_door}", cluster.bootstrap()),
            sick,
            partitions,
            sick_partitions,
            buried: Mutex::default(),
            cluster,
        }
    }

    /// Injects a fault at the sick node.
    pub(crate) fn inject(&self, rule: Rule) -> Affliction {
        Affliction {
            rules: vec![self.cluster.inject(rule.node(self.sick))],
            end: None,
        }
    }

    /// A fault of what becomes of Produce requests.
    pub(crate) fn produce(&self, fault: Fault) -> Affliction {
        self.inject(Rule::new(fault).api(ApiKey::Produce))
    }

    /// A fault of Metadata, which a producer asks for when it loses a connection.
    pub(crate) fn metadata(&self, fault: Fault) -> Affliction {
        let affliction = self.inject(Rule::new(fault).api(ApiKey::Metadata));
        self.cut_connections();
        affliction
    }

    /// The same at all nodes: whichever is asked, it lies.
    pub(crate) fn metadata_everywhere(&self, fault: Fault) -> Affliction {
        let affliction = Affliction {
            rules: vec![self.cluster.inject(Rule::new(fault).api(ApiKey::Metadata))],
            end: None,
        };
        self.cut_connections();
        affliction
    }

    /// A fault of the first question on a connection.
    pub(crate) fn handshake(&self, fault: Fault) -> Affliction {
        let affliction = self.inject(Rule::new(fault).api(ApiKey::ApiVersions));
        self.cut_connections();
        affliction
    }

    pub(crate) fn cut_connections(&self) {
        self.cluster.cut_connections(self.sick).expect(THERE);
    }

    pub(crate) fn stop(&self) {
        self.cluster.stop_node(self.sick).expect(THERE);
    }

    pub(crate) fn start(&self) {
        self.cluster.start_node(self.sick).expect(THERE);
    }

    pub(crate) fn move_node(&self) {
        self.cluster.move_node(self.sick).expect(THERE);
    }

    /// The sick node and another one, if there is one, change addresses.
    pub(crate) fn exchange_nodes(&self) {
        if self.heir() != self.sick {
            self.cluster
                .exchange_nodes(self.sick, self.heir())
                .expect("both are nodes of the cluster");
        }
    }

    /// Has the partitions of the sick node led by another one, or by none, or by itself again.
    pub(crate) fn move_leaders(&self, leader: Option<i32>) {
        for index in &self.sick_partitions {
            self.cluster.move_leader(TOPIC, number(*index), leader);
        }
    }

    pub(crate) fn sick(&self) -> i32 {
        self.sick
    }

    /// Who takes over from the sick node: another one if there is one.
    pub(crate) fn heir(&self) -> i32 {
        self.cluster.node_ids()[self.cluster.node_ids().len() - 1]
    }

    pub(crate) fn create_topic(&self) {
        self.create_topic_with(self.partitions);
    }

    pub(crate) fn create_topic_with(&self, partitions: i32) {
        self.cluster.create_topic(TOPIC, partitions);
    }

    /// Deletes the topic; what it held is remembered.
    pub(crate) fn delete_topic(&self) {
        for index in 0..self.partitions {
            // Nothing is appended between the looking and the deleting.
            self.cluster.move_leader(TOPIC, index, None);
        }
        self.buried().extend(self.cluster.records(TOPIC));
        self.cluster.delete_topic(TOPIC);
    }

    /// Everything that was ever appended.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = self.buried().clone();
        records.extend(self.cluster.records(TOPIC));
        records
    }

    /// The offsets of the next records, of the partitions that are there.
    pub(crate) fn ends(&self) -> Vec<i64> {
        let topics = self.cluster.topics();
        let topic = topics.iter().find(|topic| topic.name == TOPIC);
        let partitions = topic.map_or(&[][..], |topic| &topic.partitions);
        let ends = partitions.iter().map(|partition| partition.end_offset);
        ends.collect()
    }

    /// Waits until all these partitions, of those that are there, have grown beyond `ends`.
    pub(crate) fn wait_for_growth(
        &self,
        partitions: &[usize],
        ends: &[i64],
        timeout: Duration,
    ) -> bool {
        let grown = |_: &Cluster| {
            let now = self.ends();
            let is_there = |index: &&usize| **index < now.len().min(ends.len());
            let mut there = partitions.iter().filter(is_there);
            there.all(|index| now[*index] > ends[*index]).then_some(())
        };
        self.cluster.wait(timeout, grown).is_some()
    }

    /// Whether one of these partitions has grown beyond `ends`.
    pub(crate) fn any_has_grown(&self, partitions: &[usize], ends: &[i64]) -> bool {
        let now = self.ends();
        let mut there = partitions
            .iter()
            .filter(|index| **index < now.len().min(ends.len()));
        there.any(|index| now[*index] > ends[*index])
    }

    pub(crate) fn sick_partitions(&self) -> &[usize] {
        &self.sick_partitions
    }

    pub(crate) fn healthy_partitions(&self) -> Vec<usize> {
        (0..self.partitions as usize)
            .filter(|index| !self.sick_partitions.contains(index))
            .collect()
    }

    /// Connections that the sick node has taken so far.
    pub(crate) fn connections(&self) -> u64 {
        self.cluster.connections_accepted(self.sick)
    }

    fn buried(&self) -> MutexGuard<'_, Vec<Record>> {
        self.buried
            .lock()
            .expect("nothing panics while it is locked")
    }
}

fn number(partition: usize) -> i32 {
    i32::try_from(partition).expect("there are few partitions")
}

const PARTITIONS_PER_NODE: i32 = 4;
const THERE: &str = "the sick node is one of the cluster";
