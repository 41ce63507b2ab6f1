//! A clock that stands still until a test moves it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use kafka_engine::time::{COARSE_LAG, Clock, Time};

/// The wall clock at the start of every test, in milliseconds since 1970.
pub const START_MS: i64 = 1_700_000_000_000;

/// Between two steps of the coarse clock, so that it lags from the first reading on.
const START: u64 = 1_000_003_500_000;

#[derive(Debug)]
pub(crate) struct ManualClock {
    nanos: AtomicU64,
    /// By how many milliseconds the wall clock was set forward.
    wall_step: AtomicI64,
}

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self {
            nanos: AtomicU64::new(START),
            wall_step: AtomicI64::new(0),
        }
    }

    pub(crate) fn set(&self, now: Time) {
        assert!(now >= self.now(), "time runs one way");
        assert_ne!(now, Time::NEVER, "nothing is due, and nothing will happen");
        self.nanos.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Sets the wall clock forward, or back.
    pub(crate) fn step_wall(&self, millis: i64) {
        self.wall_step.fetch_add(millis, Ordering::Relaxed);
    }

    /// Since the start of the test.
    pub(crate) fn elapsed(&self) -> Duration {
        elapsed(self.now())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// Steps as Linux' `CLOCK_MONOTONIC_COARSE` does, and lags as much.
    fn coarse(&self) -> Time {
        let now = self.now().as_nanos();
        Time::from_nanos(now - now % COARSE_LAG.as_nanos() as u64)
    }

    fn wall_ms(&self) -> i64 {
        let step = self.wall_step.load(Ordering::Relaxed);
        START_MS + step + self.elapsed().as_millis() as i64
    }
}

/// How long after the start of the world.
pub(crate) fn elapsed(time: Time) -> Duration {
    time.since(Time::from_nanos(START))
}
