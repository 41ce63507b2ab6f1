//! A broker that one test has for itself.

use xtask::kafka::Node;

use super::Cluster;

/// A running node with empty storage. Dropping it ends it and removes its data.
#[derive(Debug)]
pub(crate) struct PrivateNode {
    node: Node,
    cluster: Cluster,
}

impl PrivateNode {
    pub(super) fn new(node: Node) -> Self {
        let cluster = Cluster::new(node.address().to_string());
        Self { node, cluster }
    }

    /// The node as a cluster to work with.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Its process id, or `None` while it is stopped.
    pub(crate) fn process_id(&mut self) -> Option<u32> {
        self.node.process_id()
    }

    /// Stops it in an orderly way; its data stays.
    pub(crate) fn stop(&mut self) {
        self.node
            .stop()
            .unwrap_or_else(|error| panic!("stopping a node: {error}"));
    }

    /// Kills it as a crash would; its data stays as it is.
    pub(crate) fn kill(&mut self) {
        self.node
            .kill()
            .unwrap_or_else(|error| panic!("killing a node: {error}"));
    }

    /// Starts it again on the same address and data (after stopping it if it runs) and waits until it
    /// can be worked with.
    pub(crate) fn restart(&mut self) {
        self.node
            .restart()
            .unwrap_or_else(|error| panic!("restarting a node: {error}"));
    }
}
