//! The partitions that a request is about.

use kafka_protocol::messages::{
    ApiKey, FetchRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
    OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest,
};
use uuid::Uuid;

use super::Frame;
use super::decode::decode;
use crate::fault::Concern;
use crate::state::State;

/// Topics and partitions; `None`: all of the topic. Nothing for APIs that know no partitions, and for
/// what cannot be decoded or is nowhere.
pub(crate) fn concerns(state: &State, frame: &Frame) -> Vec<Concern> {
    match frame.api {
        ApiKey::Produce => produce(state, frame),
        ApiKey::Metadata => metadata(state, frame),
        ApiKey::Fetch => fetch(state, frame),
        ApiKey::ListOffsets => list_offsets(frame),
        ApiKey::OffsetForLeaderEpoch => epochs(frame),
        ApiKey::OffsetCommit => commits(frame),
        ApiKey::OffsetFetch => committed(frame),
        _ => Vec::new(),
    }
}

fn produce(state: &State, frame: &Frame) -> Vec<Concern> {
    let Ok(request) = decode::<ProduceRequest>(&frame.body, frame.version) else {
        return Vec::new();
    };
    let topics = request.topic_data.into_iter();
    topics
        .flat_map(|topic| {
            let partitions = topic.partition_data.iter().map(|partition| partition.index);
            each(name(state, &topic.name, topic.topic_id), partitions)
        })
        .collect()
}

fn metadata(state: &State, frame: &Frame) -> Vec<Concern> {
    let Ok(request) = decode::<MetadataRequest>(&frame.body, frame.version) else {
        return Vec::new();
    };
    match request.topics {
        Some(topics) if frame.version > 0 || !topics.is_empty() => topics
            .into_iter()
            .filter_map(|topic| {
                let given = topic.name.unwrap_or_default();
                Some((name(state, &given, topic.topic_id)?, None))
            })
            .collect(),
        _ => state
            .topics
            .keys()
            .map(|topic| (topic.clone(), None))
            .collect(),
    }
}

fn fetch(state: &State, frame: &Frame) -> Vec<Concern> {
    let Ok(request) = decode::<FetchRequest>(&frame.body, frame.version) else {
        return Vec::new();
    };
    let topics = request.topics.into_iter();
    topics
        .flat_map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| wanted.partition);
            each(name(state, &topic.topic, topic.topic_id), partitions)
        })
        .collect()
}

fn list_offsets(frame: &Frame) -> Vec<Concern> {
    let Ok(request) = decode::<ListOffsetsRequest>(&frame.body, frame.version) else {
        return Vec::new();
    };
    let topics = request.topics.into_iter();
    topics
        .flat_map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| wanted.partition_index);
            each(Some(topic.name.to_string()), partitions)
        })
        .collect()
}

fn epochs(frame: &Frame) -> Vec<Concern> {
    let Ok(request) = decode::<OffsetForLeaderEpochRequest>(&frame.body, frame.version) else {
        return Vec::new();
    };
    let topics = request.topics.into_iter();
    topics
        .flat_map(|topic| {
            let partitions = topic.partitions.iter().map(|wanted| wanted.partition);
            each(Some(topic.topic.to_string()), partitions)
        })
        .collect()
}

fn commits(frame: &Frame) -> Vec<Concern> {
    let Ok(request) = decode::<OffsetCommitRequest>(&frame.body, frame.version) else {
        return Vec::new();
    };
    let topics = request.topics.into_iter();
    topics
        .flat_map(|topic| {
            let partitions = topic.partitions.iter().map(|one| one.partition_index);
            each(Some(topic.name.to_string()), partitions)
        })
        .collect()
}

/// Of one group or, in newer versions, of many.
fn committed(frame: &Frame) -> Vec<Concern> {
    let Ok(request) = decode::<OffsetFetchRequest>(&frame.body, frame.version) else {
        return Vec::new();
    };
    let of_one = request.topics.into_iter().flatten();
    let of_one = of_one.map(|topic| (topic.name, topic.partition_indexes));
    let of_many = request.groups.into_iter().filter_map(|group| group.topics);
    let of_many = of_many.flatten();
    let of_many = of_many.map(|topic| (topic.name, topic.partition_indexes));
    of_one
        .chain(of_many)
        .flat_map(|(topic, partitions)| each(Some(topic.to_string()), partitions.into_iter()))
        .collect()
}

/// Topics come by name or, in newer versions, by id.
fn name(state: &State, name: &str, id: Uuid) -> Option<String> {
    if name.is_empty() {
        state.topic_by_id(id).map(|(name, _)| name.to_owned())
    } else {
        Some(name.to_owned())
    }
}

fn each(topic: Option<String>, partitions: impl Iterator<Item = i32>) -> Vec<Concern> {
    topic
        .map(|topic| {
            partitions
                .map(|partition| (topic.clone(), Some(partition)))
                .collect()
        })
        .unwrap_or_default()
}
