//! What is held, how batches fill, when they go.

use kafka_engine::accumulator::Wake;
use kafka_engine::error::PublishError;
use kafka_engine::settings::{Settings, TopicSettings};
use kafka_wire::ApiKey::Produce;
use kafka_wire::ErrorCode;

use kafka_sim::{Cluster, Fault, Message, Reach, World, millis, secs};

#[test]
fn a_queue_full_of_messages_refuses_more_until_reports_were_taken() {
    let settings = Settings {
        queue_max_messages: Some(10),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), settings);
    let topic = world.topic("t");
    world.take_reports_at_once(false);
    world.publish_many(&topic, 10, &Message::of(10));
    let full = Err(PublishError::TooManyMessages { limit: 10 });
    assert_eq!(world.try_publish(&topic, &Message::of(10)), full);
    world.run_dry(secs(1));
    assert_eq!(world.try_publish(&topic, &Message::of(10)), full);
    assert_eq!(world.accumulator.queued().0, 10);
    world.take_reports();
    assert_eq!(world.accumulator.queued(), (0, 0));
    world.publish_many(&topic, 10, &Message::of(10));
    world.run_dry(secs(1));
    assert_eq!(
        world.cluster.log("t", 0).len() + world.cluster.log("t", 1).len(),
        20
    );
    world.verify();
}

#[test]
fn a_queue_full_of_bytes_refuses_more_and_keeps_nothing_of_it() {
    let settings = Settings {
        queue_max_bytes: 100_000,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), settings);
    world.crash(1, Reach::Refuses);
    let topic = world.topic("t");
    let mut refused = 0;
    for number in 0..200 {
        let (held, before) = (world.held(), world.accumulator.queued());
        match world.try_publish(&topic, &Message::of(1000).waited_for()) {
            Ok(_) => assert!(world.accumulator.queued().1 <= 100_000),
            Err(error) => {
                assert_eq!(error, PublishError::TooManyBytes { limit: 100_000 });
                assert!(error.is_queue_full());
                assert_eq!((world.held(), world.accumulator.queued()), (held, before));
                refused += 1;
            }
        }
        if number % 10 == 0 {
            world.run_for(millis(20));
        }
    }
    let accepted = world.held();
    assert!(accepted >= 80, "{accepted} of 1 kB in 100 kB");
    assert_eq!(accepted + refused, 200);
    world.cluster.broker(1).reach = Reach::Up;
    world.run_dry(secs(16));
    assert_eq!(world.delivered() as u64, accepted);
    world.verify();
}

#[test]
fn a_message_larger_than_the_limit_is_refused_and_one_as_large_is_sent() {
    let settings = Settings {
        message_max_bytes: 10_000,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    let mut largest = 0;
    for size in 9_880..10_001 {
        match world.try_publish(&topic, &Message::of(size)) {
            Ok(_) => largest = size,
            Err(PublishError::MessageTooLarge {
                size,
                limit: 10_000,
            }) => assert!(size > 10_000),
            Err(error) => panic!("{error}"),
        }
    }
    world.run_dry(secs(1));
    let sizes = world.cluster.produced.iter().flat_map(|p| &p.batches);
    assert_eq!(sizes.map(|(.., bytes)| *bytes).max(), Some(10_000));
    assert!(largest > 9_880);
    world.verify();
}

#[test]
fn a_negative_timestamp_is_refused() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    let message = Message {
        timestamp: Some(-1),
        ..Message::of(1)
    };
    let refused = world.try_publish(&topic, &message);
    assert_eq!(
        refused,
        Err(PublishError::InvalidTimestamp { timestamp: -1 })
    );
    world.verify();
}

#[test]
fn batches_end_at_their_limits() {
    let settings = Settings {
        linger: millis(100),
        batch_messages: 7,
        batch_bytes: 2_000,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), settings);
    let topic = world.topic("t");
    world.run_for(millis(200));
    world.publish_many(&topic, 70, &Message::of(10).to(0));
    world.publish_many(&topic, 70, &Message::of(600).to(1));
    world.publish(&topic, &Message::of(50_000).to(1));
    world.publish_many(&topic, 3, &Message::of(600).to(1));
    world.run_dry(secs(2));
    for (_, partition, records, bytes) in world.cluster.produced.iter().flat_map(|p| &p.batches) {
        assert!(*records <= 7 && (*bytes <= 2_000 || *records == 1));
        assert!(*partition == 1 || *records == 7, "{records}");
    }
    world.verify_order();
    world.verify();
}

