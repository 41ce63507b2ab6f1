//! Metadata: brokers, topics and the leaders of their partitions.

use super::schema::{message, structure};
use super::{ApiKey, Request};
use crate::error_code::ErrorCode;
use crate::primitives::Uuid;

structure! {
    /// Asks for the brokers, and for some or all topics.
    pub struct MetadataRequest<'a> {
        /// The topics to describe: `None` for all, empty for none. Version 0 has no null and
        /// takes empty for all.
        topics: Option<Vec<MetadataRequestTopic<'a>>> [0.., nullable 1..],
        /// Whether the broker may create topics that do not exist.
        allow_auto_topic_creation: bool [4.., default true],
        /// Whether to say what the client may do with the cluster.
        include_cluster_authorized_operations: bool [8..=10],
        /// Whether to say what the client may do with each topic.
        include_topic_authorized_operations: bool [8..],
    }
}

structure! {
    /// A topic to describe: by name, or from version 10 on by id.
    pub struct MetadataRequestTopic<'a> {
        /// The id of the topic, or zero.
        topic_id: Uuid [10.., else skip],
        /// The name of the topic.
        name: Option<&'a str> [0.., nullable 10..],
    }
}

structure! {
    /// The brokers of the cluster, and the topics asked for.
    pub struct MetadataResponse<'a> {
        /// For how many milliseconds the broker will hold back this client, which is over quota.
        throttle_time_ms: i32 [3.., else skip],
        /// The brokers that are alive.
        brokers: Vec<MetadataBroker<'a>> [0..],
        /// The id of the cluster.
        cluster_id: Option<&'a str> [2.., nullable 2.., else skip],
        /// The broker that is the controller, as far as clients are concerned; -1: none.
        controller_id: i32 [1.., default -1, else skip],
        /// The topics.
        topics: Vec<MetadataTopic<'a>> [0..],
        /// A set of bits, one for each operation allowed; `i32::MIN`: not asked for.
        cluster_authorized_operations: i32 [8..=10, default i32::MIN],
        /// An error of the whole request, such as [`ErrorCode::REBOOTSTRAP_REQUIRED`] (KIP-1102).
        error_code: ErrorCode [13.., else skip],
    }
}

structure! {
    /// A broker.
    pub struct MetadataBroker<'a> {
        /// Its node id.
        node_id: i32 [0..],
        /// The host name or address that it advertises.
        host: &'a str [0..],
        /// The port that it advertises.
        port: i32 [0..],
        /// The rack that it stands in, where one is configured.
        rack: Option<&'a str> [1.., nullable 1.., else skip],
    }
}

structure! {
    /// A topic.
    pub struct MetadataTopic<'a> {
        /// The error, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..],
        /// The name; null only for a topic asked for by an id that does not exist.
        name: Option<&'a str> [0.., nullable 12..],
        /// The id; zero only for a topic asked for by a name that does not exist.
        topic_id: Uuid [10.., else skip],
        /// Whether Kafka keeps its own records in it.
        is_internal: bool [1.., else skip],
        /// The partitions, in no particular order.
        partitions: Vec<MetadataPartition> [0..],
        /// A set of bits, one for each operation allowed; `i32::MIN`: not asked for.
        topic_authorized_operations: i32 [8.., default i32::MIN],
    }
}

structure! {
    /// A partition.
    pub struct MetadataPartition {
        /// The error, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..],
        /// The number of the partition.
        partition_index: i32 [0..],
        /// The node id of the leader; -1: none at present.
        leader_id: i32 [0..],
        /// Counts the leaders, so that stale metadata can be told from fresh; -1: unknown
        /// (KIP-320).
        leader_epoch: i32 [7.., default -1, else skip],
        /// The brokers that keep the partition.
        replica_nodes: Vec<i32> [0..],
        /// Those that are in step with the leader.
        isr_nodes: Vec<i32> [0..],
        /// Those that are not alive.
        offline_replicas: Vec<i32> [5.., else skip],
    }
}

message!(Metadata: MetadataRequest<'a>);
message!(Metadata: MetadataResponse<'a>);

impl<'a> Request<'a> for MetadataRequest<'a> {
    const API: ApiKey = ApiKey::Metadata;
    type Response<'r> = MetadataResponse<'r>;
}
