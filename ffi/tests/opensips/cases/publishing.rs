//! `kafka_publish()` and its report routes.

use super::{Key, Topic, assert_bytes, key_of, shared_cluster, value_of};
use crate::server::Server;
use crate::sip::Client;
use crate::support::Record;
use crate::tree::Tree;

/// Who sends a request publishes its name, with this key.
const PUBLISHED: &[(&str, Key)] = &[
    ("alone", Key::None),
    ("keyed", Key::CallId),
    ("routed", Key::None),
    ("both", Key::Is(b"both")),
    ("variable", Key::None),
];

/// Each is refused with -1.
const REFUSED: &[&str] = &["unknown", "noid", "nullkey", "nullmessage"];

pub(super) fn publishing(tree: &Tree) -> Option<String> {
    let cluster = shared_cluster()?;
    let (topic, others) = (
        Topic::new(cluster, "published"),
        Topic::new(cluster, "others"),
    );
    let script = format!(
        r#"
modparam("event_kafka", "broker_id", "[k1]{topic}?g.linger.ms=0")
modparam("event_kafka", "broker_id", "[others]{others}?g.linger.ms=0")
startup_route {{
    # An ID that is empty is not that of a subscription.
    subscribe_event("E_C0", "kafka:{topic}?g.linger.ms=0");
    kafka_publish("others", "at the start");
}}
timer_route[tick, 1] {{ kafka_publish("others", "by the clock"); }}
route[report] {{ xlog("REPORT $avp(kafka_msg)\n"); }}
route {{
    $var(rc) = 0;
    if ($rU == "alone") {{ kafka_publish("k1", $rb); $var(rc) = $rc; }}
    if ($rU == "keyed") {{ kafka_publish("k1", $rb, $ci); $var(rc) = $rc; }}
    if ($rU == "routed") {{ kafka_publish("k1", $rb, , "report"); $var(rc) = $rc; }}
    if ($rU == "both") {{ kafka_publish("k1", $rb, "both", "report"); $var(rc) = $rc; }}
    $var(id) = "k1";
    if ($rU == "variable") {{ kafka_publish($var(id), $rb); $var(rc) = $rc; }}
    $var(id) = "zz";
    if ($rU == "unknown") {{ kafka_publish($var(id), $rb); $var(rc) = $rc; }}
    $var(id) = "";
    if ($rU == "noid") {{ kafka_publish($var(id), $rb); $var(rc) = $rc; }}
    if ($rU == "nullkey") {{ kafka_publish("k1", $rb, $avp(none)); $var(rc) = $rc; }}
    if ($rU == "nullmessage") {{ kafka_publish("k1", $avp(none)); $var(rc) = $rc; }}
    sl_send_reply(200, "$var(rc)");
}}
"#
    );
    let server = Server::start(tree, "publishing", &script);
    let mut client = server.client();
    for (index, (user, key)) in PUBLISHED.iter().enumerate() {
        assert_eq!(client.request(user, user.as_bytes()), "1", "{user}");
        let record = &topic.wait_for(index + 1)[index];
        assert_bytes(user, value_of(record), user.as_bytes());
        key.expect(user, record, &client);
    }
    for user in REFUSED {
        assert_eq!(client.request(user, b"refused"), "-1", "{user}");
    }
    server.wait_for_log("REPORT routed", 1);
    server.wait_for_log("REPORT both", 1);
    let told = others.wait_for(2);
    assert!(told.iter().any(|it| value_of(it) == b"at the start"));
    assert!(told.iter().any(|it| value_of(it) == b"by the clock"));
    server.end();
    assert_eq!(topic.records().len(), PUBLISHED.len());
    Some(format!(
        "{} published from requests, at the start and by the clock, {} refused with -1",
        PUBLISHED.len() + 2,
        REFUSED.len()
    ))
}

