//! Subscriptions to events that are renewed and ended, and those of other transports upon ours.

use std::thread;
use std::time::Duration;

use super::{Topic, assert_bytes, shared_cluster, value_of};
use crate::server::Server;
use crate::tree::Tree;

pub(super) fn renewals(tree: &Tree) -> Option<String> {
    const RENEWALS: usize = 10;
    let topic = Topic::new(shared_cluster()?, "renewals");
    let socket = format!("kafka:{topic}?g.linger.ms=0&t.acks=all");
    let script = format!(
        r#"
startup_route {{ subscribe_event("E_C0", "{socket}"); subscribe_event("E_C1", "{socket}"); }}
route {{
    if ($rU == "raise") raise_event("E_C0");
    if ($rU == "other") raise_event("E_C1");
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, "renewals", &script);
    let mut client = server.client();
    client.request("raise", b"");
    topic.wait_for(1);
    let threads = Server::threads_of(server.worker());
    let other = format!("kafka:{topic}?t.acks=-1&g.linger.ms=0");
    for renewed in [&socket, &other].into_iter().cycle().take(RENEWALS) {
        let answer = server.manage("event_subscribe", &["E_C0", renewed, "3600"]);
        assert!(answer.contains("OK"), "{answer}");
    }
    assert_eq!(Server::threads_of(server.worker()), threads);
    client.request("raise", b"");
    topic.wait_for(2);
    client.request("other", b"");
    topic.wait_for(3);
    // Both expire at once, that from the script, too: with the next second of the core's clock.
    for event in ["E_C0", "E_C1"] {
        server.manage("event_subscribe", &[event, &socket, "0"]);
    }
    thread::sleep(Duration::from_millis(1100));
    for user in ["raise", "other", "raise", "other"] {
        client.request(user, b"");
    }
    server.end();
    assert_eq!(topic.records().len(), 3);
    Some(format!(
        "{RENEWALS} renewals, 1 record per event, {threads} threads as before; both ended, 0 records"
    ))
}

pub(super) fn failover(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "failover");
    let script = format!(
        r#"
startup_route {{
    subscribe_event("E_C0", "virtual:FAILOVER kafka:127.0.0.1:1/nobody?t.message.timeout.ms=500 kafka:{topic}?g.linger.ms=0");
}}
route {{
    # event_virtual does not take events without parameters.
    if ($rU == "raise") {{ $avp(v) = 1; raise_event("E_C0", , $avp(v)); }}
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, "failover", &script);
    server.client().request("raise", b"");
    let records = topic.wait_for(1);
    // What the producer of the dead one says is in OpenSIPS' log (B18).
    server.wait_for_log("event_kafka:log_line: 127.0.0.1:1: cannot connect", 1);
    server.end();
    let expected = br#"{"jsonrpc":"2.0","method":"E_C0","params":[1]}"#;
    assert_bytes("failover", value_of(&records[0]), expected);
    Some("1 event raised, 1 record by way of the second socket".to_owned())
}
