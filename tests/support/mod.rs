//! A broker for the integration tests, and independent clients to check what arrived.
//!
//! Which broker it is, `EVENT_KAFKA_TEST_BROKER` names: `mock` or `mock:PROFILE` (`kafka-mock`, in
//! the test's own process; so it is when nothing is named), `kafka`, `kafka:3`, `kafka:1@3.7.2` (a
//! real one: so many nodes, that version). `EVENT_KAFKA_TEST_BOOTSTRAP` gives the addresses of one
//! that runs already. A test says what it needs in its first line, and is skipped, with the reason,
//! on a broker that lacks it:
//!
//! ```ignore
//! mod support;
//!
//! #[test]
//! fn what_is_published_arrives() {
//!     let Some(cluster) = support::cluster(Needs::ANY) else { return };
//!     let topic = support::unique_name("arrives");
//!     cluster.create_topic(&topic, 3);
//!     // ... publish to cluster.bootstrap() ...
//!     let records = cluster.read_all(&topic);
//! }
//! ```
//!
//! Nothing here uses the codecs or the producer under test: topics are made and records are read with
//! the `kafka-protocol` crate and other decompressors over blocking sockets, and kcat is at hand as a second opinion.
//! Everything waits with a deadline and panics with its reason; nothing is left running.

// Every test binary compiles this module for itself and uses only a part of it.
#![allow(dead_code, unused_imports)]

mod cluster;
mod decompress;
mod kcat;
mod needs;
mod private_cluster;
mod wire;

use std::io::{self, Write};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use xtask::TestBroker;

pub(crate) use cluster::{Cluster, Record};
pub(crate) use needs::Needs;
use private_cluster::Nodes;
pub(crate) use private_cluster::PrivateCluster;

/// How long anything that was asked of a broker may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster that the tests share; take a topic of your own ([`unique_name`]). `None` after saying
/// that the test is skipped, and why.
pub(crate) fn cluster(needs: Needs) -> Option<&'static Cluster> {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    assert!(needs.creates_topics(), "that takes a private cluster");
    let shared = SHARED.get_or_init(Shared::find);
    if let Some(lacking) = needs.lacking(broker(), shared.nodes) {
        skip(&lacking);
        return None;
    }
    Some(&shared.cluster)
}

/// A cluster of the caller's own, whose nodes it may stop, kill, pause and start again. `None` after
/// saying that the test is skipped, and why.
pub(crate) fn private_cluster(needs: Needs) -> Option<PrivateCluster> {
    let lacking = match Nodes::count(broker()) {
        Some(nodes) => needs.lacking(broker(), nodes),
        None => Some("an outside broker is not ours to stop".to_owned()),
    };
    if let Some(lacking) = lacking {
        skip(&lacking);
        return None;
    }
    Some(PrivateCluster::start(broker(), needs))
}

/// A name, for a topic for example, that no other test of any run uses.
pub(crate) fn unique_name(prefix: &str) -> String {
    static USED: AtomicU32 = AtomicU32::new(0);
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .expect("the clock stands after 1970");
    let number = USED.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{}-{number}", now.as_millis(), process::id())
}

/// Says something that is worth reading even if the test passes, past the harness's capture.
pub(crate) fn note(text: &str) {
    say("note", text);
}

/// Asks until there is an answer; panics with `what` when patience runs out. A broker announces
/// nothing, so there is no other way to wait for it.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The broker that this run of the tests is for.
fn broker() -> &'static TestBroker {
    static BROKER: OnceLock<TestBroker> = OnceLock::new();
    BROKER.get_or_init(|| TestBroker::from_environment().unwrap_or_else(|error| panic!("{error}")))
}

struct Shared {
    cluster: Cluster,
    /// How many nodes it has.
    nodes: usize,
    /// If this process has started it.
    _own: Option<Nodes>,
}

impl Shared {
    fn find() -> Self {
        let (cluster, own) = match broker() {
            TestBroker::Outside { bootstrap }
            | TestBroker::Kafka {
                bootstrap: Some(bootstrap),
                ..
            } => (Cluster::new(bootstrap.clone()), None),
            broker => {
                let own = Nodes::start(broker, Needs::ANY);
                (own.cluster(), Some(own))
            }
        };
        Self {
            nodes: cluster.node_ids().len(),
            cluster,
            _own: own,
        }
    }
}

/// The form that `cargo xtask test` counts: the harness itself knows no skipping at run time.
fn skip(why: &str) {
    say("skipped", why);
}

/// Past the test harness's capture.
fn say(what: &str, text: &str) {
    let test = thread::current();
    let test = test.name().unwrap_or("a test");
    // Nothing can be done about a closed standard error.
    let _ = writeln!(io::stderr(), "{what}: {test}: {text}");
}
