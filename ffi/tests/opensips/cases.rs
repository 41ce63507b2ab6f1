//! What the module has to do in a real OpenSIPS. The numbers B1 to B23 are those of
//! `docs/opensips-defects.md`.

use std::time::Duration;

use kafka_mock::{Cluster, Record};
use nix::sys::signal::{Signal, kill};

use crate::server::Server;
use crate::tree::Tree;

type Case = fn(&Tree);

pub(crate) const ALL: &[(&str, Case)] = &[
    (
        "messages without key and route are published (B1)",
        publishing,
    ),
    ("report routes find all in their AVPs", reports),
    (
        "events are told byte for byte, with the Call-ID as key (B2)",
        payloads,
    ),
    ("malformed sockets are refused (B3)", malformed_sockets),
    (
        "a dead cluster refuses, and hinders no other (B4, B5)",
        dead_cluster,
    ),
    ("20 dead clusters make 20 reports (B6)", dead_ports),
    (
        "SIGTERM loses nothing of a burst of 100,000 (B9), a stray one does nothing (B19)",
        sigterm,
    ),
    ("renewed subscriptions are one (B12)", renewals),
    ("event_virtual fails over to a living cluster", failover),
    (
        "what is wrong in the configuration stops the start",
        refusals,
    ),
];

fn publishing(tree: &Tree) {
    let cluster = cluster(&["published"]);
    let script = format!(
        r#"
modparam("event_kafka", "broker_id", "[k1]{}/published?g.linger.ms=1")
startup_route {{ kafka_publish("k1", "at the start"); }}
route[report] {{ xlog("REPORT $avp(kafka_msg)\n"); }}
route {{
    $var(rc) = 0;
    if ($rU == "alone") {{ kafka_publish("k1", $rb); $var(rc) = $rc; }}
    if ($rU == "keyed") {{ kafka_publish("k1", $rb, $ci); $var(rc) = $rc; }}
    if ($rU == "routed") {{ kafka_publish("k1", $rb, , "report"); $var(rc) = $rc; }}
    if ($rU == "both") {{ kafka_publish("k1", $rb, "both", "report"); $var(rc) = $rc; }}
    if ($rU == "empty") {{ kafka_publish("k1", "", "key"); $var(rc) = $rc; }}
    if ($rU == "nokey") {{ kafka_publish("k1", "value", ""); $var(rc) = $rc; }}
    $var(id) = "zz";
    if ($rU == "unknown") {{ kafka_publish($var(id), $rb); $var(rc) = $rc; }}
    if ($rU == "nullkey") {{ kafka_publish("k1", $rb, $avp(none)); $var(rc) = $rc; }}
    if ($rU == "nullmessage") {{ kafka_publish("k1", $avp(none)); $var(rc) = $rc; }}
    sl_send_reply(200, "$var(rc)");
}}
"#,
        cluster.bootstrap()
    );
    let server = Server::start(tree, "publishing", &script);
    let mut client = server.client();
    assert_eq!(client.request("alone", b"alone"), "1");
    assert_eq!(client.request("keyed", b"bin \0\xff nul"), "1");
    let call_id = client.call_id();
    assert_eq!(client.request("routed", b"routed"), "1");
    assert_eq!(client.request("both", b"both"), "1");
    assert_eq!(client.request("empty", b"x"), "1");
    assert_eq!(client.request("nokey", b"x"), "1");
    for refused in ["unknown", "nullkey", "nullmessage"] {
        assert_ne!(client.request(refused, b"x"), "1", "{refused}");
    }
    server.wait_for_log("REPORT routed", 1);
    server.wait_for_log("REPORT both", 1);
    let records = wait_for(&cluster, "published", 7);
    server.end();
    let mut records: Vec<_> = records.into_iter().map(key_and_value).collect();
    records.sort();
    let mut expected = vec![
        (None, b"at the start".to_vec()),
        (None, b"alone".to_vec()),
        (Some(call_id.into_bytes()), b"bin \0\xff nul".to_vec()),
        (None, b"routed".to_vec()),
        (Some(b"both".to_vec()), b"both".to_vec()),
        (Some(b"key".to_vec()), b"".to_vec()),
        (None, b"value".to_vec()),
    ];
    expected.sort();
    assert_eq!(records, expected);
}

