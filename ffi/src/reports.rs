//! Taking reports.

use std::ffi::{c_char, c_int};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use event_kafka::{Failure, Persisted, Place, Producer, Report, ReportBatch, Reports};
use parking_lot::Mutex;

use crate::bell::Bell;
use crate::codes::EVENT_KAFKA_OK;
use crate::error::{Error, call_without_text};
use crate::pointer::{Out, OutArray};
use crate::producer::{ProducerHandle, TopicHandle, find};
use crate::text;

/// What became of one message.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DeliveryReport {
    /// What was published with it.
    pub opaque: u64,
    /// Where it was published to.
    pub topic: TopicHandle,
    /// Its offset; -1 if it was not delivered, or with acks=0, when nobody says.
    pub offset: i64,
    /// The time that the broker gave it, in milliseconds since 1970, where the topic is set to
    /// LogAppendTime; otherwise -1, and it has its own.
    pub log_append_time: i64,
    /// Its partition; -1 if none had been chosen yet.
    pub partition: i32,
    /// EVENT_KAFKA_OK: it is in the log. Otherwise the code of what ended it: Kafka's if positive,
    /// librdkafka's if negative.
    pub error: i32,
    /// How often a message that failed had been sent.
    pub attempts: u32,
    /// Where a message that failed was then: EVENT_KAFKA_PLACE_...
    pub place: i32,
    /// 1: a message that failed may be in the log all the same, as it was sent and not refused.
    pub maybe_persisted: i32,
    /// The name of the code, such as "_MSG_TIMED_OUT"; empty if it was delivered.
    pub error_name: [c_char; 48],
    /// The failure in words, with what went wrong last; empty if it was delivered.
    pub error_text: [c_char; 256],
}

/// In reports: it was delivered.
pub const EVENT_KAFKA_PLACE_NONE: i32 = 0;
/// In reports: nothing was known of its topic yet.
pub const EVENT_KAFKA_PLACE_NO_METADATA: i32 = 1;
/// In reports: its partition had no leader, or none that was known.
pub const EVENT_KAFKA_PLACE_NO_LEADER: i32 = 2;
/// In reports: it waited for its turn, for a retry, or for a connection.
pub const EVENT_KAFKA_PLACE_QUEUED: i32 = 3;
/// In reports: it was sent and the answer had not come.
pub const EVENT_KAFKA_PLACE_IN_FLIGHT: i32 = 4;

/// Takes up to capacity reports that are there, the oldest first, and never waits. Messages count
/// against the limits of the queue until their reports are taken. Which outcomes are reported,
/// "delivery.report.only.error" says.
///
/// Any thread, at any time; each report comes out once. One thread sees those of a partition in
/// order if the producer is idempotent or has one request in flight.
///
/// count: how many were taken.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_poll_reports(
    producer: ProducerHandle,
    reports: *mut DeliveryReport,
    capacity: usize,
    count: *mut usize,
) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for a number there.
        let count = unsafe { Out::new(count, "count") }?;
        // SAFETY: the caller has room for so many reports there.
        let mut room = unsafe { OutArray::new(reports, capacity, "reports") }?;
        let client = find(producer)?;
        let mut taken = 0;
        client.outlet.take(
            |report| {
                let topic = client.known_topic(&report.topic);
                room.push(DeliveryReport::new(&report, topic));
                taken += 1;
            },
            capacity,
        );
        count.set(taken);
        Ok(())
    })
}

/// Gives a descriptor for poll() and its like that is readable while reports wait. Now and then it
/// may be readable though another thread has just taken them. Neither read from it nor close it; it
/// is gone with event_kafka_free().
///
/// Any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_report_fd(producer: ProducerHandle, fd: *mut c_int) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.set(find(producer)?.outlet.bell.descriptor());
        Ok(())
    })
}

/// Where reports come out one by one, with a bell that rings while there are some.
pub(crate) struct Outlet {
    bell: Arc<Bell>,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    reports: Reports,
    /// Those that were taken from `reports` and not by the host.
    batch: ReportBatch,
    next: Option<Report>,
    taken: u64,
}

/// The number of a place.
pub(crate) fn place(place: Place) -> i32 {
    match place {
        Place::NoMetadata => EVENT_KAFKA_PLACE_NO_METADATA,
        Place::NoLeader => EVENT_KAFKA_PLACE_NO_LEADER,
        Place::Queued => EVENT_KAFKA_PLACE_QUEUED,
        Place::InFlight => EVENT_KAFKA_PLACE_IN_FLIGHT,
    }
}

impl Outlet {
    pub(crate) fn new(producer: &Producer) -> Result<Self, Error> {
        let bell = Arc::new(Bell::new()?);
        let mut waiting = Waiting {
            reports: producer.reports(),
            batch: ReportBatch::default(),
            next: None,
            taken: 0,
        };
        waiting.look(&bell);
        Ok(Self {
            bell,
            waiting: Mutex::new(waiting),
        })
    }

    /// How many were taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.waiting.lock().taken
    }

    fn take(&self, mut to: impl FnMut(Report), most: usize) {
        let mut waiting = self.waiting.lock();
        // The bell may have been rung for what came since.
        waiting.look(&self.bell);
        for _ in 0..most {
            let Some(report) = waiting.next.take() else {
                return;
            };
            waiting.taken += 1;
            to(report);
            waiting.look(&self.bell);
        }
    }
}

impl Waiting {
    /// Has the next report at hand, or, if there is none, the bell silent until one comes.
    fn look(&mut self, bell: &Arc<Bell>) {
        while self.next.is_none() {
            self.next = self.batch.next();
            if self.next.is_some() {
                return;
            }
            bell.silence();
            let waker = Waker::from(Arc::clone(bell));
            match self.reports.poll_take(&mut Context::from_waker(&waker)) {
                Poll::Pending => return,
                Poll::Ready(batch) => {
                    bell.ring();
                    self.batch = batch;
                }
            }
        }
    }
}

impl DeliveryReport {
    fn new(report: &Report, topic: TopicHandle) -> Self {
        let reported = Self {
            opaque: report.opaque,
            topic,
            offset: -1,
            log_append_time: -1,
            partition: report.partition,
            error: EVENT_KAFKA_OK,
            attempts: 0,
            place: EVENT_KAFKA_PLACE_NONE,
            maybe_persisted: 0,
            error_name: [0; 48],
            error_text: [0; 256],
        };
        match &report.outcome {
            Ok(delivered) => Self {
                offset: delivered.offset.unwrap_or(-1),
                log_append_time: delivered.log_append_time.unwrap_or(-1),
                ..reported
            },
            Err(failure) => reported.failed(failure),
        }
    }

    fn failed(self, failure: &Failure) -> Self {
        Self {
            error: failure.error.code(),
            attempts: failure.attempts,
            place: place(failure.place),
            maybe_persisted: (failure.persisted == Persisted::Maybe).into(),
            error_name: text::array(&failure.error.name()),
            error_text: text::array(failure),
            ..self
        }
    }
}
