//! What is in Kafka, byte for byte.

use std::net::UdpSocket;
use std::time::Duration;

use fastrand::Rng;

use super::{Key, Topic, assert_bytes, shared_cluster, value_of};
use crate::server::Server;
use crate::tree::Tree;

/// What OpenSIPS' own module was seen to put into Kafka, and what ours puts there where that would be
/// no JSON.
struct Row {
    name: &'static str,
    /// What the script does. The list of an AVP is in the reverse order.
    does: &'static str,
    /// What `$rb` is.
    body: &'static [u8],
    key: Key,
    value: &'static [u8],
}

const ROWS: &[Row] = &[
    Row {
        name: "no params",
        does: r#"raise_event("E_C0");"#,
        body: b"",
        key: Key::None,
        value: br#"{"jsonrpc":"2.0","method":"E_C0"}"#,
    },
    Row {
        name: "names without values",
        does: r#"$avp(v) = "first"; raise_event("E_C0", $avp(v));"#,
        body: b"",
        key: Key::None,
        value: br#"{"jsonrpc":"2.0","method":"E_C0"}"#,
    },
    Row {
        name: "positional",
        does: r#"$avp(v) = "third"; $avp(v) = 42; $avp(v) = "first"; raise_event("E_C0", , $avp(v));"#,
        body: b"",
        key: Key::None,
        value: br#"{"jsonrpc":"2.0","method":"E_C0","params":["first",42,"third"]}"#,
    },
    Row {
        name: "named",
        does: r#"
            $avp(n) = "n3"; $avp(n) = "n2"; $avp(n) = "n1";
            $avp(v) = -7; $avp(v) = 2147483647; $avp(v) = $rb;
            raise_event("E_C0", $avp(n), $avp(v));"#,
        body: br#"q"uo\te/ sl"#,
        key: Key::None,
        value: br#"{"jsonrpc":"2.0","method":"E_C0","params":{"n1":"q\"uo\\te/ sl","n2":2147483647,"n3":-7}}"#,
    },
    Row {
        name: "least integer and zero",
        does: r#"$avp(v) = 0; $avp(v) = $(rb{s.int}); raise_event("E_C0", , $avp(v));"#,
        body: b"-2147483648",
        key: Key::None,
        value: br#"{"jsonrpc":"2.0","method":"E_C0","params":[-2147483648,0]}"#,
    },
    Row {
        name: "duplicate names, empty string, quote in name",
        does: r#"
            $avp(n) = "dup"; $avp(n) = "dup"; $avp(n) = $rb;
            $avp(v) = "x"; $avp(v) = ""; $avp(v) = 0;
            raise_event("E_C0", $avp(n), $avp(v));"#,
        body: b"k\"ey",
        key: Key::None,
        value: br#"{"jsonrpc":"2.0","method":"E_C0","params":{"k\"ey":0,"dup":"","dup":"x"}}"#,
    },
    Row {
        name: "UTF-8",
        does: TEXT,
        body: "é€😀".as_bytes(),
        key: Key::None,
        value: "{\"jsonrpc\":\"2.0\",\"method\":\"E_C0\",\"params\":[\"é€😀\"]}".as_bytes(),
    },
    Row {
        name: "controls",
        does: TEXT,
        body: b"\t\n\r\x08\x0c\x01\x1f\x7f/",
        key: Key::None,
        value: b"{\"jsonrpc\":\"2.0\",\"method\":\"E_C0\",\"params\":[\"\\t\\n\\r\\b\\f\\u0001\\u001f\x7f/\"]}",
    },
    Row {
        name: "JSON in a string",
        does: TEXT,
        body: br#"{"a":["\"b\\c"]}"#,
        key: Key::None,
        value: br#"{"jsonrpc":"2.0","method":"E_C0","params":["{\"a\":[\"\\\"b\\\\c\"]}"]}"#,
    },
    Row {
        name: "invalid UTF-8, payload=raw",
        does: RAW,
        body: b"inv \xff\xfe bytes",
        key: Key::None,
        value: b"{\"jsonrpc\":\"2.0\",\"method\":\"E_RAW\",\"params\":{\"body\":\"inv \xff\xfe bytes\"}}",
    },
    Row {
        name: "invalid UTF-8, as JSON",
        does: TEXT,
        body: b"inv \xff\xfe bytes",
        key: Key::None,
        value: "{\"jsonrpc\":\"2.0\",\"method\":\"E_C0\",\"params\":[\"inv \u{fffd}\u{fffd} bytes\"]}"
            .as_bytes(),
    },
    Row {
        name: "NUL, payload=raw",
        does: RAW,
        body: b"nul \0 after",
        key: Key::None,
        value: br#"{"jsonrpc":"2.0","method":"E_RAW","params":{"body":"nul "}}"#,
    },
    Row {
        name: "NUL, as JSON",
        does: TEXT,
        body: b"nul \0 after",
        key: Key::None,
        value: br#"{"jsonrpc":"2.0","method":"E_C0","params":["nul \u0000 after"]}"#,
    },
    Row {
        name: "E_PIKE_BLOCKED",
        does: r#"
            $var(i) = 0;
            while ($var(i) < 100) { pike_check_req(); $var(i) = $var(i) + 1; }"#,
        body: b"",
        // It is raised for no message.
        key: Key::None,
        value: br#"{"jsonrpc":"2.0","method":"E_PIKE_BLOCKED","params":{"ip":"127.0.0.1"}}"#,
    },
    Row {
        name: "key=callid",
        does: r#"raise_event("E_CALL");"#,
        body: b"",
        key: Key::CallId,
        value: br#"{"jsonrpc":"2.0","method":"E_CALL"}"#,
    },
    Row {
        name: "key=param:NAME",
        does: r#"$avp(n) = "ip"; $avp(v) = $si; raise_event("E_PARAM", $avp(n), $avp(v));"#,
        body: b"",
        key: Key::Is(b"127.0.0.1"),
        value: br#"{"jsonrpc":"2.0","method":"E_PARAM","params":{"ip":"127.0.0.1"}}"#,
    },
    Row {
        name: "kafka_publish",
        does: r#"kafka_publish("k1", $rb, $rb);"#,
        body: b"bin \0\xff nul",
        key: Key::Is(b"bin \0\xff nul"),
        value: b"bin \0\xff nul",
    },
    Row {
        name: "kafka_publish, empty key",
        does: r#"kafka_publish("k1", $rb, "");"#,
        body: b"value",
        key: Key::None,
        value: b"value",
    },
    Row {
        name: "kafka_publish, empty message",
        does: r#"kafka_publish("k1", "", $ci);"#,
        body: b"",
        key: Key::CallId,
        value: b"",
    },
];

