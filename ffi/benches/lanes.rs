//! What lanes cost: `cargo bench --package event-kafka-ffi --bench lanes`.
//!
//! Prints the median of some rounds, and the best, which others who use the machine disturb least.

#[allow(
    dead_code,
    unused_imports,
    reason = "a part of it is measured, and its tests are not run"
)]
#[path = "../src/shared/mod.rs"]
mod shared;

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use event_kafka::Record;

use shared::area::{Area, Sizes};
use shared::inbox::Inbox;
use shared::outbox::{OutboxError, To};
use shared::record::Message;
use shared::report::Report;
use shared::worker::Worker;

const ROUNDS: usize = 15;
/// As many as a lane has room for.
const MESSAGES: usize = 4_000;
const MANY: usize = 2_000_000;
const QUANTUM: usize = 64 << 10;
const VALUE: [u8; 100] = [b'x'; 100];

fn main() {
    let area = Area::create(&Sizes::default()).expect("there is memory");
    let socket = area.sockets().insert("host/topic").expect("there is room");
    let message = Message {
        socket,
        route: 0,
        topic: None,
        record: Record::new(&VALUE),
    };
    let mut worker = Worker::attach(&area).expect("there is none yet");
    measure("publish 100 B into a lane", || {
        writing(&area, &message, &mut worker)
    });
    measure("serve them", || reading(&area, &message, &mut worker));
    measure("one writer and one worker", || {
        passing(&area, &message, &mut worker)
    });
    measure("a report, sent and taken", || reporting(&area, &mut worker));
    println!(
        "naps of a worker idle for 1 s    {:8}",
        napping(&mut worker)
    );
}

/// What the writer spends while its lane has room and the worker is awake.
fn writing(area: &Area, message: &Message<'_>, worker: &mut Worker) -> f64 {
    let start = Instant::now();
    fill(area, message);
    let spent = start.elapsed();
    while worker.serve(QUANTUM, |_, _, _| ()) > 0 {}
    per_message(spent, MESSAGES)
}

/// What the worker spends, which copies each message out and decodes it.
fn reading(area: &Area, message: &Message<'_>, worker: &mut Worker) -> f64 {
    fill(area, message);
    let start = Instant::now();
    while worker.serve(QUANTUM, |_, found, _| {
        black_box(found);
    }) > 0
    {}
    per_message(start.elapsed(), MESSAGES)
}

fn fill(area: &Area, message: &Message<'_>) {
    for _ in 0..MESSAGES {
        let published = area.publish(black_box(message), Duration::ZERO);
        published.expect("there is room");
    }
}

/// Both at the same time, on two processors.
fn passing(area: &Area, message: &Message<'_>, worker: &mut Worker) -> f64 {
    thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| {
            for _ in 0..MANY {
                while area.publish(black_box(message), Duration::ZERO).is_err() {
                    thread::yield_now();
                }
            }
        });
        let mut taken = 0;
        while taken < MANY {
            let served = worker.serve(QUANTUM, |_, found, _| {
                black_box(found);
            });
            if served == 0 {
                thread::yield_now();
            }
            taken += served;
        }
        per_message(start.elapsed(), MANY)
    })
}

/// Both sides of the report area in turn: as many reports as it has room for.
fn reporting(area: &Area, worker: &mut Worker) -> f64 {
    let report = Report {
        topic: "sip-events",
        ..Report::default()
    };
    let mut inbox = Inbox::default();
    let start = Instant::now();
    let mut sent = 0;
    loop {
        match worker.outbox().push(To::Anybody, &report) {
            Ok(()) => sent += 1,
            Err(OutboxError::Full) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let mut taken = 0;
    while let Some(batch) = worker.outbox().next_batch() {
        area.take_batch(batch, &mut inbox).expect("there is a seat");
        while let Some(report) = inbox.next() {
            black_box(report);
            taken += 1;
        }
    }
    assert_eq!(sent, taken);
    per_message(start.elapsed(), sent)
}

/// How often a worker wakes that nobody wakes.
fn napping(worker: &mut Worker) -> u64 {
    // What has been rung so far.
    while worker.serve(QUANTUM, |_, _, _| ()) > 0 {}
    worker.have_sockets_changed();
    worker.sleep(Some(Duration::ZERO)).expect("it can");
    let before = worker.counters().naps;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        worker.sleep(Some(Duration::from_secs(1))).expect("it can");
    }
    // The last one ends because this ends.
    worker.counters().naps - before - 1
}

fn per_message(spent: Duration, messages: usize) -> f64 {
    spent.as_nanos() as f64 / messages as f64
}

fn measure(name: &str, mut round: impl FnMut() -> f64) {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort_by(f64::total_cmp);
    let (median, best) = (rounds[ROUNDS / 2], rounds[0]);
    println!("{name:<32} {median:8.1} ns/message, at best {best:.1}");
}
