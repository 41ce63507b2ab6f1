//! Topics and records of a cluster, asked for over the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::metadata_response::{MetadataResponse, MetadataResponsePartition};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{Compression, RecordBatchDecoder};

use super::wire::Connection;
use super::{decompress as others, eventually, kcat};

/// Versions that Apache Kafka from 0.11 to 4.4 and Redpanda all speak; topics go by name.
const METADATA: i16 = 4;
const LIST_OFFSETS: i16 = 1;
const FETCH: i16 = 4;
/// Kafka gives batches of Zstandard only to who asks in this version, or a newer one (KIP-110).
const FETCH_ZSTD: i16 = 10;
const API_VERSIONS: i16 = 0;

/// From Apache Kafka 2.4 on; the mock is asked in another way.
const CREATE_TOPICS: i16 = 4;
const DELETE_TOPICS: i16 = 1;
const ALTER_PARTITION_REASSIGNMENTS: i16 = 0;
const ELECT_LEADERS: i16 = 2;

const TIMEOUT_MS: i32 = 30_000;

/// A record as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    /// In order; of several headers with the same name only the last (the decoder keeps a map).
    pub(crate) headers: Vec<(String, Option<Bytes>)>,
}

/// A batch as the broker has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The number of its codec; 0: it is not compressed.
    pub(crate) codec: u8,
    pub(crate) bytes: usize,
}

/// A cluster that somebody runs for the tests.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    bootstrap: String,
    /// If it is the mock, which has no API for what an administrator does.
    mock: Option<Arc<kafka_mock::Cluster>>,
}

impl Cluster {
    pub(super) fn new(bootstrap: String) -> Self {
        Self {
            bootstrap,
            mock: None,
        }
    }

    pub(super) fn of_mock(mock: Arc<kafka_mock::Cluster>) -> Self {
        Self {
            bootstrap: mock.bootstrap(),
            mock: Some(mock),
        }
    }

