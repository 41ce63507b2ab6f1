//! The codes that functions return and reports hold: librdkafka's (negative), Kafka's (positive), and
//! below -1000 our own.

/// All is well.
pub const EVENT_KAFKA_OK: i32 = 0;
/// The queue has no room; the same message may be accepted later (_QUEUE_FULL).
pub const EVENT_KAFKA_ERR_QUEUE_FULL: i32 = -184;
/// The time is over (_TIMED_OUT).
pub const EVENT_KAFKA_ERR_TIMED_OUT: i32 = -185;
/// An argument, a property or a socket is wrong; the text says which and why (_INVALID_ARG).
pub const EVENT_KAFKA_ERR_INVALID_ARG: i32 = -186;
/// Another process does that already (_STATE).
pub const EVENT_KAFKA_ERR_STATE: i32 = -172;
/// The topic has no such partition (_UNKNOWN_PARTITION).
pub const EVENT_KAFKA_ERR_UNKNOWN_PARTITION: i32 = -190;
/// In reports: not delivered within message.timeout.ms (_MSG_TIMED_OUT).
pub const EVENT_KAFKA_ERR_MSG_TIMED_OUT: i32 = -192;
/// The operating system refused a thread, a descriptor or memory (_CRIT_SYS_RESOURCE).
pub const EVENT_KAFKA_ERR_SYSTEM: i32 = -194;
/// No broker can be reached, or a connection broke (_TRANSPORT).
pub const EVENT_KAFKA_ERR_TRANSPORT: i32 = -195;
/// The producer was closed, or the socket unsubscribed (_DESTROY).
pub const EVENT_KAFKA_ERR_CLOSED: i32 = -197;
/// The producer has failed for good: event_kafka_fatal_error() says why (_FATAL).
pub const EVENT_KAFKA_ERR_FATAL: i32 = -150;
/// In reports: purged while on its way (_PURGE_INFLIGHT).
pub const EVENT_KAFKA_ERR_PURGE_IN_FLIGHT: i32 = -151;
/// In reports: purged before it was sent (_PURGE_QUEUE).
pub const EVENT_KAFKA_ERR_PURGE_QUEUE: i32 = -152;
/// The message is larger than message.max.bytes allows (Kafka's MESSAGE_TOO_LARGE).
pub const EVENT_KAFKA_ERR_MSG_SIZE_TOO_LARGE: i32 = 10;
/// The handle is none, or was freed.
pub const EVENT_KAFKA_ERR_BAD_HANDLE: i32 = -1001;
/// This process was forked from one that used the library before.
pub const EVENT_KAFKA_ERR_FORKED: i32 = -1002;
/// A defect of the library: please report it. The producer is best closed.
pub const EVENT_KAFKA_ERR_INTERNAL: i32 = -1003;

#[cfg(test)]
mod tests {
    use event_kafka::{DeliveryError, PublishError};

    use super::*;

    #[test]
    fn codes_are_those_of_the_library() {
        let full = PublishError::TooManyMessages { limit: 1 };
        assert_eq!(full.code(), EVENT_KAFKA_ERR_QUEUE_FULL);
        assert_eq!(PublishError::Closed.code(), EVENT_KAFKA_ERR_CLOSED);
        let before_1970 = PublishError::InvalidTimestamp { timestamp: -1 };
        assert_eq!(before_1970.code(), EVENT_KAFKA_ERR_INVALID_ARG);
        let nowhere = PublishError::UnknownPartition {
            partition: 9,
            count: 1,
        };
        assert_eq!(nowhere.code(), EVENT_KAFKA_ERR_UNKNOWN_PARTITION);
        let large = PublishError::MessageTooLarge { size: 2, limit: 1 };
        assert_eq!(large.code(), EVENT_KAFKA_ERR_MSG_SIZE_TOO_LARGE);
        assert_eq!(DeliveryError::Transport.code(), EVENT_KAFKA_ERR_TRANSPORT);
        let error = DeliveryError::TimedOut;
        assert_eq!(error.code(), EVENT_KAFKA_ERR_MSG_TIMED_OUT);
        assert_eq!(PublishError::Fatal { error }.code(), EVENT_KAFKA_ERR_FATAL);
        let purged = [DeliveryError::PurgedQueued, DeliveryError::PurgedInFlight];
        assert_eq!(
            purged.map(DeliveryError::code),
            [EVENT_KAFKA_ERR_PURGE_QUEUE, EVENT_KAFKA_ERR_PURGE_IN_FLIGHT]
        );
    }
}
