//! The log says what happened once, not a thousand times; and when it is over.

use kafka_engine::settings::{Settings, TopicSettings};
use kafka_wire::ApiKey::{ApiVersions, Metadata, Produce};
use kafka_wire::ErrorCode;

use kafka_sim::{Cluster, Fault, Message, Reach, World, endpoint, millis, secs};

/// Two brokers that work, each with a partition of `t`.
fn working() -> World {
    let mut cluster = Cluster::new(2).with_topic("t", 2);
    cluster.lists_the_dead = true;
    let mut world = World::new(cluster, Settings::default());
    let topic = world.topic("t");
    for partition in 0..2 {
        world.publish(&topic, &Message::of(10).to(partition));
    }
    world.run_dry(secs(1));
    world.run_for(secs(20));
    assert_eq!(world.log.lines(), [""; 0]);
    world
}

/// Publishes ten messages a second.
fn publish_for(world: &mut World, seconds: u64) {
    let topic = world.topic("t");
    for number in 0..seconds * 10 {
        world.publish(&topic, &Message::of(10).to((number % 2) as i32));
        world.run_for(millis(100));
    }
}

fn assert_lines(world: &World, beginnings: &[&str]) {
    let lines = world.log.lines();
    let as_expected = lines.iter().zip(beginnings).all(|(l, b)| l.starts_with(b));
    assert!(as_expected && lines.len() == beginnings.len(), "{lines:#?}");
}

#[test]
fn a_broker_that_is_down_is_said_to_be_so_and_to_be_back() {
    let mut world = working();
    world.crash(2, Reach::Refuses);
    publish_for(&mut world, 200);
    let lost = "WARN b2:9092: connection reset; trying again until it works";
    let refused = "WARN b2:9092: cannot connect: connection refused; trying again until it works";
    assert_lines(&world, &[refused]);
    world.cluster.broker(2).reach = Reach::Up;
    world.run_dry(secs(11));
    assert_lines(&world, &[refused, "INFO works again broker=b2:9092"]);
    // It is busy when it goes down again.
    world.cluster.broker(2).latency = secs(1);
    world.log.clear();
    publish_for(&mut world, 1);
    world.crash(2, Reach::Refuses);
    publish_for(&mut world, 50);
    let lost = lost.replace("reset;", "reset; Produce version 13 was not answered;");
    assert_lines(&world, &[&lost, refused]);
    world.cluster.broker(2).reach = Reach::Up;
    world.cluster.broker(2).latency = secs(0);
    world.run_dry(secs(11));
    world.verify();
}

#[test]
fn a_broker_that_stays_down_is_mentioned_every_five_minutes_with_how_often_it_was_tried() {
    let settings = Settings {
        bootstrap: vec![endpoint("nobody")],
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1), settings);
    world.run_for(secs(3600));
    let lines = world.log.lines();
    assert!((11..=12).contains(&lines.len()), "{lines:#?}");
    let refused = "WARN nobody:9092: cannot connect: connection refused; trying again";
    assert!(lines.iter().all(|line| line.starts_with(refused)));
    assert!(
        lines[5].ends_with("more since the last such line)"),
        "{lines:#?}"
    );
}

#[test]
fn a_broker_that_comes_and_goes_is_not_said_to_each_time() {
    let mut world = working();
    for _ in 0..50 {
        world.crash(1, Reach::Refuses);
        publish_for(&mut world, 3);
        world.cluster.broker(1).reach = Reach::Up;
        publish_for(&mut world, 3);
    }
    world.run_dry(secs(11));
    let lines = world.log.lines().len();
    assert!((4..=16).contains(&lines), "{:#?}", world.log.lines());
    world.verify();
}

#[test]
fn every_kind_of_bad_answer_is_said_a_few_times_at_most() {
    let faults = [
        (ApiVersions, Fault::Close),
        (ApiVersions, Fault::Refuse(ErrorCode::INVALID_REQUEST)),
        (ApiVersions, Fault::Say(vec![1, 2, 3])),
        (Metadata, Fault::Close),
        (Metadata, Fault::AnswerThenClose),
        (Metadata, Fault::Truncate(30)),
        (Produce, Fault::Close),
        (Produce, Fault::WrongCorrelation),
        (Produce, Fault::LeaveOut),
        (Produce, Fault::Repeat),
        (Produce, Fault::AnswerThenClose),
        (Produce, Fault::AppendThenClose),
    ];
    for (api, fault) in faults {
        println!("{api:?} {fault:?}");
        let mut world = working();
        let broker = world.cluster.broker(1);
        broker.script(api, vec![fault; 10_000]);
        world.crash(1, Reach::Up);
        publish_for(&mut world, 100);
        world.cluster.broker(1).forget_script();
        world.run_dry(secs(11));
        let lines = world.log.lines();
        assert!((1..=8).contains(&lines.len()), "{lines:#?}");
        assert!(
            lines.iter().all(|line| line.contains("b1:9092")),
            "{lines:#?}"
        );
        world.verify();
    }
}

