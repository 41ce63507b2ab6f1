//! Topics that are unknown, appear late, grow, are made anew, or are opened twice.

use kafka_engine::error::{DeliveryError, Persisted, Place, PublishError};
use kafka_engine::settings::{Acks, Settings, TopicSettings};
use kafka_wire::ErrorCode;

use kafka_sim::{Cluster, Message, Reach, World, endpoint, millis, secs};

#[test]
fn an_unknown_topic_fails_after_topic_propagation_max_and_only_then() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    let topic = world.topic("t");
    world.run_for(secs(100));
    let first = world.publish(&topic, &Message::of(10));
    world.run_for(secs(29));
    let second = world.publish(&topic, &Message::of(10).to(7));
    assert_eq!(world.held(), 2);
    world.run_dry(secs(2));
    for opaque in [first, second] {
        let failure = world.failure(opaque);
        assert_eq!(failure.error, DeliveryError::UnknownTopic);
        assert_eq!(failure.place, Place::NoMetadata);
        assert_eq!(failure.persisted, Persisted::No);
        let why = failure.last_error.as_deref().expect("the broker's word");
        assert!(why.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{why}");
    }
    world.verify();
}

#[test]
fn a_topic_that_was_given_up_gets_its_time_again_with_the_next_message() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    let topic = world.topic("t");
    let first = world.publish(&topic, &Message::of(10));
    world.run_dry(secs(31));
    assert_eq!(world.failure(first).error, DeliveryError::UnknownTopic);
    world.run_for(secs(60));
    let second = world.publish(&topic, &Message::of(10));
    world.run_for(secs(29));
    assert_eq!(world.held(), 1);
    world.cluster.create("t", 1);
    world.run_dry(secs(2));
    assert_eq!(world.offset(second), 0);
    world.verify();
}

#[test]
fn a_message_has_its_whole_time_though_an_earlier_one_expired_meanwhile() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    let settings = TopicSettings {
        message_timeout: Some(secs(5)),
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &settings);
    let first = world.publish(&topic, &Message::of(10));
    world.run_dry(secs(6));
    assert_eq!(world.failure(first).error, DeliveryError::TimedOut);
    world.run_for(secs(20));
    let second = world.publish(&topic, &Message::of(10));
    world.run_for(secs(3));
    world.cluster.create("t", 1);
    world.run_dry(secs(2));
    assert_eq!(world.offset(second), 0);
    world.verify();
}

#[test]
fn a_topic_that_the_brokers_create_is_used_at_once() {
    let mut world = World::new(Cluster::new(2), Settings::default());
    world.cluster.auto_create = Some(4);
    let topic = world.topic("t");
    let opaque = world.publish(&topic, &Message::of(10).to(3));
    world.run_dry(secs(1));
    assert_eq!(world.offset(opaque), 0);
    world.verify();
}

#[test]
fn a_forbidden_topic_fails_at_once_and_alone() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    world.cluster.topic_errors.insert("secret".into(), denied);
    let (secret, topic) = (world.topic("secret"), world.topic("t"));
    let refused = world.publish(&secret, &Message::of(10));
    let accepted = world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    assert_eq!(world.failure(refused).error, DeliveryError::Broker(denied));
    assert_eq!(world.offset(accepted), 0);
    world.verify();
}

#[test]
fn an_explicit_partition_beyond_the_count_is_refused_as_soon_as_that_is_known() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    let topic = world.topic("t");
    let wrong = [3, 7, i32::MAX, -1, i32::MIN];
    let staged: Vec<u64> = wrong
        .map(|p| world.publish(&topic, &Message::of(10).to(p)))
        .into();
    let right = world.publish(&topic, &Message::of(10).to(2));
    world.cluster.create("t", 3);
    world.run_dry(secs(2));
    for (opaque, partition) in staged.into_iter().zip(wrong) {
        assert_eq!(world.failure(opaque).error, DeliveryError::UnknownPartition);
        assert_eq!(world.outcomes[&opaque].partition, partition);
    }
    assert_eq!(world.offset(right), 0);
    for partition in wrong {
        let refused = world.try_publish(&topic, &Message::of(10).to(partition));
        let error = PublishError::UnknownPartition {
            partition,
            count: 3,
        };
        assert_eq!(refused, Err(error));
    }
    world.verify();
}

#[test]
fn partitions_that_are_added_are_used() {
    let settings = Settings {
        metadata_refresh_interval: Some(secs(10)),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), settings);
    let topic = world.topic("t");
    world.run_for(secs(1));
    world.cluster.create("larger", 6);
    let larger = world.cluster.topics.remove("larger").expect("made");
    let grown = world.cluster.topics.get_mut("t").expect("made");
    grown.partitions.extend_from_slice(&larger.partitions[2..]);
    world.run_for(secs(10));
    let opaque = world.publish(&topic, &Message::of(10).to(5));
    world.run_dry(secs(1));
    assert_eq!(world.offset(opaque), 0);
    world.verify();
}

