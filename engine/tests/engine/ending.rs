//! Purging, and closing.

use kafka_engine::Purge;
use kafka_engine::error::{DeliveryError, Persisted, Place, PublishError};
use kafka_engine::settings::Settings;
use kafka_wire::ApiKey::Produce;
use kafka_wire::ErrorCode;

use kafka_sim::{Cluster, Fault, Message, Reach, World, millis, secs};

const QUEUED: Purge = Purge {
    queued: true,
    in_flight: false,
};
const IN_FLIGHT: Purge = Purge {
    queued: false,
    in_flight: true,
};

/// One message each: staged, without a leader, waiting for its next attempt, lingering, in flight.
fn everywhere() -> (World, [u64; 5]) {
    let settings = Settings {
        linger: secs(5),
        batch_messages: 2,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 4), settings);
    let (topic, unknown) = (world.topic("t"), world.topic("unknown"));
    world.cluster.lead("t", 0, None);
    world.run_for(secs(1));
    let refuse = Fault::Refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    let script = vec![refuse; 1000];
    world.cluster.broker(1).script(Produce, script);
    world
        .cluster
        .broker(2)
        .script(Produce, [Fault::AppendThenHang]);
    let staged = world.publish(&unknown, &Message::of(10));
    let leaderless = world.publish(&topic, &Message::of(10).to(0));
    let retried = world.publish(&topic, &Message::of(10).to(2));
    let in_flight = world.publish(&topic, &Message::of(10).to(1));
    world.run_for(secs(6));
    let lingering = world.publish(&topic, &Message::of(10).to(3));
    assert_eq!(world.held(), 5);
    (world, [staged, leaderless, retried, lingering, in_flight])
}

#[test]
fn a_purge_of_what_is_queued_leaves_what_is_in_flight() {
    let (mut world, [staged, leaderless, retried, lingering, in_flight]) = everywhere();
    world.purge(QUEUED);
    let places = [
        (staged, Place::NoMetadata),
        (leaderless, Place::NoLeader),
        (retried, Place::Queued),
        (lingering, Place::Queued),
    ];
    for (opaque, place) in places {
        let failure = world.failure(opaque);
        assert_eq!(failure.error, DeliveryError::PurgedQueued);
        assert_eq!((failure.place, failure.persisted), (place, Persisted::No));
    }
    assert_eq!(world.held(), 1);
    world.purge(IN_FLIGHT);
    let failure = world.failure(in_flight);
    assert_eq!(failure.error, DeliveryError::PurgedInFlight);
    assert_eq!(
        (failure.place, failure.persisted),
        (Place::InFlight, Persisted::Maybe)
    );
    world.run_for(secs(60));
    world.verify();
}

#[test]
fn an_answer_to_what_was_purged_changes_nothing_and_the_partition_goes_on() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.run_for(millis(100));
    world.cluster.broker(1).latency = secs(1);
    let purged = world.publish(&topic, &Message::of(10));
    world.run_for(millis(100));
    let queued = world.publish(&topic, &Message::of(10));
    world.purge(IN_FLIGHT);
    world.run_dry(secs(3));
    assert_eq!(world.failure(purged).persisted, Persisted::Maybe);
    assert_eq!(world.offset(queued), 1);
    world.run_for(secs(2));
    world.verify();
}

#[test]
fn a_topic_that_was_made_just_before_is_purged_too() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    let (topic, _) = world.accumulator.topic("t", &Default::default());
    let (opaque, _) = world.publish_unnoticed(&topic, &Message::of(10));
    world.purge(QUEUED);
    assert_eq!(world.failure(opaque).error, DeliveryError::PurgedQueued);
    world.verify();
}

#[test]
fn a_purge_wakes_futures() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    let topic = world.topic("t");
    let opaque = world.publish(&topic, &Message::of(10).waited_for());
    world.purge(QUEUED);
    assert_eq!(world.failure(opaque).error, DeliveryError::PurgedQueued);
    world.verify();
}

#[test]
fn closing_lists_what_was_not_delivered_by_topic_and_place() {
    let (mut world, _) = everywhere();
    let undelivered = world.close();
    let mut listed: Vec<(&str, Place, u64)> = undelivered
        .iter()
        .map(|lost| (&*lost.topic, lost.place, lost.count))
        .collect();
    listed.sort();
    let expected = [
        ("t", Place::NoLeader, 1),
        ("t", Place::Queued, 2),
        ("t", Place::InFlight, 1),
        ("unknown", Place::NoMetadata, 1),
    ];
    let sum = |place| {
        let of = listed.iter().filter(|(_, at, _)| *at == place);
        of.map(|(.., count)| count).sum::<u64>()
    };
    for (_, place, count) in expected {
        assert_eq!(sum(place), count, "{undelivered:?}");
    }
    let queued = undelivered
        .iter()
        .find(|lost| lost.place == Place::Queued && lost.last_error.is_some());
    let text = queued.expect("the refused one").to_string();
    assert!(
        text.contains("NOT_ENOUGH_REPLICAS") && text.contains("1 to t"),
        "{text}"
    );
}

#[test]
fn nothing_is_accepted_after_the_close() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let (known, unknown) = (world.topic("t"), world.topic("unknown"));
    world.publish(&known, &Message::of(10));
    world.run_dry(secs(1));
    world.publish(&known, &Message::of(10));
    let undelivered = world.close();
    assert_eq!(undelivered.iter().map(|lost| lost.count).sum::<u64>(), 1);
    let (later, _) = world.accumulator.topic("later", &Default::default());
    for topic in [&known, &unknown, &later] {
        let refused = world.try_publish(topic, &Message::of(10));
        assert_eq!(refused, Err(PublishError::Closed));
    }
    world.verify();
}

#[test]
fn closing_with_nothing_left_lists_nothing() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.publish_many(&topic, 10, &Message::of(10));
    world.run_dry(secs(1));
    assert_eq!(world.close(), []);
    world.verify();
}

#[test]
fn closing_says_why_nothing_went_out() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    world.crash(1, Reach::Refuses);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_for(secs(1));
    let undelivered = world.close();
    let text = undelivered[0].to_string();
    assert!(
        text.contains("b1:9092: cannot connect: connection refused"),
        "{text}"
    );
    world.verify();
}
