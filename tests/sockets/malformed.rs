use event_kafka::config::BrokersProblem;
use event_kafka::opensips::{BrokerId, Socket, SocketError, SocketProblem};

use crate::support::{Pretended, configured};

/// Each of these ends OpenSIPS when its own module meets it (defect B3).
#[test]
fn sockets_that_crash_upstream_are_errors() {
    for (text, position, words) in [
        ("host:9/", 7, "topic \"\": it is empty"),
        ("host:9/t?", 9, "there is no property"),
        ("host:9/a/b", 8, "only letters, digits"),
        ("SSL://host/t", 3, "g.security.protocol"),
        ("kafka", 5, "there is no topic"),
    ] {
        for start in ["", "kafka:"] {
            let text = format!("{start}{text}");
            let error = Socket::parse(&text).unwrap_err();
            assert_eq!(error.position, start.len() + position, "{text}: {error}");
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
        let text = format!("[k1] {text}");
        let error = BrokerId::parse(&text).unwrap_err();
        assert_eq!(error.position, "[k1] ".len() + position, "{text}: {error}");
    }
}

#[test]
fn what_breaks_the_grammar_is_an_error_with_its_place_and_a_remedy() {
    for (text, position, words) in [
        ("", 0, "brokers/topic"),
        ("?", 0, "there is no topic"),
        ("kafka:", 6, "there is no topic"),
        ("kafka:host:9092", 15, "there is no topic"),
        ("kafka:host?t.acks=1", 10, "there is no topic"),
        ("host?g.client.id=/t", 4, "there is no topic"),
        ("host/?t.acks=1", 5, "it is empty"),
        ("host/ \t", 7, "it is empty"),
        ("host/..", 5, "reserved"),
        ("host/a b", 6, "only letters"),
        ("host/\u{e9}", 5, "only letters"),
        ("kafka:a:1,b:http/t", 10, "port is no number"),
        ("a:1, :2/t", 5, "there is no host"),
        ("host/t?t.acks=1&", 16, "remove the '?' or '&'"),
        ("host/t?t.acks=1&&key=none", 16, "there is no property"),
        ("host/t?&t.acks=1", 7, "there is no property"),
        ("host/t?t.acks", 7, "property t.acks has no '='"),
        ("host/t?key", 7, "write name=value"),
        ("host/t?acks=all", 7, "did you mean t.acks?"),
        ("host/t?linger.ms=1", 7, "did you mean g.linger.ms?"),
        ("host/t?lingr.ms=1", 7, "did you mean g.linger.ms?"),
        ("host/t?colour=red", 7, "write g.NAME=VALUE"),
        ("host/t?=b", 7, "no such property"),
        ("host/t?G.acks=1", 7, "no such property"),
        ("host/t?key=foo", 11, "key=callid"),
        ("host/t?key=", 11, "key=callid"),
        ("host/t?key=param:", 11, "param:NAME"),
        ("host/t?key=@env:HOME", 11, "key=callid"),
        ("host/t?payload=xml", 15, "payload=raw"),
        ("host/t?payload=@env:P", 15, "payload=json"),
        ("host/t?members=", 15, "id,timestamp,node"),
        ("host/t?members=id,,node", 15, "no such member"),
        ("host/t?members=id,host", 15, "no such member"),
        ("host/t?header.=x", 7, "header.NAME=VALUE"),
        ("host/t?header.a", 7, "there is no '='"),
        ("host/t?header=x", 7, "no such property"),
        ("host/t?strict=no", 14, "strict=0"),
        ("host/t?config=", 14, "config=PATH"),
        ("host/t?g.client.id=\"x", 19, "closing quote is missing"),
        ("host/t?g.client.id=\"x\"y", 22, "follows the closing quote"),
        ("host/t?g.client.id=\"\\n\"", 20, "write \\\\"),
        ("host/t?g.client.id=@file:", 19, "@file:PATH"),
        ("host/t?g.client.id=@env:&key=none", 19, "@env:NAME"),
    ] {
        let error = Socket::parse(text).unwrap_err();
        assert_eq!(error.position, position, "{text}: {error}");
        let shown = error.to_string();
        assert!(shown.contains(words), "{text}: {shown}");
        assert!(shown.starts_with("socket, byte "), "{text}: {shown}");
        assert_eq!(shown.lines().count(), 1, "{text}: {shown}");
    }
}

#[test]
fn a_broker_id_needs_its_id() {
    for (text, position, problem) in [
        ("", 0, SocketProblem::NoId),
        (" \t", 2, SocketProblem::NoId),
        ("a/t", 0, SocketProblem::NoId),
        (" k1]a/t", 1, SocketProblem::NoId),
        ("[", 1, SocketProblem::NoEndOfId),
        ("[k1 a/t", 7, SocketProblem::NoEndOfId),
        ("[k1]", 4, SocketProblem::NoTopic),
        ("[k1] a/t?", 9, SocketProblem::NoProperty),
    ] {
        let expected = SocketError { position, problem };
        assert_eq!(BrokerId::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn a_wrong_broker_is_told_as_such() {
    let error = Socket::parse("a:1, [x]/t").unwrap_err();
    let SocketProblem::Brokers(brokers) = &error.problem else {
        panic!("{error}")
    };
    assert_eq!(
        (error.position, brokers.problem),
        (5, BrokersProblem::BadIpv6)
    );
}

#[test]
fn property_errors_point_at_the_name_or_at_the_value() {
    for (text, position, words) in [
        (
            "a/t?key=none&g.bogus=1",
            13,
            "property g.bogus: no such property",
        ),
        ("a/t?g.lingr.ms=1", 4, "did you mean linger.ms?"),
        ("a/t?t.linger.ms=1", 4, "belongs to the producer"),
        (
            "a/t?t.acks=99999",
            11,
            "property t.acks (request.required.acks): value \"99999\"",
        ),
        (
            "a/t?g.linger.ms=\"5ms\"",
            16,
            "property g.linger.ms (queue.buffering.max.ms)",
        ),
        ("a/t?g.bootstrap.servers=x:http", 24, "port is no number"),
    ] {
        let error = configured(text, Pretended::default()).unwrap_err();
        assert_eq!(error.position, position, "{text}: {error}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}
