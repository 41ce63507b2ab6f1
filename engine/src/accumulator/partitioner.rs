//! Which partition a record goes to, as librdkafka's `consistent_random` decides it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::topic::Route;
use crate::time::Time;

/// Chooses partitions for the records of one topic.
#[derive(Debug)]
pub(crate) struct Chooser {
    sticky: Sticky,
    linger: Duration,
}

impl Chooser {
    pub(crate) fn new(linger: Duration, seed: u64) -> Self {
        Self {
            sticky: Sticky::new(seed),
            linger,
        }
    }

    /// The partition for a record with this key. `route` has at least one partition.
    pub(crate) fn choose(&self, key: Option<&[u8]>, route: &Route, now: Time) -> usize {
        match key {
            Some(key) if !key.is_empty() => crc32fast::hash(key) as usize % route.partitions.len(),
            _ if self.linger.is_zero() => self.sticky.draw(route),
            _ => self.sticky.keep_or_draw(route, now, self.linger),
        }
    }
}

/// The partition of records without a key, drawn anew now and then (KIP-480, by time). One word
/// beside a seed, so that publishers need no lock; two that draw at once both get a fine answer.
#[derive(Debug)]
struct Sticky {
    /// Partition in the upper half; milliseconds since the clock's start, wrapping, in the lower.
    /// `u64::MAX` before the first draw.
    current: AtomicU64,
    seed: AtomicU64,
}

impl Sticky {
    fn new(seed: u64) -> Self {
        Self {
            current: AtomicU64::new(u64::MAX),
            seed: AtomicU64::new(seed),
        }
    }

    fn keep_or_draw(&self, route: &Route, now: Time, linger: Duration) -> usize {
        let now_ms = (now.as_nanos() / 1_000_000) as u32;
        let current = self.current.load(Ordering::Relaxed);
        let (partition, since) = ((current >> 32) as u32, current as u32);
        let fresh = u128::from(now_ms.wrapping_sub(since)) < linger.as_millis();
        if current != u64::MAX && fresh && route.is_available(partition) {
            return partition as usize;
        }
        let partition = self.draw(route);
        self.current.store(
            (partition as u64) << 32 | u64::from(now_ms),
            Ordering::Relaxed,
        );
        partition
    }

    fn draw(&self, route: &Route) -> usize {
        let mut random = fastrand::Rng::with_seed(self.seed.fetch_add(1, Ordering::Relaxed));
        match route.available.as_slice() {
            [] => random.usize(..route.partitions.len()),
            available => available[random.usize(..available.len())] as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::super::budget::Budget;
    use super::super::segment::Memory;
    use super::super::{BatchLimits, Partition};
    use super::*;

    const LINGER: Duration = Duration::from_millis(10);

    fn route(count: u32, available: &[u32]) -> Route {
        let memory = Memory::new(Budget::new(None, 0));
        let limits = BatchLimits {
            bytes: 0,
            messages: 0,
        };
        let partition = |index: u32| Arc::new(Partition::new(index as i32, index, limits, &memory));
        Route {
            partitions: (0..count).map(partition).collect(),
            available: available.to_vec(),
            former: Vec::new(),
        }
    }

    fn at_ms(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn keys_go_where_librdkafka_puts_them() {
        // `kcat -P -k KEY -X topic.partitioner=consistent_random` to four partitions.
        let placed = [
            ("a", 3),
            ("b", 1),
            ("c", 3),
            ("call-1", 0),
            ("call-2", 2),
            ("sip:alice@example.org", 3),
            ("sip:bob@example.org", 2),
            ("1234567890", 1),
            ("ü", 1),
            ("key with blanks", 0),
            ("z", 3),
            ("00", 0),
        ];
        let chooser = Chooser::new(LINGER, 1);
        // A key keeps its partition whether that has a leader or not.
        let route = route(4, &[1]);
        for (key, partition) in placed {
            let chosen = chooser.choose(Some(key.as_bytes()), &route, at_ms(5));
            assert_eq!(chosen, partition, "{key}");
        }
    }

    #[test]
    fn records_without_a_key_stick_for_the_linger_and_then_move_on() {
        for key in [None, Some(&b""[..])] {
            let chooser = Chooser::new(LINGER, 1);
            let route = route(50, &(0..50).collect::<Vec<_>>());
            let mut seen = BTreeSet::new();
            for period in 0..100 {
                let chosen = chooser.choose(key, &route, at_ms(period * 10));
                for ms in 1..10 {
                    assert_eq!(chooser.choose(key, &route, at_ms(period * 10 + ms)), chosen);
                }
                seen.insert(chosen);
            }
            assert!(seen.len() > 30, "{}", seen.len());
        }
    }

    #[test]
    fn without_sticky_linger_every_record_draws_anew() {
        let chooser = Chooser::new(Duration::ZERO, 1);
        let route = route(4, &[0, 1, 2, 3]);
        let mut counts = [0; 4];
        for _ in 0..4000 {
            counts[chooser.choose(None, &route, at_ms(1))] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn records_without_a_key_leave_a_partition_at_once_that_lost_its_leader() {
        let chooser = Chooser::new(LINGER, 1);
        let first = chooser.choose(None, &route(3, &[2]), at_ms(1));
        let second = chooser.choose(None, &route(3, &[0]), at_ms(2));
        assert_eq!((first, second), (2, 0));
        // Without any leader they have to wait somewhere.
        assert!(chooser.choose(None, &route(3, &[]), at_ms(3)) < 3);
    }
}
