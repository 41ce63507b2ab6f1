//! The primitive types of the protocol, read from a slice and written to a growing buffer.
//!
//! Kafka has two dialects: *classic* versions write fixed-width lengths, *flexible* ones (KIP-482)
//! unsigned varints one above the length, and a section of tagged fields after every structure.

use std::fmt;

use crate::message::VersionRange;

/// Reads primitive types from a slice, keeping the offset for errors.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// Ends the reading of a whole.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Trailing`] if bytes are left.
    pub fn finish(&self, field: &'static str) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error(field, DecodeErrorKind::Trailing { left })),
        }
    }

    /// The next `count` bytes, as they stand.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] if fewer are left.
    pub fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let left = self.remaining();
        if count > left {
            let kind = DecodeErrorKind::Truncated {
                needed: count,
                left,
            };
            return Err(self.error(field, kind));
        }
        let start = self.offset;
        self.offset += count;
        Ok(&self.bytes[start..self.offset])
    }

    /// A reader of the next `count` bytes, whose errors still count offsets from the whole.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] if fewer are left.
    pub fn nested(&mut self, count: usize, field: &'static str) -> Result<Self, DecodeError> {
        let offset = self.offset;
        self.take(count, field)?;
        Ok(Self {
            bytes: &self.bytes[..self.offset],
            offset,
        })
    }

    /// A byte that is zero for false; any other value is true, as in Kafka's own reader.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] at the end of the input.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.i8(field)? != 0)
    }

    /// A signed byte.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] at the end of the input.
    pub fn i8(&mut self, field: &'static str) -> Result<i8, DecodeError> {
        self.fixed(field).map(i8::from_be_bytes)
    }

    /// A big-endian integer of two bytes.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] at the end of the input.
    pub fn i16(&mut self, field: &'static str) -> Result<i16, DecodeError> {
        self.fixed(field).map(i16::from_be_bytes)
    }

    /// A big-endian integer of four bytes.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] at the end of the input.
    pub fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.fixed(field).map(i32::from_be_bytes)
    }

    /// An unsigned big-endian integer of four bytes.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] at the end of the input.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.fixed(field).map(u32::from_be_bytes)
    }

    /// A big-endian integer of eight bytes.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] at the end of the input.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.fixed(field).map(i64::from_be_bytes)
    }

    /// Sixteen bytes that identify a topic.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] at the end of the input.
    pub fn uuid(&mut self, field: &'static str) -> Result<Uuid, DecodeError> {
        self.fixed(field).map(Uuid)
    }

    /// An unsigned varint of at most 32 bits, as lengths and tags of flexible versions are.
    ///
    /// # Errors
    /// [`DecodeErrorKind::VarintTooLong`] beyond 32 bits, [`DecodeErrorKind::Truncated`].
    pub fn unsigned_varint(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let start = self.clone();
        let value = self.varint_bits(u32::BITS, field)?;
        u32::try_from(value).map_err(|_| start.error(field, DecodeErrorKind::VarintTooLong))
    }

    /// A zigzag varint of at most 32 bits, as lengths in records are.
    ///
    /// # Errors
    /// [`DecodeErrorKind::VarintTooLong`] beyond 32 bits, [`DecodeErrorKind::Truncated`].
    pub fn varint(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        let bits = self.unsigned_varint(field)?;
        Ok((bits >> 1) as i32 ^ -((bits & 1) as i32))
    }

    /// A zigzag varint of at most 64 bits.
    ///
    /// # Errors
    /// [`DecodeErrorKind::VarintTooLong`] beyond 64 bits, [`DecodeErrorKind::Truncated`].
    pub fn varlong(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        let bits = self.varint_bits(u64::BITS, field)?;
        Ok((bits >> 1) as i64 ^ -((bits & 1) as i64))
    }

    /// A string, or `None` for null.
    ///
    /// # Errors
    /// A length below null or beyond the input, bytes that are no UTF-8.
    pub fn nullable_string(
        &mut self,
        flexible: bool,
        field: &'static str,
    ) -> Result<Option<&'a str>, DecodeError> {
        let start = self.clone();
        let length = if flexible {
            self.compact_length(field)?
        } else {
            let length = self.i16(field)?;
            start.classic_length(length.into(), field)?
        };
        let Some(length) = length else {
            return Ok(None);
        };
        let text = std::str::from_utf8(self.take(length, field)?);
        text.map(Some)
            .map_err(|_| start.error(field, DecodeErrorKind::InvalidUtf8))
    }

    /// Bytes with their length before them, or `None` for null.
    ///
    /// # Errors
    /// A length below null or beyond the input.
    pub fn nullable_bytes(
        &mut self,
        flexible: bool,
        field: &'static str,
    ) -> Result<Option<&'a [u8]>, DecodeError> {
        let length = self.nullable_length(flexible, field)?;
        length.map(|length| self.take(length, field)).transpose()
    }

    /// The number of elements of an array, or `None` for null, where each element takes at least
    /// `element_len` bytes. The caller may allocate for as many elements as this returns.
    ///
    /// # Errors
    /// A count below null, or more elements than the rest of the input can hold.
    pub fn nullable_array(
        &mut self,
        flexible: bool,
        element_len: usize,
        field: &'static str,
    ) -> Result<Option<usize>, DecodeError> {
        let start = self.clone();
        let Some(count) = self.nullable_length(flexible, field)? else {
            return Ok(None);
        };
        let most = self.remaining() / element_len.max(1);
        if count > most {
            return Err(start.error(field, DecodeErrorKind::TooMany { count, most }));
        }
        Ok(Some(count))
    }

    /// Reads a section of tagged fields: `known` gets each tag with a reader of its value and says
    /// whether it read it; what it does not know is skipped (KIP-482).
    ///
    /// # Errors
    /// Tags that do not ascend, a value that is longer or shorter than its announced size, and
    /// what `known` returns.
    pub fn tagged_fields(
        &mut self,
        field: &'static str,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.unsigned_varint(field)?;
        let mut previous = None;
        for _ in 0..count {
            let start = self.clone();
            let tag = self.unsigned_varint(field)?;
            if previous.is_some_and(|previous| tag <= previous) {
                return Err(start.error(field, DecodeErrorKind::TagOrder { tag }));
            }
            previous = Some(tag);
            let size = self.unsigned_varint(field)?;
            let mut value = self.nested(size as usize, field)?;
            if known(tag, &mut value)? {
                value.finish(field)?;
            }
        }
        Ok(())
    }

    /// An error at the present offset.
    pub(crate) fn error(&self, field: &'static str, kind: DecodeErrorKind) -> DecodeError {
        DecodeError {
            offset: self.offset,
            field,
            kind,
        }
    }

    fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        match self.bytes[self.offset..].first_chunk() {
            Some(chunk) => {
                self.offset += N;
                Ok(*chunk)
            }
            None => {
                let left = self.remaining();
                Err(self.error(field, DecodeErrorKind::Truncated { needed: N, left }))
            }
        }
    }

    /// A varint of no more bytes than `width` bits need, even if the last of them are zero.
    fn varint_bits(&mut self, width: u32, field: &'static str) -> Result<u64, DecodeError> {
        let start = self.clone();
        let mut bits = 0;
        for shift in (0..width).step_by(7) {
            let [byte] = self.fixed(field)?;
            let low = u64::from(byte & 0x7f);
            bits |= low << shift;
            if (bits >> shift) != low {
                break;
            }
            if byte < 0x80 {
                return Ok(bits);
            }
        }
        Err(start.error(field, DecodeErrorKind::VarintTooLong))
    }

    fn nullable_length(
        &mut self,
        flexible: bool,
        field: &'static str,
    ) -> Result<Option<usize>, DecodeError> {
        if flexible {
            return self.compact_length(field);
        }
        let start = self.clone();
        let length = self.i32(field)?;
        start.classic_length(length, field)
    }

    fn compact_length(&mut self, field: &'static str) -> Result<Option<usize>, DecodeError> {
        let length = self.unsigned_varint(field)?;
        Ok(length.checked_sub(1).map(|length| length as usize))
    }

    /// The meaning of a classic length (of a string, of bytes, of an array) read at this offset.
    pub(crate) fn classic_length(
        &self,
        length: i32,
        field: &'static str,
    ) -> Result<Option<usize>, DecodeError> {
        match length {
            -1 => Ok(None),
            _ => usize::try_from(length)
                .map(Some)
                .map_err(|_| self.error(field, DecodeErrorKind::NegativeLength { length })),
        }
    }
}

