//! Properties for programs: an object for every name, those that are aliases included.

use event_kafka::config::{Change, Handling, Origin, Property};
use serde::Serialize;

use super::explain;

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias_of: Option<&'a str>,
    scope: &'a str,
    /// Whose property it is.
    origin: &'a str,
    /// Whether librdkafka leaves it out of its documentation.
    hidden: bool,
    r#type: &'a str,
    range: String,
    default: &'a str,
    importance: &'a str,
    sensitive: bool,
    handling: &'a str,
    explanation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<&'a str>,
    doc: &'a str,
    #[serde(flatten)]
    changed: Option<Changed<'a>>,
}

#[derive(Clone, Copy, Serialize)]
struct Changed<'a> {
    value: &'a str,
    /// `null` if the value follows from other properties.
    set_as: Option<&'a str>,
}

pub(super) fn properties(properties: &[&Property]) -> String {
    let entries = properties
        .iter()
        .flat_map(|p| p.names().map(|name| entry(p, name, None)));
    list(entries.collect())
}

pub(super) fn changes(changes: &[Change]) -> String {
    let entries = changes.iter().map(|change| {
        let changed = Changed {
            value: &change.value,
            set_as: change.set_as.as_deref(),
        };
        entry(change.property, change.property.name, Some(changed))
    });
    list(entries.collect())
}

fn entry<'a>(property: &'a Property, name: &'a str, changed: Option<Changed<'a>>) -> Entry<'a> {
    let (evidence, waits_for) = match property.handling {
        Handling::Implemented { evidence } => (Some(evidence), None),
        Handling::Planned { waits_for, .. } => (None, Some(waits_for)),
        _ => (None, None),
    };
    Entry {
        name,
        alias_of: (name != property.name).then_some(property.name),
        scope: explain::scope(property.scope),
        origin: match property.origin {
            Origin::Ours => "event-kafka",
            Origin::Librdkafka | Origin::LibrdkafkaHidden => "librdkafka",
        },
        hidden: property.origin == Origin::LibrdkafkaHidden,
        r#type: property.kind_name(),
        range: property.range(),
        default: property.default,
        importance: explain::importance(property.importance),
        sensitive: property.sensitive,
        handling: property.handling.name(),
        explanation: explain::handling(property),
        evidence,
        waits_for,
        doc: property.doc,
        changed,
    }
}

fn list(entries: Vec<Entry<'_>>) -> String {
    let text = serde_json::to_string_pretty(&entries).expect("texts and booleans are JSON");
    text + "\n"
}
