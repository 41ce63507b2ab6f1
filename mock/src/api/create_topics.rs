//! CreateTopics.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use uuid::Uuid;

use super::{Call, Outcome, text};
use crate::state::{Rejection, State, TopicSettings};

/// KIP-525: how the topic was made.
const DETAILS_SINCE: i16 = 5;
/// KIP-516.
const ID_SINCE: i16 = 7;
/// Leaves a number to the broker (KIP-464).
const DEFAULT: i32 = -1;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: CreateTopicsRequest = call.decode()?;
    let mut response = CreateTopicsResponse::default().with_throttle_time_ms(call.throttle_ms());
    let twice = named_twice(&request.topics);
    let mut refused = HashSet::new();
    for topic in &request.topics {
        let outcome = if !twice.contains(topic.name.as_str()) {
            create(state, call, topic, request.validate_only)
        } else if refused.insert(topic.name.as_str()) {
            Err(Rejection::new(
                ResponseError::InvalidRequest,
                "the request names this topic twice",
            ))
        } else {
            continue;
        };
        let answer = CreatableTopicResult::default().with_name(topic.name.clone());
        response.topics.push(match outcome {
            Ok(made) => describe(call, answer, made),
            Err(rejection) => answer
                .with_error_code(rejection.error.code())
                .with_error_message(Some(text(rejection.message))),
        });
    }
    call.send(&response)
}

fn named_twice(topics: &[CreatableTopic]) -> HashSet<&str> {
    let mut named = HashSet::new();
    topics
        .iter()
        .map(|topic| topic.name.as_str())
        .filter(|name| !named.insert(*name))
        .collect()
}

struct Made {
    id: Uuid,
    partitions: usize,
    replication: usize,
}

fn create(
    state: &mut State,
    call: &Call<'_>,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<Made, Rejection> {
    if let Some((error, applied)) = call.plan.error() {
        if applied {
            make(state, topic, validate_only)?;
        }
        return Err(Rejection::new(error, "injected fault"));
    }
    make(state, topic, validate_only)
}

fn make(state: &mut State, topic: &CreatableTopic, validate_only: bool) -> Result<Made, Rejection> {
    let settings = settings(state.settings.topic, &topic.configs)?;
    let replicas = replicas(state, topic)?;
    let mut made = Made {
        id: Uuid::nil(),
        partitions: replicas.len(),
        replication: replicas.first().map_or(0, Vec::len),
    };
    if !validate_only {
        made.id = state.create_topic(&topic.name, replicas, settings)?;
    }
    Ok(made)
}

/// Where each partition is to be.
fn replicas(state: &State, topic: &CreatableTopic) -> Result<Vec<Vec<i32>>, Rejection> {
    if !topic.assignments.is_empty() {
        return assigned(state, topic);
    }
    let partitions = match topic.num_partitions {
        DEFAULT => state.settings.partitions,
        count => count,
    };
    state.check_topic(&topic.name, partitions)?;
    let replication = match i32::from(topic.replication_factor) {
        DEFAULT => state.usual_replication(),
        count => usize::try_from(count).unwrap_or(0),
    };
    state.spread(partitions, replication)
}

fn assigned(state: &State, topic: &CreatableTopic) -> Result<Vec<Vec<i32>>, Rejection> {
    let invalid = |why: String| Rejection::new(ResponseError::InvalidReplicaAssignment, why);
    if topic.num_partitions != DEFAULT || i32::from(topic.replication_factor) != DEFAULT {
        return Err(Rejection::new(
            ResponseError::InvalidRequest,
            "who assigns replicas leaves the counts at -1",
        ));
    }
    let mut assignments: Vec<_> = topic.assignments.iter().collect();
    assignments.sort_by_key(|assignment| assignment.partition_index);
    let mut replicas = Vec::new();
    for (index, assignment) in (0..).zip(assignments) {
        if assignment.partition_index != index {
            return Err(invalid(format!(
                "partition {index} is missing or named twice"
            )));
        }
        let nodes: Vec<i32> = assignment.broker_ids.iter().map(|id| id.0).collect();
        let distinct: HashSet<i32> = nodes.iter().copied().collect();
        let known = nodes.iter().all(|node| state.nodes.contains_key(node));
        if nodes.is_empty() || distinct.len() != nodes.len() || !known {
            return Err(invalid(format!("partition {index} cannot be at {nodes:?}")));
        }
        replicas.push(nodes);
    }
    Ok(replicas)
}

/// Of the many settings, those that change what the mock does. The others are taken for granted.
fn settings(
    mut settings: TopicSettings,
    configs: &[CreatableTopicConfig],
) -> Result<TopicSettings, Rejection> {
    for config in configs {
        let value = config.value.as_ref().map_or("", |value| value.as_str());
        let wrong = || {
            Rejection::new(
                ResponseError::InvalidConfig,
                format!("{} cannot be {value:?}", &*config.name),
            )
        };
        match &*config.name {
            "max.message.bytes" => {
                settings.max_message_bytes = value.parse().map_err(|_| wrong())?;
            }
            "message.timestamp.type" => {
                settings.log_append_time = match value {
                    "CreateTime" => false,
                    "LogAppendTime" => true,
                    _ => return Err(wrong()),
                };
            }
            _ => {}
        }
    }
    Ok(settings)
}

fn describe(call: &Call<'_>, mut answer: CreatableTopicResult, made: Made) -> CreatableTopicResult {
    if call.version() >= DETAILS_SINCE {
        answer.num_partitions = i32::try_from(made.partitions).unwrap_or(i32::MAX);
        answer.replication_factor = i16::try_from(made.replication).unwrap_or(i16::MAX);
    }
    if call.version() >= ID_SINCE {
        answer.topic_id = made.id;
    }
    answer
}
