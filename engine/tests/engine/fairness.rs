//! Who floods the producer keeps nobody else waiting.

use kafka_engine::settings::{Settings, TopicSettings};

use kafka_sim::{Cluster, Message, World, millis, secs};

/// Requests of 3 batches at most, one at a time, each of which takes 10 ms.
fn narrow(topics: &[(&str, usize)]) -> World {
    let settings = Settings {
        batch_messages: 1,
        request_max_bytes: 3 * 500,
        max_in_flight: 1,
        ..Settings::default()
    };
    let mut cluster = Cluster::new(1);
    for (name, partitions) in topics {
        cluster.create(name, *partitions);
    }
    cluster.broker(1).latency = millis(10);
    let mut world = World::new(cluster, settings);
    world.run_for(secs(1));
    world
}

#[test]
fn a_partition_that_is_flooded_leaves_the_others_their_turn() {
    let mut world = narrow(&[("t", 12)]);
    let topic = world.topic("t");
    world.run_for(secs(1));
    for partition in 0..6 {
        world.publish_many(&topic, 200, &Message::of(300).to(partition));
    }
    world.run_for(millis(100));
    let late: Vec<u64> = (6..12)
        .map(|partition| world.publish(&topic, &Message::of(300).to(partition)))
        .collect();
    // Twelve partitions, three in a request: four requests for all, and the one on its way.
    world.run_for(millis(60));
    for opaque in late {
        assert!(world.outcomes.contains_key(&opaque), "{opaque} waits");
    }
    world.run_dry(secs(60));
    world.verify_order();
    world.verify();
}

#[test]
fn a_topic_that_is_flooded_leaves_others_their_turn_that_cannot_go_in_its_requests() {
    let mut world = narrow(&[("t", 6), ("u", 1)]);
    let flooded = world.topic("t");
    let settings = TopicSettings {
        request_timeout: secs(7),
        ..TopicSettings::default()
    };
    let other = world.topic_with("u", &settings);
    world.run_for(secs(1));
    for partition in 0..6 {
        world.publish_many(&flooded, 200, &Message::of(300).to(partition));
    }
    world.run_for(millis(100));
    let late = world.publish(&other, &Message::of(300));
    world.run_for(millis(50));
    assert!(world.outcomes.contains_key(&late));
    world.run_dry(secs(60));
    world.verify_order();
    world.verify();
}
