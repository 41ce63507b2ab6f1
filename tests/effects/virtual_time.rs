//! A producer without sockets, on virtual time: what takes minutes takes no time at all.

use std::sync::Arc;

use event_kafka::config::Config;
use kafka_engine::accumulator::Topic;
use kafka_sim::{Cluster, Message, World};
use kafka_wire::ApiKey;

use crate::effect::and;

/// The producer of a configuration in a world of its own. It knows the broker `b1`, and writes to
/// the topic `t`.
pub(crate) struct Virtual {
    pub(crate) world: World,
    pub(crate) topic: Arc<Topic>,
}

impl Virtual {
    /// With one broker and one partition.
    pub(crate) fn small(config: Config) -> Self {
        Self::new(config, Cluster::new(1).with_topic("t", 1))
    }

    pub(crate) fn new(config: Config, cluster: Cluster) -> Self {
        let config = and(config, &[("bootstrap.servers", "b1")]);
        let finished = config
            .finish()
            .expect("a configuration that holds together");
        let mut world = World::new(cluster, finished.settings);
        let topic = world.topic_with("t", &finished.topic_settings);
        Self { world, topic }
    }

    /// Publishes so many messages of 100 bytes to a partition.
    pub(crate) fn publish(&mut self, count: usize, partition: i32) -> Vec<u64> {
        let message = Message::of(100).to(partition);
        self.world.publish_many(&self.topic, count, &message)
    }

    /// How many requests of an API were sent so far, to all brokers.
    pub(crate) fn requests(&self, api: ApiKey) -> usize {
        let requests = self.world.requests.iter();
        requests.filter(|(_, _, of)| *of == api).count()
    }

    /// How many batches were produced so far.
    pub(crate) fn batches(&self) -> usize {
        let produced = self.world.cluster.produced.iter();
        produced.map(|request| request.batches.len()).sum()
    }
}