const TEXT: &str = r#"$avp(v) = $rb; raise_event("E_C0", , $avp(v));"#;
const RAW: &str = r#"$avp(n) = "body"; $avp(v) = $rb; raise_event("E_RAW", $avp(n), $avp(v));"#;

pub(super) fn payloads(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "payloads");
    let rows: String = ROWS
        .iter()
        .enumerate()
        .map(|(index, row)| format!("case \"{index}\": {} break;\n", row.does))
        .collect();
    let script = format!(
        r#"
loadmodule "pike.so"
modparam("event_kafka", "broker_id", "[k1]{topic}?g.linger.ms=0")
startup_route {{
    subscribe_event("E_C0", "kafka:{topic}?g.linger.ms=0");
    subscribe_event("E_RAW", "kafka:{topic}?g.linger.ms=0&payload=raw");
    subscribe_event("E_PIKE_BLOCKED", "kafka:{topic}?g.linger.ms=0&key=callid");
    subscribe_event("E_CALL", "kafka:{topic}?g.linger.ms=0&key=callid");
    subscribe_event("E_PARAM", "kafka:{topic}?g.linger.ms=0&key=param:ip");
}}
route {{ switch ($rU) {{ {rows} }} sl_send_reply(200, "OK"); }}
"#
    );
    let server = Server::start(tree, "payloads", &script);
    let mut client = server.client();
    for (index, row) in ROWS.iter().enumerate() {
        client.request(&index.to_string(), row.body);
        let records = topic.wait_for(index + 1);
        assert_eq!(records.len(), index + 1, "{}", row.name);
        let record = &records[index];
        assert_bytes(row.name, value_of(record), row.value);
        row.key.expect(row.name, record, &client);
        assert!(record.headers.is_empty(), "{}", row.name);
    }
    server.end();
    Some(format!("{} rows equal", ROWS.len()))
}

