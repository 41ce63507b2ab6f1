//! The cluster that tests start: what its nodes leave behind.

use std::path::Path;

use xtask::kafka::{Cluster, Options};
use xtask::{TestBroker, kafka_folder};

/// Where this process keeps the nodes of its first cluster.
fn data_of(node: i32) -> std::path::PathBuf {
    let cluster = format!("{}-0", std::process::id());
    let nodes = kafka_folder().join("nodes").join(cluster);
    nodes.join(format!("node{node}")).join("data")
}

#[test]
fn a_cluster_of_which_nodes_are_paused_or_stopped_leaves_nothing_behind() {
    let Ok(TestBroker::Kafka {
        nodes: 3, version, ..
    }) = TestBroker::from_environment()
    else {
        eprintln!("skipped: it needs Kafka of three nodes");
        return;
    };
    let mut cluster = Cluster::start(&Options {
        nodes: 3,
        version,
        ..Options::default()
    })
    .unwrap();
    let processes = cluster.node_ids().into_iter().map(|node| {
        let id = cluster.process_id(node).unwrap();
        format!("/proc/{}", id.expect("it runs"))
    });
    let processes: Vec<_> = processes.collect();
    let data: Vec<_> = cluster.node_ids().into_iter().map(data_of).collect();
    assert!(processes.iter().all(|process| Path::new(process).exists()));
    assert!(data.iter().all(|data| data.exists()));

    cluster.stop(1).unwrap();
    cluster.pause(2).unwrap();
    assert!(cluster.pause(1).is_err(), "it is stopped");
    assert!(cluster.kill(4).is_err(), "there is none");
    drop(cluster);

    for process in processes {
        assert!(!Path::new(&process).exists(), "{process}");
    }
    for data in data {
        assert!(!data.exists(), "{}", data.display());
    }
}
