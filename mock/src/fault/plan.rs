//! What the rules mean for one request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::mangle::{self, Dressed};
use super::{Fault, FaultId, Rule};

/// What befalls one request, in the order of injection.
#[derive(Debug, Default)]
pub(crate) struct Plan(Vec<Struck>);

#[derive(Clone, Debug)]
pub(super) struct Struck {
    pub(super) id: FaultId,
    /// How many requests the rule has struck before.
    pub(super) turn: u32,
    pub(super) rule: Arc<Rule>,
}

/// A time to let pass, unless the fault is withdrawn meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) fault: FaultId,
    pub(crate) time: Duration,
}

/// What happens instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Reset,
    /// Reads on until this fault is withdrawn.
    HalfClose(FaultId),
    Ignore,
}

impl Plan {
    pub(super) fn new(struck: Vec<Struck>) -> Self {
        Self(struck)
    }

    /// The error of all that the request is about, and whether it is applied all the same.
    pub(crate) fn error(&self) -> Option<(ResponseError, bool)> {
        self.0
            .iter()
            .filter(|struck| struck.rule.partition.is_none())
            .find_map(Struck::error)
    }

    /// The error of a partition, and whether the request is applied to it all the same.
    pub(crate) fn partition_error(
        &self,
        topic: &str,
        partition: i32,
    ) -> Option<(ResponseError, bool)> {
        self.0
            .iter()
            .filter(|struck| struck.rule.partition.is_some())
            .filter(|struck| struck.is_about(topic, partition))
            .find_map(Struck::error)
    }

    /// Before anything else: the fault, and how many requests it waits for.
    pub(crate) fn gathers(&self) -> Vec<(FaultId, usize)> {
        self.0
            .iter()
            .filter_map(|struck| match struck.fault() {
                Fault::Gather(more) => Some((struck.id, *more)),
                _ => None,
            })
            .collect()
    }

    /// Before the request is applied.
    pub(crate) fn waits_before(&self) -> Vec<Wait> {
        self.waits(|fault| match fault {
            Fault::DelayBefore(time) => Some(*time),
            _ => None,
        })
    }

    /// Between being applied and being answered.
    pub(crate) fn waits_after(&self) -> Vec<Wait> {
        self.waits(|fault| match fault {
            Fault::Delay(time) => Some(*time),
            _ => None,
        })
    }

    /// Instead of being applied.
    pub(crate) fn before(&self) -> Option<End> {
        self.0.iter().find_map(|struck| match struck.fault() {
            Fault::CloseBefore => Some(End::Close),
            Fault::ResetBefore => Some(End::Reset),
            Fault::IgnoreBefore => Some(End::Ignore),
            _ => None,
        })
    }

    /// Instead of being answered.
    pub(crate) fn after(&self) -> Option<End> {
        self.0.iter().find_map(|struck| match struck.fault() {
            Fault::CloseAfter => Some(End::Close),
            Fault::ResetAfter => Some(End::Reset),
            Fault::HalfClose => Some(End::HalfClose(struck.id)),
            Fault::IgnoreAfter => Some(End::Ignore),
            _ => None,
        })
    }

    pub(crate) fn throttle(&self) -> Duration {
        self.faults()
            .filter_map(|fault| match fault {
                Fault::Throttle(time) => Some(*time),
                _ => None,
            })
            .fold(Duration::ZERO, Duration::saturating_add)
    }

    pub(crate) fn clock_skew_ms(&self, topic: &str, partition: i32) -> i64 {
        self.of(topic, partition)
            .filter_map(|fault| match fault {
                Fault::ClockSkew(skew) => Some(*skew),
                _ => None,
            })
            .fold(0, i64::saturating_add)
    }

    pub(crate) fn leader_hints(&self, topic: &str, partition: i32) -> bool {
        self.of(topic, partition)
            .any(|fault| matches!(fault, Fault::LeaderHints))
    }

    /// The fault for which the answer waits for the next one.
    pub(crate) fn swap(&self) -> Option<FaultId> {
        self.0
            .iter()
            .find(|struck| matches!(struck.fault(), Fault::SwapWithNext))
            .map(|struck| struck.id)
    }

    /// What is sent for an answer, whose first four bytes are its length.
    pub(crate) fn dress(&self, answer: Bytes) -> Dressed {
        mangle::dress(answer, self.0.iter().map(|one| (one.fault(), one.turn)))
    }

