//! Produce: what is stored, and what is refused.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafka_mock::{ApiKey, Cluster, Profile, ResponseError};
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::records::Compression;
use uuid::Uuid;

use crate::PATIENCE;
use crate::batches::{altered, batch, with_records};
use crate::wire::{Client, NEWEST_PRODUCE, Topic, produce_request};

const HOUR_MS: i64 = 3_600_000;

struct Bench {
    cluster: Cluster,
    client: Client,
    topic: Topic,
}

fn bench() -> Bench {
    bench_of(Cluster::start().unwrap())
}

fn bench_of(cluster: Cluster) -> Bench {
    let topic = Topic::create(&cluster, "events", 2);
    let client = Client::of(&cluster, 1);
    Bench {
        cluster,
        client,
        topic,
    }
}

impl Bench {
    fn produce(&mut self, batch: Bytes) -> PartitionProduceResponse {
        self.client.produce(NEWEST_PRODUCE, &self.topic, 0, batch)
    }

    /// Nothing is stored, and the answer says why.
    fn assert_refused(&mut self, batch: Bytes, error: ResponseError, why: &str) {
        let before = self.cluster.batches("events", 0).len();
        let answer = self.produce(batch);
        assert_refusal(&answer, error, why);
        assert_eq!(self.cluster.batches("events", 0).len(), before);
    }
}

fn assert_refusal(answer: &PartitionProduceResponse, error: ResponseError, why: &str) {
    let message = answer.error_message.as_deref().unwrap_or_default();
    assert_eq!(answer.error_code, error.code(), "{message}");
    assert_eq!(answer.base_offset, -1);
    assert_eq!(answer.log_append_time_ms, -1);
    assert!(message.contains(why), "{message:?} does not say {why:?}");
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

#[test]
fn records_are_stored_one_after_another() {
    let mut bench = bench();
    for (count, base) in [(3, 0), (1, 3), (2, 4)] {
        let answer = bench.produce(batch(count).build());
        assert_eq!((answer.error_code, answer.base_offset), (0, base));
        assert_eq!(answer.log_append_time_ms, -1);
        assert_eq!(answer.log_start_offset, 0);
    }
    let records = bench.cluster.records("events");
    let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5]);
    let last = &records[5];
    assert_eq!((last.partition, last.timestamp), (0, 1001));
    assert_eq!(last.key.as_deref(), Some(&b"1"[..]));
    assert_eq!(last.value.as_deref(), Some(&b"value"[..]));
    assert_eq!(last.headers, [("name".to_owned(), None)]);
}

#[test]
fn a_stored_batch_differs_only_in_offset_and_epoch() {
    let mut bench = bench();
    let sent = batch(2).compression(Compression::Zstd).build();
    bench.produce(sent.clone());
    bench.cluster.move_leader("events", 0, Some(1));
    bench.produce(sent.clone());
    let stored = &bench.cluster.batches("events", 0)[1];
    assert_eq!(stored[..8], 2i64.to_be_bytes());
    assert_eq!(stored[8..12], sent[8..12]);
    assert_eq!(stored[12..16], 1i32.to_be_bytes());
    assert_eq!(stored[16..], sent[16..]);
}

#[test]
fn every_codec_passes() {
    let mut bench = bench();
    for codec in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let answer = bench.produce(batch(2).compression(codec).build());
        assert_eq!(answer.error_code, 0, "{codec:?}");
    }
    let end = bench.cluster.topics()[0].partitions[0].end_offset;
    assert_eq!(end, 10);
}

#[test]
fn zstd_needs_version_7() {
    let mut bench = bench();
    let zstd = batch(1).compression(Compression::Zstd).build();
    let unsupported = ResponseError::UnsupportedCompressionType.code();
    for (version, code) in [(3, unsupported), (6, unsupported), (7, 0)] {
        let answer = bench.client.produce(version, &bench.topic, 0, zstd.clone());
        assert_eq!(answer.error_code, code, "version {version}");
    }
}

#[test]
fn a_codec_that_does_not_exist_is_refused() {
    let none = altered(&batch(1).build(), 21, &5i16.to_be_bytes());
    bench().assert_refused(none, ResponseError::UnknownServerError, "5");
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mut bytes = batch(1).build().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bench().assert_refused(bytes.into(), ResponseError::CorruptMessage, "CRC-32C");
}

#[test]
fn a_batch_that_ends_early_is_refused() {
    let whole = batch(1).build();
    let cut = whole.slice(..whole.len() - 1);
    bench().assert_refused(cut, ResponseError::InvalidRecord, "came");
}

