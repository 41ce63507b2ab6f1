//! Every version of every API that a profile offers is answered, and the answer can be taken apart.

use kafka_mock::{ApiKey, Cluster, Profile};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, BrokerId, ConsumerGroupHeartbeatRequest, CreateTopicsRequest,
    DeleteTopicsRequest, DescribeClusterRequest, FindCoordinatorRequest, InitProducerIdRequest,
    JoinGroupRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, ProducerId, TopicName,
};

use crate::batches::batch;
use crate::wire::{Client, Topic, text, topic_name};

/// A cluster of each profile, a client and a topic: `check` is done for each version of the API.
fn for_each_version(api: ApiKey, mut check: impl FnMut(&Cluster, &mut Client, &Topic, i16)) {
    let mut profiles = 0;
    for profile in Profile::ALL {
        let Some((lowest, highest)) = profile.versions(api) else {
            continue;
        };
        profiles += 1;
        for version in lowest..=highest {
            let cluster = Cluster::builder()
                .nodes(2)
                .profile(*profile)
                .start()
                .unwrap();
            let topic = Topic::create(&cluster, "events", 2);
            let mut client = Client::of(&cluster, 1);
            check(&cluster, &mut client, &topic, version);
        }
    }
    assert!(profiles >= 4);
}

#[test]
fn produce() {
    for_each_version(ApiKey::Produce, |cluster, client, topic, version| {
        let stored = client.produce(version, topic, 0, batch(3).build());
        assert_eq!((stored.error_code, stored.base_offset), (0, 0));
        assert_eq!(cluster.records("events").len(), 3);
        // Partition 1 is led by the other node.
        let refused = client.produce(version, topic, 1, batch(1).build());
        assert_eq!((refused.error_code, refused.base_offset), (6, -1));
        assert_eq!(refused.error_message.is_some(), version >= 8);
    });
}

#[test]
fn fetch() {
    for_each_version(ApiKey::Fetch, |cluster, client, topic, version| {
        let produce = newest(cluster, ApiKey::Produce);
        client.produce(produce, topic, 0, batch(3).build());
        let read = client.fetch(version, topic, 0, 0);
        assert_eq!((read.error_code, read.high_watermark), (0, 3));
        assert_eq!(read.records.unwrap(), cluster.batches("events", 0)[0]);
        let refused = client.fetch(version, topic, 1, 0);
        assert_eq!(refused.error_code, 6);
    });
}

#[test]
fn metadata() {
    for_each_version(ApiKey::Metadata, |cluster, client, topic, version| {
        let wanted = MetadataRequestTopic::default().with_name(Some(topic.name.clone()));
        let nothing = MetadataRequestTopic::default().with_name(Some(topic_name("nothing/")));
        let request = MetadataRequest::default().with_topics(Some(vec![wanted, nothing]));
        let response = client.call(version, &request);
        assert_eq!(response.brokers.len(), 2);
        let codes: Vec<_> = response.topics.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, 17]);
        assert_eq!(response.topics[0].partitions.len(), 2);
        let has_id = response.topics[0].topic_id == topic.id;
        assert_eq!(has_id, version >= 10);
        assert_eq!(cluster.topics().len(), 1);
    });
}

#[test]
fn list_offsets() {
    for_each_version(ApiKey::ListOffsets, |cluster, client, topic, version| {
        let produce = newest(cluster, ApiKey::Produce);
        client.produce(produce, topic, 0, batch(3).build());
        let partition = |index, time| {
            ListOffsetsPartition::default()
                .with_partition_index(index)
                .with_timestamp(time)
        };
        let wanted = ListOffsetsTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(vec![partition(0, -1), partition(0, 1001), partition(1, -2)]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![wanted]);
        let response = client.call(version, &request);
        let said: Vec<_> = response.topics[0]
            .partitions
            .iter()
            .map(|one| (one.error_code, one.offset))
            .collect();
        assert_eq!(said, [(0, 3), (0, 1), (6, -1)]);
    });
}

#[test]
fn init_producer_id() {
    for_each_version(ApiKey::InitProducerId, |_, client, _, version| {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let response = client.call(version, &request);
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        assert!(response.producer_id.0 >= 0);
    });
}

#[test]
fn create_topics() {
    for_each_version(ApiKey::CreateTopics, |cluster, client, _, version| {
        let wanted = |name| {
            CreatableTopic::default()
                .with_name(topic_name(name))
                .with_num_partitions(3)
                .with_replication_factor(2)
        };
        let topics = vec![wanted("made"), wanted("events")];
        let request = CreateTopicsRequest::default().with_topics(topics);
        let response = client.call(version, &request);
        let codes: Vec<_> = response.topics.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [0, 36]);
        let made = Topic::of(cluster, "made");
        assert_eq!(response.topics[0].topic_id == made.id, version >= 7);
        assert_eq!(response.topics[0].num_partitions == 3, version >= 5);
    });
}

#[test]
fn delete_topics() {
    for_each_version(ApiKey::DeleteTopics, |cluster, client, topic, version| {
        let mut request = DeleteTopicsRequest::default();
        for name in [topic.name.clone(), topic_name("nothing")] {
            if version < 6 {
                request.topic_names.push(name);
            } else {
                let topic = DeleteTopicState::default().with_name(Some(name));
                request.topics.push(topic);
            }
        }
        let response = client.call(version, &request);
        let codes: Vec<_> = response
            .responses
            .iter()
            .map(|one| one.error_code)
            .collect();
        assert_eq!(codes, [0, 3]);
        assert!(cluster.topics().is_empty());
    });
}

