//! A broker that one test has for itself.

use xtask::kafka;

use super::Cluster;

/// A running node with empty storage. Dropping it ends it and removes its data.
#[derive(Debug)]
pub(crate) struct PrivateNode {
    node: kafka::Cluster,
    cluster: Cluster,
}

impl PrivateNode {
    pub(super) fn new(node: kafka::Cluster) -> Self {
        let cluster = Cluster::new(node.bootstrap());
        Self { node, cluster }
    }

    /// The node as a cluster to work with.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Its process id, or `None` while it is stopped.
    pub(crate) fn process_id(&mut self) -> Option<u32> {
        self.node.process_id(1).expect("there is one node")
    }

    /// Stops it in an orderly way; its data stays.
    pub(crate) fn stop(&mut self) {
        self.node
            .stop(1)
            .unwrap_or_else(|error| panic!("stopping a node: {error}"));
    }

    /// Kills it as a crash would; its data stays as it is.
    pub(crate) fn kill(&mut self) {
        self.node
            .kill(1)
            .unwrap_or_else(|error| panic!("killing a node: {error}"));
    }

    /// Starts it again on the same address and data (after stopping it if it runs) and waits until it
    /// can be worked with.
    pub(crate) fn restart(&mut self) {
        self.node
            .restart(1)
            .unwrap_or_else(|error| panic!("restarting a node: {error}"));
    }
}