#[test]
fn fewer_bytes_than_a_header_are_refused() {
    let mut bench = bench();
    bench.assert_refused(Bytes::new(), ResponseError::InvalidRecord, "0 bytes");
    let some = batch(1).build().slice(..60);
    bench.assert_refused(some, ResponseError::InvalidRecord, "60 bytes");
}

#[test]
fn a_length_that_no_batch_has_is_refused() {
    let mut bench = bench();
    for length in [48i32, 0, -1, i32::MIN] {
        let wrong = altered(&batch(1).build(), 8, &length.to_be_bytes());
        bench.assert_refused(wrong, ResponseError::CorruptMessage, "no batch has");
    }
    let longest = altered(&batch(1).build(), 8, &i32::MAX.to_be_bytes());
    bench.assert_refused(longest, ResponseError::InvalidRecord, "came");
}

#[test]
fn a_partition_takes_exactly_one_batch() {
    let one = batch(1).build();
    let two = [&one[..], &one[..]].concat();
    bench().assert_refused(two.into(), ResponseError::InvalidRecord, "exactly one");
}

#[test]
fn other_magic_than_2_is_refused() {
    let with_magic = |magic| altered(&batch(1).build(), 16, &[magic]);
    let mut bench = bench();
    bench.assert_refused(with_magic(1), ResponseError::InvalidRecord, "magic");
    bench.assert_refused(with_magic(3), ResponseError::CorruptMessage, "magic");
}

#[test]
fn counts_that_do_not_fit_are_refused() {
    let mut bench = bench();
    let sound = batch(3).build();
    let invalid = ResponseError::InvalidRecord;
    let counts = |count: i32, last_delta: i32| {
        let bytes = altered(&sound, 57, &count.to_be_bytes());
        altered(&bytes, 23, &last_delta.to_be_bytes())
    };
    bench.assert_refused(counts(3, 3), invalid, "last offset delta");
    bench.assert_refused(counts(0, -1), invalid, "counts 0");
    bench.assert_refused(counts(-1, -2), invalid, "counts -1");
    bench.assert_refused(counts(4, 3), invalid, "record 3");
    bench.assert_refused(counts(2, 1), invalid, "bytes follow");
    bench.assert_refused(counts(i32::MAX, i32::MAX - 1), invalid, "record 3");
}

#[test]
fn a_base_offset_other_than_0_is_refused() {
    let shifted = altered(&batch(1).build(), 0, &1i64.to_be_bytes());
    bench().assert_refused(shifted, ResponseError::InvalidRecord, "base offset");
}

#[test]
fn control_and_transactional_batches_are_refused() {
    let mut bench = bench();
    let control = altered(&batch(1).build(), 21, &0x20i16.to_be_bytes());
    bench.assert_refused(control, ResponseError::InvalidRecord, "control");
    let transactional = altered(&batch(1).build(), 21, &0x10i16.to_be_bytes());
    let refused = ResponseError::TransactionalIdAuthorizationFailed;
    bench.assert_refused(transactional, refused, "transaction");
}

#[test]
fn a_record_that_cannot_be_read_is_named() {
    let mut bench = bench();
    let sound = batch(1).build();
    // Length, attributes, timestamp delta, offset delta, key, value, headers.
    for (records, why) in [
        (&[14, 0, 0, 2, 1, 1, 0][..], "end too early"),
        (&[12, 0, 0, 2, 1, 1, 0], "offset delta is 1"),
        (&[14, 0, 0, 0, 1, 1, 0, 0], "counts more bytes"),
        (&[12, 0, 0, 0, 3, 1, 0], "negative"),
        (&[12, 0, 0, 0, 1, 1, 2], "end too early"),
        (&[16, 0, 0, 0, 1, 1, 2, 2, b'n'], "end too early"),
        (&[18, 0, 0, 0, 1, 1, 2, 2, 0xff, 1], "UTF-8"),
        (&[0], "end too early"),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "too long"),
    ] {
        let answer = bench.produce(with_records(&sound, records));
        assert_refusal(&answer, ResponseError::InvalidRecord, why);
        let blamed: Vec<_> = answer
            .record_errors
            .iter()
            .map(|one| one.batch_index)
            .collect();
        assert_eq!(blamed, [0], "{why}");
    }
    let least = with_records(&sound, &[12, 0, 0, 0, 1, 1, 0]);
    assert_eq!(bench.produce(least).error_code, 0);
    assert_eq!(bench.cluster.records("events")[0].value, None);
}

