//! Publishing to a topic.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use kafka_engine::accumulator;
use kafka_engine::report::Completion;
use kafka_engine::signal::Listener;

use crate::driver::{SystemClock, wait_for};
use crate::producer::Shared;
use crate::{Delivered, Failure, PublishError, Record};

/// A topic of a producer. Cheap to clone; threads may publish to it at the same time.
#[derive(Clone, Debug)]
pub struct Topic {
    topic: Arc<accumulator::Topic>,
    producer: Arc<Shared>,
}

impl Topic {
    pub(crate) fn new(topic: Arc<accumulator::Topic>, producer: Arc<Shared>) -> Self {
        Self { topic, producer }
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        self.topic.name()
    }

    /// Accepts a message for delivery, or refuses it at once. Never waits, and makes no system
    /// call but to rouse the I/O thread when that sleeps too long.
    ///
    /// # Errors
    /// Whatever makes the message unacceptable; a full queue is an error too
    /// ([`PublishError::is_queue_full`]). Nothing of the message is kept then.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use event_kafka::{Producer, Record, ReportMode};
    /// # let cluster = kafka_mock::Cluster::start()?;
    /// # let brokers = &cluster.bootstrap();
    /// let producer = Producer::builder()
    ///     .set("bootstrap.servers", brokers)?
    ///     .set("queue.buffering.max.messages", "1")?
    ///     .set("linger.ms", "60000")?
    ///     .report_mode(ReportMode::None)
    ///     .start()?;
    /// let topic = producer.topic("sip-events")?;
    /// topic.publish(Record::new("first"))?;
    /// let error = topic.publish(Record::new("second")).unwrap_err();
    /// assert!(error.is_queue_full(), "{error}");
    ///
    /// producer.flush(Duration::from_secs(5))?;
    /// topic.publish(Record::new("second"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish(&self, record: Record<'_>) -> Result<(), PublishError> {
        self.accept(&record, None)
    }

    /// As [`Topic::publish`], but waits up to `timeout` for room in a full queue.
    ///
    /// # Errors
    /// As [`Topic::publish`].
    pub fn publish_within(
        &self,
        record: Record<'_>,
        timeout: Duration,
    ) -> Result<(), PublishError> {
        let mut result = Ok(());
        let room = self.producer.accumulator.room();
        wait_for(room, timeout, || {
            result = self.accept(&record, None);
            (!is_full(&result)).then_some(())
        });
        result
    }

    /// As [`Topic::publish`], but has the task woken once there is room in a full queue.
    ///
    /// # Errors
    /// As [`Topic::publish`], but for the full queue.
    ///
    /// ```
    /// # use std::future::poll_fn;
    /// # use std::time::Duration;
    /// # use event_kafka::{Producer, Record};
    /// # let cluster = kafka_mock::Cluster::start()?;
    /// # let brokers = &cluster.bootstrap();
    /// # let producer = Producer::builder().set("bootstrap.servers", brokers)?.start()?;
    /// # let topic = producer.topic("sip-events")?;
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let mut room = producer.room();
    /// let record = Record::new("INVITE");
    /// poll_fn(|context| topic.poll_publish(&record, &mut room, context)).await?;
    /// # Ok::<(), event_kafka::PublishError>(())
    /// # })?;
    /// # producer.close(Duration::from_secs(5))?;
    /// # assert_eq!(cluster.records("sip-events").len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_publish(
        &self,
        record: &Record<'_>,
        room: &mut Room,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), PublishError>> {
        self.poll_accept(record, room, context, || None)
    }

    /// Publishes a message, waiting for room where the queue is full, and then for its outcome.
    /// The message gets no report besides. Once accepted it is delivered even if the future is
    /// dropped.
    ///
    /// # Errors
    /// The message was not accepted, or not delivered.
    ///
    /// ```
    /// # use event_kafka::{Producer, Record, SendError};
    /// # use kafka_mock::{ApiKey, Fault, ResponseError, Rule};
    /// # let cluster = kafka_mock::Cluster::start()?;
    /// # let brokers = &cluster.bootstrap();
    /// # let producer = Producer::builder().set("bootstrap.servers", brokers)?.start()?;
    /// # let topic = producer.topic("sip-events")?;
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let delivered = topic.send(Record::new("INVITE").key("call-1@sip")).await?;
    /// assert_eq!(delivered.offset, Some(0));
    ///
    /// # let refusal = Fault::Error(ResponseError::TopicAuthorizationFailed);
    /// # cluster.inject(Rule::new(refusal).api(ApiKey::Produce).times(1));
    /// // An ACL is in the way.
    /// match topic.send(Record::new("BYE").key("call-1@sip")).await {
    ///     Err(SendError::NotDelivered(failure)) => {
    ///         assert_eq!(failure.error.name(), "TOPIC_AUTHORIZATION_FAILED");
    ///         assert_eq!(failure.attempts, 1);
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn send(&self, record: Record<'_>) -> Result<Delivered, SendError> {
        let completion = Completion::default();
        let mut room = Room::new(&self.producer);
        let accepted = poll_fn(|context| {
            self.poll_accept(&record, &mut room, context, || Some(completion.clone()))
        });
        accepted.await.map_err(SendError::NotAccepted)?;
        completion.await.map_err(SendError::NotDelivered)
    }

    fn poll_accept(
        &self,
        record: &Record<'_>,
        room: &mut Room,
        context: &mut Context<'_>,
        completion: impl Fn() -> Option<Completion>,
    ) -> Poll<Result<(), PublishError>> {
        let result = self.accept(record, completion());
        if !is_full(&result) {
            return Poll::Ready(result);
        }
        room.listener.listen(context.waker());
        // Room may have come just before.
        match self.accept(record, completion()) {
            result if is_full(&result) => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    fn accept(
        &self,
        record: &Record<'_>,
        completion: Option<Completion>,
    ) -> Result<(), PublishError> {
        let wake = self.topic.publish(&SystemClock, record, completion)?;
        self.producer.rouser.rouse(wake);
        Ok(())
    }
}

fn is_full(result: &Result<(), PublishError>) -> bool {
    result.is_err_and(|error| error.is_queue_full())
}

/// Somebody who waits for room in a full queue. Its task is forgotten when this is dropped.
#[derive(Debug)]
pub struct Room {
    listener: Listener,
}

impl Room {
    pub(crate) fn new(producer: &Shared) -> Self {
        Self {
            listener: producer.accumulator.room().listener(),
        }
    }
}

/// Why [`Topic::send`] did not deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The message was refused.
    NotAccepted(PublishError),
    /// It was accepted and failed.
    NotDelivered(Arc<Failure>),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAccepted(error) => error.fmt(f),
            Self::NotDelivered(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for SendError {}
