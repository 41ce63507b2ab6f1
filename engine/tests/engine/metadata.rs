//! Metadata is asked for when it is needed, and never in a storm; an idle producer sleeps.

use kafka_engine::settings::{Settings, TopicSettings};
use kafka_wire::ApiKey::{Metadata, Produce};
use kafka_wire::ErrorCode;

use crate::support::{Cluster, Fault, Message, Reach, World, millis, secs};

/// How many Metadata requests there are while `world` runs for 100 seconds.
fn questions_in_100_s(world: &mut World) -> usize {
    let before = world.cluster.questions.len();
    world.run_for(secs(100));
    world.cluster.questions.len() - before
}

/// One question per second, which is `retry.backoff.max.ms`, with its jitter, and those of the
/// first second.
const STEADY: usize = 100 * 10 / 8 + 5;

#[test]
fn an_unknown_topic_with_messages_is_asked_for_about_once_a_second() {
    let settings = Settings {
        topic_propagation_max: secs(1000),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1), settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(1));
    let questions = questions_in_100_s(&mut world);
    assert!((90..=STEADY).contains(&questions), "{questions}");
}

#[test]
fn an_unknown_topic_without_messages_is_asked_for_once() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    world.topic("t");
    let questions = questions_in_100_s(&mut world);
    assert!(questions <= 1, "{questions}");
}

#[test]
fn an_unknown_topic_that_was_given_up_is_not_asked_for_any_more() {
    let mut world = World::new(Cluster::new(1), Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(1));
    world.run_dry(secs(31));
    world.run_for(secs(2));
    let questions = questions_in_100_s(&mut world);
    assert_eq!(questions, 0);
}

#[test]
fn a_partition_without_leader_and_without_messages_is_not_asked_for_again() {
    let mut cluster = Cluster::new(1).with_topic("t", 2);
    cluster.lead("t", 0, None);
    let mut world = World::new(cluster, Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(1).to(1));
    world.run_dry(secs(1));
    let questions = questions_in_100_s(&mut world);
    assert_eq!(questions, 0);
    world.verify();
}

#[test]
fn a_partition_without_leader_and_with_messages_is_asked_for_about_once_a_second() {
    let mut cluster = Cluster::new(1).with_topic("t", 2);
    cluster.lead("t", 0, None);
    let mut world = World::new(cluster, Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(1).to(0));
    let questions = questions_in_100_s(&mut world);
    assert!((90..=STEADY).contains(&questions), "{questions}");
    world.cluster.lead("t", 0, Some(1));
    world.run_dry(secs(2));
    world.verify();
}

#[test]
fn a_leader_that_is_not_in_the_list_of_brokers_is_asked_for_about_once_a_second() {
    let mut cluster = Cluster::new(1).with_topic("t", 1);
    cluster.lead("t", 0, Some(9));
    let mut world = World::new(cluster, Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(1));
    let questions = questions_in_100_s(&mut world);
    assert!((90..=STEADY).contains(&questions), "{questions}");
    world.cluster.lead("t", 0, Some(1));
    world.run_dry(secs(2));
    world.verify();
}

#[test]
fn publishing_on_to_partitions_without_leader_makes_no_storm() {
    let mut cluster = Cluster::new(1).with_topic("t", 50);
    for partition in 0..50 {
        cluster.lead("t", partition, None);
    }
    let mut world = World::new(cluster, Settings::default());
    let settings = TopicSettings {
        message_timeout: Some(secs(1)),
        ..TopicSettings::default()
    };
    let topic = world.topic_with("t", &settings);
    world.run_for(secs(1));
    let before = world.cluster.questions.len();
    for number in 0..1000 {
        world.publish(&topic, &Message::of(1).to(number % 50));
        world.run_for(millis(20));
    }
    let questions = world.cluster.questions.len() - before;
    assert!(questions <= 40, "{questions} in 20 s");
    world.run_dry(secs(2));
    world.verify();
}