    /// All of them, whatever partition they are about.
    pub(super) fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter().map(Struck::fault)
    }

    /// Those that are about a partition.
    pub(super) fn of<'a>(
        &'a self,
        topic: &'a str,
        partition: i32,
    ) -> impl Iterator<Item = &'a Fault> {
        self.0
            .iter()
            .filter(move |struck| struck.is_about(topic, partition))
            .map(Struck::fault)
    }

    /// Those that are about any partition of a topic.
    pub(super) fn of_topic<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Fault> {
        self.0
            .iter()
            .filter(move |struck| match &struck.rule.partition {
                Some((only, _)) => only == topic,
                None => true,
            })
            .map(Struck::fault)
    }

    fn waits(&self, time: impl Fn(&Fault) -> Option<Duration>) -> Vec<Wait> {
        self.0
            .iter()
            .filter_map(|struck| {
                Some(Wait {
                    fault: struck.id,
                    time: time(struck.fault())?,
                })
            })
            .collect()
    }
}

impl Struck {
    fn fault(&self) -> &Fault {
        &self.rule.fault
    }

    fn is_about(&self, topic: &str, partition: i32) -> bool {
        match &self.rule.partition {
            Some((name, index)) => name == topic && *index == partition,
            None => true,
        }
    }

    fn error(&self) -> Option<(ResponseError, bool)> {
        match self.fault() {
            Fault::Error(error) => Some((*error, false)),
            Fault::AppliedError(error) => Some((*error, true)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rules: impl IntoIterator<Item = Rule>) -> Plan {
        let struck = (1..).zip(rules).map(|(id, rule)| Struck {
            id: FaultId(id),
            turn: 0,
            rule: Arc::new(rule),
        });
        Plan::new(struck.collect())
    }

    fn whole(faults: impl IntoIterator<Item = Fault>) -> Plan {
        plan(faults.into_iter().map(Rule::new))
    }

    #[test]
    fn no_faults_change_nothing() {
        let plan = Plan::default();
        let answer = Bytes::from_static(b"\0\0\0\x02ok");
        assert_eq!(plan.error(), None);
        assert_eq!(
            (plan.before(), plan.after(), plan.swap()),
            (None, None, None)
        );
        assert_eq!(plan.throttle(), Duration::ZERO);
        assert_eq!(plan.dress(answer.clone()).writes, [answer]);
    }

    #[test]
    fn of_what_excludes_each_other_the_first_counts() {
        let plan = whole([
            Fault::AppliedError(ResponseError::RequestTimedOut),
            Fault::IgnoreBefore,
            Fault::Error(ResponseError::NotEnoughReplicas),
            Fault::CloseBefore,
            Fault::ResetAfter,
            Fault::HalfClose,
        ]);
        assert_eq!(plan.error(), Some((ResponseError::RequestTimedOut, true)));
        assert_eq!(plan.before(), Some(End::Ignore));
        assert_eq!(plan.after(), Some(End::Reset));
    }

    #[test]
    fn times_add_up_and_each_goes_with_its_fault() {
        let plan = whole([
            Fault::Delay(Duration::from_secs(1)),
            Fault::DelayBefore(Duration::from_secs(2)),
            Fault::Delay(Duration::from_secs(3)),
            Fault::Throttle(Duration::from_secs(4)),
            Fault::Throttle(Duration::MAX),
            Fault::ClockSkew(5),
            Fault::ClockSkew(-7),
        ]);
        let wait = |id, seconds| Wait {
            fault: FaultId(id),
            time: Duration::from_secs(seconds),
        };
        assert_eq!(plan.waits_after(), [wait(1, 1), wait(3, 3)]);
        assert_eq!(plan.waits_before(), [wait(2, 2)]);
        assert_eq!(plan.throttle(), Duration::MAX);
        assert_eq!(plan.clock_skew_ms("calls", 0), -2);
    }

    #[test]
    fn what_concerns_one_partition_concerns_no_other() {
        let refused = ResponseError::NotEnoughReplicas;
        let plan = plan(
            [
                Fault::Error(refused),
                Fault::ClockSkew(5),
                Fault::LeaderHints,
            ]
            .map(|fault| Rule::new(fault).partition("calls", 1)),
        );
        assert_eq!(plan.error(), None);
        for (topic, partition, concerned) in
            [("calls", 1, true), ("calls", 0, false), ("other", 1, false)]
        {
            let error = concerned.then_some((refused, false));
            assert_eq!(plan.partition_error(topic, partition), error);
            let skew = if concerned { 5 } else { 0 };
            assert_eq!(plan.clock_skew_ms(topic, partition), skew);
            assert_eq!(plan.leader_hints(topic, partition), concerned);
        }
    }
}
