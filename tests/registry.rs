//! The sockets of a server: which are the same, what each may hold, and what becomes of the messages
//! of those that go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use event_kafka::opensips::{
    OTHER_TOPICS, Registry, RegistryBuilder, Socket, SocketKey, SocketPublishError, SocketReport,
    SocketReports, SocketState, SubscribeError, check_socket, sockets_match,
};
use event_kafka::{DeliveryError, Header, PublishError, Record};
use kafka_mock::{ApiKey, Cluster, Fault, ResponseError, Rule};
use parking_lot::Mutex;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";

fn subscribe(registry: &Registry<u64>, socket: &str) -> SocketKey {
    registry.subscribe(socket).unwrap().key
}

fn next(reports: &mut SocketReports<u64>) -> SocketReport<u64> {
    reports.wait(PATIENCE).expect("a report in time")
}

fn counters(registry: &Registry<u64>, key: SocketKey) -> [u64; 4] {
    let counters = registry.status(key).unwrap().counters;
    [
        counters.accepted,
        counters.delivered,
        counters.failed,
        counters.held,
    ]
}

#[test]
fn sockets_that_mean_the_same_are_one() {
    let registry = Registry::<u64>::default();
    let text = "kafka:127.0.0.1:1,localhost:9092/t?g.linger.ms=7&t.acks=1&key=callid";
    let is_same = |other| {
        let [one, other] = [text, other].map(|socket| Socket::parse(socket).unwrap());
        sockets_match(&one, &other).unwrap()
    };
    let first = registry.subscribe(text).unwrap();
    assert!(!first.renewed);
    for same in [
        "127.0.0.1:1,localhost:9092/t?g.linger.ms=7&t.acks=1&key=callid",
        "kafka:127.0.0.1:1,localhost:9092/t?key=callid&t.acks=1&g.linger.ms=7",
        "kafka:LOCALHOST, 127.0.0.1:1,localhost/t?g.linger.ms=7&t.acks=1&key=callid",
        "kafka:127.0.0.1:1,localhost/t?g.queue.buffering.max.ms=7&t.acks=1&key=\"callid\"",
        "kafka:/t?g.bootstrap.servers=127.0.0.1:1,localhost&g.linger.ms=7&g.acks=1&key=callid",
        "kafka:127.0.0.1:1,localhost/t?g.linger.ms=7&t.acks=1&key=callid&g.client.id=rdkafka",
    ] {
        let again = registry.subscribe(same).unwrap();
        assert_eq!((again.key, again.renewed), (first.key, true), "{same}");
        assert!(is_same(same), "{same}");
    }
    for other in [
        "kafka:127.0.0.1:1/t?g.linger.ms=7&t.acks=1&key=callid",
        "kafka:127.0.0.1:1,localhost/T?g.linger.ms=7&t.acks=1&key=callid",
        "kafka:127.0.0.1:1,localhost/t?g.linger.ms=8&t.acks=1&key=callid",
        "kafka:127.0.0.1:1,localhost/t?g.linger.ms=7&t.acks=0&key=callid",
        "kafka:127.0.0.1:1,localhost/t?g.linger.ms=7&t.acks=1&key=param:ip",
        "kafka:127.0.0.1:1,localhost/t?g.linger.ms=7&t.acks=1",
        "kafka:127.0.0.1:1,localhost/t?g.linger.ms=7&t.acks=1&key=callid&payload=raw",
        "kafka:127.0.0.1:1,localhost/t?g.linger.ms=7&t.acks=1&key=callid&members=id",
        "kafka:127.0.0.1:1,localhost/t?g.linger.ms=7&t.acks=1&key=callid&header.node=a",
        "kafka:127.0.0.1:1,localhost/t?g.linger.ms=7&t.acks=1&key=callid&header.node=b",
    ] {
        let subscription = registry.subscribe(other).unwrap();
        assert!(!subscription.renewed, "{other}");
        assert!(!is_same(other), "{other}");
    }
}

