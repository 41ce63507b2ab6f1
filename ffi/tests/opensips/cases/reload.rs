//! The script is loaded anew while messages are on their way.

use super::{Topic, shared_cluster};
use crate::server::Server;
use crate::support;
use crate::tree::Tree;

/// How many messages are on their way at each reload.
const BURST: usize = 5000;

pub(super) fn reload(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "reloaded");
    let modparam = format!(
        "max_while_loops=100000\n\
         modparam(\"event_kafka\", \"broker_id\", \"[k1]{topic}?g.linger.ms=500\")"
    );
    let script = |routes: &str, id: &str, route: &str| {
        format!(
            r#"
{modparam}
{routes}
route {{
    $var(n) = 0;
    while ($rU == "burst" && $var(n) < {BURST}) {{
        kafka_publish("{id}", $rb, , "{route}");
        $var(n) = $var(n) + 1;
    }}
    if ($rU == "one") kafka_publish("{id}", $rb, , "{route}");
    sl_send_reply(200, "$rc");
}}
"#
        )
    };
    let first = r#"route[first] { xlog("FIRST $avp(kafka_msg)\n"); }"#;
    // With other numbers than before, as another one comes first.
    let moved = r#"
route[other] { xlog("WRONG $avp(kafka_msg)\n"); }
route[first] { xlog("MOVED $avp(kafka_msg)\n"); }
"#;
    let gone = r#"route[other] { xlog("OTHER $avp(kafka_msg)\n"); }"#;
    let server = Server::start(tree, "reload", &script(first, "k1", "first"));
    let mut client = server.client();
    client.request("one", b"before");
    server.wait_for_log("FIRST before", 1);

    client.request("burst", b"moves");
    server.reload(tree, &script(moved, "k1", "first"));
    let told = |server: &Server| {
        let log = server.log();
        log.matches("FIRST moves").count() + log.matches("MOVED moves").count()
    };
    support::eventually("all are told", || (told(&server) >= BURST).then_some(()));
    client.request("one", b"after");
    server.wait_for_log("MOVED after", 1);

    client.request("burst", b"goes");
    server.reload(tree, &script(gone, "k1", "other"));
    topic.wait_for(2 * BURST + 2);
    client.request("one", b"later");
    server.wait_for_log("OTHER later", 1);

    // One that is wrong changes nothing.
    let refused = server.try_reload(tree, &script(gone, "unknown", "other"));
    assert!(refused.contains("error"), "{refused}");
    server.wait_for_log("no broker_id has the id \"unknown\"", 1);
    let refused = server.try_reload(tree, &script(gone, "k1", "nowhere"));
    assert!(refused.contains("error"), "{refused}");
    server.wait_for_log("there is no route[nowhere] for reports", 1);
    client.request("one", b"still");
    server.wait_for_log("OTHER still", 1);

    let log = server.end();
    assert!(!log.contains("WRONG"), "{log}");
    let told_before = log.matches("MOVED goes").count();
    let is_said = log.contains("route[first] is gone");
    assert_eq!(is_said, told_before < BURST, "{log}");
    assert_eq!(topic.records().len(), 2 * BURST + 4);
    Some(format!(
        "{} messages, 2 reloads in the middle: {} reports found their route gone; 2 were refused",
        2 * BURST + 4,
        BURST - told_before
    ))
}
