//! The clusters that tests start leave nothing behind.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

use xtask::kafka::{Cluster, Options};
use xtask::{TestBroker, kafka_folder};

#[test]
fn a_cluster_with_a_stopped_and_a_paused_node_leaves_nothing_behind() {
    let Ok(TestBroker::Kafka {
        nodes: 3, version, ..
    }) = TestBroker::from_environment()
    else {
        return skip("it starts Kafka of three nodes, which is not what is tested now");
    };
    let mut cluster = Cluster::start(&Options {
        nodes: 3,
        version,
        ..Options::default()
    })
    .unwrap();
    let nodes = cluster.node_ids();
    let processes = nodes.iter().map(|node| {
        let id = cluster.process_id(*node).unwrap();
        PathBuf::from(format!("/proc/{}", id.expect("it runs")))
    });
    let data = nodes.iter().map(|node| data_of_first_cluster(*node));
    let traces: Vec<PathBuf> = processes.chain(data).collect();
    assert!(traces.iter().all(|trace| trace.exists()), "{traces:?}");

    cluster.stop(1).unwrap();
    cluster.pause(2).unwrap();
    assert!(cluster.pause(1).is_err(), "it is stopped");
    assert!(cluster.kill(4).is_err(), "there is none");
    drop(cluster);

    assert!(!traces.iter().any(|trace| trace.exists()), "{traces:?}");
}

fn data_of_first_cluster(node: i32) -> PathBuf {
    let cluster = Path::new("nodes").join(format!("{}-0", process::id()));
    let node = cluster.join(format!("node{node}"));
    kafka_folder().join(node).join("data")
}

/// In the form that `cargo xtask test` counts, and past the capture of the test harness.
fn skip(why: &str) {
    // Nothing can be done about a closed standard error.
    let _ = writeln!(io::stderr(), "skipped: {why}");
}
