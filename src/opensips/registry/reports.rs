//! Taking the reports of all sockets.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use kafka_engine::signal::Listener;

use super::cluster::Cluster;
use super::{Shared, SocketKey};
use crate::driver::block_on;
use crate::settings::ReportMode;
use crate::{Report, Reports};

/// What became of a message, and of which socket it was.
#[derive(Clone, Debug)]
pub struct SocketReport {
    /// The socket that accepted it.
    pub socket: SocketKey,
    report: Report,
}

/// Where the reports of all sockets come out, those of every cluster in turn. Every report comes out
/// once, whoever takes it; those of one partition in the order of [`Reports`].
pub struct SocketReports {
    shared: Arc<Shared>,
    changed: Listener,
    /// [`Shared::changes`] as the sources show them.
    changes: u64,
    sources: Vec<Source>,
    /// Whose turn it is.
    next: usize,
}

struct Source {
    cluster: Arc<Cluster>,
    reports: Reports,
}

impl SocketReports {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            changed: shared.changed.listener(),
            shared,
            changes: 0,
            sources: Vec::new(),
            next: 0,
        }
    }

    /// Takes a report, if there is one.
    pub fn take(&mut self) -> Option<SocketReport> {
        self.follow();
        self.look(Source::take)
    }

    /// Takes a report; if there is none, waits for one for up to `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Option<SocketReport> {
        block_on(timeout, |context| self.poll_take(context))
    }

    /// Takes a report; if there is none, has the task woken when one comes.
    pub fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<SocketReport> {
        if let Some(report) = self.take() {
            return Poll::Ready(report);
        }
        self.changed.listen(context.waker());
        // A cluster may have come just before.
        self.follow();
        match self.look(|source| source.poll_take(context)) {
            Some(report) => Poll::Ready(report),
            None => Poll::Pending,
        }
    }

    /// Follows the clusters as they come and go.
    fn follow(&mut self) {
        if self.shared.changes.load(Ordering::SeqCst) == self.changes {
            return;
        }
        let state = self.shared.state.lock();
        self.changes = self.shared.changes.load(Ordering::SeqCst);
        let sources = state.clusters.iter().map(|cluster| Source {
            cluster: Arc::clone(cluster),
            reports: cluster.producer().reports(),
        });
        let before = std::mem::replace(&mut self.sources, sources.collect());
        drop(state);
        // Producers that end with this have their threads to wait for.
        drop(before);
    }

    fn look(
        &mut self,
        mut take: impl FnMut(&mut Source) -> Option<Report>,
    ) -> Option<SocketReport> {
        let count = self.sources.len();
        for _ in 0..count {
            self.next = (self.next + 1) % count;
            let source = &mut self.sources[self.next];
            while let Some(report) = take(source) {
                let mode = source.cluster.report_mode();
                let report = self.shared.attribute(report);
                if is_wanted(mode, &report) {
                    return Some(report);
                }
            }
        }
        None
    }
}

impl Source {
    fn take(&mut self) -> Option<Report> {
        let mut batch = self.cluster.reports.lock();
        batch.next().or_else(|| {
            *batch = self.reports.take();
            batch.next()
        })
    }

    fn poll_take(&mut self, context: &mut Context<'_>) -> Option<Report> {
        let mut batch = self.cluster.reports.lock();
        loop {
            let report = batch.next();
            if report.is_some() {
                return report;
            }
            match self.reports.poll_take(context) {
                Poll::Ready(taken) => *batch = taken,
                Poll::Pending => return None,
            }
        }
    }
}

impl Shared {
    /// Finds the socket of a report, and takes the message out of its budget.
    fn attribute(&self, mut report: Report) -> SocketReport {
        let slot = (report.opaque >> u32::BITS) as usize;
        let index = report.opaque as u32;
        let member = {
            let places = self.places.read();
            let member = places[slot].socket.as_ref();
            Arc::clone(member.expect("its place is its own until everything was reported"))
        };
        let mut ledger = member.ledger.lock();
        report.opaque = ledger.settle(index, report.outcome.is_ok());
        self.tell_full(member.key, ledger.full_change());
        let done = ledger.is_done();
        drop(ledger);
        if done {
            self.remove(&member);
        }
        SocketReport {
            socket: member.key,
            report,
        }
    }
}

fn is_wanted(mode: ReportMode, report: &Report) -> bool {
    match mode {
        ReportMode::All => true,
        ReportMode::Errors => report.outcome.is_err(),
        ReportMode::None => false,
    }
}

impl Deref for SocketReport {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.report
    }
}
