//! The headers of a record: name and value, any number of them.

use crate::primitives::{DecodeError, DecodeErrorKind, Reader, put_varint, varint_len, zigzag};
use crate::record::reader::{nullable_bytes, required_bytes};

/// A header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value, or null.
    pub value: Option<&'a [u8]>,
}

/// The header section of a record, its count included.
pub trait RecordHeaders {
    /// The length of the section in bytes.
    fn encoded_len(&self) -> usize;

    /// Appends the section.
    fn encode(&self, out: &mut Vec<u8>);
}

impl RecordHeaders for [Header<'_>] {
    #[inline]
    fn encoded_len(&self) -> usize {
        let entries = self
            .iter()
            .map(|header| bytes_len(Some(header.name.as_bytes())) + bytes_len(header.value));
        varint_len(zigzag(self.len() as i64)) + entries.sum::<usize>()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, zigzag(self.len() as i64));
        for header in self {
            put_bytes(out, Some(header.name.as_bytes()));
            put_bytes(out, header.value);
        }
    }
}

/// The header section of an existing record. It is checked once, when the record is read; from
/// then on it can be walked, or copied into another batch as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawHeaders<'a> {
    section: &'a [u8],
    /// The section without its count.
    entries: &'a [u8],
}

impl<'a> RawHeaders<'a> {
    /// Reads the headers up to the end of the record.
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let section = reader.clone().take(reader.remaining(), "Record.headers")?;
        let start = reader.clone();
        let length = reader.varint("Record.header_count")?;
        if length < 0 {
            let kind = DecodeErrorKind::NegativeLength { length };
            return Err(start.error("Record.header_count", kind));
        }
        let entries = reader.clone().take(reader.remaining(), "Record.headers")?;
        for _ in 0..length {
            read_header(reader)?;
        }
        reader.finish("Record")?;
        Ok(Self { section, entries })
    }

    /// The headers in their order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let mut reader = Reader::new(self.entries);
        // Reading fails only at the end: `decode` has read all of them before.
        std::iter::from_fn(move || read_header(&mut reader).ok())
    }
}

impl RecordHeaders for RawHeaders<'_> {
    #[inline]
    fn encoded_len(&self) -> usize {
        self.section.len()
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.section);
    }
}

/// Appends bytes with their length, or null.
#[inline]
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varint(out, zigzag(bytes.len() as i64));
            out.extend_from_slice(bytes);
        }
        None => put_varint(out, zigzag(-1)),
    }
}

/// The length of what [`put_bytes`] appends.
#[inline]
pub(super) fn bytes_len(bytes: Option<&[u8]>) -> usize {
    match bytes {
        Some(bytes) => varint_len(zigzag(bytes.len() as i64)) + bytes.len(),
        None => varint_len(zigzag(-1)),
    }
}

fn read_header<'a>(reader: &mut Reader<'a>) -> Result<Header<'a>, DecodeError> {
    let start = reader.clone();
    let name = required_bytes(reader, "Record.header.name")?;
    let name = std::str::from_utf8(name)
        .map_err(|_| start.error("Record.header.name", DecodeErrorKind::InvalidUtf8))?;
    let value = nullable_bytes(reader, "Record.header.value")?;
    Ok(Header { name, value })
}
