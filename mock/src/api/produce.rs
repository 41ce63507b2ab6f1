//! Produce: batches into logs.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest, ProduceResponse};

use super::{Answer, Call, Outcome, endpoint, text};
use crate::state::{Append, Appended, Partition, Rejection, State, wall_clock};

/// KIP-467: why, and which records.
const REASONS_SINCE: i16 = 8;
/// KIP-951: who leads the partition instead.
const HINTS_SINCE: i16 = 10;
/// KIP-516.
const BY_ID_SINCE: i16 = 13;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: ProduceRequest = call.decode()?;
    let mut response = ProduceResponse::default().with_throttle_time_ms(call.throttle_ms());
    let mut first_error = None;
    for topic in &request.topic_data {
        let name = if call.version() >= BY_ID_SINCE {
            state
                .topic_by_id(topic.topic_id)
                .map(|(name, _)| name.to_owned())
        } else {
            Some(topic.name.to_string())
        };
        let mut answers = Vec::new();
        for partition in &topic.partition_data {
            let target = Target {
                topic: name.as_deref(),
                partition: partition.index,
            };
            let outcome = append(state, call, &request, target, partition.records.as_ref());
            if let (Err(rejection), None) = (&outcome, &first_error) {
                first_error = Some(format!("{:?}: {}", rejection.error, rejection.message));
            }
            answers.push(describe(state, call, target, outcome));
        }
        call.plan
            .forge_produce_topic(name.as_deref().unwrap_or_default(), &mut answers);
        let answer = TopicProduceResponse::default().with_partition_responses(answers);
        response.responses.push(if call.version() >= BY_ID_SINCE {
            answer.with_topic_id(topic.topic_id)
        } else {
            answer.with_name(topic.name.clone())
        });
    }
    // Who wants no answer learns of an error by losing the connection.
    match (request.acks, first_error) {
        (0, Some(error)) => Ok(Answer::Close(format!(
            "Produce with acks=0 failed: {error}"
        ))),
        (0, None) => Ok(Answer::Nothing),
        _ => {
            call.plan
                .forge_produce(&mut response.responses, call.version());
            response.node_endpoints = endpoints(state, &response);
            call.send(&response)
        }
    }
}

/// Where a batch is to go. `topic` is `None` if nobody has its id.
#[derive(Clone, Copy)]
struct Target<'a> {
    topic: Option<&'a str>,
    partition: i32,
}

fn append(
    state: &mut State,
    call: &Call<'_>,
    request: &ProduceRequest,
    target: Target<'_>,
    records: Option<&Bytes>,
) -> Result<Appended, Rejection> {
    let Some(topic) = target.topic else {
        return Err(Rejection::new(
            ResponseError::UnknownTopicId,
            "no topic has this id",
        ));
    };
    let fault = call.fault(topic, target.partition);
    let injected = |error| Rejection::new(error, "injected fault");
    if let Some((error, false)) = fault {
        return Err(injected(error));
    }
    let appended = append_here(state, call, request.acks, topic, target.partition, records)?;
    match fault {
        Some((error, _)) => Err(injected(error)),
        None => Ok(appended),
    }
}

fn append_here(
    state: &mut State,
    call: &Call<'_>,
    acks: i16,
    topic: &str,
    index: i32,
    records: Option<&Bytes>,
) -> Result<Appended, Rejection> {
    let profile = state.profile(call.node);
    let unknown = || {
        Rejection::new(
            ResponseError::UnknownTopicOrPartition,
            format!("there is no {topic}-{index}"),
        )
    };
    let skew = call.plan.clock_skew_ms(topic, index);
    let topic = state.topics.get_mut(topic).ok_or_else(unknown)?;
    let settings = topic.settings;
    let partition = topic.partition_mut(index).ok_or_else(unknown)?;
    if !matches!(acks, -1..=1) {
        return Err(Rejection::new(
            ResponseError::InvalidRequiredAcks,
            format!("acks is -1, 0 or 1, not {acks}"),
        ));
    }
    if partition.leader != Some(call.node) {
        return Err(Rejection::new(
            ResponseError::NotLeaderOrFollower,
            format!("node {} does not lead this partition", call.node),
        ));
    }
    let records =
        records.ok_or_else(|| Rejection::new(ResponseError::InvalidRecord, "there is no batch"))?;
    partition.append(
        Append {
            records,
            produce_version: call.version(),
            now: wall_clock(skew),
            timestamps_ahead: profile.timestamps_ahead_ms(),
            rules: profile.producers(),
        },
        settings,
    )
}

fn describe(
    state: &State,
    call: &Call<'_>,
    target: Target<'_>,
    outcome: Result<Appended, Rejection>,
) -> PartitionProduceResponse {
    let partition = target
        .topic
        .and_then(|topic| state.topics.get(topic)?.partition(target.partition));
    let mut answer = PartitionProduceResponse::default().with_index(target.partition);
    if call.version() >= 5 {
        answer.log_start_offset = partition.map_or(-1, |partition| partition.log.start());
    }
    match outcome {
        Ok(appended) => answer
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.append_time),
        Err(rejection) => {
            if rejection.error == ResponseError::NotLeaderOrFollower {
                answer.current_leader = hint(call, target, partition);
            }
            refuse(call, answer, rejection)
        }
    }
}

fn refuse(
    call: &Call<'_>,
    answer: PartitionProduceResponse,
    rejection: Rejection,
) -> PartitionProduceResponse {
    let mut answer = answer
        .with_error_code(rejection.error.code())
        .with_base_offset(-1)
        .with_log_append_time_ms(-1);
    if call.version() >= REASONS_SINCE {
        answer.error_message = Some(text(rejection.message));
        answer.record_errors = rejection
            .records
            .into_iter()
            .map(|(index, message)| {
                BatchIndexAndErrorMessage::default()
                    .with_batch_index(index)
                    .with_batch_index_error_message(Some(text(message)))
            })
            .collect();
    }
    answer
}

/// The leader, where a fault wants it named; else nobody.
fn hint(call: &Call<'_>, target: Target<'_>, partition: Option<&Partition>) -> LeaderIdAndEpoch {
    let wanted = call.version() >= HINTS_SINCE
        && target
            .topic
            .is_some_and(|topic| call.plan.leader_hints(topic, target.partition));
    let leader = partition.and_then(|one| Some((one.leader?, one.leader_epoch)));
    match leader {
        Some((leader, epoch)) if wanted => LeaderIdAndEpoch::default()
            .with_leader_id(BrokerId(leader))
            .with_leader_epoch(epoch),
        _ => LeaderIdAndEpoch::default(),
    }
}

/// Of the leaders that the answer names.
fn endpoints(state: &State, response: &ProduceResponse) -> Vec<NodeEndpoint> {
    let named = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .map(|partition| partition.current_leader.leader_id.0);
    state
        .nodes_among(named)
        .map(|(id, node)| {
            let (host, port) = endpoint(node);
            NodeEndpoint::default()
                .with_node_id(BrokerId(id))
                .with_host(host)
                .with_port(port)
        })
        .collect()
}
