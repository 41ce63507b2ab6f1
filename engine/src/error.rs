//! Why a message was not accepted, and why an accepted one was not delivered. Codes and names are
//! librdkafka's for what happened on this side, Kafka's for what a broker answered.

use std::fmt;
use std::sync::Arc;

use kafka_wire::ErrorCode;

/// Why a message was not accepted. Nothing of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// As many messages are held as `queue.buffering.max.messages` allows.
    TooManyMessages {
        /// That limit.
        limit: usize,
    },
    /// As much memory is in use as `queue.buffering.max.kbytes` allows.
    TooManyBytes {
        /// That limit, in bytes.
        limit: usize,
    },
    /// The message alone would make a batch larger than `message.max.bytes`.
    MessageTooLarge {
        /// Bytes that it would take on the wire.
        size: usize,
        /// That limit.
        limit: usize,
    },
    /// The topic has no such partition.
    UnknownPartition {
        /// What was asked for.
        partition: i32,
        /// How many partitions there are.
        count: usize,
    },
    /// A timestamp before 1970.
    InvalidTimestamp {
        /// What was given, in milliseconds since 1970.
        timestamp: i64,
    },
    /// The producer was closed.
    Closed,
    /// The producer is of no use any more since this happened.
    Fatal {
        /// What did; [`Accumulator::fatal_error`](crate::accumulator::Accumulator::fatal_error) says
        /// more.
        error: DeliveryError,
    },
}

impl PublishError {
    /// librdkafka's code.
    pub fn code(&self) -> i32 {
        match self {
            Self::TooManyMessages { .. } | Self::TooManyBytes { .. } => -184,
            Self::MessageTooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE.0.into(),
            Self::UnknownPartition { .. } => -190,
            Self::InvalidTimestamp { .. } => -186,
            Self::Closed => -197,
            Self::Fatal { .. } => -150,
        }
    }

    /// librdkafka's name of the code.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooManyMessages { .. } | Self::TooManyBytes { .. } => "_QUEUE_FULL",
            Self::MessageTooLarge { .. } => "MSG_SIZE_TOO_LARGE",
            Self::UnknownPartition { .. } => "_UNKNOWN_PARTITION",
            Self::InvalidTimestamp { .. } => "_INVALID_ARG",
            Self::Closed => "_DESTROY",
            Self::Fatal { .. } => "_FATAL",
        }
    }

    /// Whether the same message may be accepted once others have been delivered.
    pub fn is_queue_full(&self) -> bool {
        matches!(
            self,
            Self::TooManyMessages { .. } | Self::TooManyBytes { .. }
        )
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyMessages { limit } => write!(
                f,
                "the queue is full: {limit} messages are waiting (queue.buffering.max.messages); \
                 wait for deliveries, take the reports, or raise the limit"
            ),
            Self::TooManyBytes { limit } => write!(
                f,
                "the queue is full: {limit} bytes are in use (queue.buffering.max.kbytes); \
                 wait for deliveries, take the reports, or raise the limit"
            ),
            Self::MessageTooLarge { size, limit } => write!(
                f,
                "the message takes {size} bytes and message.max.bytes allows {limit}; \
                 send less, or raise the limit here and at the broker"
            ),
            Self::UnknownPartition { partition, count } => write!(
                f,
                "the topic has no partition {partition}, only 0 to {}",
                count.saturating_sub(1)
            ),
            Self::InvalidTimestamp { timestamp } => {
                write!(
                    f,
                    "the timestamp {timestamp} is negative; give milliseconds since 1970"
                )
            }
            Self::Closed => f.write_str("the producer was closed"),
            Self::Fatal { error } => write!(
                f,
                "the producer has failed for good ({}: {error}); close it and start another one",
                error.name()
            ),
        }
    }
}

impl std::error::Error for PublishError {}

/// What ended a message that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryError {
    /// A broker's final word.
    Broker(ErrorCode),
    /// `message.timeout.ms` is over.
    TimedOut,
    /// Purged while it waited to be sent.
    PurgedQueued,
    /// Purged while it was on its way.
    PurgedInFlight,
    /// The cluster does not have the topic, nor got it in `topic.metadata.propagation.max.ms`.
    UnknownTopic,
    /// The topic turned out to have no such partition.
    UnknownPartition,
    /// The connection was lost and no retry is left.
    Transport,
    /// The request could not be written in the broker's protocol.
    Unencodable,
    /// A message before it failed, which `enable.gapless.guarantee` forbids.
    GaplessGuarantee,
    /// The cluster lacks what `enable.idempotence` needs.
    UnsupportedFeature,
}

