//! The brokers: those to bootstrap from and those the cluster advertises, and how each is linked.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::message::{MetadataBroker, NodeEndpoint};

use crate::connection::{ConnId, MAX_HOST};
use crate::inquiry::Inquiry;
use crate::settings::{Endpoint, Settings};
use crate::time::Time;

/// A broker: by the id that the cluster gave it, or below zero for an entry of the bootstrap list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) i32);

impl NodeId {
    fn bootstrap(position: usize) -> Self {
        Self(-1 - position as i32)
    }

    pub(crate) fn is_bootstrap(self) -> bool {
        self.0 < 0
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    pub(crate) link: Link,
    /// Connections that ended badly in a row, those included that never came about. One that lasts
    /// starts the count anew; that it was made says little (see [`Node::failed`]).
    pub(crate) failures: u32,
    /// What went wrong, until a request is answered again.
    pub(crate) last_error: Option<Arc<str>>,
}

/// How a broker is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Down,
    /// Not to be tried before then.
    Backoff(Time),
    Opening(ConnId),
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

    /// A connection was lost, or not made. It counts as a failure in a row with those before it
    /// unless it `lasted`: a broker may agree on versions, close at the first request, and do so
    /// for ever.
    pub(crate) fn failed(&mut self, error: Arc<str>, lasted: bool) {
        self.failures = if lasted { 1 } else { self.failures + 1 };
        self.last_error = Some(error);
    }

