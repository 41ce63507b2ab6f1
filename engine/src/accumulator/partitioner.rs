//! Which partition a record goes to, as librdkafka decides it.

#[cfg(test)]
mod golden_keys;
mod hash;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::topic::Route;
use crate::settings::Partitioner;
use crate::time::Time;

/// Chooses partitions for the records of one topic.
#[derive(Debug)]
pub(crate) struct Chooser {
    partitioner: Partitioner,
    sticky: Sticky,
    linger: Duration,
}

/// What decides about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// This hash of its key, whether the partition has a leader or not.
    Hash(u32),
    /// Chance.
    Chance,
    /// Where others without a key went lately.
    Company,
}

impl Chooser {
    pub(crate) fn new(partitioner: Partitioner, linger: Duration, seed: u64) -> Self {
        Self {
            partitioner,
            sticky: Sticky::new(seed),
            linger,
        }
    }

    /// The partition for a record with this key. `route` has at least one partition.
    pub(crate) fn choose(&self, key: Option<&[u8]>, route: &Route, now: Time) -> usize {
        match decide(self.partitioner, key) {
            By::Hash(hash) => hash as usize % route.partitions.len(),
            By::Company if !self.linger.is_zero() => {
                self.sticky.keep_or_draw(route, now, self.linger)
            }
            By::Company | By::Chance => self.sticky.draw(route),
        }
    }
}

fn decide(partitioner: Partitioner, key: Option<&[u8]>) -> By {
    use Partitioner::{
        Consistent, ConsistentRandom, Fnv1a, Fnv1aRandom, Murmur2, Murmur2Random, Random,
    };
    match (partitioner, key) {
        (Random | ConsistentRandom | Murmur2Random | Fnv1aRandom, None)
        | (ConsistentRandom, Some([])) => By::Company,
        (Random, Some(_)) => By::Chance,
        (Consistent | ConsistentRandom, key) => By::Hash(hash::crc32(key.unwrap_or_default())),
        (Murmur2 | Murmur2Random, key) => By::Hash(hash::murmur2(key.unwrap_or_default())),
        (Fnv1a | Fnv1aRandom, key) => By::Hash(hash::fnv1a(key.unwrap_or_default())),
    }
}

/// The partition of records without a key, drawn anew now and then (KIP-480, by time). One word
/// beside a random state, so that publishers need no lock; two that draw at once both get a fine
/// answer.
#[derive(Debug)]
struct Sticky {
    /// Partition in the upper half; milliseconds since the clock's start, wrapping, in the lower.
    /// `u64::MAX` before the first draw.
    current: AtomicU64,
    /// Of SplitMix64, which needs one addition only to be shared between threads.
    state: AtomicU64,
}

