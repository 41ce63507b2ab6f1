//! Pairs of faults, drawn by a seed.

use super::catalogue::{FAULTS, Fault, Thing};

/// Two faults at the same time, and the `acks` that goes with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) faults: [&'static Fault; 2],
    pub(crate) acks: i8,
}

/// The first `count` different pairs that the seed draws.
pub(crate) fn draw(seed: u64, count: usize) -> Vec<Pair> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pairs: Vec<Pair> = Vec::new();
    while pairs.len() < count {
        let mut fault = || &FAULTS[random.usize(..FAULTS.len())];
        let faults = [fault(), fault()];
        let acks = random.i8(-1..=1);
        let drawn = |pair: &Pair| pair.names() == faults.map(|fault| fault.name);
        if can_be_together(faults) && !pairs.iter().any(drawn) {
            pairs.push(Pair { faults, acks });
        }
    }
    pairs
}

impl Pair {
    fn names(&self) -> [&'static str; 2] {
        self.faults.map(|fault| fault.name)
    }
}

/// A topic that is deleted has no leader that could move, and a node that was stopped no address.
fn can_be_together([one, other]: [&Fault; 2]) -> bool {
    let same_thing = one.thing == other.thing && matches!(one.thing, Thing::Nodes | Thing::Topic);
    one.name != other.name && !same_thing
}
