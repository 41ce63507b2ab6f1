//! A host that forks: what its processes publish through lanes arrives whole, once and in order, and is
//! reported to the process that asked, whatever happens to the others.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use kafka_mock::Cluster;

use support::{Linked, program, run, written};

#[test]
fn all_records_of_all_processes_arrive_in_order_and_each_is_reported_once() {
    for linked in [Linked::Dynamically, Linked::Statically, Linked::Sanitized] {
        all_arrive(linked, 8, 20_000);
    }
}

/// `cargo test --package event-kafka-ffi --test forking -- --ignored`
#[test]
#[ignore = "takes a minute; the one above does the same with less"]
fn many_records_of_all_processes_arrive_in_order_and_each_is_reported_once() {
    all_arrive(Linked::Dynamically, 8, 200_000);
}

#[test]
fn processes_that_are_killed_or_stopped_harm_nobody_else() {
    chaos(Linked::Dynamically, 5);
}

#[test]
fn processes_that_are_killed_or_stopped_harm_nobody_else_under_address_sanitizer() {
    chaos(Linked::Sanitized, 5);
}

#[test]
#[ignore = "takes a minute; the one above does the same for less long"]
fn processes_that_are_killed_or_stopped_for_a_minute_harm_nobody_else() {
    chaos(Linked::Dynamically, 60);
}

#[test]
fn what_a_lane_took_is_delivered_though_the_socket_is_full_by_then() {
    let cluster = cluster();
    let socket = socket(&cluster) + "&g.queue.buffering.max.messages=100";
    let mut host = program("tests/forking.c", Linked::Dynamically);
    run(host.args([&socket, "count", "4", "5000"]));
    let numbers = numbers_by_writer(&cluster);
    assert_eq!(numbers.values().map(Vec::len).sum::<usize>(), 4 * 5000);
}

#[test]
fn an_outage_fills_the_socket_and_no_lane_and_every_record_has_its_report() {
    outage(3, "&g.queue.buffering.max.messages=5000");
}

#[test]
#[ignore = "takes five minutes; the one above does the same with a smaller queue"]
fn an_outage_of_five_minutes_fills_the_socket_and_no_lane_and_every_record_has_its_report() {
    outage(300, "");
}

fn outage(seconds: u32, properties: &str) {
    let cluster = cluster();
    cluster.stop_node(1).unwrap();
    let socket = socket(&cluster) + properties;
    let mut host = program("tests/forking.c", Linked::Dynamically);
    host.args([&socket, "outage", "4", &seconds.to_string()]);
    let mut host = host.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    for line in lines.by_ref() {
        let line = line.unwrap();
        println!("{line}");
        if line == "over" {
            cluster.start_node(1).unwrap();
        }
    }
    assert!(host.wait().unwrap().success());
    for (writer, numbers) in numbers_by_writer(&cluster) {
        assert!(numbers.is_sorted_by(|a, b| a < b), "writer {writer}");
    }
}

fn all_arrive(linked: Linked, writers: u32, records: u32) {
    let cluster = cluster();
    let said = host(
        &cluster,
        linked,
        ["count", &writers.to_string(), &records.to_string()],
    );
    println!("{said}");
    let numbers = numbers_by_writer(&cluster);
    let all: Vec<u32> = (0..records).collect();
    assert_eq!(numbers.len(), writers as usize);
    for (writer, numbers) in numbers {
        assert!(numbers == all, "{linked:?}: writer {writer}");
    }
}

fn chaos(linked: Linked, seconds: u32) {
    let cluster = cluster();
    let said = host(&cluster, linked, ["chaos", "8", &seconds.to_string()]);
    println!("{said}");
    let numbers = numbers_by_writer(&cluster);
    let arrived: usize = numbers.values().map(Vec::len).sum();
    assert!(said.contains(&format!(" {arrived} delivered,")), "{said}");
    for (writer, numbers) in numbers {
        // Nothing is missing before what arrived last.
        let all: Vec<u32> = (0..numbers.len() as u32).collect();
        assert!(numbers == all, "{linked:?}: writer {writer}");
    }
}

fn cluster() -> Cluster {
    let cluster = Cluster::builder().retain_bytes(1 << 30).start().unwrap();
    cluster.create_topic("sip-events", 4);
    cluster
}

/// What it said.
fn host(cluster: &Cluster, linked: Linked, arguments: [&str; 3]) -> String {
    let mut host = program("tests/forking.c", linked);
    let said = run(host.arg(socket(cluster)).args(arguments));
    String::from_utf8(said.stdout).unwrap()
}

fn socket(cluster: &Cluster) -> String {
    let properties = "g.enable.idempotence=true&g.linger.ms=5";
    format!("kafka:{}/sip-events?{properties}", cluster.bootstrap())
}

fn numbers_by_writer(cluster: &Cluster) -> BTreeMap<u32, Vec<u32>> {
    let records = cluster.records("sip-events");
    written::numbers_by_writer(
        records
            .iter()
            .map(|record| (record.key.as_deref(), record.value.as_deref())),
    )
}
