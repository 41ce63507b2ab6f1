//! A host that forks: what its processes publish through lanes arrives whole, once and in order, and is
//! reported to the process that asked, whatever happens to the others.

mod support;

use std::collections::BTreeMap;

use kafka_mock::{Cluster, Record};

use support::{Linked, program, run};

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
    let properties = "g.enable.idempotence=true&g.linger.ms=5";
    let socket = format!("kafka:{}/sip-events?{properties}", cluster.bootstrap());
    let mut host = program("tests/forking.c", linked);
    let said = run(host.arg(socket).args(arguments));
    String::from_utf8(said.stdout).unwrap()
}

/// The numbers of the records of each writer, in the order in which they arrived.
fn numbers_by_writer(cluster: &Cluster) -> BTreeMap<u32, Vec<u32>> {
    let mut numbers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for record in cluster.records("sip-events") {
        let (writer, number) = understand(&record);
        numbers.entry(writer).or_default().push(number);
    }
    numbers
}

/// Who wrote it, and its number; it is whole.
fn understand(record: &Record) -> (u32, u32) {
    let text = str::from_utf8(record.value.as_ref().unwrap()).unwrap();
    let mut parts = text.splitn(4, ':');
    let mut number = || parts.next().unwrap().parse::<u32>().unwrap();
    let (writer, number, filler_len) = (number(), number(), number());
    let filler = parts.next().unwrap();
    assert_eq!(record.key.as_deref(), Some(writer.to_string().as_bytes()));
    assert_eq!(
        filler_len,
        number.wrapping_mul(7919).wrapping_add(writer) % 200
    );
    let letter = char::from(b'a' + (number % 26) as u8);
    assert!(filler.chars().all(|filler| filler == letter), "{text}");
    assert_eq!(filler.len(), filler_len as usize, "{text}");
    (writer, number)
}
