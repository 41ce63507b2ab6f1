//! `message.timeout.ms`: never early, and at most 50 ms late, wherever a message is. The world
//! checks both for every message; here it is brought to all the places.

use kafka_engine::error::{DeliveryError, Persisted, Place};
use kafka_engine::settings::{Settings, TopicSettings};
use kafka_wire::ApiKey::Produce;
use kafka_wire::ErrorCode;

use kafka_sim::{Cluster, Fault, Message, Reach, World, millis, secs};

fn expiring() -> TopicSettings {
    TopicSettings {
        message_timeout: Some(secs(2)),
        ..TopicSettings::default()
    }
}

/// Publishes for five seconds at random times, waits for everything to expire, and checks that it
/// did at `place`.
fn expire_at(mut world: World, place: Place) -> World {
    let topic = world.topic_with("t", &expiring());
    let mut random = fastrand::Rng::with_seed(7);
    let end = world.elapsed() + secs(5);
    let mut expected = Vec::new();
    while world.elapsed() < end {
        for _ in 0..random.usize(1..4) {
            let message = Message::of(random.usize(0..500)).to(random.i32(0..2));
            expected.push(world.publish(&topic, &message));
        }
        let pause = random.choice([500, 2_000, 30_000, 100_000, 300_000]);
        let pause = random.u64(0..pause.unwrap_or(1));
        world.run_for(std::time::Duration::from_micros(pause));
    }
    world.run_dry(secs(3));
    for opaque in expected {
        let failure = world.failure(opaque);
        assert_eq!(failure.error, DeliveryError::TimedOut);
        assert_eq!(failure.place, place, "{failure}");
    }
    world.verify();
    world
}

#[test]
fn staged_without_a_broker() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), Settings::default());
    world.crash(1, Reach::Refuses);
    let mut world = expire_at(world, Place::NoMetadata);
    let topic = world.topic_with("t", &expiring());
    let opaque = world.publish(&topic, &Message::of(1));
    world.run_dry(secs(3));
    let failure = world.failure(opaque);
    let why = failure.last_error.as_deref().expect("the last error");
    assert!(why.contains("b1:9092") && why.contains("refused"), "{why}");
}

#[test]
fn staged_without_the_topic() {
    let world = World::new(Cluster::new(1), Settings::default());
    let world = expire_at(world, Place::NoMetadata);
    let last = world.outcomes.values().last().expect("outcomes");
    let failure = last.result.as_ref().expect_err("failed");
    let why = failure.last_error.as_deref().expect("the last error");
    assert!(why.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{why}");
}

#[test]
fn without_a_leader() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), Settings::default());
    world.topic_with("t", &expiring());
    world.run_for(millis(200));
    for partition in 0..2 {
        world.cluster.lead("t", partition, None);
    }
    // What comes first is refused by the former leader.
    let topic = world.topic_with("t", &expiring());
    for partition in 0..2 {
        world.publish(&topic, &Message::of(1).to(partition));
    }
    world.run_dry(secs(3));
    let world = expire_at(world, Place::NoLeader);
    assert!(world.cluster.log("t", 0).is_empty());
}

#[test]
fn queued_without_a_connection() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), Settings::default());
    world.topic_with("t", &expiring());
    world.run_for(millis(200));
    world.crash(1, Reach::Refuses);
    let world = expire_at(world, Place::Queued);
    let last = world.outcomes.values().last().expect("outcomes");
    let failure = last.result.as_ref().expect_err("failed");
    assert_eq!(failure.persisted, Persisted::No);
    let why = failure.last_error.as_deref().expect("the last error");
    assert!(why.contains("refused"), "{why}");
}

#[test]
fn waiting_for_another_attempt() {
    let settings = Settings {
        retry_backoff: secs(1),
        retry_backoff_max: secs(5),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), settings);
    world.topic_with("t", &expiring());
    world.run_for(millis(200));
    let refuse = Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    world.cluster.broker(1).script(Produce, vec![refuse; 1000]);
    let mut world = expire_at(world, Place::Queued);
    world.cluster.broker(1).forget_script();
    let topic = world.topic_with("t", &expiring());
    let opaque = world.publish(&topic, &Message::of(10));
    world.run_dry(secs(2));
    assert!(world.offset(opaque) >= 0, "the partition is not stuck");
    world.verify();
}

#[test]
fn in_flight() {
    let settings = Settings {
        linger: millis(1000),
        batch_messages: 1000,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), settings);
    let topic = world.topic_with("t", &expiring());
    world.run_for(millis(200));
    world
        .cluster
        .broker(1)
        .script(Produce, [Fault::AppendThenHang]);
    for _ in 0..100 {
        world.publish(&topic, &Message::of(10).to(0));
        world.run_for(millis(10));
    }
    world.run_dry(secs(3));
    for outcome in world.outcomes.values() {
        let failure = outcome.result.as_ref().expect_err("failed");
        assert_eq!(
            (failure.place, failure.persisted),
            (Place::InFlight, Persisted::Maybe)
        );
    }
    // The memory is in use until nobody can ask for it any more.
    world.run_for(secs(60));
    world.verify();
}

