//! The operating system's clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use kafka_engine::time::{Clock, Time};
use nix::time::{ClockId, clock_gettime};

/// Monotonic time since the machine's start, and the wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

#[cfg(any(target_os = "linux", target_os = "android"))]
const COARSE: ClockId = ClockId::CLOCK_MONOTONIC_COARSE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const COARSE: ClockId = ClockId::CLOCK_MONOTONIC;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        read(ClockId::CLOCK_MONOTONIC)
    }

    fn coarse(&self) -> Time {
        read(COARSE)
    }

    fn wall_ms(&self) -> i64 {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
    }
}

/// By the C library, which knows the fast way into the kernel also under valgrind.
fn read(clock: ClockId) -> Time {
    let time = clock_gettime(clock).expect("a clock that every kernel has");
    Time::from_nanos(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}
