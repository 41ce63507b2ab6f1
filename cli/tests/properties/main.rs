//! `event-kafka properties`. No broker is needed.

#[path = "../command/mod.rs"]
mod command;

use command::{Ended, run};
use serde_json::Value;

const REFERENCE: &str = include_str!("../../../docs/properties.md");

/// What issue 5 hints at for each property of librdkafka.
const INTENDED: &str = include_str!("intended.tsv");

fn properties(arguments: &[&str]) -> Ended {
    run(&[&["properties"], arguments].concat())
}

fn as_json(arguments: &[&str]) -> Vec<Value> {
    let ended = properties(&[arguments, &["--format", "json"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("a list of objects")
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_default()
}

#[test]
fn the_reference_is_what_the_table_says() {
    let ended = properties(&["--format", "markdown"]);
    assert!(
        ended.stdout == REFERENCE,
        "docs/properties.md is stale; write it anew with \
         `cargo run -- properties --format markdown > docs/properties.md`"
    );
}

#[test]
fn every_property_of_librdkafka_is_listed_with_ours_and_with_what_becomes_of_it() {
    let entries = as_json(&[]);
    let count = |origin: &str, of_consumer: bool| {
        let is = |entry: &&Value| {
            let handling = text(entry, "handling") == "consumer only";
            text(entry, "origin") == origin && handling == of_consumer
        };
        entries.iter().filter(is).count()
    };
    assert_eq!(count("librdkafka", false), 170);
    assert_eq!(count("librdkafka", true), 39);
    let ours = count("event-kafka", false);
    assert!(ours >= 1);
    println!("170 names of librdkafka for producers, 39 for consumers, {ours} of ours");

    let without_evidence = entries
        .iter()
        .filter(|entry| text(entry, "handling") == "implemented")
        .filter(|entry| text(entry, "evidence").is_empty());
    assert_eq!(without_evidence.count(), 0);

    for entry in &entries {
        if text(entry, "handling") == "planned" {
            let waits_for = text(entry, "waits_for");
            assert!(!waits_for.is_empty(), "{entry}");
            println!("planned: {} waits for {waits_for}", text(entry, "name"));
        }
    }
}

#[test]
fn what_is_handled_otherwise_than_intended_says_why() {
    let entries = as_json(&[]);
    let lines = INTENDED.lines().filter(|line| !line.starts_with('#'));
    let mut otherwise = 0;
    for line in lines {
        let [scope, name, intended] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let entry = entries
            .iter()
            .find(|entry| text(entry, "name") == name && text(entry, "scope") == scope)
            .unwrap_or_else(|| panic!("{name} is missing"));
        let (handling, explanation) = (text(entry, "handling"), text(entry, "explanation"));
        if handling != intended {
            otherwise += 1;
            let why = explanation.strip_prefix(handling).unwrap_or_default();
            assert!(
                handling == "implemented" || why.len() > ": ".len(),
                "{entry}"
            );
            println!("{name} ({scope}): {intended} intended, {explanation}");
        }
    }
    println!("{otherwise} are handled otherwise than intended");
}

#[test]
fn a_property_is_shown_by_its_name_or_an_alias_in_every_scope_it_has() {
    for name in ["queue.buffering.max.ms", "linger.ms"] {
        let card = properties(&[name]).stdout;
        assert!(card.starts_with("queue.buffering.max.ms\n"), "{card}");
        assert!(
            card.contains("linger.ms") && card.contains("0 to 900000"),
            "{card}"
        );
    }
    let cards = properties(&["compression.type"]).stdout;
    let scopes = ["g. in a socket", "t. in a socket"];
    assert!(scopes.iter().all(|scope| cards.contains(scope)), "{cards}");
    assert_eq!(as_json(&["topic.acks"]).len(), 2, "its two names");
}

#[test]
fn an_unknown_name_is_a_mistake_with_a_suggestion() {
    for (name, words) in [
        ("lingr.ms", "did you mean linger.ms?"),
        ("Linger.ms", "did you mean linger.ms?"),
        ("nothing.like.it", "lists them all"),
    ] {
        let ended = properties(&[name]);
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{name}");
        assert!(
            ended.stderr.contains(name) && ended.stderr.contains(words),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn filters_select_by_scope_and_handling() {
    let topic = as_json(&["--scope", "topic", "--handling", "implemented"]);
    assert!(topic.iter().any(|entry| text(entry, "name") == "acks"));
    for entry in &topic {
        assert_eq!(
            (text(entry, "scope"), text(entry, "handling")),
            ("topic", "implemented")
        );
    }
    let both = as_json(&["--scope", "both"]);
    assert_eq!(
        both.iter()
            .filter(|entry| text(entry, "name") == "compression.codec")
            .count(),
        2
    );
    assert!(both.iter().all(|entry| text(entry, "name") != "acks"));
    let all = as_json(&[]).len();
    let handlings = [
        "implemented",
        "no-op",
        "consumer-only",
        "planned",
        "rejected",
        "dedicated-api",
    ];
    let parts = handlings.map(|handling| as_json(&["--handling", handling]).len());
    assert_eq!(parts.iter().sum::<usize>(), all, "{parts:?}");
}

#[test]
fn what_a_socket_changes_is_shown_with_what_follows_from_it() {
    const SOCKET: &str =
        "kafka:a,b:9093/cdr?g.linger.ms=20&t.acks=all&t.message.timeout.ms=300000&g.group.id=g";
    let changes = as_json(&["--changed-from", SOCKET]);
    let shown: Vec<_> = changes
        .iter()
        .map(|entry| {
            (
                text(entry, "name"),
                text(entry, "value"),
                entry["set_as"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (
                "metadata.broker.list",
                "a,b:9093",
                Some("bootstrap.servers")
            ),
            ("queue.buffering.max.ms", "20", Some("g.linger.ms")),
            ("sticky.partitioning.linger.ms", "40", None),
            ("group.id", "g", Some("g.group.id")),
        ],
        "acks and the time-out are at their defaults"
    );
    let ended = properties(&["--changed-from", SOCKET, "--scope", "topic"]);
    assert_eq!(
        ended.stdout.lines().count(),
        1,
        "only the heads: {}",
        ended.stdout
    );
    assert!(
        ended
            .stderr
            .contains("g.group.id (group.id) belongs to consumers"),
        "{}",
        ended.stderr
    );

    let refused = properties(&["--changed-from", "a/t?g.lingr.ms=1"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("byte 4"), "{}", refused.stderr);
}