#[test]
fn offset_for_leader_epoch() {
    for_each_version(
        ApiKey::OffsetForLeaderEpoch,
        |cluster, client, topic, version| {
            let produce = newest(cluster, ApiKey::Produce);
            client.produce(produce, topic, 0, batch(3).build());
            let partition = OffsetForLeaderPartition::default().with_leader_epoch(0);
            let wanted = OffsetForLeaderTopic::default()
                .with_topic(topic.name.clone())
                .with_partitions(vec![partition]);
            let request = OffsetForLeaderEpochRequest::default().with_topics(vec![wanted]);
            let response = client.call(version, &request);
            let said = &response.topics[0].partitions[0];
            assert_eq!((said.error_code, said.end_offset), (0, 3));
        },
    );
}

#[test]
fn api_versions() {
    for_each_version(ApiKey::ApiVersions, |_, client, _, version| {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text("tests"))
            .with_client_software_version(text("1"));
        let response = client.call(version, &request);
        assert_eq!(response.error_code, 0);
        assert!(response.api_keys.len() >= 9);
    });
}

#[test]
fn find_coordinator() {
    for_each_version(ApiKey::FindCoordinator, |cluster, client, _, version| {
        let mut request = FindCoordinatorRequest::default();
        if version < 4 {
            request.key = text("mine");
        } else {
            request.coordinator_keys.push(text("mine"));
        }
        let response = client.call(version, &request);
        let (code, node, port) = match response.coordinators.first() {
            Some(batched) => (batched.error_code, batched.node_id, batched.port),
            None => (response.error_code, response.node_id, response.port),
        };
        let expected = i32::from(cluster.address(1).port());
        assert_eq!((code, node.0, port), (0, 1, expected));
        if version >= 1 {
            let response = client.call(version, &request.with_key_type(1));
            let batched = response.coordinators.first().map(|one| one.error_code);
            assert_eq!(batched.unwrap_or(response.error_code), 53);
        }
    });
}

#[test]
fn offset_fetch() {
    for_each_version(ApiKey::OffsetFetch, |_, client, topic, version| {
        let mut request = OffsetFetchRequest::default();
        if version < 8 {
            request.group_id = text("mine").into();
            let wanted = OffsetFetchRequestTopic::default()
                .with_name(topic.name.clone())
                .with_partition_indexes(vec![1, 0]);
            request.topics = Some(vec![wanted]);
        } else {
            let wanted = OffsetFetchRequestTopics::default()
                .with_name(topic.name.clone())
                .with_partition_indexes(vec![1, 0]);
            let group = OffsetFetchRequestGroup::default()
                .with_group_id(text("mine").into())
                .with_topics(Some(vec![wanted]));
            request.groups.push(group);
        }
        let response = client.call(version, &request);
        let mut said = Vec::new();
        let mut says = |name: &TopicName, index, offset, epoch| {
            assert_eq!(name, &topic.name);
            said.push((index, offset, epoch));
        };
        let mut codes = vec![response.error_code];
        for topic in &response.topics {
            for one in &topic.partitions {
                codes.push(one.error_code);
                let (offset, epoch) = (one.committed_offset, one.committed_leader_epoch);
                says(&topic.name, one.partition_index, offset, epoch);
            }
        }
        for group in &response.groups {
            assert_eq!(group.group_id.as_str(), "mine");
            codes.push(group.error_code);
            for topic in &group.topics {
                for one in &topic.partitions {
                    codes.push(one.error_code);
                    let (offset, epoch) = (one.committed_offset, one.committed_leader_epoch);
                    says(&topic.name, one.partition_index, offset, epoch);
                }
            }
        }
        assert_eq!(said, [(1, -1, -1), (0, -1, -1)]);
        assert!(codes.iter().all(|code| *code == 0), "{codes:?}");
    });
}

#[test]
fn offset_commit() {
    for_each_version(ApiKey::OffsetCommit, |_, client, topic, version| {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(1)
            .with_committed_offset(3);
        let wanted = OffsetCommitRequestTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(text("mine").into())
            .with_topics(vec![wanted]);
        let response = client.call(version, &request);
        assert_eq!(response.topics[0].name, topic.name);
        let said = &response.topics[0].partitions[0];
        assert_eq!((said.partition_index, said.error_code), (1, 30));
    });
}

#[test]
fn join_group() {
    for_each_version(ApiKey::JoinGroup, |_, client, _, version| {
        let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
        let request = JoinGroupRequest::default()
            .with_group_id(text("mine").into())
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let response = client.call(version, &request);
        assert_eq!((response.error_code, response.generation_id), (30, -1));
        assert_eq!(response.protocol_name.is_none(), version >= 7);
    });
}

#[test]
fn describe_cluster() {
    // Not all profiles offer it.
    let cluster = Cluster::builder().nodes(2).start().unwrap();
    let mut client = Client::of(&cluster, 1);
    for version in 0..=2 {
        let response = client.call(version, &DescribeClusterRequest::default());
        assert_eq!((response.error_code, response.brokers.len()), (0, 2));
    }
}

#[test]
fn consumer_group_heartbeat() {
    // Not all profiles offer it.
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    for version in 0..=1 {
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(text("mine").into())
            .with_member_id(text("me"))
            .with_subscribed_topic_names(Some(vec![topic_name("events")]));
        let response = client.call(version, &request);
        assert_eq!(response.error_code, 30);
        assert!(
            response
                .error_message
                .unwrap()
                .contains("no consumer groups")
        );
    }
}

/// In which version the brokers of a cluster are asked for what is not tested.
fn newest(cluster: &Cluster, api: ApiKey) -> i16 {
    let response = Client::of(cluster, 1).call(0, &ApiVersionsRequest::default());
    response
        .api_keys
        .iter()
        .find(|one| one.api_key == api as i16)
        .map(|one| one.max_version)
        .unwrap()
}
