//! CreateTopics, DeleteTopics and DescribeCluster.

use kafka_mock::{Cluster, ResponseError};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest,
};
use uuid::Uuid;

use crate::batches::batch;
use crate::wire::{Client, Topic, text, topic_name};

const NEWEST_CREATE: i16 = 7;
const NEWEST_DELETE: i16 = 6;

fn topic(name: &str, partitions: i32, replication: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replication)
}

fn creation(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics)
}

fn create(client: &mut Client, topic: CreatableTopic) -> CreatableTopicResult {
    let mut response = client.call(NEWEST_CREATE, &creation(vec![topic]));
    response.topics.remove(0)
}

fn delete(client: &mut Client, name: Option<&str>, id: Uuid) -> DeletableTopicResult {
    let topic = DeleteTopicState::default()
        .with_name(name.map(topic_name))
        .with_topic_id(id);
    let request = DeleteTopicsRequest::default().with_topics(vec![topic]);
    client.call(NEWEST_DELETE, &request).responses.remove(0)
}

#[test]
fn a_topic_is_created_as_it_is_wanted() {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    let mut client = Client::of(&cluster, 2);
    let answer = create(&mut client, topic("made", 5, 2));
    assert_eq!(answer.error_code, 0);
    assert_eq!((answer.num_partitions, answer.replication_factor), (5, 2));
    let made = &cluster.topics()[0];
    assert_eq!((made.name.as_str(), made.id), ("made", answer.topic_id));
    let leaders: Vec<_> = made
        .partitions
        .iter()
        .map(|one| one.leader.unwrap())
        .collect();
    assert_eq!(leaders, [1, 2, 3, 1, 2]);
}

#[test]
fn what_is_left_open_is_as_usual() {
    let cluster = Cluster::builder().nodes(3).auto_create(Some(7)).start();
    let cluster = cluster.unwrap();
    let answer = create(&mut Client::of(&cluster, 1), topic("usual", -1, -1));
    assert_eq!((answer.num_partitions, answer.replication_factor), (7, 3));
}

#[test]
fn replicas_may_be_assigned() {
    let cluster = Cluster::builder().nodes(3).start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let assigned = |nodes: &[(i32, &[i32])]| {
        let assignments = nodes
            .iter()
            .map(|(index, nodes)| {
                CreatableReplicaAssignment::default()
                    .with_partition_index(*index)
                    .with_broker_ids(nodes.iter().copied().map(BrokerId).collect())
            })
            .collect();
        topic("assigned", -1, -1).with_assignments(assignments)
    };
    for unsound in [
        assigned(&[(1, &[1])]),
        assigned(&[(0, &[1]), (0, &[2])]),
        assigned(&[(0, &[])]),
        assigned(&[(0, &[1, 1])]),
        assigned(&[(0, &[4])]),
    ] {
        let answer = create(&mut client, unsound);
        let invalid = ResponseError::InvalidReplicaAssignment.code();
        assert_eq!(answer.error_code, invalid);
    }
    let both = assigned(&[(0, &[1])]).with_num_partitions(1);
    let answer = create(&mut client, both);
    assert_eq!(answer.error_code, ResponseError::InvalidRequest.code());
    let answer = create(&mut client, assigned(&[(1, &[3, 2]), (0, &[2, 1])]));
    assert_eq!(answer.error_code, 0);
    assert_eq!(cluster.leader("assigned", 0), Some(2));
    assert_eq!(cluster.leader("assigned", 1), Some(3));
}

#[test]
fn topics_that_cannot_be_are_refused() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("there", 1);
    let mut client = Client::of(&cluster, 1);
    for (topic, error) in [
        (topic("there", 1, 1), ResponseError::TopicAlreadyExists),
        (topic("no/such", 1, 1), ResponseError::InvalidTopicException),
        (topic("none", 0, 1), ResponseError::InvalidPartitions),
        (topic("many", i32::MAX, 1), ResponseError::InvalidPartitions),
        (topic("two", 1, 2), ResponseError::InvalidReplicationFactor),
        (topic("zero", 1, 0), ResponseError::InvalidReplicationFactor),
    ] {
        let answer = create(&mut client, topic);
        assert_eq!(answer.error_code, error.code(), "{:?}", answer.name);
        assert!(answer.error_message.is_some());
    }
    assert_eq!(cluster.topics().len(), 1);
}

#[test]
fn a_topic_named_twice_is_refused_once() {
    let cluster = Cluster::start().unwrap();
    let topics = vec![
        topic("twice", 1, 1),
        topic("once", 1, 1),
        topic("twice", 1, 1),
    ];
    let response = Client::of(&cluster, 1).call(NEWEST_CREATE, &creation(topics));
    let codes: Vec<_> = response.topics.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [ResponseError::InvalidRequest.code(), 0]);
    assert_eq!(cluster.topics().len(), 1);
}

#[test]
fn a_creation_may_be_only_checked() {
    let cluster = Cluster::start().unwrap();
    let request = creation(vec![topic("maybe", 3, 1)]).with_validate_only(true);
    let response = Client::of(&cluster, 1).call(NEWEST_CREATE, &request);
    assert_eq!(response.topics[0].error_code, 0);
    assert_eq!(response.topics[0].num_partitions, 3);
    assert!(cluster.topics().is_empty());
}

#[test]
fn settings_that_matter_here_are_followed() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let with = |name: &str, key: &str, value: &str| {
        let config = CreatableTopicConfig::default()
            .with_name(text(key))
            .with_value(Some(text(value)));
        topic(name, 1, 1).with_configs(vec![config])
    };
    create(&mut client, with("small", "max.message.bytes", "50"));
    let small = Topic::of(&cluster, "small");
    let answer = client.produce(13, &small, 0, batch(1).build());
    assert_eq!(answer.error_code, ResponseError::MessageTooLarge.code());
    create(
        &mut client,
        with("timed", "message.timestamp.type", "LogAppendTime"),
    );
    let timed = Topic::of(&cluster, "timed");
    let answer = client.produce(13, &timed, 0, batch(1).build());
    assert!(answer.log_append_time_ms > 0);
    let answer = create(&mut client, with("other", "retention.ms", "1"));
    assert_eq!(answer.error_code, 0);
    let wrong = with("wrong", "message.timestamp.type", "Never");
    let answer = create(&mut client, wrong);
    assert_eq!(answer.error_code, ResponseError::InvalidConfig.code());
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let first = Topic::create(&cluster, "first", 1);
    let second = Topic::create(&cluster, "second", 1);
    let answer = delete(&mut client, Some("first"), Uuid::nil());
    assert_eq!((answer.error_code, answer.topic_id), (0, first.id));
    let answer = delete(&mut client, None, second.id);
    assert_eq!((answer.error_code, answer.name), (0, Some(second.name)));
    assert!(cluster.topics().is_empty());
    let answer = delete(&mut client, Some("first"), Uuid::nil());
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(answer.error_code, unknown);
    let answer = delete(&mut client, None, second.id);
    assert_eq!(answer.error_code, ResponseError::UnknownTopicId.code());
}

#[test]
fn the_cluster_describes_itself() {
    let cluster = Cluster::builder().nodes(2).start().unwrap();
    let request = DescribeClusterRequest::default();
    let response = Client::of(&cluster, 2).call(2, &request);
    assert_eq!((response.error_code, response.controller_id.0), (0, 1));
    let ports: Vec<_> = response.brokers.iter().map(|one| one.port).collect();
    let real = [1, 2].map(|node| i32::from(cluster.address(node).port()));
    assert_eq!(ports, real);
}
