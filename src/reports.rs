//! Taking reports.

use std::collections::VecDeque;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use kafka_engine::accumulator::Accumulator;
use kafka_engine::report::Settled;
use kafka_engine::signal::Listener;

use crate::Report;
use crate::driver::wait_for;

/// Where the reports of a producer come out: one for every accepted message, in the order of
/// their outcomes. Every report comes out once, whoever takes it.
///
/// ```
/// # use std::time::Duration;
/// # use event_kafka::{Persisted, Place, Producer, Record};
/// # use kafka_mock::{ApiKey, Fault, ResponseError, Rule};
/// # let cluster = kafka_mock::Cluster::start()?;
/// # let brokers = &cluster.bootstrap();
/// # let producer = Producer::builder().set("bootstrap.servers", brokers)?.start()?;
/// # let topic = producer.topic("sip-events")?;
/// # let refusal = Fault::Error(ResponseError::TopicAuthorizationFailed);
/// # cluster.inject(Rule::new(refusal).api(ApiKey::Produce).times(1));
/// // The first of two messages meets an ACL.
/// for (n, body) in ["INVITE", "BYE"].iter().enumerate() {
///     topic.publish(Record::new(body).key("call-1@sip").opaque(n as u64))?;
///     producer.flush(Duration::from_secs(5))?;
/// }
///
/// let reports: Vec<_> = producer.reports().take().collect();
/// let failure = reports[0].outcome.as_ref().unwrap_err();
/// assert_eq!(failure.error.name(), "TOPIC_AUTHORIZATION_FAILED");
/// assert_eq!(failure.error.to_string(), "not allowed on this topic; an ACL must grant it");
/// assert_eq!((failure.place, failure.attempts), (Place::InFlight, 1));
/// assert_eq!(failure.persisted, Persisted::No);
///
/// let delivered = reports[1].outcome.as_ref().unwrap();
/// assert_eq!((reports[1].opaque, delivered.offset), (1, Some(0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reports {
    accumulator: Arc<Accumulator>,
    listener: Listener,
}

impl Reports {
    pub(crate) fn new(accumulator: Arc<Accumulator>) -> Self {
        Self {
            listener: accumulator.reports().arrived().listener(),
            accumulator,
        }
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

    /// Takes the reports that are there; if there is none, has the task woken when one comes.
    ///
    /// ```
    /// # use std::future::poll_fn;
    /// # use event_kafka::{Producer, Record};
    /// # let cluster = kafka_mock::Cluster::start()?;
    /// # let brokers = &cluster.bootstrap();
    /// # let producer = Producer::builder().set("bootstrap.servers", brokers)?.start()?;
    /// # let topic = producer.topic("sip-events")?;
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// topic.publish(Record::new("INVITE").opaque(42))?;
    /// let mut reports = producer.reports();
    /// let mut batch = poll_fn(|context| reports.poll_take(context)).await;
    /// assert_eq!(batch.next().unwrap().opaque, 42);
    /// # Ok::<(), event_kafka::PublishError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<ReportBatch> {
        let ready = |batch: &ReportBatch| !batch.settled.is_empty();
        let batch = self.take();
        if ready(&batch) {
            return Poll::Ready(batch);
        }
        self.listener.listen(context.waker());
        // A report may have come just before.
        match self.take() {
            batch if ready(&batch) => Poll::Ready(batch),
            _ => Poll::Pending,
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