impl Sticky {
    fn new(seed: u64) -> Self {
        Self {
            current: AtomicU64::new(u64::MAX),
            state: AtomicU64::new(seed),
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
        let random = mixed(self.state.fetch_add(GOLDEN_GAMMA, Ordering::Relaxed));
        let below = |end: usize| ((u128::from(random) * end as u128) >> 64) as usize;
        match route.available.as_slice() {
            [] => below(route.partitions.len()),
            available => available[below(available.len())] as usize,
        }
    }
}

/// The step of SplitMix64: no two of its 2^64 states are the same.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The other half of SplitMix64: the state as a random number.
fn mixed(state: u64) -> u64 {
    let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::budget::Budget;
    use super::super::segment::Memory;
    use super::super::{BatchLimits, Partition};
    use super::*;
    use crate::recording::Tape;

    use Partitioner::*;

    const LINGER: Duration = Duration::from_millis(10);

    /// Where librdkafka 2.16.0 puts [`golden_keys::key`]: for each of its three hashes and each
    /// key the partitions of 1000, 12 and 3 as one number, `p1000 + 1000 * (p12 + 12 * p3)`.
    static GOLDEN: &[u8] = include_bytes!("partitioner/golden.bin");

    fn route(count: u32, available: &[u32]) -> Route {
        let memory = Memory::new(Budget::new(None, 0));
        let limits = BatchLimits {
            bytes: 0,
            messages: 0,
        };
        let partition = |index: u32| {
            let numbers = (index as i32, index);
            Arc::new(Partition::new(numbers, limits, &memory, &Tape::default()))
        };
        Route {
            partitions: (0..count).map(partition).collect(),
            available: available.to_vec(),
            former: Vec::new(),
        }
    }

    fn at_ms(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    fn all(count: u32) -> Vec<u32> {
        (0..count).collect()
    }

    /// The column of [`GOLDEN`] that decides about a key; `None`: chance or company do.
    fn column(partitioner: Partitioner, key: Option<&[u8]>) -> Option<usize> {
        match partitioner {
            Random => None,
            ConsistentRandom if key.is_none_or(<[u8]>::is_empty) => None,
            Murmur2Random | Fnv1aRandom if key.is_none() => None,
            Consistent | ConsistentRandom => Some(0),
            Murmur2 | Murmur2Random => Some(1),
            Fnv1a | Fnv1aRandom => Some(2),
        }
    }

    fn golden_partition(column: usize, index: u64, count: usize) -> usize {
        let at = 2 * (column * golden_keys::KEYS as usize + index as usize);
        let packed = u16::from_le_bytes([GOLDEN[at], GOLDEN[at + 1]]) as usize;
        match count {
            1 => 0,
            3 => packed / 12_000,
            12 => packed / 1000 % 12,
            1000 => packed % 1000,
            _ => unreachable!("librdkafka was not asked about {count} partitions"),
        }
    }

    #[test]
    fn keys_go_where_librdkafka_puts_them() {
        let mut compared = 0;
        for count in [1, 3, 12, 1000] {
            // A key keeps its partition whether that has a leader or not.
            let route = route(count, &[0]);
            for partitioner in ALL {
                let chooser = Chooser::new(partitioner, LINGER, 1);
                for index in 0..golden_keys::KEYS {
                    let key = golden_keys::key(index);
                    let chosen = chooser.choose(key.as_deref(), &route, at_ms(5));
                    let expected = match column(partitioner, key.as_deref()) {
                        Some(column) => golden_partition(column, index, count as usize),
                        None => 0,
                    };
                    let what = || format!("{partitioner:?} of {count}, key {index}: {key:02x?}");
                    assert_eq!(chosen, expected, "{}", what());
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 280_000);
    }

    const ALL: [Partitioner; 7] = [
        Random,
        Consistent,
        ConsistentRandom,
        Murmur2,
        Murmur2Random,
        Fnv1a,
        Fnv1aRandom,
    ];

    /// Records that no hash places: each partitioner with such a key, and whether they stick.
    const UNPLACED: [(Partitioner, Option<&[u8]>, bool); 6] = [
        (Random, None, true),
        (Random, Some(b"key"), false),
        (ConsistentRandom, None, true),
        (ConsistentRandom, Some(b""), true),
        (Murmur2Random, None, true),
        (Fnv1aRandom, None, true),
    ];

    /// How far counts are from being equal: with `counts.len() - 1` degrees of freedom.
    fn chi_squared(counts: &[u32]) -> f64 {
        let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
        let deviation = |count: &u32| (f64::from(*count) - expected).powi(2) / expected;
        counts.iter().map(deviation).sum()
    }

    #[test]
    fn records_that_stick_stay_for_the_linger_and_then_go_anywhere() {
        for (partitioner, key, sticks) in UNPLACED {
            let chooser = Chooser::new(partitioner, LINGER, 1);
            let route = route(12, &all(12));
            let mut counts = [0; 12];
            let mut moves = 0;
            for period in 0..3000 {
                let chosen = chooser.choose(key, &route, at_ms(period * 10));
                counts[chosen] += 1;
                let later = (1..10).map(|ms| chooser.choose(key, &route, at_ms(period * 10 + ms)));
                moves += later.filter(|other| *other != chosen).count();
            }
            // By chance 11 of 12 would move.
            match sticks {
                true => assert_eq!(moves, 0, "{partitioner:?} {key:?}"),
                false => assert!(
                    (24_000..25_500).contains(&moves),
                    "{partitioner:?}: {moves}"
                ),
            }
            // 31.3 is passed once in a thousand times.
            let distance = chi_squared(&counts);
            assert!(distance < 31.3, "{partitioner:?} {key:?}: {counts:?}");
        }
    }

    #[test]
    fn without_sticky_linger_every_record_draws_anew() {
        for (partitioner, key, _) in UNPLACED {
            let chooser = Chooser::new(partitioner, Duration::ZERO, 1);
            let route = route(12, &all(12));
            let mut counts = [0; 12];
            let mut stays = 0;
            let mut last = 0;
            for _ in 0..12_000 {
                let chosen = chooser.choose(key, &route, at_ms(1));
                counts[chosen] += 1;
                stays += u32::from(std::mem::replace(&mut last, chosen) == chosen);
            }
            assert!((900..1100).contains(&stays), "{partitioner:?}: {stays}");
            let distance = chi_squared(&counts);
            assert!(distance < 31.3, "{partitioner:?} {key:?}: {counts:?}");
        }
    }

    #[test]
    fn what_no_hash_places_goes_where_a_leader_is() {
        for linger in [Duration::ZERO, LINGER] {
            for (partitioner, key, _) in UNPLACED {
                let chooser = Chooser::new(partitioner, linger, 1);
                let chosen = [2, 0].map(|led| chooser.choose(key, &route(3, &[led]), at_ms(1)));
                assert_eq!(chosen, [2, 0], "{partitioner:?} {key:?}");
                // Without any leader they have to wait somewhere.
                assert!(chooser.choose(key, &route(3, &[]), at_ms(3)) < 3);
            }
        }
    }
}
