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