#[test]
fn many_refusals_are_one_question() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 100), Settings::default());
    let topic = world.topic("t");
    world.run_for(secs(1));
    let before = world.cluster.questions.len();
    for partition in 0..100 {
        world
            .cluster
            .lead("t", partition, Some(1 + (partition as i32 + 1) % 2));
        world.publish(&topic, &Message::of(10).to(partition as i32));
    }
    world.run_dry(secs(2));
    let questions = world.cluster.questions.len() - before;
    assert!(questions <= 2, "{questions}");
    world.verify();
}

#[test]
fn brokers_that_flap_make_no_storm() {
    let mut world = World::new(Cluster::new(3).with_topic("t", 9), Settings::default());
    let topic = world.topic("t");
    world.run_for(secs(1));
    let before = (world.cluster.questions.len(), world.connects.len());
    for round in 0..200 {
        world.crash(1 + round % 3, Reach::Up);
        world.publish(&topic, &Message::of(10).to(round % 9));
        world.run_for(millis(50));
    }
    let questions = world.cluster.questions.len() - before.0;
    let connects = world.connects.len() - before.1;
    assert!(questions <= 130, "{questions} in 10 s");
    assert!(connects <= 250, "{connects} in 10 s");
    world.run_dry(secs(5));
    world.verify();
}

#[test]
fn a_broker_that_closes_on_every_metadata_request_is_not_hammered() {
    let mut cluster = Cluster::new(1).with_topic("t", 1);
    cluster
        .broker(1)
        .script(Metadata, vec![Fault::Close; 100_000]);
    let mut world = World::new(cluster, Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_for(secs(10));
    assert!(world.connects.len() <= 140, "{}", world.connects.len());
    world.cluster.broker(1).forget_script();
    world.run_dry(secs(20));
    world.verify();
}

#[test]
fn leaders_that_move_again_and_again_make_no_storm() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 1), Settings::default());
    let topic = world.topic("t");
    world.run_for(secs(1));
    let refuse = Fault::Refuse(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    world
        .cluster
        .broker(1)
        .script(Produce, vec![refuse; 100_000]);
    let before = world.cluster.questions.len();
    for _ in 0..1000 {
        world.publish(&topic, &Message::of(10));
        world.run_for(millis(10));
    }
    let questions = world.cluster.questions.len() - before;
    assert!(questions <= 20, "{questions} in 10 s");
    world.cluster.broker(1).forget_script();
    world.run_dry(secs(2));
    world.verify();
}

#[test]
fn an_idle_producer_wakes_for_the_metadata_refresh_alone() {
    let mut world = World::new(Cluster::new(2).with_topic("t", 4), Settings::default());
    let topic = world.topic("t");
    for partition in 0..4 {
        world.publish(&topic, &Message::of(10_000).to(partition));
    }
    world.run_dry(secs(1));
    // The time-outs of what is done by now, and the pool's trim.
    world.run_for(secs(299));
    let questions = world.cluster.questions.len();
    world.run_for(secs(1));
    assert_eq!(world.cluster.questions.len(), questions + 1);
    world.run_for(secs(61));
    assert!(world.sleeps_for(secs(238)));
    world.run_for(secs(10_000));
    assert_eq!(world.cluster.questions.len(), questions + 1 + 33);
    let asked = |world: &World| world.cluster.questions.len() == questions + 1 + 34;
    assert!(world.run_until(secs(300), asked));
    world.run_for(millis(1));
    assert!(
        world.sleeps_for(secs(59)),
        "but for the time-out of the question"
    );
    world.verify();
}

#[test]
fn without_a_refresh_interval_an_idle_producer_sleeps_for_ever() {
    let settings = Settings {
        metadata_refresh_interval: None,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_for(secs(400));
    assert!(world.sleeps_for(secs(1_000_000)));
    world.publish(&topic, &Message::of(10));
    world.run_dry(millis(10));
    world.verify();
}

#[test]
fn a_question_goes_to_a_broker_that_answers_once_the_silent_one_has_timed_out() {
    let settings = Settings {
        request_timeout: secs(5),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(2).with_topic("t", 1), settings);
    world.cluster.lead("t", 0, Some(2));
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.cluster.broker(1).reach = Reach::Hangs;
    let other = world.topic("u");
    world.cluster.create("u", 1);
    world.cluster.lead("u", 0, Some(2));
    world.publish(&other, &Message::of(10));
    world.run_dry(secs(7));
    world.verify();
}
