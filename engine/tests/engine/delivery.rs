//! Messages that arrive, and the reports that say where.

use std::collections::BTreeSet;

use kafka_engine::settings::{Acks, Partitioner, Settings, TopicSettings};
use kafka_wire::ApiKey;

use kafka_sim::{Cluster, Message, Reach, START_MS, World, millis, secs};

#[test]
fn every_message_gets_one_report_with_the_offset_where_it_is() {
    let mut world = World::new(Cluster::new(3).with_topic("t", 6), Settings::default());
    let topic = world.topic("t");
    for number in 0..1000 {
        let key = format!("key {}", number % 50);
        world.publish(&topic, &Message::of(number % 300).key(&key));
        if number % 10 == 0 {
            world.run_for(millis(1));
        }
    }
    world.run_dry(secs(1));
    assert_eq!(world.delivered(), 1000);
    world.verify_order();
    world.verify();
}

#[test]
fn messages_of_one_key_go_to_one_partition_staged_or_not() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    let topic = world.topic("t");
    let message = Message::of(1).key("sip:alice@example.org");
    world.publish(&topic, &message);
    world.cluster.create("t", 4);
    world.run_dry(secs(1));
    world.publish(&topic, &message);
    world.run_dry(secs(1));
    assert_eq!(world.cluster.opaques("t", 3), [0, 1]);
    world.verify();
}

#[test]
fn keys_tombstones_empty_values_and_timestamps_arrive_as_they_were_published() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    let tombstone = Message::default().key("gone");
    let messages = [
        tombstone,
        Message::of(0),
        Message::of(0).key(""),
        Message {
            timestamp: Some(0),
            ..Message::of(3)
        },
        Message {
            timestamp: Some(i64::MAX),
            ..Message::of(3)
        },
        Message {
            timestamp: Some(1),
            ..Message::of(3)
        },
    ];
    for message in &messages {
        world.publish(&topic, message);
    }
    world.run_dry(secs(1));
    assert_eq!(world.delivered(), messages.len());
    world.verify();
}

#[test]
fn a_record_without_a_timestamp_gets_the_time_of_its_publication() {
    let settings = Settings {
        linger: secs(2),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    let mut published = Vec::new();
    for _ in 0..40 {
        world.publish(&topic, &Message::of(1));
        published.push(START_MS + world.elapsed().as_millis() as i64);
        world.run_for(millis(17));
    }
    world.run_dry(secs(3));
    let stamps = world
        .cluster
        .log("t", 0)
        .iter()
        .map(|logged| logged.timestamp);
    for (stamp, published) in stamps.zip(published) {
        let off = published - stamp;
        assert!(off.abs() <= 4, "{off} ms off, and the clock's tick is 4 ms");
    }
    world.verify();
}

#[test]
fn one_request_carries_many_partitions_and_topics() {
    let cluster = Cluster::new(2).with_topic("t", 40).with_topic("u", 10);
    let mut world = World::new(cluster, Settings::default());
    let (t, u) = (world.topic("t"), world.topic("u"));
    world.run_for(millis(100));
    for partition in 0..40 {
        world.publish(&t, &Message::of(10).to(partition));
        world.publish(&u, &Message::of(10).to(partition % 10));
    }
    world.run_dry(secs(1));
    let shapes: Vec<usize> = world
        .cluster
        .produced
        .iter()
        .map(|p| p.batches.len())
        .collect();
    assert_eq!(shapes, [25, 25], "one request for each broker");
    world.verify();
}

#[test]
fn a_request_stays_within_its_limit_and_the_rest_follows_in_the_next() {
    let settings = Settings {
        request_max_bytes: 10_000,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 20), settings);
    let topic = world.topic("t");
    world.run_for(millis(100));
    for partition in 0..20 {
        world.publish(&topic, &Message::of(3000).to(partition));
    }
    world.publish(&topic, &Message::of(30_000).to(3));
    world.run_dry(secs(1));
    for request in &world.cluster.produced {
        let bytes: usize = request.batches.iter().map(|(.., bytes)| bytes).sum();
        assert!(bytes <= 10_000 || request.batches.len() == 1, "{request:?}");
    }
    assert_eq!(world.delivered(), 21);
    world.verify();
}