#[test]
fn a_batch_of_one_message_that_fills_it_does_not_linger() {
    let settings = Settings {
        linger: secs(10),
        batch_messages: 1,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.run_for(millis(200));
    world.publish(&topic, &Message::of(10));
    world.run_dry(millis(1));
    world.verify();
}

#[test]
fn linger_holds_a_batch_for_its_time_and_no_longer() {
    let settings = Settings {
        linger: millis(500),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.run_for(millis(200));
    for _ in 0..49 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(10));
    }
    assert!(world.cluster.produced.is_empty());
    world.run_dry(millis(11));
    assert_eq!(world.cluster.produced.len(), 1);
    world.verify();
}

#[test]
fn a_flush_waits_for_no_linger_and_what_comes_during_it_neither() {
    let settings = Settings {
        linger: secs(60),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 4), settings);
    let topic = world.topic("t");
    for partition in 0..4 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_for(secs(1));
    assert_eq!(world.held(), 4);
    world.begin_flush();
    world.run_dry(millis(1));
    world.publish(&topic, &Message::of(10).to(0));
    world.run_dry(millis(1));
    world.accumulator.end_flush();
    let lingering = world.publish(&topic, &Message::of(10).to(0));
    world.run_for(secs(59));
    assert_eq!(world.held(), 1);
    world.run_dry(secs(2));
    assert_eq!(world.offset(lingering), 2);
    world.verify();
}

#[test]
fn a_flush_of_nothing_opens_no_connection() {
    let settings = Settings {
        connections_max_idle: Some(secs(10)),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_for(secs(100));
    assert_eq!((world.connections(), world.connects.len()), (0, 1));
    world.begin_flush();
    world.run_for(secs(100));
    assert_eq!(world.connects.len(), 1);
    world.verify();
}

#[test]
fn a_flush_does_not_shorten_the_wait_before_another_attempt() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    let refuse = Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    world.cluster.broker(1).script(Produce, vec![refuse; 1000]);
    world.publish(&topic, &Message::of(10));
    world.begin_flush();
    world.run_for(secs(10));
    assert!(world.cluster.produced.len() < 20);
    world.cluster.broker(1).forget_script();
    world.run_dry(secs(2));
    world.verify();
}

#[test]
fn a_full_queue_of_staged_messages_has_room_again_when_they_expire() {
    let settings = Settings {
        queue_max_messages: Some(5),
        queue_max_bytes: 50_000,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1), settings);
    let timeout = TopicSettings {
        message_timeout: Some(secs(1)),
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &timeout);
    for _ in 0..5 {
        world.publish_many(&topic, 5, &Message::of(5000));
        assert!(world.try_publish(&topic, &Message::of(1)).is_err());
        world.run_dry(secs(2));
    }
    world.verify();
}

#[test]
fn a_burst_rouses_the_io_thread_once() {
    let settings = Settings {
        batch_messages: 10,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 4), settings);
    let (staged, topic) = (world.topic("unknown"), world.topic("t"));
    world.run_for(secs(1));
    for topic in [staged, topic] {
        let wakes = (0..1000).map(|number| {
            let message = Message::of(10).to(number % 4);
            world.publish_unnoticed(&topic, &message).1
        });
        let wakes: Vec<Wake> = wakes.collect();
        assert_eq!(wakes[0], Wake::Yes);
        assert!(wakes[1..].iter().all(|wake| *wake == Wake::No));
        world.rouse(Wake::Yes);
        world.run_for(secs(1));
    }
    world.run_dry(secs(40));
    world.verify();
}

#[test]
fn no_more_requests_are_on_the_wire_of_a_connection_than_allowed() {
    let settings = Settings {
        max_in_flight: 2,
        linger: millis(0),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 20), settings);
    let topic = world.topic("t");
    world.run_for(secs(1));
    world.cluster.broker(1).latency = millis(100);
    for partition in 0..20 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_for(millis(99));
    assert_eq!(world.cluster.produced.len(), 2);
    world.run_dry(secs(1));
    assert_eq!(world.cluster.produced.len(), 3, "the rest went together");
    world.verify();
}

#[test]
fn messages_that_waited_for_their_partitions_take_no_more_memory_there() {
    let settings = Settings {
        queue_max_bytes: 200_000,
        message_max_bytes: 50_000,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1_000), settings);
    world.crash(1, Reach::Refuses);
    let topic = world.topic("t");
    for partition in 0..1_000 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.cluster.broker(1).latency = secs(1);
    world.cluster.broker(1).reach = Reach::Up;
    let routed = |world: &World| world.requests_of(Produce, 1) > 0;
    assert!(world.run_until(secs(20), routed));
    let (_, bytes) = world.accumulator.queued();
    assert!(bytes <= 250_000, "{bytes}");
    world.run_dry(secs(20));
    world.verify();
}
