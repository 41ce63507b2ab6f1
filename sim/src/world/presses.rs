//! Compression as the driver's threads do it, with the time and the failures that a test wants.

use std::time::Duration;

use kafka_engine::compression::{Done, Job};
use kafka_wire::compression::Compressor;

/// Who compresses batches: as many at once as there are.
#[derive(Debug, Default)]
pub struct Presses {
    /// How long each batch takes, in turns; none: no time.
    pub durations: Vec<Duration>,
    /// Whether a codec fails, by the number of the batch.
    pub fails: Option<fn(usize) -> bool>,
    /// Batches that were given here.
    pub jobs: usize,
    compressor: Compressor,
}

impl Presses {
    /// What comes of a batch, and after how long.
    pub(super) fn run(&mut self, job: Job) -> (Duration, Done) {
        let number = self.jobs;
        self.jobs += 1;
        let turn = number.checked_rem(self.durations.len());
        let duration = turn.map_or(Duration::ZERO, |turn| self.durations[turn]);
        let done = match self.fails.is_some_and(|fails| fails(number)) {
            true => job.fail("the codec panicked"),
            false => job.run(&mut self.compressor),
        };
        (duration, done)
    }
}
