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
