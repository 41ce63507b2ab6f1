//! Time as an argument: the engine never asks the operating system what time it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on a monotonic clock, in nanoseconds since a start that its [`Clock`] chose.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time(u64);

impl Time {
    /// Later than every other time: a deadline that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// `nanos` nanoseconds after the clock's start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time `wait` later; [`Time::NEVER`] if that cannot be said.
    pub fn after(self, wait: Duration) -> Self {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// How long ago `earlier` was; zero if it is later than this.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Where a publishing thread gets the time. Only what is needed is asked for: a precise clock may
/// cost as much as encoding a message.
pub trait Clock {
    /// The monotonic time.
    fn now(&self) -> Time;

    /// The same clock read cheaply: never ahead of [`Clock::now`], at most
    /// [`COARSE_LAG`] behind it.
    fn coarse(&self) -> Time;

    /// The wall clock: milliseconds since 1970 (UTC).
    fn wall_ms(&self) -> i64;
}

/// What a coarse clock may lag behind: two ticks of a kernel that runs at 250 Hz. It is set at every
/// tick, but moves by whole ticks only: what is left over may be nearly one more.
pub const COARSE_LAG: Duration = Duration::from_millis(8);
