//! Fetch.

use std::thread;

use kafka_mock::{Cluster, ResponseError};
use kafka_protocol::messages::FetchRequest;
use uuid::Uuid;

use crate::batches::batch;
use crate::wire::{
    Client, NEWEST_FETCH, NEWEST_PRODUCE, Topic, fetch_request, only_partition, topic_name,
};

struct Bench {
    cluster: Cluster,
    client: Client,
    topic: Topic,
}

/// With three batches of two records each.
fn bench() -> Bench {
    let cluster = Cluster::builder().nodes(2).start().unwrap();
    let topic = Topic::create(&cluster, "events", 1);
    let mut client = Client::of(&cluster, 1);
    for _ in 0..3 {
        client.produce(NEWEST_PRODUCE, &topic, 0, batch(2).build());
    }
    Bench {
        cluster,
        client,
        topic,
    }
}

impl Bench {
    fn request(&self, offset: i64) -> FetchRequest {
        fetch_request(NEWEST_FETCH, &self.topic, 0, offset)
    }

    fn assert_refused(&mut self, request: &FetchRequest, error: ResponseError) {
        let answer = only_partition(self.client.call(NEWEST_FETCH, request));
        assert_eq!(answer.error_code, error.code());
        assert_eq!(answer.high_watermark, -1);
        assert!(answer.records.is_none_or(|records| records.is_empty()));
    }
}

#[test]
fn whole_batches_are_read_from_the_one_that_holds_the_offset() {
    let mut bench = bench();
    let stored = bench.cluster.batches("events", 0);
    for (offset, first) in [(0, 0), (1, 0), (2, 1), (5, 2), (6, 3)] {
        let answer = bench.client.fetch(NEWEST_FETCH, &bench.topic, 0, offset);
        assert_eq!(answer.error_code, 0);
        assert_eq!((answer.high_watermark, answer.last_stable_offset), (6, 6));
        assert_eq!(answer.log_start_offset, 0);
        assert_eq!(answer.records.unwrap(), stored[first..].concat());
    }
}

#[test]
fn limits_hold_but_for_the_first_batch() {
    let mut bench = bench();
    let size = bench.cluster.batches("events", 0)[0].len();
    let room = |bytes: usize| i32::try_from(bytes).unwrap();
    for (partition_max, max, batches) in [
        (3 * size, 3 * size, 3),
        (3 * size - 1, 3 * size, 2),
        (3 * size, 2 * size, 2),
        (0, 3 * size, 1),
        (3 * size, 1, 1),
    ] {
        let mut request = bench.request(0).with_max_bytes(room(max));
        request.topics[0].partitions[0].partition_max_bytes = room(partition_max);
        let answer = only_partition(bench.client.call(NEWEST_FETCH, &request));
        assert_eq!(answer.records.unwrap().len(), batches * size);
    }
}

#[test]
fn the_room_of_an_answer_is_shared_by_its_partitions() {
    let cluster = Cluster::start().unwrap();
    let topic = Topic::create(&cluster, "events", 2);
    let mut client = Client::of(&cluster, 1);
    for partition in [0, 1] {
        client.produce(NEWEST_PRODUCE, &topic, partition, batch(1).build());
    }
    let mut request = fetch_request(NEWEST_FETCH, &topic, 0, 0).with_max_bytes(1);
    let other = request.topics[0].partitions[0].clone().with_partition(1);
    request.topics[0].partitions.push(other);
    let mut response = client.call(NEWEST_FETCH, &request);
    let sizes: Vec<_> = response.responses[0]
        .partitions
        .drain(..)
        .map(|one| one.records.unwrap().len())
        .collect();
    // The second is not whole within the room, and not the first of the answer.
    assert_eq!(sizes, [batch(1).build().len(), 0]);
}

#[test]
fn offsets_outside_the_log_are_refused() {
    let mut bench = bench();
    for offset in [7, -1, i64::MAX] {
        let request = bench.request(offset);
        bench.assert_refused(&request, ResponseError::OffsetOutOfRange);
    }
    let small = Cluster::builder().retain_bytes(1).start().unwrap();
    let topic = Topic::create(&small, "events", 1);
    let mut client = Client::of(&small, 1);
    for _ in 0..2 {
        client.produce(NEWEST_PRODUCE, &topic, 0, batch(1).build());
    }
    let gone = client.fetch(NEWEST_FETCH, &topic, 0, 0);
    assert_eq!(gone.error_code, ResponseError::OffsetOutOfRange.code());
    assert_eq!(client.fetch(NEWEST_FETCH, &topic, 0, 1).error_code, 0);
}

