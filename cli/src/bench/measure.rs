//! Samples, and what the operating system counts for this process.

use std::fs;

use nix::sys::resource::{Usage as RawUsage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Values in room that was made, and touched, beforehand: taking one neither allocates nor faults.
#[derive(Default)]
pub(super) struct Samples {
    values: Vec<u32>,
    taken: usize,
}

impl Samples {
    pub(super) fn with_room(room: usize) -> Self {
        // Not zero: pages of zeros would appear only when they are written.
        Self {
            values: vec![1; room],
            taken: 0,
        }
    }

    pub(super) fn room(&self) -> usize {
        self.values.len()
    }

    /// Values beyond the room are dropped.
    pub(super) fn add(&mut self, value: u128) {
        if let Some(slot) = self.values.get_mut(self.taken) {
            *slot = u32::try_from(value).unwrap_or(u32::MAX);
            self.taken += 1;
        }
    }

    pub(super) fn merged(all: Vec<Self>) -> Self {
        let values: Vec<_> = all
            .iter()
            .flat_map(|samples| &samples.values[..samples.taken])
            .copied()
            .collect();
        Self {
            taken: values.len(),
            values,
        }
    }

    /// The values that 50 %, 99 % and 99.9 % do not exceed; `None` without samples.
    pub(super) fn percentiles(mut self) -> Option<[u32; 3]> {
        let sorted = &mut self.values[..self.taken];
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        Some([0.5, 0.99, 0.999].map(|part| sorted[(last as f64 * part) as usize]))
    }
}

/// What the process has used so far, all threads together.
pub(super) struct Usage {
    pub(super) user_s: f64,
    pub(super) sys_s: f64,
    pub(super) voluntary_switches: i64,
}

impl Usage {
    pub(super) fn now() -> Self {
        let raw: RawUsage =
            getrusage(UsageWho::RUSAGE_SELF).expect("getrusage fails only for a wrong argument");
        Self {
            user_s: raw.user_time().num_microseconds() as f64 / 1e6,
            sys_s: raw.system_time().num_microseconds() as f64 / 1e6,
            voluntary_switches: raw.voluntary_context_switches(),
        }
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            user_s: self.user_s - before.user_s,
            sys_s: self.sys_s - before.sys_s,
            voluntary_switches: self.voluntary_switches - before.voluntary_switches,
        }
    }
}

/// The most memory that was ever resident. Not `ru_maxrss`, which a child inherits from the process
/// that started it.
pub(super) fn peak_resident_kb() -> u64 {
    status("VmHWM:")
}

pub(super) fn resident_kb() -> u64 {
    status("VmRSS:")
}

/// A line of `/proc/self/status` in kB; 0 where there is no such file.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_all_threads_together() {
        let mut samples = [Samples::with_room(500), Samples::with_room(600)];
        for value in 1..=1000u128 {
            samples[usize::from(value > 400)].add(value);
        }
        let merged = Samples::merged(samples.into());
        assert_eq!(merged.percentiles(), Some([500, 990, 999]));
    }

    #[test]
    fn no_samples_no_percentiles() {
        assert_eq!(Samples::with_room(5).percentiles(), None);
    }

    #[test]
    fn samples_beyond_the_room_are_dropped() {
        let mut samples = Samples::with_room(1);
        samples.add(u128::MAX);
        samples.add(7);
        assert_eq!(samples.percentiles(), Some([u32::MAX; 3]));
    }

    #[test]
    fn this_process_has_a_resident_size() {
        assert!(resident_kb() > 0);
        assert!(peak_resident_kb() >= 100);
    }
}
