//! The producer outlives every way a broker can misbehave: each fault alone, and pairs of them.

mod lab;

use std::env;
use std::fmt::Write;
use std::thread;
use std::time::Duration;

use lab::case::Case;
use lab::catalogue::{self, FAULTS, Fault};
use lab::idle::Idleness;
use lab::limits::Limits;
use lab::pairs;
use lab::producer::Pace;
use lab::scene::Extent;

/// One test for each fault of the catalogue, by its name.
macro_rules! survives {
    ($($fault:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($fault)),*];
        $(
            #[test]
            fn $fault() {
                survives(stringify!($fault));
            }
        )*
    };
}

survives! {
    refused_for_now
    refused_for_good
    next_three_refused
    third_of_those_in_flight_refused
    one_partition_refused
    not_the_leader
    taken_and_refused
    metadata_refused
    rebootstrap_required
    handshake_refused
    slow_answers
    hangs_before_taking
    hangs_after_taking
    closes_instead_of_taking
    closes_after_taking
    resets_instead_of_taking
    resets_after_taking
    half_closes
    never_answers
    takes_and_never_answers
    never_answers_metadata
    never_answers_handshakes
    answers_twice
    answers_in_the_wrong_order
    truncated
    truncated_handshake
    truncated_metadata
    breaks_off
    breaks_off_in_the_length
    trailing_bytes
    web_server
    web_server_from_the_start
    tls_alert
    flipped_bits
    flipped_bits_in_metadata
    count_of_billions
    count_of_billions_in_metadata
    announces_90_mb
    announces_a_negative_length
    sends_64_mb
    wrong_correlation
    correlation_of_the_next
    greets
    partition_left_out
    partition_twice
    partition_of_nobody
    topic_of_nobody
    negative_offsets
    partitions_left_out_of_metadata
    partitions_twice_in_metadata
    leader_of_nobody_knows_where
    leader_is_never_where_they_say
    no_brokers
    absurd_brokers
    a_thousand_partitions
    one_partition_only
    no_partitions
    another_topic_id
    no_topic_id
    another_cluster
    produce_is_not_offered
    versions_upside_down
    versions_of_the_future
    never_reads
    slow_reader
    slow_writer
    closes_the_idle
    nobody_listens
    black_hole
    closes_on_accept
    closes_after_the_handshake
    connections_cut
    downgraded
    node_stops
    node_moves
    nodes_change_places
    no_leader
    leader_moves
    leader_moves_with_hints
    topic_recreated
    topic_recreated_smaller
    topic_deleted
    throttled
    clock_skew
}

#[test]
fn every_fault_of_the_catalogue_has_its_test() {
    let all: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
    assert_eq!(TESTED, all);
}

/// Other pairs than those of every day: `EVENT_KAFKA_FAULT_SEED=7 cargo test --test faults pairs`.
#[test]
fn twenty_pairs_drawn_by_a_seed() {
    let seed = env::var("EVENT_KAFKA_FAULT_SEED").map_or(1, |seed| {
        seed.parse().expect("EVENT_KAFKA_FAULT_SEED is a number")
    });
    println!("seed {seed}");
    let pairs = pairs::draw(seed, 20);
    let cases: Vec<_> = pairs
        .into_iter()
        .map(|pair| case(&pair.faults, pair.acks, Extent::Alone))
        .collect();
    for some in cases.chunks(AT_ONCE) {
        check(some);
    }
}

/// As fast as it takes them: the queue is full all the time.
#[test]
fn a_flood_of_messages_in_an_outage_stays_within_the_budget() {
    let flood = Pace {
        size: 1_000,
        interval: Duration::ZERO,
    };
    let names = [
        "nobody_listens",
        "never_reads",
        "takes_and_never_answers",
        "refused_for_now",
    ];
    let case = |name| Case {
        pace: flood,
        limits: Limits::PATIENT,
        ..case(
            &[catalogue::find(name).expect("a fault")],
            -1,
            Extent::Alone,
        )
    };
    check(&names.map(case));
}

#[test]
fn nothing_wakes_a_producer_that_has_nothing_to_send() {
    let usage = Idleness::NothingToSend.measure(WATCHED);
    // Memory that was unused for ten seconds goes back to the system.
    assert!(usage.switches <= 2, "{usage:?}");
    assert!(usage.cpu < WATCHED / 100, "{usage:?}");
}

#[test]
fn nobody_to_connect_to_costs_nothing_but_the_attempts() {
    thread::scope(|scope| {
        for idleness in [Idleness::NobodyListens, Idleness::BlackHole] {
            scope.spawn(move || {
                let usage = idleness.measure(WATCHED);
                println!("{idleness}: {usage:?}");
                assert!(usage.switches <= 100, "{idleness}: {usage:?}");
                assert!(usage.cpu < WATCHED / 10, "{idleness}: {usage:?}");
            });
        }
    });
}

/// The fault at the only node with every `acks`, and at one of three nodes.
fn survives(fault: &str) {
    let fault = catalogue::find(fault).expect("the macro names faults of the catalogue");
    check(&[
        case(&[fault], 0, Extent::Alone),
        case(&[fault], 1, Extent::Alone),
        case(&[fault], -1, Extent::Alone),
        case(&[fault], -1, Extent::OneOfThree),
    ]);
}

fn case(faults: &[&'static Fault], acks: i8, extent: Extent) -> Case {
    Case {
        faults: faults.to_vec(),
        acks,
        extent,
        limits: Limits::SHORT,
        pace: PACE,
        hold: HOLD,
    }
}

/// Runs cases at the same time and panics with all that did not hold.
fn check(cases: &[Case]) {
    let mut complaints = String::new();
    thread::scope(|scope| {
        let running: Vec<_> = cases
            .iter()
            .map(|case| scope.spawn(|| case.run()))
            .collect();
        for (case, running) in cases.iter().zip(running) {
            let outcome = running.join().expect("a case does not panic");
            println!("{case}: {outcome}");
            for violation in &outcome.violations {
                writeln!(complaints, "{case}: {violation}").expect("a string takes all");
            }
            if !outcome.violations.is_empty() {
                writeln!(complaints, "{outcome:#?}").expect("a string takes all");
            }
        }
    });
    assert!(complaints.is_empty(), "{complaints}");
}

const HOLD: Duration = Duration::from_secs(2);

const PACE: Pace = Pace {
    size: 500,
    interval: Duration::from_millis(10),
};

/// How long the idle are watched.
const WATCHED: Duration = Duration::from_secs(3);

/// Pairs that are tried at the same time.
const AT_ONCE: usize = 5;
