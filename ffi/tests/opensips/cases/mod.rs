//! What the module has to do in a real OpenSIPS, against a broker of any kind. The numbers B1 to B23
//! are those of `docs/opensips-defects.md`.

mod bursts;
mod examples;
mod load;
mod logs;
pub(crate) mod outage;
mod outages;
mod payloads;
mod publishing;
mod reload;
pub(crate) mod renewals;
mod sockets;
mod status;
mod subscriptions;

use std::fmt;

use crate::sip::Client;
use crate::support::{self, Cluster, Needs, Record};
use crate::tree::Tree;

/// Has it done in a tree; what was counted. `None` after saying that this broker will not do.
pub(crate) type Case = fn(&Tree) -> Option<String>;

/// With its name, and what holds if it passes.
pub(crate) const ALL: &[(&str, &str, Case)] = &[
    (
        "publishing",
        "messages without key and route are published (B1), and what cannot be is refused",
        publishing::publishing,
    ),
    (
        "reports",
        "report routes find all in their AVPs",
        publishing::reports,
    ),
    (
        "publishing_all",
        "messages have another topic, headers, a partition, or no value",
        publishing::publishing_all,
    ),
    (
        "reload",
        "scripts are loaded anew while messages are on their way (B23)",
        reload::reload,
    ),
    (
        "failures_only",
        "where only failures are reported, delivered messages leave nothing behind (B8)",
        publishing::failures_only,
    ),
    (
        "payloads",
        "all is told byte for byte (B22), with the Call-ID as key (B2)",
        payloads::payloads,
    ),
    (
        "core_payloads",
        "whatever is raised, the bytes are those of the core's own transports",
        payloads::core_payloads,
    ),
    (
        "core_log",
        "E_CORE_LOG is told, but for what the Kafka worker logs itself",
        logs::core_log,
    ),
    (
        "properties",
        "properties are obeyed, or with strict=0 ignored with a warning",
        sockets::properties,
    ),
    (
        "socket_forms",
        "sockets of every form are understood",
        sockets::socket_forms,
    ),
    (
        "malformed_sockets",
        "malformed sockets are refused (B3), and leave no memory behind (B13)",
        sockets::malformed_sockets,
    ),
    (
        "refusals",
        "what is wrong in the configuration stops the start",
        sockets::refusals,
    ),
    (
        "renewals",
        "renewed subscriptions are one, and can be ended (B11, B12)",
        subscriptions::renewals,
    ),
    (
        "status",
        "MI and statistics say how sockets are",
        status::status,
    ),
    (
        "flush",
        "kafka_flush has what lingers sent, and says what became of it",
        status::flush,
    ),
    (
        "changes",
        "a socket that comes up, goes down or fills is told as an event, once",
        status::changes,
    ),
    (
        "failover",
        "event_virtual fails over to a living cluster, and the log says why (B18)",
        subscriptions::failover,
    ),
    (
        "dead_cluster",
        "a dead cluster refuses, and hinders no other (B4, B5)",
        outages::dead_cluster,
    ),
    (
        "dead_ports",
        "20 dead clusters make 20 reports (B6)",
        outages::dead_ports,
    ),
    (
        "late_cluster",
        "what waited for a cluster is delivered and reported when it is there (B6)",
        outages::late_cluster,
    ),
    (
        "long_outage",
        "a cluster that is away for long costs SIP and shared memory nothing (B7)",
        outage::short,
    ),
    (
        "many_renewals",
        "many subscriptions are renewed and expire, and leave nothing behind",
        renewals::short,
    ),
    (
        "killed_worker",
        "a worker that is killed ends OpenSIPS as any process does, in time, and the log says what is lost",
        outages::killed_worker,
    ),
    (
        "burst",
        "a burst of 100,000 is taken whole, all arrives, and each is reported (B4)",
        bursts::burst,
    ),
    (
        "sigterm",
        "SIGTERM right after a burst loses nothing (B9, B10), a stray one does nothing (B19)",
        bursts::sigterm,
    ),
    (
        "example_call_records",
        "examples/call-records.cfg tells of calls and messages when they have ended",
        examples::call_records,
    ),
    (
        "example_call_states",
        "examples/call-states.cfg tells of each change of a call",
        examples::call_states,
    ),
    (
        "example_security_events",
        "examples/security-events.cfg tells who floods",
        examples::security_events,
    ),
    (
        "example_archive_with_spare",
        "examples/archive-with-spare.cfg loses no message while one cluster is there",
        examples::archive_with_spare,
    ),
    (
        "example_failover",
        "examples/failover.cfg tells the second cluster what the first one did not keep",
        examples::failover,
    ),
    (
        "slow_end",
        "a broker that is slow to answer has time to, when OpenSIPS ends (B9)",
        bursts::slow_end,
    ),
    (
        "end_without_cluster",
        "what cannot be delivered is counted in the log, when OpenSIPS ends",
        bursts::end_without_cluster,
    ),
];

/// A topic of a case's own, shown as `brokers/topic`. It has one partition, so that there is an order.
struct Topic<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl<'a> Topic<'a> {
    fn new(cluster: &'a Cluster, name: &str) -> Self {
        let name = support::unique_name(name);
        cluster.create_topic(&name, 1);
        Self { cluster, name }
    }

    fn records(&self) -> Vec<Record> {
        self.cluster.read_all(&self.name)
    }

    /// Waits until there are so many records, or more.
    fn wait_for(&self, count: usize) -> Vec<Record> {
        support::eventually(&format!("{self} holds {count} records"), || {
            let ends = self.cluster.end_offsets(&self.name);
            (ends.values().sum::<i64>() as usize >= count).then_some(())
        });
        self.records()
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster.bootstrap(), self.name)
    }
}

/// The cluster that all cases share.
fn shared_cluster() -> Option<&'static Cluster> {
    support::cluster(Needs::ANY)
}

/// What the key of a record has to be.
enum Key {
    None,
    /// The Call-ID of the request.
    CallId,
    Is(&'static [u8]),
}

impl Key {
    #[track_caller]
    fn expect(&self, name: &str, record: &Record, client: &Client) {
        let call_id = client.call_id();
        let expected = match self {
            Self::None => None,
            Self::CallId => Some(call_id.as_bytes()),
            Self::Is(key) => Some(*key),
        };
        assert_eq!(key_of(record), expected, "{name}");
    }
}

fn key_of(record: &Record) -> Option<&[u8]> {
    record.key.as_deref()
}

fn value_of(record: &Record) -> &[u8] {
    record.value.as_deref().expect("there are no tombstones")
}

/// Fails with both as texts where they differ.
#[track_caller]
fn assert_bytes(name: &str, bytes: &[u8], expected: &[u8]) {
    let [shown, wanted] = [bytes, expected].map(|bytes| bytes.escape_ascii().to_string());
    assert_eq!(shown, wanted, "{name}");
}