#[test]
fn in_flight_and_behind_what_expired_there() {
    let settings = Settings {
        batch_messages: 1,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic_with("t", &expiring());
    world.run_for(millis(200));
    let faults = [Fault::Obey, Fault::AppendThenHang];
    world.cluster.broker(1).script(Produce, faults);
    for _ in 0..10 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(100));
    }
    world.run_dry(secs(3));
    assert_eq!(world.delivered(), 1);
    world.run_for(secs(60));
    world.verify();
}

#[test]
fn what_is_left_of_a_batch_after_a_part_expired_in_flight_is_reported_at_its_offset() {
    let settings = Settings {
        linger: millis(1000),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic_with("t", &expiring());
    world.run_for(millis(200));
    // Sent after 1 s, answered 1.5 s later: the older half has expired by then.
    world
        .cluster
        .broker(1)
        .script(Produce, [Fault::Slow(millis(1500))]);
    for _ in 0..99 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(10));
    }
    world.run_dry(secs(3));
    let delivered = world.delivered();
    assert!((40..=60).contains(&delivered), "{delivered} of 99");
    world.verify();
}

#[test]
fn what_is_left_of_a_batch_after_a_part_expired_is_sent_without_it() {
    let settings = Settings {
        linger: millis(1000),
        retry_backoff: millis(1500),
        retry_backoff_max: millis(1500),
        report_records: true,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic_with("t", &expiring());
    world.run_for(millis(200));
    let refuse = Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    world.cluster.broker(1).script(Produce, [refuse]);
    for number in 0..99 {
        let message = Message::of(10).key(&format!("key {number}"));
        world.publish(
            &topic,
            &Message {
                waited_for: number % 5 == 0,
                ..message
            },
        );
        world.run_for(millis(10));
    }
    world.run_dry(secs(3));
    let logged = world.cluster.log("t", 0).len();
    assert_eq!(logged, world.delivered());
    assert!((20..=80).contains(&logged), "{logged} of 99");
    world.verify();
}

#[test]
fn no_timeout_is_no_timeout() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    world.crash(1, Reach::Refuses);
    let settings = TopicSettings {
        message_timeout: None,
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &settings);
    world.publish(&topic, &Message::of(1));
    world.run_for(secs(100_000));
    assert_eq!(world.held(), 1);
    world.cluster.broker(1).reach = Reach::Up;
    world.run_dry(secs(16));
    assert_eq!(world.delivered(), 1);
    world.verify();
}

/// Publishes a thousand messages, four by four with the same time-out, which is one of 250 from 100 to
/// 5,000 ms, and checks that each fails when its own time has come.
fn keep_time_outs_of_a_thousand(mut world: World) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut timeouts: Vec<_> = (0..250).map(|n| millis(100 + n * 4_900 / 249)).collect();
    random.shuffle(&mut timeouts);
    let mut due = Vec::new();
    for timeout in timeouts {
        let settings = TopicSettings {
            message_timeout: Some(timeout),
            ..TopicSettings::default()
        };
        let topic = world.topic_with("t", &settings);
        for _ in 0..4 {
            let opaque = world.publish(&topic, &Message::of(100).to(0));
            due.push((opaque, world.elapsed() + timeout));
            // So close that one has to stand for another, and not at the same time.
            world.run_for(millis(random.u64(0..12)));
        }
    }
    world.run_dry(secs(6));
    assert_eq!(due.len(), 1_000);
    for (opaque, due) in due {
        assert_eq!(world.failure(opaque).error, DeliveryError::TimedOut);
        let at = world.outcomes[&opaque].at;
        assert!(at >= due, "{opaque} early: {at:?} instead of {due:?}");
        let late = at - due;
        assert!(late <= millis(50), "{opaque} is {late:?} late");
    }
    // The memory of what is in flight is in use until nobody can ask for it any more.
    world.run_for(secs(60));
    world.verify();
}

#[test]
fn a_thousand_messages_expire_in_time_without_a_broker() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    world.crash(1, Reach::Refuses);
    keep_time_outs_of_a_thousand(world);
}

#[test]
fn a_thousand_messages_expire_in_time_while_a_broker_says_nothing() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), Settings::default());
    world.topic_with("t", &expiring());
    world.run_for(millis(200));
    let faults = vec![Fault::AppendThenHang; 1000];
    world.cluster.broker(1).script(Produce, faults);
    keep_time_outs_of_a_thousand(world);
}
