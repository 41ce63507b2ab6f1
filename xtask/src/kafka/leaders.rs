use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use super::requests::Connection;

/// Finds out which partitions of a topic have a leader.
#[derive(Debug, Clone)]
pub struct Leaders {
    nodes: Vec<(i32, SocketAddr)>,
}

impl Leaders {
    pub(super) fn new(nodes: impl Iterator<Item = (i32, SocketAddr)>) -> Self {
        Self {
            nodes: nodes.collect(),
        }
    }

    /// The partitions that some node says it leads itself. What it says of others may be what was so
    /// before they died.
    pub fn led_partitions(&self, topic: &str) -> BTreeSet<i32> {
        let answers = self
            .nodes
            .iter()
            .map(|(id, address)| led_by(*id, *address, topic));
        // A node that does not answer leads nothing.
        answers.flat_map(io::Result::unwrap_or_default).collect()
    }
}

fn led_by(id: i32, address: SocketAddr, topic: &str) -> io::Result<BTreeSet<i32>> {
    let view = Connection::open(address)?.metadata(Some(topic))?;
    let leaders = view.leaders.into_iter();
    let led = leaders.filter(|(_, leader)| *leader == id);
    Ok(led.map(|(partition, _)| partition).collect())
}