#[test]
fn a_broker_id_is_found_by_its_id_and_is_nobody_elses_socket() {
    let registry = Registry::<u64>::default();
    let socket = format!("{NOWHERE}/t");
    let event = subscribe(&registry, &socket);
    let script = registry.define(&format!("[k1]{socket}")).unwrap().key;
    assert_ne!(event, script);
    assert_eq!(registry.find("k1"), Some(script));
    assert_eq!(registry.find("k2"), None);
    let taken = registry.define("[k1]other:9092/t").unwrap_err();
    assert_eq!(
        taken.to_string(),
        "socket, byte 1: the ID \"k1\" is taken by another broker; choose another one"
    );
    assert!(registry.unsubscribe(script));
    assert_eq!(registry.find("k1"), None);
    let renewed = registry.define("[k1]other:9092/t").unwrap().key;
    assert_eq!(registry.find("k1"), Some(renewed));
    assert_ne!(renewed, script);
}

#[test]
fn what_is_wrong_with_a_socket_is_told_and_nothing_is_kept_of_it() {
    let registry = Registry::<u64>::default();
    let malformed = registry.subscribe("host/a b").unwrap_err();
    assert!(
        matches!(malformed, SubscribeError::Socket(_)),
        "{malformed}"
    );
    let contradiction = "host/t?g.enable.idempotence=true&t.acks=1";
    let contradiction = registry.subscribe(contradiction).unwrap_err();
    assert!(
        matches!(contradiction, SubscribeError::Start(_)),
        "{contradiction}"
    );
    let contradiction = Socket::parse("host/t?g.enable.idempotence=true&t.acks=1").unwrap();
    assert!(check_socket(&contradiction).is_err());
    let repetition = Socket::parse("host/t?g.linger.ms=1&g.linger.ms=2").unwrap();
    assert_eq!(check_socket(&repetition).unwrap().len(), 1);
    registry.define("[k1]host/t?g.linger.ms=x").unwrap_err();
    assert_eq!(registry.find("k1"), None);
    assert_eq!(format!("{registry:?}"), "[]");
}

/// As the mock counts them, once a message of each was delivered.
fn connections_of(sockets: &[&str]) -> u64 {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let mut reports = registry.reports();
    for socket in sockets {
        let key = subscribe(&registry, &format!("{}/{socket}", cluster.bootstrap()));
        registry.publish(key, Record::new("x"), 0).unwrap();
        assert!(next(&mut reports).outcome.is_ok());
    }
    cluster.connections_accepted(1)
}

#[test]
fn sockets_of_one_cluster_share_a_producer_unless_its_properties_differ() {
    let one = connections_of(&["t?g.linger.ms=1"]);
    let shared = [
        "t?g.linger.ms=1",
        "u?g.linger.ms=1",
        "t?t.acks=1&g.linger.ms=1",
    ];
    assert_eq!(connections_of(&shared), one);
    assert_eq!(
        connections_of(&["t?g.linger.ms=1", "u?g.linger.ms=2"]),
        2 * one
    );
}

