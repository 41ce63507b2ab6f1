//! ApiVersions: what the broker offers.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};

use super::{Call, Outcome, code};
use crate::profile::{Profile, TooNew};
use crate::state::State;

/// KIP-511: since then clients say who they are.
const NAMED_SINCE: i16 = 3;

pub(super) fn answer(state: &State, call: &Call<'_>) -> Outcome {
    let request: ApiVersionsRequest = call.decode()?;
    let named =
        is_software(&request.client_software_name) && is_software(&request.client_software_version);
    let error = match call.plan.error() {
        Some((ResponseError::UnsupportedVersion, _)) => {
            return too_new(call, state.profile(call.node));
        }
        Some((error, _)) => Some(error),
        None if call.version() >= NAMED_SINCE && !named => Some(ResponseError::InvalidRequest),
        None => None,
    };
    let mut response = ApiVersionsResponse::default().with_error_code(code(error));
    if error.is_none() {
        response.api_keys = advertised(state.profile(call.node));
        call.plan.forge_versions(&mut response);
    }
    if call.version() >= 1 {
        response.throttle_time_ms = call.throttle_ms();
    }
    call.send(&response)
}

/// Version 0 is what every client understands.
pub(super) fn too_new(call: &Call<'_>, profile: Profile) -> Outcome {
    let mut response =
        ApiVersionsResponse::default().with_error_code(ResponseError::UnsupportedVersion.code());
    response.api_keys = advertised(profile);
    response.api_keys.retain(|api| match profile.too_new() {
        TooNew::Nothing => false,
        TooNew::Range => api.api_key == ApiKey::ApiVersions as i16,
        TooNew::Everything => true,
    });
    call.send_as(&response, 0)
}

fn advertised(profile: Profile) -> Vec<ApiVersion> {
    profile
        .advertised()
        .map(|(key, lowest, highest)| {
            ApiVersion::default()
                .with_api_key(key as i16)
                .with_min_version(lowest)
                .with_max_version(highest)
        })
        .collect()
}

/// Letters and digits, with '.' and '-' between them.
fn is_software(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    edge(name.chars().next()) && edge(name.chars().last()) && name.chars().all(inner)
}
