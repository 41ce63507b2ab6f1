//! What must hold: at every step, and at the end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kafka_engine::error::{DeliveryError, Failure, Persisted};
use kafka_engine::recording::{Recording, replay};
use kafka_engine::report::Delivered;
use kafka_engine::settings::{Acks, ReportMode};
use kafka_engine::time::{Clock, Time};

use super::{Outcome, World};

/// No message may be without its outcome for longer than its time-out and this.
const LATENESS: Duration = Duration::from_millis(50);

/// Turns of the engine in one virtual second that nothing from outside caused: with a linger of
/// 5 ms there is something to do 200 times.
const IDLE_TURNS_PER_SECOND: u64 = 400;

/// How often the engine may be called while time stands still and nothing happens.
const TURNS_AT_ONCE: u64 = 100;

impl World {
    /// Takes the reports that are there, and checks them.
    pub fn take_reports(&mut self) {
        let at = self.elapsed();
        let settled = self.accumulator.reports().take();
        for report in settled.into_iter().flatten() {
            let sent = &self.sent[&report.opaque];
            assert_eq!(report.topic, *sent.topic.name());
            if let Some(record) = &report.record {
                assert_eq!(record.key.as_deref(), sent.key.as_deref());
                assert_eq!(record.value.as_deref(), sent.value.as_deref());
                assert!(sent.timestamp.is_none_or(|t| t == record.timestamp));
            }
            let expected = self.accumulator.settings().report_records;
            assert_eq!(report.record.is_some(), expected);
            let outcome = Outcome {
                at,
                partition: report.partition,
                result: report.outcome,
            };
            self.note(report.opaque, outcome);
        }
    }

    /// The end of a test: every message has exactly one outcome, which is true, came in time, and
    /// left nothing behind.
    pub fn verify(&mut self) {
        self.take_reports();
        let balance = self.accumulator.balance();
        assert_eq!(balance.held, 0, "without outcome");
        assert_eq!(self.accumulator.queued(), (0, 0), "given back");
        assert_eq!(balance.accepted, self.sent.len() as u64);
        if self.accumulator.settings().reports == ReportMode::All {
            assert_eq!(self.outcomes.len(), self.sent.len(), "one outcome each");
        }
        self.verify_log();
        let logged = self.cluster.everything_logged();
        for (opaque, outcome) in &self.outcomes {
            // Once more: what was there must have stayed.
            self.verify_outcome(*opaque, outcome);
            if let Err(failure) = &outcome.result {
                assert!(
                    failure.persisted == Persisted::Maybe || !logged.contains(opaque),
                    "{opaque} is in the log and failed with {failure}"
                );
            }
        }
    }

    fn verify_outcome(&self, opaque: u64, outcome: &Outcome) {
        if let Ok(delivered) = &outcome.result {
            self.verify_place(opaque, delivered);
        }
        self.verify_time(opaque, outcome);
    }

    /// What is said in five minutes about an address, a topic's metadata, its batches or its codec is
    /// four complaints at most, and that each is over.
    fn verify_log(&self) {
        let hosts: HashSet<&String> = self.connects.iter().map(|(_, host)| host).collect();
        let subjects = hosts.len() + 3 * self.books.topics;
        let periods = 1 + self.elapsed().as_secs() as usize / 300;
        let lines = self.log.lines();
        assert!(lines.len() <= 8 * subjects * periods, "{lines:#?}");
    }

    /// Delivered messages of a partition stand in the log in the order of their publication.
    /// With one writer per partition, that is the order of their opaques.
    pub fn verify_order(&self) {
        for (_, index, log) in self.cluster.orderly_logs() {
            let mut last = HashMap::new();
            for (offset, record) in log {
                let opaque = record.opaque;
                let at = |delivered: &Delivered| (delivered.partition, delivered.offset);
                let delivered = self
                    .outcomes
                    .get(&opaque)
                    .map(|o| o.result.as_ref().map(at));
                // It may have been delivered elsewhere, and be here by accident.
                if delivered != Some(Ok((index, Some(offset)))) {
                    continue;
                }
                let topic = Arc::as_ptr(&self.sent[&opaque].topic);
                let before = last.insert(topic, opaque);
                assert!(before < Some(opaque), "{opaque} stands behind {before:?}");
            }
        }
    }

