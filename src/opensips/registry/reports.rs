//! Taking the reports of all sockets.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use kafka_engine::signal::Listener;

use super::cluster::Cluster;
use super::{Member, Shared, SocketKey};
use crate::driver::block_on;
use crate::settings::ReportMode;
use crate::{Report, Reports};

/// What became of a message, and of which socket it was. The message counts against the budget of
/// its socket until this is dropped.
pub struct SocketReport<T: Copy> {
    /// The socket that accepted it.
    pub socket: SocketKey,
    /// What its publisher gave along with it.
    pub ticket: T,
    report: Report,
    member: Arc<Member<T>>,
    shared: Arc<Shared<T>>,
}

/// Where the reports of all sockets come out, those of every cluster in turn. Every report comes out
/// once, whoever takes it; those of one partition in the order of [`Reports`].
pub struct SocketReports<T> {
    shared: Arc<Shared<T>>,
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
    contact: Listener,
}

impl<T: Copy> SocketReports<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self {
            changed: shared.changed.listener(),
            shared,
            changes: 0,
            sources: Vec::new(),
            next: 0,
        }
    }

    /// Takes a report, if there is one.
    pub fn take(&mut self) -> Option<SocketReport<T>> {
        self.follow();
        self.look(Source::take)
    }

    /// Takes a report; if there is none, waits for one for up to `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Option<SocketReport<T>> {
        block_on(timeout, |context| self.poll_take(context))
    }

    /// Takes a report; if there is none, has the task woken when one comes, or when the contact of a
    /// producer with its cluster has changed ([`SocketStatus::contact`](super::SocketStatus::contact)).
    pub fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<SocketReport<T>> {
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
            contact: cluster.producer().contact_listener(),
        });
        let before = std::mem::replace(&mut self.sources, sources.collect());
        drop(state);
        // Producers that end with this have their threads to wait for.
        drop(before);
    }

    fn look(
        &mut self,
        mut take: impl FnMut(&mut Source) -> Option<Report>,
    ) -> Option<SocketReport<T>> {
        let count = self.sources.len();
        for _ in 0..count {
            self.next = (self.next + 1) % count;
            let source = &mut self.sources[self.next];
            while let Some(report) = take(source) {
                let report = SocketReport::new(report, &self.shared);
                if self.shared.report_all || report.is_wanted() {
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
        self.contact.listen(context.waker());
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

impl<T: Copy> SocketReport<T> {
    fn new(report: Report, shared: &Arc<Shared<T>>) -> Self {
        let member = {
            let places = shared.places.read();
            let member = places[slot(&report)].socket.as_ref();
            Arc::clone(member.expect("its place is its own until everything was reported"))
        };
        let ticket = member.ledger.lock().ticket(index(&report));
        Self {
            socket: member.key,
            ticket,
            report,
            member,
            shared: Arc::clone(shared),
        }
    }

    /// Whether `delivery.report.only.error` of the socket lets it through.
    pub fn is_wanted(&self) -> bool {
        match self.member.cluster.report_mode() {
            ReportMode::All => true,
            ReportMode::Errors => self.outcome.is_err(),
            ReportMode::None => false,
        }
    }
}

impl<T: Copy> Drop for SocketReport<T> {
    fn drop(&mut self) {
        let (index, delivered) = (index(&self.report), self.report.outcome.is_ok());
        self.member.settle(index, delivered, &self.shared);
    }
}

/// What [`Member::publish`] made the opaque of.
fn slot(report: &Report) -> usize {
    (report.opaque >> u32::BITS) as usize
}

fn index(report: &Report) -> u32 {
    report.opaque as u32
}

impl<T: Copy> Deref for SocketReport<T> {
    type Target = Report;

    /// Its `opaque` is the registry's.
    fn deref(&self) -> &Report {
        &self.report
    }
}

impl<T: Copy + fmt::Debug> fmt::Debug for SocketReport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketReport")
            .field("socket", &self.socket)
            .field("ticket", &self.ticket)
            .field("topic", &self.report.topic)
            .field("outcome", &self.report.outcome)
            .finish_non_exhaustive()
    }
}
