//! InitProducerId: a number for a producer that is idempotent.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::{Call, Outcome, code};
use crate::state::State;

/// KIP-360: a producer may name the id and the epoch that it has.
const OWN_ID_SINCE: i16 = 3;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: InitProducerIdRequest = call.decode()?;
    let mut response = InitProducerIdResponse::default().with_throttle_time_ms(call.throttle_ms());
    let injected = call.plan.error();
    let error = match injected {
        Some((error, _)) => Some(error),
        None => refusal(call, &request),
    };
    // The id of a producer without transactions means nothing to the broker: whatever it names, it
    // gets another one.
    let applied = injected.is_none_or(|(_, applied)| applied);
    let id = applied.then(|| state.next_producer_id());
    response = match (error, id) {
        (None, Some(id)) => response
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(0),
        _ => response
            .with_error_code(code(error))
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    };
    call.plan.forge_producer_id(&mut response);
    call.send(&response)
}

fn refusal(call: &Call<'_>, request: &InitProducerIdRequest) -> Option<ResponseError> {
    match &request.transactional_id {
        Some(id) if id.is_empty() => return Some(ResponseError::InvalidRequest),
        // There are no transactions here. Of the answers that end a producer's attempts, this one
        // is about its transactional id.
        Some(_) => return Some(ResponseError::TransactionalIdAuthorizationFailed),
        None => {}
    }
    let half = (request.producer_id.0 == -1) != (request.producer_epoch == -1);
    (call.version() >= OWN_ID_SINCE && half).then_some(ResponseError::InvalidRequest)
}