    /// `host:port,...`, as a producer's `bootstrap.servers` wants it.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Creates a topic with the cluster's default replication and waits until every node knows a
    /// leader of every partition.
    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) {
        match &self.mock {
            Some(mock) => mock.create_topic(topic, partitions),
            None => self.create_topic_by_wire(topic, partitions),
        }
        self.wait_for_leaders(topic, |leaders| leaders.len() == partitions as usize);
    }

    /// Deletes a topic and waits until no node knows it any more.
    pub(crate) fn delete_topic(&self, topic: &str) {
        match &self.mock {
            Some(mock) => assert!(mock.delete_topic(topic), "{topic} is there"),
            None => self.delete_topic_by_wire(topic),
        }
        eventually(&format!("{topic} is deleted everywhere"), || {
            let gone = |address: &String| {
                Some(partitions(&metadata(address, topic).ok()?, topic).is_none())
            };
            self.nodes()?
                .values()
                .all(|address| gone(address) == Some(true))
                .then_some(())
        });
    }

    /// Hands a partition to another of its replicas, of which there must be one, waits until every
    /// node says so, and returns the new leader's id.
    pub(crate) fn move_leader(&self, topic: &str, partition: i32) -> i32 {
        let leader = self.leaders(topic)[&partition];
        let mut replicas = self.replicas(topic, partition);
        replicas.sort_by_key(|replica| replica.0 == leader);
        let next = replicas[0].0;
        assert_ne!(next, leader, "{topic}/{partition} has no other replica");
        match &self.mock {
            Some(mock) => mock.move_leader(topic, partition, Some(next)),
            None => {
                self.prefer(topic, partition, replicas);
                self.elect_preferred(topic, partition);
            }
        }
        self.wait_for_leaders(topic, |leaders| leaders.get(&partition) == Some(&next));
        next
    }

    /// The id of every partition's leader.
    pub(crate) fn leaders(&self, topic: &str) -> BTreeMap<i32, i32> {
        self.wait_for_leaders(topic, |_| true)
    }

    /// The offset after the last record of every partition.
    pub(crate) fn end_offsets(&self, topic: &str) -> BTreeMap<i32, i64> {
        let leaders = self.leaders(topic);
        leaders
            .iter()
            .map(|(&partition, &leader)| (partition, self.end_offset(topic, partition, leader)))
            .collect()
    }

    /// Every record that the topic holds now, partition by partition in offset order.
    pub(crate) fn read_all(&self, topic: &str) -> Vec<Record> {
        let ends = self.end_offsets(topic);
        ends.iter()
            .flat_map(|(&partition, &end)| self.read_partition(topic, partition, end))
            .collect()
    }

    /// Every batch that the topic holds now.
    pub(crate) fn read_batches(&self, topic: &str) -> Vec<Batch> {
        let ends = self.end_offsets(topic).into_iter();
        let batches = ends.flat_map(|(partition, end)| self.read_raw(topic, partition, end));
        batches
            .map(|batch| Batch {
                codec: batch[22] & 0b111,
                bytes: batch.len(),
            })
            .collect()
    }

    /// The newest version of Produce that the cluster speaks.
    pub(crate) fn newest_produce(&self) -> i16 {
        let request = ApiVersionsRequest::default();
        let answer = must(self.connect().call(API_VERSIONS, &request), "ApiVersions");
        let mut offers = answer.api_keys.iter();
        let produce = offers.find(|offer| offer.api_key == ApiKey::Produce as i16);
        produce.expect("every broker takes records").max_version
    }

    /// Like [`Self::read_all`], but waits until the topic holds at least so many records: for
    /// messages that nobody acknowledged.
    pub(crate) fn read_at_least(&self, topic: &str, count: usize) -> Vec<Record> {
        eventually(&format!("{topic} holds {count} records"), || {
            let records = self.read_all(topic);
            (records.len() >= count).then_some(records)
        })
    }

    /// The ids of the nodes that say that they are there.
    pub(crate) fn node_ids(&self) -> BTreeSet<i32> {
        let nodes = eventually("a node answers", || self.nodes());
        nodes.into_keys().collect()
    }

    /// Waits until the nodes miss this one.
    pub(crate) fn wait_until_missed(&self, node: i32) {
        eventually(&format!("node {node} is missed"), || {
            (!self.nodes()?.contains_key(&node)).then_some(())
        });
    }

    /// Waits until every replica of every partition is in sync: what an administrator does before
    /// another node may go.
    pub(crate) fn wait_until_in_sync(&self, topic: &str) {
        eventually(&format!("all replicas of {topic} are in sync"), || {
            let in_sync = |partition: &MetadataResponsePartition| {
                partition.isr_nodes.len() == partition.replica_nodes.len()
            };
            self.nodes()?
                .values()
                .map(|address| partitions(&metadata(address, topic).ok()?, topic))
                .all(|found| found.is_some_and(|partitions| partitions.iter().all(in_sync)))
                .then_some(())
        });
    }

    /// What kcat prints, given these arguments after `-b`; panics when it fails.
    pub(crate) fn kcat(&self, arguments: &[&str]) -> String {
        kcat::run(&self.bootstrap, arguments, "")
    }

    /// The same with something to read on kcat's standard input.
    pub(crate) fn kcat_with_input(&self, arguments: &[&str], input: &str) -> String {
        kcat::run(&self.bootstrap, arguments, input)
    }

    fn connect(&self) -> Connection {
        must(Connection::open(&self.bootstrap), &self.bootstrap)
    }

    /// Address by id; `None` while nobody answers.
    fn nodes(&self) -> Option<BTreeMap<i32, String>> {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let answer = Connection::open(&self.bootstrap)
            .ok()?
            .call(METADATA, &request)
            .ok()?;
        let nodes = answer.brokers.iter();
        Some(
            nodes
                .map(|node| (node.node_id.0, format!("{}:{}", node.host, node.port)))
                .collect(),
        )
    }

    /// Waits until all nodes agree on leaders that are as wanted.
    fn wait_for_leaders(
        &self,
        topic: &str,
        wanted: impl Fn(&BTreeMap<i32, i32>) -> bool,
    ) -> BTreeMap<i32, i32> {
        eventually(&format!("{topic} has its leaders"), || {
            let nodes = self.nodes()?;
            let mut views = nodes
                .values()
                .map(|address| leaders_if_complete(&metadata(address, topic).ok()?, topic));
            let first = views.next()??;
            (wanted(&first) && views.all(|view| view.as_ref() == Some(&first))).then_some(first)
        })
    }

    fn create_topic_by_wire(&self, topic: &str, partitions: i32) {
        let creatable = CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(-1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![creatable])
            .with_timeout_ms(TIMEOUT_MS);
        let answer = must(self.connect().call(CREATE_TOPICS, &request), "CreateTopics");
        for created in &answer.topics {
            expect_no_error(created.error_code, &format!("creating {topic}"));
        }
    }

    fn delete_topic_by_wire(&self, topic: &str) {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![topic_name(topic)])
            .with_timeout_ms(TIMEOUT_MS);
        let answer = must(self.connect().call(DELETE_TOPICS, &request), "DeleteTopics");
        for deleted in &answer.responses {
            expect_no_error(deleted.error_code, &format!("deleting {topic}"));
        }
    }

    fn replicas(&self, topic: &str, partition: i32) -> Vec<BrokerId> {
        let answer = must(metadata(&self.bootstrap, topic), "Metadata");
        let partitions = partitions(&answer, topic).unwrap_or_default();
        let found = partitions
            .iter()
            .find(|candidate| candidate.partition_index == partition);
        found
            .unwrap_or_else(|| panic!("{topic} has no partition {partition}"))
            .replica_nodes
            .clone()
    }

    fn prefer(&self, topic: &str, partition: i32, replicas: Vec<BrokerId>) {
        let reassignment = ReassignablePartition::default()
            .with_partition_index(partition)
            .with_replicas(Some(replicas));
        let of_topic = ReassignableTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![reassignment]);
        let request = AlterPartitionReassignmentsRequest::default()
            .with_topics(vec![of_topic])
            .with_timeout_ms(TIMEOUT_MS);
        let answer = self.connect().call(ALTER_PARTITION_REASSIGNMENTS, &request);
        let answer = must(answer, "AlterPartitionReassignments");
        expect_no_error(answer.error_code, "AlterPartitionReassignments");
        for result in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            expect_no_error(
                result.error_code,
                &format!("reassigning {topic}/{partition}"),
            );
        }
    }

    fn elect_preferred(&self, topic: &str, partition: i32) {
        const PREFERRED: i8 = 0;
        let of_topic = TopicPartitions::default()
            .with_topic(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = ElectLeadersRequest::default()
            .with_election_type(PREFERRED)
            .with_topic_partitions(Some(vec![of_topic]))
            .with_timeout_ms(TIMEOUT_MS);
        let answer = must(self.connect().call(ELECT_LEADERS, &request), "ElectLeaders");
        expect_no_error(answer.error_code, "ElectLeaders");
        for result in answer
            .replica_election_results
            .iter()
            .flat_map(|topic| &topic.partition_result)
        {
            expect_no_error(
                result.error_code,
                &format!("electing a leader of {topic}/{partition}"),
            );
        }
    }

    fn connect_to(&self, node: i32) -> Connection {
        let address = self.nodes().and_then(|mut nodes| nodes.remove(&node));
        let address = address.unwrap_or_else(|| panic!("node {node} is unknown"));
        must(Connection::open(&address), &address)
    }

    fn end_offset(&self, topic: &str, partition: i32, leader: i32) -> i64 {
        const LATEST: i64 = -1;
        let of_partition = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_timestamp(LATEST);
        let of_topic = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![of_partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![of_topic]);
        let mut connection = self.connect_to(leader);
        // A new leader answers OFFSET_NOT_AVAILABLE until its high watermark is known (KIP-207).
        eventually(&format!("the end offset of {topic}/{partition}"), || {
            let answer = must(connection.call(LIST_OFFSETS, &request), "ListOffsets");
            let found = &answer.topics.first()?.partitions.first()?;
            (found.error_code == 0).then_some(found.offset)
        })
    }

    fn read_partition(&self, topic: &str, partition: i32, end: i64) -> Vec<Record> {
        let mut batches = self.read_raw(topic, partition, end);
        let decoded = batches.iter_mut().flat_map(|batch| {
            let decompress = |records: &mut Bytes, codec| Ok(decompress(records, codec));
            let decoded =
                RecordBatchDecoder::decode_with_custom_compression(batch, Some(decompress));
            decoded
                .unwrap_or_else(|error| panic!("a bad batch: {error}"))
                .records
        });
        decoded.map(|record| from_wire(partition, record)).collect()
    }

    /// The batches of a partition, whole.
    fn read_raw(&self, topic: &str, partition: i32, end: i64) -> Vec<Bytes> {
        let mut connection = self.connect_to(self.leaders(topic)[&partition]);
        let mut batches: Vec<Bytes> = Vec::new();
        let (mut next, mut version) = (0, FETCH);
        while next < end {
            let fetched = eventually(
                &format!("records of {topic}/{partition} from {next}"),
                || {
                    let request = fetch_request(topic, partition, next);
                    let answer = must(connection.call(version, &request), "Fetch");
                    let found = answer.responses.first()?.partitions.first()?;
                    if found.error_code == ResponseError::UnsupportedCompressionType.code() {
                        version = FETCH_ZSTD;
                        return None;
                    }
                    expect_no_error(found.error_code, &format!("fetching {topic}/{partition}"));
                    found.records.clone().filter(|records| !records.is_empty())
                },
            );
            let fetched = whole_batches(fetched);
            let last = fetched
                .last()
                .unwrap_or_else(|| panic!("{topic}/{partition} stops at {next}"));
            let last_offset_delta = i32::from_be_bytes(last[23..27].try_into().expect("4 bytes"));
            let base_offset = i64::from_be_bytes(last[..8].try_into().expect("8 bytes"));
            next = base_offset + i64::from(last_offset_delta) + 1;
            batches.extend(fetched);
        }
        batches
    }
}

