//! A broker that does not read: what is written to it stays in the socket's buffers, then in the
//! producer's hands.

use std::sync::Arc;
use std::time::Duration;

use kafka_engine::accumulator::Topic;
use kafka_engine::error::{DeliveryError, Persisted, Place, PublishError};
use kafka_engine::settings::{Acks, Settings, TopicSettings};
use kafka_wire::ApiKey::Produce;

use kafka_sim::{Cluster, Message, World, millis, secs};

const ALL_ACKS: [Acks; 3] = [Acks::None, Acks::Leader, Acks::All];

/// Two connected brokers, the first of which does not read any more, and a topic with a partition at
/// each.
fn world_that_is_not_read(
    settings: Settings,
    acks: Acks,
    message_timeout: Option<Duration>,
) -> (World, Arc<Topic>) {
    let settings = Settings {
        request_timeout: secs(5),
        ..settings
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), settings);
    let settings = TopicSettings {
        acks,
        message_timeout,
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &settings);
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    world.run_for(secs(1));
    world.cluster.broker(1).reads = false;
    world.connects.clear();
    (world, topic)
}

#[test]
fn messages_expire_in_time_though_their_request_is_half_written_and_others_flow() {
    for acks in ALL_ACKS {
        let timeout = Some(secs(3));
        let (mut world, topic) = world_that_is_not_read(Settings::default(), acks, timeout);
        let stuck = world.publish(&topic, &Message::of(100_000).to(0));
        world.run_for(secs(1));
        let behind = world.publish(&topic, &Message::of(10).to(0));
        for _ in 0..30 {
            world.publish(&topic, &Message::of(10).to(1));
            world.run_for(millis(50));
            assert_eq!(world.held(), 2, "others flow");
        }
        world.run_dry(secs(3));
        let failure = world.failure(stuck);
        assert_eq!(
            (failure.error, failure.place),
            (DeliveryError::TimedOut, Place::InFlight)
        );
        assert_eq!((failure.attempts, failure.persisted), (1, Persisted::Maybe));
        let failure = world.failure(behind);
        assert_eq!(
            (failure.error, failure.place),
            (DeliveryError::TimedOut, Place::Queued)
        );
        assert_eq!((failure.attempts, failure.persisted), (0, Persisted::No));
        assert!(
            world.accumulator.queued().1 >= 100_000,
            "half a request is still there"
        );
        // `socket.timeout.ms` after it was handed to the socket.
        world.run_for(secs(4));
        world.verify();
    }
}

#[test]
fn a_request_that_cannot_be_written_ends_its_connection_and_is_sent_again() {
    for acks in ALL_ACKS {
        let (mut world, topic) = world_that_is_not_read(Settings::default(), acks, None);
        world.publish(&topic, &Message::of(10).to(0));
        world.run_for(secs(5));
        assert_eq!(world.connects.len(), 0, "not before socket.timeout.ms");
        world.run_for(secs(1));
        assert_eq!(world.connects.len(), 1);
        let lines = world.log.lines();
        let said = match acks {
            Acks::None => "Produce version 13 could not be written within socket.timeout.ms",
            _ => "no answer to Produce version 13 within socket.timeout.ms",
        };
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].starts_with(&format!("WARN b1:9092: {said}")),
            "{lines:?}"
        );
        assert_eq!(world.held(), 1, "with acks=0, too, it is not delivered");
        world.read_on(1);
        world.run_dry(secs(11));
        world.verify();
    }
}

#[test]
fn what_was_stuck_goes_on_when_the_broker_reads_on() {
    for acks in ALL_ACKS {
        let (mut world, topic) = world_that_is_not_read(Settings::default(), acks, None);
        for _ in 0..20 {
            world.publish(&topic, &Message::of(1000).to(0));
            world.run_for(millis(100));
        }
        let before = world.requests_of(Produce, 1);
        world.read_on(1);
        world.run_dry(millis(100));
        assert_eq!(world.connects.len(), 0, "the connection is as good as ever");
        assert_eq!(
            world.requests_of(Produce, 1) - before,
            2,
            "the rest goes together"
        );
        world.verify_order();
        world.verify();
    }
}

#[test]
fn memory_stays_within_its_limit_and_is_free_again_when_the_broker_reads_on() {
    let settings = Settings {
        queue_max_bytes: 500_000,
        ..Settings::default()
    };
    for acks in ALL_ACKS {
        let timeout = Some(secs(10));
        let (mut world, topic) = world_that_is_not_read(settings.clone(), acks, timeout);
        let mut refused = 0;
        for _ in 0..200 {
            match world.try_publish(&topic, &Message::of(10_000).to(0)) {
                Ok(_) => {}
                Err(PublishError::TooManyBytes { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            assert!(world.accumulator.queued().1 <= 500_000);
            world.run_for(millis(100));
        }
        assert!(refused > 0);
        world.read_on(1);
        world.run_dry(secs(12));
        world.publish(&topic, &Message::of(10_000).to(0));
        world.run_dry(secs(12));
        world.run_for(secs(6));
        world.verify();
    }
}

#[test]
fn requests_that_are_made_in_advance_are_accounted_for_whatever_becomes_of_the_connection() {
    for acks in ALL_ACKS {
        for read_on in [true, false] {
            let settings = Settings {
                backpressure_threshold: 10,
                ..Settings::default()
            };
            let (mut world, topic) = world_that_is_not_read(settings, acks, Some(secs(60)));
            for _ in 0..3 {
                world.publish(&topic, &Message::of(10).to(0));
                world.run_for(millis(20));
            }
            assert_eq!(world.held(), 3);
            let before = world.requests_of(Produce, 1);
            if read_on {
                world.read_on(1);
                world.run_dry(secs(1));
                assert_eq!(world.requests_of(Produce, 1), before + 3, "{acks:?}");
            } else {
                // After `socket.timeout.ms` another connection is made.
                world.run_for(secs(6));
                world.read_on(1);
                world.run_dry(secs(30));
            }
            assert_eq!(world.delivered(), 5);
            world.verify();
        }
    }
}
