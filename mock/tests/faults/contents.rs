//! Answers whose contents are wrong.

use kafka_mock::{ApiKey, Cluster, Fault, FaultId, ResponseError, Rule};
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::produce_response::LeaderIdAndEpoch;
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, InitProducerIdRequest, MetadataResponse, ProducerId,
};
use uuid::Uuid;

use crate::client::{
    API_VERSIONS, Client, METADATA, PRODUCE, TOPIC, cluster, cluster_of, hello, metadata, produce,
    stored, topic_name,
};

fn described(cluster: &Cluster) -> MetadataResponse {
    Client::to(cluster, 1).call(METADATA, &metadata())
}

fn topic(cluster: &Cluster) -> MetadataResponseTopic {
    described(cluster).topics.remove(0)
}

/// What the topic looks like while the fault lasts; afterwards it must be as before.
fn topic_with(cluster: &Cluster, rule: Rule) -> MetadataResponseTopic {
    let before = described(cluster);
    let fault = cluster.inject(rule);
    let topic = topic(cluster);
    cluster.withdraw(fault);
    assert_eq!(described(cluster), before);
    topic
}

fn indexes(topic: &MetadataResponseTopic) -> Vec<i32> {
    let partitions = topic.partitions.iter();
    partitions.map(|one| one.partition_index).collect()
}

fn leaders(topic: &MetadataResponseTopic) -> Vec<(i32, i32)> {
    let partitions = topic.partitions.iter();
    partitions
        .map(|one| (one.leader_id.0, one.leader_epoch))
        .collect()
}

#[test]
fn metadata_names_a_leader_that_is_none() {
    let cluster = cluster();
    let fault = Rule::new(Fault::Leader { node: 99, epoch: 7 });
    let topic = topic_with(&cluster, fault.clone().partition(TOPIC, 1));
    assert_eq!(leaders(&topic), [(1, 0), (99, 7), (1, 0)]);
    let topic = topic_with(&cluster, fault);
    assert_eq!(leaders(&topic), [(99, 7); 3]);
}

#[test]
fn metadata_lags_behind_a_leader_that_has_moved() {
    let cluster = cluster_of(2);
    let fault = Fault::Leader { node: 1, epoch: 0 };
    cluster.inject(Rule::new(fault).partition(TOPIC, 0).node(1));
    cluster.move_leader(TOPIC, 0, Some(2));
    let fresh = Client::to(&cluster, 2).call(METADATA, &metadata());
    assert_eq!(leaders(&topic(&cluster))[0], (1, 0));
    assert_eq!(leaders(&fresh.topics[0])[0], (2, 1));
}

/// The hint in the answer of node 1 about partition 0, and the nodes whose addresses it gives.
fn hint(cluster: &Cluster) -> (LeaderIdAndEpoch, Vec<(i32, u16)>) {
    let response = Client::to(cluster, 1).call(PRODUCE, &produce(&[0]));
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, ResponseError::NotLeaderOrFollower.code());
    let endpoints = response.node_endpoints.iter();
    let nodes = endpoints.map(|node| (node.node_id.0, u16::try_from(node.port).unwrap()));
    (answer.current_leader.clone(), nodes.collect())
}

fn leader(node: i32, epoch: i32) -> LeaderIdAndEpoch {
    LeaderIdAndEpoch::default()
        .with_leader_id(BrokerId(node))
        .with_leader_epoch(epoch)
}

#[test]
fn a_leader_moves_with_and_without_hints() {
    let cluster = cluster_of(2);
    cluster.move_leader(TOPIC, 0, Some(2));
    assert_eq!(hint(&cluster), (leader(-1, -1), vec![]));
    let fault = cluster.inject(Rule::new(Fault::LeaderHints).partition(TOPIC, 0));
    let port = cluster.address(2).port();
    assert_eq!(hint(&cluster), (leader(2, 1), vec![(2, port)]));
    cluster.withdraw(fault);
    assert_eq!(hint(&cluster), (leader(-1, -1), vec![]));
}