#[test]
fn a_dead_topic_uses_up_its_own_budget_only() {
    let cluster = Cluster::start().unwrap();
    cluster.create_topic("dead", 1);
    cluster.move_leader("dead", 0, None);
    let told = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&told);
    let registry = RegistryBuilder::default()
        .on_full(move |key, full| record.lock().push((key, full)))
        .build();
    let properties = "g.queue.buffering.max.messages=20&g.linger.ms=1";
    let socket = |topic| format!("{}/{topic}?{properties}", cluster.bootstrap());
    let dead = subscribe(&registry, &socket("dead"));
    let alive = subscribe(&registry, &socket("alive"));
    for n in 0..20 {
        assert!(!registry.status(dead).unwrap().full);
        registry.publish(dead, Record::new("x"), n).unwrap();
    }
    assert_eq!(*told.lock(), [(dead, true)]);
    assert!(registry.status(dead).unwrap().full);
    let refusal = registry.publish(dead, Record::new("x"), 0).unwrap_err();
    let full = PublishError::TooManyMessages { limit: 20 };
    assert_eq!(refusal, SocketPublishError::Refused(full));

    let mut reports = registry.reports();
    for n in 0..100 {
        registry.publish(alive, Record::new("x"), n).unwrap();
        let report = next(&mut reports);
        assert_eq!((report.socket, report.ticket), (alive, n));
        assert!(report.outcome.is_ok());
    }
    assert_eq!(counters(&registry, dead), [20, 0, 0, 20]);
    assert_eq!(counters(&registry, alive), [100, 100, 0, 0]);

    cluster.move_leader("dead", 0, Some(1));
    for taken in 1..=20 {
        let report = next(&mut reports);
        assert_eq!((report.socket, report.ticket), (dead, taken - 1));
        drop(report);
        let is_full = registry.status(dead).unwrap().full;
        assert_eq!(is_full, taken < 2, "{taken} were taken");
    }
    assert_eq!(*told.lock(), [(dead, true), (dead, false)]);
    assert_eq!(registry.status(dead).unwrap().counters.refused, 1);
    registry.publish(dead, Record::new("x"), 0).unwrap();
}