/// Events that are drawn, told to ours and to event_datagram, which has the core make its bytes.
pub(super) fn core_payloads(tree: &Tree) -> Option<String> {
    const EVENTS: usize = 300;
    let topic = Topic::new(shared_cluster()?, "core");
    let told = UdpSocket::bind("127.0.0.1:0").unwrap();
    told.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let core = told.local_addr().unwrap();
    let script = format!(
        r#"
loadmodule "event_datagram.so"
startup_route {{
    subscribe_event("E_JSON", "kafka:{topic}?g.linger.ms=0");
    subscribe_event("E_JSON", "udp:{core}");
    subscribe_event("E_RAW", "kafka:{topic}?g.linger.ms=0&payload=raw");
    subscribe_event("E_RAW", "udp:{core}");
}}
route {{
    if ($rU != "ready") {{
        $avp(n) = $(rb{{s.select,0,|}}); $avp(n) = "number";
        $avp(v) = $(rb{{s.select,1,|}}); $avp(v) = $(rb{{s.select,2,|}}{{s.int}});
    }}
    switch ($rU) {{
    case "json-named": raise_event("E_JSON", $avp(n), $avp(v)); break;
    case "json-list": raise_event("E_JSON", , $avp(v)); break;
    case "raw-named": raise_event("E_RAW", $avp(n), $avp(v)); break;
    case "raw-list": raise_event("E_RAW", , $avp(v)); break;
    }}
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, "core", &script);
    let mut client = server.client();
    let seed = fastrand::u64(..);
    let mut rng = Rng::with_seed(seed);
    let mut expected = Vec::new();
    for _ in 0..EVENTS {
        let (users, valid) = match rng.bool() {
            true => (["json-named", "json-list"], true),
            false => (["raw-named", "raw-list"], false),
        };
        let number = rng.i32(..).to_string();
        let parts = [
            text(&mut rng, valid),
            text(&mut rng, valid),
            number.into_bytes(),
        ];
        client.request(rng.choice(users).unwrap(), &parts.join(&b'|'));
        let mut datagram = [0; 65536];
        let size = told
            .recv(&mut datagram)
            .unwrap_or_else(|error| panic!("{error}, seed {seed}"));
        expected.push(datagram[..size].to_vec());
    }
    let records = topic.wait_for(EVENTS);
    server.end();
    let mut values: Vec<_> = records.iter().map(value_of).collect();
    // Two processes raised them.
    values.sort();
    expected.sort();
    for (value, expected) in values.iter().zip(&expected) {
        assert_bytes(&format!("seed {seed}"), value, expected);
    }
    assert_eq!(values.len(), EVENTS);
    Some(format!("{EVENTS} drawn events equal (seed {seed})"))
}

/// At least one character; or any bytes, if it need not be valid.
fn text(rng: &mut Rng, valid: bool) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..rng.usize(1..40) {
        let any = match rng.u8(0..8) {
            0 => rng.char('\u{1}'..='\u{1f}'),
            1 => *rng.choice(&['"', '\\', '/', '\u{7f}', '\'']).unwrap(),
            2 => rng.char('\u{80}'..='\u{10ffff}'),
            3 if !valid => {
                text.push(rng.u8(..));
                continue;
            }
            _ => rng.alphanumeric(),
        };
        text.extend(any.to_string().into_bytes());
    }
    // It parts the texts of a body.
    text.retain(|byte| *byte != b'|');
    if text.is_empty() {
        text.push(b'x');
    }
    text
}
