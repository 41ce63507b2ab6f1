//! The rules in force, and what they have counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use tokio::sync::watch;

use super::plan::Struck;
use super::{Fault, FaultId, Plan, Rule, Victims};
use crate::Profile;

/// The rules in force and the connections that they may befall.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Vec<InForce>,
    injected: u64,
    /// The node of each connection that is there.
    connections: BTreeMap<u64, i32>,
    /// Connections that are to be closed.
    doomed: BTreeSet<u64>,
    /// Counts injections and withdrawals.
    pulse: watch::Sender<u64>,
}

/// Whether clients can connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Open,
    Refuse,
    BlackHole,
}

/// What a request is about: a partition of a topic, or all of them.
pub(crate) type Concern = (String, Option<i32>);

/// How a connection is treated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Habits {
    pub(crate) never_read: bool,
    pub(crate) slow_read: Option<Pace>,
    pub(crate) slow_write: Option<Pace>,
    pub(crate) close_idle: Option<Duration>,
    pub(crate) close_on_accept: bool,
    pub(crate) close_after_handshake: bool,
    pub(crate) greetings: Vec<Bytes>,
}

/// So many bytes, and then a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) bytes: usize,
    pub(crate) pause: Duration,
}

#[derive(Debug)]
struct InForce {
    id: FaultId,
    rule: Arc<Rule>,
    /// What it has matched, be it let through or not.
    matched: u32,
    struck: u32,
    /// The connections that suffer.
    connections: BTreeSet<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            injected: 0,
            connections: BTreeMap::new(),
            doomed: BTreeSet::new(),
            pulse: watch::Sender::new(0),
        }
    }
}

impl Faults {
    /// # Panics
    ///
    /// The rule narrows its fault by what the fault does not know.
    pub(crate) fn inject(&mut self, rule: Rule) -> FaultId {
        if let Err(flaw) = rule.check() {
            panic!("{rule:?}: {flaw}");
        }
        self.injected += 1;
        let id = FaultId(self.injected);
        let mut rule = InForce::new(id, rule);
        match rule.victims() {
            Victims::Requests(_) => {}
            Victims::Connections => {
                for (connection, node) in &self.connections {
                    rule.meet(*connection, *node);
                }
            }
            Victims::NewConnections | Victims::Nodes => self.doom(&rule),
        }
        self.rules.push(rule);
        self.tell();
        id
    }

    pub(crate) fn withdraw(&mut self, fault: FaultId) {
        if let Some(index) = self.rules.iter().position(|rule| rule.id == fault) {
            let rule = self.rules.remove(index);
            // They speak a version that may not be offered any more.
            if matches!(rule.rule.fault, Fault::Downgrade(_)) {
                self.doom(&rule);
            }
            self.tell();
        }
    }

    pub(crate) fn withdraw_all(&mut self) {
        while let Some(rule) = self.rules.first() {
            self.withdraw(rule.id);
        }
    }

    pub(crate) fn in_force(&self, fault: FaultId) -> bool {
        self.rules.iter().any(|rule| rule.id == fault)
    }

    /// How many requests or connections it has befallen; 0 when it is withdrawn.
    pub(crate) fn struck(&self, fault: FaultId) -> u32 {
        self.rules
            .iter()
            .find(|rule| rule.id == fault)
            .map_or(0, |rule| rule.struck)
    }

