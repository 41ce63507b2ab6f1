//! Producer ids, epochs and sequence numbers.

use kafka_mock::{Cluster, Profile, ResponseError};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProducerId, TransactionalId};

use crate::batches::{Batch, altered, batch};
use crate::wire::{Client, Topic, text};

struct Bench {
    cluster: Cluster,
    client: Client,
    topic: Topic,
    version: i16,
}

fn bench() -> Bench {
    bench_of(Profile::KAFKA_4_4, 64 << 20)
}

fn bench_of(profile: Profile, retain_bytes: usize) -> Bench {
    let cluster = Cluster::builder()
        .profile(profile)
        .retain_bytes(retain_bytes)
        .start()
        .unwrap();
    Bench {
        client: Client::of(&cluster, 1),
        topic: Topic::create(&cluster, "events", 1),
        version: profile.versions(kafka_mock::ApiKey::Produce).unwrap().1,
        cluster,
    }
}

impl Bench {
    fn produce(&mut self, batch: &Batch) -> PartitionProduceResponse {
        self.client
            .produce(self.version, &self.topic, 0, batch.build())
    }

    fn assert_stored(&mut self, batch: &Batch, base_offset: i64) {
        let answer = self.produce(batch);
        assert_eq!((answer.error_code, answer.base_offset), (0, base_offset));
    }

    fn assert_refused(&mut self, batch: &Batch, error: ResponseError) {
        let before = self.end();
        let answer = self.produce(batch);
        assert_eq!(answer.error_code, error.code());
        assert_eq!(answer.base_offset, -1);
        assert_eq!(self.end(), before);
    }

    fn end(&self) -> i64 {
        self.cluster.topics()[0].partitions[0].end_offset
    }
}

/// Of producer 7.
fn from(epoch: i16, sequence: i32, count: i32) -> Batch {
    batch(count).producer(7, epoch, sequence)
}

/// Of a producer without transactions; -1: it has no id yet.
fn init(id: i64, epoch: i16) -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(epoch)
}

#[test]
fn every_producer_gets_another_id() {
    let cluster = Cluster::builder().nodes(2).start().unwrap();
    let mut ids = Vec::new();
    for node in [1, 2, 1] {
        let mut client = Client::of(&cluster, node);
        for version in 0..=5 {
            let answer = client.call(version, &init(-1, -1));
            assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
            ids.push(answer.producer_id.0);
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn who_names_its_id_and_epoch_gets_another_id_too() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let first = client.call(3, &init(-1, -1)).producer_id;
    let answer = client.call(3, &init(first.0, 5));
    assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
    assert_ne!(answer.producer_id, first);
    for half in [init(first.0, -1), init(-1, 5)] {
        let answer = client.call(3, &half);
        assert_eq!(answer.error_code, ResponseError::InvalidRequest.code());
        assert_eq!((answer.producer_id.0, answer.producer_epoch), (-1, -1));
    }
}

#[test]
fn transactions_are_refused() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    for (id, error) in [
        ("tx", ResponseError::TransactionalIdAuthorizationFailed),
        ("", ResponseError::InvalidRequest),
    ] {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(id))))
            .with_transaction_timeout_ms(60_000);
        assert_eq!(client.call(2, &request).error_code, error.code());
    }
}

#[test]
fn sequences_continue_from_batch_to_batch() {
    let mut bench = bench();
    bench.assert_stored(&from(0, 0, 3), 0);
    bench.assert_stored(&from(0, 3, 1), 3);
    bench.assert_stored(&from(0, 4, 2), 4);
    // Other producers count for themselves.
    bench.assert_stored(&batch(1).producer(8, 0, 0), 6);
    bench.assert_stored(&batch(1), 7);
    bench.assert_stored(&from(0, 6, 1), 8);
}

#[test]
fn gaps_and_steps_back_are_out_of_order() {
    let mut bench = bench();
    bench.assert_stored(&from(0, 0, 3), 0);
    let error = ResponseError::OutOfOrderSequenceNumber;
    bench.assert_refused(&from(0, 4, 1), error);
    bench.assert_refused(&from(0, 2, 1), error);
    // Not the same batch: other records under a sequence that was there.
    bench.assert_refused(&from(0, 0, 2), error);
    bench.assert_stored(&from(0, 3, 1), 3);
}

#[test]
fn the_last_five_batches_are_recognised() {
    let mut bench = bench();
    for index in 0..6 {
        bench.assert_stored(&from(0, index * 2, 2), i64::from(index) * 2);
    }
    for index in 1..6 {
        let answer = bench.produce(&from(0, index * 2, 2));
        assert_eq!(answer.error_code, 0);
        assert_eq!(answer.base_offset, i64::from(index) * 2);
        // Kafka names the latest time in the batch here, whatever kind of time the topic has.
        assert_eq!(answer.log_append_time_ms, 1001);
    }
    assert_eq!(bench.end(), 12);
    // The sixth is forgotten, and comes too late.
    bench.assert_refused(&from(0, 0, 2), ResponseError::OutOfOrderSequenceNumber);
    // Recognising changes nothing.
    bench.assert_stored(&from(0, 12, 1), 12);
}

#[test]
fn a_new_epoch_begins_with_sequence_0() {
    let mut bench = bench();
    bench.assert_stored(&from(0, 0, 3), 0);
    bench.assert_refused(&from(1, 3, 1), ResponseError::OutOfOrderSequenceNumber);
    bench.assert_stored(&from(1, 0, 1), 3);
    bench.assert_stored(&from(1, 1, 1), 4);
}

