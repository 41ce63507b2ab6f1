//! `cargo xtask sim --replay FILE`: what a producer's flight recorder wrote, once more.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};

pub use kafka_engine::recording::Recording;
use kafka_engine::recording::{self, Replay, ReplayError};
use kafka_engine::report::{Delivered, Report};

/// What a replay came to.
#[derive(Debug)]
pub struct Replayed {
    /// Whether it went as recorded, and where not.
    pub replay: Replay,
    /// The report of every message, in the order of their outcomes.
    pub reports: Vec<Report>,
}

/// Why there is nothing that a replay came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unplayed {
    /// The recording is not whole.
    Error(ReplayError),
    /// The engine panicked; what it was recorded from may have done the same.
    Panicked(String),
}

/// Has an engine live through a recording.
pub fn replay(recording: &Recording) -> Result<Replayed, Unplayed> {
    let mut reports = Vec::new();
    let replay = || recording::replay(recording, |report| reports.push(report));
    match panic::catch_unwind(AssertUnwindSafe(replay)) {
        Ok(Ok(replay)) => Ok(Replayed { replay, reports }),
        Ok(Err(error)) => Err(Unplayed::Error(error)),
        Err(panic) => Err(Unplayed::Panicked(words(&*panic).to_owned())),
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words")
}

/// Of each partition what was delivered, and how the rest failed.
impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut partitions: BTreeMap<(&str, i32), BTreeMap<&str, Share>> = BTreeMap::new();
        for report in &self.reports {
            let (outcome, offset) = match &report.outcome {
                Ok(Delivered { offset, .. }) => ("delivered", *offset),
                Err(failure) => (failure.error.name(), None),
            };
            let partition = (&*report.topic, report.partition);
            let shares = partitions.entry(partition).or_default();
            shares.entry(outcome).or_default().add(offset);
        }
        for ((topic, partition), shares) in partitions {
            for (outcome, share) in shares {
                writeln!(f, "{topic}/{partition}: {outcome} {share}")?;
            }
        }
        let (steps, messages) = (self.replay.steps, self.reports.len());
        write!(f, "{messages} messages in {steps} steps")
    }
}

/// Messages of a partition with the same fate.
#[derive(Debug, Default)]
struct Share {
    count: u64,
    offsets: Option<(i64, i64)>,
}

impl Share {
    fn add(&mut self, offset: Option<i64>) {
        self.count += 1;
        let Some(offset) = offset else { return };
        let (first, last) = self.offsets.unwrap_or((offset, offset));
        self.offsets = Some((first.min(offset), last.max(offset)));
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.count)?;
        match self.offsets {
            Some((first, last)) => write!(f, ", at offsets {first} to {last}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Unplayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panicked(words) => write!(f, "the engine panicked: {words}"),
        }
    }
}

impl std::error::Error for Unplayed {}
