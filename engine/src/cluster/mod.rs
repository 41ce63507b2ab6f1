//! The brokers: those to bootstrap from and those the cluster advertises, and how each is linked.

mod refresh;

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_wire::message::MetadataBroker;

pub(crate) use refresh::Refresh;

use crate::connection::ConnId;
use crate::settings::Endpoint;
use crate::time::Time;

/// A broker: by the id that the cluster gave it, or below zero for an entry of the bootstrap list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) i32);

impl NodeId {
    fn bootstrap(position: usize) -> Self {
        Self(-1 - position as i32)
    }

    fn is_bootstrap(self) -> bool {
        self.0 < 0
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    pub(crate) link: Link,
    /// Failures in a row.
    pub(crate) failures: u32,
    pub(crate) last_error: Option<Arc<str>>,
}

/// How a broker is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Down,
    /// Not to be tried before then.
    Backoff(Time),
    /// Since when the connection is being made.
    Opening(ConnId, Time),
    Up(ConnId),
}

impl Node {
    fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            link: Link::Down,
            failures: 0,
            last_error: None,
        }
    }

    /// The connection works: what went wrong before is over.
    pub(crate) fn connected(&mut self, conn: ConnId) {
        self.link = Link::Up(conn);
        self.failures = 0;
        self.last_error = None;
    }

    pub(crate) fn connection(&self) -> Option<ConnId> {
        match self.link {
            Link::Opening(conn, _) | Link::Up(conn) => Some(conn),
            Link::Down | Link::Backoff(_) => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: BTreeMap<NodeId, Node>,
    /// Where the search for a broker to ask starts next time.
    turn: usize,
    pub(crate) refresh: Refresh,
}

/// What new metadata asks for.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Connections that lead nowhere useful any more.
    pub(crate) obsolete: Vec<ConnId>,
    /// A bootstrap connection that turned out to be that of this broker.
    pub(crate) adopted: Option<(ConnId, NodeId)>,
}

impl Cluster {
    pub(crate) fn new(bootstrap: &[Endpoint], refresh: Refresh) -> Self {
        let nodes = bootstrap
            .iter()
            .enumerate()
            .map(|(position, endpoint)| (NodeId::bootstrap(position), Node::new(endpoint.clone())));
        Self {
            nodes: nodes.collect(),
            turn: 0,
            refresh,
        }
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    /// The brokers that could be asked for metadata, best first: the cluster's own before the
    /// bootstrap list, each time starting with another one.
    pub(crate) fn candidates(&mut self) -> Vec<NodeId> {
        let (mut bootstrap, mut own): (Vec<NodeId>, Vec<NodeId>) =
            self.nodes.keys().partition(|id| id.is_bootstrap());
        bootstrap.sort_by_key(|id| -id.0);
        for group in [&mut own, &mut bootstrap] {
            let turn = self.turn % group.len().max(1);
            group.rotate_left(turn);
        }
        self.turn = self.turn.wrapping_add(1);
        own.extend(bootstrap);
        own
    }

    /// The connection that is in the making for longest, if any is.
    pub(crate) fn opening_since(&self) -> Option<Time> {
        let openings = self.nodes.values().filter_map(|node| match node.link {
            Link::Opening(_, since) => Some(since),
            _ => None,
        });
        openings.max()
    }

    /// What went wrong last, anywhere.
    pub(crate) fn last_error(&self) -> Option<Arc<str>> {
        let mut failing = self.nodes.values().filter(|node| node.failures > 0);
        failing.find_map(|node| node.last_error.clone())
    }

    /// Takes over the list of brokers of a metadata answer.
    pub(crate) fn update(&mut self, brokers: &[MetadataBroker<'_>]) -> Changes {
        let mut changes = Changes::default();
        if brokers.is_empty() {
            return changes;
        }
        self.nodes.retain(|id, node| {
            let listed = id.is_bootstrap() || brokers.iter().any(|broker| broker.node_id == id.0);
            if !listed {
                changes.obsolete.extend(node.connection());
            }
            listed
        });
        for broker in brokers {
            self.update_node(broker, &mut changes);
        }
        self.adopt(&mut changes);
        changes
    }

    fn update_node(&mut self, broker: &MetadataBroker<'_>, changes: &mut Changes) {
        let id = NodeId(broker.node_id);
        let Some(port) = u16::try_from(broker.port)
            .ok()
            .filter(|_| !id.is_bootstrap())
        else {
            return;
        };
        let known = self.nodes.entry(id).or_insert_with(|| {
            Node::new(Endpoint {
                host: broker.host.to_owned(),
                port,
            })
        });
        if known.endpoint.host != broker.host || known.endpoint.port != port {
            changes.obsolete.extend(known.connection());
            *known = Node::new(Endpoint {
                host: broker.host.to_owned(),
                port,
            });
        }
    }

    /// A bootstrap address that a broker advertises is that broker: its connection is used on, and
    /// one that belongs to none has done its work.
    fn adopt(&mut self, changes: &mut Changes) {
        let bootstrap: Vec<(NodeId, Endpoint, ConnId)> = self
            .nodes
            .iter()
            .filter_map(|(id, node)| match node.link {
                Link::Up(conn) if id.is_bootstrap() => Some((*id, node.endpoint.clone(), conn)),
                _ => None,
            })
            .collect();
        for (id, endpoint, conn) in bootstrap {
            let twin = self.nodes.iter_mut().find(|(other, node)| {
                !other.is_bootstrap() && node.endpoint == endpoint && node.connection().is_none()
            });
            match twin {
                Some((twin, node)) if changes.adopted.is_none() => {
                    node.connected(conn);
                    changes.adopted = Some((conn, *twin));
                    self.nodes.get_mut(&id).expect("listed above").link = Link::Down;
                }
                _ => changes.obsolete.push(conn),
            }
        }
    }
}
