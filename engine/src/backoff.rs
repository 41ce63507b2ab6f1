//! Waits that double (KIP-580), with a jitter so that many producers do not come back at once.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The wait after `failures` failures in a row: `first` after one, doubled with each further one,
/// `max` at most, times a factor drawn from `jitter`.
pub(crate) fn backoff(
    first: Duration,
    max: Duration,
    failures: u32,
    jitter: RangeInclusive<f64>,
    random: &mut fastrand::Rng,
) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let wait = first.saturating_mul(1 << doublings).min(max);
    let (low, high) = jitter.into_inner();
    wait.mul_f64(low + (high - low) * random.f64()).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_never_pass_it() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut random = fastrand::Rng::with_seed(7);
        let exact: Vec<u128> = (1..=6)
            .map(|failures| backoff(first, max, failures, 1.0..=1.0, &mut random).as_millis())
            .collect();
        assert_eq!(exact, [100, 200, 400, 800, 1000, 1000]);
        for failures in 1..100 {
            let wait = backoff(first, max, failures, 0.75..=1.5, &mut random);
            assert!(wait >= Duration::from_millis(75) && wait <= max);
        }
    }
}