    /// No message is in a log twice, unless its producer was forgotten in between.
    pub fn verify_once(&self) {
        for (name, index, log) in self.cluster.logs() {
            let mut seen = HashSet::new();
            let opaques = log.iter().map(|logged| logged.opaque);
            let mut opaques = opaques.filter(|opaque| !self.cluster.is_doubled(*opaque));
            let double = opaques.find(|opaque| !seen.insert(*opaque));
            assert_eq!(double, None, "twice in partition {index} of {name}");
        }
    }

    /// The log of every partition has messages in the order of their publication, whatever was
    /// reported of them.
    pub fn verify_sequence(&self) {
        for (name, index, log) in self.cluster.orderly_logs() {
            let mut last = HashMap::new();
            for (_, record) in log {
                let opaque = record.opaque;
                let topic = Arc::as_ptr(&self.sent[&opaque].topic);
                let before = last.insert(topic, opaque);
                assert!(
                    before < Some(opaque),
                    "{opaque} stands behind {before:?} in partition {index} of {name}"
                );
            }
        }
    }

    /// An engine that is given what this one was told does the same, and every message has the same
    /// outcome again. For worlds that are recorded.
    pub fn verify_replay(&self) {
        let file = self.accumulator.recording().expect("a recording");
        let recording = Recording::read(&file).expect("as it was written");
        let mut outcomes = BTreeMap::new();
        let replayed = replay(&recording, |report| {
            let outcome = (report.partition, report.outcome);
            let before = outcomes.insert(report.opaque, outcome);
            assert!(before.is_none(), "{} has two outcomes", report.opaque);
        });
        let replayed = replayed.expect("it is all there");
        if let Some(divergence) = replayed.divergence {
            panic!("the replay diverges in {divergence}");
        }
        for (opaque, outcome) in &self.outcomes {
            let (partition, result) = &outcomes[opaque];
            assert_eq!(*result, outcome.result, "{opaque}");
            // Futures are not told a partition with a failure.
            let same = [*partition, -1].contains(&outcome.partition);
            assert!(same, "{opaque} goes to {partition}");
        }
    }

    fn verify_place(&self, opaque: u64, delivered: &Delivered) {
        let sent = &self.sent[&opaque];
        let Some(offset) = delivered.offset else {
            // With acks=0 nobody says, nor of a batch that the log has already.
            let unasked = sent.topic.settings().acks == Acks::None;
            let there = unasked || self.cluster.ever_logged(opaque);
            return assert!(there, "{opaque} was delivered and is nowhere");
        };
        let partition = delivered.partition;
        let name = sent.topic.name();
        let mut there = self.cluster.at_offset(name, partition, offset);
        let logged = there.find(|logged| logged.opaque == opaque);
        let place = (&**name, partition, offset);
        let acks = sent.topic.settings().acks.code();
        let Some(logged) = logged else {
            let excused = self.cluster.is_excused(place, opaque, acks);
            return assert!(excused, "{opaque} was delivered and is not at {place:?}");
        };
        assert!(logged.key == sent.key && logged.value == sent.value);
        assert!(sent.timestamp.is_none_or(|t| t == logged.timestamp));
    }

    fn verify_time(&self, opaque: u64, outcome: &Outcome) {
        let sent = &self.sent[&opaque];
        let Some(timeout) = sent.topic.settings().message_timeout else {
            return;
        };
        let took = outcome.at - sent.at;
        if self.hears(opaque) {
            let latest = timeout + LATENESS;
            assert!(took <= latest, "{opaque} had its outcome after {took:?}");
        }
        let timed_out = |f: &Arc<Failure>| f.error == DeliveryError::TimedOut;
        if outcome.result.as_ref().is_err_and(timed_out) {
            assert!(took >= timeout, "{opaque} expired after {took:?}");
        }
    }

