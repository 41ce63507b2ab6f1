//! Records inside a batch that is not compressed.

use std::fmt;

use bytes::{Buf, Bytes};

/// A record as a consumer would see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic that holds it.
    pub topic: String,
    /// The partition that holds it.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Milliseconds since the epoch; of the producer or, if the topic says so, of the append.
    pub timestamp: i64,
    /// `None`: no key.
    pub key: Option<Bytes>,
    /// `None`: a tombstone.
    pub value: Option<Bytes>,
    /// In the order of the producer; names may repeat.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// A record with what is relative to its batch.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<(String, Option<Bytes>)>,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    EndsEarly,
    LongVarint,
    NegativeLength,
    HeaderName,
    TrailingBytes,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndsEarly => "its bytes end too early",
            Self::LongVarint => "a variable-length number is too long",
            Self::NegativeLength => "a length is negative",
            Self::HeaderName => "a header's name is not UTF-8 text",
            Self::TrailingBytes => "its length counts more bytes than its fields have",
        })
    }
}

/// Takes the next record off `batch`.
pub(crate) fn parse(batch: &mut Bytes) -> Result<Parsed, Flaw> {
    let length = length(varint(batch)?)?.ok_or(Flaw::NegativeLength)?;
    let mut body = take(batch, length)?;
    if !body.has_remaining() {
        return Err(Flaw::EndsEarly);
    }
    body.advance(1); // attributes: none are defined
    let record = Parsed {
        timestamp_delta: varlong(&mut body)?,
        offset_delta: varint(&mut body)?,
        key: field(&mut body)?,
        value: field(&mut body)?,
        headers: headers(&mut body)?,
    };
    if body.has_remaining() {
        return Err(Flaw::TrailingBytes);
    }
    Ok(record)
}

fn headers(body: &mut Bytes) -> Result<Vec<(String, Option<Bytes>)>, Flaw> {
    let count = length(varint(body)?)?.ok_or(Flaw::NegativeLength)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = field(body)?.ok_or(Flaw::NegativeLength)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| Flaw::HeaderName)?;
        headers.push((name, field(body)?));
    }
    Ok(headers)
}

fn field(body: &mut Bytes) -> Result<Option<Bytes>, Flaw> {
    match length(varint(body)?)? {
        Some(length) => Ok(Some(take(body, length)?)),
        None => Ok(None),
    }
}

/// `None` is -1: null.
fn length(announced: i32) -> Result<Option<usize>, Flaw> {
    match announced {
        -1 => Ok(None),
        _ => Ok(Some(
            usize::try_from(announced).map_err(|_| Flaw::NegativeLength)?,
        )),
    }
}

fn take(bytes: &mut Bytes, length: usize) -> Result<Bytes, Flaw> {
    if length > bytes.len() {
        return Err(Flaw::EndsEarly);
    }
    Ok(bytes.split_to(length))
}

fn varint(bytes: &mut Bytes) -> Result<i32, Flaw> {
    i32::try_from(zigzag(bytes, 5)?).map_err(|_| Flaw::LongVarint)
}

fn varlong(bytes: &mut Bytes) -> Result<i64, Flaw> {
    zigzag(bytes, 10)
}

fn zigzag(bytes: &mut Bytes, most: u32) -> Result<i64, Flaw> {
    let mut number = 0u64;
    for index in 0..most {
        let byte = bytes.try_get_u8().map_err(|_| Flaw::EndsEarly)?;
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
        }
    }
    Err(Flaw::LongVarint)
}
