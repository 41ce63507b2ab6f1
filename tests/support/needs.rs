//! What a test asks of a broker.

use xtask::TestBroker;

use super::kcat;

/// What a test cannot do without. A broker that lacks it skips the test, and says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    nodes: usize,
    kcat: bool,
    pause: bool,
    /// Whether the first use of a topic creates it; `None` when the test does not mind.
    auto_create: Option<bool>,
}

impl Needs {
    /// Any broker will do.
    pub(crate) const ANY: Self = Self {
        nodes: 1,
        kcat: false,
        pause: false,
        auto_create: None,
    };

    /// So many nodes at least.
    pub(crate) const fn nodes(nodes: usize) -> Self {
        Self { nodes, ..Self::ANY }
    }

    /// kcat on this machine.
    pub(crate) const fn kcat(self) -> Self {
        Self { kcat: true, ..self }
    }

    /// Nodes that can be paused.
    pub(crate) const fn pause(self) -> Self {
        Self {
            pause: true,
            ..self
        }
    }

    /// A topic comes into being by its first use, with 4 partitions. Otherwise, topics have to be
    /// created, which takes a private cluster.
    pub(crate) const fn auto_create(self, auto_create: bool) -> Self {
        Self {
            auto_create: Some(auto_create),
            ..self
        }
    }

    /// Whether a cluster of the test's own shall create topics by their first use.
    pub(super) fn creates_topics(self) -> bool {
        self.auto_create.unwrap_or(true)
    }

    /// Why this broker, which has so many nodes, will not do.
    pub(super) fn lacking(self, broker: &TestBroker, nodes: usize) -> Option<String> {
        let outside = matches!(broker, TestBroker::Outside { .. });
        if nodes < self.nodes {
            return Some(format!("it needs {} nodes, not {nodes}", self.nodes));
        }
        if self.kcat && !kcat::is_there() {
            return Some("it needs kcat, which is not on PATH".to_owned());
        }
        if self.pause && !matches!(broker, TestBroker::Kafka { .. }) {
            return Some("it pauses a node, which must be a process for that".to_owned());
        }
        if self.auto_create.is_some() && outside {
            return Some("how an outside broker creates topics is not known".to_owned());
        }
        None
    }
}
