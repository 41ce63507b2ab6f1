//! Which partition a record goes to, as librdkafka decides it, or Java's client since KIP-794.

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
    stay: Stay,
}

/// How long records without a key stay with a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    pub(crate) linger: Duration,
    /// With [`Partitioner::UniformSticky`]: until they are so many bytes.
    pub(crate) bytes: usize,
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
    /// The same, and what waits elsewhere.
    Load,
}

impl Chooser {
    pub(crate) fn new(partitioner: Partitioner, stay: Stay, seed: u64) -> Self {
        Self {
            partitioner,
            sticky: Sticky::new(seed),
            stay,
        }
    }

    /// The partition for a record with this key and of this size. `route` has at least one partition.
    pub(crate) fn choose(
        &self,
        key: Option<&[u8]>,
        size: impl FnOnce() -> usize,
        route: &Route,
        now: Time,
    ) -> usize {
        match decide(self.partitioner, key) {
            By::Hash(hash) => hash as usize % route.partitions.len(),
            By::Company if !self.stay.linger.is_zero() => {
                self.sticky.keep_or_draw(route, now, self.stay.linger)
            }
            By::Company | By::Chance => self.sticky.draw(route),
            By::Load => self.fill_or_draw(size, route),
        }
    }

    /// Apart, for the others are the usual ones and shorter without it.
    #[inline(never)]
    fn fill_or_draw(&self, size: impl FnOnce() -> usize, route: &Route) -> usize {
        self.sticky.fill_or_draw(route, size(), self.stay.bytes)
    }
}

fn decide(partitioner: Partitioner, key: Option<&[u8]>) -> By {
    use Partitioner::{
        Consistent, ConsistentRandom, Fnv1a, Fnv1aRandom, Murmur2, Murmur2Random, Random,
        UniformSticky,
    };
    match (partitioner, key) {
        (Random | ConsistentRandom | Murmur2Random | Fnv1aRandom, None)
        | (ConsistentRandom, Some([])) => By::Company,
        (Random, Some(_)) => By::Chance,
        (Consistent | ConsistentRandom, key) => By::Hash(hash::crc32(key.unwrap_or_default())),
        (Murmur2 | Murmur2Random, key) => By::Hash(hash::murmur2(key.unwrap_or_default())),
        (Fnv1a | Fnv1aRandom, key) => By::Hash(hash::fnv1a(key.unwrap_or_default())),
        (UniformSticky, None) => By::Load,
        (UniformSticky, Some(key)) => By::Hash(hash::murmur2(key)),
    }
}

/// The partition of records without a key, drawn anew now and then (KIP-480: by time, KIP-794: by
/// bytes). One word beside a random state, so that publishers need no lock; two that draw at once both
/// get a fine answer.
#[derive(Debug)]
struct Sticky {
    /// Partition in the upper half; in the lower milliseconds since the clock's start, wrapping, or
    /// the bytes that went there. [`NONE`] before the first draw.
    current: AtomicU64,
    /// Of SplitMix64, which needs one addition only to be shared between threads.
    state: AtomicU64,
}

impl Sticky {
    fn new(seed: u64) -> Self {
        Self {
            current: AtomicU64::new(NONE),
            state: AtomicU64::new(seed),
        }
    }

    fn keep_or_draw(&self, route: &Route, now: Time, linger: Duration) -> usize {
        let now_ms = (now.as_nanos() / 1_000_000) as u32;
        let current = self.current.load(Ordering::Relaxed);
        let (partition, since) = halves(current);
        let fresh = u128::from(now_ms.wrapping_sub(since)) < linger.as_millis();
        if current != NONE && fresh && route.is_available(partition) {
            return partition as usize;
        }
        let partition = self.draw(route);
        self.current
            .store(word(partition, now_ms), Ordering::Relaxed);
        partition
    }

    /// Unlike the hand of a clock, bytes of several publishers add up: none may be forgotten.
    fn fill_or_draw(&self, route: &Route, size: usize, most: usize) -> usize {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let mut current = self.current.load(Ordering::Relaxed);
        loop {
            let (partition, bytes) = halves(current);
            let stays = current != NONE && (bytes as usize) < most && route.takes(partition);
            let (partition, bytes) = match stays {
                true => (partition as usize, bytes.saturating_add(size)),
                false => (self.draw_by_load(route, most), size),
            };
            let filled = word(partition, bytes);
            let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
            match (self.current).compare_exchange_weak(current, filled, set, read) {
                Ok(_) => return partition,
                Err(other) => current = other,
            }
        }
    }