fn reports(tree: &Tree) {
    let cluster = cluster(&["published"]);
    let script = format!(
        r#"
modparam("event_kafka", "broker_id", "[k1]{}/published?g.linger.ms=1")
modparam("event_kafka", "broker_id", "[dead]127.0.0.1:1/nobody?t.message.timeout.ms=500")
route[report] {{
    xlog("REPORT id=<$avp(kafka_id)> status=<$avp(kafka_status)> key=<$avp(kafka_key)> msg=<$avp(kafka_msg)> topic=<$avp(kafka_topic)> partition=<$avp(kafka_partition)> offset=<$avp(kafka_offset)> code=<$avp(kafka_error_code)> error=<$avp(kafka_error)> ci=<$ci>\n");
    if ($avp(kafka_latency_ms) >= 0) xlog("LATENCY is a number\n");
}}
route {{
    if ($rU == "good") kafka_publish("k1", $rb, "call", "report");
    if ($rU == "bad") kafka_publish("dead", $rb, , "report");
    sl_send_reply(200, "OK");
}}
"#,
        cluster.bootstrap()
    );
    let server = Server::start(tree, "reports", &script);
    let mut client = server.client();
    client.request("good", b"INVITE");
    server.wait_for_log(
        "REPORT id=<k1> status=<0> key=<call> msg=<INVITE> topic=<published> partition=<0> \
         offset=<0> code=<0> error=<<null>> ci=<dummy-1>",
        1,
    );
    client.request("bad", b"BYE");
    server.wait_for_log(
        "REPORT id=<dead> status=<-1> key=<> msg=<BYE> topic=<nobody>",
        1,
    );
    server.wait_for_log("offset=<<null>> code=<-192> error=<", 1);
    server.wait_for_log("LATENCY is a number", 2);
    server.end();
}

