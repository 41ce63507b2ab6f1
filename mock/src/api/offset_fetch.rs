//! OffsetFetch: nothing is committed, and so consumers begin where their configuration says.

use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};

use super::{Call, Outcome, code};

/// An error that concerns no partition. With it came the wish for all topics: there are none.
const ERROR_SINCE: i16 = 2;
const THROTTLE_SINCE: i16 = 3;
/// KIP-709: many groups at once.
const BATCHED_SINCE: i16 = 8;
const NOTHING: i64 = -1;

pub(super) fn answer(call: &Call<'_>) -> Outcome {
    let request: OffsetFetchRequest = call.decode()?;
    let mut response = OffsetFetchResponse::default();
    if call.version() >= THROTTLE_SINCE {
        response.throttle_time_ms = call.throttle_ms();
    }
    if call.version() >= BATCHED_SINCE {
        let groups = request.groups.iter().map(|wanted| group(call, wanted));
        response.groups = groups.collect();
        return call.send(&response);
    }
    if call.version() >= ERROR_SINCE {
        response.error_code = general_error(call);
    }
    let topics = request.topics.iter().flatten();
    response.topics = topics.map(|wanted| topic(call, wanted)).collect();
    call.send(&response)
}

fn topic(call: &Call<'_>, wanted: &OffsetFetchRequestTopic) -> OffsetFetchResponseTopic {
    let partitions = wanted.partition_indexes.iter().map(|&index| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(index)
            .with_committed_offset(NOTHING)
            .with_error_code(partition_error(call, &wanted.name, index))
    });
    OffsetFetchResponseTopic::default()
        .with_name(wanted.name.clone())
        .with_partitions(partitions.collect())
}

fn group(call: &Call<'_>, wanted: &OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let topics = wanted.topics.iter().flatten();
    OffsetFetchResponseGroup::default()
        .with_group_id(wanted.group_id.clone())
        .with_error_code(general_error(call))
        .with_topics(topics.map(|wanted| group_topic(call, wanted)).collect())
}

/// The same as [`topic`]; the codec has other types for it since there are many groups.
fn group_topic(call: &Call<'_>, wanted: &OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
    let partitions = wanted.partition_indexes.iter().map(|&index| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(NOTHING)
            .with_error_code(partition_error(call, &wanted.name, index))
    });
    OffsetFetchResponseTopics::default()
        .with_name(wanted.name.clone())
        .with_partitions(partitions.collect())
}

fn general_error(call: &Call<'_>) -> i16 {
    code(call.plan.error().map(|(error, _)| error))
}

fn partition_error(call: &Call<'_>, topic: &str, partition: i32) -> i16 {
    code(call.fault(topic, partition).map(|(error, _)| error))
}
