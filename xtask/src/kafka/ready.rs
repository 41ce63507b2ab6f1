//! Whether nodes answer as a cluster that can be worked with.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::layout::Layout;
use super::requests::{Connection, View};
use crate::Result;

const START_LIMIT: Duration = Duration::from_secs(120);

/// Whether so many nodes can elect a controller.
pub(super) fn is_majority(nodes: usize, cluster_size: usize) -> bool {
    nodes > cluster_size / 2
}

/// Waits until every one of these running nodes is ready and knows the others, for two minutes at
/// most, or until `alive` has an error because one of them has ended.
///
/// Without a majority of the cluster's nodes no controller can be elected: nothing to wait for.
pub(super) fn wait(
    nodes: &[&Layout],
    cluster_size: usize,
    mut alive: impl FnMut() -> Result<()>,
) -> Result<()> {
    if !is_majority(nodes.len(), cluster_size) {
        return Ok(());
    }
    let deadline = Instant::now() + START_LIMIT;
    let ids: Vec<i32> = nodes.iter().map(|node| node.id).collect();
    for node in nodes {
        while let Err(why) = ask(node.address(), &ids) {
            alive()?;
            if Instant::now() >= deadline {
                let limit = START_LIMIT.as_secs();
                return Err(node.failure(&format!("was not ready after {limit} s ({why})")));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Ready means: the nodes and a controller are known, and producer ids are handed out.
fn ask(address: SocketAddr, nodes: &[i32]) -> io::Result<()> {
    let mut connection = Connection::open(address)?;
    match lacking(&connection.metadata(None)?, nodes) {
        Some(lacking) => Err(io::Error::other(lacking)),
        None => connection.init_producer_id(),
    }
}

/// What is lacking for these nodes to be a cluster.
fn lacking(view: &View, nodes: &[i32]) -> Option<String> {
    if let Some(missing) = nodes.iter().find(|node| !view.brokers.contains(node)) {
        return Some(format!("node {missing} is not known yet"));
    }
    (view.controller < 0).then(|| "no controller yet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_lacks_nodes_that_it_does_not_know_and_a_controller() {
        let view = |controller| View {
            brokers: vec![1, 3],
            controller,
            ..View::default()
        };
        assert_eq!(lacking(&view(3), &[3, 1]), None);
        let missing = lacking(&view(3), &[1, 2, 3]).unwrap();
        assert!(missing.contains("node 2"), "{missing}");
        assert!(lacking(&view(-1), &[1]).unwrap().contains("controller"));
    }
}
