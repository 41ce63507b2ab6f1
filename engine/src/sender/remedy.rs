//! What an answer to Produce asks for, by its error code: what Kafka's own client does about it.

use kafka_wire::ErrorCode;

use crate::error::Persisted;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The log has the batch already.
    Deliver,
    /// It goes again.
    Retry,
    /// It goes again, behind what the broker misses before it, or under another number.
    Reorder,
    /// It goes again in parts.
    Split,
    /// Nothing helps this batch.
    Fail,
    /// Nothing helps this producer.
    Despair,
}

impl Remedy {
    pub(super) fn of(code: ErrorCode, idempotence: bool) -> Self {
        match code {
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Self::Deliver,
            ErrorCode::MESSAGE_TOO_LARGE => Self::Split,
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID
                if idempotence =>
            {
                Self::Reorder
            }
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED | ErrorCode::PRODUCER_FENCED if idempotence => {
                Self::Despair
            }
            _ if code.is_retriable() => Self::Retry,
            _ => Self::Fail,
        }
    }
}

/// Whether a batch may be in the log though its leader answered with `code`. A leader may say these
/// after it has appended: it was deposed, or ran out of time or disk, before its followers had the
/// records.
pub(super) fn persisted(code: ErrorCode) -> Persisted {
    let appended = [
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::KAFKA_STORAGE_ERROR,
    ];
    match appended.contains(&code) {
        true => Persisted::Maybe,
        false => Persisted::No,
    }
}
