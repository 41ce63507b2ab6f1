//! JoinGroup: there are no consumer groups.
//!
//! Of the errors that clients do not try to get over, this is the one about the group. The answer has
//! no room for words; they are in the log.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::{Call, NO_GROUPS, Outcome};
use crate::state::State;

const THROTTLE_SINCE: i16 = 2;
/// KIP-559: without a protocol there is no name.
const NO_PROTOCOL_SINCE: i16 = 7;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let _: JoinGroupRequest = call.decode()?;
    call.tell_once(state, NO_GROUPS);
    let error = match call.plan.error() {
        Some((injected, _)) => injected,
        None => ResponseError::GroupAuthorizationFailed,
    };
    let mut response = JoinGroupResponse::default().with_error_code(error.code());
    if call.version() >= THROTTLE_SINCE {
        response.throttle_time_ms = call.throttle_ms();
    }
    if call.version() >= NO_PROTOCOL_SINCE {
        response.protocol_name = None;
    }
    call.send(&response)
}