#[test]
fn hints_lie() {
    let cluster = cluster_of(2);
    cluster
        .inject(Rule::new(Fault::Error(ResponseError::NotLeaderOrFollower)).api(ApiKey::Produce));
    cluster.inject(Rule::new(Fault::LeaderHints));
    cluster.inject(Rule::new(Fault::Leader { node: 2, epoch: 9 }));
    let port = cluster.address(2).port();
    assert_eq!(hint(&cluster), (leader(2, 9), vec![(2, port)]));
}

#[test]
fn metadata_names_brokers_that_are_none() {
    let cluster = cluster();
    let absurd = vec![
        (1, String::new(), 0),
        (1, "no such host".to_owned(), -1),
        (-1, "x".repeat(300), 99_999),
    ];
    for brokers in [Vec::new(), absurd] {
        let fault = cluster.inject(Rule::new(Fault::Brokers(brokers.clone())));
        let named: Vec<_> = described(&cluster)
            .brokers
            .iter()
            .map(|node| (node.node_id.0, node.host.to_string(), node.port))
            .collect();
        assert_eq!(named, brokers);
        cluster.withdraw(fault);
    }
    let port = i32::from(cluster.address(1).port());
    assert_eq!(described(&cluster).brokers[0].port, port);
}

#[test]
fn metadata_claims_more_partitions_or_fewer() {
    let cluster = cluster();
    for count in [0, 1, 5000] {
        let topic = topic_with(&cluster, Rule::new(Fault::PartitionCount(count)));
        let all: Vec<i32> = (0..).take(count).collect();
        assert_eq!(indexes(&topic), all);
        assert!(leaders(&topic).iter().all(|leader| *leader == (1, 0)));
    }
}

#[test]
fn metadata_gives_a_topic_another_id() {
    let cluster = cluster();
    for id in [Uuid::nil(), Uuid::from_u128(7)] {
        let topic = topic_with(&cluster, Rule::new(Fault::TopicId(id)));
        assert_eq!(topic.topic_id, id);
    }
}

#[test]
fn metadata_is_of_another_cluster() {
    let cluster = cluster();
    for id in [None, Some("another")] {
        let fault = Fault::ClusterId(id.map(str::to_owned));
        let fault = cluster.inject(Rule::new(fault));
        assert_eq!(described(&cluster).cluster_id.as_deref(), id);
        cluster.withdraw(fault);
    }
}

#[test]
fn metadata_lacks_repeats_and_invents_partitions() {
    let cluster = cluster();
    let lacks = topic_with(
        &cluster,
        Rule::new(Fault::OmitPartition).partition(TOPIC, 1),
    );
    assert_eq!(indexes(&lacks), [0, 2]);
    let empty = topic_with(&cluster, Rule::new(Fault::OmitPartition));
    assert!(empty.partitions.is_empty());
    let repeats = topic_with(
        &cluster,
        Rule::new(Fault::RepeatPartition).partition(TOPIC, 1),
    );
    assert_eq!(indexes(&repeats), [0, 1, 2, 1]);
    let invents = topic_with(&cluster, Rule::new(Fault::StrayPartition(-7)));
    assert_eq!(indexes(&invents), [0, 1, 2, -7]);
}

