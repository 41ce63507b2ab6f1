//! What events say of themselves.

use super::SocketValue;

/// The optional members of an event's payload (`members=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// A name that no other event has: [`Event::id`](crate::opensips::Event::id).
    pub id: bool,
    /// When it was raised: [`Event::timestamp`](crate::opensips::Event::timestamp).
    pub timestamp: bool,
    /// Where it was raised: [`Event::node`](crate::opensips::Event::node).
    pub node: bool,
}

impl Members {
    pub(super) fn read(value: SocketValue<'_>) -> Option<Self> {
        let mut members = Self::default();
        for name in value.literal()?.split(',') {
            match name.trim_ascii() {
                "id" => members.id = true,
                "timestamp" => members.timestamp = true,
                "node" => members.node = true,
                _ => return None,
            }
        }
        Some(members)
    }
}