#[test]
fn each_record_from_the_far_future_is_named() {
    let mut bench = bench();
    let ahead = now() + HOUR_MS + 60_000;
    let some_late = batch(3).timestamp(ahead).build();
    let answer = bench.produce(some_late.clone());
    assert_refusal(&answer, ResponseError::InvalidTimestamp, "future");
    assert_eq!(answer.record_errors.len(), 3);
    let soon = batch(1).timestamp(now() + HOUR_MS / 2).build();
    assert_eq!(bench.produce(soon).error_code, 0);
    // Brokers before 4.0 take any time.
    let old = Cluster::builder().profile(Profile::KAFKA_3_9).start();
    let mut old = bench_of(old.unwrap());
    let answer = old.client.produce(11, &old.topic, 0, some_late);
    assert_eq!(answer.error_code, 0);
}

#[test]
fn a_batch_is_as_large_as_the_topic_allows() {
    let cluster = Cluster::builder().max_message_bytes(200).start();
    let mut bench = bench_of(cluster.unwrap());
    let just = |bytes: usize| {
        let mut value = 0;
        loop {
            let built = batch(1).value(vec![b'x'; value]).build();
            if built.len() == bytes {
                return built;
            }
            value += 1;
        }
    };
    assert_eq!(bench.produce(just(200)).error_code, 0);
    bench.assert_refused(just(201), ResponseError::MessageTooLarge, "201");
}

#[test]
fn only_the_leader_takes_records() {
    let cluster = Cluster::builder().nodes(2).start().unwrap();
    let topic = Topic::create(&cluster, "led", 1);
    let mut other = Client::of(&cluster, 2);
    let answer = other.produce(NEWEST_PRODUCE, &topic, 0, batch(1).build());
    assert_refusal(&answer, ResponseError::NotLeaderOrFollower, "node 2");
    assert_eq!(answer.current_leader.leader_id.0, -1);
    cluster.move_leader("led", 0, Some(2));
    let answer = other.produce(NEWEST_PRODUCE, &topic, 0, batch(1).build());
    assert_eq!(answer.error_code, 0);
}

#[test]
fn topics_and_partitions_that_do_not_exist_are_refused() {
    let mut bench = bench();
    let unknown = ResponseError::UnknownTopicOrPartition;
    for partition in [2, -1, i32::MAX] {
        let batch = batch(1).build();
        let answer = bench.client.produce(12, &bench.topic, partition, batch);
        assert_refusal(&answer, unknown, "there is no");
    }
    let mut topic = bench.topic.clone();
    topic.name = crate::wire::topic_name("nothing");
    let answer = bench.client.produce(12, &topic, 0, batch(1).build());
    assert_refusal(&answer, unknown, "nothing-0");
    topic.id = Uuid::from_u128(1);
    let answer = bench.client.produce(13, &topic, 0, batch(1).build());
    assert_refusal(&answer, ResponseError::UnknownTopicId, "id");
    // Producing does not create.
    assert_eq!(bench.cluster.topics().len(), 1);
}

#[test]
fn acks_other_than_0_1_and_all_are_refused() {
    let mut bench = bench();
    for acks in [2, -2, i16::MAX] {
        let request = produce_request(NEWEST_PRODUCE, &bench.topic, 0, batch(1).build());
        let mut response = bench.client.call(NEWEST_PRODUCE, &request.with_acks(acks));
        let answer = response.responses[0].partition_responses.remove(0);
        assert_refusal(&answer, ResponseError::InvalidRequiredAcks, "acks");
    }
    assert!(bench.cluster.records("events").is_empty());
}

#[test]
fn a_null_batch_is_refused() {
    let mut bench = bench();
    let mut request = produce_request(NEWEST_PRODUCE, &bench.topic, 0, Bytes::new());
    request.topic_data[0].partition_data[0].records = None;
    let mut response = bench.client.call(NEWEST_PRODUCE, &request);
    let answer = response.responses[0].partition_responses.remove(0);
    assert_refusal(&answer, ResponseError::InvalidRecord, "no batch");
}

#[test]
fn each_partition_of_a_request_has_its_own_outcome() {
    let mut bench = bench();
    let mut request = produce_request(NEWEST_PRODUCE, &bench.topic, 0, batch(1).build());
    let partitions = &mut request.topic_data[0].partition_data;
    partitions.push(partitions[0].clone().with_index(9));
    partitions.push(partitions[0].clone().with_index(1));
    let response = bench.client.call(NEWEST_PRODUCE, &request);
    let outcomes: Vec<_> = response.responses[0]
        .partition_responses
        .iter()
        .map(|one| (one.index, one.error_code))
        .collect();
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(outcomes, [(0, 0), (9, unknown), (1, 0)]);
}