    /// Tells of every injection and withdrawal from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.pulse.subscribe()
    }

    /// Whether [`Self::plan`] has to know what the request is about.
    pub(crate) fn ask_concerns(&self, node: i32, api: ApiKey) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.rule.partition.is_some() && rule.matches(node, api))
    }

    pub(crate) fn plan(&mut self, node: i32, api: ApiKey, concerns: &[Concern]) -> Plan {
        let struck = self
            .rules
            .iter_mut()
            .filter(|rule| rule.matches(node, api) && rule.is_about(concerns))
            .filter_map(|rule| {
                let turn = rule.count()?;
                Some(Struck {
                    id: rule.id,
                    turn,
                    rule: rule.rule.clone(),
                })
            })
            .collect();
        Plan::new(struck)
    }

    pub(crate) fn connected(&mut self, connection: u64, node: i32) {
        self.connections.insert(connection, node);
        for rule in &mut self.rules {
            if matches!(
                rule.victims(),
                Victims::Connections | Victims::NewConnections
            ) {
                rule.meet(connection, node);
            }
        }
    }

    pub(crate) fn disconnected(&mut self, connection: u64) {
        self.connections.remove(&connection);
        self.doomed.remove(&connection);
        for rule in &mut self.rules {
            rule.connections.remove(&connection);
        }
    }

    pub(crate) fn is_doomed(&self, connection: u64) -> bool {
        self.doomed.contains(&connection)
    }

    /// Whether connections of a node are to be closed and are still there.
    pub(crate) fn has_doomed(&self, node: i32) -> bool {
        self.doomed
            .iter()
            .any(|connection| self.connections.get(connection) == Some(&node))
    }

    pub(crate) fn habits(&self, connection: u64) -> Habits {
        let mut habits = Habits::default();
        for rule in &self.rules {
            if rule.connections.contains(&connection) {
                habits.add(&rule.rule.fault);
            }
        }
        habits
    }

    pub(crate) fn reach(&self, node: i32) -> Reach {
        self.about(node)
            .find_map(|fault| match fault {
                Fault::Refuse => Some(Reach::Refuse),
                Fault::BlackHole => Some(Reach::BlackHole),
                _ => None,
            })
            .unwrap_or(Reach::Open)
    }

    pub(crate) fn profile(&self, node: i32) -> Option<Profile> {
        self.about(node).find_map(|fault| match fault {
            Fault::Downgrade(profile) => Some(*profile),
            _ => None,
        })
    }

    /// The faults of a node, the first injected one first.
    fn about(&self, node: i32) -> impl Iterator<Item = &Fault> {
        self.rules
            .iter()
            .filter(move |rule| rule.is_at(node))
            .map(|rule| &rule.rule.fault)
    }

    fn doom(&mut self, rule: &InForce) {
        let victims = self
            .connections
            .iter()
            .filter(|(_, node)| rule.is_at(**node))
            .map(|(connection, _)| *connection);
        self.doomed.extend(victims);
    }

    fn tell(&self) {
        self.pulse.send_modify(|changes| *changes += 1);
    }
}

impl Habits {
    /// Of two paces, the first injected one counts, and so on.
    fn add(&mut self, fault: &Fault) {
        let pace = |bytes: usize, pause| Pace {
            bytes: bytes.max(1),
            pause,
        };
        match fault {
            Fault::NeverRead => self.never_read = true,
            Fault::SlowRead { bytes, pause } => {
                self.slow_read.get_or_insert(pace(*bytes, *pause));
            }
            Fault::SlowWrite { bytes, pause } => {
                self.slow_write.get_or_insert(pace(*bytes, *pause));
            }
            Fault::CloseIdle(after) => {
                self.close_idle.get_or_insert(*after);
            }
            Fault::CloseOnAccept => self.close_on_accept = true,
            Fault::CloseAfterHandshake => self.close_after_handshake = true,
            Fault::Greet(bytes) => self.greetings.push(bytes.clone()),
            _ => {}
        }
    }
}

impl InForce {
    fn new(id: FaultId, rule: Rule) -> Self {
        Self {
            id,
            rule: Arc::new(rule),
            matched: 0,
            struck: 0,
            connections: BTreeSet::new(),
        }
    }

    fn victims(&self) -> Victims {
        self.rule.fault.victims()
    }

    fn is_at(&self, node: i32) -> bool {
        self.rule.node.is_none_or(|only| only == node)
    }

    fn matches(&self, node: i32, api: ApiKey) -> bool {
        let Victims::Requests(apis) = self.victims() else {
            return false;
        };
        self.is_at(node)
            && self.rule.api.is_none_or(|only| only == api)
            && (apis.is_empty() || apis.contains(&api))
    }

