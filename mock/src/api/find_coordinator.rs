//! FindCoordinator: says that there is none. Clients that look for one get to know why; if the API
//! were not offered they would take the broker for an old one.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};

use super::{Call, Outcome, text};
use crate::state::State;

const GROUP: i8 = 0;
/// KIP-699: many keys at once.
const BATCHED_SINCE: i16 = 4;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: FindCoordinatorRequest = call.decode()?;
    let (error, why) = refusal(request.key_type);
    if state.is_news(why) {
        tracing::warn!(client = call.frame.client_id, "{why}");
    }
    let error = call.plan.error().map_or(error, |(injected, _)| injected);
    let mut response = FindCoordinatorResponse::default();
    if call.version() >= 1 {
        response.throttle_time_ms = call.throttle_ms();
    }
    if call.version() >= BATCHED_SINCE {
        response.coordinators = request
            .coordinator_keys
            .into_iter()
            .map(|key| {
                Coordinator::default()
                    .with_key(key)
                    .with_node_id(BrokerId(-1))
                    .with_port(-1)
                    .with_error_code(error.code())
                    .with_error_message(Some(text(why)))
            })
            .collect();
        return call.send(&response);
    }
    response.error_code = error.code();
    response.node_id = BrokerId(-1);
    response.port = -1;
    if call.version() >= 1 {
        response.error_message = Some(text(why));
    }
    call.send(&response)
}

fn refusal(key_type: i8) -> (ResponseError, &'static str) {
    if key_type == GROUP {
        (
            ResponseError::GroupAuthorizationFailed,
            "this broker has no consumer groups: assign partitions instead of subscribing, \
             as kcat -C -t TOPIC -p 0 does",
        )
    } else {
        (
            ResponseError::TransactionalIdAuthorizationFailed,
            "this broker has no transactions",
        )
    }
}
