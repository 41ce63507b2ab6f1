//! ListOffsets and OffsetForLeaderEpoch.

use kafka_mock::{Cluster, ResponseError};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::EpochEndOffset;
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, OffsetForLeaderEpochRequest};
use kafka_protocol::records::Compression;

use crate::batches::{Batch, batch};
use crate::wire::{Client, NEWEST_PRODUCE, Topic, topic_name};

const NEWEST: i16 = 10;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

struct Bench {
    cluster: Cluster,
    client: Client,
    topic: Topic,
}

fn bench() -> Bench {
    bench_of(Cluster::start().unwrap())
}

fn bench_of(cluster: Cluster) -> Bench {
    Bench {
        client: Client::of(&cluster, 1),
        topic: Topic::create(&cluster, "events", 1),
        cluster,
    }
}

impl Bench {
    fn produce(&mut self, batch: &Batch) {
        let answer = self
            .client
            .produce(NEWEST_PRODUCE, &self.topic, 0, batch.build());
        assert_eq!(answer.error_code, 0);
    }

    fn list(&mut self, version: i16, time: i64) -> ListOffsetsPartitionResponse {
        let wanted = ListOffsetsPartition::default().with_timestamp(time);
        self.list_as(version, "events", wanted)
    }

    fn list_as(
        &mut self,
        version: i16,
        topic: &str,
        wanted: ListOffsetsPartition,
    ) -> ListOffsetsPartitionResponse {
        let topic = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![wanted]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let mut response = self.client.call(version, &request);
        response.topics[0].partitions.remove(0)
    }

    /// Offset and time.
    fn find(&mut self, time: i64) -> (i64, i64) {
        let answer = self.list(NEWEST, time);
        assert_eq!(answer.error_code, 0);
        (answer.offset, answer.timestamp)
    }

    fn end_of_epoch(&mut self, current: i32, epoch: i32) -> EpochEndOffset {
        let wanted = OffsetForLeaderPartition::default()
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(topic_name("events"))
            .with_partitions(vec![wanted]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
        let mut response = self.client.call(4, &request);
        response.topics[0].partitions.remove(0)
    }
}

#[test]
fn a_log_has_a_beginning_and_an_end() {
    let one = batch(2).build().len();
    let mut bench = bench_of(Cluster::builder().retain_bytes(2 * one).start().unwrap());
    assert_eq!(bench.find(EARLIEST), (0, -1));
    assert_eq!(bench.find(LATEST), (0, -1));
    for _ in 0..3 {
        bench.produce(&batch(2));
    }
    assert_eq!(bench.find(EARLIEST), (2, -1));
    assert_eq!(bench.find(LATEST), (6, -1));
}

#[test]
fn a_time_leads_to_the_first_record_of_that_time_or_later() {
    let mut bench = bench();
    // 1000, 1001, 1002; 2000, 2001, 2002.
    bench.produce(&batch(3));
    bench.produce(&batch(3).timestamp(2000));
    for (time, found) in [
        (0, (0, 1000)),
        (1001, (1, 1001)),
        (1003, (3, 2000)),
        (2002, (5, 2002)),
        (2003, (-1, -1)),
    ] {
        assert_eq!(bench.find(time), found, "{time}");
    }
}

#[test]
fn a_time_leads_to_the_beginning_of_a_compressed_batch() {
    let mut bench = bench();
    bench.produce(&batch(3).compression(Compression::Gzip));
    assert_eq!(bench.find(1002), (0, 1000));
}

#[test]
fn the_greatest_time_is_found_since_version_7() {
    let mut bench = bench();
    assert_eq!(bench.find(-3), (-1, -1));
    bench.produce(&batch(2).timestamp(5000));
    bench.produce(&batch(2).timestamp(1000));
    assert_eq!(bench.find(-3), (1, 5001));
    let unsupported = ResponseError::UnsupportedVersion.code();
    assert_eq!(bench.list(6, -3).error_code, unsupported);
    assert_eq!(bench.list(NEWEST, -99).error_code, unsupported);
    assert_eq!(bench.find(-4), (0, -1));
    assert_eq!(bench.find(-5), (-1, -1));
}

#[test]
fn offsets_come_with_the_epoch_that_wrote_them() {
    let mut bench = bench();
    bench.produce(&batch(2));
    bench.cluster.move_leader("events", 0, Some(1));
    bench.produce(&batch(2));
    assert_eq!(bench.list(4, EARLIEST).leader_epoch, 0);
    assert_eq!(bench.list(4, LATEST).leader_epoch, 1);
}

#[test]
fn what_cannot_be_listed_is_refused() {
    let mut bench = bench();
    let latest = ListOffsetsPartition::default().with_timestamp(LATEST);
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    let answer = bench.list_as(NEWEST, "nothing", latest.clone());
    assert_eq!((answer.error_code, answer.offset), (unknown, -1));
    let answer = bench.list_as(NEWEST, "events", latest.clone().with_partition_index(5));
    assert_eq!(answer.error_code, unknown);
    bench.cluster.move_leader("events", 0, None);
    let answer = bench.list_as(NEWEST, "events", latest.clone());
    assert_eq!(answer.error_code, ResponseError::NotLeaderOrFollower.code());
    let fenced = latest.with_current_leader_epoch(0);
    let answer = bench.list_as(NEWEST, "events", fenced);
    assert_eq!(answer.error_code, ResponseError::FencedLeaderEpoch.code());
}

#[test]
fn an_epoch_ends_where_the_next_one_begins() {
    let mut bench = bench();
    bench.produce(&batch(2));
    bench.cluster.move_leader("events", 0, Some(1));
    // Epoch 1 writes nothing.
    bench.cluster.move_leader("events", 0, Some(1));
    bench.produce(&batch(3));
    for (epoch, found) in [(0, (0, 2)), (1, (0, 2)), (2, (2, 5)), (3, (-1, -1))] {
        let answer = bench.end_of_epoch(2, epoch);
        assert_eq!(answer.error_code, 0);
        assert_eq!((answer.leader_epoch, answer.end_offset), found, "{epoch}");
    }
    let answer = bench.end_of_epoch(1, 0);
    assert_eq!(answer.error_code, ResponseError::FencedLeaderEpoch.code());
}