/// Writes primitive types into a buffer that grows.
///
/// A writer can leave *gaps*: bytes that are counted in length prefixes but that somebody else
/// puts on the wire, as the records of a Produce request are (see [`crate::message::Records`]).
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    gaps: Vec<usize>,
    gap_len: usize,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            ..Self::default()
        }
    }

    /// The bytes written, and where the gaps belong.
    pub fn into_parts(self) -> Frame {
        Frame {
            bytes: self.bytes,
            gaps: self.gaps,
        }
    }

    /// How many bytes the whole has, gaps included.
    pub fn total_len(&self) -> usize {
        self.bytes.len() + self.gap_len
    }

    /// Appends bytes as they stand.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Leaves a gap of `len` bytes at the present position.
    pub fn gap(&mut self, len: usize) {
        self.gaps.push(self.bytes.len());
        self.gap_len += len;
    }

    /// A byte, 1 for true.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(value.into());
    }

    /// A big-endian integer of two bytes.
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// A big-endian integer of four bytes.
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// A big-endian integer of eight bytes.
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// Sixteen bytes that identify a topic.
    pub fn uuid(&mut self, value: Uuid) {
        self.raw(&value.0);
    }

    /// An unsigned varint.
    pub fn unsigned_varint(&mut self, value: u32) {
        put_varint(&mut self.bytes, value.into());
    }

    /// A string, or null for `None`.
    ///
    /// # Errors
    /// [`EncodeErrorKind::TooLong`] for more bytes than the length prefix can say.
    pub fn nullable_string(
        &mut self,
        value: Option<&str>,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        let length = value.map(str::len);
        if flexible {
            self.compact_length(length, field)?;
        } else {
            self.i16(match length {
                Some(length) => i16::try_from(length)
                    .map_err(|_| EncodeError::too_long(field, length, i16::MAX as usize))?,
                None => -1,
            });
        }
        self.raw(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// The length of bytes or of an array, or null for `None`; the caller writes what follows.
    ///
    /// # Errors
    /// [`EncodeErrorKind::TooLong`] for more than the length prefix can say.
    pub fn nullable_length(
        &mut self,
        length: Option<usize>,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        if flexible {
            return self.compact_length(length, field);
        }
        self.i32(match length {
            Some(length) => classic_length(length, field)?,
            None => -1,
        });
        Ok(())
    }

    /// A tagged field: its tag, the size of what `value` writes, and that.
    ///
    /// # Errors
    /// What `value` returns, or [`EncodeErrorKind::TooLong`].
    pub fn tagged_field(
        &mut self,
        tag: u32,
        field: &'static str,
        value: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.unsigned_varint(tag);
        let start = self.bytes.len();
        value(self)?;
        // The size is known only now: write it behind the value, then turn the two around.
        let end = self.bytes.len();
        self.unsigned_varint(classic_length(end - start, field)? as u32);
        let size_len = self.bytes.len() - end;
        self.bytes[start..].rotate_right(size_len);
        Ok(())
    }

    /// Puts the size of all that follows, gaps included, into the four bytes at the start.
    pub(crate) fn patch_size(&mut self, field: &'static str) -> Result<(), EncodeError> {
        let size = classic_length(self.total_len() - 4, field)?;
        self.bytes[..4].copy_from_slice(&size.to_be_bytes());
        Ok(())
    }

    fn compact_length(
        &mut self,
        length: Option<usize>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        self.unsigned_varint(match length {
            Some(length) => classic_length(length, field)? as u32 + 1,
            None => 0,
        });
        Ok(())
    }
}

/// An encoded frame, perhaps with gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The bytes to send, all but what belongs into the gaps.
    pub bytes: Vec<u8>,
    /// Ascending positions in `bytes`: the n-th split payload is to be sent before the byte that
    /// stands at the n-th of them.
    pub gaps: Vec<usize>,
}

