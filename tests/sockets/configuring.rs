use std::time::Duration;

use event_kafka::config::{Config, Problem};
use event_kafka::opensips::{Socket, SocketNotice, SocketProblem, System};
use event_kafka::settings::Acks;

use crate::support::{Pretended, configured};

const NOTHING: Pretended<'_> = Pretended {
    files: &[],
    variables: &[],
};

fn client_id(text: &str, outside: Pretended<'_>) -> String {
    let (config, warnings) = configured(text, outside).unwrap_or_else(|error| panic!("{error}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    config.finish().unwrap().settings.client_id
}

fn brokers(text: &str, outside: Pretended<'_>) -> String {
    let (config, _) = configured(text, outside).unwrap();
    let settings = config.finish().unwrap().settings;
    settings
        .bootstrap
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

#[test]
fn headers_arrive_as_they_are_meant_and_in_their_order() {
    let outside = Pretended {
        files: &[("/site", b"berlin\n")],
        variables: &[("NODE", "sip1")],
    };
    let text = r#"a/t?header.b=@env:NODE&header.a=@file:/site&header.b="\"&\""&header.c="#;
    let socket = Socket::parse(text).unwrap();
    let resolved = socket.resolve(&outside).unwrap();
    let headers = resolved.headers().into_iter();
    let headers: Vec<_> = headers
        .map(|header| (header.name, header.value.map(String::from_utf8_lossy)))
        .collect();
    let header = |name, value: &'static str| (name, Some(value.into()));
    assert_eq!(
        headers,
        [
            header("b", "sip1"),
            header("a", "berlin"),
            header("b", r#""&""#),
            header("c", ""),
        ]
    );
}

#[test]
fn a_header_that_is_not_there_is_pointed_at() {
    for (text, position) in [
        ("a/t?t.acks=1&header.a=@file:/none", 22),
        ("a/t?header.a=@env:NONE", 13),
    ] {
        let socket = Socket::parse(text).unwrap();
        let error = socket.resolve(&NOTHING).err().map(|error| error.position);
        assert_eq!(error, Some(position), "{text}");
    }
}

#[test]
fn values_arrive_as_they_are_meant() {
    let outside = Pretended {
        files: &[
            ("/id", b"from a file"),
            ("/lf", b" two lines\n\n"),
            ("/crlf", b"from elsewhere\r\n"),
            ("/empty", b""),
        ],
        variables: &[("ID", "from outside\n"), ("EMPTY", "")],
    };
    for (value, id) in [
        ("a=b==", "a=b=="),
        ("%2F", "%2F"),
        (r#""a&b c""#, "a&b c"),
        (r#""\"a\\b\"""#, r#""a\b""#),
        (r#"a"b"#, r#"a"b"#),
        ("", "rdkafka"),
        (r#""""#, "rdkafka"),
        ("@file:/id", "from a file"),
        ("@file:/lf", "two lines\n"),
        ("@file:/crlf", "from elsewhere"),
        ("@file:/empty", "rdkafka"),
        ("@env:ID", "from outside\n"),
        ("@env:EMPTY", "rdkafka"),
        (r#""@file:/id""#, "@file:/id"),
    ] {
        let text = format!("a/t?g.client.id={value}&t.acks=1");
        assert_eq!(client_id(&text, outside), id, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_it() {
    let outside = Pretended {
        files: &[("/latin1", b"\xe9")],
        variables: &[],
    };
    let unreadable = |path: &str| SocketProblem::Unreadable {
        path: path.into(),
        reason: "entity not found".into(),
    };
    for (text, position, problem) in [
        ("a/t?g.client.id=@file:/none", 16, unreadable("/none")),
        ("a/t?strict=0&config=/none", 20, unreadable("/none")),
        (
            "a/t?g.client.id=@file:/latin1",
            16,
            SocketProblem::NotUtf8("/latin1".into()),
        ),
        (
            "a/t?config=/latin1",
            11,
            SocketProblem::NotUtf8("/latin1".into()),
        ),
        (
            "a/t?strict=0&g.client.id=@env:NONE",
            25,
            SocketProblem::NoVariable("NONE".into()),
        ),
    ] {
        let error = configured(text, outside).unwrap_err();
        assert_eq!(
            (error.position, &error.problem),
            (position, &problem),
            "{text}: {error}"
        );
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
}

#[test]
fn the_system_is_asked_for_files_and_variables() {
    let file = format!("{}/client-id", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&file, "me\n").unwrap();
    let text = format!("a/t?g.client.id=@file:{file}");
    let mut config = Config::default();
    let socket = Socket::parse(&text).unwrap();
    socket
        .resolve(&System)
        .unwrap()
        .configure(&mut config)
        .unwrap();
    assert_eq!(config.finish().unwrap().settings.client_id, "me");

    let package = Socket::parse("a/t?g.client.id=@env:CARGO_PKG_NAME").unwrap();
    let mut config = Config::default();
    package
        .resolve(&System)
        .unwrap()
        .configure(&mut config)
        .unwrap();
    assert_eq!(config.finish().unwrap().settings.client_id, "event-kafka");

    for (text, words) in [
        ("a/t?g.client.id=@file:/", "cannot read /: "),
        ("a/t?g.client.id=@file:/dev/zero", "larger than 1 MiB"),
        (
            "a/t?g.client.id=@env:EVENT_KAFKA_NO_SUCH_VARIABLE",
            "is not set",
        ),
    ] {
        let error = Socket::parse(text).unwrap().resolve(&System).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn the_socket_goes_over_its_files_and_a_later_file_over_an_earlier_one() {
    let outside = Pretended {
        files: &[
            (
                "/1",
                b"# one\nbootstrap.servers=one\nclient.id=one\nlinger.ms=1\nacks=1\n",
            ),
            ("/2", b"client.id = two\n"),
        ],
        variables: &[],
    };
    let of = |text| {
        let (config, warnings) = configured(text, outside).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let finished = config.finish().unwrap();
        (finished.settings, finished.topic_settings)
    };
    let (settings, topic) = of("/t?t.acks=0&g.client.id=three&config=/1");
    assert_eq!(settings.bootstrap[0].host, "one");
    assert_eq!(
        (&*settings.client_id, settings.linger),
        ("three", Duration::from_millis(1))
    );
    assert_eq!(topic.acks, Acks::None);

    let (settings, topic) = of("here/t?config=/1&config=/2");
    assert_eq!(
        (&*settings.bootstrap[0].host, &*settings.client_id),
        ("here", "two")
    );
    assert_eq!(topic.acks, Acks::Leader);
}

#[test]
fn an_error_in_a_file_names_file_and_line() {
    let outside = Pretended {
        files: &[(
            "/etc/k.conf",
            b"client.id=x\n\nlingr.ms=1\nlinger.ms=soon\nacks\n",
        )],
        variables: &[],
    };
    let error = configured("a/t?config=/etc/k.conf", outside).unwrap_err();
    assert_eq!(
        error.to_string(),
        "socket, byte 11: /etc/k.conf:3: property lingr.ms: no such property; did you mean \
         linger.ms?"
    );
    let (config, warnings) = configured("a/t?strict=0&config=/etc/k.conf", outside).unwrap();
    assert_eq!(config.finish().unwrap().settings.client_id, "x");
    let lines: Vec<_> = warnings
        .iter()
        .map(|warning| match &warning.notice {
            SocketNotice::Ignored(SocketProblem::File { error, .. }) => error.line,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lines, [3, 4, 5]);
}

#[test]
fn brokers_come_from_the_property_then_the_address_then_whoever_configured_before() {
    assert_eq!(brokers("a:1/t?g.bootstrap.servers=b:2", NOTHING), "b:2");
    assert_eq!(brokers("a:1/t", NOTHING), "a:1");
    let mut config = Config::default();
    config.set("bootstrap.servers", "c:3").unwrap();
    let socket = Socket::parse("/t").unwrap();
    socket
        .resolve(&NOTHING)
        .unwrap()
        .configure(&mut config)
        .unwrap();
    assert_eq!(
        config.finish().unwrap().settings.bootstrap[0].to_string(),
        "c:3"
    );
}

#[test]
fn of_a_repeated_property_the_first_counts_and_the_topics_goes_over_the_producers() {
    for (properties, acks, position, words) in [
        (
            "t.acks=0&t.request.required.acks=1",
            Acks::None,
            13,
            "the one at byte 4 counts",
        ),
        (
            "g.acks=0&g.acks=1",
            Acks::None,
            13,
            "the one at byte 4 counts",
        ),
        (
            "g.acks=0&t.acks=1",
            Acks::Leader,
            4,
            "g.acks has no effect, the one at byte 13",
        ),
        (
            "t.acks=1&g.acks=0",
            Acks::Leader,
            13,
            "g.acks has no effect, the one at byte 4",
        ),
        (
            "strict=0&t.acks=9&t.acks=1",
            Acks::Leader,
            20,
            "ignored, as strict=0 says",
        ),
        (
            "strict=0&g.acks=1&t.acks=9",
            Acks::Leader,
            29,
            "ignored, as strict=0 says",
        ),
    ] {
        let (config, warnings) = configured(&format!("a/t?{properties}"), NOTHING).unwrap();
        assert_eq!(
            config.finish().unwrap().topic_settings.acks,
            acks,
            "{properties}"
        );
        let [warning] = &warnings[..] else {
            panic!("{properties}: {warnings:?}")
        };
        assert_eq!(warning.position, position, "{properties}: {warning}");
        assert!(
            warning.to_string().contains(words),
            "{properties}: {warning}"
        );
    }
}

#[test]
fn strict_0_makes_warnings_of_unknown_and_invalid_properties() {
    let text = "a/t?g.bogus=1&t.linger.ms=1&t.acks=99999&g.client.id=me&foo=1&strict=0";
    let (config, warnings) = configured(text, NOTHING).unwrap();
    assert_eq!(config.finish().unwrap().settings.client_id, "me");
    let places: Vec<_> = warnings.iter().map(|warning| warning.position).collect();
    assert_eq!(places, [4, 14, 35, 56]);

    let text = text.replace("strict=0", "strict=1");
    assert_eq!(configured(&text, NOTHING).unwrap_err().position, 56);
    let text = text.replace("&foo=1", "");
    assert_eq!(configured(&text, NOTHING).unwrap_err().position, 4);
}

#[test]
fn properties_named_topic_are_global() {
    let (config, warnings) =
        configured("a/t?g.topic.metadata.refresh.interval.ms=60000", NOTHING).unwrap();
    assert!(warnings.is_empty());
    let settings = config.finish().unwrap().settings;
    assert_eq!(
        settings.metadata_refresh_interval,
        Some(Duration::from_secs(60))
    );

    let error = configured("a/t?t.topic.metadata.refresh.interval.ms=1", NOTHING).unwrap_err();
    let SocketProblem::Property(error) = error.problem else {
        panic!("{error}")
    };
    assert_eq!(error.problem, Problem::GlobalOnly);
}
