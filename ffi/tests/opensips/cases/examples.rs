//! The configurations in `opensips/examples`, as they stand there but for addresses and folders.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::{Topic, assert_bytes, key_of, shared_cluster, value_of};
use crate::call::Phones;
use crate::server::Server;
use crate::support::Record;
use crate::tree::Tree;

const BROKERS: &str = "kafka1.example.net:9092,kafka2.example.net:9092";
const SPARE: &str = "spare.example.net:9092";
const GATEWAY: &str = "192.0.2.20:5060";
/// Where nobody listens.
const DEAD: &str = "127.0.0.1:1";

pub(super) fn call_records(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "cdr");
    let mut phones = Phones::new();
    let server = Example::new("call-records")
        .with(&format!("{BROKERS}/cdr"), &topic.to_string())
        .with(GATEWAY, &phones.callee().to_string())
        .start(tree);
    let calls = [
        (phones.call(server.address()), "call", "E_ACC_CDR", "INVITE"),
        (
            phones.refused_call(server.address()),
            "missed",
            "E_ACC_MISSED_EVENT",
            "INVITE",
        ),
        (
            phones.message(server.address()),
            "message",
            "E_ACC_EVENT",
            "MESSAGE",
        ),
    ];
    let records = topic.wait_for(calls.len());
    server.end();
    assert_eq!(records.len(), calls.len());
    for (call_id, kind, event, method) in &calls {
        let mut its = records
            .iter()
            .filter(|record| key_of(record) == Some(call_id.as_bytes()));
        let record = its.next().unwrap();
        assert!(its.next().is_none());
        let value = text_of(record);
        for part in [
            format!(r#""method":"{event}""#),
            format!(r#""method":"{method}""#),
            format!(r#""callid":"{call_id}""#),
            r#""timestamp":"#.to_owned(),
            r#""node":"#.to_owned(),
        ] {
            assert!(value.contains(&part), "{part} is not in {value}");
        }
        let headers: Vec<_> = record.headers.iter().collect();
        assert!(format!("{headers:?}").contains(kind), "{headers:?}");
    }
    assert!(
        records
            .iter()
            .any(|record| text_of(record).contains(r#""duration":"#))
    );
    Some(
        "a call, a call that nobody took, a message: 3 records, each with its Call-ID as key"
            .to_owned(),
    )
}

pub(super) fn call_states(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "calls");
    let mut phones = Phones::new();
    let server = Example::new("call-states")
        .with(&format!("{BROKERS}/calls"), &topic.to_string())
        .with(GATEWAY, &phones.callee().to_string())
        .start(tree);
    let call_id = phones.call(server.address());
    server.end();
    let records = topic.records();
    let mut state = String::from("1");
    for record in &records {
        assert_eq!(key_of(record), Some(call_id.as_bytes()));
        let value = text_of(record);
        assert!(
            value.contains(r#""method":"E_DLG_STATE_CHANGED""#),
            "{value}"
        );
        assert_eq!(number_in(&value, "old_state"), state, "{value}");
        state = number_in(&value, "new_state");
    }
    assert_eq!(state, "5");
    Some(format!(
        "{} changes of a call that was deleted in the end, in their order",
        records.len()
    ))
}

pub(super) fn security_events(tree: &Tree) -> Option<String> {
    let topic = Topic::new(shared_cluster()?, "security");
    let example =
        Example::new("security-events").with(&format!("{BROKERS}/security"), &topic.to_string());
    // As the command in the file says it.
    let (_, rest) = example.text.split_once("E_PIKE_BLOCKED \"").unwrap();
    let (socket, _) = rest.split_once('"').unwrap();
    let socket = socket.to_owned();
    let server = example.start(tree);
    let answer = server.manage("event_subscribe", &["E_PIKE_BLOCKED", &socket, "3600"]);
    assert!(answer.contains("OK"), "{answer}");
    server.client().flood(200);
    let record = topic.wait_for(1).remove(0);
    server.end();
    assert_eq!(key_of(&record), Some(&b"127.0.0.1"[..]));
    let value = text_of(&record);
    let start = r#"{"jsonrpc":"2.0","method":"E_PIKE_BLOCKED","params":{"ip":"127.0.0.1"},"#;
    assert!(value.starts_with(start), "{value}");
    Some("a flood of 200 requests, told with the address as key".to_owned())
}

pub(super) fn archive_with_spare(tree: &Tree) -> Option<String> {
    let topics = ["archive", "spare"].map(|name| Some(Topic::new(shared_cluster()?, name)));
    let [archive, spare] = topics.map(|topic| topic.map(|topic| (topic.to_string(), topic)));
    let ((archive, archived), (spare, spared)) = (archive?, spare?);
    let dead = format!("{DEAD}/messages");
    for (first, second, held_by) in [
        (&archive, &spare, Some(&archived)),
        (&dead, &spare, Some(&spared)),
        (&dead, &dead, None),
    ] {
        let server = Example::new("archive-with-spare")
            .with(&format!("{BROKERS}/messages"), first)
            .with(&format!("{SPARE}/messages"), second)
            .with("t.message.timeout.ms=5000", "t.message.timeout.ms=1000")
            .with("t.message.timeout.ms=60000", "t.message.timeout.ms=1000")
            .start(tree);
        let mut client = server.client();
        assert_eq!(client.request("somebody", b"hello"), "Accepted");
        match held_by {
            Some(topic) => {
                let record = topic.wait_for(1).remove(0);
                assert_bytes("archived", value_of(&record), b"hello");
                assert!(key_of(&record).unwrap().starts_with(b"sip:client@"));
            }
            None => {
                server.wait_for_log("in no archive", 1);
                server.wait_for_log("wrote hello", 1);
            }
        }
        let log = server.end();
        assert_eq!(log.contains("in no archive"), held_by.is_none(), "{log}");
    }
    assert_eq!((archived.records().len(), spared.records().len()), (1, 1));
    Some("one message in the archive, one in the spare one, one in the log".to_owned())
}

pub(super) fn failover(tree: &Tree) -> Option<String> {
    let cluster = shared_cluster()?;
    let [first, spare] = ["first", "second"].map(|name| Topic::new(cluster, name));
    let dead = format!("{DEAD}/registrations");
    for (brokers, held_by) in [(first.to_string(), &first), (dead, &spare)] {
        let server = Example::new("failover")
            .with(&format!("{BROKERS}/registrations"), &brokers)
            .with(&format!("{SPARE}/registrations"), &spare.to_string())
            .start(tree);
        server.client().request_by("REGISTER", "alice", b"");
        let record = held_by.wait_for(1).remove(0);
        server.end();
        assert_eq!(key_of(&record), Some(&b"alice"[..]));
        let value = text_of(&record);
        let start = r#"{"jsonrpc":"2.0","method":"E_REGISTERED","params":{"user":"alice","contact":"<sip:client@"#;
        assert!(value.starts_with(start), "{value}");
    }
    assert_eq!((first.records().len(), spare.records().len()), (1, 1));
    Some("1 event for the first cluster, and while that is away 1 for the second".to_owned())
}

/// A file of `opensips/examples`.
struct Example {
    name: &'static str,
    text: String,
}

impl Example {
    fn new(name: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../opensips/examples");
        let text = fs::read_to_string(folder.join(format!("{name}.cfg"))).unwrap();
        Self { name, text }
    }

    /// With something that an operator has to change.
    fn with(self, usual: &str, own: &str) -> Self {
        assert!(self.text.contains(usual), "{usual}");
        let text = self.text.replace(usual, own);
        Self { text, ..self }
    }

    fn start(self, tree: &Tree) -> Server {
        let name = format!("example-{}", self.name);
        Server::start_configured(tree, &name, |folder, address| {
            self.installed(tree, folder, address)
        })
    }

    /// As it is where this tree is installed, and logs where the tests read.
    fn installed(self, tree: &Tree, folder: &Path, address: SocketAddr) -> String {
        let module = |name: &str| format!("loadmodule \"{name}.so\"");
        let at = |path: &Path| format!("loadmodule \"{}\"", path.display());
        let mut example = self
            .with("udp:127.0.0.1:5060", &format!("udp:{address}"))
            .with(
                "/usr/lib/x86_64-linux-gnu/opensips/modules",
                &tree.modules().display().to_string(),
            )
            .with(&module("event_kafka"), &at(&tree.module()));
        for other in ["acc", "dialog"] {
            if example.text.contains(&module(other)) {
                example = example.with(&module(other), &at(&tree.other(other)));
            }
        }
        let text = example.text;
        let text = text.replace("/run/opensips/opensips_fifo", "/run/opensips/fifo");
        let text = text.replace("/run/opensips", &folder.display().to_string());
        format!("stderror_enabled=yes\nsyslog_enabled=no\n{text}")
    }
}

fn text_of(record: &Record) -> String {
    String::from_utf8(value_of(record).to_vec()).unwrap()
}

/// The number that a member of a JSON object has.
fn number_in(json: &str, name: &str) -> String {
    let (_, rest) = json.split_once(&format!("\"{name}\":")).unwrap();
    rest.chars().take_while(char::is_ascii_digit).collect()
}
