//! Metadata is asked for when it is needed, and never in a storm; an idle producer sleeps.

use kafka_engine::settings::{Settings, TopicSettings};
use kafka_wire::ApiKey::{Metadata, Produce};
use kafka_wire::{ErrorCode, VersionRange};

use kafka_sim::{Cluster, Fault, Message, Reach, World, millis, secs};

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
    world.run_dry(secs(11));
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
    assert!(world.connects.len() <= 14, "{}", world.connects.len());
    world.cluster.broker(1).forget_script();
    world.run_dry(secs(11));
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
fn without_a_refresh_interval_an_idle_producer_sleeps_until_what_it_knows_is_too_old() {
    let settings = Settings {
        metadata_refresh_interval: None,
        metadata_max_age: secs(1_000_000),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_for(secs(400));
    assert!(world.sleeps_for(secs(999_000)));
    world.publish(&topic, &Message::of(10));
    world.run_dry(millis(10));
    world.verify();
    let questions = world.cluster.questions.len();
    world.run_for(secs(1_000_000));
    assert_eq!(world.cluster.questions.len(), questions + 1);
}

#[test]
fn what_is_known_is_asked_for_anew_when_it_is_too_old_or_after_the_interval() {
    for (interval, max_age) in [(secs(300), secs(10)), (secs(10), secs(300))] {
        let settings = Settings {
            metadata_refresh_interval: Some(interval),
            metadata_max_age: max_age,
            ..Settings::default()
        };
        let mut world = World::new(Cluster::new(1), settings);
        world.run_for(secs(5));
        assert_eq!(questions_in_100_s(&mut world), 10);
    }
}

#[test]
fn only_a_routine_refresh_asks_for_all_topics_and_only_if_told_to() {
    for metadata_sparse in [true, false] {
        let settings = Settings {
            metadata_sparse,
            ..Settings::default()
        };
        let cluster = Cluster::new(1).with_topic("others", 1).with_topic("t", 1);
        let mut world = World::new(cluster, settings);
        world.topic("t");
        world.run_for(secs(301));
        let asked: Vec<_> = world.cluster.questions.iter().map(|q| &*q.2).collect();
        let routine: &[&str] = match metadata_sparse {
            true => &["t"],
            false => &["others", "t"],
        };
        assert_eq!(asked, [&["t"][..], routine]);
    }
}

#[test]
fn a_topic_is_made_by_being_asked_for_unless_that_is_forbidden() {
    for (version, allow_auto_create, made) in
        [(13, true, true), (13, false, false), (3, false, true)]
    {
        let settings = Settings {
            allow_auto_create,
            ..Settings::default()
        };
        let mut cluster = Cluster::new(1);
        cluster.auto_create = Some(1);
        let offer = VersionRange {
            min: 0,
            max: version,
        };
        cluster.broker(1).offers.insert(Metadata, offer);
        let mut world = World::new(cluster, settings);
        world.topic("t");
        world.run_for(secs(1));
        // Versions below 4 have no word for it.
        assert_eq!(world.cluster.topics.contains_key("t"), made, "{version}");
    }
}

/// Two brokers, both connected: the first falls silent, the second leads everything from then on.
fn world_with_a_silent_broker() -> World {
    let mut world = World::new(Cluster::new(2).with_topic("t", 2), Settings::default());
    let topic = world.topic("t");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    world.cluster.broker(1).reach = Reach::Hangs;
    world.cluster.create("u", 1);
    world.cluster.lead("u", 0, Some(2));
    world
}

#[test]
fn a_broker_that_hangs_does_not_hold_up_what_another_one_knows() {
    let mut world = world_with_a_silent_broker();
    let (known, new) = (world.topic("t"), world.topic("u"));
    let early = world.publish(&known, &Message::of(10).to(1));
    world.publish(&new, &Message::of(10));
    world.run_for(millis(100));
    assert_eq!(world.offset(early), 1, "others go on as if nothing were");
    world.run_dry(millis(2_000));
    assert_eq!(world.requests_of(Metadata, 1), 2);
    // What needs metadata next does not even try the silent one.
    world.cluster.create("v", 1);
    world.cluster.lead("v", 0, Some(2));
    let newer = world.topic("v");
    world.publish(&newer, &Message::of(10));
    world.run_dry(millis(200));
    assert_eq!(world.requests_of(Metadata, 1), 2);
    world.verify();
}

#[test]
fn a_broker_that_is_not_connected_yet_is_asked_when_all_others_hang() {
    let mut cluster = Cluster::new(3).with_topic("t", 1);
    cluster.lead("t", 0, Some(1));
    let mut world = World::new(cluster, Settings::default());
    let topic = world.topic("t");
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    assert_eq!(world.connections(), 1);
    world.cluster.broker(1).reach = Reach::Hangs;
    world.cluster.broker(2).reach = Reach::Hangs;
    world.cluster.create("u", 1);
    world.cluster.lead("u", 0, Some(3));
    let new = world.topic("u");
    world.publish(&new, &Message::of(10));
    world.run_dry(secs(4));
    world.verify();
}

#[test]
fn brokers_that_all_hang_are_asked_once_each_and_ever_more_slowly() {
    let mut cluster = Cluster::new(8).with_topic("t", 8);
    for partition in 0..8 {
        cluster.lead("t", partition, Some(1 + partition as i32));
    }
    let settings = Settings {
        metadata_refresh_interval: Some(secs(100)),
        ..Settings::default()
    };
    let mut world = World::new(cluster, settings);
    let topic = world.topic("t");
    for partition in 0..8 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    world.run_for(secs(98));
    for id in 1..=8 {
        world.cluster.broker(id).reach = Reach::Hangs;
    }
    world.requests.clear();
    world.run_for(secs(60));
    let asked: Vec<u64> = world.requests.iter().map(|(at, ..)| at.as_secs()).collect();
    let waits: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits, [2, 4, 8, 16], "at {asked:?}");
    for id in 1..=8 {
        assert!(world.requests_of(Metadata, id) <= 1);
        world.cluster.broker(id).reach = Reach::Up;
    }
    world.run_for(secs(100));
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(1));
    world.verify();
}

#[test]
fn a_slow_answer_that_was_overtaken_is_not_listened_to() {
    let mut cluster = Cluster::new(3).with_topic("t", 2);
    for id in 1..=3 {
        // Without leader epochs, which would unmask it.
        let range = VersionRange { min: 0, max: 5 };
        cluster.broker(id).offers.insert(Metadata, range);
    }
    let mut world = World::new(cluster, Settings::default());
    let topic = world.topic("t");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    for id in 1..=2 {
        let slow = Fault::Slow(secs(9 - 4 * id as u64));
        world.cluster.broker(id).script(Metadata, [slow]);
    }
    world.topic("u");
    world.run_for(secs(1));
    // The one that was asked first still says that broker 1 leads; the second answers before it.
    for partition in 0..2 {
        world.cluster.lead("t", partition, Some(3));
    }
    world.run_for(secs(7));
    assert_eq!(world.connects.len(), 2, "nothing was wrong with the answer");
    world.cluster.produced.clear();
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    let brokers: Vec<i32> = world.cluster.produced.iter().map(|p| p.broker).collect();
    assert_eq!(brokers, [3], "nobody else was sent anything");
    world.verify();
}