    fn is_about(&self, concerns: &[Concern]) -> bool {
        let Some((topic, partition)) = &self.rule.partition else {
            return true;
        };
        concerns.iter().any(|(name, index)| {
            name == topic && index.as_ref().is_none_or(|index| index == partition)
        })
    }

    /// Counts a connection, and notes whether it suffers.
    fn meet(&mut self, connection: u64, node: i32) {
        if self.is_at(node) && self.count().is_some() {
            self.connections.insert(connection);
        }
    }

    /// Counts a match. If it suffers: the how manieth it is, from 0.
    fn count(&mut self) -> Option<u32> {
        let passed = self.matched >= self.rule.skip;
        self.matched = self.matched.saturating_add(1);
        let left = self.rule.times.is_none_or(|times| self.struck < times);
        if !(passed && left) {
            return None;
        }
        self.struck = self.struck.saturating_add(1);
        Some(self.struck - 1)
    }
}

impl Rule {
    /// A rule that could never apply is a mistake in a test.
    fn check(&self) -> Result<(), String> {
        match self.fault.victims() {
            Victims::Requests(apis) => {
                if let Some(api) = self.api
                    && !apis.is_empty()
                    && !apis.contains(&api)
                {
                    return Err(format!("this befalls {apis:?}, never {api:?}"));
                }
            }
            _ if self.api.is_some() || self.partition.is_some() => {
                return Err("this befalls connections, which are of no API or partition".to_owned());
            }
            Victims::Nodes if self.skip > 0 || self.times.is_some() => {
                return Err("this befalls a node: there is nothing to count".to_owned());
            }
            Victims::Nodes | Victims::Connections | Victims::NewConnections => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::ResponseError;

    use super::*;

    const REFUSED: ResponseError = ResponseError::NotEnoughReplicas;

    fn error() -> Rule {
        Rule::new(Fault::Error(REFUSED))
    }

    fn strikes(faults: &mut Faults, node: i32, api: ApiKey) -> bool {
        faults.plan(node, api, &[]).error().is_some()
    }

    #[test]
    fn a_rule_matches_what_it_is_narrowed_to() {
        let mut faults = Faults::default();
        faults.inject(error().node(2).api(ApiKey::Produce));
        assert!(strikes(&mut faults, 2, ApiKey::Produce));
        assert!(!strikes(&mut faults, 1, ApiKey::Produce));
        assert!(!strikes(&mut faults, 2, ApiKey::Metadata));
    }

    #[test]
    fn a_fault_of_one_api_does_not_count_requests_of_others() {
        let mut faults = Faults::default();
        let id = faults.inject(Rule::new(Fault::PartitionCount(1)));
        faults.plan(1, ApiKey::Produce, &[]);
        assert_eq!(faults.struck(id), 0);
        faults.plan(1, ApiKey::Metadata, &[]);
        assert_eq!(faults.struck(id), 1);
    }

    #[test]
    fn skipped_requests_are_let_through_and_the_count_runs_out() {
        let mut faults = Faults::default();
        let id = faults.inject(error().after(2).times(3));
        let struck: Vec<bool> = (0..8)
            .map(|_| strikes(&mut faults, 1, ApiKey::Produce))
            .collect();
        assert_eq!(
            struck,
            [false, false, true, true, true, false, false, false]
        );
        assert_eq!(faults.struck(id), 3);
        assert!(faults.in_force(id), "until it is withdrawn");
    }

    #[test]
    fn a_rule_that_strikes_no_time_strikes_never() {
        let mut faults = Faults::default();
        faults.inject(error().times(0));
        assert!(!strikes(&mut faults, 1, ApiKey::Produce));
    }

    #[test]
    fn a_withdrawn_rule_is_over_and_the_others_are_not() {
        let mut faults = Faults::default();
        let first = faults.inject(error());
        let second = faults.inject(Rule::new(Fault::CloseAfter));
        faults.withdraw(first);
        let plan = faults.plan(1, ApiKey::Produce, &[]);
        assert!(plan.error().is_none() && plan.after().is_some());
        assert!(!faults.in_force(first) && faults.in_force(second));
        faults.withdraw_all();
        assert!(!faults.in_force(second));
    }

    #[test]
    fn partitions_are_asked_for_when_a_rule_that_matches_needs_them() {
        let mut faults = Faults::default();
        faults.inject(error());
        assert!(!faults.ask_concerns(1, ApiKey::Produce));
        faults.inject(error().api(ApiKey::Produce).partition("calls", 1));
        assert!(faults.ask_concerns(1, ApiKey::Produce));
        assert!(!faults.ask_concerns(1, ApiKey::Metadata));
    }

    #[test]
    fn a_rule_for_a_partition_counts_the_requests_that_concern_it_once_each() {
        let mut faults = Faults::default();
        let id = faults.inject(error().partition("calls", 1));
        let about = |topic: &str, partition| (topic.to_owned(), partition);
        for (concerns, struck) in [
            (vec![], 0),
            (vec![about("calls", Some(0)), about("other", Some(1))], 0),
            (vec![about("calls", Some(1)), about("calls", Some(1))], 1),
            (vec![about("calls", None)], 2),
            (vec![about("other", None)], 2),
        ] {
            faults.plan(1, ApiKey::Produce, &concerns);
            assert_eq!(faults.struck(id), struck, "{concerns:?}");
        }
    }

    #[test]
    fn equal_requests_in_equal_order_get_equal_plans() {
        let play = || {
            let mut faults = Faults::default();
            faults.inject(error().after(1).times(2));
            faults.inject(Rule::new(Fault::Delay(Duration::MAX)).api(ApiKey::Produce));
            faults.inject(Rule::new(Fault::Corrupt { bits: 1, seed: 3 }).after(2));
            let apis = [ApiKey::Produce, ApiKey::Metadata, ApiKey::Produce];
            apis.map(|api| format!("{:?}", faults.plan(1, api, &[])))
        };
        assert_eq!(play(), play());
    }

    #[test]
    fn connections_are_counted_in_their_order_present_ones_first() {
        let mut faults = Faults::default();
        for connection in [3, 1, 2] {
            faults.connected(connection, 1);
        }
        faults.connected(4, 2);
        faults.inject(Rule::new(Fault::NeverRead).node(1).after(1).times(3));
        for connection in [5, 6] {
            faults.connected(connection, 1);
        }
        let blind: Vec<u64> = (1..=6)
            .filter(|connection| faults.habits(*connection).never_read)
            .collect();
        assert_eq!(blind, [2, 3, 5]);
    }

    #[test]
    fn faults_of_new_connections_doom_present_ones() {
        let mut faults = Faults::default();
        faults.connected(1, 1);
        faults.connected(2, 2);
        faults.inject(Rule::new(Fault::CloseOnAccept).node(1));
        assert!(faults.is_doomed(1) && !faults.is_doomed(2));
        assert!(!faults.habits(1).close_on_accept);
        faults.disconnected(1);
        assert!(!faults.has_doomed(1));
        faults.connected(3, 1);
        assert!(faults.habits(3).close_on_accept && !faults.is_doomed(3));
    }

    #[test]
    fn a_downgrade_closes_connections_when_it_begins_and_when_it_ends() {
        let mut faults = Faults::default();
        let id = faults.inject(Rule::new(Fault::Downgrade(Profile::KAFKA_2_8)).node(1));
        assert_eq!(faults.profile(1), Some(Profile::KAFKA_2_8));
        assert_eq!(faults.profile(2), None);
        faults.connected(1, 1);
        assert!(!faults.has_doomed(1));
        faults.withdraw(id);
        assert!(faults.has_doomed(1));
    }

    #[test]
    fn every_injection_and_withdrawal_is_told() {
        let mut faults = Faults::default();
        let mut told = faults.watch();
        let id = faults.inject(error());
        assert!(told.has_changed().unwrap());
        told.mark_unchanged();
        faults.withdraw(id);
        assert!(told.has_changed().unwrap());
        told.mark_unchanged();
        faults.withdraw(id);
        assert!(!told.has_changed().unwrap(), "it was over already");
    }
}
