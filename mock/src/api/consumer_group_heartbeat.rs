//! ConsumerGroupHeartbeat (KIP-848): there are no consumer groups of the newer kind, either.
//!
//! It is offered all the same: without it librdkafka waits for ever and in silence.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::{Call, NO_GROUPS, Outcome, text};
use crate::state::State;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let _: ConsumerGroupHeartbeatRequest = call.decode()?;
    call.tell_once(state, NO_GROUPS);
    let (error, why) = match call.plan.error() {
        Some((injected, _)) => (injected, "injected fault"),
        None => (ResponseError::GroupAuthorizationFailed, NO_GROUPS),
    };
    call.send(
        &ConsumerGroupHeartbeatResponse::default()
            .with_throttle_time_ms(call.throttle_ms())
            .with_error_code(error.code())
            .with_error_message(Some(text(why))),
    )
}