#[test]
fn an_old_epoch_is_refused() {
    let mut bench = bench();
    bench.assert_stored(&from(2, 0, 1), 0);
    bench.assert_refused(&from(1, 0, 1), ResponseError::InvalidProducerEpoch);
    bench.assert_refused(&from(1, 1, 1), ResponseError::InvalidProducerEpoch);
    bench.assert_stored(&from(2, 1, 1), 1);
}

#[test]
fn a_batch_of_the_epoch_before_is_not_taken_for_a_repetition() {
    let mut bench = bench();
    bench.assert_stored(&from(0, 0, 1), 0);
    bench.assert_stored(&from(1, 0, 1), 1);
    let answer = bench.produce(&from(1, 0, 1));
    assert_eq!((answer.error_code, answer.base_offset), (0, 1));
    bench.assert_refused(&from(0, 0, 1), ResponseError::InvalidProducerEpoch);
}

#[test]
fn sequences_wrap_to_0() {
    let mut bench = bench();
    // Nothing is known of this producer: it may begin anywhere.
    bench.assert_stored(&from(0, i32::MAX - 1, 1), 0);
    bench.assert_stored(&from(0, i32::MAX, 1), 1);
    bench.assert_stored(&from(0, 0, 1), 2);
    let mut bench = bench_of(Profile::KAFKA_4_4, 64 << 20);
    // Within a batch: 2147483646, 2147483647, 0, 1.
    bench.assert_stored(&from(0, i32::MAX - 1, 4), 0);
    bench.assert_refused(&from(0, 1, 1), ResponseError::OutOfOrderSequenceNumber);
    bench.assert_stored(&from(0, 2, 1), 4);
    let answer = bench.produce(&from(0, i32::MAX - 1, 4));
    assert_eq!((answer.error_code, answer.base_offset), (0, 0));
}

#[test]
fn an_id_without_a_sequence_is_refused() {
    let mut bench = bench();
    let no_sequence = altered(&from(0, 0, 1).build(), 53, &(-1i32).to_be_bytes());
    let answer = bench
        .client
        .produce(bench.version, &bench.topic, 0, no_sequence);
    assert_eq!(answer.error_code, ResponseError::InvalidRecord.code());
}

#[test]
fn strangers_may_begin_anywhere_since_kafka_2_5() {
    bench_of(Profile::KAFKA_2_8, 64 << 20).assert_stored(&from(3, 17, 1), 0);
    bench_of(Profile::REDPANDA_24_3, 64 << 20).assert_stored(&from(3, 17, 1), 0);
}

#[test]
fn strangers_begin_with_0_before_kafka_2_5() {
    let mut bench = bench_of(Profile::KAFKA_2_3, 64 << 20);
    bench.assert_refused(&from(0, 17, 1), ResponseError::UnknownProducerId);
    bench.assert_stored(&from(0, 0, 1), 0);
    let mut bench = bench_of(Profile::KAFKA_0_11, 64 << 20);
    bench.assert_refused(&from(0, 17, 1), ResponseError::OutOfOrderSequenceNumber);
    bench.assert_stored(&from(0, 0, 1), 0);
}

#[test]
fn kafka_0_11_recognises_only_the_last_batch() {
    let mut bench = bench_of(Profile::KAFKA_0_11, 64 << 20);
    bench.assert_stored(&from(0, 0, 1), 0);
    bench.assert_stored(&from(0, 1, 1), 1);
    bench.assert_stored(&from(0, 1, 1), 1);
    bench.assert_refused(&from(0, 0, 1), ResponseError::OutOfOrderSequenceNumber);
}

#[test]
fn producers_are_forgotten_with_their_batches_before_kafka_2_4() {
    let one = from(0, 0, 1).build().len();
    let mut old = bench_of(Profile::KAFKA_2_3, one);
    old.assert_stored(&from(0, 0, 1), 0);
    old.assert_stored(&from(0, 1, 1), 1);
    old.assert_stored(&batch(1), 2);
    let answer = old.produce(&from(0, 2, 1));
    assert_eq!(answer.error_code, ResponseError::UnknownProducerId.code());
    // So the producer sees that its batches have gone, not that they were lost.
    assert_eq!(answer.log_start_offset, 2);
    let mut new = bench_of(Profile::KAFKA_2_8, one);
    new.assert_stored(&from(0, 0, 1), 0);
    new.assert_stored(&batch(1), 1);
    new.assert_refused(&from(0, 2, 1), ResponseError::OutOfOrderSequenceNumber);
    new.assert_stored(&from(0, 1, 1), 2);
}

#[test]
fn a_new_leader_knows_the_producers() {
    let cluster = Cluster::builder().nodes(2).start().unwrap();
    let topic = Topic::create(&cluster, "events", 1);
    let first = Client::of(&cluster, 1).produce(13, &topic, 0, from(0, 0, 2).build());
    assert_eq!(first.error_code, 0);
    cluster.move_leader("events", 0, Some(2));
    let mut client = Client::of(&cluster, 2);
    let again = client.produce(13, &topic, 0, from(0, 0, 2).build());
    assert_eq!((again.error_code, again.base_offset), (0, 0));
    let next = client.produce(13, &topic, 0, from(0, 2, 1).build());
    assert_eq!((next.error_code, next.base_offset), (0, 2));
}

#[test]
fn a_topic_that_is_created_again_knows_no_producer() {
    let mut bench = bench();
    bench.assert_stored(&from(0, 0, 1), 0);
    bench.cluster.delete_topic("events");
    bench.topic = Topic::create(&bench.cluster, "events", 1);
    bench.assert_stored(&from(0, 0, 1), 0);
    assert_eq!(bench.end(), 1);
}
