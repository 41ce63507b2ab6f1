//! Produce: record batches for many partitions of one broker.

use super::schema::{message, structure};
use super::{ApiKey, Request};
use crate::error_code::ErrorCode;
use crate::primitives::Uuid;

structure! {
    /// Hands record batches to the leader of their partitions. With `acks` 0 the broker answers
    /// nothing, and closes the connection where something is wrong.
    pub struct ProduceRequest<'a> {
        /// The id of a transactional producer.
        transactional_id: Option<&'a str> [3.., nullable 3..],
        /// Who must have the records before the answer: 0 nobody, 1 the leader, -1 all replicas
        /// in step.
        acks: i16 [0..],
        /// How many milliseconds the leader may wait for the others.
        timeout_ms: i32 [0..],
        /// The topics.
        topics: Vec<ProduceTopic<'a>> [0..],
    }
}

structure! {
    /// A topic of a Produce request: named up to version 12, identified from version 13 on
    /// (KIP-516).
    pub struct ProduceTopic<'a> {
        /// The name of the topic.
        name: &'a str [0..=12, else skip],
        /// The id of the topic.
        topic_id: Uuid [13.., else skip],
        /// The partitions.
        partitions: Vec<ProducePartition<'a>> [0..],
    }
}

structure! {
    /// A partition of a Produce request.
    pub struct ProducePartition<'a> {
        /// The number of the partition.
        index: i32 [0..],
        /// Exactly one record batch of format v2.
        records: Option<Records<'a>> [0.., nullable 0..],
    }
}

/// The records of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records<'a> {
    /// The whole record batch in one piece; what decoding gives.
    Whole(&'a [u8]),
    /// A record batch of which only the header is copied into the frame. The caller writes the
    /// rest itself, into the gap that the [`Frame`](crate::Frame) shows; all lengths count it.
    Split {
        /// The header of the batch.
        header: &'a [u8],
        /// How many bytes follow it.
        rest: usize,
    },
}

impl Records<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Split { header, rest } => header.len() + rest,
        }
    }
}

structure! {
    /// What became of the records.
    pub struct ProduceResponse<'a> {
        /// The topics.
        topics: Vec<ProduceTopicResponse<'a>> [0..],
        /// For how many milliseconds the broker will hold back this client, which is over quota.
        throttle_time_ms: i32 [1.., else skip],
    } tagged {
        /// Where the leaders named in `current_leader` are to be found (KIP-951).
        0 => node_endpoints: Vec<NodeEndpoint<'a>> [10..],
    }
}

structure! {
    /// A topic of a Produce response: named up to version 12, identified from version 13 on.
    pub struct ProduceTopicResponse<'a> {
        /// The name of the topic.
        name: &'a str [0..=12, else skip],
        /// The id of the topic.
        topic_id: Uuid [13.., else skip],
        /// The partitions.
        partitions: Vec<ProducePartitionResponse<'a>> [0..],
    }
}

structure! {
    /// What became of the records of a partition.
    pub struct ProducePartitionResponse<'a> {
        /// The number of the partition.
        index: i32 [0..],
        /// The error, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..],
        /// The offset of the first record; -1: unknown.
        base_offset: i64 [0..],
        /// The time that the broker gave the records, in milliseconds since 1970; -1: they keep
        /// the producer's.
        log_append_time_ms: i64 [2.., default -1, else skip],
        /// The first offset that the partition still holds; -1: unknown.
        log_start_offset: i64 [5.., default -1, else skip],
        /// The records that made the broker refuse the batch (KIP-467).
        record_errors: Vec<RecordError<'a>> [8.., else skip],
        /// Why the broker refused the batch, in its own words.
        error_message: Option<&'a str> [8.., nullable 8.., else skip],
    } tagged {
        /// The leader to turn to after [`ErrorCode::NOT_LEADER_OR_FOLLOWER`] (KIP-951).
        0 => current_leader: LeaderIdAndEpoch [10..],
    }
}

structure! {
    /// A record that made the broker refuse its batch.
    pub struct RecordError<'a> {
        /// The number of the record in the batch, from 0.
        batch_index: i32 [8..],
        /// Why, in the broker's words.
        message: Option<&'a str> [8.., nullable 8..],
    }
}

structure! {
    /// The leader of a partition.
    #[derive(Copy, Eq)]
    pub struct LeaderIdAndEpoch {
        /// The node id of the leader; -1: unknown.
        leader_id: i32 [10.., default -1],
        /// Its epoch; -1: unknown.
        leader_epoch: i32 [10.., default -1],
    }
}

structure! {
    /// Where a broker is to be found.
    pub struct NodeEndpoint<'a> {
        /// The node id of the broker.
        node_id: i32 [10..],
        /// The host name or address that it advertises.
        host: &'a str [10..],
        /// The port that it advertises.
        port: i32 [10..],
        /// The rack that it stands in, where one is configured.
        rack: Option<&'a str> [10.., nullable 10..],
    }
}

message!(Produce: ProduceRequest<'a>);
message!(Produce: ProduceResponse<'a>);

impl<'a> Request<'a> for ProduceRequest<'a> {
    const API: ApiKey = ApiKey::Produce;
    type Response<'r> = ProduceResponse<'r>;
}
