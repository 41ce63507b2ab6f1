//! Sockets of every form, with properties that are right and wrong.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::{Topic, assert_bytes, shared_cluster, value_of};
use crate::server::Server;
use crate::tree::Tree;

/// A `broker_id` and what it has to do.
struct Row {
    /// What stands behind its ID.
    socket: String,
    /// What the log says of it; nothing, if it is as it should be.
    warning: Option<&'static str>,
}

fn row(socket: String, warning: impl Into<Option<&'static str>>) -> Row {
    Row {
        socket,
        warning: warning.into(),
    }
}

pub(super) fn properties(tree: &Tree) -> Option<String> {
    let cluster = shared_cluster()?;
    let topic = Topic::new(cluster, "properties");
    let (name, brokers) = (&topic.name, cluster.bootstrap());
    let ignored = [
        ("g.bogus=1", "no such property"),
        ("t.acks=99999", "value \"99999\" is out of range"),
        ("acks=all", "did you mean t.acks?"),
        ("=b", "no such property"),
        ("t.linger.ms=1", "linger.ms"),
        ("key=foo", "no such source of keys"),
    ];
    let obeyed = [
        "g.acks=all",
        "g.client.id=ab=c",
        "g.client.id=",
        "g.client.id=a?b/c#d%2Fe+f@g:h;i",
    ];
    let lenient = ignored.map(|(property, says)| row(format!("{topic}?strict=0&{property}"), says));
    let strict = obeyed.map(|property| row(format!("{topic}?{property}"), None));
    let elsewhere = row(
        format!("127.0.0.1:1/{name}?g.bootstrap.servers={brokers}"),
        None,
    );
    let rows: Vec<_> = lenient
        .into_iter()
        .chain(strict)
        .chain([elsewhere])
        .collect();
    let server = publish_by_each(tree, "properties", &rows, &topic);
    for (property, says) in ignored {
        let socket = format!("kafka:{topic}?{property}");
        let answer = server.manage("event_subscribe", &["E_C0", &socket]);
        assert!(answer.contains("error"), "{property}: {answer}");
        server.wait_for_log(says, 2);
    }
    server.end();
    Some(format!(
        "{} rows: {} obeyed, {} ignored with strict=0 and refused without",
        rows.len(),
        rows.len() - ignored.len(),
        ignored.len()
    ))
}

pub(super) fn socket_forms(tree: &Tree) -> Option<String> {
    let cluster = shared_cluster()?;
    let topic = Topic::new(cluster, "forms");
    let (name, brokers) = (&topic.name, cluster.bootstrap());
    let by_ipv6 = forward_ipv6(brokers);
    let rows = [
        row(topic.to_string(), None),
        row(format!(" \t{topic}"), None),
        row(format!("kafka:{topic}"), None),
        row(format!("127.0.0.1:1, {brokers}/{name}"), None),
        row(
            format!("{brokers}/ {name} "),
            "blanks around the topic are left out",
        ),
        row(format!("/{name}?g.bootstrap.servers={brokers}"), None),
        row(format!("[::1]:{by_ipv6}/{name}"), None),
    ];
    publish_by_each(tree, "forms", &rows, &topic).end();
    Some(format!("{} forms of sockets deliver", rows.len() + 1))
}

/// Publishes a message by each socket, which has to be delivered; the first is that of an empty ID, too.
fn publish_by_each(tree: &Tree, name: &str, rows: &[Row], topic: &Topic<'_>) -> Server {
    let ids: String = rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            format!(
                "modparam(\"event_kafka\", \"broker_id\", \"  [s{index}]{}\")\n",
                row.socket
            )
        })
        .collect();
    let script = format!(
        r#"
modparam("event_kafka", "broker_id", "[]{topic}")
{ids}
# The event is known from here on.
startup_route {{ subscribe_event("E_C0", "kafka:{topic}"); }}
route[report] {{ xlog("REPORT $avp(kafka_status) of <$avp(kafka_id)>\n"); }}
route {{
    $var(id) = $rU;
    if ($rU == "none") $var(id) = "";
    if ($rU != "ready") kafka_publish($var(id), $rb, , "report");
    sl_send_reply(200, "OK");
}}
"#
    );
    let server = Server::start(tree, name, &script);
    let mut client = server.client();
    let ids = (0..rows.len()).map(|index| format!("s{index}"));
    for (index, id) in ids.chain([String::new()]).enumerate() {
        let user = if id.is_empty() { "none" } else { &id };
        client.request(user, user.as_bytes());
        let records = topic.wait_for(index + 1);
        assert_bytes(user, value_of(&records[index]), user.as_bytes());
        server.wait_for_log(&format!("REPORT 0 of <{id}>"), 1);
    }
    for row in rows {
        if let Some(warning) = row.warning {
            server.wait_for_log(warning, 1);
        }
    }
    server
}

