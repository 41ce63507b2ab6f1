//! Clusters that are away.

use nix::sys::signal::{Signal, kill};

use super::{Topic, shared_cluster, value_of};
use crate::server::Server;
use crate::support::{self, Needs};
use crate::tree::Tree;

pub(super) fn dead_cluster(tree: &Tree) -> Option<String> {
    const ROUNDS: usize = 3;
    /// In a round.
    const PUBLISHED: u32 = 12_000;
    let topic = Topic::new(shared_cluster()?, "alive");
    let script = format!(
        r#"
max_while_loops=100000
modparam("event_kafka", "broker_id", "[dead]127.0.0.1:1/nobody?g.queue.buffering.max.messages=1000")
modparam("event_kafka", "broker_id", "[alive]{topic}?g.linger.ms=0")
startup_route {{ subscribe_event("E_DEAD", "kafka:127.0.0.1:1/nobody?g.queue.buffering.max.messages=1000"); }}
route {{
    if ($rU == "dead") {{
        $var(taken) = 0; $var(i) = 0;
        while ($var(i) < {PUBLISHED}) {{
            if (kafka_publish("dead", "lost")) $var(taken) = $var(taken) + 1;
            $var(i) = $var(i) + 1;
        }}
        sl_send_reply(200, "$var(taken)");
        exit;
    }}
    if ($rU == "raise") {{
        $var(i) = 0;
        while ($var(i) < {PUBLISHED}) {{ raise_event("E_DEAD"); $var(i) = $var(i) + 1; }}
    }}
    if ($rU == "alive") kafka_publish("alive", $rb);
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, "dead", &script);
    let mut client = server.client();
    let mut taken = 0;
    for round in 0..ROUNDS {
        taken += client.request("dead", b"").parse::<u32>().unwrap();
        client.request("raise", b"");
        client.request("alive", format!("{round}").as_bytes());
        assert_eq!(topic.wait_for(round + 1).len(), round + 1);
    }
    let published = ROUNDS as u32 * PUBLISHED;
    // What lay in the lane when the budget was used up was refused by the worker.
    assert!(taken < published, "{taken}");
    let of_last: u32 = client.request("dead", b"").parse().unwrap();
    assert_eq!(of_last, 0);
    server.end();
    Some(format!(
        "{taken} of {published} accepted for the dead one, then 0 of {PUBLISHED}; {published} events \
         raised for it; {ROUNDS} of {ROUNDS} delivered by the other"
    ))
}

pub(super) fn dead_ports(tree: &Tree) -> Option<String> {
    const PORTS: u32 = 20;
    let params: String = (1..=PORTS)
        .map(|id| {
            format!(
                "modparam(\"event_kafka\", \"broker_id\", \
                 \"[d{id}]127.0.0.1:{id}/t?t.message.timeout.ms=1500\")\n"
            )
        })
        .collect();
    let publishes: String = (1..=PORTS)
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
    server.wait_for_log("REPORT -1 of d", PORTS as usize);
    let log = server.end();
    for id in 1..=PORTS {
        assert_eq!(log.matches(&format!("REPORT -1 of d{id}.")).count(), 1);
    }
    Some(format!("{PORTS} producers, {PORTS} reports"))
}

/// OpenSIPS ends where one of its processes is killed: in time, and the log says what that costs.
pub(super) fn killed_worker(tree: &Tree) -> Option<String> {
    const WAITING: usize = 100;
    let topic = Topic::new(shared_cluster()?, "killed");
    let script = format!(
        r#"
modparam("event_kafka", "broker_id", "[alive]{topic}?g.linger.ms=0")
modparam("event_kafka", "broker_id", "[dead]127.0.0.1:1/nobody")
startup_route {{ subscribe_event("E_C0", "kafka:127.0.0.1:1/nobody"); }}
route[report] {{ xlog("REPORT $avp(kafka_status) of $avp(kafka_msg).\n"); }}
route {{
    $var(rc) = 0;
    if ($rU == "alive") {{ kafka_publish("alive", $rb, , "report"); $var(rc) = $rc; }}
    if ($rU == "dead") {{ kafka_publish("dead", $rb, , "report"); $var(rc) = $rc; raise_event("E_C0"); }}
    sl_send_reply(200, "$var(rc)");
}}
"#
    );
    let server = Server::start(tree, "killed", &script);
    let mut client = server.client();
    for number in 0..WAITING {
        let message = number.to_string();
        assert_eq!(client.request("dead", message.as_bytes()), "1");
    }
    // Behind the others, so that those were taken, too.
    for number in 0..4 {
        assert_eq!(
            client.request("alive", format!("alive {number}").as_bytes()),
            "1"
        );
    }
    server.wait_for_log("REPORT 0 of alive", 4);
    kill(server.worker(), Signal::SIGKILL).unwrap();
    let log = server.ended();
    let lost = 2 * WAITING;
    let said = format!("the Kafka worker was killed or has crashed: lost are {lost} messages that");
    assert_eq!(log.matches(&said).count(), 1, "{log}");
    assert_eq!(log.matches("REPORT").count(), 4, "{log}");
    assert!(!log.contains("CRITICAL"), "{log}");
    assert_eq!(topic.records().len(), 4);
    Some(format!(
        "OpenSIPS has ended, 4 messages delivered and reported, {lost} counted as lost"
    ))
}

/// Away at the start of OpenSIPS, and once more when it has been there.
pub(super) fn late_cluster(tree: &Tree) -> Option<String> {
    const MESSAGES: usize = 6;
    let mut cluster = support::private_cluster(Needs::ANY)?;
    let seen = cluster.clone();
    let topic = Topic::new(&seen, "late");
    let script = format!(
        r#"
modparam("event_kafka", "broker_id", "[late]{topic}?g.linger.ms=0&g.enable.idempotence=true")
route[report] {{ xlog("REPORT $avp(kafka_status) of $avp(kafka_msg).\n"); }}
route {{
    $var(rc) = 0;
    if ($rU == "publish") {{ kafka_publish("late", $rb, , "report"); $var(rc) = $rc; }}
    sl_send_reply(200, "$var(rc)");
}}
"#
    );
    cluster.kill_all();
    let server = Server::start(tree, "late", &script);
    let mut client = server.client();
    let mut sent = Vec::new();
    for outage in 1..=2 {
        for number in 0..MESSAGES {
            let message = format!("{number} in outage {outage}");
            assert_eq!(client.request("publish", message.as_bytes()), "1");
            sent.push(message);
        }
        assert_eq!(
            server.log().matches("REPORT").count(),
            sent.len() - MESSAGES
        );
        cluster.restart_all();
        server.wait_for_log("REPORT 0 of", sent.len());
        if outage == 1 {
            cluster.kill_all();
        }
    }
    let records = topic.wait_for(sent.len());
    let log = server.end();
    for message in &sent {
        let report = format!("REPORT 0 of {message}.");
        assert_eq!(log.matches(&report).count(), 1, "{log}");
    }
    let mut values: Vec<_> = records.iter().map(value_of).collect();
    values.sort();
    sent.sort();
    assert!(values == sent.iter().map(String::as_bytes).collect::<Vec<_>>());
    let all = sent.len();
    Some(format!(
        "{all} published while it was away, {all} in Kafka, {all} reports"
    ))
}
