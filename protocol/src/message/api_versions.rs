//! ApiVersions: which versions of which APIs a broker speaks (KIP-35, KIP-511).

use super::schema::{self, message, structure};
use super::{ApiKey, Message, Request};
use crate::error_code::ErrorCode;
use crate::primitives::{DecodeError, EncodeError, Reader, Writer};

structure! {
    /// Asks a broker what it speaks; the first request on every connection.
    pub struct ApiVersionsRequest<'a> {
        /// The name of the client software: letters, digits, `-` and `.`, not at either end.
        client_software_name: &'a str [3.., else skip],
        /// The version of the client software, in the same alphabet.
        client_software_version: &'a str [3.., else skip],
    }
}

structure! {
    /// What a broker speaks.
    ///
    /// A broker that does not know the version of the request answers with
    /// [`ErrorCode::UNSUPPORTED_VERSION`] in the form of version 0, whatever was asked; from
    /// Kafka 2.4 on the answer lists the versions of ApiVersions. This type is decoded and
    /// encoded accordingly.
    pub struct ApiVersionsResponse<'a> {
        /// The error, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..],
        /// The APIs that the broker offers.
        api_keys: Vec<ApiVersion> [0..],
        /// For how many milliseconds the broker will hold back this client, which is over quota.
        throttle_time_ms: i32 [1.., else skip],
    } tagged {
        /// The features that the broker supports.
        0 => supported_features: Vec<SupportedFeature<'a>> [3.., else skip],
        /// Counts changes of the finalized features; -1: unknown.
        1 => finalized_features_epoch: i64 [3.., default -1, else skip],
        /// The features that the cluster uses; valid unless the epoch is -1.
        2 => finalized_features: Vec<FinalizedFeature<'a>> [3.., else skip],
        /// Whether a controller is configured for the migration from ZooKeeper.
        3 => zk_migration_ready: bool [3.., else skip],
    }
}

structure! {
    /// An API that a broker offers. Its number may be one that this crate does not know.
    pub struct ApiVersion {
        /// The number of the API.
        api_key: i16 [0..],
        /// The lowest version offered.
        min_version: i16 [0..],
        /// The highest version offered.
        max_version: i16 [0..],
    }
}

structure! {
    /// A feature that a broker supports.
    pub struct SupportedFeature<'a> {
        /// Its name, such as `transaction.version`.
        name: &'a str [3..],
        /// The lowest level supported.
        min_version: i16 [3..],
        /// The highest level supported.
        max_version: i16 [3..],
    }
}

structure! {
    /// A feature that the whole cluster uses.
    pub struct FinalizedFeature<'a> {
        /// Its name, such as `transaction.version`.
        name: &'a str [3..],
        /// The highest level in use.
        max_version_level: i16 [3..],
        /// The lowest level in use.
        min_version_level: i16 [3..],
    }
}

message!(ApiVersions: ApiVersionsRequest<'a>);

impl<'a> Request<'a> for ApiVersionsRequest<'a> {
    const API: ApiKey = ApiKey::ApiVersions;
    type Response<'r> = ApiVersionsResponse<'r>;
}

impl<'a> Message<'a> for ApiVersionsResponse<'a> {
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let error_code = ErrorCode(reader.clone().i16("ApiVersionsResponse.error_code")?);
        schema::decode_body(
            ApiKey::ApiVersions,
            reader,
            body_version(error_code, version),
        )
    }

    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let version = body_version(self.error_code, version);
        schema::encode_body(ApiKey::ApiVersions, self, writer, version)
    }
}

/// The version of the body of an answer to a request of `version` (KIP-511).
fn body_version(error_code: ErrorCode, version: i16) -> i16 {
    if error_code == ErrorCode::UNSUPPORTED_VERSION {
        0
    } else {
        version
    }
}
