//! Properties for people at a terminal.

use std::fmt::Write;

use event_kafka::config::{Change, Property, Scope};

use super::{explain, origin};
use crate::columns::Head::Left;
use crate::columns::table;

/// A line for every name.
pub(super) fn list(properties: &[&Property]) -> String {
    let heads = [
        Left("NAME"),
        Left("SCOPE"),
        Left("HANDLING"),
        Left("DEFAULT"),
        Left("VALUES"),
    ];
    let rows = properties.iter().flat_map(|p| {
        p.names().map(|name| {
            let values = if name == p.name {
                p.range()
            } else {
                format!("as {}", p.name)
            };
            [
                name.to_owned(),
                explain::scope(p.scope).to_owned(),
                p.handling.name().to_owned(),
                short(p.default),
                values,
            ]
        })
    });
    lines(&table(heads, rows, usize::MAX))
}

/// What differs from the defaults.
pub(super) fn changes(changes: &[Change]) -> String {
    let heads = [
        Left("NAME"),
        Left("SCOPE"),
        Left("VALUE"),
        Left("DEFAULT"),
        Left("SET AS"),
    ];
    let rows = changes.iter().map(|change| {
        [
            change.property.name.to_owned(),
            explain::scope(change.property.scope).to_owned(),
            change.value.clone(),
            short(change.property.default),
            origin(change).to_owned(),
        ]
    });
    lines(&table(heads, rows, usize::MAX))
}

/// All about each.
pub(super) fn cards(properties: &[&Property]) -> String {
    let cards: Vec<_> = properties.iter().map(|property| card(property)).collect();
    cards.join("\n")
}

fn card(property: &Property) -> String {
    let mut text = format!("{}\n  {}\n\n", property.name, property.doc);
    let scope = match property.scope {
        Scope::Global => "the producer: g. in a socket",
        Scope::Topic => "a topic: t. in a socket; on the producer it is the default of all topics",
    };
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {label:<11} {value}");
        }
    };
    line("also called", &property.aliases.join(", "));
    line("set on", scope);
    line("values", &property.allowed());
    line("default", property.default);
    line("importance", explain::importance(property.importance));
    line("origin", explain::origin(property.origin));
    line(
        "sensitive",
        if property.sensitive {
            "its value is shown to nobody"
        } else {
            ""
        },
    );
    line("handling", &explain::handling(property));
    text
}

/// One default is a whole command line.
fn short(text: &str) -> String {
    const LONGEST: usize = 24;
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
