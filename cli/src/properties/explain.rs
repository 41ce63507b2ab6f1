//! What the table says, in words.

use event_kafka::config::{
    Handling, Importance, Origin, Property, Refusal, Refused, Scope, UntilThen,
};

pub(super) fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => "global",
        Scope::Topic => "topic",
    }
}

pub(super) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Librdkafka => "librdkafka",
        Origin::LibrdkafkaHidden => "librdkafka, hidden",
        Origin::Ours => "event-kafka",
    }
}

pub(super) fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::High => "high",
        Importance::Medium => "medium",
        Importance::Low => "low",
    }
}

/// What becomes of the property: all that its row says of that.
pub(super) fn handling(property: &Property) -> String {
    let refusals = property.refusals.iter().map(refusal);
    std::iter::once(handling_alone(property))
        .chain(refusals)
        .collect::<Vec<_>>()
        .join("; ")
}

fn handling_alone(property: &Property) -> String {
    let name = property.handling.name();
    match property.handling {
        Handling::Implemented { .. } | Handling::ConsumerOnly => name.to_owned(),
        Handling::AcceptedNoOp { reason } => format!("{name}: {reason}"),
        Handling::Planned {
            waits_for,
            until_then: UntilThen::Ignored,
        } => format!("{name}: waits for {waits_for}; until then accepted with a warning"),
        Handling::Planned {
            waits_for,
            until_then: UntilThen::Refused { off },
        } => {
            let off: String = off.iter().map(|text| format!(" and {text}")).collect();
            format!("{name}: waits for {waits_for}; until then only the default{off}")
        }
        Handling::Rejected { reason, instead } => format!("{name}: {reason}; {instead}"),
        Handling::DedicatedApi { call: Some(call) } => format!("{name}: use {call}"),
        Handling::DedicatedApi { call: None } => format!("{name}: there is no call for it yet"),
    }
}

fn refusal(refusal: &Refusal) -> String {
    let values = match refusal.values {
        Refused::Above(number) => format!("numbers above {number}"),
        Refused::Words(words) => words.join(", "),
    };
    format!("{values} refused: {}", refusal.reason)
}
