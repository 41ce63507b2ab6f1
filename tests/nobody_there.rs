//! What the producer promises while there is no broker at all.

#[path = "brokers/producer.rs"]
mod producer;

use std::time::Duration;

use event_kafka::{DeliveryError, PublishError, Record};

use producer::{producer, reports};

/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";

#[test]
fn an_event_that_waits_longer_than_it_may_fails_with_the_reason() {
    let producer = producer(NOWHERE, &[("message.timeout.ms", "300")]);
    let topic = producer.topic("nowhere").unwrap();
    topic.publish(Record::new("x").opaque(1)).unwrap();
    let failure = reports(&producer, 1)
        .remove(&1)
        .unwrap()
        .outcome
        .unwrap_err();
    assert_eq!(failure.error, DeliveryError::TimedOut);
    assert_eq!(failure.place.to_string(), "no metadata");
    assert!(
        failure.last_error.as_ref().unwrap().contains(NOWHERE),
        "{failure}"
    );
    assert_eq!(producer.balance().failed, 1);
}

#[test]
fn closing_ends_the_wait_for_room() {
    let producer = producer(NOWHERE, &[("queue.buffering.max.messages", "1")]);
    let topic = producer.topic("nowhere").unwrap();
    topic.publish(Record::new("x")).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| topic.publish_within(Record::new("y"), Duration::MAX));
        let closer = producer.clone();
        scope.spawn(move || closer.close(Duration::ZERO));
        // The report of the first message is not taken: its room never comes.
        assert_eq!(waiter.join().unwrap(), Err(PublishError::Closed));
    });
    assert_eq!(producer.reports().take().count(), 1);
}

#[test]
fn closing_names_what_was_not_delivered_and_reports_it() {
    let producer = producer(NOWHERE, &[]);
    let topic = producer.topic("nowhere").unwrap();
    (0..3).for_each(|n| topic.publish(Record::new("x").opaque(n)).unwrap());
    let taker = producer.reports();
    let error = producer.close(Duration::ZERO).unwrap_err();
    assert_eq!(error.undelivered.len(), 1);
    assert_eq!(
        (&*error.undelivered[0].topic, error.undelivered[0].count),
        ("nowhere", 3)
    );
    assert_eq!(topic.publish(Record::new("x")), Err(PublishError::Closed));
    assert_eq!(
        taker
            .take()
            .filter(|report| report.outcome.is_err())
            .count(),
        3
    );
}