pub(super) fn publishing_all(tree: &Tree) -> Option<String> {
    let cluster = shared_cluster()?;
    let (topic, other) = (Topic::new(cluster, "own"), Topic::new(cluster, "other"));
    let name = &other.name;
    let script = format!(
        r#"
modparam("event_kafka", "broker_id", "[k1]{topic}?g.linger.ms=0")
route[report] {{ xlog("REPORT $avp(kafka_id) $avp(kafka_topic) $avp(kafka_partition)\n"); }}
route {{
    $avp(names) = "first"; $avp(values) = "1";
    $avp(names) = "second"; $avp(values) = -42;
    $var(topic) = "{name}";
    $var(partition) = 0;
    $var(rc) = 0;
    if ($rU == "whole") {{ kafka_publish_ex("k1", $var(topic), $rb, $ci, $avp(names), $avp(values), $var(partition), "report"); $var(rc) = $rc; }}
    if ($rU == "tombstone") {{ kafka_publish_ex("k1", "{name}", , "key", $avp(names)); $var(rc) = $rc; }}
    if ($rU == "own") {{ kafka_publish_ex("k1", , $rb); $var(rc) = $rc; }}
    $avp(names) = "third";
    if ($rU == "odd") {{ kafka_publish_ex("k1", , $rb, , $avp(names), $avp(values)); $var(rc) = $rc; }}
    if ($rU == "null") {{ kafka_publish_ex("k1", , $avp(none)); $var(rc) = $rc; }}
    if ($rU == "name") {{ kafka_publish_ex("k1", "no topic", $rb); $var(rc) = $rc; }}
    if ($rU == "nowhere") {{ kafka_publish_ex("k1", , $rb, , , , 1000, "report"); $var(rc) = $rc; }}
    sl_send_reply(200, "$var(rc)");
}}
"#
    );
    let server = Server::start(tree, "publishing-all", &script);
    let mut client = server.client();
    for user in ["whole", "tombstone", "own", "nowhere"] {
        assert_eq!(client.request(user, user.as_bytes()), "1", "{user}");
    }
    for user in ["odd", "name"] {
        assert_eq!(client.request(user, user.as_bytes()), "-1", "{user}");
    }
    assert!(client.request("null", b"null").starts_with('-'));
    server.wait_for_log(&format!("REPORT k1 {name} 0"), 1);
    server.wait_for_log(&format!("REPORT k1 {} 1000", topic.name), 1);
    let told = other.wait_for(2);
    assert_eq!(value_of(&told[0]), b"whole");
    assert_eq!(
        headers_of(&told[0]),
        [("first", Some(&b"1"[..])), ("second", Some(b"-42"))]
    );
    assert_eq!(told[1].value, None);
    assert_eq!(key_of(&told[1]), Some(&b"key"[..]));
    assert_eq!(headers_of(&told[1]), [("first", None), ("second", None)]);
    assert_eq!(value_of(&topic.wait_for(1)[0]), b"own");
    server.end();
    assert_eq!(topic.records().len(), 1);
    Some("3 published, 1 failed, 3 refused".to_owned())
}

fn headers_of(record: &Record) -> Vec<(&str, Option<&[u8]>)> {
    let headers = record.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_deref()));
    headers.collect()
}

