//! Metadata.

use kafka_mock::{Cluster, Profile, ResponseError};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use uuid::Uuid;

use crate::wire::{Client, Topic, topic_name};

const NEWEST: i16 = 13;

fn no_auto_create() -> Cluster {
    Cluster::builder().auto_create(None).start().unwrap()
}

fn about(name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    MetadataRequest::default().with_topics(Some(vec![topic]))
}

fn by_id(id: Uuid) -> MetadataRequest {
    let topic = MetadataRequestTopic::default()
        .with_name(None)
        .with_topic_id(id);
    MetadataRequest::default().with_topics(Some(vec![topic]))
}

fn only_topic(mut response: MetadataResponse) -> MetadataResponseTopic {
    assert_eq!(response.topics.len(), 1);
    response.topics.remove(0)
}

#[test]
fn all_nodes_are_named_by_each_of_them() {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    for node in cluster.node_ids() {
        let response = Client::of(&cluster, node).call(NEWEST, &MetadataRequest::default());
        let said: Vec<_> = response
            .brokers
            .iter()
            .map(|broker| {
                (
                    broker.node_id.0,
                    format!("{}:{}", &*broker.host, broker.port),
                )
            })
            .collect();
        let real: Vec<_> = cluster
            .node_ids()
            .into_iter()
            .map(|node| (node, cluster.address(node).to_string()))
            .collect();
        assert_eq!(said, real);
        assert_eq!(response.controller_id.0, 1);
        assert!(response.cluster_id.is_some_and(|id| !id.is_empty()));
    }
}

#[test]
fn null_is_all_topics_and_empty_is_none() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("a", 1);
    cluster.create_topic("b", 1);
    let mut client = Client::of(&cluster, 1);
    let all = MetadataRequest::default().with_topics(None);
    let none = MetadataRequest::default().with_topics(Some(vec![]));
    assert_eq!(client.call(NEWEST, &all).topics.len(), 2);
    assert_eq!(client.call(NEWEST, &none).topics.len(), 0);
    // Version 0 has no null.
    assert_eq!(client.call(0, &none).topics.len(), 2);
}

#[test]
fn a_topic_is_described_with_its_leaders() {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    let topic = Topic::create(&cluster, "led", 4);
    cluster.move_leader("led", 1, Some(3));
    let answer = only_topic(Client::of(&cluster, 2).call(NEWEST, &about("led")));
    assert_eq!(answer.error_code, 0);
    assert_eq!(answer.topic_id, topic.id);
    let said: Vec<_> = answer
        .partitions
        .iter()
        .map(|one| (one.partition_index, one.leader_id.0, one.leader_epoch))
        .collect();
    assert_eq!(said, [(0, 1, 0), (1, 3, 1), (2, 3, 0), (3, 1, 0)]);
    let replicas: Vec<_> = answer.partitions[1]
        .replica_nodes
        .iter()
        .map(|id| id.0)
        .collect();
    assert_eq!(replicas, [2, 3, 1]);
}

#[test]
fn a_topic_is_created_when_it_is_asked_for() {
    let cluster = Cluster::builder().auto_create(Some(6)).start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let answer =
        only_topic(client.call(NEWEST, &about("new").with_allow_auto_topic_creation(true)));
    assert_eq!(answer.error_code, 0);
    assert_eq!(answer.partitions.len(), 6);
    assert_eq!(cluster.topics().len(), 1);
}

#[test]
fn a_topic_is_not_created_when_the_client_or_the_broker_does_not_want_it() {
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    let willing = Cluster::start().unwrap();
    let request = about("new").with_allow_auto_topic_creation(false);
    let answer = only_topic(Client::of(&willing, 1).call(NEWEST, &request));
    assert_eq!(answer.error_code, unknown);
    assert_eq!(answer.topic_id, Uuid::nil());
    let unwilling = no_auto_create();
    for version in [0, NEWEST] {
        let answer = only_topic(Client::of(&unwilling, 1).call(version, &about("new")));
        assert_eq!(answer.error_code, unknown);
    }
    assert!(willing.topics().is_empty() && unwilling.topics().is_empty());
}

#[test]
fn names_that_are_not_allowed_are_refused() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let long = "x".repeat(250);
    for name in ["", ".", "..", "sip/events", "größe", &long] {
        let answer = only_topic(client.call(NEWEST, &about(name)));
        let invalid = ResponseError::InvalidTopicException.code();
        assert_eq!(answer.error_code, invalid, "{name:?}");
    }
    let longest = "x".repeat(249);
    assert_eq!(
        only_topic(client.call(NEWEST, &about(&longest))).error_code,
        0
    );
}

#[test]
fn topics_are_found_by_id_since_version_12() {
    let cluster = Cluster::start().unwrap();
    let topic = Topic::create(&cluster, "known", 1);
    let mut client = Client::of(&cluster, 1);
    let answer = only_topic(client.call(12, &by_id(topic.id)));
    assert_eq!(answer.name, Some(topic.name));
    let other = Uuid::from_u128(7);
    let answer = only_topic(client.call(12, &by_id(other)));
    assert_eq!(answer.error_code, ResponseError::UnknownTopicId.code());
    assert_eq!((answer.name, answer.topic_id), (None, other));
}

#[test]
fn a_topic_that_is_created_again_has_another_id() {
    let cluster = Cluster::start().unwrap();
    let first = Topic::create(&cluster, "again", 1);
    assert!(cluster.delete_topic("again"));
    assert!(!cluster.delete_topic("again"));
    let second = Topic::create(&cluster, "again", 1);
    assert_ne!(first.id, second.id);
    let mut client = Client::of(&cluster, 1);
    let answer = only_topic(client.call(NEWEST, &by_id(first.id)));
    assert_eq!(answer.error_code, ResponseError::UnknownTopicId.code());
}

#[test]
fn a_partition_without_a_leader_says_so() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("headless", 2);
    cluster.move_leader("headless", 0, None);
    let answer = only_topic(Client::of(&cluster, 1).call(NEWEST, &about("headless")));
    let codes: Vec<_> = answer.partitions.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [ResponseError::LeaderNotAvailable.code(), 0]);
    assert_eq!(answer.partitions[0].leader_id.0, -1);
}

#[test]
fn topic_ids_are_as_old_as_the_profile_says() {
    let old = Cluster::builder().profile(Profile::KAFKA_2_3);
    let cluster = old.start().unwrap();
    cluster.create_topic("old", 1);
    let answer = only_topic(Client::of(&cluster, 1).call(8, &about("old")));
    assert_eq!(answer.topic_id, Uuid::nil());
}
