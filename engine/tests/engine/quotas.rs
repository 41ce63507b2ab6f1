//! Brokers that say that this client is over quota (KIP-219).

use kafka_engine::settings::Settings;
use kafka_engine::time::Time;
use kafka_wire::ApiKey::Produce;
use kafka_wire::VersionRange;

use kafka_sim::{Cluster, Message, World, millis, secs};

/// When a broker was sent batches.
fn sent_to(world: &World, broker: i32) -> Vec<Time> {
    let produced = world.cluster.produced.iter();
    let to_it = produced.filter(|request| request.broker == broker);
    to_it.map(|request| request.at).collect()
}

/// Publishes to both partitions for five seconds; broker 1, which leads the first, wants 1.5 s
/// between requests.
fn throttled(version: i16) -> World {
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), Settings::default());
    let topic = world.topic("t");
    let range = VersionRange {
        min: 0,
        max: version,
    };
    world.cluster.broker(1).offers.insert(Produce, range);
    world.run_for(secs(1));
    for broker in 1..=2 {
        world.publish(&topic, &Message::of(10).to(broker - 1));
    }
    world.run_dry(secs(1));
    world.cluster.produced.clear();
    world.cluster.throttled.insert(1, 1_500);
    for _ in 0..100 {
        for partition in 0..2 {
            world.publish(&topic, &Message::of(10).to(partition));
        }
        world.run_for(millis(50));
    }
    world
}

#[test]
fn a_broker_that_throttles_is_left_alone_for_as_long_and_others_are_not() {
    let mut world = throttled(13);
    let times = sent_to(&world, 1);
    assert!((3..=5).contains(&times.len()), "{times:?}");
    let pauses = times.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(pauses.into_iter().all(|pause| pause >= millis(1_500)));
    assert!(sent_to(&world, 2).len() >= 90);
    world.run_dry(secs(2));
    world.verify_order();
    world.verify();
}

#[test]
fn a_broker_that_holds_answers_back_itself_is_not_left_alone_besides() {
    let mut world = throttled(5);
    assert!(sent_to(&world, 1).len() >= 90);
    world.run_dry(secs(2));
    world.verify();
}

#[test]
fn metadata_is_had_from_brokers_that_do_not_throttle() {
    let settings = Settings {
        metadata_refresh_interval: Some(millis(500)),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), settings);
    let topic = world.topic("t");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    world.cluster.throttled.insert(1, 30_000);
    world.publish(&topic, &Message::of(10).to(0));
    world.run_dry(secs(1));
    world.cluster.questions.clear();
    world.run_for(secs(10));
    let asked: Vec<i32> = world
        .cluster
        .questions
        .iter()
        .map(|(_, id, _)| *id)
        .collect();
    assert!(asked.len() >= 15 && !asked.contains(&1), "{asked:?}");
    world.verify();
}

#[test]
fn a_broker_that_is_the_only_one_is_asked_when_its_time_is_over() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.cluster.throttled.insert(1, 5_000);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.cluster.throttled.clear();
    world.cluster.create("u", 1);
    let other = world.topic("u");
    world.publish(&other, &Message::of(10));
    world.cluster.questions.clear();
    world.run_for(secs(4));
    assert!(world.cluster.questions.is_empty());
    world.run_dry(secs(2));
    world.verify();
}