impl DeliveryError {
    /// Kafka's code (positive) or librdkafka's (negative).
    pub fn code(self) -> i32 {
        match self {
            Self::Broker(code) => code.0.into(),
            Self::TimedOut => -192,
            Self::PurgedQueued => -152,
            Self::PurgedInFlight => -151,
            Self::UnknownTopic => -188,
            Self::UnknownPartition => -190,
            Self::Transport => -195,
            Self::Unencodable => -196,
            Self::GaplessGuarantee => -148,
            Self::UnsupportedFeature => -165,
        }
    }

    /// Kafka's or librdkafka's name of the code.
    pub fn name(self) -> &'static str {
        match self {
            Self::Broker(code) => code.name(),
            Self::TimedOut => "_MSG_TIMED_OUT",
            Self::PurgedQueued => "_PURGE_QUEUE",
            Self::PurgedInFlight => "_PURGE_INFLIGHT",
            Self::UnknownTopic => "_UNKNOWN_TOPIC",
            Self::UnknownPartition => "_UNKNOWN_PARTITION",
            Self::Transport => "_TRANSPORT",
            Self::Unencodable => "_FAIL",
            Self::GaplessGuarantee => "_GAPLESS_GUARANTEE",
            Self::UnsupportedFeature => "_UNSUPPORTED_FEATURE",
        }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broker(code) => code.text(),
            Self::TimedOut => "not delivered within message.timeout.ms",
            Self::PurgedQueued => "purged before it was sent",
            Self::PurgedInFlight => "purged while on its way",
            Self::UnknownTopic => {
                "the cluster has no such topic; create it, or let the brokers create topics"
            }
            Self::UnknownPartition => "the topic has no such partition",
            Self::Transport => "the connection was lost and no retry is left",
            Self::Unencodable => "the request cannot be written in the broker's protocol version",
            Self::GaplessGuarantee => {
                "a message before it failed, and enable.gapless.guarantee allows no gap"
            }
            Self::UnsupportedFeature => {
                "the cluster gives out no producer ids, which enable.idempotence needs"
            }
        })
    }
}

impl std::error::Error for DeliveryError {}

/// What ended a producer: it accepts nothing any more, and everything that it held has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatalError {
    /// What happened. Messages that had no outcome yet failed with the same.
    pub error: DeliveryError,
    /// Where, in the broker's words.
    pub text: Arc<str>,
}

impl fmt::Display for FatalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.error.name(), self.error, self.text)
    }
}

impl std::error::Error for FatalError {}

/// Where a message was when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Nothing is known of its topic yet.
    NoMetadata,
    /// Its partition has no leader, or none that is known.
    NoLeader,
    /// It waited for its turn, for a retry, or for a connection.
    Queued,
    /// It was sent and the answer had not come.
    InFlight,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMetadata => "no metadata",
            Self::NoLeader => "no leader",
            Self::Queued => "queued",
            Self::InFlight => "in flight",
        })
    }
}

/// Whether a failed message may be in the log all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Persisted {
    /// It was never sent, or the broker refused it.
    No,
    /// It was sent at least once with no answer that rules it out.
    Maybe,
}

impl fmt::Display for Persisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::Maybe => "maybe",
        })
    }
}

/// How a message failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What ended it.
    pub error: DeliveryError,
    /// Where it was then.
    pub place: Place,
    /// How often it had been sent.
    pub attempts: u32,
    /// Whether it may be in the log.
    pub persisted: Persisted,
    /// What went wrong last, for this message or on the way to its broker.
    pub last_error: Option<Arc<str>>,
}

impl Failure {
    /// The failure of messages that were never sent.
    pub(crate) fn unsent(error: DeliveryError, place: Place, last_error: Option<Arc<str>>) -> Self {
        Self {
            error,
            place,
            attempts: 0,
            persisted: Persisted::No,
            last_error,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, {} attempts",
            self.error, self.place, self.attempts
        )?;
        if self.persisted == Persisted::Maybe {
            f.write_str(", may be in the log")?;
        }
        f.write_str(")")?;
        match &self.last_error {
            Some(last) => write!(f, "; last error: {last}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
