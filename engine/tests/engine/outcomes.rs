//! How outcomes reach the application: reports in their modes, records with them, futures.

use kafka_engine::error::DeliveryError;
use kafka_engine::settings::{ReportMode, Settings, TopicSettings};

use kafka_sim::{Cluster, Message, World, millis, secs};

/// One message that arrives and one that expires, both also with a future.
fn publish_both(reports: ReportMode) -> World {
    let settings = Settings {
        reports,
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let brief = TopicSettings {
        message_timeout: Some(secs(1)),
        ..TopicSettings::default()
    };
    let (there, nowhere) = (world.topic("t"), world.topic_with("nowhere", &brief));
    for topic in [&there, &nowhere] {
        world.publish(topic, &Message::of(10));
        world.publish(topic, &Message::of(10).waited_for());
    }
    world.run_dry(secs(2));
    world.run_for(millis(1));
    assert_eq!(world.accumulator.balance().delivered, 2);
    assert_eq!(world.accumulator.balance().failed, 2);
    world
}

#[test]
fn all_outcomes_are_reported() {
    let mut world = publish_both(ReportMode::All);
    assert_eq!(
        world.outcomes.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    world.verify();
}

#[test]
fn only_failures_are_reported() {
    let mut world = publish_both(ReportMode::Errors);
    assert_eq!(
        world.outcomes.keys().copied().collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(world.failure(2).error, DeliveryError::TimedOut);
    world.verify();
}

#[test]
fn nothing_is_reported_and_futures_end_all_the_same() {
    let mut world = publish_both(ReportMode::None);
    assert_eq!(world.outcomes.keys().copied().collect::<Vec<_>>(), [1, 3]);
    world.verify();
}

#[test]
fn futures_and_reports_of_one_batch_do_not_mix() {
    let settings = Settings {
        linger: millis(100),
        ..Settings::default()
    };
    let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
    let topic = world.topic("t");
    world.run_for(secs(1));
    for number in 0..200 {
        let waited_for = [0, 1, 50, 198, 199].contains(&number) || number % 3 == 0;
        world.publish(
            &topic,
            &Message {
                waited_for,
                ..Message::of(number)
            },
        );
    }
    world.run_dry(secs(1));
    assert_eq!(world.cluster.produced.len(), 1);
    world.verify_order();
    world.verify();
}

#[test]
fn reports_carry_the_record_also_of_an_open_batch_that_expired() {
    for create in [true, false] {
        let settings = Settings {
            report_records: true,
            ..Settings::default()
        };
        let mut world = World::new(Cluster::new(1), settings);
        if create {
            world.cluster.create("t", 1);
        }
        let brief = TopicSettings {
            message_timeout: Some(secs(1)),
            ..TopicSettings::default()
        };
        let topic = world.topic_with("t", &brief);
        for number in 0..300 {
            let message = Message::of(number * 10).key(&format!("key {number}"));
            let message = Message {
                waited_for: number % 7 == 3,
                timestamp: (number % 2 == 0).then_some(number as i64),
                ..message
            };
            world.publish(&topic, &message);
            world.run_for(millis(2));
        }
        world.publish(&topic, &Message::default());
        world.run_dry(secs(2));
        assert_eq!(world.outcomes.len(), 301);
        world.verify();
    }
}

#[test]
fn a_report_that_is_not_taken_holds_its_place_and_with_its_record_its_memory() {
    for report_records in [false, true] {
        let settings = Settings {
            report_records,
            ..Settings::default()
        };
        let mut world = World::new(Cluster::new(1).with_topic("t", 1), settings);
        world.take_reports_at_once(false);
        let topic = world.topic("t");
        world.publish(&topic, &Message::of(50_000));
        world.run_dry(secs(1));
        let (messages, bytes) = world.accumulator.queued();
        assert_eq!((messages, bytes > 50_000), (1, report_records));
        world.verify();
    }
}