#[test]
fn topics_go_by_id_where_the_broker_can_and_by_name_where_not() {
    for newest in 3..=13 {
        let mut cluster = Cluster::new(1).with_topic("t", 2).with_topic("u", 2);
        let offer = cluster.broker(1).offers.get_mut(&ApiKey::Produce);
        offer.expect("offered").max = newest;
        let mut world = World::new(cluster, Settings::default());
        for name in ["t", "u"] {
            let topic = world.topic(name);
            world.publish(&topic, &Message::of(10).to(0));
            world.publish(&topic, &Message::of(10).to(1));
        }
        world.run_dry(secs(1));
        assert_eq!(world.cluster.produced[0].version, newest);
        assert_eq!(world.delivered(), 4);
        world.verify();
    }
}

#[test]
fn acks_are_as_the_topic_was_opened_with() {
    for acks in [Acks::None, Acks::Leader, Acks::All] {
        let mut world = World::new(Cluster::new(1).with_topic("t", 2), Settings::default());
        let settings = TopicSettings {
            acks,
            ..TopicSettings::default()
        };
        let topic = world.topic_with("t", &settings);
        for partition in [0, 1, 1] {
            let opaque = world.publish(&topic, &Message::of(10).to(partition));
            world.run_dry(secs(1));
            let delivered = world.outcomes[&opaque].result.as_ref().expect("delivered");
            assert_eq!(delivered.partition, partition);
            assert_eq!(delivered.offset.is_some(), acks != Acks::None);
        }
        assert!(world.cluster.produced.iter().all(|p| p.acks == acks.code()));
        assert_eq!(world.cluster.opaques("t", 1), [1, 2]);
        world.verify();
    }
}

#[test]
fn acks_0_pipelines_without_waiting_for_anything() {
    let settings = Settings {
        batch_messages: 1,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    world.cluster.broker(1).latency = millis(500);
    let settings = TopicSettings {
        acks: Acks::None,
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &settings);
    world.run_for(secs(2));
    world.publish_many(&topic, 200, &Message::of(10));
    world.run_dry(millis(100));
    assert_eq!(world.cluster.opaques("t", 0), (0..200).collect::<Vec<_>>());
    world.verify();
}

#[test]
fn the_brokers_time_is_reported_where_it_gives_one() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    world.cluster.log_append_time = Some(77);
    let topic = world.topic("t");
    let opaque = world.publish(&topic, &Message::of(1));
    world.run_dry(secs(1));
    let delivered = world.outcomes[&opaque].result.as_ref().expect("delivered");
    assert_eq!(delivered.log_append_time, Some(77));
    world.verify();
}

#[test]
fn a_broker_that_is_absent_at_the_start_gets_everything_when_it_comes() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 3), Settings::default());
    world.crash(1, Reach::Refuses);
    let topic = world.topic("t");
    for _ in 0..100 {
        world.publish(&topic, &Message::of(100).key("k"));
        world.run_for(millis(100));
    }
    assert_eq!(world.held(), 100);
    world.cluster.broker(1).reach = Reach::Up;
    world.run_dry(secs(16));
    assert_eq!(world.delivered(), 100);
    world.verify_order();
    world.verify();
}

#[test]
fn records_without_a_key_use_every_partition_in_the_long_run() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 4), Settings::default());
    let topic = world.topic("t");
    for _ in 0..500 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(2));
    }
    world.run_dry(secs(1));
    let used: BTreeSet<i32> = world
        .outcomes
        .values()
        .map(|outcome| outcome.partition)
        .collect();
    assert_eq!(used.len(), 4);
    world.verify();
}

#[test]
fn a_partition_whose_leader_is_slow_gets_less_of_what_has_no_key() {
    let settings = Settings {
        batch_bytes: 1000,
        max_in_flight: 1,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(3).with_topic("t", 3), settings);
    let settings = TopicSettings {
        partitioner: Partitioner::UniformSticky,
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &settings);
    world.run_for(secs(1));
    world.cluster.broker(2).latency = millis(200);
    for _ in 0..2000 {
        world.publish(&topic, &Message::of(100));
        world.run_for(millis(1));
    }
    world.run_dry(secs(100));
    world.verify();
    let [one, slow, other] = [0, 1, 2].map(|index| world.cluster.log("t", index).len());
    assert!(slow * 2 < one.min(other), "{one}, {slow}, {other}");
    assert!(slow > 100, "it is not left out: {slow}");
}
