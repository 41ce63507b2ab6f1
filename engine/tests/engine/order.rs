//! Order per partition.

use kafka_engine::settings::Settings;
use kafka_wire::ApiKey::Produce;
use kafka_wire::ErrorCode;

use kafka_sim::{Cluster, Fault, Message, Reach, World, millis, secs};

/// Every message is a batch of its own.
fn one_by_one() -> Settings {
    Settings {
        batch_messages: 1,
        ..Settings::default()
    }
}

/// A world whose only partition has proven that it takes batches, with answers on their way for
/// 100 ms.
fn pipelining(settings: Settings) -> (World, std::sync::Arc<kafka_engine::accumulator::Topic>) {
    let mut world = World::new(Cluster::new(3).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    for broker in 1..=3 {
        world.cluster.broker(broker).latency = millis(100);
    }
    (world, topic)
}

#[test]
fn a_partition_has_five_requests_on_the_wire_and_no_more() {
    let (mut world, topic) = pipelining(one_by_one());
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_for(millis(99));
    assert_eq!(world.cluster.produced.len(), 1 + 5);
    world.run_dry(secs(1));
    assert_eq!(world.cluster.opaques("t", 0), (0..21).collect::<Vec<_>>());
    world.verify_order();
    world.verify();
}

#[test]
fn a_leader_that_refuses_the_first_batch_gets_no_second_before_it() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), one_by_one());
    world.cluster.broker(1).latency = millis(10);
    let refuse = Fault::Refuse(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    world.cluster.broker(1).script(Produce, [refuse]);
    let topic = world.topic("t");
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_dry(secs(2));
    assert_eq!(world.cluster.opaques("t", 0), (0..20).collect::<Vec<_>>());
    world.verify_order();
    world.verify();
}

#[test]
fn order_holds_when_all_five_are_refused() {
    for code in [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::KAFKA_STORAGE_ERROR,
    ] {
        let (mut world, topic) = pipelining(one_by_one());
        world
            .cluster
            .broker(1)
            .script(Produce, vec![Fault::Refuse(code); 5]);
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_dry(secs(10));
        assert_eq!(world.cluster.opaques("t", 0), (0..21).collect::<Vec<_>>());
        world.verify_order();
        world.verify();
    }
}

#[test]
fn order_holds_when_the_leader_moves_under_five_requests() {
    let (mut world, topic) = pipelining(one_by_one());
    world.publish_many(&topic, 3, &Message::of(10));
    world.run_for(millis(50));
    world.cluster.lead("t", 0, Some(2));
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_dry(secs(10));
    assert_eq!(world.cluster.opaques("t", 0), (0..24).collect::<Vec<_>>());
    world.verify_order();
    world.verify();
}

#[test]
fn order_holds_when_metadata_tells_of_a_new_leader_before_the_former_one_answers() {
    let settings = Settings {
        metadata_refresh_interval: Some(millis(100)),
        ..one_by_one()
    };
    let (mut world, topic) = pipelining(settings);
    world
        .cluster
        .broker(1)
        .script(Produce, vec![Fault::Slow(secs(1)); 5]);
    world.cluster.lead("t", 0, Some(2));
    for _ in 0..100 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(30));
    }
    world.run_dry(secs(20));
    assert_eq!(world.cluster.opaques("t", 0), (0..101).collect::<Vec<_>>());
    world.verify_order();
    world.verify();
}

#[test]
fn order_holds_when_the_connection_breaks() {
    for (kept, fault) in [(0, Fault::Close), (3, Fault::AppendThenClose)] {
        let (mut world, topic) = pipelining(one_by_one());
        let script = [vec![Fault::Obey; kept], vec![fault]].concat();
        world.cluster.broker(1).script(Produce, script);
        world.publish_many(&topic, 20, &Message::of(10));
        world.run_dry(secs(10));
        world.verify_order();
        world.verify();
    }
}

#[test]
fn order_holds_when_the_broker_dies_with_requests_applied_and_unanswered() {
    let (mut world, topic) = pipelining(one_by_one());
    world.publish_many(&topic, 20, &Message::of(10));
    world.run_for(millis(50));
    world.crash(1, Reach::Refuses);
    world.run_for(millis(300));
    world.cluster.broker(1).reach = Reach::Up;
    world.run_dry(secs(10));
    assert_eq!(world.delivered(), 21);
    world.verify_order();
    world.verify();
}

#[test]
fn staged_messages_come_before_those_published_after_the_topic_was_found() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    let topic = world.topic("t");
    for number in 0..300 {
        if number == 150 {
            world.cluster.create("t", 3);
        }
        world.publish(&topic, &Message::of(10).key(&format!("{}", number % 7)));
        world.run_for(millis(10));
    }
    world.run_dry(secs(2));
    world.verify_order();
    world.verify();
}
