//! Answers that no broker should give: they end that connection with an error that says where and
//! what, disturb no other broker, and lose nothing.

use kafka_engine::error::Persisted;
use kafka_engine::settings::{Settings, TopicSettings};
use kafka_wire::ApiKey::{self, ApiVersions, Metadata, Produce};
use kafka_wire::ErrorCode;

use crate::support::{Cluster, Fault, Message, Reach, World};
use crate::support::{endpoint, millis, secs};

/// What is reported of a message whose only answer is `fault`.
fn answered_with(fault: Fault) -> String {
    let settings = Settings {
        max_retries: 0,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), settings);
    let topic = world.topic("t");
    let elsewhere = world.publish(&topic, &Message::of(10).to(1));
    let opaque = world.publish(&topic, &Message::of(10).to(0));
    world.run_for(millis(1));
    world.cluster.broker(1).script(Produce, [fault]);
    world.cluster.broker(2).latency = millis(500);
    world.run_dry(secs(2));
    assert_eq!(
        world.offset(elsewhere),
        0,
        "the other broker is not disturbed"
    );
    assert_eq!(world.failure(opaque).persisted, Persisted::Maybe);
    let why = world.failure(opaque).last_error.clone();
    world.verify();
    let why = why.expect("the last error");
    assert!(why.starts_with("b1:9092: "), "{why}");
    why.to_string()
}

#[test]
fn a_cut_answer_names_api_version_and_field() {
    for len in 0..=3 {
        let why = answered_with(Fault::Truncate(len));
        assert!(why.contains("Produce version 13"), "{why}");
        assert!(why.contains("correlation_id"), "{why}");
    }
    for len in 4..40 {
        let why = answered_with(Fault::Truncate(len));
        assert!(why.contains("Produce version 13"), "{why}");
    }
}

#[test]
fn an_answer_to_another_request_names_both() {
    let why = answered_with(Fault::WrongCorrelation);
    assert!(
        why.contains("an answer to request 9 where 2 (Produce)"),
        "{why}"
    );
}

#[test]
fn an_answer_that_leaves_out_the_partition_is_said_to_be_incomplete() {
    let why = answered_with(Fault::LeaveOut);
    assert!(why.contains("leaves out"), "{why}");
}

#[test]
fn garbage_of_any_length_never_stops_the_partition() {
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..200 {
        let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
        let topic = world.topic("t");
        let api = [ApiVersions, Metadata, Produce][round % 3];
        let mut garbage: Vec<u8> = (0..random.usize(0..60)).map(|_| random.u8(..)).collect();
        if garbage.len() >= 4 && random.bool() {
            // The right correlation id, so that the body is read.
            let correlation: i32 = match api {
                ApiVersions => 0,
                Metadata => 1,
                _ => 2,
            };
            garbage[..4].copy_from_slice(&correlation.to_be_bytes());
        }
        world.crash(1, Reach::Refuses);
        world.run_for(millis(10));
        world.cluster.broker(1).reach = Reach::Up;
        world.cluster.broker(1).script(api, [Fault::Say(garbage)]);
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(30));
        assert_eq!(world.delivered(), 1);
        world.verify();
    }
}

#[test]
fn an_answer_that_nothing_asked_for_ends_the_connection() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.say_unasked(1, vec![0; 8]);
    world.run_for(millis(1));
    assert_eq!(world.connections(), 0);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.verify();
}

#[test]
fn metadata_that_claims_a_huge_partition_number_makes_no_more_partitions_than_it_lists() {
    for claimed in [i32::MAX, i32::MAX - 1, 1_000_000_000, -1, i32::MIN] {
        let mut world = World::new(Cluster::new(1), Settings::default());
        world.cluster.create("t", 2);
        world
            .cluster
            .broker(1)
            .script(Metadata, [Fault::ClaimPartition(claimed)]);
        let topic = world.topic("t");
        let opaque = world.publish(&topic, &Message::of(10).to(1));
        world.run_for(secs(1));
        // A first answer that lists one partition leaves no room for the second.
        assert!(
            world
                .failure(opaque)
                .to_string()
                .contains("partition 1 of 1")
        );
        world.verify();
    }
}

#[test]
fn a_broker_with_a_negative_id_is_none() {
    let mut cluster = Cluster::new(2).with_topic("t", 1);
    let mut impostor = cluster.brokers.remove(&2).expect("made");
    impostor.endpoint = endpoint("elsewhere");
    cluster.brokers.insert(-1, impostor);
    let mut world = World::new(cluster, Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.crash(1, Reach::Refuses);
    world.run_for(secs(1));
    world.cluster.broker(1).reach = Reach::Up;
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(16));
    assert!(world.connects.iter().all(|(_, host)| host == "b1"));
    world.verify();
}

#[test]
fn a_partition_is_not_stuck_by_a_short_answer_though_its_messages_never_expire() {
    for len in 0..4 {
        let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
        let settings = TopicSettings {
            message_timeout: None,
            ..TopicSettings::default()
        };
        let topic = world.topic_with("t", &settings);
        world.run_for(millis(100));
        world
            .cluster
            .broker(1)
            .script(Produce, [Fault::Truncate(len)]);
        world.publish(&topic, &Message::of(10));
        world.run_dry(secs(5));
        world.verify();
    }
}

#[test]
fn a_metadata_answer_that_leaves_the_topic_out_is_asked_for_again() {
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), Settings::default());
    world
        .cluster
        .broker(1)
        .script(Metadata, vec![Fault::LeaveOut; 3]);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(2));
    world.verify();
}

#[test]
fn an_error_code_from_the_future_fails_the_message_and_is_named_by_number() {
    let settings = Settings::default();
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world
        .cluster
        .broker(1)
        .script(Produce, [Fault::Refuse(ErrorCode(999))]);
    let opaque = world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    assert_eq!(world.failure(opaque).error.code(), 999);
    world.verify();
}

#[test]
fn handshakes_that_go_wrong_are_tried_again_with_growing_waits() {
    let faults = [
        Fault::Refuse(ErrorCode::UNKNOWN_SERVER_ERROR),
        Fault::Truncate(7),
        Fault::Close,
        Fault::WrongCorrelation,
    ];
    for fault in faults {
        let mut cluster = Cluster::new(1).with_topic("t", 1);
        cluster
            .broker(1)
            .script(ApiKey::ApiVersions, vec![fault; 6]);
        let mut world = World::new(cluster, Settings::default());
        let topic = world.topic("t");
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(400));
        assert!(world.connects.len() <= 4, "{:?}", world.connects);
        world.run_dry(secs(60));
        assert_eq!(world.connects.len(), 7);
        world.verify();
    }
}