#[test]
fn a_topic_that_was_deleted_and_made_anew_is_found_though_its_leader_epochs_start_again() {
    let mut world = World::new(Cluster::new(3).with_topic("t", 2), Settings::default());
    let topic = world.topic("t");
    for partition in 0..2 {
        for leader in [2, 3, 1] {
            world.cluster.lead("t", partition, Some(leader));
        }
    }
    world.publish(&topic, &Message::of(10).to(0));
    world.run_dry(secs(1));
    world.outcomes.clear();
    world.cluster.create("t", 2);
    world.cluster.lead("t", 0, Some(2));
    for partition in 0..2 {
        let opaque = world.publish(&topic, &Message::of(10).to(partition));
        world.run_dry(secs(10));
        assert_eq!(world.offset(opaque), 0);
    }
}

#[test]
fn a_topic_made_anew_with_fewer_partitions_is_used_as_it_is_now() {
    let settings = Settings {
        metadata_refresh_interval: Some(secs(10)),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 8), settings);
    let topic = world.topic("t");
    world.run_for(secs(1));
    world.cluster.lead("t", 7, None);
    world.run_for(secs(10));
    let left_over = world.publish(&topic, &Message::of(10).to(7));
    world.cluster.create("t", 2);
    world.run_for(secs(10));

    let refused = world.try_publish(&topic, &Message::of(10).to(7));
    let error = PublishError::UnknownPartition {
        partition: 7,
        count: 2,
    };
    assert_eq!(refused, Err(error));
    let with_key = |n: u32| Message::of(10).key(&n.to_string());
    let mut sent: Vec<u64> = (0..50)
        .map(|n| world.publish(&topic, &with_key(n)))
        .collect();
    for _ in 0..50 {
        sent.push(world.publish(&topic, &Message::of(10)));
        world.run_for(millis(20));
    }
    let delivered = |opaque: &u64| world.outcomes[opaque].result.is_ok();
    assert!(sent.iter().all(delivered), "all of them");

    world.run_for(secs(18));
    assert_eq!(
        world.held(),
        1,
        "it has all of topic.metadata.propagation.max.ms"
    );
    world.run_dry(secs(2));
    let failure = world.failure(left_over);
    assert_eq!(
        (failure.error, failure.place),
        (DeliveryError::UnknownPartition, Place::NoLeader)
    );
    let why = failure.last_error.as_deref();
    assert_eq!(why, Some("the topic has no such partition any more"));
    world.verify();
}

#[test]
fn a_topic_that_is_deleted_fails_after_topic_propagation_max_and_is_unknown_from_then_on() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), Settings::default());
    let topic = world.topic("t");
    world.run_for(secs(1));
    world.cluster.delete("t");
    let left_over: Vec<u64> = (0..10)
        .map(|number| world.publish(&topic, &Message::of(10).to(number % 2)))
        .collect();
    world.run_for(secs(29));
    assert_eq!(world.held(), 10);
    world.run_dry(secs(3));
    for opaque in left_over {
        let failure = world.failure(opaque);
        assert_eq!(failure.error, DeliveryError::UnknownTopic);
        let why = failure.last_error.as_deref().expect("the broker's word");
        assert!(why.contains("UNKNOWN_TOPIC"), "{why}");
    }
    // No partition is known any more: any may be asked for.
    let staged = world.publish(&topic, &Message::of(10).to(7));
    world.run_for(secs(10));
    world.cluster.create("t", 8);
    world.run_dry(secs(2));
    assert_eq!(world.offset(staged), 0);
    world.verify();
}

#[test]
fn a_topic_that_is_deleted_and_made_again_in_time_loses_nothing() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), Settings::default());
    let topic = world.topic("t");
    world.run_for(secs(1));
    world.cluster.delete("t");
    for number in 0..100 {
        world.publish(&topic, &Message::of(10).to(number % 2));
        world.run_for(millis(200));
    }
    world.cluster.create("t", 2);
    world.run_dry(secs(2));
    assert_eq!(world.delivered(), 100);
    world.verify_order();
    world.verify();
}

#[test]
fn an_idle_topic_that_is_deleted_is_not_asked_for() {
    let settings = Settings {
        metadata_refresh_interval: None,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.cluster.delete("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(40));
    world.run_for(secs(2));
    let asked = world.cluster.questions.len();
    world.run_for(secs(300));
    assert_eq!(world.cluster.questions.len(), asked);
    world.verify();
}

#[test]
fn partitions_that_are_left_out_of_one_answer_lose_nothing() {
    let settings = Settings {
        metadata_refresh_interval: Some(secs(10)),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 4), settings);
    let topic = world.topic("t");
    world.run_for(secs(1));
    let partitions = world.cluster.topics.get_mut("t").expect("made");
    let hidden = partitions.partitions.split_off(2);
    world.run_for(secs(10));
    let refused = world.try_publish(&topic, &Message::of(10).to(3));
    assert!(refused.is_err(), "it is not there");
    let partitions = world.cluster.topics.get_mut("t").expect("made");
    partitions.partitions.extend(hidden);
    world.run_for(secs(10));
    let opaque = world.publish(&topic, &Message::of(10).to(3));
    world.run_dry(secs(1));
    assert_eq!(world.offset(opaque), 0);
    world.verify();
}

#[test]
fn a_partition_that_is_led_again_is_used_again_though_nothing_waited_there() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 2), Settings::default());
    world.cluster.lead("t", 1, None);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_for(secs(5));
    world.cluster.lead("t", 1, Some(1));
    world.run_for(secs(2));
    for _ in 0..50 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(20));
    }
    world.run_dry(secs(1));
    assert!(!world.cluster.log("t", 1).is_empty());
    world.verify();
}

