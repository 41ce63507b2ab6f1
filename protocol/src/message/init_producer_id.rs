//! InitProducerId: the identity of an idempotent or transactional producer (KIP-98, KIP-360).

use super::schema::{message, structure};
use super::{ApiKey, Request};
use crate::error_code::ErrorCode;

structure! {
    /// Asks for a producer id, or for the next epoch of one.
    pub struct InitProducerIdRequest<'a> {
        /// The id of a transactional producer.
        transactional_id: Option<&'a str> [0.., nullable 0..],
        /// After how many idle milliseconds the broker aborts a transaction; matters only with a
        /// transactional id.
        transaction_timeout_ms: i32 [0..],
        /// The present producer id; -1: none yet.
        producer_id: i64 [3.., default -1],
        /// The present epoch; -1: none yet.
        producer_epoch: i16 [3.., default -1],
    }
}

structure! {
    /// The identity to put into record batches.
    #[derive(Copy, Eq)]
    pub struct InitProducerIdResponse {
        /// For how many milliseconds the broker will hold back this client, which is over quota.
        throttle_time_ms: i32 [0.., else skip],
        /// The error, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..],
        /// The producer id.
        producer_id: i64 [0.., default -1],
        /// The epoch.
        producer_epoch: i16 [0..],
    }
}

message!(InitProducerId: InitProducerIdRequest<'a>);
message!(InitProducerId: InitProducerIdResponse);

impl<'a> Request<'a> for InitProducerIdRequest<'a> {
    const API: ApiKey = ApiKey::InitProducerId;
    type Response<'r> = InitProducerIdResponse;
}
