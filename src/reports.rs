//! Taking reports.

use std::collections::VecDeque;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::Duration;

use kafka_engine::accumulator::Accumulator;
use kafka_engine::report::Settled;

use crate::Report;
use crate::driver::wait_for;

/// Where the reports of a producer come out: one for every accepted message, in the order of
/// their outcomes. Every report comes out once, whoever takes it.
#[derive(Clone, Debug)]
pub struct Reports {
    accumulator: Arc<Accumulator>,
}

impl Reports {
    pub(crate) fn new(accumulator: Arc<Accumulator>) -> Self {
        Self { accumulator }
    }

    /// Takes the reports that are there; if there is none, waits for the first for up to
    /// `timeout`.
    pub fn wait(&self, timeout: Duration) -> ReportBatch {
        let queue = self.accumulator.reports();
        let taken = wait_for(queue.arrived(), timeout, || {
            let settled = queue.take();
            (!settled.is_empty()).then_some(settled)
        });
        ReportBatch {
            settled: taken.unwrap_or_default(),
        }
    }

    /// Takes the reports that are there.
    pub fn take(&self) -> ReportBatch {
        ReportBatch {
            settled: self.accumulator.reports().take(),
        }
    }
}

/// Reports that were taken. Those that are not iterated over are gone.
#[derive(Debug, Default)]
#[must_use = "reports come out once"]
pub struct ReportBatch {
    settled: VecDeque<Settled>,
}

impl Iterator for ReportBatch {
    type Item = Report;

    fn next(&mut self) -> Option<Report> {
        loop {
            if let Some(report) = self.settled.front_mut()?.next() {
                return Some(report);
            }
            self.settled.pop_front();
        }
    }
}

impl FusedIterator for ReportBatch {}