/// A UUID as Kafka gives one to each topic (KIP-516).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// All zero: no id.
    pub const ZERO: Self = Self([0; 16]);
}

/// Why bytes could not be decoded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Where the field starts, in bytes from the start of the input.
    pub offset: usize,
    /// The field, as `Structure.field`.
    pub field: &'static str,
    /// What is wrong with it.
    pub kind: DecodeErrorKind,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.field, self.offset, self.kind)
    }
}

impl std::error::Error for DecodeError {}

/// What was wrong with bytes that could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends too early.
    Truncated {
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// The input goes on after its end.
    Trailing {
        /// Bytes that are left.
        left: usize,
    },
    /// A length or count below -1, which stands for null.
    NegativeLength {
        /// The length as it stands in the input.
        length: i32,
    },
    /// An array announces more elements than the input can hold.
    TooMany {
        /// Elements announced.
        count: usize,
        /// Elements that the rest of the input could hold.
        most: usize,
    },
    /// Null where the field must have a value.
    UnexpectedNull,
    /// A string that is no UTF-8.
    InvalidUtf8,
    /// A varint with more bits than its type.
    VarintTooLong,
    /// A tag that is not above the one before it.
    TagOrder {
        /// The tag.
        tag: u32,
    },
    /// An API that this crate does not speak.
    UnknownApi {
        /// The number of the API.
        key: i16,
    },
    /// A version that this crate does not speak.
    UnsupportedVersion {
        /// The version asked for.
        version: i16,
        /// The versions spoken.
        supported: VersionRange,
    },
    /// A record batch in a format other than v2.
    UnsupportedMagic {
        /// The magic byte as it stands in the input.
        magic: i8,
    },
    /// A record batch that claims to be shorter than its own header.
    BatchLength {
        /// The length as it stands in the input.
        length: i32,
    },
    /// A record batch whose bytes are not those it was sealed with.
    Crc {
        /// The checksum in the batch.
        stated: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// Records that must be decompressed before they can be read.
    Compressed {
        /// The number of the codec.
        codec: u8,
    },
    /// A record batch that holds another number of records than it says.
    RecordCount {
        /// The number that its header says.
        stated: i32,
    },
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { needed, left } => {
                write!(f, "needs {needed} bytes, but only {left} are left")
            }
            Self::Trailing { left } => write!(f, "{left} bytes too many"),
            Self::NegativeLength { length } => write!(f, "the length {length} is negative"),
            Self::TooMany { count, most } => {
                write!(
                    f,
                    "announces {count} elements where at most {most} can follow"
                )
            }
            Self::UnexpectedNull => f.write_str("is null but must have a value"),
            Self::InvalidUtf8 => f.write_str("is not valid UTF-8"),
            Self::VarintTooLong => f.write_str("the varint has more bits than its type"),
            Self::TagOrder { tag } => {
                write!(f, "tag {tag} repeats or does not follow in ascending order")
            }
            Self::UnknownApi { key } => write!(f, "the API {key} is not known here"),
            Self::UnsupportedVersion { version, supported } => {
                write!(f, "version {version} is not supported, only {supported}")
            }
            Self::UnsupportedMagic { magic } => {
                write!(
                    f,
                    "record batches of format {magic} are not supported, only 2"
                )
            }
            Self::BatchLength { length } => {
                write!(
                    f,
                    "the batch length {length} does not cover the batch header"
                )
            }
            Self::Crc { stated, computed } => {
                write!(
                    f,
                    "the checksum is {computed:08x}, but the batch says {stated:08x}"
                )
            }
            Self::Compressed { codec } => {
                write!(
                    f,
                    "the records are compressed (codec {codec}): decompress them first"
                )
            }
            Self::RecordCount { stated } => {
                write!(
                    f,
                    "the batch says it holds {stated} records, but it does not"
                )
            }
        }
    }
}

