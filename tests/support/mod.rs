//! A real broker for the integration tests, and an independent client to check what arrived.
//!
//! Nothing here uses the codec or the producer under test: topics are made and records are read with
//! the `kafka-protocol` crate over blocking sockets, and kcat is at hand as a second opinion.
//!
//! ```ignore
//! mod support;
//!
//! #[test]
//! fn what_is_published_arrives() {
//!     let Some(cluster) = support::cluster() else { return };
//!     let topic = support::unique_name("arrives");
//!     cluster.create_topic(&topic, 3);
//!     // ... publish to cluster.bootstrap() ...
//!     let records = cluster.read_all(&topic);
//! }
//! ```
//!
//! Everything waits with a deadline and panics with its reason; nothing is left running.

// Every test binary compiles this module for itself and uses only a part of it.
#![allow(dead_code, unused_imports)]

mod cluster;
mod kcat;
mod private_node;
mod wire;

use std::env;
use std::io::{self, Write};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use xtask::kafka;

pub(crate) use cluster::{Cluster, Record};
pub(crate) use private_node::PrivateNode;

/// Names an outside broker: `host:port,...`. `cargo xtask test` hands its own node over by it.
const BOOTSTRAP: &str = "EVENT_KAFKA_TEST_BOOTSTRAP";

/// Set to 1 by `cargo xtask test --no-broker`.
const NO_BROKER: &str = "EVENT_KAFKA_NO_BROKER";

/// How long anything that was asked of a broker may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The broker that the tests share: that of `EVENT_KAFKA_TEST_BOOTSTRAP`, otherwise one started for
/// this test binary. `None` after saying that the test is skipped, when brokers are left out.
pub(crate) fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<(Cluster, Option<kafka::Cluster>)> = OnceLock::new();
    if without_broker() {
        return None;
    }
    let (cluster, _node) = CLUSTER.get_or_init(|| match env::var(BOOTSTRAP) {
        Ok(bootstrap) => (Cluster::new(bootstrap), None),
        Err(_) => {
            let node = start_node();
            (Cluster::new(node.bootstrap()), Some(node))
        }
    });
    Some(cluster)
}

/// A broker of the caller's own, which it may stop and start. `None` after saying that the test is
/// skipped, when brokers are left out.
pub(crate) fn private_node() -> Option<PrivateNode> {
    (!without_broker()).then(|| PrivateNode::new(start_node()))
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

/// Says that the running test is skipped. Past the test harness's capture, so that `cargo xtask test`
/// can count it: the harness itself knows no skipping at run time.
pub(crate) fn skip(why: &str) {
    let test = thread::current();
    let test = test.name().unwrap_or("a test");
    // Nothing can be done about a closed standard error.
    let _ = writeln!(io::stderr(), "skipped: {test}: {why}");
}

fn without_broker() -> bool {
    let left_out = env::var(NO_BROKER).is_ok_and(|value| value == "1");
    if left_out {
        skip("brokers are left out");
    }
    left_out
}

fn start_node() -> kafka::Cluster {
    kafka::Cluster::start(&kafka::Options::default())
        .unwrap_or_else(|error| panic!("no broker for the tests: {error}"))
}

/// Asks until there is an answer; panics with `what` when patience runs out. A broker announces
/// nothing, so there is no other way to wait for it.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
