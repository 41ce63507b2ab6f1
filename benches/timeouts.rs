//! How late messages fail whose `message.timeout.ms` is over, in real time and as a table:
//! `cargo bench --bench timeouts`.
//!
//! The bound itself (never early, at most 50 ms late) is asserted on virtual time, in
//! `engine/tests/engine/expiry.rs`; here the machine adds what it likes.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use event_kafka::{DeliveryError, Producer, Record};
use kafka_mock::{ApiKey, Cluster, Fault, Rule};

const SHORTEST_MS: u64 = 100;
const LONGEST_MS: u64 = 5_000;

/// Between one time-out and the next.
const STEP_MS: u64 = 100;

/// Messages with each time-out.
const MESSAGES: u64 = 20;

/// Not a multiple of the engine's 50 ms, so that messages come at all times between its marks.
const PAUSE: Duration = Duration::from_millis(37);

/// The last time-out of each row.
const ROWS_MS: [u64; 5] = [500, 1_000, 2_000, 3_500, LONGEST_MS];

/// What became of a message.
struct Expiry {
    timeout_ms: u64,
    /// Negative if it was early.
    late_ms: f64,
}

fn main() {
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let nobody = nobody.expect("there is a free port").to_string();
    print_table("nobody listens", expire_at(&nobody));

    let cluster = Cluster::start().expect("the mock starts");
    cluster.inject(Rule::new(Fault::IgnoreBefore).api(ApiKey::Produce));
    let silent = expire_at(&cluster.bootstrap());
    print_table("the broker takes messages and never answers", silent);
}

/// A producer for each time-out, all at the same time.
fn expire_at(brokers: &str) -> Vec<Expiry> {
    let timeouts = (SHORTEST_MS..=LONGEST_MS).step_by(STEP_MS as usize);
    thread::scope(|scope| {
        let producers = timeouts.map(|timeout| scope.spawn(move || expire(brokers, timeout)));
        let producers: Vec<_> = producers.collect();
        let expiries = producers.into_iter().map(|producer| producer.join());
        expiries
            .flat_map(|expiries| expiries.expect("it does not panic"))
            .collect()
    })
}

fn expire(brokers: &str, timeout_ms: u64) -> Vec<Expiry> {
    let builder = Producer::builder()
        .set("bootstrap.servers", brokers)
        .and_then(|builder| builder.set("message.timeout.ms", &timeout_ms.to_string()));
    let producer = builder.expect("it is right").start().expect("it starts");
    let topic = producer.topic("sip-events").expect("it is right");
    thread::scope(|scope| {
        let reports = scope.spawn(|| take_reports(&producer));
        let published: Vec<_> = (0..MESSAGES)
            .map(|opaque| {
                let at = Instant::now();
                topic
                    .publish(Record::new("INVITE").opaque(opaque))
                    .expect("there is room");
                thread::sleep(PAUSE);
                at
            })
            .collect();
        let failed = reports.join().expect("it does not panic");
        let expiries = failed.into_iter().map(|(opaque, at)| {
            let lived = at.duration_since(published[opaque as usize]);
            Expiry {
                timeout_ms,
                late_ms: lived.as_secs_f64() * 1e3 - timeout_ms as f64,
            }
        });
        expiries.collect()
    })
}

/// When each message failed.
fn take_reports(producer: &Producer) -> Vec<(u64, Instant)> {
    let reports = producer.reports();
    let mut failed = Vec::new();
    while failed.len() < MESSAGES as usize {
        let arrived = reports.wait(Duration::from_secs(60));
        let at = Instant::now();
        let before = failed.len();
        for report in arrived {
            let failure = report.outcome.expect_err("nobody takes it");
            assert_eq!(failure.error, DeliveryError::TimedOut, "{failure}");
            failed.push((report.opaque, at));
        }
        assert!(failed.len() > before, "a message has no report");
    }
    failed
}

fn print_table(place: &str, expiries: Vec<Expiry>) {
    println!("\n{} messages; {place}\n", expiries.len());
    println!("| message.timeout.ms | messages | early | ms late: least | median | 99 % | most |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut from = SHORTEST_MS;
    for to in ROWS_MS {
        let in_row = |expiry: &&Expiry| (from..=to).contains(&expiry.timeout_ms);
        print_row(&format!("{from} to {to}"), expiries.iter().filter(in_row));
        from = to + 1;
    }
    print_row("all", expiries.iter());
    let early = expiries.iter().filter(|expiry| expiry.late_ms < 0.0);
    assert_eq!(early.count(), 0, "messages failed early");
}

fn print_row<'a>(name: &str, expiries: impl Iterator<Item = &'a Expiry>) {
    let mut late: Vec<f64> = expiries.map(|expiry| expiry.late_ms).collect();
    late.sort_unstable_by(f64::total_cmp);
    let early = late.iter().filter(|late| **late < 0.0).count();
    let [least, median, most_of, most] = [0.0, 0.5, 0.99, 1.0].map(|part| {
        let position = (late.len() - 1) as f64 * part;
        late[position as usize]
    });
    println!(
        "| {name} | {} | {early} | {least:.1} | {median:.1} | {most_of:.1} | {most:.1} |",
        late.len()
    );
}
