//! Requests and responses: one file per API, both directions, every version.
//!
//! A frame on the wire is its size (four bytes), a header and a body. Encoders here write all
//! three; decoders take a frame without its size, as a connection cuts it from the stream.

use std::fmt;

use crate::primitives::{DecodeError, EncodeError, Frame, Reader, Writer};

mod api_versions;
mod header;
mod init_producer_id;
mod metadata;
mod produce;
mod schema;

pub use api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature, SupportedFeature,
};
pub use header::{RequestHeader, correlation_id, decode_request_header};
pub use init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub use metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse,
    MetadataTopic,
};
pub use produce::{
    LeaderIdAndEpoch, NodeEndpoint, ProducePartition, ProducePartitionResponse, ProduceRequest,
    ProduceResponse, ProduceTopic, ProduceTopicResponse, RecordError, Records,
};

/// The APIs that a producer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum ApiKey {
    /// Hands record batches to the leaders of partitions.
    Produce = 0,
    /// Asks for brokers, topics and leaders.
    Metadata = 3,
    /// Asks which versions of which APIs a broker speaks.
    ApiVersions = 18,
    /// Asks for a producer id, which idempotence needs.
    InitProducerId = 22,
}

impl ApiKey {
    /// Every API of this crate.
    pub const ALL: [Self; 4] = [
        Self::Produce,
        Self::Metadata,
        Self::ApiVersions,
        Self::InitProducerId,
    ];

    /// Kafka's name of the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Produce => "Produce",
            Self::Metadata => "Metadata",
            Self::ApiVersions => "ApiVersions",
            Self::InitProducerId => "InitProducerId",
        }
    }

    /// The versions that this crate speaks.
    pub fn versions(self) -> VersionRange {
        match self {
            // Version 3 is the first with record batches of format v2 (Kafka 0.11).
            Self::Produce => VersionRange { min: 3, max: 13 },
            Self::Metadata => VersionRange { min: 0, max: 13 },
            Self::ApiVersions => VersionRange { min: 0, max: 4 },
            Self::InitProducerId => VersionRange { min: 0, max: 5 },
        }
    }

    /// The first version with compact lengths and tagged fields (KIP-482).
    pub fn flexible_from(self) -> i16 {
        match self {
            Self::Produce | Self::Metadata => 9,
            Self::ApiVersions => 3,
            Self::InitProducerId => 2,
        }
    }

    fn is_flexible(self, version: i16) -> bool {
        version >= self.flexible_from()
    }

    /// Whether responses carry tagged fields in their header. Those to ApiVersions never do, for
    /// the client may not know yet what the broker speaks (KIP-511).
    fn has_flexible_response_header(self, version: i16) -> bool {
        self.is_flexible(version) && self != Self::ApiVersions
    }
}

impl TryFrom<i16> for ApiKey {
    /// The number that is no API of this crate.
    type Error = i16;

    fn try_from(key: i16) -> Result<Self, i16> {
        Self::ALL
            .into_iter()
            .find(|api| *api as i16 == key)
            .ok_or(key)
    }
}

/// A range of versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The lowest version.
    pub min: i16,
    /// The highest version.
    pub max: i16,
}

impl VersionRange {
    /// Whether `version` is in the range.
    pub fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// The versions that are in both ranges, if any.
    pub fn intersect(self, other: Self) -> Option<Self> {
        let common = Self {
            min: self.min.max(other.min),
            max: self.max.min(other.max),
        };
        (common.min <= common.max).then_some(common)
    }

