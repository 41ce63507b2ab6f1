use super::version::Version;
use crate::{Error, Result};

/// What a cluster shall be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// 1, or 3 that replicate everything three times and want two of them for `acks=all`.
    pub nodes: u16,
    /// The version of Apache Kafka.
    pub version: Version,
    /// Partitions of a topic that comes into being by its first use.
    pub partitions: u16,
    /// More of Kafka's broker properties, for every node; they win over what is set otherwise.
    pub properties: Vec<(String, String)>,
}

/// One node of the default version, 4 partitions.
impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 1,
            version: Version::default(),
            partitions: 4,
            properties: Vec::new(),
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<()> {
        match (self.nodes, self.partitions) {
            (1 | 3, 1..) => Ok(()),
            (1 | 3, 0) => Err(Error::Usage(
                "0 partitions: a topic has at least 1".to_owned(),
            )),
            (nodes, _) => Err(Error::Usage(format!(
                "{nodes} nodes: a cluster has 1 node or 3"
            ))),
        }
    }
}
