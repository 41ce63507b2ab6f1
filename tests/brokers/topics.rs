//! Topics that come into being, go, and come again.

use event_kafka::{DeliveryError, Place, Record};

use crate::load::wait_for_deliveries;
use crate::producer::{PATIENCE, producer, reports};
use crate::support::{self, Needs};

#[test]
fn a_topic_comes_into_being_with_its_first_message() {
    let Some(cluster) = support::cluster(Needs::ANY.auto_create(true)) else {
        return;
    };
    let name = support::unique_name("topics-auto");
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();
    (0..100).for_each(|n| topic.publish(Record::new("x").opaque(n)).unwrap());
    producer.close(PATIENCE).unwrap();

    assert_eq!(
        cluster.end_offsets(&name).len(),
        4,
        "as the broker makes topics"
    );
    assert_eq!(cluster.read_all(&name).len(), 100);
}

#[test]
fn a_topic_that_is_created_later_gets_the_messages_that_waited_for_it() {
    let Some(cluster) = support::private_cluster(Needs::ANY.auto_create(false)) else {
        return;
    };
    let name = support::unique_name("topics-later");
    let other = support::unique_name("topics-other");
    cluster.create_topic(&other, 1);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();
    let numbers = 0..100;
    numbers.for_each(|n| topic.publish(Record::new("x").key("k").opaque(n)).unwrap());
    // What is delivered elsewhere shows that the cluster was asked, and did not know the topic.
    let told = producer.topic(&other).unwrap();
    told.publish(Record::new("x").opaque(100)).unwrap();
    wait_for_deliveries(&producer, 1);

    cluster.create_topic(&name, 3);

    let reports = reports(&producer, 101);
    assert!(reports.values().all(|report| report.outcome.is_ok()));
    let records = cluster.read_all(&name);
    assert_eq!(records.len(), 100);
    let offsets = (0..100).map(|n| reports[&n].outcome.as_ref().unwrap().offset);
    assert!(offsets.eq((0..100).map(Some)), "in their order");
}

#[test]
fn a_topic_that_never_comes_fails_its_messages_with_the_remedy() {
    let Some(cluster) = support::private_cluster(Needs::ANY.auto_create(false)) else {
        return;
    };
    let name = support::unique_name("topics-never");
    let soon = [("topic.metadata.propagation.max.ms", "500")];
    let producer = producer(cluster.bootstrap(), &soon);
    let topic = producer.topic(&name).unwrap();
    (0..3).for_each(|n| topic.publish(Record::new("x").opaque(n)).unwrap());

    for report in reports(&producer, 3).into_values() {
        let failure = report.outcome.unwrap_err();
        let reason = (failure.error, failure.place, failure.attempts);
        assert_eq!(reason, (DeliveryError::UnknownTopic, Place::NoMetadata, 0));
        assert!(failure.to_string().contains("create it"), "{failure}");
    }
}

#[test]
fn a_topic_that_was_deleted_and_created_again_takes_messages() {
    let Some(cluster) = support::private_cluster(Needs::ANY.auto_create(false)) else {
        return;
    };
    let name = support::unique_name("topics-again");
    cluster.create_topic(&name, 2);
    let producer = producer(cluster.bootstrap(), &[]);
    let topic = producer.topic(&name).unwrap();
    topic.publish(Record::new("before").opaque(0)).unwrap();
    assert!(reports(&producer, 1)[&0].outcome.is_ok());

    cluster.delete_topic(&name);
    cluster.create_topic(&name, 4);
    // Of the partitions that both have: the producer need not know yet that it is another topic.
    for n in 1..=100 {
        let record = Record::new("after").partition(n as i32 % 2);
        topic.publish(record.opaque(n)).unwrap();
    }

    let reports = reports(&producer, 100);
    for report in reports.into_values() {
        report.outcome.unwrap();
    }
    let records = cluster.read_all(&name);
    assert_eq!(records.len(), 100);
    assert!(
        records
            .iter()
            .all(|record| record.value.as_deref() == Some(b"after"))
    );
}
