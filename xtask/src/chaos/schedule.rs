//! Which node is disturbed how, for how long, and what calm comes before: drawn by a seed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;

/// How a node is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SIGKILL, then a restart.
    Kill,
    /// SIGSTOP, then SIGCONT.
    Pause,
    /// SIGTERM, which moves leaders away first, then a restart.
    Stop,
}

const ALL: [Kind; 3] = [Kind::Kill, Kind::Pause, Kind::Stop];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Stop => "stop",
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
    pub(super) node: i32,
    /// How long until the node is brought back.
    pub(super) outage: Duration,
}

/// Disturbances without end. One node at a time, and every node in each round.
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
            kinds: only.map_or(ALL.to_vec(), |only| vec![only]),
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

    /// On both sides of 3 s, after which the others give a silent node up.
    fn duration(&mut self, milliseconds: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(milliseconds))
    }
}

impl Iterator for Schedule {
    type Item = Act;

    fn next(&mut self) -> Option<Act> {
        Some(Act {
            calm: self.duration(1000..5000),
            kind: *self.rng.choice(&self.kinds)?,
            node: self.next_node()?,
            outage: self.duration(500..7000),
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
    fn all_kinds_occur_unless_only_one_is_wanted() {
        for kind in ALL {
            assert!(acts(7, None).iter().any(|act| act.kind == kind), "{kind:?}");
            assert!(acts(7, Some(kind)).iter().all(|act| act.kind == kind));
        }
    }
}
