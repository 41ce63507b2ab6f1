//! The reference: `docs/properties.md` is what this prints of all properties.

use std::collections::BTreeMap;
use std::fmt::Write;

use event_kafka::config::{Change, Difference, Handling, PROPERTIES, Property, Scope};

use super::{explain, origin};

/// All properties, and how to read the tables.
pub(super) fn reference() -> String {
    let mut text = HEAD.to_owned();
    text += &count_handlings();
    text += "\n## Unlike librdkafka\n\n";
    text += "Names, values and verdicts are those of librdkafka 2.16, with these exceptions:\n\n";
    for difference in Difference::ALL {
        let _ = writeln!(text, "- {}", escaped(difference.explain()));
    }
    for (title, belongs) in SECTIONS {
        let properties: Vec<_> = PROPERTIES.iter().filter(|p| belongs(p)).collect();
        let _ = write!(text, "\n## {title}\n\n{}", table(&properties));
    }
    text + "\n## What waits for what\n\n" + &waiting()
}

pub(super) fn table(properties: &[&Property]) -> String {
    let mut text =
        "| property | values | default | what it does | what becomes of it |\n".to_owned();
    text += "|---|---|---|---|---|\n";
    for property in properties {
        let names: Vec<_> = property.names().map(code).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            names.join("<br>"),
            escaped(&property.allowed()),
            code(property.default),
            escaped(property.doc),
            escaped(&explain::handling(property)),
        );
    }
    text
}

pub(super) fn changes(changes: &[Change]) -> String {
    let mut text = "| property | value | default | set as |\n|---|---|---|---|\n".to_owned();
    for change in changes {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            code(change.property.name),
            code(&change.value),
            code(change.property.default),
            escaped(origin(change)),
        );
    }
    text
}

const HEAD: &str = "\
# Properties

<!-- Printed by `event-kafka properties --format markdown`; a test compares. -->

A property is set in a socket (`g.` before its name for the producer, `t.` for the topic), in a file of `name=value` lines
(`event-kafka publish --config FILE`), or by `Producer::builder().set(name, value)`. Names are case-sensitive. What is
unknown, malformed, out of range or cannot be obeyed is an error at start, with its place and what to do; nothing is
ignored in silence. A property of a topic that is set on the producer is the default of all topics. Few names stand for
two properties, one of the producer and one of the topic (`compression.codec`): without a prefix, the producer's is meant.

Integers are decimal, `0x` hexadecimal or `0` octal. Words, `true`, `t`, `1`, `false`, `f` and `0` may have any case, but
for those of `partitioner`. An empty text is the default; an empty number, boolean or word is an error.

`event-kafka properties NAME` shows one of them, `event-kafka properties --changed-from SOCKET` what a socket changes.

## What becomes of them

";

type Section = (&'static str, fn(&Property) -> bool);

const SECTIONS: &[Section] = &[
    ("The producer", |p| {
        !is_of_consumer(p) && p.scope == Scope::Global
    }),
    ("A topic", |p| !is_of_consumer(p) && p.scope == Scope::Topic),
    ("What a producer ignores", is_of_consumer),
];

fn is_of_consumer(property: &Property) -> bool {
    property.handling == Handling::ConsumerOnly
}

fn count_handlings() -> String {
    let mut text = "| handling | properties | what it means |\n|---|---:|---|\n".to_owned();
    for (name, meaning) in [
        ("implemented", "It has its effect; a test proves it."),
        (
            "accepted no-op",
            "It is checked, and nothing depends on it. A warning says why.",
        ),
        (
            "planned",
            "It waits for something else. Until then only its default is accepted, and what \
                     means \"off\"; all else is refused.",
        ),
        (
            "rejected",
            "It cannot be obeyed; the error says why and what to do.",
        ),
        (
            "dedicated API",
            "It is no text, but a function or an object of the program.",
        ),
        (
            "consumer only",
            "It is checked, and a producer has no use for it. A warning says so.",
        ),
    ] {
        let count = PROPERTIES
            .iter()
            .filter(|p| p.handling.name() == name)
            .count();
        let _ = writeln!(text, "| {name} | {count} | {meaning} |");
    }
    text
}

fn waiting() -> String {
    let mut waiting: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for property in PROPERTIES {
        if let Handling::Planned { waits_for, .. } = property.handling {
            waiting
                .entry(waits_for)
                .or_default()
                .push(code(property.name));
        }
    }
    let lines = waiting
        .iter()
        .map(|(what, names)| format!("- {what}: {}\n", names.join(", ")));
    lines.collect()
}

fn code(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("`{}`", text.replace('|', "\\|")),
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('*', "\\*")
        .replace('_', "\\_")
}