#[test]
fn a_dead_cluster_uses_up_its_own_budget_only() {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let properties = "g.queue.buffering.max.kbytes=10&g.linger.ms=1";
    let dead = subscribe(&registry, &format!("{NOWHERE}/t?{properties}"));
    let alive = subscribe(
        &registry,
        &format!("{}/t?{properties}", cluster.bootstrap()),
    );
    let payload = [0; 1000];
    let mut accepted = 0;
    let refusal = loop {
        match registry.publish(dead, Record::new(&payload), 0) {
            Ok(()) => accepted += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(refusal.is_queue_full(), "{refusal}");
    assert_eq!(accepted, 10);
    let mut reports = registry.reports();
    for _ in 0..20 {
        registry.publish(alive, Record::new(&payload), 0).unwrap();
        assert_eq!(next(&mut reports).socket, alive);
    }
}

#[test]
fn a_message_counts_against_the_budget_until_its_report_is_dropped() {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let socket = "t?g.queue.buffering.max.messages=2&g.linger.ms=0";
    let key = subscribe(&registry, &format!("{}/{socket}", cluster.bootstrap()));
    for _ in 0..2 {
        registry.publish(key, Record::new("x"), 0).unwrap();
    }
    registry.drain(PATIENCE).unwrap();
    assert_eq!(counters(&registry, key), [2, 0, 0, 2]);
    assert!(registry.publish(key, Record::new("x"), 0).is_err());
    let report = next(&mut registry.reports());
    assert!(registry.publish(key, Record::new("x"), 0).is_err());
    drop(report);
    registry.publish(key, Record::new("x"), 0).unwrap();
}

#[test]
fn successes_that_nobody_wants_to_hear_of_leave_the_budget() {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let properties = "g.delivery.report.only.error=true&g.queue.buffering.max.messages=2";
    let socket = format!("{}/t?{properties}", cluster.bootstrap());
    let key = subscribe(&registry, &socket);
    let mut reports = registry.reports();
    for _ in 0..3 {
        for _ in 0..2 {
            registry.publish(key, Record::new("x"), 0).unwrap();
        }
        registry.drain(PATIENCE).unwrap();
        assert!(reports.take().is_none());
    }
    let refusal = Fault::Error(ResponseError::TopicAuthorizationFailed);
    cluster.inject(Rule::new(refusal).api(ApiKey::Produce).times(1));
    registry.publish(key, Record::new("x"), 7).unwrap();
    let failed = next(&mut reports);
    assert_eq!(failed.ticket, 7);
    assert!(failed.outcome.is_err());
    drop(failed);
    assert_eq!(counters(&registry, key), [7, 6, 1, 0]);
}

#[test]
fn a_registry_that_reports_all_says_what_nobody_wants_to_hear_of() {
    let cluster = Cluster::start().unwrap();
    let registry = RegistryBuilder::default().report_all(true).build::<u64>();
    let brokers = cluster.bootstrap();
    let quiet = format!("{brokers}/t?g.delivery.report.only.error=true");
    for (socket, is_wanted) in [(quiet, false), (format!("{brokers}/t"), true)] {
        let key = subscribe(&registry, &socket);
        registry.publish(key, Record::new("x"), 0).unwrap();
        let report = next(&mut registry.reports());
        assert!(report.outcome.is_ok());
        assert_eq!((report.socket, report.is_wanted()), (key, is_wanted));
    }
}

#[test]
fn a_message_to_another_topic_is_one_of_its_socket() {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let socket = format!("{}/t?t.acks=1&header.node=sip-1", cluster.bootstrap());
    let key = subscribe(&registry, &socket);
    let mut reports = registry.reports();
    for (topic, expected) in [(Some("other"), "other"), (Some("t"), "t"), (None, "t")] {
        let record = Record::new(expected);
        registry.publish_promised(key, topic, record, 7).unwrap();
        let report = next(&mut reports);
        assert!(report.outcome.is_ok());
        assert_eq!((report.socket, report.ticket), (key, 7));
        assert_eq!(&*report.topic, expected);
    }
    assert_eq!(counters(&registry, key), [3, 3, 0, 0]);
    let other = &cluster.records("other")[0];
    assert_eq!(other.value.as_deref(), Some(&b"other"[..]));
    assert_eq!(other.headers[0].0, "node");
}

#[test]
fn a_socket_has_no_end_of_other_topics() {
    let registry = Registry::<u64>::default();
    let key = subscribe(&registry, &format!("{NOWHERE}/t"));
    let publish = |topic: &str| registry.publish_promised(key, Some(topic), Record::new("x"), 0);
    assert_eq!(publish("a b"), Err(SocketPublishError::TopicName));
    for n in 0..OTHER_TOPICS {
        publish(&format!("other-{n}")).unwrap();
    }
    assert_eq!(publish("another"), Err(SocketPublishError::TooManyTopics));
    publish("other-0").unwrap();
    publish("t").unwrap();
    let counters = registry.status(key).unwrap().counters;
    assert_eq!(counters.held, OTHER_TOPICS as u64 + 2);
    assert_eq!(counters.refused, 2);
}

#[test]
fn messages_have_the_headers_of_their_socket() {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let socket = format!("{}/t?header.node=sip-1", cluster.bootstrap());
    let key = subscribe(&registry, &socket);
    let trace = Header {
        name: "trace",
        value: None,
    };
    let record = Record::new("x").headers(std::slice::from_ref(&trace));
    registry.publish(key, record, 0).unwrap();
    assert!(next(&mut registry.reports()).outcome.is_ok());
    let headers = &cluster.records("t")[0].headers;
    let node = ("node".to_owned(), Some("sip-1".into()));
    assert_eq!(*headers, [node, ("trace".to_owned(), None)]);
}

#[test]
fn a_socket_stays_until_the_last_of_its_users_leaves() {
    let registry = Registry::<u64>::default();
    let socket = format!("{NOWHERE}/t");
    let key = subscribe(&registry, &socket);
    assert_eq!(subscribe(&registry, &socket), key);
    assert!(registry.unsubscribe(key));
    assert!(registry.status(key).is_some());
    assert!(registry.unsubscribe(key));
    assert!(registry.status(key).is_none());
    assert!(!registry.unsubscribe(key));
}

#[test]
fn an_unsubscribed_socket_accepts_nothing_and_keeps_what_it_has_accepted() {
    let cluster = Cluster::start().unwrap();
    cluster.stop_node(1).unwrap();
    let registry = Registry::<u64>::default();
    let socket = format!("{}/old", cluster.bootstrap());
    let old = subscribe(&registry, &socket);
    for n in 0..3 {
        registry.publish(old, Record::new("x"), n).unwrap();
    }
    assert!(registry.unsubscribe(old));
    let status = registry.status(old).unwrap();
    assert!(matches!(status.state, SocketState::Unsubscribed));
    assert!(!registry.unsubscribe(old));
    let late = registry.publish(old, Record::new("late"), 0).unwrap_err();
    assert_eq!(late, SocketPublishError::NoSocket);

    // It comes again: as another one.
    let new = subscribe(&registry, &socket);
    assert_ne!(new.slot, old.slot);
    registry.publish(new, Record::new("x"), 3).unwrap();

    cluster.start_node(1).unwrap();
    let mut reports = registry.reports();
    let mut of = BTreeMap::new();
    for _ in 0..4 {
        let report = next(&mut reports);
        assert!(report.outcome.is_ok());
        of.insert(report.ticket, report.socket);
    }
    assert_eq!(of.into_values().collect::<Vec<_>>(), [old, old, old, new]);
    assert!(registry.status(old).is_none());
    assert_eq!(cluster.records("old").len(), 4);
}

#[test]
fn a_late_record_is_not_misdelivered_to_the_next_socket_of_that_place() {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let old = subscribe(&registry, &format!("{}/old", cluster.bootstrap()));
    assert!(registry.unsubscribe(old));
    let new = subscribe(&registry, &format!("{}/new", cluster.bootstrap()));
    assert_eq!((new.slot, new.generation), (old.slot, old.generation + 1));
    let late = registry.publish(old, Record::new("late"), 0).unwrap_err();
    assert_eq!(late, SocketPublishError::NoSocket);
    assert_eq!((late.code(), late.name()), (-197, "_DESTROY"));
    registry.publish(new, Record::new("in time"), 0).unwrap();
    assert_eq!(next(&mut registry.reports()).socket, new);
    let values = cluster
        .records("new")
        .into_iter()
        .map(|record| record.value);
    assert_eq!(values.collect::<Vec<_>>(), [Some("in time".into())]);
}

#[test]
fn a_producer_ends_with_the_last_of_its_sockets() {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let mut reports = registry.reports();
    let mut accepted_before = 0;
    for _ in 0..3 {
        let key = subscribe(&registry, &format!("{}/t", cluster.bootstrap()));
        registry.publish(key, Record::new("x"), 0).unwrap();
        assert!(registry.unsubscribe(key));
        assert!(next(&mut reports).outcome.is_ok());
        assert!(registry.status(key).is_none());
        let accepted = cluster.connections_accepted(1);
        assert!(accepted > accepted_before, "a producer of its own");
        accepted_before = accepted;
    }
}

#[test]
fn what_comes_after_a_fatal_error_gets_another_producer() {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let socket = format!("{}/t?g.enable.idempotence=true", cluster.bootstrap());
    let failed = subscribe(&registry, &socket);
    let fenced = Fault::Error(ResponseError::ProducerFenced);
    cluster.inject(Rule::new(fenced).api(ApiKey::Produce).times(1));
    registry.publish(failed, Record::new("x"), 0).unwrap();
    let mut reports = registry.reports();
    let failure = next(&mut reports).outcome.clone().unwrap_err();
    assert_eq!(failure.error.name(), "PRODUCER_FENCED");
    let SocketState::Failed(fatal) = registry.status(failed).unwrap().state else {
        panic!("it has failed");
    };
    assert_eq!(fatal.error, failure.error);
    let refusal = registry.publish(failed, Record::new("x"), 0).unwrap_err();
    assert_eq!(refusal.name(), "_FATAL");

    let next_one = registry.subscribe(&socket).unwrap();
    assert!(!next_one.renewed);
    registry.publish(next_one.key, Record::new("y"), 0).unwrap();
    assert!(next(&mut reports).outcome.is_ok());
}

#[test]
fn closing_gives_every_message_its_report_and_ends_everything() {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let reached = subscribe(&registry, &format!("{}/t", cluster.bootstrap()));
    let unreached = subscribe(&registry, &format!("{NOWHERE}/lost"));
    registry.publish(reached, Record::new("x"), 1).unwrap();
    registry.publish(unreached, Record::new("x"), 2).unwrap();
    let mut reports = registry.reports();
    assert!(next(&mut reports).outcome.is_ok());

    let left = registry.drain(Duration::from_millis(1)).unwrap_err();
    assert_eq!(left.remaining, 1);
    let error = registry.close(Duration::from_millis(1)).unwrap_err();
    let [lost] = &error.undelivered[..] else {
        panic!("one topic, not {error}");
    };
    assert_eq!((&*lost.topic, lost.count), ("lost", 1));
    let report = reports.take().unwrap();
    assert_eq!((report.socket, report.ticket), (unreached, 2));
    let failure = report.outcome.clone().unwrap_err();
    assert_eq!(failure.error, DeliveryError::PurgedQueued);

    let status = registry.status(reached).unwrap();
    assert!(matches!(status.state, SocketState::Closed));
    let refusal = registry.publish(reached, Record::new("x"), 0).unwrap_err();
    assert_eq!(refusal, SocketPublishError::Refused(PublishError::Closed));
    let refusal = registry.subscribe("host/t").unwrap_err();
    assert!(matches!(refusal, SubscribeError::Closed));
    registry.close(PATIENCE).unwrap();
}

#[test]
fn whoever_waits_for_reports_hears_of_clusters_that_come_later() {
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let mut reports = registry.reports();
    thread::scope(|scope| {
        let taker = scope.spawn(|| next(&mut reports).ticket);
        let key = subscribe(&registry, &format!("{}/t", cluster.bootstrap()));
        registry.publish(key, Record::new("x"), 5).unwrap();
        assert_eq!(taker.join().unwrap(), 5);
    });
}

#[test]
fn counters_agree_at_every_moment_and_every_message_has_one_report() {
    const THREADS: u64 = 3;
    const MESSAGES: u64 = 2_000;
    let cluster = Cluster::start().unwrap();
    let registry = Registry::<u64>::default();
    let properties = "g.queue.buffering.max.messages=100&g.linger.ms=1";
    let keys = ["a", "b"].map(|topic| {
        let socket = format!("{}/{topic}?{properties}", cluster.bootstrap());
        subscribe(&registry, &socket)
    });
    let done = AtomicBool::new(false);
    let taken = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                for key in keys {
                    let [accepted, delivered, failed, held] = counters(&registry, key);
                    assert_eq!(accepted, delivered + failed + held);
                    assert!(held <= 100);
                }
            }
        });
        for thread in 0..THREADS {
            let registry = &registry;
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    let key = keys[(number % 2) as usize];
                    let ticket = thread * MESSAGES + number;
                    while let Err(refusal) = registry.publish(key, Record::new("x"), ticket) {
                        assert!(refusal.is_queue_full(), "{refusal}");
                        thread::yield_now();
                    }
                }
            });
        }
        let mut reports = registry.reports();
        let mut taken = vec![0; (THREADS * MESSAGES) as usize];
        for _ in 0..THREADS * MESSAGES {
            let report = next(&mut reports);
            assert_eq!(report.socket, keys[(report.ticket % 2) as usize]);
            taken[report.ticket as usize] += 1;
        }
        done.store(true, Ordering::SeqCst);
        taken
    });
    assert!(taken.iter().all(|count| *count == 1));
    for key in keys {
        let half = THREADS * MESSAGES / 2;
        assert_eq!(counters(&registry, key), [half, half, 0, 0]);
    }
}
