//! ApiVersions.

use kafka_mock::{ApiKey, Cluster, Profile, ResponseError};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest};
use kafka_protocol::protocol::Decodable;

use crate::wire::{Client, frame, text};

fn start(profile: Profile) -> Cluster {
    Cluster::builder().profile(profile).start().unwrap()
}

fn named(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text(name))
        .with_client_software_version(text(version))
}

/// Asks in a version that no broker has.
fn ask_too_new(profile: Profile) -> ApiVersionsResponse {
    let cluster = start(profile);
    let mut client = Client::of(&cluster, 1);
    let mut request = frame(4, 7, &named("tests", "1"));
    request[6..8].copy_from_slice(&99i16.to_be_bytes());
    client.send_bytes(&request).unwrap();
    let mut answer = client.receive_frame().unwrap().split_off(4);
    let response = ApiVersionsResponse::decode(&mut answer, 0).unwrap();
    assert!(answer.is_empty());
    assert_eq!(
        response.error_code,
        ResponseError::UnsupportedVersion.code()
    );
    // The connection lives on.
    client.call(0, &ApiVersionsRequest::default());
    response
}

#[test]
fn what_is_said_is_what_the_profile_offers() {
    for profile in Profile::ALL {
        let cluster = start(*profile);
        let response = Client::of(&cluster, 1).call(0, &ApiVersionsRequest::default());
        assert!(response.api_keys.len() >= 9, "{profile}");
        for api in response.api_keys {
            let key = ApiKey::try_from(api.api_key).unwrap();
            let (lowest, highest) = profile.versions(key).unwrap();
            assert_eq!(api.max_version, highest, "{profile} {key:?}");
            // Produce 0 to 2 are announced for the sake of old clients, as real brokers do.
            let announced = if key == ApiKey::Produce { 0 } else { lowest };
            assert_eq!(api.min_version, announced, "{profile} {key:?}");
        }
    }
}

#[test]
fn profiles_offer_what_real_brokers_do() {
    let versions = |profile: Profile, api| profile.versions(api);
    assert_eq!(versions(Profile::KAFKA_4_4, ApiKey::Produce), Some((3, 13)));
    assert_eq!(versions(Profile::KAFKA_3_7, ApiKey::Fetch), Some((4, 16)));
    assert_eq!(
        versions(Profile::KAFKA_2_8, ApiKey::Metadata),
        Some((0, 11))
    );
    assert_eq!(
        versions(Profile::KAFKA_2_3, ApiKey::ApiVersions),
        Some((0, 2))
    );
    assert_eq!(versions(Profile::KAFKA_0_11, ApiKey::Produce), Some((3, 3)));
    assert_eq!(versions(Profile::KAFKA_0_11, ApiKey::DescribeCluster), None);
    assert_eq!(
        versions(Profile::REDPANDA_24_3, ApiKey::Metadata),
        Some((0, 8))
    );
    assert_eq!(
        versions(Profile::REDPANDA_24_3, ApiKey::OffsetFetch),
        Some((1, 7))
    );
    assert_eq!(
        versions(Profile::KAFKA_2_3, ApiKey::OffsetCommit),
        Some((2, 7))
    );
    assert_eq!(
        versions(Profile::KAFKA_0_11, ApiKey::JoinGroup),
        Some((0, 2))
    );
    let beat = ApiKey::ConsumerGroupHeartbeat;
    assert_eq!(versions(Profile::KAFKA_4_4, beat), Some((0, 1)));
    assert_eq!(versions(Profile::KAFKA_3_9, beat), Some((0, 0)));
    assert_eq!(versions(Profile::KAFKA_2_8, beat), None);
    assert_eq!(versions(Profile::KAFKA_4_4, ApiKey::SyncGroup), None);
}

#[test]
fn profiles_are_found_by_their_names() {
    for profile in Profile::ALL {
        assert_eq!(profile.to_string().parse(), Ok(*profile));
    }
    let error = "kafka-9.9".parse::<Profile>().unwrap_err().to_string();
    assert!(error.contains("kafka-9.9") && error.contains("kafka-2.8"));
}

#[test]
fn a_version_that_is_too_new_is_answered_in_version_0_with_the_range() {
    let response = ask_too_new(Profile::KAFKA_4_4);
    assert_eq!(response.api_keys.len(), 1);
    let api = &response.api_keys[0];
    assert_eq!(api.api_key, ApiKey::ApiVersions as i16);
    assert_eq!((api.min_version, api.max_version), (0, 4));
}

#[test]
fn brokers_before_kafka_2_4_do_not_tell_the_range() {
    assert!(ask_too_new(Profile::KAFKA_2_3).api_keys.is_empty());
    assert!(ask_too_new(Profile::KAFKA_0_11).api_keys.is_empty());
}

#[test]
fn redpanda_tells_everything_to_a_version_that_is_too_new() {
    assert!(ask_too_new(Profile::REDPANDA_24_3).api_keys.len() > 5);
}

#[test]
fn a_client_must_name_itself_since_version_3() {
    let cluster = start(Profile::KAFKA_4_4);
    let mut client = Client::of(&cluster, 1);
    for (name, version, sound) in [
        ("tests", "1.0-rc.1", true),
        ("x", "2", true),
        ("", "1", false),
        ("tests", "", false),
        ("-tests", "1", false),
        ("tests", "1.", false),
        ("te sts", "1", false),
    ] {
        let response = client.call(3, &named(name, version));
        let expected = if sound {
            0
        } else {
            ResponseError::InvalidRequest.code()
        };
        assert_eq!(response.error_code, expected, "{name:?} {version:?}");
        assert_eq!(response.api_keys.is_empty(), !sound);
    }
}

#[test]
fn a_version_that_is_not_offered_closes_the_connection() {
    let cluster = start(Profile::KAFKA_2_8);
    let mut client = Client::of(&cluster, 1);
    client.call(11, &MetadataRequest::default());
    client.send(12, &MetadataRequest::default());
    client.assert_closed();
}

#[test]
fn an_api_that_is_not_offered_closes_the_connection() {
    let cluster = start(Profile::KAFKA_4_4);
    let mut request = frame(0, 1, &MetadataRequest::default());
    for key in [ApiKey::SyncGroup as i16, 999, -1] {
        request[4..6].copy_from_slice(&key.to_be_bytes());
        let mut client = Client::of(&cluster, 1);
        client.send_bytes(&request).unwrap();
        client.assert_closed();
    }
}
