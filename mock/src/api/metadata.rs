//! Metadata: nodes, topics and leaders.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};
use uuid::Uuid;

use super::{Call, Outcome, code, endpoint, text};
use crate::state::{Partition, State, Topic, check_name};

/// KIP-516: topics may be asked for by their ids.
const BY_ID_SINCE: i16 = 12;
/// KIP-1102: an error that concerns no topic.
const ERROR_SINCE: i16 = 13;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: MetadataRequest = call.decode()?;
    let version = call.version();
    let topics = match &request.topics {
        Some(topics) if version > 0 || !topics.is_empty() => named(state, call, &request, topics)?,
        _ => all(state, call),
    };
    let mut response = MetadataResponse::default()
        .with_brokers(brokers(state))
        .with_topics(topics);
    if version >= 1 {
        response.controller_id = BrokerId(state.controller().unwrap_or(-1));
    }
    if version >= 2 {
        response.cluster_id = Some(text(&state.cluster_id));
    }
    if version >= 3 {
        response.throttle_time_ms = call.throttle_ms();
    }
    if version >= ERROR_SINCE && is_rebootstrap(call) {
        response.error_code = ResponseError::RebootstrapRequired.code();
    }
    call.plan.forge_metadata(&mut response, version);
    call.send(&response)
}

fn brokers(state: &State) -> Vec<MetadataResponseBroker> {
    state
        .nodes_up()
        .map(|(id, node)| {
            let (host, port) = endpoint(node);
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(host)
                .with_port(port)
        })
        .collect()
}

fn all(state: &mut State, call: &Call<'_>) -> Vec<MetadataResponseTopic> {
    let names: Vec<String> = state.topics.keys().cloned().collect();
    names
        .iter()
        .map(|name| by_name(state, call, name))
        .collect()
}

fn named(
    state: &mut State,
    call: &Call<'_>,
    request: &MetadataRequest,
    topics: &[MetadataRequestTopic],
) -> Result<Vec<MetadataResponseTopic>, String> {
    let asked = call.version() < 4 || request.allow_auto_topic_creation;
    let creates = asked && !matches!(call.plan.error(), Some((_, false)));
    let mut answers = Vec::new();
    for topic in topics {
        answers.push(match &topic.name {
            Some(name) => {
                create(state, name, creates);
                by_name(state, call, name)
            }
            None if call.version() >= BY_ID_SINCE => by_id(state, call, topic.topic_id),
            None => return Err("topics are asked for by name before version 12".to_owned()),
        });
    }
    Ok(answers)
}

/// As brokers do (`auto.create.topics.enable`). That it cannot be created shows when it is looked up.
fn create(state: &mut State, name: &str, asked: bool) {
    if let (true, Some(partitions)) = (asked, state.settings.auto_create) {
        let _ = state.create_usual_topic(name, partitions);
    }
}

fn by_id(state: &mut State, call: &Call<'_>, id: Uuid) -> MetadataResponseTopic {
    match state.topic_by_id(id) {
        Some((name, _)) => {
            let name = name.to_owned();
            by_name(state, call, &name)
        }
        None => MetadataResponseTopic::default()
            .with_error_code(ResponseError::UnknownTopicId.code())
            .with_name(None)
            .with_topic_id(id),
    }
}

fn by_name(state: &mut State, call: &Call<'_>, name: &str) -> MetadataResponseTopic {
    let answer = MetadataResponseTopic::default().with_name(Some(text(name).into()));
    let error = match call.plan.error() {
        Some((error, _)) if !is_rebootstrap(call) => Some(error),
        _ if check_name(name).is_err() => Some(ResponseError::InvalidTopicException),
        _ if !state.topics.contains_key(name) => Some(ResponseError::UnknownTopicOrPartition),
        _ => None,
    };
    if error.is_some() {
        return answer.with_error_code(code(error));
    }
    let Topic { id, partitions, .. } = &state.topics[name];
    let partitions = partitions
        .iter()
        .zip(0..)
        .map(|(partition, index)| {
            let fault = call.plan.partition_error(name, index);
            describe(state, call, partition, index, fault.map(|(error, _)| error))
        })
        .collect();
    let answer = answer.with_partitions(partitions);
    if call.version() >= 10 {
        answer.with_topic_id(*id)
    } else {
        answer
    }
}

fn describe(
    state: &State,
    call: &Call<'_>,
    partition: &Partition,
    index: i32,
    fault: Option<ResponseError>,
) -> MetadataResponsePartition {
    let ids = |nodes: &[i32]| nodes.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let (up, down): (Vec<i32>, Vec<i32>) = partition
        .replicas
        .iter()
        .partition(|node| state.nodes.get(node).is_some_and(|node| node.up));
    let no_leader = partition
        .leader
        .is_none()
        .then_some(ResponseError::LeaderNotAvailable);
    let mut answer = MetadataResponsePartition::default()
        .with_error_code(code(fault.or(no_leader)))
        .with_partition_index(index)
        .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&up));
    if call.version() >= 5 {
        answer.offline_replicas = ids(&down);
    }
    if call.version() >= 7 {
        answer.leader_epoch = partition.leader_epoch;
    }
    answer
}

fn is_rebootstrap(call: &Call<'_>) -> bool {
    matches!(
        call.plan.error(),
        Some((ResponseError::RebootstrapRequired, _))
    )
}
