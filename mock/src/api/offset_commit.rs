//! OffsetCommit: offsets are not kept, and nobody is led to believe that they were.
//!
//! Of the errors that a commit can meet this one is final to librdkafka: it neither tries again nor
//! looks for another coordinator.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::{Call, Outcome};
use crate::state::State;

const REFUSAL: &str = "this broker keeps no offsets of consumers: set enable.auto.commit=false, and \
                       let auto.offset.reset or the assignment say where to begin";
const THROTTLE_SINCE: i16 = 3;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: OffsetCommitRequest = call.decode()?;
    call.tell_once(state, REFUSAL);
    let topics = request.topics.iter().map(|topic| refuse(call, topic));
    let mut response = OffsetCommitResponse::default().with_topics(topics.collect());
    if call.version() >= THROTTLE_SINCE {
        response.throttle_time_ms = call.throttle_ms();
    }
    call.send(&response)
}

fn refuse(call: &Call<'_>, topic: &OffsetCommitRequestTopic) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| {
        let index = partition.partition_index;
        let error = match call.fault(&topic.name, index) {
            Some((injected, _)) => injected,
            None => ResponseError::GroupAuthorizationFailed,
        };
        OffsetCommitResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(error.code())
    });
    OffsetCommitResponseTopic::default()
        .with_name(topic.name.clone())
        .with_partitions(partitions.collect())
}
