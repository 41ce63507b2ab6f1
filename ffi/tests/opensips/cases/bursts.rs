//! 100,000 messages at once: what a lane of the default size and a queue of the default length hold.

use nix::sys::signal::{Signal, kill};

use super::{Topic, shared_cluster, value_of};
use crate::server::Server;
use crate::support::Record;
use crate::tree::Tree;

const BURST: usize = 100_000;

/// What comes before the number in each message, so that all have 100 bytes or a few less.
const PADDING: &str = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123 ";

pub(super) fn burst(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "burst");
    let server = start(tree, "burst", &topic);
    assert_eq!(server.client().request("burst", b""), BURST.to_string());
    expect_all(topic.wait_for(BURST));
    server.end();
    Some(format!("{BURST} published, 0 refused, {BURST} in Kafka"))
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

fn start(tree: &Tree, name: &str, topic: &Topic<'_>) -> Server {
    let script = format!(
        r#"
max_while_loops=1000000
modparam("event_kafka", "broker_id", "[k1]{topic}")
route {{
    if ($rU == "burst") {{
        $var(taken) = 0; $var(i) = 0;
        while ($var(i) < {BURST}) {{
            if (kafka_publish("k1", "{PADDING}$var(i)")) $var(taken) = $var(taken) + 1;
            $var(i) = $var(i) + 1;
        }}
        sl_send_reply(200, "$var(taken)");
        exit;
    }}
    sl_send_reply(200, "OK");
}}
"#
    );
    Server::start(tree, name, &script)
}

/// All, each once, in the order in which they were published.
fn expect_all(records: Vec<Record>) {
    assert_eq!(records.len(), BURST);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(value_of(record), format!("{PADDING}{index}").as_bytes());
    }
}
