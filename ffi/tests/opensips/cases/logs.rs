//! What OpenSIPS logs, as an event.

use super::{Topic, assert_bytes, key_of, shared_cluster, value_of};
use crate::server::Server;
use crate::support::{self, Record};
use crate::tree::Tree;

pub(super) fn core_log(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "log");
    let script = format!(
        r#"
log_event_enabled=yes
modparam("event_kafka", "broker_id", "[dead]127.0.0.1:1/nobody?t.message.timeout.ms=500")
startup_route {{ subscribe_event("E_CORE_LOG", "kafka:{topic}?g.linger.ms=0"); }}
route {{
    if ($rU == "dead") kafka_publish("dead", "x");
    if ($rU == "log") xlog("L_NOTICE", "TEST $rb\n");
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, "log", &script);
    let mut client = server.client();
    client.request("dead", b"");
    let of_worker = "127.0.0.1:1: cannot connect";
    server.wait_for_log(of_worker, 1);
    client.request("log", b"pub rc=1");
    server.wait_for_log("TEST pub rc=1", 1);
    let all = support::eventually("the line is in Kafka", || {
        let records = topic.records();
        let is_there = |record: &Record| text_of(record).contains("TEST");
        records.iter().any(is_there).then_some(records)
    });
    let log = server.end();
    let line = log.lines().find(|line| line.contains("TEST pub rc=1"));
    let (time, rest) = line.unwrap().split_once(" [").unwrap();
    let (pid, _) = rest.split_once(']').unwrap();
    let expected = format!(
        r#"{{"jsonrpc":"2.0","method":"E_CORE_LOG","params":{{"time":"{time}","pid":{pid},"level":"NOTICE","message":"TEST pub rc=1"}}}}"#
    );
    let record = all.iter().find(|record| text_of(record).contains("TEST"));
    let record = record.unwrap();
    assert_bytes("E_CORE_LOG", value_of(record), expected.as_bytes());
    assert_eq!(key_of(record), None);
    assert!(!all.iter().any(|record| text_of(record).contains(of_worker)));
    Some(format!(
        "1 row equal, {} lines of others in all",
        all.len() - 1
    ))
}

fn text_of(record: &Record) -> String {
    String::from_utf8_lossy(value_of(record)).into_owned()
}
