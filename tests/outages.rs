//! Brokers that are not there, or not any more.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use event_kafka::{Producer, Record, Topic};
use support::PrivateNode;

const PATIENCE: Duration = Duration::from_secs(90);

/// Publishes lines `from..to`, then waits for nothing.
fn publish(topic: &Topic, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let (key, value) = (format!("call-{}", n % 10), n.to_string());
        topic
            .publish_within(Record::new(&value).key(&key).opaque(n), PATIENCE)
            .unwrap();
    }
}

/// Exactly one report for each of `0..count`, all delivered; how often each stands in the log.
fn copies_in_log(
    node: &PrivateNode,
    producer: &Producer,
    topic: &Topic,
    count: u64,
) -> BTreeMap<u64, usize> {
    producer.flush(PATIENCE).unwrap();
    let mut reported: Vec<u64> = producer
        .reports()
        .take()
        .map(|report| {
            report.outcome.unwrap();
            report.opaque
        })
        .collect();
    reported.sort_unstable();
    assert_eq!(reported, (0..count).collect::<Vec<_>>(), "one report each");

    let mut copies = BTreeMap::new();
    for record in node.cluster().read_all(topic.name()) {
        let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        *copies.entry(value.parse().unwrap()).or_default() += 1;
    }
    assert_eq!(copies.len() as u64, count, "none is missing");
    copies
}

fn producer(node: &PrivateNode) -> Producer {
    Producer::builder()
        .set("bootstrap.servers", node.cluster().bootstrap())
        .unwrap()
        .start()
        .unwrap()
}

#[test]
fn messages_wait_for_a_broker_that_starts_later() {
    let Some(mut node) = support::private_node() else {
        return;
    };
    let name = support::unique_name("outages-late");
    node.cluster().create_topic(&name, 3);
    node.stop();

    let producer = producer(&node);
    let topic = producer.topic(&name).unwrap();
    publish(&topic, 0..1000);
    node.restart();

    let copies = copies_in_log(&node, &producer, &topic, 1000);
    assert!(
        copies.values().all(|copies| *copies == 1),
        "never sent before: no duplicates"
    );
}

#[test]
fn a_broker_that_stops_and_starts_in_the_middle_loses_nothing() {
    let Some(mut node) = support::private_node() else {
        return;
    };
    let name = support::unique_name("outages-restart");
    node.cluster().create_topic(&name, 3);
    let producer = producer(&node);
    let topic = producer.topic(&name).unwrap();

    publish(&topic, 0..1000);
    node.stop();
    publish(&topic, 1000..2000);
    node.restart();
    publish(&topic, 2000..3000);

    copies_in_log(&node, &producer, &topic, 3000);
}

#[test]
fn a_broker_killed_under_load_loses_nothing_that_was_reported() {
    let Some(mut node) = support::private_node() else {
        return;
    };
    let name = support::unique_name("outages-kill");
    node.cluster().create_topic(&name, 3);
    let producer = producer(&node);
    let topic = producer.topic(&name).unwrap();

    std::thread::scope(|scope| {
        scope.spawn(|| publish(&topic, 0..50_000));
        node.kill();
        node.restart();
    });

    copies_in_log(&node, &producer, &topic, 50_000);
}
