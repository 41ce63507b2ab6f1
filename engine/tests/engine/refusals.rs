//! Batches that a broker does not take as they are: too large, or with records that it refuses.

use std::sync::Arc;

use kafka_engine::accumulator::Topic;
use kafka_engine::error::{DeliveryError, Persisted};
use kafka_engine::settings::Settings;
use kafka_wire::ApiKey::Produce;
use kafka_wire::ErrorCode;

use kafka_sim::{Cluster, Fault, Message, World, millis, secs};

const TOO_LARGE: DeliveryError = DeliveryError::Broker(ErrorCode::MESSAGE_TOO_LARGE);
const INVALID: DeliveryError = DeliveryError::Broker(ErrorCode::INVALID_RECORD);

/// A world whose partition has taken a batch, where batches linger and grow.
fn world(idempotence: bool) -> (World, Arc<Topic>) {
    let settings = Settings {
        idempotence,
        linger: millis(20),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    (world, topic)
}

fn verify(world: &mut World) {
    world.verify();
    world.verify_order();
    world.verify_once();
}

#[test]
fn a_batch_that_is_too_large_goes_in_parts_and_a_message_that_is_too_large_fails() {
    for idempotence in [false, true] {
        let (mut world, topic) = world(idempotence);
        world.cluster.max_batch_bytes = 1_000;
        world.publish_many(&topic, 30, &Message::of(100));
        let giant = world.publish(&topic, &Message::of(2_000));
        world.publish_many(&topic, 30, &Message::of(100).waited_for());
        world.run_dry(secs(5));
        let failure = world.failure(giant);
        assert_eq!(
            (failure.error, failure.persisted),
            (TOO_LARGE, Persisted::No)
        );
        assert_eq!(world.delivered(), 61);
        let taken = world.cluster.produced.iter().flat_map(|r| &r.batches);
        let sizes: Vec<usize> = taken.map(|(.., bytes)| *bytes).collect();
        assert!(sizes.contains(&sizes[1]) && sizes[1] > 8_000, "{sizes:?}");
        verify(&mut world);
    }
}

#[test]
fn parts_of_a_batch_keep_its_sequence_numbers() {
    let (mut world, topic) = world(true);
    world.cluster.max_batch_bytes = 1_000;
    world.publish_many(&topic, 30, &Message::of(100));
    world.run_dry(secs(5));
    world.publish_many(&topic, 3, &Message::of(100));
    world.run_dry(secs(5));
    let stamps = world
        .cluster
        .produced
        .iter()
        .flat_map(|r| r.sequences.clone());
    let (epochs, last): (Vec<i16>, Vec<i32>) = stamps.map(|(_, epoch, at)| (epoch, at)).unzip();
    assert!(epochs.iter().all(|epoch| *epoch == 0));
    assert_eq!(last.last(), Some(&31));
    verify(&mut world);
}

#[test]
fn a_batch_that_may_be_in_the_log_is_not_sent_in_parts() {
    let (mut world, topic) = world(true);
    let faults = [
        Fault::AppendThenRefuse(ErrorCode::REQUEST_TIMED_OUT),
        Fault::Refuse(ErrorCode::MESSAGE_TOO_LARGE),
    ];
    world.cluster.broker(1).script(Produce, faults);
    let messages = world.publish_many(&topic, 30, &Message::of(100));
    world.run_dry(secs(5));
    for opaque in messages {
        let failure = world.failure(opaque);
        assert_eq!(
            (failure.error, failure.persisted),
            (TOO_LARGE, Persisted::Maybe)
        );
    }
    world.publish_many(&topic, 30, &Message::of(100));
    world.run_dry(secs(5));
    verify(&mut world);
}

#[test]
fn records_that_the_broker_names_fail_and_the_rest_of_their_batch_is_delivered() {
    for idempotence in [false, true] {
        let (mut world, topic) = world(idempotence);
        // The first, one in the middle with a future, and the last of a batch of 20.
        world.cluster.invalid = [1, 7, 20, 30].into();
        for number in 0..40 {
            if number == 20 {
                world.run_for(millis(200));
            }
            let waited_for = number % 6 == 0;
            let message = Message {
                waited_for,
                ..Message::of(10)
            };
            world.publish(&topic, &message);
        }
        world.run_dry(secs(5));
        for opaque in [1, 7, 20, 30] {
            let failure = world.failure(opaque);
            assert_eq!((failure.error, failure.persisted), (INVALID, Persisted::No));
            let why = failure.last_error.as_deref().expect("the broker's words");
            assert!(why.contains("the test does not want it"), "{why}");
        }
        assert_eq!(world.delivered(), 37);
        verify(&mut world);
    }
}

#[test]
fn a_batch_of_nothing_but_refused_records_fails() {
    let (mut world, topic) = world(true);
    world.cluster.invalid = (1..=10).collect();
    world.publish_many(&topic, 10, &Message::of(10));
    world.run_dry(secs(5));
    assert_eq!(world.delivered(), 1);
    world.publish_many(&topic, 10, &Message::of(10));
    world.run_dry(secs(5));
    assert_eq!(world.delivered(), 11);
    verify(&mut world);
}

#[test]
fn records_that_a_batch_does_not_have_cannot_be_blamed() {
    let (mut world, topic) = world(false);
    let misreport = Fault::Misreport(|response| {
        let answer = &mut response.topics[0].partitions[0];
        answer.error_code = ErrorCode::INVALID_RECORD;
        answer.base_offset = -1;
        for batch_index in [-1, 10, i32::MIN, i32::MAX] {
            answer.record_errors.push(kafka_wire::message::RecordError {
                batch_index,
                message: None,
            });
        }
    });
    world.cluster.broker(1).script(Produce, [misreport]);
    let messages = world.publish_many(&topic, 10, &Message::of(10));
    world.run_dry(secs(5));
    assert!(
        messages
            .iter()
            .all(|opaque| world.failure(*opaque).error == INVALID)
    );
}
