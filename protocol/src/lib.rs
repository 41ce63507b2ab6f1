//! Kafka's wire protocol as a producer needs it: bytes to messages and back, no I/O and no clock.
//!
//! * [`message`]: requests and responses, one file per API, every version in both directions;
//! * [`record`]: record batches (format v2), written in place and read back;
//! * [`compression`]: the codecs that their records can be compressed with;
//! * [`error_code`]: the table of Kafka's error codes;
//! * [`primitives`]: the reader and the writer that all of them stand on.
//!
//! Whatever comes from a peer is hostile until its length has been checked against the bytes at
//! hand: no decoder allocates more than a fixed multiple of its input (see [`MAX_AMPLIFICATION`]),
//! and every failure names the field and the offset.
//!
//! ```
//! use kafka_wire::message::{self, ApiKey, ApiVersionsRequest};
//!
//! let request = ApiVersionsRequest {
//!     client_software_name: "event-kafka",
//!     client_software_version: "0.1.0",
//! };
//! let frame = message::encode_request(&request, 3, 7, Some("pbx"))?;
//! let (header, _body) = message::decode_request_header(&frame.bytes[4..])?;
//! assert_eq!((header.api, header.correlation_id), (ApiKey::ApiVersions, 7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod compression;
pub mod error_code;
pub mod message;
pub mod primitives;
pub mod record;

pub use compression::Codec;
pub use error_code::ErrorCode;
pub use message::{ApiKey, Message, Request, VersionRange};
pub use primitives::{
    DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Frame, Reader, Uuid, Writer,
};

/// The most bytes that decoding a message allocates, per byte of input.
///
/// The worst case is a Produce request of a flexible version that announces nothing but topics,
/// three bytes each, and in the first of them nothing but partitions: about 25.
pub const MAX_AMPLIFICATION: usize = 32;