/// A port of IPv6 at which one of these brokers is, too. It goes with this process.
fn forward_ipv6(brokers: &str) -> u16 {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = brokers.split(',').next().unwrap().to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(broker) = TcpStream::connect(&broker) else {
                continue;
            };
            let back = (broker.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || copy(client, broker));
            thread::spawn(move || copy(back.0, back.1));
        }
    });
    port
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    // It ends as the connection does.
    let _ = io::copy(&mut from, &mut to);
}

const MALFORMED: &[&str] = &[
    "kafka:host:9/",
    "kafka:host:9/t?",
    "kafka:host:9/a/b",
    "kafka:SSL://host/t",
    "kafka",
    "kafka:",
    "kafka:host:9",
    "kafka:host:9/a%2Fb",
    "kafka:host:9/t?t.acks=99999",
    // What is not there yet may not be ignored in silence.
    "kafka:host:9/t?g.security.protocol=ssl&g.ssl.ca.location=/nowhere",
    "kafka:host:9/t?g.security.protocol=sasl_plaintext&g.sasl.mechanisms=PLAIN",
];

pub(super) fn malformed_sockets(tree: &Tree) -> Option<String> {
    const ROUNDS: usize = 30;
    let topic = Topic::new(shared_cluster()?, "malformed");
    let at_start: String = MALFORMED
        .iter()
        .map(|socket| format!("subscribe_event(\"E_C0\", \"{socket}\");\n"))
        .collect();
    let script = format!(
        r#"
startup_route {{
    {at_start}
    subscribe_event("E_C0", "kafka:{topic}?g.linger.ms=0");
}}
route {{ if ($rU == "raise") raise_event("E_C0"); sl_send_reply(200, "OK"); }}
"#
    );
    let server = Server::start(tree, "malformed", &script);
    let refused = || {
        for socket in MALFORMED {
            let answer = server.manage("event_subscribe", &["E_C0", socket]);
            assert!(answer.contains("error"), "{socket}: {answer}");
        }
        server.statistic("real_used_size")
    };
    let before = refused();
    let mut after = before;
    for _ in 1..ROUNDS {
        after = refused();
    }
    assert!(after < before + 4096, "{before}, {after}");
    server.client().request("raise", b"");
    assert_eq!(topic.wait_for(1).len(), 1);
    let log = server.end();
    let reasons = ["cannot subscribe: socket, byte", "there is no socket"];
    let said = reasons.map(|reason| log.matches(reason).count());
    let count = MALFORMED.len();
    let by_mi = ROUNDS * count;
    assert_eq!(said.iter().sum::<usize>(), count + by_mi, "{log}");
    Some(format!(
        "{count} refused by the script, {by_mi} by MI, which took {} bytes of shared memory; then 1 record",
        after.saturating_sub(before)
    ))
}

pub(super) fn refusals(tree: &Tree) -> Option<String> {
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
        (
            "variable",
            format!(
                "{broker}\nroute {{ kafka_publish_ex(\"k1\", , \"x\", , $var(names)); {answer} }}"
            ),
            "given as $avp(name)",
        ),
        (
            "index",
            format!(
                "{broker}\nroute {{ kafka_publish_ex(\"k1\", , \"x\", , $(avp(names)[1])); {answer} }}"
            ),
            "given as $avp(name), without an index",
        ),
        (
            "changed",
            format!(
                "{broker}\nroute {{ kafka_publish_ex(\"k1\", , \"x\", , $(avp(names){{s.len}})); {answer} }}"
            ),
            "given as $avp(name)",
        ),
    ];
    for (name, script, said) in &scripts {
        let log = Server::refuse(tree, name, script);
        assert!(log.contains(said), "{name}: {log}");
    }
    let whole = format!(
        "{broker}\nroute {{ kafka_publish_ex(\"k1\", , , , $avp(names), $(avp(values)[*])); {answer} }}"
    );
    let [one, none] = [broker, ""].map(|broker| format!("{broker}\nroute {{ {answer} }}"));
    let right = [one, none, whole];
    for script in &right {
        assert!(Server::check(tree, "check", script), "{script}");
    }
    Some(format!(
        "{} scripts refused, {} that are right pass a check (-C)",
        scripts.len(),
        right.len()
    ))
}