#[test]
fn what_does_not_exist_is_refused() {
    let mut bench = bench();
    let mut request = bench.request(0);
    request.topics[0].partitions[0].partition = 1;
    bench.assert_refused(&request, ResponseError::UnknownTopicOrPartition);
    request.topics[0].topic_id = Uuid::from_u128(1);
    bench.assert_refused(&request, ResponseError::UnknownTopicId);
    let mut topic = bench.topic.clone();
    topic.name = topic_name("nothing");
    let answer = bench.client.fetch(12, &topic, 0, 0);
    let unknown = ResponseError::UnknownTopicOrPartition;
    assert_eq!(answer.error_code, unknown.code());
}

#[test]
fn only_the_leader_is_read_from_and_only_in_its_epoch() {
    let mut bench = bench();
    let mut request = bench.request(0);
    let answer = only_partition(Client::of(&bench.cluster, 2).call(NEWEST_FETCH, &request));
    assert_eq!(answer.error_code, ResponseError::NotLeaderOrFollower.code());
    bench.cluster.move_leader("events", 0, Some(1));
    for (epoch, error) in [
        (0, ResponseError::FencedLeaderEpoch),
        (2, ResponseError::UnknownLeaderEpoch),
    ] {
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        bench.assert_refused(&request, error);
    }
    for epoch in [-1, 1] {
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        let answer = only_partition(bench.client.call(NEWEST_FETCH, &request));
        assert_eq!(answer.error_code, 0);
    }
}

#[test]
fn sessions_are_not_offered() {
    let mut bench = bench();
    let wants_one = bench.request(0).with_session_epoch(0);
    let response = bench.client.call(NEWEST_FETCH, &wants_one);
    assert_eq!((response.error_code, response.session_id), (0, 0));
    assert_eq!(response.responses.len(), 1);
    let has_one = bench.request(0).with_session_id(5).with_session_epoch(1);
    let response = bench.client.call(NEWEST_FETCH, &has_one);
    let unknown = ResponseError::FetchSessionIdNotFound.code();
    assert_eq!(response.error_code, unknown);
    assert!(response.responses.is_empty());
}

#[test]
fn a_reader_at_the_end_is_answered_when_something_comes() {
    let mut bench = bench();
    let patient = bench
        .request(6)
        .with_min_bytes(1)
        .with_max_wait_ms(i32::MAX);
    let topic = bench.topic.clone();
    let mut other = Client::of(&bench.cluster, 1);
    bench.client.send(NEWEST_FETCH, &patient);
    bench
        .cluster
        .wait(crate::PATIENCE, |cluster| {
            let seen = cluster.requests();
            (seen.last()?.api == kafka_mock::ApiKey::Fetch).then_some(())
        })
        .unwrap();
    let producer =
        thread::spawn(move || other.produce(NEWEST_PRODUCE, &topic, 0, batch(1).build()));
    let answer = bench.client.receive::<FetchRequest>(NEWEST_FETCH).unwrap();
    let records = only_partition(answer).records.unwrap();
    assert_eq!(records, bench.cluster.batches("events", 0)[3]);
    assert_eq!(producer.join().unwrap().base_offset, 6);
}

#[test]
fn a_reader_at_the_end_is_answered_with_nothing_when_its_time_is_over() {
    let mut bench = bench();
    let request = bench.request(6).with_min_bytes(1).with_max_wait_ms(50);
    let answer = only_partition(bench.client.call(NEWEST_FETCH, &request));
    assert_eq!((answer.error_code, answer.high_watermark), (0, 6));
    assert!(answer.records.unwrap().is_empty());
}

#[test]
fn an_error_is_not_waited_with() {
    let mut bench = bench();
    let request = bench
        .request(99)
        .with_min_bytes(1)
        .with_max_wait_ms(i32::MAX);
    bench.assert_refused(&request, ResponseError::OffsetOutOfRange);
}

#[test]
fn a_reader_learns_at_once_that_the_leader_has_moved() {
    let mut bench = bench();
    let request = bench
        .request(6)
        .with_min_bytes(1)
        .with_max_wait_ms(i32::MAX);
    bench.client.send(NEWEST_FETCH, &request);
    bench
        .cluster
        .wait(crate::PATIENCE, |cluster| {
            let seen = cluster.requests();
            (seen.last()?.api == kafka_mock::ApiKey::Fetch).then_some(())
        })
        .unwrap();
    bench.cluster.move_leader("events", 0, Some(2));
    let answer = bench.client.receive::<FetchRequest>(NEWEST_FETCH).unwrap();
    let moved = ResponseError::NotLeaderOrFollower.code();
    assert_eq!(only_partition(answer).error_code, moved);
}