    /// Whether connections to it failed, and there is none again.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.failures > 0 && !matches!(self.link, Link::Up(_))
    }

    pub(crate) fn connection(&self) -> Option<ConnId> {
        match self.link {
            Link::Opening(conn) | Link::Up(conn) => Some(conn),
            Link::Down | Link::Backoff(_) => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: BTreeMap<NodeId, Node>,
    /// Where the search for a broker to ask starts next time.
    turn: usize,
    rebootstrap: bool,
    /// When the search took its last step, while there is one.
    pub(crate) searched_at: Option<Time>,
    /// About metadata.
    pub(crate) refresh: Inquiry,
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
    pub(crate) fn new(settings: &Settings) -> Self {
        let nodes = settings
            .bootstrap
            .iter()
            .enumerate()
            .map(|(position, endpoint)| (NodeId::bootstrap(position), Node::new(endpoint.clone())));
        let interval = settings.metadata_refresh_interval.unwrap_or(Duration::MAX);
        let max_age = interval.min(settings.metadata_max_age);
        let (first, max) = (settings.metadata_fast_interval, settings.retry_backoff_max);
        Self {
            nodes: nodes.collect(),
            turn: 0,
            rebootstrap: settings.rebootstrap,
            searched_at: None,
            refresh: Inquiry::new(max_age, (first, max)),
        }
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    /// A broker to connect to, because some broker is needed: one of the cluster's own and one of
    /// the bootstrap list in turns. All of the cluster may have moved, and trying its old addresses
    /// takes long where nobody refuses a connection. An address that is being tried, or must not be
    /// tried yet, is not tried under a second name. Without `rebootstrap` the list is for the first
    /// time only.
    pub(crate) fn candidate(&mut self) -> Option<NodeId> {
        let taken: HashSet<&Endpoint> = self
            .nodes
            .iter()
            .filter(|(id, node)| !id.is_bootstrap() || node.link != Link::Down)
            .map(|(_, node)| &node.endpoint)
            .collect();
        let list_counts = self.rebootstrap || self.nodes.keys().all(|id| id.is_bootstrap());
        let free = self.nodes.iter().filter(|(id, node)| {
            let listed = list_counts && !taken.contains(&node.endpoint);
            node.link == Link::Down && (!id.is_bootstrap() || listed)
        });
        let (bootstrap, own): (Vec<NodeId>, Vec<NodeId>) =
            free.map(|(id, _)| *id).partition(|id| id.is_bootstrap());
        let turn = self.turn;
        self.turn = turn.wrapping_add(1);
        let groups = match turn % 2 {
            0 => [own, bootstrap],
            _ => [bootstrap, own],
        };
        let group = groups.into_iter().find(|group| !group.is_empty())?;
        Some(group[turn / 2 % group.len()])
    }

    /// Brokers of the cluster's own that are not connected, and may be.
    pub(crate) fn unconnected(&self) -> Vec<NodeId> {
        let own = self.nodes.iter().filter(|(id, _)| !id.is_bootstrap());
        let down = own.filter(|(_, node)| node.link == Link::Down);
        down.map(|(id, _)| *id).collect()
    }

    /// Whether a broker can be used: one of the cluster's own, as soon as it has named them. Where
    /// none of those can be reached, it is no use that one of the bootstrap list can.
    pub(crate) fn is_up(&self) -> bool {
        let are_named = self.is_known();
        self.nodes
            .iter()
            .any(|(id, node)| id.is_bootstrap() != are_named && matches!(node.link, Link::Up(_)))
    }

    /// Whether any connection is in the making.
    pub(crate) fn is_opening(&self) -> bool {
        let mut nodes = self.nodes.values();
        nodes.any(|node| matches!(node.link, Link::Opening(_)))
    }

    /// What went wrong last, anywhere.
    pub(crate) fn last_error(&self) -> Option<Arc<str>> {
        let mut nodes = self.nodes.values();
        nodes.find_map(|node| node.last_error.clone())
    }

    /// Takes over the list of brokers of a metadata answer.
    pub(crate) fn update(&mut self, brokers: &[MetadataBroker<'_>]) -> Changes {
        let mut changes = Changes::default();
        if brokers.is_empty() {
            return changes;
        }
        let listed: HashSet<i32> = brokers.iter().map(|broker| broker.node_id).collect();
        self.nodes.retain(|id, node| {
            let stays = id.is_bootstrap() || listed.contains(&id.0);
            if !stays {
                changes.obsolete.extend(node.connection());
            }
            stays
        });
        for broker in brokers {
            self.update_node(broker, &mut changes);
        }
        self.adopt(&mut changes);
        changes
    }

    /// Whether the cluster has named its brokers.
    pub(crate) fn is_known(&self) -> bool {
        self.nodes.keys().any(|id| !id.is_bootstrap())
    }

    /// Forgets the brokers that the cluster has named. Returns their connections.
    pub(crate) fn forget(&mut self) -> Vec<ConnId> {
        let mut connections = Vec::new();
        self.nodes.retain(|id, node| {
            if !id.is_bootstrap() {
                connections.extend(node.connection());
            }
            id.is_bootstrap()
        });
        connections
    }

    /// A broker is named by another one (KIP-951). Where it is known and can be reached, that
    /// counts for nothing. Returns a connection to its former address.
    pub(crate) fn hear_of(&mut self, named: &NodeEndpoint<'_>) -> Option<ConnId> {
        let port = u16::try_from(named.port).ok().filter(|port| *port > 0)?;
        if named.node_id < 0 || named.host.is_empty() || named.host.len() > MAX_HOST {
            return None;
        }
        let host = named.host.to_owned();
        let node = Node::new(Endpoint { host, port });
        match self.nodes.entry(NodeId(named.node_id)) {
            Entry::Vacant(unknown) => {
                unknown.insert(node);
                None
            }
            Entry::Occupied(mut known) => {
                let moved = known.get().endpoint != node.endpoint && known.get().is_unreachable();
                let former = moved.then(|| known.insert(node));
                former.and_then(|former| former.connection())
            }
        }
    }

    fn update_node(&mut self, broker: &MetadataBroker<'_>, changes: &mut Changes) {
        let id = NodeId(broker.node_id);
        let Ok(port) = u16::try_from(broker.port) else {
            return;
        };
        let host = broker.host.to_owned();
        let node = Node::new(Endpoint { host, port });
        match self.nodes.get_mut(&id) {
            Some(known) if known.endpoint == node.endpoint => {}
            Some(known) => {
                changes.obsolete.extend(known.connection());
                *known = node;
            }
            None => drop(self.nodes.insert(id, node)),
        }
    }

    /// A bootstrap address that a broker advertises is that broker: its connection is used on.
    fn adopt(&mut self, changes: &mut Changes) {
        for (id, conn) in self.bootstrap_links() {
            let endpoint = self.nodes[&id].endpoint.clone();
            let twin = self.nodes.iter_mut().find(|(other, node)| {
                !other.is_bootstrap() && node.endpoint == endpoint && node.connection().is_none()
            });
            if let Some((twin, node)) = twin {
                node.link = Link::Up(conn);
                node.last_error = None;
                changes.adopted = Some((conn, *twin));
                self.nodes.insert(id, Node::new(endpoint));
                return;
            }
        }
    }

    /// Connections to bootstrap addresses that have done their work: one to a broker that the
    /// cluster itself names is there. Until then they are all there is to ask.
    pub(crate) fn spare_links(&self) -> Vec<ConnId> {
        let mut own = self.nodes.iter().filter(|(id, _)| !id.is_bootstrap());
        if !own.any(|(_, node)| matches!(node.link, Link::Up(_))) {
            return Vec::new();
        }
        let links = self.bootstrap_links().into_iter();
        links.map(|(_, conn)| conn).collect()
    }

    fn bootstrap_links(&self) -> Vec<(NodeId, ConnId)> {
        let nodes = self.nodes.iter();
        let links = nodes.filter_map(|(id, node)| match node.link {
            Link::Up(conn) if id.is_bootstrap() => Some((*id, conn)),
            _ => None,
        });
        links.collect()
    }
}