#[test]
fn messages_of_a_leader_that_cannot_be_reached_go_to_the_next_as_soon_as_there_is_one() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), Settings::default());
    let topic = world.topic("t");
    let reached = world.publish(&topic, &Message::of(10).to(1));
    world.run_for(secs(1));
    assert_eq!(world.offset(reached), 0);
    // The cluster does not know yet that broker 2 has gone.
    let endpoint = world.cluster.broker(2).endpoint.clone();
    world.cluster.black_holes.insert(endpoint);
    world.crash(2, Reach::Up);
    let waiting = world.publish(&topic, &Message::of(10).to(1));
    world.run_for(secs(5));
    assert_eq!(world.held(), 1);
    world.cluster.lead("t", 1, Some(1));
    world.run_for(secs(2));
    assert_eq!(world.offset(waiting), 1);
    world.verify();
}

#[test]
fn a_leader_that_is_no_broker_is_forgotten_whatever_its_epoch() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let partition = world.cluster.partition("t", 0);
    (partition.leader, partition.epoch) = (Some(99), 7);
    let topic = world.topic("t");
    let opaque = world.publish(&topic, &Message::of(10));
    world.run_for(secs(5));
    let partition = world.cluster.partition("t", 0);
    (partition.leader, partition.epoch) = (Some(1), 0);
    world.run_dry(secs(2));
    assert_eq!(world.offset(opaque), 0);
    world.verify();
}

#[test]
fn stale_metadata_does_not_bring_a_former_leader_back() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.run_for(secs(1));
    world.cluster.lead("t", 0, Some(2));
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(2));
    assert_eq!(world.cluster.produced.last().map(|p| p.broker), Some(2));
    // Broker 1 is behind: what it says of the leader is older than what is known.
    let partition = world.cluster.partition("t", 0);
    (partition.leader, partition.epoch) = (Some(1), 0);
    let other = world.topic("other");
    world.publish(&other, &Message::of(1));
    world.run_for(secs(1));
    let partition = world.cluster.partition("t", 0);
    (partition.leader, partition.epoch) = (Some(2), 1);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(40));
    let brokers: Vec<i32> = world.cluster.produced.iter().map(|p| p.broker).collect();
    assert_eq!(brokers, [1, 2, 2]);
}

#[test]
fn two_settings_of_one_topic_are_kept_apart() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let fast = TopicSettings {
        acks: Acks::None,
        ..TopicSettings::default()
    };
    let (safe, other) = (world.topic("t"), world.topic("u"));
    let fast = world.topic_with("t", &fast);
    let same = world.topic("t");
    assert!(std::sync::Arc::ptr_eq(&safe, &same));
    world.publish(&other, &Message::of(1));
    for _ in 0..10 {
        world.publish(&safe, &Message::of(10));
        world.publish(&fast, &Message::of(10));
    }
    world.run_for(secs(1));
    for (opaque, outcome) in &world.outcomes {
        let delivered = outcome.result.as_ref().expect("delivered");
        assert_eq!(delivered.offset.is_some(), opaque % 2 == 1);
    }
    let acks: Vec<i16> = world.cluster.produced.iter().map(|p| p.acks).collect();
    assert!(acks.contains(&0) && acks.contains(&-1), "{acks:?}");
    assert_eq!(world.delivered(), 20);
    world.run_dry(secs(40));
    world.verify();
}

#[test]
fn a_partition_of_a_topic_made_anew_after_it_was_given_up_is_in_a_request_once() {
    let settings = Settings {
        batch_messages: 1,
        topic_propagation_max: secs(2),
        bootstrap: vec![endpoint("b1"), endpoint("b2")],
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    // It waits for its leader while the topic is deleted.
    world.crash(1, Reach::Refuses);
    world.publish(&topic, &Message::of(10));
    world.cluster.delete("t");
    world.run_dry(secs(20));
    world.cluster.broker(1).reach = Reach::Up;
    world.cluster.create("t", 1);
    // The cluster finds requests in which a partition has two batches.
    for _ in 0..10 {
        world.publish(&topic, &Message::of(10));
    }
    world.run_dry(secs(20));
    world.verify_order();
    world.verify();
}
