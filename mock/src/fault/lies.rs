//! Answers whose contents are wrong.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, InitProducerIdResponse, MetadataResponse, ProducerId, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Fault, Plan};

/// The first versions of Metadata and Produce with topic ids (KIP-516).
const METADATA_IDS_SINCE: i16 = 10;
const PRODUCE_IDS_SINCE: i16 = 13;
/// The first version of Metadata that names the cluster.
const CLUSTER_ID_SINCE: i16 = 2;
/// Of topics that were never asked for.
const STRAY_ID: Uuid = Uuid::max();

impl Plan {
    /// Before the endpoints of leaders are filled in.
    pub(crate) fn forge_produce(&self, topics: &mut Vec<TopicProduceResponse>, version: i16) {
        for fault in self.faults() {
            if let Fault::StrayTopic(name) = fault {
                let topic = TopicProduceResponse::default()
                    .with_partition_responses(vec![PartitionProduceResponse::default()]);
                topics.push(if version < PRODUCE_IDS_SINCE {
                    topic.with_name(topic_name(name))
                } else {
                    topic.with_topic_id(STRAY_ID)
                });
            }
        }
    }

    /// One topic of an answer to Produce; `name` is empty if nobody knows its id.
    pub(crate) fn forge_produce_topic(
        &self,
        name: &str,
        partitions: &mut Vec<PartitionProduceResponse>,
    ) {
        for answer in partitions.iter_mut() {
            for fault in self.of(name, answer.index) {
                match fault {
                    Fault::BaseOffset(offset) if answer.error_code == 0 => {
                        answer.base_offset = *offset;
                    }
                    Fault::Leader { node, epoch } if is_hinted(answer) => {
                        answer.current_leader = LeaderIdAndEpoch::default()
                            .with_leader_id(BrokerId(*node))
                            .with_leader_epoch(*epoch);
                    }
                    _ => {}
                }
            }
        }
        self.forge_list(
            name,
            partitions,
            |answer| answer.index,
            |index| PartitionProduceResponse::default().with_index(index),
        );
    }

    pub(crate) fn forge_metadata(&self, response: &mut MetadataResponse, version: i16) {
        for topic in &mut response.topics {
            self.forge_metadata_topic(topic, version);
        }
        for fault in self.faults() {
            match fault {
                Fault::Brokers(brokers) => response.brokers = forged(brokers),
                Fault::ClusterId(id) if version >= CLUSTER_ID_SINCE => {
                    response.cluster_id = id.clone().map(StrBytes::from_string);
                }
                Fault::StrayTopic(name) => response.topics.push(
                    MetadataResponseTopic::default()
                        .with_name(Some(topic_name(name)))
                        .with_topic_id(if version < METADATA_IDS_SINCE {
                            Uuid::nil()
                        } else {
                            STRAY_ID
                        })
                        .with_partitions(vec![MetadataResponsePartition::default()]),
                ),
                _ => {}
            }
        }
    }

    pub(crate) fn forge_versions(&self, response: &mut ApiVersionsResponse) {
        for fault in self.faults() {
            if let Fault::Versions(api, versions) = fault {
                let key = *api as i16;
                response.api_keys.retain(|offer| offer.api_key != key);
                if let Some((lowest, highest)) = versions {
                    response.api_keys.push(
                        ApiVersion::default()
                            .with_api_key(key)
                            .with_min_version(*lowest)
                            .with_max_version(*highest),
                    );
                }
            }
        }
    }

    pub(crate) fn forge_producer_id(&self, response: &mut InitProducerIdResponse) {
        for fault in self.faults() {
            if let Fault::ProducerId { id, epoch } = fault {
                response.producer_id = ProducerId(*id);
                response.producer_epoch = *epoch;
            }
        }
    }

    fn forge_metadata_topic(&self, topic: &mut MetadataResponseTopic, version: i16) {
        let Some(name) = topic.name.as_ref().map(|name| name.to_string()) else {
            return;
        };
        for fault in self.of_topic(&name) {
            match fault {
                Fault::TopicId(id) if version >= METADATA_IDS_SINCE => topic.topic_id = *id,
                Fault::PartitionCount(count) => resize(&mut topic.partitions, *count),
                _ => {}
            }
        }
        for partition in &mut topic.partitions {
            for fault in self.of(&name, partition.partition_index) {
                if let Fault::Leader { node, epoch } = fault {
                    lead(partition, *node, *epoch, version);
                }
            }
        }
        self.forge_list(
            &name,
            &mut topic.partitions,
            |partition| partition.partition_index,
            |index| MetadataResponsePartition::default().with_partition_index(index),
        );
    }

    /// Leaves partitions out, repeats them and adds some.
    fn forge_list<P: Clone>(
        &self,
        topic: &str,
        partitions: &mut Vec<P>,
        index: impl Fn(&P) -> i32,
        stray: impl Fn(i32) -> P,
    ) {
        let has = |partition: &P, wanted: fn(&Fault) -> bool| {
            self.of(topic, index(partition)).any(wanted)
        };
        partitions.retain(|one| !has(one, |fault| matches!(fault, Fault::OmitPartition)));
        let again = partitions
            .iter()
            .filter(|one| has(one, |fault| matches!(fault, Fault::RepeatPartition)))
            .cloned()
            .collect::<Vec<_>>();
        partitions.extend(again);
        for fault in self.of_topic(topic) {
            if let Fault::StrayPartition(index) = fault {
                partitions.push(stray(*index));
            }
        }
    }
}

fn is_hinted(answer: &PartitionProduceResponse) -> bool {
    answer.error_code == ResponseError::NotLeaderOrFollower.code()
        && answer.current_leader.leader_id.0 != -1
}

fn lead(partition: &mut MetadataResponsePartition, node: i32, epoch: i32, version: i16) {
    partition.leader_id = BrokerId(node);
    if version >= 7 {
        partition.leader_epoch = epoch;
    }
}

/// Further partitions are like the first.
fn resize(partitions: &mut Vec<MetadataResponsePartition>, count: usize) {
    let like = partitions.first().cloned().unwrap_or_default();
    partitions.truncate(count);
    let known = partitions.len();
    partitions.extend(
        (known..count)
            .map(|index| i32::try_from(index).unwrap_or(i32::MAX))
            .map(|index| like.clone().with_partition_index(index)),
    );
}

fn forged(brokers: &[(i32, String, i32)]) -> Vec<MetadataResponseBroker> {
    brokers
        .iter()
        .map(|(id, host, port)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(*id))
                .with_host(StrBytes::from_string(host.clone()))
                .with_port(*port)
        })
        .collect()
}

fn topic_name(name: &str) -> TopicName {
    StrBytes::from_string(name.to_owned()).into()
}