pub(super) fn reports(tree: &Tree) -> Option<String> {
    let cluster = shared_cluster()?;
    let (topic, echo) = (Topic::new(cluster, "reported"), Topic::new(cluster, "echo"));
    let name = &topic.name;
    let script = format!(
        r#"
modparam("event_kafka", "broker_id", "[k1]{topic}?g.linger.ms=0")
modparam("event_kafka", "broker_id", "[echo]{echo}?g.linger.ms=0")
modparam("event_kafka", "broker_id", "[small]{topic}?g.message.max.bytes=1000")
modparam("event_kafka", "broker_id", "[dead]127.0.0.1:1/nobody?t.message.timeout.ms=500")
route[report] {{
    # What is a number can be reckoned with.
    $var(status) = $avp(kafka_status) + 10;
    xlog("REPORT id=<$avp(kafka_id)> status=<$var(status)> key=<$avp(kafka_key)> msg=<$avp(kafka_msg)> topic=<$avp(kafka_topic)> partition=<$avp(kafka_partition)> offset=<$avp(kafka_offset)> code=<$avp(kafka_error_code)> error=<$avp(kafka_error)> ci=<$ci> ru=<$ru>\n");
    if ($avp(kafka_latency_ms) >= 0) xlog("LATENCY is a number\n");
}}
route[binary] {{ kafka_publish("echo", $avp(kafka_msg), $avp(kafka_key)); }}
route[large] {{ xlog("LARGE status=<$avp(kafka_status)> code=<$avp(kafka_error_code)> error=<$avp(kafka_error)>\n"); }}
route {{
    if ($rU == "good") kafka_publish("k1", $rb, "call", "report");
    if ($rU == "binary") kafka_publish("k1", $rb, $rb, "binary");
    if ($rU == "large") kafka_publish("small", $rb, , "large");
    if ($rU == "bad") kafka_publish("dead", $rb, , "report");
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, "reports", &script);
    let mut client = server.client();
    client.request("good", b"INVITE");
    let good = format!(
        "REPORT id=<k1> status=<10> key=<call> msg=<INVITE> topic=<{name}> partition=<0> \
         offset=<0> code=<0> error=<<null>> ci=<dummy-1> ru=<sip:user@dummy.com>"
    );
    server.wait_for_log(&good, 1);
    client.request("bad", b"BYE");
    let bad = "REPORT id=<dead> status=<9> key=<> msg=<BYE> topic=<nobody> partition=<-1> \
               offset=<<null>> code=<-192> error=<";
    server.wait_for_log(bad, 1);
    server.wait_for_log("LATENCY is a number", 2);
    client.request("large", &[b'x'; 2000]);
    server.wait_for_log("LARGE status=<-1> code=<10> error=<", 1);
    let binary = b"bin \0\xff nul";
    client.request("binary", binary);
    let echoed = &echo.wait_for(1)[0];
    assert_bytes("binary", value_of(echoed), binary);
    assert_bytes("binary", key_of(echoed).unwrap(), binary);
    server.end();
    Some("delivered, timed out, too large, and with bytes that are no text".to_owned())
}

pub(super) fn failures_only(tree: &Tree) -> Option<String> {
    const MESSAGES: usize = 2000;
    /// The core's own use comes and goes.
    const TOLERATED: i64 = 20_000;
    let topic = Topic::new(shared_cluster()?, "quiet");
    let script = format!(
        r#"
max_while_loops=100000
loadmodule "statistics.so"
modparam("event_kafka", "broker_id", "[k1]{topic}?g.delivery.report.only.error=true&g.linger.ms=0")
modparam("event_kafka", "broker_id", "[dead]127.0.0.1:1/nobody?g.delivery.report.only.error=true&t.message.timeout.ms=500")
route[report] {{ xlog("REPORT $avp(kafka_status) of $avp(kafka_id).\n"); }}
route {{
    if ($rU == "memory") {{ sl_send_reply(200, "$stat(used_size)"); exit; }}
    if ($rU == "bad") kafka_publish("dead", "x", , "report");
    if ($rU == "good") {{
        $var(i) = 0;
        while ($var(i) < {MESSAGES}) {{
            kafka_publish("k1", $rb, , "report");
            $var(i) = $var(i) + 1;
        }}
    }}
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, "quiet", &script);
    let mut client = server.client();
    client.request("bad", b"");
    server.wait_for_log("REPORT -1 of dead.", 1);
    let before = shared_memory(&mut client);
    client.request("good", &[b'x'; 1000]);
    topic.wait_for(MESSAGES);
    let growth = shared_memory(&mut client) - before;
    assert!(growth < TOLERATED, "{growth} bytes");
    let log = server.end();
    assert_eq!(log.matches("REPORT").count(), 1);
    Some(format!(
        "{MESSAGES} of 1000 bytes delivered, 0 reports, {growth} bytes more of shared memory in use; 1 report of 1 failure"
    ))
}

/// How much of the memory that OpenSIPS shares is in use, in bytes: what the script says of it.
fn shared_memory(client: &mut Client) -> i64 {
    client.request("memory", b"").parse().unwrap()
}
