//! How a producer stands with its cluster, for others to see.

use std::sync::Arc;

/// Whether brokers can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Contact {
    /// No connection was made so far, and none has failed.
    #[default]
    Connecting,
    /// A broker of the cluster can be used. So it stays where a connection ends that nobody needs.
    Up,
    /// None can; why the last connection failed.
    Down(Arc<str>),
}
