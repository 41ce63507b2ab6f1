//! What is done to the nodes or to the publishers, for how long, and what calm comes before: drawn by
//! a seed.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SIGKILL to a node, then a restart.
    Kill,
    /// SIGSTOP to a node, then SIGCONT.
    Pause,
    /// SIGTERM to a node, which moves leaders away first, then a restart.
    Stop,
    /// SIGKILL to all nodes, then a restart of them all.
    AllDown,
    /// SIGKILL to the publishers, then others that go on where they were.
    Producer,
}

const ALL: [Kind; 5] = [
    Kind::Kill,
    Kind::Pause,
    Kind::Stop,
    Kind::AllDown,
    Kind::Producer,
];

/// What is drawn from unless only one kind is wanted: what a cluster of three has to bear.
const OF_A_NODE: [Kind; 3] = [Kind::Kill, Kind::Pause, Kind::Stop];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Stop => "stop",
            Self::AllDown => "all-down",
            Self::Producer => "producer",
        }
    }

    /// How long all is left as it is before.
    fn calm(self) -> Range<u64> {
        match self {
            // Time to drain what the last one left.
            Self::AllDown => 10_000..15_000,
            _ => 1_000..5_000,
        }
    }

    fn outage(self) -> Range<u64> {
        match self {
            Self::AllDown => 60_000..60_001,
            // On both sides of 3 s, after which the others give a silent node up.
            _ => 500..7_000,
        }
    }
}

/// As `--only` takes it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        ALL.into_iter().find(|kind| kind.name() == text).ok_or(())
    }
}

/// One disturbance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Act {
    /// How long all is left as it is.
    pub(super) calm: Duration,
    pub(super) kind: Kind,
    /// Whom it hits, if it hits one node.
    pub(super) node: i32,
    /// How long until what was disturbed is brought back.
    pub(super) outage: Duration,
}

/// Disturbances without end, one at a time. Every node has its turn in each round.
#[derive(Debug)]
pub(super) struct Schedule {
    rng: Rng,
    kinds: Vec<Kind>,
    nodes: Vec<i32>,
    /// What is left of this round.
    round: Vec<i32>,
}

impl Schedule {
    pub(super) fn new(seed: u64, only: Option<Kind>, nodes: &[i32]) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            kinds: only.map_or(OF_A_NODE.to_vec(), |only| vec![only]),
            nodes: nodes.to_vec(),
            round: Vec::new(),
        }
    }

    fn next_node(&mut self) -> Option<i32> {
        if self.round.is_empty() {
            self.round.clone_from(&self.nodes);
            self.rng.shuffle(&mut self.round);
        }
        self.round.pop()
    }

    fn duration(&mut self, milliseconds: Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(milliseconds))
    }
}

impl Iterator for Schedule {
    type Item = Act;

    fn next(&mut self) -> Option<Act> {
        let kind = *self.rng.choice(&self.kinds)?;
        Some(Act {
            calm: self.duration(kind.calm()),
            kind,
            node: self.next_node()?,
            outage: self.duration(kind.outage()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(seed: u64, only: Option<Kind>) -> Vec<Act> {
        Schedule::new(seed, only, &[1, 2, 3]).take(300).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_acts_and_another_others() {
        assert_eq!(acts(7, None), acts(7, None));
        assert_ne!(acts(7, None), acts(8, None));
    }

    #[test]
    fn every_node_has_its_turn_in_each_round() {
        for round in acts(7, None).chunks(3) {
            let mut nodes: Vec<_> = round.iter().map(|act| act.node).collect();
            nodes.sort_unstable();
            assert_eq!(nodes, [1, 2, 3]);
        }
    }

    #[test]
    fn all_that_a_cluster_has_to_bear_occurs_unless_only_one_kind_is_wanted() {
        let drawn = acts(7, None);
        for kind in ALL {
            let occurs = drawn.iter().any(|act| act.kind == kind);
            assert_eq!(occurs, OF_A_NODE.contains(&kind), "{kind:?}");
            assert!(acts(7, Some(kind)).iter().all(|act| act.kind == kind));
        }
    }

    #[test]
    fn all_nodes_are_down_for_a_minute() {
        let mut acts = acts(7, Some(Kind::AllDown)).into_iter();
        assert!(acts.all(|act| act.outage == Duration::from_secs(60)));
    }

    #[test]
    fn a_kind_is_known_by_the_name_that_it_prints() {
        for kind in ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("kil".parse::<Kind>(), Err(()));
    }
}