#[test]
fn nothing_is_said_to_acks_0() {
    let mut bench = bench();
    let request = produce_request(NEWEST_PRODUCE, &bench.topic, 0, batch(2).build());
    bench.client.send(NEWEST_PRODUCE, &request.with_acks(0));
    // The next answer is that of the next request.
    let answer = bench.produce(batch(1).build());
    assert_eq!((answer.error_code, answer.base_offset), (0, 2));
}

#[test]
fn an_error_with_acks_0_closes_the_connection() {
    let mut bench = bench();
    let request = produce_request(NEWEST_PRODUCE, &bench.topic, 9, batch(1).build());
    bench.client.send(NEWEST_PRODUCE, &request.with_acks(0));
    bench.client.assert_closed();
}

#[test]
fn nothing_to_produce_is_answered_with_nothing() {
    let request = ProduceRequest::default().with_acks(-1);
    let response = bench().client.call(NEWEST_PRODUCE, &request);
    assert!(response.responses.is_empty());
}

#[test]
fn records_get_the_time_of_the_append_if_the_topic_says_so() {
    let cluster = Cluster::builder().log_append_time(true).start();
    let mut bench = bench_of(cluster.unwrap());
    let before = now();
    let answer = bench.produce(batch(2).timestamp(i64::MAX / 2).build());
    let after = now();
    assert_eq!(answer.error_code, 0);
    assert!((before..=after).contains(&answer.log_append_time_ms));
    for record in bench.cluster.records("events") {
        assert_eq!(record.timestamp, answer.log_append_time_ms);
    }
    // The stored batch is sound: its checksum is that of its new bytes.
    let stored = &bench.cluster.batches("events", 0)[0];
    assert_eq!(stored[17..21], crc32c::crc32c(&stored[21..]).to_be_bytes());
}

#[test]
fn the_times_of_a_batch_are_put_right() {
    let mut bench = bench();
    let sound = batch(2).build();
    let wrong = altered(&sound, 35, &7i64.to_be_bytes());
    bench.produce(altered(&wrong, 21, &8i16.to_be_bytes()));
    let stored = &bench.cluster.batches("events", 0)[0];
    assert_eq!(stored[16..], sound[16..]);
}

#[test]
fn the_oldest_batches_go_when_a_partition_is_full() {
    let size = batch(1).build().len();
    let cluster = Cluster::builder().retain_bytes(3 * size).start();
    let mut bench = bench_of(cluster.unwrap());
    for _ in 0..10 {
        bench.produce(batch(1).build());
    }
    let partition = bench.cluster.topics()[0].partitions[0];
    assert_eq!((partition.start_offset, partition.end_offset), (7, 10));
    assert_eq!(partition.bytes, 3 * size);
    assert_eq!(bench.cluster.batches("events", 0).len(), 3);
    // The latest stays however large it is.
    let answer = bench.produce(batch(100).build());
    assert_eq!((answer.base_offset, answer.log_start_offset), (10, 10));
    assert_eq!(bench.cluster.batches("events", 0).len(), 1);
}

#[test]
fn whoever_waits_for_records_is_woken() {
    let Bench {
        cluster,
        mut client,
        topic,
    } = bench();
    let cluster = Arc::new(cluster);
    let (tell, told) = mpsc::channel();
    let waiting = Arc::clone(&cluster);
    thread::spawn(move || {
        // Only a change ends this: its own time never comes.
        tell.send(waiting.wait(Duration::MAX, |cluster| {
            tell.send(None).unwrap();
            let count = cluster.records("events").len();
            (count == 4).then_some(count)
        }))
        .unwrap();
    });
    assert_eq!(told.recv_timeout(PATIENCE), Ok(None));
    client.produce(NEWEST_PRODUCE, &topic, 0, batch(4).build());
    while told.recv_timeout(PATIENCE).unwrap() != Some(4) {}
}

#[test]
fn requests_are_remembered() {
    let mut bench = bench();
    bench.produce(batch(1).build());
    let seen = bench.cluster.requests();
    let last = seen.last().unwrap();
    assert_eq!((last.node, last.connection), (1, 1));
    assert_eq!((last.api, last.version), (ApiKey::Produce, NEWEST_PRODUCE));
    assert_eq!(last.client_id.as_deref(), Some("kafka-mock-tests"));
    assert_eq!(last.correlation, 1);
}

#[test]
#[should_panic(expected = "compressed")]
fn records_that_are_compressed_cannot_be_listed() {
    let mut bench = bench();
    bench.produce(batch(1).compression(Compression::Lz4).build());
    bench.cluster.records("events");
}
