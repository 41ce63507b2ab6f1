//! Deadlines. Each thing has at most one armed timer, the earliest it asked for; its handler looks
//! at the thing's state and arms the next, so that a timer which came too early does no harm.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

use crate::time::Time;

#[derive(Debug)]
pub(crate) struct Timers<K> {
    heap: BinaryHeap<Reverse<(Time, K)>>,
    armed: HashMap<K, Time>,
}

impl<K: Copy + Ord + Hash> Timers<K> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            armed: HashMap::new(),
        }
    }

    /// Fires `key` at `at`, or earlier if that was asked for before.
    pub(crate) fn arm(&mut self, key: K, at: Time) {
        if at == Time::NEVER || self.armed.get(&key).is_some_and(|armed| *armed <= at) {
            return;
        }
        self.armed.insert(key, at);
        self.heap.push(Reverse((at, key)));
    }

    /// Does not fire `key` until it is armed again.
    pub(crate) fn disarm(&mut self, key: K) {
        self.armed.remove(&key);
    }

    /// A timer that is due, which is then armed no more.
    pub(crate) fn pop(&mut self, now: Time) -> Option<K> {
        if self.next() > now {
            return None;
        }
        let Reverse((_, key)) = self.heap.pop()?;
        self.armed.remove(&key);
        Some(key)
    }

    /// When the next timer is due.
    pub(crate) fn next(&mut self) -> Time {
        while let Some(Reverse((at, key))) = self.heap.peek() {
            if self.armed.get(key) == Some(at) {
                return *at;
            }
            self.heap.pop();
        }
        Time::NEVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    #[test]
    fn the_earliest_deadline_of_a_key_wins_and_fires_once() {
        let mut timers = Timers::new();
        timers.arm('a', at(30));
        timers.arm('a', at(10));
        timers.arm('a', at(20));
        timers.arm('b', at(15));
        assert_eq!(timers.next(), at(10));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(30)), Some('a'));
        assert_eq!(timers.pop(at(30)), Some('b'));
        assert_eq!(timers.pop(at(30)), None);
        assert_eq!(timers.next(), Time::NEVER);
    }

    #[test]
    fn a_disarmed_key_fires_no_more_until_it_is_armed_again() {
        let mut timers = Timers::new();
        timers.arm('a', at(10));
        timers.disarm('a');
        assert_eq!(timers.next(), Time::NEVER);
        timers.arm('a', at(10));
        timers.disarm('a');
        timers.arm('a', at(20));
        assert_eq!(timers.pop(at(19)), None);
        assert_eq!(timers.pop(at(20)), Some('a'));
        assert_eq!(timers.next(), Time::NEVER);
    }

    #[test]
    fn a_key_can_be_armed_again_after_it_fired() {
        let mut timers = Timers::new();
        timers.arm('a', at(10));
        assert_eq!(timers.pop(at(10)), Some('a'));
        timers.arm('a', at(20));
        assert_eq!(timers.pop(at(20)), Some('a'));
    }
}
