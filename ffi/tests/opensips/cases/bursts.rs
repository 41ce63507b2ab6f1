//! 100,000 messages at once: what a lane of the default size and a queue of the default length hold.
//! And the end of OpenSIPS, with messages that are not delivered yet.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::{Topic, shared_cluster, value_of};
use crate::server::Server;
use crate::support::{self, Needs, Record};
use crate::tree::Tree;

const BURST: usize = 100_000;

/// What comes before the number in each message, so that all have 100 bytes or a few less.
const PADDING: &str = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123 ";

pub(super) fn burst(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "burst");
    let server = start(tree, "burst", &topic);
    let mut client = server.client();
    assert_eq!(client.request("burst", b""), BURST.to_string());
    expect_all(topic.wait_for(BURST));
    support::eventually("all reports are there", || {
        (client.request("reports", b"") == BURST.to_string()).then_some(())
    });
    // There are no more than these.
    let reports = client.request("reports", b"");
    assert_eq!(reports, BURST.to_string());
    server.end();
    Some(format!(
        "{BURST} published, 0 refused, {BURST} in Kafka, {reports} reports"
    ))
}

pub(super) fn sigterm(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "sigterm");
    let server = start(tree, "sigterm", &topic);
    kill(server.worker(), Signal::SIGTERM).unwrap();
    let mut client = server.client();
    client.request("alive", b"");
    assert_eq!(client.request("burst", b""), BURST.to_string());
    server.end();
    expect_all(topic.records());
    Some(format!(
        "{BURST} published, SIGTERM, 0 lost: {BURST} in Kafka"
    ))
}

/// The broker does not answer when OpenSIPS is told to end, and does a second later.
pub(super) fn slow_end(tree: &Tree) -> Option<String> {
    const MESSAGES: usize = 2000;
    let mut cluster = support::private_cluster(Needs::ANY.pause())?;
    let seen = cluster.clone();
    let topic = Topic::new(&seen, "slow");
    let server = start(tree, "slow", &topic);
    let mut client = server.client();
    assert_eq!(client.request("one", b""), "1");
    topic.wait_for(1);
    let nodes = cluster.node_ids();
    nodes.iter().for_each(|node| cluster.pause(*node));
    assert_eq!(client.request("some", b""), MESSAGES.to_string());
    let ended = thread::spawn(move || server.end());
    // The broker is slow for so long: that is what happens here, and nothing is waited for.
    thread::sleep(Duration::from_secs(1));
    assert!(!ended.is_finished(), "it did not wait");
    nodes.iter().for_each(|node| cluster.resume(*node));
    ended.join().unwrap();
    let records = topic.records();
    assert_eq!(records.len(), 1 + MESSAGES);
    Some(format!(
        "{MESSAGES} published, SIGTERM, no answer for 1 s, 0 lost: {MESSAGES} in Kafka"
    ))
}

/// What cannot be delivered in time is counted in the log, and OpenSIPS ends.
pub(super) fn end_without_cluster(tree: &Tree) -> Option<String> {
    let script = publishing("127.0.0.1:1/nobody");
    let server = Server::start(tree, "end", &script);
    assert_eq!(server.client().request("some", b""), "2000");
    let start = Instant::now();
    let log = server.end();
    let took = start.elapsed();
    assert!(!log.contains("SIGKILL"), "{log}");
    let line = log
        .lines()
        .find(|line| line.contains("the end of OpenSIPS:"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("2000"), "{line}");
    Some(format!("{line}, after {:.1} s", took.as_secs_f32()))
}

fn start(tree: &Tree, name: &str, topic: &Topic<'_>) -> Server {
    Server::start(tree, name, &publishing(&topic.to_string()))
}

/// A script that publishes one, some or very many messages, whose reports it counts.
fn publishing(socket: &str) -> String {
    format!(
        r#"
max_while_loops=1000000
loadmodule "statistics.so"
modparam("statistics", "variable", "reports")
modparam("event_kafka", "broker_id", "[k1]{socket}")
route[report] {{ update_stat("reports", 1); }}
route {{
    $var(count) = 0;
    switch ($rU) {{
    case "reports": sl_send_reply(200, "$stat(reports)"); exit;
    case "one": $var(count) = 1; break;
    case "some": $var(count) = 2000; break;
    case "burst": $var(count) = {BURST}; break;
    }}
    $var(taken) = 0; $var(i) = 0;
    while ($var(i) < $var(count)) {{
        if (kafka_publish("k1", "{PADDING}$var(i)", , "report")) $var(taken) = $var(taken) + 1;
        $var(i) = $var(i) + 1;
    }}
    sl_send_reply(200, "$var(taken)");
}}
"#
    )
}

/// All, each once, in the order in which they were published.
fn expect_all(records: Vec<Record>) {
    assert_eq!(records.len(), BURST);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(value_of(record), format!("{PADDING}{index}").as_bytes());
    }
}
