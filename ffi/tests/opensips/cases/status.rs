//! What operators see of sockets, and are told.

use super::{Topic, shared_cluster, value_of};
use crate::server::Server;
use crate::support;
use crate::tree::Tree;

pub(super) fn status(tree: &Tree) -> Option<String> {
    const PUBLISHED: u64 = 100;
    let topic = Topic::new(shared_cluster()?, "status");
    let script = format!(
        r#"
max_while_loops=1000
modparam("event_kafka", "broker_id", "[alive]{topic}?g.linger.ms=0&header.token=secret")
modparam("event_kafka", "broker_id", "[dead]127.0.0.1:1/nobody?g.queue.buffering.max.messages=1")
route {{
    if ($rU == "publish") {{
        $var(i) = 0;
        while ($var(i) < {PUBLISHED}) {{ kafka_publish("alive", $rb); $var(i) = $var(i) + 1; }}
    }}
    if ($rU == "held") kafka_publish("dead", $rb);
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, "status", &script);
    let mut client = server.client();
    client.request("publish", b"x");
    topic.wait_for(PUBLISHED as usize);
    client.request("held", b"x");
    let has_all = |all: &str, parts: &[&str]| parts.iter().all(|part| all.contains(part));
    // The worker shows it a tenth of a second later.
    let all = support::eventually("kafka_status says how both sockets are", || {
        let all = server.manage("kafka_status", &[]);
        let alive = format!(
            r#""state":"up","full":false,"closing":false,"accepted":{PUBLISHED},"delivered":{PUBLISHED},"#
        );
        let dead = r#""state":"down","full":true,"closing":false,"accepted":1,"delivered":0,"failed":0,"held":1,"#;
        has_all(&all, &[&alive, dead, r#""last_error":{"code":-195,"#]).then_some(all)
    });
    assert!(!all.contains("secret"), "{all}");
    let dead = server.manage("kafka_status", &["dead"]);
    let parts = [
        r#""brokers":["127.0.0.1:1"],"topic":"nobody""#,
        r#""broker_id":"dead""#,
    ];
    assert!(has_all(&dead, &parts) && !dead.contains("alive"), "{dead}");
    let nobody = server.manage("kafka_status", &["nobody"]);
    assert!(nobody.contains(r#""code":404"#), "{nobody}");
    let counted = ["kafka_accepted", "kafka_delivered", "kafka_held"];
    let counted = counted.map(|name| server.statistic(name));
    let group = server.manage_list("get_statistics", "event_kafka:");
    assert!(
        group.contains(r#""event_kafka:kafka_sockets":2"#),
        "{group}"
    );
    assert_eq!(counted, [PUBLISHED + 1, PUBLISHED, 1]);
    server.end();
    let [accepted, delivered, held] = counted;
    Some(format!(
        "{accepted} accepted, {delivered} delivered, {held} held, by MI and statistics"
    ))
}

pub(super) fn flush(tree: &Tree) -> Option<String> {
    const PUBLISHED: usize = 10;
    let topic = Topic::new(shared_cluster()?, "flush");
    let script = format!(
        r#"
modparam("event_kafka", "broker_id", "[slow]{topic}?g.linger.ms=600000&t.message.timeout.ms=900000")
modparam("event_kafka", "broker_id", "[dead]127.0.0.1:1/nobody")
route {{
    if ($rU == "dead") kafka_publish("dead", $rb); else kafka_publish("slow", $rb);
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, "flush", &script);
    let mut client = server.client();
    for _ in 0..PUBLISHED {
        client.request("slow", b"x");
    }
    let before = topic.records().len();
    let slow = server.manage("kafka_flush", &["slow"]);
    let delivered = format!(r#""flushed":true,"delivered":{PUBLISHED},"failed":0,"held":0"#);
    assert!(slow.contains(&delivered), "{slow}");
    assert_eq!((before, topic.records().len()), (0, PUBLISHED));
    client.request("dead", b"x");
    let dead = server.manage("kafka_flush", &["*", "100"]);
    let held = r#""flushed":false,"delivered":0,"failed":0,"held":1"#;
    assert!(dead.contains(held) && dead.contains("slow"), "{dead}");
    let too_long = server.manage("kafka_flush", &["*", "5001"]);
    assert!(too_long.contains(r#""code":400"#), "{too_long}");
    server.end();
    Some(format!(
        "{before} of {PUBLISHED} delivered while they lingered, all by kafka_flush; 1 held by the dead one"
    ))
}

pub(super) fn changes(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "changes");
    let script = format!(
        r#"
modparam("event_kafka", "broker_id", "[alive]{topic}?g.linger.ms=0")
modparam("event_kafka", "broker_id", "[dead]127.0.0.1:1/nobody?g.queue.buffering.max.messages=1")
startup_route {{ subscribe_event("E_KAFKA_STATUS", "kafka:{topic}?g.linger.ms=0"); }}
event_route[E_KAFKA_STATUS] {{
    xlog("L_ERR", "TOLD <$param(broker_id)> <$param(status)> <$param(error_code)>\n");
}}
route {{ kafka_publish("dead", $rb); sl_send_reply(200, "OK"); }}
"#
    );
    let server = Server::start(tree, "changes", &script);
    server.client().request("publish", b"x");
    let told = [
        "<alive> <up> <0>",
        "<dead> <down> <-195>",
        "<dead> <full> <0>",
    ];
    for news in told {
        server.wait_for_log(&format!("TOLD {news}"), 1);
    }
    // By way of Kafka came what is not of its own producer.
    let records = topic.wait_for(2);
    let log = server.end();
    let of_dead = |value: &str| value.contains(r#""broker_id":"dead""#);
    let values = records
        .iter()
        .map(|record| String::from_utf8_lossy(value_of(record)));
    assert!(values.clone().all(|value| of_dead(&value)), "{records:?}");
    for news in told {
        assert_eq!(log.matches(&format!("TOLD {news}")).count(), 1, "{log}");
    }
    Some(format!(
        "{} changes by event route, each once; {} of them by Kafka",
        log.matches("TOLD <").count(),
        records.len()
    ))
}
