//! The operating system's clocks.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_engine::time::{COARSE_LAG, Clock, Time};
use nix::time::{ClockId, clock_getres, clock_gettime};

/// Monotonic time since the machine's start, and the wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

#[cfg(any(target_os = "linux", target_os = "android"))]
const CHEAP: ClockId = ClockId::CLOCK_MONOTONIC_COARSE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CHEAP: ClockId = ClockId::CLOCK_MONOTONIC;

/// The cheap clock, unless the ticks of this kernel are so long that messages would expire early.
static COARSE: LazyLock<ClockId> = LazyLock::new(|| match clock_getres(CHEAP) {
    Ok(tick) if 2 * Duration::from(tick) <= COARSE_LAG => CHEAP,
    _ => ClockId::CLOCK_MONOTONIC,
});

impl Clock for SystemClock {
    fn now(&self) -> Time {
        read(ClockId::CLOCK_MONOTONIC)
    }

    fn coarse(&self) -> Time {
        read(*COARSE)
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_coarse_clock_is_never_ahead_and_lags_no_more_than_the_engine_is_told() {
        // Benches compile this file too, and without a harness there are no tests.
        use super::*;

        let clock = SystemClock;
        let start = clock.now();
        let mut longest = Duration::ZERO;
        // Over many ticks. Wherever this thread is interrupted, the lag looks the smaller.
        while clock.now().since(start) < Duration::from_millis(100) {
            let now = clock.now();
            longest = longest.max(now.since(clock.coarse()));
            let coarse = clock.coarse();
            assert!(coarse <= clock.now(), "{coarse:?} is ahead");
        }
        assert!(longest <= COARSE_LAG, "{longest:?}");
    }
}