    fn draw(&self, route: &Route) -> usize {
        let random = self.random();
        let below = |end: usize| ((u128::from(random) * end as u128) >> 64) as usize;
        match route.available.as_slice() {
            [] => below(route.partitions.len()),
            available => available[below(available.len())] as usize,
        }
    }

    /// Where `batch` bytes wait, one is drawn half as often as where none do; where twice as much waits,
    /// a third, and so on. Each candidate takes the place of those before it with its share of their
    /// weight, so that the queues are looked at once, and nothing is kept of them.
    fn draw_by_load(&self, route: &Route, batch: usize) -> usize {
        let mut total = 0.0;
        let mut drawn = None;
        for partition in &route.available {
            let waiting = route.partitions[*partition as usize].door().size();
            let weight = 1.0 / (1.0 + waiting as f64 / batch.max(1) as f64);
            total += weight;
            if fraction(self.random()) * total < weight {
                drawn = Some(*partition as usize);
            }
        }
        drawn.unwrap_or_else(|| self.draw(route))
    }

    fn random(&self) -> u64 {
        mixed(self.state.fetch_add(GOLDEN_GAMMA, Ordering::Relaxed))
    }
}

/// No partition: there are not so many.
const NONE: u64 = u64::MAX;

fn word(partition: usize, other: u32) -> u64 {
    (partition as u64) << 32 | u64::from(other)
}

fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// From 0 to below 1.
fn fraction(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
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

    use kafka_wire::record::Header;

    use super::super::batch::Entry;
    use super::super::budget::Budget;
    use super::super::segment::Memory;
    use super::super::{BatchLimits, Partition, StoppedClock};
    use super::*;
    use crate::recording::Tape;

    use Partitioner::*;

    const STAY: Stay = Stay {
        linger: Duration::from_millis(10),
        bytes: 1000,
    };
    const AT_ONCE: Stay = Stay {
        linger: Duration::ZERO,
        ..STAY
    };

    /// Where librdkafka 2.16.0 puts [`golden_keys::key`]: for each of its three hashes and each
    /// key the partitions of 1000, 12 and 3 as one number, `p1000 + 1000 * (p12 + 12 * p3)`.
    static GOLDEN: &[u8] = include_bytes!("partitioner/golden.bin");

    fn route(count: u32, available: &[u32]) -> Route {
        let memory = Memory::new(Budget::new(None, usize::MAX));
        let limits = BatchLimits {
            bytes: STAY.bytes,
            messages: 1000,
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

    fn small() -> usize {
        1
    }

    fn all(count: u32) -> Vec<u32> {
        (0..count).collect()
    }

    /// The column of [`GOLDEN`] that decides about a key; `None`: chance or company do.
    fn column(partitioner: Partitioner, key: Option<&[u8]>) -> Option<usize> {
        match partitioner {
            Random => None,
            ConsistentRandom if key.is_none_or(<[u8]>::is_empty) => None,
            Murmur2Random | Fnv1aRandom | UniformSticky if key.is_none() => None,
            Consistent | ConsistentRandom => Some(0),
            Murmur2 | Murmur2Random | UniformSticky => Some(1),
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
                let chooser = Chooser::new(partitioner, STAY, 1);
                for index in 0..golden_keys::KEYS {
                    let key = golden_keys::key(index);
                    let chosen = chooser.choose(key.as_deref(), small, &route, at_ms(5));
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
        assert_eq!(compared, 320_000);
    }

    const ALL: [Partitioner; 8] = [
        Random,
        Consistent,
        ConsistentRandom,
        Murmur2,
        Murmur2Random,
        Fnv1a,
        Fnv1aRandom,
        UniformSticky,
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
            let chooser = Chooser::new(partitioner, STAY, 1);
            let route = route(12, &all(12));
            let mut counts = [0; 12];
            let mut moves = 0;
            for period in 0..3000 {
                let chosen = chooser.choose(key, small, &route, at_ms(period * 10));
                counts[chosen] += 1;
                let later =
                    (1..10).map(|ms| chooser.choose(key, small, &route, at_ms(period * 10 + ms)));
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
            let chooser = Chooser::new(partitioner, AT_ONCE, 1);
            let route = route(12, &all(12));
            let mut counts = [0; 12];
            let mut stays = 0;
            let mut last = 0;
            for _ in 0..12_000 {
                let chosen = chooser.choose(key, small, &route, at_ms(1));
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
        for stay in [AT_ONCE, STAY] {
            for (partitioner, key, _) in UNPLACED {
                let chooser = Chooser::new(partitioner, stay, 1);
                let chosen =
                    [2, 0].map(|led| chooser.choose(key, small, &route(3, &[led]), at_ms(1)));
                assert_eq!(chosen, [2, 0], "{partitioner:?} {key:?}");
                // Without any leader they have to wait somewhere.
                assert!(chooser.choose(key, small, &route(3, &[]), at_ms(3)) < 3);
            }
        }
    }

    /// Has about so many bytes wait for a partition.
    fn fill(partition: &Partition, bytes: usize) {
        let mut queue = partition.queue();
        while queue.size() < bytes {
            let mut entry = Entry {
                key: None,
                value: Some(&[0; 20]),
                headers: &[] as &[Header<'_>],
                timestamp: None,
                opaque: 0,
                completion: None,
            };
            let appended = queue.append(&mut entry, &StoppedClock, at_ms(1));
            appended.expect("there is room");
        }
    }

    /// Where records of these sizes go that have no key.
    fn choose_by_load(chooser: &Chooser, route: &Route, sizes: &[usize]) -> Vec<usize> {
        let choose = |size: &usize| chooser.choose(None, || *size, route, at_ms(1));
        sizes.iter().map(choose).collect()
    }

    #[test]
    fn a_partition_keeps_records_until_they_are_a_batch_and_not_for_longer() {
        let (mut draws, mut moves) = (0, 0);
        for seed in 0..100 {
            let mut random = fastrand::Rng::with_seed(seed);
            let stay = Stay {
                bytes: random.usize(1..3000),
                ..STAY
            };
            let chooser = Chooser::new(UniformSticky, stay, seed);
            let route = route(20, &all(20));
            let sizes: Vec<usize> = (0..1000).map(|_| random.usize(1..500)).collect();
            let chosen = choose_by_load(&chooser, &route, &sizes);
            let mut bytes = sizes[0];
            for (pair, size) in chosen.windows(2).zip(&sizes[1..]) {
                if bytes < stay.bytes {
                    assert_eq!(pair[0], pair[1], "{bytes} of {}", stay.bytes);
                    bytes += size;
                } else {
                    draws += 1;
                    moves += u32::from(pair[0] != pair[1]);
                    bytes = *size;
                }
            }
        }
        // One of twenty is the same again.
        let moved = f64::from(moves) / f64::from(draws);
        assert!((moved - 0.95).abs() < 0.01, "{moves} of {draws}");
    }

    #[test]
    fn where_more_waits_less_goes_and_where_no_leader_is_nothing() {
        let route = route(12, &all(11));
        let filled = [0, 1, 3, 3, 0, 0, 9, 0, 0, 0, 0, 0];
        for (partition, batches) in route.partitions.iter().zip(filled) {
            fill(partition, batches * STAY.bytes);
        }
        let chooser = Chooser::new(UniformSticky, STAY, 1);
        // Each draws.
        let draws = 30_000;
        let mut counts = [0; 12];
        for chosen in choose_by_load(&chooser, &route, &vec![STAY.bytes; draws]) {
            counts[chosen] += 1;
        }
        assert_eq!(counts[11], 0);
        let weights = filled[..11]
            .iter()
            .map(|batches| 1.0 / (1.0 + *batches as f64));
        let total: f64 = weights.clone().sum();
        let distance = counts.iter().zip(weights).map(|(count, weight)| {
            let expected = draws as f64 * weight / total;
            (f64::from(*count) - expected).powi(2) / expected
        });
        // 29.6 is passed once in a thousand times.
        let distance: f64 = distance.sum();
        assert!(distance < 29.6, "{counts:?}: {distance}");
    }

    #[test]
    fn a_leader_that_goes_takes_the_company_with_it_and_without_any_it_stays_together() {
        let chooser = Chooser::new(UniformSticky, STAY, 1);
        let chosen = |route| choose_by_load(&chooser, &route, &[1; 3]);
        assert_eq!(chosen(route(3, &[2])), [2; 3]);
        assert_eq!(chosen(route(3, &[0])), [0; 3]);
        assert_eq!(chosen(route(3, &[])), [0; 3]);
        let smaller = chosen(route(1, &[0]));
        assert_eq!(smaller, [0; 3]);
    }
}