    /// The highest version that is in both ranges: the one to speak.
    pub fn highest_common(self, other: Self) -> Option<i16> {
        self.intersect(other).map(|common| common.max)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

/// A request or a response: the body that follows a header.
pub trait Message<'a>: Sized {
    /// Reads a body; strings and bytes borrow from the input.
    ///
    /// # Errors
    /// What is wrong and where. Bytes after the body are the caller's to judge.
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError>;

    /// Writes a body.
    ///
    /// # Errors
    /// A value that `version` cannot carry; fields that may get lost without harm are left out
    /// instead, as Kafka's own clients do.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

/// A request, with the response it gets.
pub trait Request<'a>: Message<'a> {
    /// The API that it belongs to.
    const API: ApiKey;
    /// What the broker answers.
    type Response<'r>: Message<'r>;
}

/// Encodes a whole request frame: size, header, body. The size counts the gaps.
///
/// # Errors
/// A value that `version` cannot carry, or a frame beyond 2 GiB.
pub fn encode_request<'a, R: Request<'a>>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Frame, EncodeError> {
    encode_frame(R::API.name(), |writer| {
        RequestHeader {
            api: R::API,
            version,
            correlation_id,
            client_id,
        }
        .encode(writer)?;
        request.encode(writer, version)
    })
}

/// Encodes a whole response frame: size, header, body. For those who play the broker.
///
/// # Errors
/// A value that `version` cannot carry, or a frame beyond 2 GiB.
pub fn encode_response<'a, R: Message<'a>>(
    api: ApiKey,
    response: &R,
    version: i16,
    correlation_id: i32,
) -> Result<Frame, EncodeError> {
    encode_frame(api.name(), |writer| {
        writer.i32(correlation_id);
        if api.has_flexible_response_header(version) {
            writer.unsigned_varint(0);
        }
        response.encode(writer, version)
    })
}

/// Decodes a response frame that comes without its size: the correlation id and the body.
///
/// # Errors
/// What is wrong and where; bytes after the body are an error too.
pub fn decode_response<'a, R: Message<'a>>(
    api: ApiKey,
    version: i16,
    frame: &'a [u8],
) -> Result<(i32, R), DecodeError> {
    let mut reader = Reader::new(frame);
    let correlation_id = reader.i32("ResponseHeader.correlation_id")?;
    if api.has_flexible_response_header(version) {
        reader.tagged_fields("ResponseHeader.tagged_fields", |_, _| Ok(false))?;
    }
    let body = R::decode(&mut reader, version)?;
    reader.finish(api.name())?;
    Ok((correlation_id, body))
}

fn encode_frame(
    field: &'static str,
    content: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
) -> Result<Frame, EncodeError> {
    let mut writer = Writer::with_capacity(TYPICAL_FRAME_LEN);
    writer.i32(0);
    content(&mut writer)?;
    writer.patch_size(field)?;
    Ok(writer.into_parts())
}

/// Room for most requests without their records.
const TYPICAL_FRAME_LEN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_code::ErrorCode;
    use crate::primitives::{DecodeErrorKind, EncodeErrorKind, Uuid};

    #[test]
    fn value_that_a_version_cannot_carry_is_refused_unless_it_may_get_lost() {
        let request = MetadataRequest {
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let request = MetadataRequest {
            topics: Some(vec![]),
            ..request
        };
        let error = encode_request(&request, 3, 0, None).unwrap_err();
        assert_eq!(error.field, "MetadataRequest.allow_auto_topic_creation");
        assert_eq!(error.kind, EncodeErrorKind::NotInVersion { version: 3 });
        assert!(encode_request(&request, 4, 0, None).is_ok());

        let leader = LeaderIdAndEpoch {
            leader_id: 1,
            leader_epoch: 2,
        };
        let partition = ProducePartitionResponse {
            current_leader: leader,
            ..Default::default()
        };
        let topic = ProduceTopicResponse {
            partitions: vec![partition],
            ..Default::default()
        };
        let response = ProduceResponse {
            topics: vec![topic],
            ..Default::default()
        };
        let error = encode_response(ApiKey::Produce, &response, 9, 0).unwrap_err();
        assert_eq!(error.field, "ProducePartitionResponse.current_leader");

        let topic = ProduceTopic {
            name: "sip",
            topic_id: Uuid([7; 16]),
            ..Default::default()
        };
        let request = ProduceRequest {
            topics: vec![topic],
            ..Default::default()
        };
        assert!(
            encode_request(&request, 12, 0, None).is_ok(),
            "the id may get lost"
        );
        assert!(
            encode_request(&request, 13, 0, None).is_ok(),
            "the name may get lost"
        );
    }

    #[test]
    fn null_is_refused_where_a_version_has_none() {
        let all_topics = MetadataRequest::default();
        let error = encode_request(&all_topics, 0, 0, None).unwrap_err();
        assert_eq!(error.kind, EncodeErrorKind::UnexpectedNull { version: 0 });
        assert!(encode_request(&all_topics, 1, 0, None).is_ok());

        let null_array = (-1i32).to_be_bytes();
        let decoded = MetadataRequest::decode(&mut Reader::new(&null_array), 0);
        assert_eq!(
            decoded.map_err(|error| error.kind),
            Err(DecodeErrorKind::UnexpectedNull)
        );
    }

    #[test]
    fn versions_outside_the_range_are_refused_both_ways() {
        let request = ProduceRequest::default();
        for version in [-1, 2, 14] {
            let error = encode_request(&request, version, 0, None).unwrap_err();
            assert!(matches!(
                error.kind,
                EncodeErrorKind::UnsupportedVersion { .. }
            ));
            let error = ProduceRequest::decode(&mut Reader::new(&[0; 64]), version).unwrap_err();
            assert!(matches!(
                error.kind,
                DecodeErrorKind::UnsupportedVersion { .. }
            ));
            assert_eq!(
                error.to_string(),
                format!("Produce at byte 0: version {version} is not supported, only 3 to 13")
            );
        }
    }

    #[test]
    fn bytes_after_a_response_are_refused() {
        let response = InitProducerIdResponse::default();
        let frame = encode_response(ApiKey::InitProducerId, &response, 5, 1).expect("fits");
        let longer = [&frame.bytes[4..], &[0]].concat();
        let decoded = decode_response::<InitProducerIdResponse>(ApiKey::InitProducerId, 5, &longer);
        let kind = DecodeErrorKind::Trailing { left: 1 };
        assert_eq!(decoded.map_err(|error| error.kind), Err(kind));
    }

    #[test]
    fn response_headers_are_flexible_except_for_api_versions() {
        let error_code = ErrorCode::INVALID_REQUEST;
        let response = ApiVersionsResponse {
            error_code,
            ..Default::default()
        };
        let frame = encode_response(ApiKey::ApiVersions, &response, 4, 7).expect("fits");
        assert_eq!(
            frame.bytes[4..10],
            [0, 0, 0, 7, 0, 42],
            "the error code follows at once"
        );

        let response = InitProducerIdResponse::default();
        for (version, header_len) in [(1, 4), (2, 5)] {
            let api = ApiKey::InitProducerId;
            let frame = encode_response(api, &response, version, 7).expect("fits");
            let body_len = 16 + usize::from(version >= 2);
            assert_eq!(frame.bytes.len(), 4 + header_len + body_len, "{version}");
        }
    }

    #[test]
    fn request_of_an_unknown_api_is_refused() {
        let error = decode_request_header(&[0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff]).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::UnknownApi { key: 99 });
    }

    #[test]
    fn errors_name_the_nested_field() {
        let mut response = MetadataResponse::default();
        response.brokers.push(MetadataBroker {
            host: "pbx",
            ..Default::default()
        });
        let frame = encode_response(ApiKey::Metadata, &response, 0, 1).expect("fits");
        let cut = &frame.bytes[4..frame.bytes.len() - 6];
        let decoded = decode_response::<MetadataResponse<'_>>(ApiKey::Metadata, 0, cut);
        let error = decoded.unwrap_err();
        assert_eq!((error.field, error.offset), ("MetadataBroker.port", 17));
    }

    #[test]
    fn highest_common_version_is_in_both_ranges() {
        let ours = ApiKey::Produce.versions();
        let theirs = |min, max| VersionRange { min, max };
        assert_eq!(ours.highest_common(theirs(0, 8)), Some(8));
        assert_eq!(ours.highest_common(theirs(0, 99)), Some(13));
        assert_eq!(ours.highest_common(theirs(0, 2)), None);
        assert_eq!(ours.intersect(theirs(5, 20)), Some(theirs(5, 13)));
    }

    #[test]
    fn ok_is_the_default_error_code() {
        assert!(ProducePartitionResponse::default().error_code.is_ok());
        assert!(!ErrorCode::NOT_LEADER_OR_FOLLOWER.is_ok());
    }
}