#[test]
fn a_storm_of_refusals_is_one_line_for_each_topic_and_code_and_one_when_it_is_over() {
    let mut cluster = Cluster::new(2);
    for name in ["t", "u"] {
        cluster.create(name, 100);
    }
    let mut world = World::new(cluster, Settings::default());
    for broker in 1..=2 {
        let refuse = |code| vec![Fault::Refuse(code); 20];
        let broker = world.cluster.broker(broker);
        broker.script(Produce, refuse(ErrorCode::NOT_ENOUGH_REPLICAS));
        broker.script(Produce, refuse(ErrorCode::REQUEST_TIMED_OUT));
    }
    for name in ["t", "u"] {
        let topic = world.topic(name);
        for partition in 0..100 {
            world.publish(&topic, &Message::of(10).to(partition));
        }
    }
    world.run_dry(secs(100));
    let lines = world.log.lines();
    let count = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
    assert_eq!(count("NOT_ENOUGH_REPLICAS"), 2, "{lines:#?}");
    assert_eq!(count("REQUEST_TIMED_OUT"), 2, "{lines:#?}");
    assert_eq!(
        count("INFO batches are delivered again topic="),
        2,
        "{lines:#?}"
    );
    assert_eq!(lines.len(), 6, "{lines:#?}");
    world.verify();
}

#[test]
fn refusals_for_good_are_said_once_with_their_code() {
    let mut world = working();
    let broker = world.cluster.broker(1);
    broker.script(
        Produce,
        vec![Fault::Refuse(ErrorCode::INVALID_RECORD); 1000],
    );
    publish_for(&mut world, 60);
    let lines = world.log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].starts_with("WARN b1:9092: INVALID_RECORD ("),
        "{lines:#?}"
    );
    assert!(lines[0].ends_with("topic=t partition=0"), "{lines:#?}");
    world.cluster.broker(1).forget_script();
    world.run_dry(secs(1));
    world.verify();
}

#[test]
fn a_topic_without_leaders_or_rights_is_said_once_and_when_it_is_over() {
    let mut world = working();
    world.cluster.lead("t", 0, None);
    world.crash(1, Reach::Up);
    publish_for(&mut world, 60);
    world.cluster.lead("t", 0, Some(2));
    world.run_dry(secs(2));
    let waits = "WARN messages wait: partition 0 is led by -1, which is no broker topic=t";
    let lost = "WARN b1:9092: connection reset; trying again until it works";
    assert_lines(&world, &[lost, waits, "INFO can be used again topic=t"]);

    world.log.clear();
    let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    world.cluster.topic_errors.insert("t".into(), denied);
    for number in 0..30 {
        // Has metadata asked for.
        world.topic(&format!("other {number}"));
        publish_for(&mut world, 1);
    }
    world.cluster.topic_errors.clear();
    world.topic("the last");
    world.run_for(secs(1));
    let lines = world.log.lines();
    let denials = lines
        .iter()
        .filter(|line| line.contains("TOPIC_AUTHORIZATION_FAILED"));
    assert_eq!(denials.count(), 1, "{lines:#?}");
    assert_eq!(
        lines.last().expect("lines"),
        "INFO can be used again topic=t"
    );
    world.verify();
}

#[test]
fn a_topic_that_does_not_exist_is_said_once_and_only_if_messages_wait() {
    let settings = Settings {
        topic_propagation_max: secs(60),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1), settings);
    let brief = TopicSettings {
        message_timeout: Some(secs(600)),
        ..TopicSettings::default()
    };
    let topic = world.topic_with("typo", &brief);
    world.topic("nothing");
    world.run_for(secs(10));
    assert_lines(&world, &[]);
    world.publish(&topic, &Message::of(10));
    world.run_dry(secs(61));
    assert_lines(
        &world,
        &["WARN messages wait: UNKNOWN_TOPIC_OR_PARTITION ("],
    );
    world.verify();
}
