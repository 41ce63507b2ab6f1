//! A host that forks against a broker of any kind (`support` says how to name one); what arrived is read
//! back by independent clients.

#[path = "support/mod.rs"]
mod c;
#[path = "../../tests/support/mod.rs"]
mod support;

use c::{Linked, program, run, written};
use support::Needs;

#[test]
fn all_records_of_all_processes_arrive_in_order_and_each_is_reported_once() {
    all_arrive(8, 20_000);
}

/// `EVENT_KAFKA_TEST_BROKER=kafka cargo test --package event-kafka-ffi --test brokers -- --ignored`
#[test]
#[ignore = "takes a minute; the one above does the same with less"]
fn many_records_of_all_processes_arrive_in_order_and_each_is_reported_once() {
    all_arrive(8, 200_000);
}

fn all_arrive(writers: u32, records: u32) {
    let Some(cluster) = support::cluster(Needs::ANY) else {
        return;
    };
    let topic = support::unique_name("forking");
    cluster.create_topic(&topic, 4);
    let properties = "g.enable.idempotence=true&g.linger.ms=5";
    let socket = format!("kafka:{}/{topic}?{properties}", cluster.bootstrap());
    let mut host = program("tests/forking.c", Linked::Dynamically);
    host.args([&socket, "count", &writers.to_string(), &records.to_string()]);
    run(&mut host);
    let arrived = cluster.read_all(&topic);
    let arrived = arrived
        .iter()
        .map(|record| (record.key.as_deref(), record.value.as_deref()));
    let numbers = written::numbers_by_writer(arrived);
    let all: Vec<u32> = (0..records).collect();
    assert_eq!(numbers.len(), writers as usize);
    for (writer, numbers) in numbers {
        assert!(numbers == all, "writer {writer}");
    }
}
