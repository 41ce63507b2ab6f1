//! The requests that clients sent.

use std::collections::VecDeque;
use std::time::Instant;

use kafka_protocol::messages::ApiKey;

/// How many of the latest requests are kept.
const MOST: usize = 10_000;

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct RequestSeen {
    /// When all of it was there.
    pub at: Instant,
    /// The node that got it.
    pub node: i32,
    /// Counts the connections of the cluster, from 1.
    pub connection: u64,
    /// What is asked for.
    pub api: ApiKey,
    /// In which version.
    pub version: i16,
    /// Who asks.
    pub client_id: Option<String>,
    /// The number that the answer repeats.
    pub correlation: i32,
}

#[derive(Debug, Default)]
pub(crate) struct Seen(VecDeque<RequestSeen>);

impl Seen {
    pub(crate) fn push(&mut self, request: RequestSeen) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(request);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &RequestSeen> {
        self.0.iter()
    }
}
