use event_kafka::config::Scope;
use event_kafka::opensips::{
    BrokerId, BrokerIds, Members, Payload, Socket, SocketProblem, SocketValue,
};

/// A socket and what it is taken apart into, a part a line.
pub(crate) type Form = (&'static str, &'static [&'static str]);

/// What upstream documents, or was seen to accept.
pub(crate) const UPSTREAM: &[Form] = &[
    (
        "kafka:192.0.2.1:9092/cdr?t.message.timeout.ms=1000&key=callid",
        &[
            "192.0.2.1:9092",
            "cdr",
            "CallId",
            "t.message.timeout.ms=1000",
        ],
    ),
    (
        "192.0.2.1:9092/calls?g.linger.ms=100&t.acks=all",
        &[
            "192.0.2.1:9092",
            "calls",
            "None",
            "g.linger.ms=100",
            "t.acks=all",
        ],
    ),
    ("kafka:a/t", &["a", "t", "None"]),
    (
        "kafka:a:1,b:2,c/T.o-p_1?g.retries=3",
        &["a:1,b:2,c", "T.o-p_1", "None", "g.retries=3"],
    ),
    ("a:1, b:2 ,\tc:3/t", &["a:1, b:2 ,\tc:3", "t", "None"]),
    (
        "[2001:db8::1],[2001:db8::2]:9093/t",
        &["[2001:db8::1],[2001:db8::2]:9093", "t", "None"],
    ),
    (
        "/t?g.bootstrap.servers=a:1",
        &["", "t", "None", "g.bootstrap.servers=a:1"],
    ),
    (
        "a:1/t?g.metadata.broker.list=b:2,c:3",
        &["a:1", "t", "None", "g.metadata.broker.list=b:2,c:3"],
    ),
    ("a/t?g.client.id=", &["a", "t", "None", "g.client.id="]),
    (
        "a/t?g.client.id=?/#%+@:;, '\"",
        &["a", "t", "None", "g.client.id=?/#%+@:;, '\""],
    ),
    (
        "a/t?g.client.id=%2F%3D%26",
        &["a", "t", "None", "g.client.id=%2F%3D%26"],
    ),
    (
        "a/t?g.topic.metadata.refresh.interval.ms=60000&g.acks=1",
        &[
            "a",
            "t",
            "None",
            "g.topic.metadata.refresh.interval.ms=60000",
            "g.acks=1",
        ],
    ),
    // The host is called kafka.
    ("kafka:9092/t", &["kafka:9092", "t", "None"]),
    ("kafka:9092,b/t", &["kafka:9092,b", "t", "None"]),
    ("kafka:kafka:9092/t", &["kafka:9092", "t", "None"]),
    ("kafka/t", &["kafka", "t", "None"]),
    (
        "a/ t\t?t.acks=1",
        &[
            "a",
            "t",
            "None",
            "t.acks=1",
            "warning at 2: blanks around the topic",
        ],
    ),
    (
        "a/t?g.client.id=é&key=callid&t.acks=1",
        &["a", "t", "CallId", "g.client.id=é", "t.acks=1"],
    ),
];

/// What upstream refuses, or takes for something else.
pub(crate) const EXTENSIONS: &[Form] = &[
    (
        "a/t?g.sasl.password=ab=c==&g.client.id==",
        &["a", "t", "None", "g.sasl.password=ab=c==", "g.client.id=="],
    ),
    (
        r#"a/t?g.sasl.password="a&b=c d"&t.acks=1"#,
        &[
            "a",
            "t",
            "None",
            "g.sasl.password=quoted a&b=c d",
            "t.acks=1",
        ],
    ),
    (
        r#"a/t?g.sasl.password="\"\\&""#,
        &["a", "t", "None", r#"g.sasl.password=quoted \"\\&"#],
    ),
    (
        "a/t?g.sasl.password=@file:/run/secrets/kafka=1&g.sasl.username=@env:KAFKA_USER",
        &[
            "a",
            "t",
            "None",
            "g.sasl.password=file /run/secrets/kafka=1",
            "g.sasl.username=variable KAFKA_USER",
        ],
    ),
    (
        r#"a/t?g.client.id="@env:HOME"&g.client.rack=@home"#,
        &[
            "a",
            "t",
            "None",
            "g.client.id=quoted @env:HOME",
            "g.client.rack=@home",
        ],
    ),
    (
        "a/t?config=/etc/kafka/base.conf&t.acks=1&config=\"/etc/kafka/a&b.conf\"",
        &[
            "a",
            "t",
            "None",
            "t.acks=1",
            "file /etc/kafka/base.conf",
            "file /etc/kafka/a&b.conf",
        ],
    ),
    ("a/t?key=none", &["a", "t", "None"]),
    (
        "a/t?t.acks=1&key=param:ip",
        &["a", "t", "Param(\"ip\")", "t.acks=1"],
    ),
    (
        r#"a/t?key="param:the \"caller\"&co""#,
        &["a", "t", r#"Param("the \"caller\"&co")"#],
    ),
    (
        "a/t?key=callid&key=none",
        &[
            "a",
            "t",
            "CallId",
            "warning at 15: key has no effect, the one at byte 4 counts",
        ],
    ),
    ("a/t?strict=1&t.acks=1", &["a", "t", "None", "t.acks=1"]),
    ("a/t?payload=json", &["a", "t", "None"]),
    (
        "a/t?payload=raw&payload=json",
        &[
            "a",
            "t",
            "None",
            "Raw",
            "warning at 16: payload has no effect, the one at byte 4 counts",
        ],
    ),
    (
        r#"a/t?members="node, id"&t.acks=1"#,
        &[
            "a",
            "t",
            "None",
            "t.acks=1",
            "Members { id: true, timestamp: false, node: true }",
        ],
    ),
    (
        "a/t?members=timestamp",
        &[
            "a",
            "t",
            "None",
            "Members { id: false, timestamp: true, node: false }",
        ],
    ),
    (
        r#"a/t?header.source=sip&header.trace-id="a&b"&header.source=@file:/etc/hostname&header.x=@env:X&header.y="#,
        &[
            "a",
            "t",
            "None",
            "header source=sip",
            "header trace-id=quoted a&b",
            "header source=file /etc/hostname",
            "header x=variable X",
            "header y=",
        ],
    ),
    (
        "a/t?acks=all&=b&key=foo&t.acks=1&strict=0",
        &[
            "a",
            "t",
            "None",
            "t.acks=1",
            "lenient",
            "warning at 4: ignored, as strict=0 says: no such property without a prefix",
            "warning at 13: ignored, as strict=0 says: no such property",
            "warning at 20: ignored, as strict=0 says: no such source of keys",
        ],
    ),
];

/// The parameter `broker_id`; its ID comes first.
pub(crate) const BROKER_IDS: &[Form] = &[
    (
        "[k1]192.0.2.1:9092/topic1?g.linger.ms=100&t.acks=all",
        &[
            "k1",
            "192.0.2.1:9092",
            "topic1",
            "None",
            "g.linger.ms=100",
            "t.acks=all",
        ],
    ),
    (" \t[k 1/?]\r\n a/t", &["k 1/?", "a", "t", "None"]),
    ("[]a/t", &["", "a", "t", "None"]),
    ("[[k1]kafka:9092/t", &["[k1", "kafka:9092", "t", "None"]),
    ("[k1][::1]:9092/t", &["k1", "[::1]:9092", "t", "None"]),
    (
        "[k1]kafka:a/t?t.acks=1&key=callid",
        &[
            "k1",
            "a",
            "t",
            "CallId",
            "t.acks=1",
            "warning at 23: key= has no effect here",
        ],
    ),
    ("[k1]a/t?key=none", &["k1", "a", "t", "None"]),
    (
        "[k1]a/t?header.a=b&payload=raw&members=id",
        &[
            "k1",
            "a",
            "t",
            "None",
            "header a=b",
            "Raw",
            "Members { id: true, timestamp: false, node: false }",
            "warning at 19: payload= has no effect here",
            "warning at 31: members= has no effect here",
        ],
    ),
];

#[test]
fn every_form_of_a_socket_is_taken_apart() {
    for (text, expected) in UPSTREAM.iter().chain(EXTENSIONS) {
        let socket = Socket::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        compare(text, &parts(&socket), expected);
    }
}

#[test]
fn every_form_of_a_broker_id_is_taken_apart() {
    for (text, expected) in BROKER_IDS {
        let broker = BrokerId::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut parts = parts(&broker.socket);
        parts.insert(0, broker.id.to_owned());
        compare(text, &parts, expected);
    }
}

#[test]
fn an_id_is_taken_once_and_found_again() {
    let mut brokers = BrokerIds::default();
    brokers.add("[k1]a/t").unwrap();
    brokers.add("[]b/t").unwrap();
    let error = brokers.add(" [k1]c/t").unwrap_err();
    assert_eq!(
        (error.position, &error.problem),
        (2, &SocketProblem::IdTaken("k1".into()))
    );
    let brokers_of = |id| brokers.find(id).map(|broker| broker.socket.brokers);
    assert_eq!(brokers_of("k1"), Some("a"));
    assert_eq!(brokers_of(""), Some("b"));
    assert_eq!(brokers_of("k2"), None);
}

/// The parts of a socket, warnings without their remedy.
fn parts(socket: &Socket<'_>) -> Vec<String> {
    let mut parts = vec![
        socket.brokers.to_owned(),
        socket.topic.to_owned(),
        format!("{:?}", socket.key),
    ];
    parts.extend(socket.properties.iter().map(|property| {
        let prefix = match property.scope {
            Scope::Global => "g",
            Scope::Topic => "t",
        };
        format!("{prefix}.{}={}", property.name, value(property.value))
    }));
    parts.extend(
        socket
            .headers
            .iter()
            .map(|header| format!("header {}={}", header.name, value(header.value))),
    );
    parts.extend(
        socket
            .files
            .iter()
            .map(|file| format!("file {}", file.path)),
    );
    if socket.payload != Payload::Json {
        parts.push(format!("{:?}", socket.payload));
    }
    if socket.members != Members::default() {
        parts.push(format!("{:?}", socket.members));
    }
    if !socket.strict {
        parts.push("lenient".to_owned());
    }
    parts.extend(
        socket
            .warnings
            .iter()
            .map(|warning| format!("warning at {}: {}", warning.position, warning.notice)),
    );
    parts
}

/// Where it is, and what stands there.
fn value(value: SocketValue<'_>) -> String {
    let (how, text) = match value {
        SocketValue::Plain(text) => ("", text),
        SocketValue::Quoted(text) => ("quoted ", text),
        SocketValue::File(path) => ("file ", path),
        SocketValue::Variable(name) => ("variable ", name),
    };
    format!("{how}{text}")
}

fn compare(text: &str, parts: &[String], expected: &[&str]) {
    let as_expected = |(part, expected): (&String, &&str)| match expected.strip_prefix("warning") {
        Some(_) => part.starts_with(expected),
        None => part == expected,
    };
    assert!(
        parts.len() == expected.len() && parts.iter().zip(expected).all(as_expected),
        "{text:?} became {parts:#?}, not {expected:#?}"
    );
}