/// Why a message could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// The field, as `Structure.field`.
    pub field: &'static str,
    /// What is wrong with it.
    pub kind: EncodeErrorKind,
}

impl EncodeError {
    fn too_long(field: &'static str, length: usize, most: usize) -> Self {
        Self {
            field,
            kind: EncodeErrorKind::TooLong { length, most },
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.kind)
    }
}

impl std::error::Error for EncodeError {}

/// What was wrong with a message that could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// Longer than the length prefix can say.
    TooLong {
        /// Length in bytes, or in elements for an array.
        length: usize,
        /// The most that fits.
        most: usize,
    },
    /// Null where this version needs a value.
    UnexpectedNull {
        /// The version asked for.
        version: i16,
    },
    /// A value that this version has no place for, and that must not get lost.
    NotInVersion {
        /// The version asked for.
        version: i16,
    },
    /// A version that this crate does not speak.
    UnsupportedVersion {
        /// The version asked for.
        version: i16,
        /// The versions spoken.
        supported: VersionRange,
    },
}

impl fmt::Display for EncodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLong { length, most } => {
                write!(f, "has a length of {length}, but at most {most} fits")
            }
            Self::UnexpectedNull { version } => {
                write!(f, "is null, but version {version} needs a value")
            }
            Self::NotInVersion { version } => {
                write!(
                    f,
                    "has a value that version {version} cannot carry: leave the default"
                )
            }
            Self::UnsupportedVersion { version, supported } => {
                write!(f, "version {version} is not supported, only {supported}")
            }
        }
    }
}