    /// Whether the outcome of a message is known as soon as it is there.
    fn hears(&self, opaque: u64) -> bool {
        self.takes_reports && opaque >= self.books.heard_from
    }

    fn note(&mut self, opaque: u64, outcome: Outcome) {
        self.cluster
            .story
            .tell(outcome.at, || match &outcome.result {
                Ok(delivered) => format!("{opaque} is delivered: {delivered:?}"),
                Err(failure) => format!("{opaque} fails: {failure}"),
            });
        self.verify_outcome(opaque, &outcome);
        let before = self.outcomes.insert(opaque, outcome);
        assert!(before.is_none(), "{opaque} has two outcomes");
        if let Some(timeout) = self.sent[&opaque].topic.settings().message_timeout {
            self.due.remove(&(self.sent[&opaque].at + timeout, opaque));
        }
    }

    fn poll_completions(&mut self) {
        let at = self.clock.elapsed();
        let mut context = Context::from_waker(Waker::noop());
        let mut completed = Vec::new();
        self.completions.retain(|opaque, completion| {
            let polled = completion.as_mut().poll(&mut context);
            match polled {
                Poll::Ready(result) => completed.push((*opaque, result)),
                Poll::Pending => return true,
            }
            false
        });
        for (opaque, result) in completed {
            let partition = result.as_ref().map_or(-1, |delivered| delivered.partition);
            let outcome = Outcome {
                at,
                partition,
                result,
            };
            self.note(opaque, outcome);
        }
    }

    /// Nothing that waits is older than it may be, and the engine will look at it again.
    fn check_deadlines(&self) {
        let first = self.due.first().filter(|(_, opaque)| self.hears(*opaque));
        if let Some((due, opaque)) = first {
            let latest = *due + LATENESS;
            let now = self.elapsed();
            assert!(now <= latest, "{opaque} waits at {now:?}, due at {due:?}");
        }
        assert!(
            self.rest != Time::NEVER || self.held() == 0,
            "{} messages wait for nothing",
            self.held()
        );
    }

    /// What must hold whenever the engine rests.
    pub(super) fn check_rest(&self) {
        self.check_waits();
        self.check_deadlines();
    }

    /// No request is without its answer, or not written, for longer than requests may take; unless
    /// connections outlive them (`socket.max.fails`).
    fn check_waits(&self) {
        let settings = self.accumulator.settings();
        if settings.max_fails != Some(1) {
            return;
        }
        let longest = settings
            .request_timeout
            .max(settings.connection_setup_timeout);
        for link in self.links.values() {
            let since = link.unanswered.front().copied().unwrap_or(Time::NEVER);
            let waited = self.clock.now().since(since);
            assert!(waited < longest, "no answer after {waited:?}");
        }
    }

    pub(super) fn count_turn(&mut self) {
        self.books.turns_at_once += 1;
        self.books.turns_in_second += 1;
        assert!(
            self.books.turns_at_once < TURNS_AT_ONCE,
            "the engine never rests"
        );
        assert!(
            self.books.turns_in_second < IDLE_TURNS_PER_SECOND,
            "the engine spins at {:?}",
            self.elapsed()
        );
    }

    /// Takes what there is to take, and checks the balance.
    pub(super) fn hear(&mut self) {
        if self.takes_reports {
            self.take_reports();
        }
        self.poll_completions();
        let (settings, (_, bytes)) = (self.accumulator.settings(), self.accumulator.queued());
        let most = settings
            .queue_max_bytes
            .saturating_add(settings.message_max_bytes);
        assert!(bytes <= most, "{bytes} bytes are in use");
        let balance = self.accumulator.balance();
        assert_eq!(balance.accepted, self.books.accepted);
        assert_eq!(balance.held, self.engine.count_held(), "{balance:?}");
        assert_eq!(
            balance.accepted,
            balance.delivered + balance.failed + balance.held
        );
    }
}
