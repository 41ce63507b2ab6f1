//! No socket that is cut off, or has one byte more, less or another one, does harm.

use event_kafka::check_topic_name;
use event_kafka::config::{Config, parse_brokers};
use event_kafka::opensips::{BrokerId, Socket, SocketError};

use crate::forms::{BROKER_IDS, EXTENSIONS, UPSTREAM};
use crate::support::Pretended;

#[test]
fn every_prefix_of_every_socket_is_taken_or_answered_with_a_place_in_it() {
    for (text, _) in UPSTREAM.iter().chain(EXTENSIONS) {
        for text in prefixes(text) {
            check(text, Socket::parse(text)).inspect(|socket| obey(text, socket));
        }
    }
    for (text, _) in BROKER_IDS {
        for text in prefixes(text) {
            let socket = BrokerId::parse(text).map(|broker| broker.socket);
            check(text, socket).inspect(|socket| obey(text, socket));
        }
    }
}

#[test]
fn every_change_of_a_character_is_taken_or_answered_with_a_place_in_it() {
    for (text, _) in UPSTREAM.iter().chain(EXTENSIONS) {
        for text in changes(text) {
            check(&text, Socket::parse(&text));
        }
    }
    for (text, _) in BROKER_IDS {
        for text in changes(text) {
            check(&text, BrokerId::parse(&text).map(|broker| broker.socket));
        }
    }
}

#[test]
fn of_sockets_without_our_extensions_those_are_taken_that_upstream_takes() {
    let mut verdicts = [0, 0];
    for (text, _) in UPSTREAM {
        // So that no property is judged.
        let text = text.replacen('?', "?strict=0&", 1);
        let texts = changes(&text).chain(prefixes(&text).map(str::to_owned));
        for text in texts.filter(|text| is_lenient(text) && !is_extended(text)) {
            let ours = Socket::parse(&text);
            let upstream = upstream_takes(&text);
            assert_eq!(ours.is_ok(), upstream, "{text:?}: {ours:?}");
            verdicts[usize::from(upstream)] += 1;
        }
    }
    assert!(verdicts.iter().all(|count| *count > 1_000), "{verdicts:?}");
}

/// The socket, if it is one. All that is told of it is told of a place in it.
fn check<'a>(text: &str, parsed: Result<Socket<'a>, SocketError>) -> Option<Socket<'a>> {
    match parsed {
        Ok(socket) => {
            for warning in &socket.warnings {
                assert!(
                    text.is_char_boundary(warning.position),
                    "{text:?}: {warning}"
                );
            }
            Some(socket)
        }
        Err(error) => {
            check_place(text, &error);
            None
        }
    }
}

/// That nobody can read the files and variables is an error with a place, too.
fn obey(text: &str, socket: &Socket<'_>) {
    let mut config = Config::default();
    let resolved = socket.resolve(&Pretended::default());
    if let Err(error) = resolved.and_then(|resolved| resolved.configure(&mut config)) {
        check_place(text, &error);
    }
}

fn check_place(text: &str, error: &SocketError) {
    assert!(text.is_char_boundary(error.position), "{text:?}: {error}");
}

fn prefixes(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.char_indices().map(|(end, _)| end);
    ends.chain([text.len()]).map(|end| &text[..end])
}

/// Whether nothing in it is judged but the grammar.
fn is_lenient(text: &str) -> bool {
    let Some((_, properties)) = text.split_once('?') else {
        return true;
    };
    let rest = properties.strip_prefix("strict=0");
    properties.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('&'))
}

/// Whether it may hold what upstream refuses or takes for something else.
fn is_extended(text: &str) -> bool {
    let properties = text
        .split_once('?')
        .map_or("", |(_, properties)| properties);
    let has_two = |property: &str| property.matches('=').count() > 1;
    text.contains(['"', '@']) || properties.split('&').any(has_two)
}

/// `text` with one character left out, doubled, or followed or replaced by one that means
/// something.
fn changes(text: &str) -> impl Iterator<Item = String> {
    text.char_indices().flat_map(move |(start, char)| {
        let (before, from) = text.split_at(start);
        let after = &from[char.len_utf8()..];
        let changed = "&=?/:@\"\\\u{e9}".chars().flat_map(move |new| {
            [
                format!("{before}{new}{after}"),
                format!("{before}{char}{new}{after}"),
            ]
        });
        changed.chain([
            format!("{before}{after}"),
            format!("{before}{char}{char}{after}"),
        ])
    })
}

/// What upstream makes of a socket that has none of our extensions, on the conditions that brokers
/// and topic can be some at all. It was read from its behaviour: the first '/' ends the brokers, a
/// second one is an error, the first '?' ends the topic; each property has exactly one '='.
fn upstream_takes(text: &str) -> bool {
    let (path, properties) = match text.split_once('?') {
        Some((path, properties)) => (path, Some(properties)),
        None => (text, None),
    };
    let Some((brokers, topic)) = path.split_once('/') else {
        return false;
    };
    // OpenSIPS' core takes the transport off.
    let brokers = match brokers.strip_prefix("kafka:") {
        Some(rest) if !is_port(rest) => rest,
        _ => brokers,
    };
    parse_brokers(brokers).is_ok()
        && check_topic_name(topic.trim_ascii()).is_ok()
        && properties.is_none_or(|properties| {
            properties
                .split('&')
                .all(|property| property.matches('=').count() == 1)
        })
}

/// Whether `kafka:` before it is a host rather than the transport.
fn is_port(brokers: &str) -> bool {
    let first = brokers.split(',').next().unwrap_or_default();
    !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit())
}