/// Appends an unsigned varint.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut bits: u64) {
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// The bytes that [`put_varint`] appends.
#[inline]
pub(crate) fn varint_len(bits: u64) -> usize {
    let width = u64::BITS - (bits | 1).leading_zeros();
    // The same as `width.div_ceil(7)` for all 64 widths, without a division: every record asks
    // five times.
    (width as usize * 9 + 64) / 64
}

/// Maps small numbers of either sign to small unsigned ones.
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn classic_length(length: usize, field: &'static str) -> Result<i32, EncodeError> {
    i32::try_from(length).map_err(|_| EncodeError::too_long(field, length, i32::MAX as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_width_are_read_as_written() {
        let of_width = |width: u32| u64::MAX.checked_shr(64 - width).unwrap_or(0);
        for bits in (0..=64).flat_map(|width| [of_width(width), of_width(width).wrapping_add(1)]) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, bits);
            assert_eq!(bytes.len(), varint_len(bits), "{bits:#x}");
            let read = Reader::new(&bytes).varint_bits(u64::BITS, "test");
            assert_eq!(read, Ok(bits));
        }
    }

    #[test]
    fn zigzag_keeps_both_ends_of_the_range() {
        for value in [
            0,
            -1,
            1,
            i32::MIN.into(),
            i32::MAX.into(),
            i64::MIN,
            i64::MAX,
        ] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, zigzag(value));
            assert_eq!(Reader::new(&bytes).varlong("test"), Ok(value));
            let narrow = Reader::new(&bytes).varint("test").ok();
            assert_eq!(narrow, i32::try_from(value).ok());
        }
    }

    #[test]
    fn varint_of_more_bits_or_bytes_than_its_type_is_refused() {
        let too_long = |bytes: &[u8]| {
            let error = Reader::new(bytes).unsigned_varint("test").unwrap_err();
            (error.offset, error.kind) == (0, DecodeErrorKind::VarintTooLong)
        };
        assert_eq!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unsigned_varint("test"),
            Ok(u32::MAX)
        );
        assert!(too_long(&[0xff, 0xff, 0xff, 0xff, 0x1f]));
        assert!(too_long(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]));

        let longest = [[0xff; 9].as_slice(), &[0x01]].concat();
        assert_eq!(Reader::new(&longest).varlong("test"), Ok(i64::MIN));
        let beyond = [[0xff; 9].as_slice(), &[0x02]].concat();
        assert!(Reader::new(&beyond).varlong("test").is_err());
        let endless = [0x80; 11];
        assert!(Reader::new(&endless).varlong("test").is_err());
    }

    #[test]
    fn count_that_the_input_cannot_hold_is_refused() {
        let classic = [0, 0, 0, 4, 1, 2, 3, 4, 5, 6];
        let array = |len| Reader::new(&classic).nullable_array(false, len, "test");
        assert_eq!(array(1), Ok(Some(4)));
        let kind = DecodeErrorKind::TooMany { count: 4, most: 3 };
        assert_eq!(array(2).map_err(|error| error.kind), Err(kind));

        let hostile = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
        let count = Reader::new(&hostile).nullable_array(true, 1, "test");
        assert!(count.is_err());
    }

    #[test]
    fn length_below_null_is_refused() {
        let string = Reader::new(&[0xff, 0xfe]).nullable_string(false, "test");
        let kind = DecodeErrorKind::NegativeLength { length: -2 };
        assert_eq!(string.map_err(|error| error.kind), Err(kind));
        let bytes = Reader::new(&[0x80, 0, 0, 0]).nullable_bytes(false, "test");
        assert!(bytes.is_err());
    }

    #[test]
    fn null_and_empty_are_told_apart_in_both_dialects() {
        for flexible in [false, true] {
            for value in [None, Some(""), Some("x")] {
                let mut writer = Writer::new();
                writer
                    .nullable_string(value, flexible, "test")
                    .expect("is short");
                let bytes = writer.into_parts().bytes;
                let read = Reader::new(&bytes).nullable_string(flexible, "test");
                assert_eq!(read, Ok(value));
            }
        }
    }

    #[test]
    fn unknown_tags_are_skipped_and_known_ones_read() {
        let section = [
            2, /* tag */ 1, 3, 9, 9, 9, /* tag */ 7, 2, 0, 42, /* after */ 5,
        ];
        let mut reader = Reader::new(&section);
        let mut value = None;
        let read = reader.tagged_fields("test", |tag, reader| {
            if tag == 7 {
                value = Some(reader.i16("test")?);
            }
            Ok(tag == 7)
        });
        assert_eq!((read, value, reader.remaining()), (Ok(()), Some(42), 1));
    }

    #[test]
    fn tags_that_repeat_or_descend_are_refused() {
        for second in [3, 2] {
            let section = [2, 3, 0, second, 0];
            let read = Reader::new(&section).tagged_fields("test", |_, _| Ok(false));
            let kind = DecodeErrorKind::TagOrder { tag: second.into() };
            assert_eq!(
                read,
                Err(DecodeError {
                    offset: 3,
                    field: "test",
                    kind
                })
            );
        }
    }

    #[test]
    fn known_tag_must_have_exactly_the_size_it_states() {
        for (size, is_right) in [(1, false), (2, true), (3, false)] {
            let section = [1, 0, size, 0, 42, 0];
            let read = Reader::new(&section)
                .tagged_fields("test", |_, reader| reader.i16("test").map(|_| true));
            assert_eq!(read.is_ok(), is_right, "{size}");
        }
    }

    #[test]
    fn string_beyond_its_length_prefix_is_refused() {
        let long = "x".repeat(i16::MAX as usize + 1);
        let mut writer = Writer::new();
        let kind = EncodeErrorKind::TooLong {
            length: 32_768,
            most: 32_767,
        };
        let error = EncodeError {
            field: "test",
            kind,
        };
        assert_eq!(
            writer.nullable_string(Some(&long), false, "test"),
            Err(error)
        );
        assert_eq!(writer.nullable_string(Some(&long), true, "test"), Ok(()));
    }

    #[test]
    fn errors_say_what_and_where() {
        let mut reader = Reader::new(&[0, 1, 0, 9, b'x']);
        reader.i16("Topic.index").expect("two bytes");
        let error = reader.nullable_string(false, "Topic.name").unwrap_err();
        let text = "Topic.name at byte 4: needs 9 bytes, but only 1 are left";
        assert_eq!(error.to_string(), text);
    }
}
