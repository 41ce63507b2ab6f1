//! Sending without lingering.

use std::sync::Arc;

use super::cluster::Cluster;

/// A producer does not linger for as long as this is kept.
pub struct SocketFlush {
    cluster: Arc<Cluster>,
}

impl SocketFlush {
    pub(super) fn begin(cluster: Arc<Cluster>) -> Self {
        cluster.producer().stop_lingering();
        Self { cluster }
    }
}

impl Drop for SocketFlush {
    fn drop(&mut self) {
        self.cluster.producer().linger_again();
    }
}
