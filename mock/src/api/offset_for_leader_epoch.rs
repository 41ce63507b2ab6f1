//! OffsetForLeaderEpoch: where an epoch ended (KIP-320: so a consumer notices a log that was cut).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{Call, Outcome, leading};
use crate::state::State;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: OffsetForLeaderEpochRequest = call.decode()?;
    let mut response =
        OffsetForLeaderEpochResponse::default().with_throttle_time_ms(call.throttle_ms());
    for topic in &request.topics {
        let partitions = topic
            .partitions
            .iter()
            .map(|wanted| describe(state, call, &topic.topic, wanted))
            .collect();
        response.topics.push(
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic.clone())
                .with_partitions(partitions),
        );
    }
    call.send(&response)
}

fn describe(
    state: &mut State,
    call: &Call<'_>,
    topic: &str,
    wanted: &OffsetForLeaderPartition,
) -> EpochEndOffset {
    let answer = EpochEndOffset::default().with_partition(wanted.partition);
    match find(state, call, topic, wanted) {
        Ok(Some((epoch, end))) => answer.with_leader_epoch(epoch).with_end_offset(end),
        Ok(None) => answer,
        Err(error) => answer.with_error_code(error.code()),
    }
}

fn find(
    state: &mut State,
    call: &Call<'_>,
    topic: &str,
    wanted: &OffsetForLeaderPartition,
) -> Result<Option<(i32, i64)>, ResponseError> {
    if let Some((error, _)) = call.fault(topic, wanted.partition) {
        return Err(error);
    }
    let epoch = wanted.current_leader_epoch;
    let partition = leading(state, call, topic, wanted.partition, epoch)?;
    if wanted.leader_epoch > partition.leader_epoch {
        return Ok(None);
    }
    Ok(partition.log.end_of_epoch(wanted.leader_epoch))
}
