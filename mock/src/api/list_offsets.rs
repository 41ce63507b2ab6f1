//! ListOffsets: where a log begins and ends, and what its offset was at a time.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::{Call, Outcome, leading};
use crate::state::State;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// KIP-734.
const GREATEST_TIME: i64 = -3;
/// KIP-405: of what lies on the broker's own disk.
const EARLIEST_LOCAL: i64 = -4;
/// KIP-1005: of what lies elsewhere. Nothing does.
const LATEST_TIERED: i64 = -5;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: ListOffsetsRequest = call.decode()?;
    let mut response = ListOffsetsResponse::default();
    if call.version() >= 2 {
        response.throttle_time_ms = call.throttle_ms();
    }
    for topic in &request.topics {
        let partitions = topic
            .partitions
            .iter()
            .map(|wanted| describe(state, call, &topic.name, wanted))
            .collect();
        response.topics.push(
            ListOffsetsTopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    call.send(&response)
}

struct Found {
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
}

const NOTHING: Found = Found {
    offset: -1,
    timestamp: -1,
    leader_epoch: -1,
};

fn describe(
    state: &mut State,
    call: &Call<'_>,
    topic: &str,
    wanted: &ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let answer =
        ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
    let (found, error) = match find(state, call, topic, wanted) {
        Ok(found) => (found, 0),
        Err(error) => (NOTHING, error.code()),
    };
    let answer = answer
        .with_error_code(error)
        .with_offset(found.offset)
        .with_timestamp(found.timestamp);
    if call.version() >= 4 {
        answer.with_leader_epoch(found.leader_epoch)
    } else {
        answer
    }
}

fn find(
    state: &mut State,
    call: &Call<'_>,
    topic: &str,
    wanted: &ListOffsetsPartition,
) -> Result<Found, ResponseError> {
    if let Some((error, _)) = call.fault(topic, wanted.partition_index) {
        return Err(error);
    }
    let epoch = wanted.current_leader_epoch;
    let partition = leading(state, call, topic, wanted.partition_index, epoch)?;
    let log = &partition.log;
    let at = |(offset, timestamp): (i64, i64)| Found {
        offset,
        timestamp,
        leader_epoch: log.epoch_at(offset).unwrap_or(partition.leader_epoch),
    };
    let version = call.version();
    let found = match wanted.timestamp {
        LATEST => Some(at((log.end(), -1))),
        EARLIEST => Some(at((log.start(), -1))),
        GREATEST_TIME if version >= 7 => log.greatest_time().map(at),
        EARLIEST_LOCAL if version >= 8 => Some(at((log.start(), -1))),
        LATEST_TIERED if version >= 9 => None,
        time if time >= 0 => log.at_time(time).map(at),
        _ => return Err(ResponseError::UnsupportedVersion),
    };
    Ok(found.unwrap_or(NOTHING))
}
