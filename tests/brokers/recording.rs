//! The flight recorder: what it wrote while something happened to the brokers is lived through once
//! more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use event_kafka::{Outcome, Producer, Record, Report, Topic};
use kafka_sim::replay::{Recording, replay};

use crate::load::{FLOW, wait_for_deliveries};
use crate::producer::{PATIENCE, builder};
use crate::support::{self, Needs, PrivateCluster};

const PUBLISHERS: u64 = 3;
const PARTITIONS: i32 = 6;
const MEMORY: usize = 256 << 20;

#[test]
fn what_a_killed_leader_did_to_a_producer_is_replayed_with_the_same_reports() {
    let Some(mut cluster) = support::private_cluster(Needs::ANY) else {
        return;
    };
    for (name, properties) in [
        (
            "recording-plain",
            [
                ("enable.idempotence", "false"),
                ("compression.codec", "none"),
            ],
        ),
        (
            "recording-lz4",
            [("enable.idempotence", "true"), ("compression.codec", "lz4")],
        ),
    ] {
        let name = support::unique_name(name);
        cluster.create_topic(&name, PARTITIONS);
        let builder = builder(cluster.bootstrap(), &properties).record(MEMORY);
        let producer = builder.start().unwrap();

        let reports = reports_under_kill(&producer, &mut cluster, &name);

        let file = producer.recording().unwrap();
        let replayed = replay(&Recording::read(&file).unwrap()).unwrap();
        assert_eq!(replayed.replay.divergence, None);
        assert_eq!(by_partition(&replayed.reports), by_partition(&reports));
        support::note(&format!(
            "{} messages in {} bytes, {} steps",
            reports.len(),
            file.len(),
            replayed.replay.steps
        ));
    }
}

/// Threads publish while a leader is killed and started again.
fn reports_under_kill(
    producer: &Producer,
    cluster: &mut PrivateCluster,
    name: &str,
) -> Vec<Report> {
    let topic = producer.topic(name).unwrap();
    // Nothing is known of the topic yet, and it turns out to have no such partition.
    topic
        .publish(Record::new("x").partition(PARTITIONS).opaque(u64::MAX))
        .unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (topic, over) = (&topic, &over);
            scope.spawn(move || publish_until(over, topic, publisher));
        }
        wait_for_deliveries(producer, FLOW);
        let leader = cluster.leaders(name)[&0];
        cluster.kill(leader);
        if cluster.node_ids().len() > 1 {
            wait_for_deliveries(producer, FLOW);
        }
        cluster.restart(leader);
        wait_for_deliveries(producer, FLOW);
        over.store(true, Ordering::Relaxed);
    });
    producer.flush(PATIENCE).unwrap();
    let reports: Vec<Report> = producer.reports().take().collect();
    assert_eq!(reports.len() as u64, producer.balance().accepted);
    assert_eq!(producer.balance().failed, 1);
    reports
}

fn publish_until(over: &AtomicBool, topic: &Topic, publisher: u64) {
    let mut n = publisher;
    while !over.load(Ordering::Relaxed) {
        for _ in 0..5 {
            let (key, value) = (format!("call-{}", n % 50), "x".repeat(n as usize % 300));
            let record = Record::new(&value).opaque(n);
            let record = match n % 4 {
                0 => record,
                _ => record.key(&key),
            };
            topic.publish_within(record, PATIENCE).unwrap();
            n += PUBLISHERS;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// What became of the messages of each partition, in the order of their reports.
fn by_partition(reports: &[Report]) -> BTreeMap<i32, Vec<(u64, Outcome)>> {
    let mut partitions = BTreeMap::<_, Vec<_>>::new();
    for report in reports {
        let told = (report.opaque, report.outcome.clone());
        partitions.entry(report.partition).or_default().push(told);
    }
    partitions
}
