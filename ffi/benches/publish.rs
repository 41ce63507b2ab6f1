//! What publishing costs a caller from C, and from Rust: `cargo bench --package event-kafka-ffi
//! --bench publish`.
//!
//! Both publish what waits for a flush, so that no other thread of theirs runs meanwhile, in turns.
//! Prints the median of all rounds, and the best, which others who use the machine disturb least: by
//! those they are compared.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use event_kafka::config::Config;
use event_kafka::opensips::{Socket, System};
use event_kafka::{Producer, Record};
use kafka_mock::Cluster;
use support::{Linked, program, run};

/// As many as stay in one batch.
const MESSAGES: usize = 5_000;
const ROUNDS: usize = 40;
const TURNS: usize = 5;

fn main() {
    let cluster = Cluster::start().expect("it starts");
    cluster.create_topic("rust", 1);
    cluster.create_topic("c", 1);
    let socket = |topic| format!("{}/{topic}?g.linger.ms=60000", cluster.bootstrap());
    let (mut rust, mut c) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        rust.extend(from_rust(&socket("rust")));
        c.extend(from_c(&socket("c")));
    }
    let (rust, c) = (told("Topic::publish", rust), told("event_kafka_publish", c));
    println!("the difference at best           {:8.1} ns", c - rust);
}

fn from_rust(socket: &str) -> Vec<f64> {
    let socket = Socket::parse(socket).expect("it is one");
    let mut config = Config::default();
    let resolved = socket.resolve(&System).expect("it names nothing");
    resolved.configure(&mut config).expect("they are known");
    let producer = Producer::builder().config(config).start();
    let producer = producer.expect("it starts");
    let topic = producer.topic(socket.topic).expect("it is a name");
    let value = [b'x'; 100];
    let round = |_| {
        let before = Instant::now();
        for _ in 0..MESSAGES {
            topic.publish(Record::new(&value)).expect("there is room");
        }
        let spent = before.elapsed();
        let minute = Duration::from_secs(60);
        producer.flush(minute).expect("the broker is there");
        let mut left = MESSAGES;
        while left > 0 {
            left -= producer.reports().wait(minute).count();
        }
        spent.as_nanos() as f64 / MESSAGES as f64
    };
    (0..ROUNDS).map(round).collect()
}

fn from_c(socket: &str) -> Vec<f64> {
    let mut program = program("benches/publish.c", Linked::Statically);
    let counts = [MESSAGES.to_string(), ROUNDS.to_string()];
    let output = run(program.arg(socket).args(counts));
    let printed = String::from_utf8(output.stdout).expect("digits");
    let rounds = printed.lines().map(|line| line.parse().expect("a number"));
    rounds.collect()
}

/// Prints median and best, and returns the best.
fn told(name: &str, mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    let (median, best) = (rounds[rounds.len() / 2], rounds[0]);
    println!("{name:<32} {median:8.1} ns/message, at best {best:.1}");
    best
}