fn metadata(addresses: &str, topic: &str) -> io::Result<MetadataResponse> {
    let asked = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![asked]))
        .with_allow_auto_topic_creation(false);
    Connection::open(addresses)?.call(METADATA, &request)
}

/// The partitions of a topic, or `None` if the answer does not know it.
fn partitions(answer: &MetadataResponse, topic: &str) -> Option<Vec<MetadataResponsePartition>> {
    let mut topics = answer.topics.iter();
    let found = topics.find(|found| found.name.as_ref().is_some_and(|name| &***name == topic))?;
    (found.error_code == 0).then(|| found.partitions.clone())
}

/// Leader by partition, or `None` if the topic is unknown or a partition has no leader.
fn leaders_if_complete(answer: &MetadataResponse, topic: &str) -> Option<BTreeMap<i32, i32>> {
    let leader = |partition: &MetadataResponsePartition| {
        let known = partition.error_code == 0 && partition.leader_id.0 >= 0;
        known.then_some((partition.partition_index, partition.leader_id.0))
    };
    partitions(answer, topic)?.iter().map(leader).collect()
}

fn fetch_request(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    const MAX_BYTES: i32 = 2 << 20;
    let of_partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(MAX_BYTES);
    let of_topic = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(vec![of_partition]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(100)
        .with_min_bytes(1)
        .with_max_bytes(MAX_BYTES)
        .with_topics(vec![of_topic])
}

/// All whole batches; brokers cut the last one off where the bytes end.
fn whole_batches(mut bytes: Bytes) -> Vec<Bytes> {
    /// Base offset and length stand before what the length counts.
    const BEFORE_LENGTH_ENDS: usize = 12;
    let mut batches = Vec::new();
    while let Some(prefix) = bytes.first_chunk::<BEFORE_LENGTH_ENDS>() {
        let [.., a, b, c, d] = *prefix;
        let whole = BEFORE_LENGTH_ENDS + u32::from_be_bytes([a, b, c, d]) as usize;
        if whole > bytes.len() {
            break;
        }
        batches.push(bytes.split_to(whole));
    }
    batches
}

fn decompress(records: &Bytes, codec: Compression) -> Bytes {
    match codec {
        Compression::None => records.clone(),
        codec => others::decompress(codec as u8, records).into(),
    }
}

fn from_wire(partition: i32, record: kafka_protocol::records::Record) -> Record {
    let headers = record.headers.into_iter();
    Record {
        partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key,
        value: record.value,
        headers: headers
            .map(|(name, value)| (name.to_string(), value))
            .collect(),
    }
}

fn topic_name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn must<T>(result: io::Result<T>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn expect_no_error(code: i16, what: &str) {
    if let Some(error) = ResponseError::try_from_code(code) {
        panic!("{what}: {error} ({code})");
    }
}
