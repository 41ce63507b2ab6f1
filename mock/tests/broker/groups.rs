//! Consumers and their groups, of which there are none: FindCoordinator, OffsetFetch, OffsetCommit,
//! JoinGroup and ConsumerGroupHeartbeat.

use kafka_mock::{ApiKey, Cluster, Fault, ResponseError, Rule};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, FindCoordinatorRequest, JoinGroupRequest, OffsetCommitRequest,
    OffsetFetchRequest,
};

use crate::wire::{Client, text, topic_name};

const NEWEST_FIND: i16 = 6;
const NEWEST_OFFSETS: i16 = 9;
const NEWEST_JOIN: i16 = 9;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

fn find(client: &mut Client, kind: i8, keys: &[&str]) -> Vec<Coordinator> {
    let request = FindCoordinatorRequest::default()
        .with_key_type(kind)
        .with_coordinator_keys(keys.iter().copied().map(text).collect());
    client.call(NEWEST_FIND, &request).coordinators
}

/// What is committed for these partitions of a topic: offsets and error codes.
fn committed(client: &mut Client, topic: &str, partitions: &[i32]) -> Vec<(i64, i16)> {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(topic_name(topic))
        .with_partition_indexes(partitions.to_vec());
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(text("mine").into())
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let mut response = client.call(NEWEST_OFFSETS, &request);
    let partitions = response.groups.remove(0).topics.remove(0).partitions;
    let said = partitions.iter();
    said.map(|one| (one.committed_offset, one.error_code))
        .collect()
}

/// The error codes of a commit of partitions of a topic.
fn commit(client: &mut Client, topic: &str, partitions: &[i32]) -> Vec<i16> {
    let partitions = partitions.iter().map(|&index| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(7)
    });
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(partitions.collect());
    let request = OffsetCommitRequest::default()
        .with_group_id(text("mine").into())
        .with_topics(vec![topic]);
    let mut response = client.call(NEWEST_OFFSETS, &request);
    let partitions = response.topics.remove(0).partitions;
    partitions.iter().map(|one| one.error_code).collect()
}

#[test]
fn a_group_finds_its_coordinator_in_whoever_is_asked() {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    for node in 1..=3 {
        let mut client = Client::of(&cluster, node);
        let found = find(&mut client, GROUP, &["mine", "yours"]);
        let keys: Vec<_> = found.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["mine", "yours"]);
        for coordinator in found {
            let address = cluster.address(node);
            assert_eq!((coordinator.error_code, coordinator.node_id.0), (0, node));
            assert_eq!(coordinator.host.as_str(), address.ip().to_string());
            assert_eq!(coordinator.port, i32::from(address.port()));
        }
    }
}

#[test]
fn a_coordinator_of_anything_else_is_refused_with_the_reason() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    for (kind, error, why) in [
        (
            TRANSACTION,
            ResponseError::TransactionalIdAuthorizationFailed,
            "no transactions",
        ),
        (
            SHARE,
            ResponseError::InvalidRequest,
            "no coordinators of this kind",
        ),
    ] {
        let request = FindCoordinatorRequest::default().with_key_type(kind);
        let single = client.call(3, &request.with_key(text("mine")));
        assert_eq!((single.error_code, single.node_id.0), (error.code(), -1));
        assert!(single.error_message.unwrap().contains(why));
        let many = find(&mut client, kind, &["mine", "yours"]);
        assert_eq!(many.len(), 2);
        for coordinator in many {
            assert_eq!(coordinator.error_code, error.code());
            assert_eq!(coordinator.node_id.0, -1);
            assert!(coordinator.error_message.unwrap().contains(why));
        }
    }
}

#[test]
fn a_coordinator_fails_as_it_is_told() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let error = ResponseError::CoordinatorNotAvailable;
    let rule = Rule::new(Fault::Error(error)).api(ApiKey::FindCoordinator);
    cluster.inject(rule.times(2));
    for kind in [GROUP, TRANSACTION] {
        let found = &find(&mut client, kind, &["mine"])[0];
        assert_eq!((found.error_code, found.node_id.0), (error.code(), -1));
    }
    assert_eq!(find(&mut client, GROUP, &["mine"])[0].error_code, 0);
}

#[test]
fn a_commit_is_refused_and_nothing_is_kept_of_it() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("events", 2);
    let mut client = Client::of(&cluster, 1);
    let refused = ResponseError::GroupAuthorizationFailed.code();
    for topic in ["events", "nothing"] {
        assert_eq!(commit(&mut client, topic, &[0, 1]), [refused; 2]);
        assert_eq!(committed(&mut client, topic, &[1, 0]), [(-1, 0); 2]);
    }
}

#[test]
fn of_all_topics_nothing_is_committed() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("events", 2);
    let mut client = Client::of(&cluster, 1);
    let old = OffsetFetchRequest::default().with_topics(None);
    let response = client.call(7, &old);
    assert_eq!((response.error_code, response.topics.len()), (0, 0));
    let group = OffsetFetchRequestGroup::default().with_topics(None);
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let response = client.call(NEWEST_OFFSETS, &request);
    assert_eq!(response.groups.len(), 1);
    assert_eq!(response.groups[0].error_code, 0);
    assert!(response.groups[0].topics.is_empty());
}

#[test]
fn offsets_of_one_partition_fail_as_they_are_told() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let error = ResponseError::UnstableOffsetCommit;
    let on = |api| {
        let rule = Rule::new(Fault::Error(error)).api(api);
        rule.partition("events", 1).times(1)
    };
    let fetch = cluster.inject(on(ApiKey::OffsetFetch));
    committed(&mut client, "others", &[0, 1]);
    assert_eq!(cluster.struck(fetch), 0, "it is not concerned");
    let said = committed(&mut client, "events", &[0, 1]);
    assert_eq!(said, [(-1, 0), (-1, error.code())]);

    cluster.inject(on(ApiKey::OffsetCommit));
    let refused = ResponseError::GroupAuthorizationFailed.code();
    assert_eq!(commit(&mut client, "events", &[0]), [refused]);
    let said = commit(&mut client, "events", &[0, 1]);
    assert_eq!(said, [refused, error.code()]);
}

#[test]
fn nobody_joins_a_group() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let request = JoinGroupRequest::default().with_group_id(text("mine").into());
    let response = client.call(NEWEST_JOIN, &request);
    let refused = ResponseError::GroupAuthorizationFailed.code();
    assert_eq!((response.error_code, response.generation_id), (refused, -1));
    assert_eq!(response.protocol_name, None);
    assert!(response.members.is_empty());
}

#[test]
fn nobody_joins_a_group_of_the_newer_kind_and_the_reason_is_told() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let request = ConsumerGroupHeartbeatRequest::default().with_group_id(text("mine").into());
    let mut ask = || {
        let response = client.call(1, &request);
        assert!(response.assignment.is_none());
        (response.error_code, response.error_message.unwrap())
    };
    let injected = ResponseError::CoordinatorLoadInProgress;
    let rule = Rule::new(Fault::Error(injected)).api(ApiKey::ConsumerGroupHeartbeat);
    cluster.inject(rule.times(1));
    assert_eq!(ask().0, injected.code());
    let (code, why) = ask();
    assert_eq!(code, ResponseError::GroupAuthorizationFailed.code());
    assert!(why.contains("assign partitions"), "{why}");
}
