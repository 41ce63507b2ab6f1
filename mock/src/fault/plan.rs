//! What the rules mean for one request.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;

use super::{FaultId, Rule};
use crate::Profile;

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<(FaultId, Rule)>,
    injected: u64,
}

/// What befalls one request.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The error of everything it is about, and whether it is applied all the same.
    pub(crate) error: Option<(ResponseError, bool)>,
    /// Instead of being applied.
    pub(crate) before: Option<End>,
    /// Instead of being answered.
    pub(crate) after: Option<End>,
    /// Between being applied and being answered.
    pub(crate) delay: Duration,
    pub(crate) throttle: Duration,
    pub(crate) clock_skew_ms: i64,
    pub(crate) leader_hints: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Ignore,
}

/// Whether clients can connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Open,
    Refuse,
    BlackHole,
}

impl Faults {
    pub(crate) fn inject(&mut self, rule: Rule) -> FaultId {
        self.injected += 1;
        let id = FaultId(self.injected);
        self.rules.push((id, rule));
        id
    }

    pub(crate) fn withdraw(&mut self, fault: FaultId) {
        self.rules.retain(|(id, _)| *id != fault);
    }

    pub(crate) fn withdraw_all(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn plan(&mut self, _node: i32, _api: ApiKey) -> Plan {
        Plan::default()
    }

    /// The error of one partition, and whether the request is applied to it all the same.
    pub(crate) fn partition_error(
        &mut self,
        _node: i32,
        _api: ApiKey,
        _topic: &str,
        _partition: i32,
    ) -> Option<(ResponseError, bool)> {
        None
    }

    pub(crate) fn reach(&self, _node: i32) -> Reach {
        Reach::Open
    }

    pub(crate) fn profile(&self, _node: i32) -> Option<Profile> {
        None
    }
}

impl Plan {
    /// The writes that send an answer.
    pub(crate) fn dress(&self, answer: Bytes) -> Vec<Bytes> {
        vec![answer]
    }
}