fn payloads(tree: &Tree) {
    let cluster = cluster(&["events", "raw", "calls"]);
    let brokers = cluster.bootstrap();
    // AVPs come out in the reverse order.
    let script = format!(
        r#"
startup_route {{
    subscribe_event("E_C0", "kafka:{brokers}/events?g.linger.ms=0");
    subscribe_event("E_PIKE_BLOCKED", "kafka:{brokers}/events?g.linger.ms=0");
    subscribe_event("E_RAW", "kafka:{brokers}/raw?payload=raw");
    subscribe_event("E_CALL", "kafka:{brokers}/calls?key=callid");
}}
route {{
    switch ($rU) {{
    case "none":
        raise_event("E_C0");
        break;
    case "positional":
        $avp(v) = "third"; $avp(v) = 42; $avp(v) = "first";
        raise_event("E_C0", , $avp(v));
        break;
    case "named":
        $avp(n) = "n3"; $avp(n) = "n2"; $avp(n) = "n1";
        $avp(v) = -7; $avp(v) = 2147483647; $avp(v) = $rb;
        raise_event("E_C0", $avp(n), $avp(v));
        break;
    case "pike":
        $avp(n) = "ip"; $avp(v) = $si;
        raise_event("E_PIKE_BLOCKED", $avp(n), $avp(v));
        break;
    case "twice":
        $avp(n) = "dup"; $avp(n) = "dup"; $avp(n) = $rb;
        $avp(v) = "x"; $avp(v) = ""; $avp(v) = 0;
        raise_event("E_C0", $avp(n), $avp(v));
        break;
    case "text":
        $avp(v) = $rb;
        raise_event("E_C0", , $avp(v));
        break;
    case "raw":
        $avp(v) = $rb; $avp(n) = "body";
        raise_event("E_RAW", $avp(n), $avp(v));
        break;
    case "call":
        raise_event("E_CALL");
        break;
    }}
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, "payloads", &script);
    let mut client = server.client();
    let rows: &[(&str, &[u8], &[u8])] = &[
        ("none", b"", br#"{"jsonrpc":"2.0","method":"E_C0"}"#),
        (
            "positional",
            b"",
            br#"{"jsonrpc":"2.0","method":"E_C0","params":["first",42,"third"]}"#,
        ),
        (
            "named",
            br#"q"uo\te/ sl"#,
            br#"{"jsonrpc":"2.0","method":"E_C0","params":{"n1":"q\"uo\\te/ sl","n2":2147483647,"n3":-7}}"#,
        ),
        (
            "pike",
            b"",
            br#"{"jsonrpc":"2.0","method":"E_PIKE_BLOCKED","params":{"ip":"127.0.0.1"}}"#,
        ),
        (
            "twice",
            b"k\"ey",
            br#"{"jsonrpc":"2.0","method":"E_C0","params":{"k\"ey":0,"dup":"","dup":"x"}}"#,
        ),
        (
            "text",
            "é€😀\t\n\r\u{8}\u{c}\u{1}\u{1f}\u{7f}/".as_bytes(),
            "{\"jsonrpc\":\"2.0\",\"method\":\"E_C0\",\"params\":[\"é€😀\\t\\n\\r\\b\\f\\u0001\\u001f\u{7f}/\"]}".as_bytes(),
        ),
        (
            "text",
            b"inv \xff\xfe bytes",
            "{\"jsonrpc\":\"2.0\",\"method\":\"E_C0\",\"params\":[\"inv \u{fffd}\u{fffd} bytes\"]}".as_bytes(),
        ),
        (
            "text",
            b"nul \0 after",
            br#"{"jsonrpc":"2.0","method":"E_C0","params":["nul \u0000 after"]}"#,
        ),
    ];
    for (index, (user, body, payload)) in rows.iter().enumerate() {
        client.request(user, body);
        let records = wait_for(&cluster, "events", index + 1);
        let (key, value) = key_and_value(records[index].clone());
        assert_eq!(key, None, "{user}");
        assert_eq!(
            String::from_utf8_lossy(&value),
            String::from_utf8_lossy(payload),
            "{user}"
        );
        assert_eq!(&value, payload, "{user}");
        assert!(records[index].headers.is_empty());
    }
    let raw: &[(&[u8], &[u8])] = &[
        (
            b"inv \xff\xfe bytes",
            b"{\"jsonrpc\":\"2.0\",\"method\":\"E_RAW\",\"params\":{\"body\":\"inv \xff\xfe bytes\"}}",
        ),
        (
            b"nul \0 after",
            br#"{"jsonrpc":"2.0","method":"E_RAW","params":{"body":"nul "}}"#,
        ),
    ];
    for (index, (body, payload)) in raw.iter().enumerate() {
        client.request("raw", body);
        let records = wait_for(&cluster, "raw", index + 1);
        assert_eq!(&key_and_value(records[index].clone()).1, payload);
    }
    client.request("call", b"");
    let call = &wait_for(&cluster, "calls", 1)[0];
    assert_eq!(call.key.as_deref(), Some(client.call_id().as_bytes()));
    server.end();
}

fn malformed_sockets(tree: &Tree) {
    let cluster = cluster(&["events"]);
    let script = format!(
        r#"
startup_route {{
    subscribe_event("E_C0", "kafka:host:9/a/b");
    subscribe_event("E_C0", "kafka:{}/events?g.linger.ms=0");
}}
route {{ if ($rU == "raise") raise_event("E_C0"); sl_send_reply(200, "OK"); }}
"#,
        cluster.bootstrap()
    );
    let server = Server::start(tree, "malformed", &script);
    for socket in [
        "kafka:host:9/",
        "kafka:host:9/t?",
        "kafka:host:9/a/b",
        "kafka:SSL://host/t",
        "kafka",
        "kafka:",
        "kafka:host:9/t?t.acks=99999",
    ] {
        let answer = server.manage("event_subscribe", &["E_C0", socket]);
        assert!(answer.contains("error"), "{socket}: {answer}");
    }
    server.client().request("raise", b"");
    assert_eq!(wait_for(&cluster, "events", 1).len(), 1);
    server.end();
}

fn dead_cluster(tree: &Tree) {
    let cluster = cluster(&["alive"]);
    let script = format!(
        r#"
max_while_loops=100000
modparam("event_kafka", "broker_id", "[dead]127.0.0.1:1/nobody?g.queue.buffering.max.messages=1000")
modparam("event_kafka", "broker_id", "[alive]{}/alive?g.linger.ms=0")
route {{
    if ($rU == "dead") {{
        $var(taken) = 0; $var(i) = 0;
        while ($var(i) < 12000) {{
            if (kafka_publish("dead", "lost")) $var(taken) = $var(taken) + 1;
            $var(i) = $var(i) + 1;
        }}
        sl_send_reply(200, "$var(taken)");
        exit;
    }}
    if ($rU == "alive") kafka_publish("alive", $rb);
    sl_send_reply(200, "OK");
}}
"#,
        cluster.bootstrap()
    );
    let server = Server::start(tree, "dead", &script);
    let mut client = server.client();
    let mut taken = 0;
    for round in 0..3 {
        let of_this: u32 = client.request("dead", b"").parse().unwrap();
        taken += of_this;
        client.request("alive", format!("{round}").as_bytes());
        assert_eq!(wait_for(&cluster, "alive", round + 1).len(), round + 1);
    }
    // What lay in the lane when the budget was used up was refused by the worker.
    assert!(taken < 36_000, "{taken}");
    let of_last: u32 = client.request("dead", b"").parse().unwrap();
    assert_eq!(of_last, 0);
    server.end();
}

fn dead_ports(tree: &Tree) {
    let ids: Vec<_> = (1..=20).collect();
    let params: String = ids
        .iter()
        .map(|id| {
            format!(
                "modparam(\"event_kafka\", \"broker_id\", \
                 \"[d{id}]127.0.0.1:{id}/t?t.message.timeout.ms=1500\")\n"
            )
        })
        .collect();
    let publishes: String = ids
        .iter()
        .map(|id| format!("kafka_publish(\"d{id}\", \"x\", , \"report\");\n"))
        .collect();
    let script = format!(
        r#"
{params}
route[report] {{ xlog("REPORT $avp(kafka_status) of $avp(kafka_id).\n"); }}
route {{ if ($rU == "all") {{ {publishes} }} sl_send_reply(200, "OK"); }}
"#
    );
    let server = Server::start(tree, "ports", &script);
    server.client().request("all", b"");
    server.wait_for_log("REPORT -1 of d", 20);
    let log = server.end();
    for id in ids {
        assert_eq!(log.matches(&format!("REPORT -1 of d{id}.")).count(), 1);
    }
}

fn sigterm(tree: &Tree) {
    /// What a lane of the default size holds, and a queue of the default length.
    const BURST: usize = 100_000;
    let cluster = cluster(&["burst"]);
    let script = format!(
        r#"
max_while_loops=1000000
modparam("event_kafka", "broker_id", "[k1]{}/burst")
route {{
    if ($rU == "burst") {{
        $var(taken) = 0; $var(i) = 0;
        while ($var(i) < {BURST}) {{
            if (kafka_publish("k1", "message $var(i)")) $var(taken) = $var(taken) + 1;
            $var(i) = $var(i) + 1;
        }}
        sl_send_reply(200, "$var(taken)");
        exit;
    }}
    sl_send_reply(200, "OK");
}}
"#,
        cluster.bootstrap()
    );
    let server = Server::start(tree, "sigterm", &script);
    kill(server.worker(), Signal::SIGTERM).unwrap();
    let mut client = server.client();
    client.request("alive", b"");
    assert_eq!(client.request("burst", b""), BURST.to_string());
    server.end();
    let values: Vec<_> = cluster
        .records("burst")
        .into_iter()
        .map(key_and_value)
        .collect();
    assert_eq!(values.len(), BURST);
    for (index, (_, value)) in values.iter().enumerate() {
        assert_eq!(value, format!("message {index}").as_bytes());
    }
}

fn renewals(tree: &Tree) {
    let cluster = cluster(&["events"]);
    let socket = format!(
        "kafka:{}/events?g.linger.ms=0&t.acks=all",
        cluster.bootstrap()
    );
    let script = format!(
        r#"
startup_route {{ subscribe_event("E_C0", "{socket}"); }}
route {{ if ($rU == "raise") raise_event("E_C0"); sl_send_reply(200, "OK"); }}
"#
    );
    let server = Server::start(tree, "renewals", &script);
    let mut client = server.client();
    client.request("raise", b"");
    wait_for(&cluster, "events", 1);
    let threads = Server::threads_of(server.worker());
    let other = format!(
        "kafka:{}/events?t.acks=-1&g.linger.ms=0",
        cluster.bootstrap()
    );
    for renewed in [&socket, &other].into_iter().cycle().take(10) {
        let answer = server.manage("event_subscribe", &["E_C0", renewed, "3600"]);
        assert!(answer.contains("OK"), "{answer}");
    }
    assert_eq!(Server::threads_of(server.worker()), threads);
    client.request("raise", b"");
    wait_for(&cluster, "events", 2);
    // Expires at once.
    server.manage("event_subscribe", &["E_C0", &socket, "0"]);
    std::thread::sleep(Duration::from_millis(1100));
    client.request("raise", b"");
    client.request("raise", b"");
    server.end();
    assert_eq!(cluster.records("events").len(), 2);
}

fn failover(tree: &Tree) {
    let cluster = cluster(&["events"]);
    let script = format!(
        r#"
startup_route {{
    subscribe_event("E_C0", "virtual:FAILOVER kafka:127.0.0.1:1/nobody?t.message.timeout.ms=500 kafka:{}/events?g.linger.ms=0");
}}
route {{
    # event_virtual does not take events without parameters.
    if ($rU == "raise") {{ $avp(v) = 1; raise_event("E_C0", , $avp(v)); }}
    sl_send_reply(200, "OK");
}}
"#,
        cluster.bootstrap()
    );
    let server = Server::start(tree, "failover", &script);
    server.client().request("raise", b"");
    let records = wait_for(&cluster, "events", 1);
    // What the producer of the dead one says is in OpenSIPS' log (B18).
    server.wait_for_log("event_kafka:log_line: 127.0.0.1:1: cannot connect", 1);
    server.end();
    assert_eq!(
        key_and_value(records[0].clone()).1,
        br#"{"jsonrpc":"2.0","method":"E_C0","params":[1]}"#
    );
}

fn refusals(tree: &Tree) {
    let answer = r#"sl_send_reply(200, "OK");"#;
    let broker = r#"modparam("event_kafka", "broker_id", "[k1]127.0.0.1:9092/t")"#;
    let scripts = [
        (
            "id",
            format!("{broker}\nroute {{ kafka_publish(\"k2\", \"x\"); {answer} }}"),
            "no broker_id has the id \"k2\"",
        ),
        (
            "route",
            format!("{broker}\nroute {{ kafka_publish(\"k1\", \"x\", , \"gone\"); {answer} }}"),
            "there is no route[gone] for reports",
        ),
        (
            "same",
            format!("{broker}\n{broker}\nroute {{ {answer} }}"),
            "modparam broker_id",
        ),
        (
            "property",
            format!(
                "modparam(\"event_kafka\", \"broker_id\", \"[k1]h/t?t.acks=99999\")\nroute {{ {answer} }}"
            ),
            "value \"99999\" is out of range",
        ),
    ];
    for (name, script, said) in scripts {
        let log = Server::refuse(tree, name, &script);
        assert!(log.contains(said), "{name}: {log}");
    }
}

/// With topics of one partition each, so that the order is known.
fn cluster(topics: &[&str]) -> Cluster {
    let cluster = Cluster::start().unwrap();
    for topic in topics {
        cluster.create_topic(topic, 1);
    }
    cluster
}

fn wait_for(cluster: &Cluster, topic: &str, count: usize) -> Vec<Record> {
    let arrived = cluster.wait(Duration::from_secs(20), |cluster| {
        let records = cluster.records(topic);
        (records.len() >= count).then_some(records)
    });
    arrived.unwrap_or_else(|| panic!("{:?}, not {count} records", cluster.records(topic)))
}

fn key_and_value(record: Record) -> (Option<Vec<u8>>, Vec<u8>) {
    let key = record.key.map(|key| key.to_vec());
    (key, record.value.unwrap().to_vec())
}
