//! FindCoordinator: for a group it is whoever is asked, as there is nothing to coordinate.
//!
//! Consumers look for it even if partitions are assigned to them, and an error of it reaches their
//! users. What there is to say to groups is said by JoinGroup.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};

use super::{Call, Outcome, endpoint, text};
use crate::state::State;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// KIP-699: many keys at once.
const BATCHED_SINCE: i16 = 4;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: FindCoordinatorRequest = call.decode()?;
    let coordinator = find(state, call, request.key_type);
    let mut response = FindCoordinatorResponse::default();
    if call.version() >= 1 {
        response.throttle_time_ms = call.throttle_ms();
    }
    if call.version() >= BATCHED_SINCE {
        response.coordinators = request
            .coordinator_keys
            .into_iter()
            .map(|key| coordinator.clone().with_key(key))
            .collect();
        return call.send(&response);
    }
    response.error_code = coordinator.error_code;
    response.node_id = coordinator.node_id;
    response.host = coordinator.host;
    response.port = coordinator.port;
    if call.version() >= 1 {
        response.error_message = coordinator.error_message;
    }
    call.send(&response)
}

fn find(state: &mut State, call: &Call<'_>, key_type: i8) -> Coordinator {
    let refusal = match (call.plan.error(), refusal(key_type)) {
        (Some((injected, _)), _) => Some((injected, "injected fault")),
        (None, Some((error, why))) => {
            call.tell_once(state, why);
            Some((error, why))
        }
        (None, None) => None,
    };
    match refusal {
        Some((error, why)) => Coordinator::default()
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(error.code())
            .with_error_message(Some(text(why))),
        None => {
            let (host, port) = endpoint(&state.nodes[&call.node]);
            Coordinator::default()
                .with_node_id(BrokerId(call.node))
                .with_host(host)
                .with_port(port)
        }
    }
}

fn refusal(key_type: i8) -> Option<(ResponseError, &'static str)> {
    match key_type {
        GROUP => None,
        TRANSACTION => Some((
            ResponseError::TransactionalIdAuthorizationFailed,
            "this broker has no transactions",
        )),
        // Share groups, since version 6 (KIP-932), among others.
        _ => Some((
            ResponseError::InvalidRequest,
            "this broker has no coordinators of this kind",
        )),
    }
}
