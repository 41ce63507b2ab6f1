//! The headers in front of requests and responses.

use crate::message::ApiKey;
use crate::primitives::{DecodeError, DecodeErrorKind, EncodeError, Reader, Writer};

/// What stands in front of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// The API that is asked.
    pub api: ApiKey,
    /// The version of the body, perhaps one that this crate does not speak.
    pub version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// Names the client in the broker's logs and quotas.
    pub client_id: Option<&'a str>,
}

impl RequestHeader<'_> {
    pub(super) fn encode(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.i16(self.api as i16);
        writer.i16(self.version);
        writer.i32(self.correlation_id);
        // Classic in every version of the header, or old brokers could not read the start of an
        // ApiVersions request that is too new for them (KIP-511).
        writer.nullable_string(self.client_id, false, "RequestHeader.client_id")?;
        if self.api.is_flexible(self.version) {
            writer.unsigned_varint(0);
        }
        Ok(())
    }
}

/// Decodes the header of a request frame that comes without its size, and returns the reader of
/// the body. Whether the version is spoken here is the caller's to check, for a broker has to
/// answer the others too.
///
/// # Errors
/// An API that this crate does not speak, or bytes that are no header.
pub fn decode_request_header(frame: &[u8]) -> Result<(RequestHeader<'_>, Reader<'_>), DecodeError> {
    let mut reader = Reader::new(frame);
    let start = reader.clone();
    let key = reader.i16("RequestHeader.api_key")?;
    let api = ApiKey::try_from(key)
        .map_err(|key| start.error("RequestHeader.api_key", DecodeErrorKind::UnknownApi { key }))?;
    let version = reader.i16("RequestHeader.api_version")?;
    let correlation_id = reader.i32("RequestHeader.correlation_id")?;
    let client_id = reader.nullable_string(false, "RequestHeader.client_id")?;
    if api.is_flexible(version) {
        reader.tagged_fields("RequestHeader.tagged_fields", |_, _| Ok(false))?;
    }
    Ok((
        RequestHeader {
            api,
            version,
            correlation_id,
            client_id,
        },
        reader,
    ))
}

/// The correlation id of a response frame that comes without its size: with it the request is
/// found whose version the rest is to be decoded with.
///
/// # Errors
/// A frame of fewer than four bytes.
pub fn correlation_id(frame: &[u8]) -> Result<i32, DecodeError> {
    Reader::new(frame).i32("ResponseHeader.correlation_id")
}