#[test]
fn metadata_invents_a_topic() {
    let cluster = cluster();
    cluster.inject(Rule::new(Fault::StrayTopic("nobody.asked".to_owned())));
    let response = described(&cluster);
    let names: Vec<_> = response
        .topics
        .iter()
        .map(|topic| topic.name.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(names, [TOPIC, "nobody.asked"]);
}

/// Which partitions an answer to Produce for 0 and 1 is about, by topic, with this rule.
fn answered(cluster: &Cluster, rules: &[Rule]) -> Vec<(String, Vec<i32>)> {
    let faults: Vec<FaultId> = rules
        .iter()
        .map(|rule| cluster.inject(rule.clone().api(ApiKey::Produce)))
        .collect();
    let response = Client::to(cluster, 1).call(PRODUCE, &produce(&[0, 1]));
    for fault in faults {
        cluster.withdraw(fault);
    }
    let topics = response.responses.iter().map(|topic| {
        let partitions = topic.partition_responses.iter();
        assert!(partitions.clone().all(|one| one.error_code == 0));
        let indexes = partitions.map(|one| one.index).collect();
        (topic.name.to_string(), indexes)
    });
    topics.collect()
}

#[test]
fn answers_lack_repeat_and_invent_partitions() {
    let cluster = cluster();
    let only = |indexes: &[i32]| vec![(TOPIC.to_owned(), indexes.to_vec())];
    let omit = Rule::new(Fault::OmitPartition);
    let stray = Rule::new(Fault::StrayPartition(4711));
    let repeat = Rule::new(Fault::RepeatPartition);
    assert_eq!(answered(&cluster, &[]), only(&[0, 1]));
    let one_missing = [omit.clone().partition(TOPIC, 0)];
    assert_eq!(answered(&cluster, &one_missing), only(&[1]));
    assert_eq!(answered(&cluster, std::slice::from_ref(&omit)), only(&[]));
    assert_eq!(answered(&cluster, &[repeat]), only(&[0, 1, 0, 1]));
    assert_eq!(
        answered(&cluster, std::slice::from_ref(&stray)),
        only(&[0, 1, 4711])
    );
    assert_eq!(answered(&cluster, &[omit, stray]), only(&[4711]));
    assert_eq!(stored(&cluster, 0), 6, "all were applied");
}

#[test]
fn answers_invent_topics() {
    let cluster = cluster();
    let fault = Rule::new(Fault::StrayTopic("nobody.asked".to_owned()));
    assert_eq!(
        answered(&cluster, &[fault]),
        [
            (TOPIC.to_owned(), vec![0, 1]),
            ("nobody.asked".to_owned(), vec![0])
        ]
    );
}

#[test]
fn answers_give_offsets_that_cannot_be() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    for offset in [-7, i64::MAX] {
        let fault = Rule::new(Fault::BaseOffset(offset)).partition(TOPIC, 1);
        let fault = cluster.inject(fault);
        let answers = client.produce(&[0, 1]);
        assert_ne!(answers[0].base_offset, offset);
        assert_eq!(answers[1].base_offset, offset);
        cluster.withdraw(fault);
    }
}

#[test]
fn a_producer_gets_an_id_that_cannot_be() {
    let cluster = cluster();
    let fault = Fault::ProducerId { id: -5, epoch: -6 };
    cluster.inject(Rule::new(fault).times(1));
    let mut client = Client::to(&cluster, 1);
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let lie = client.call(4, &request);
    assert_eq!((lie.producer_id.0, lie.producer_epoch), (-5, -6));
    let truth = client.call(4, &request);
    assert!(truth.producer_id.0 >= 0 && truth.producer_epoch == 0);
}

fn offer(response: &ApiVersionsResponse, api: ApiKey) -> Option<(i16, i16)> {
    response
        .api_keys
        .iter()
        .find(|offer| offer.api_key == api as i16)
        .map(|offer| (offer.min_version, offer.max_version))
}

#[test]
fn versions_are_offered_that_cannot_be() {
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let truth = client.call(API_VERSIONS, &hello());
    for versions in [None, Some((9, 3)), Some((100, 200))] {
        let fault = Rule::new(Fault::Versions(ApiKey::Produce, versions));
        let fault = cluster.inject(fault);
        let lie = client.call(API_VERSIONS, &hello());
        assert_eq!(offer(&lie, ApiKey::Produce), versions);
        let other = ApiKey::Metadata;
        assert_eq!(offer(&lie, other), offer(&truth, other));
        cluster.withdraw(fault);
    }
    assert_eq!(client.call(API_VERSIONS, &hello()), truth);
}

#[test]
fn a_topic_that_was_created_again_is_not_known_by_its_old_id() {
    const BY_ID: i16 = 13;
    let cluster = cluster();
    let mut client = Client::to(&cluster, 1);
    let old = topic(&cluster).topic_id;
    assert!(cluster.delete_topic(TOPIC));
    cluster.create_topic(TOPIC, 3);
    let new = topic(&cluster).topic_id;
    let mut code = |id| {
        let mut request = produce(&[0]);
        request.topic_data[0].name = Default::default();
        request.topic_data[0].topic_id = id;
        let response = client.call(BY_ID, &request);
        response.responses[0].partition_responses[0].error_code
    };
    assert_eq!(code(old), ResponseError::UnknownTopicId.code());
    assert_eq!(code(new), 0);
    assert_eq!(topic(&cluster).name, Some(topic_name()));
}
