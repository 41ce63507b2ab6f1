//! Writing records.

use crate::primitives::{put_varint, varint_len, zigzag};
use crate::record::RecordHeaders;
use crate::record::headers::{bytes_len, put_bytes};

/// What a record is made of.
#[derive(Debug)]
pub struct RecordFields<'a, H: RecordHeaders + ?Sized> {
    /// Milliseconds since the base timestamp of the batch.
    pub timestamp_delta: i64,
    /// The number of the record in its batch, from 0.
    pub offset_delta: i32,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The headers: a slice of [`Header`](crate::record::Header)s, or those of another record.
    pub headers: &'a H,
}

impl<H: RecordHeaders + ?Sized> RecordFields<'_, H> {
    /// The length of the record in bytes, its own length prefix included.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        let body_len = self.body_len();
        varint_len(zigzag(body_len as i64)) + body_len
    }

    /// Appends the record. Nothing is allocated as long as [`Self::encoded_len`] bytes fit into
    /// the capacity of `out`.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let body_len = self.body_len();
        out.reserve(varint_len(zigzag(body_len as i64)) + body_len);
        put_varint(out, zigzag(body_len as i64));
        out.push(NO_ATTRIBUTES);
        put_varint(out, zigzag(self.timestamp_delta));
        put_varint(out, zigzag(self.offset_delta.into()));
        put_bytes(out, self.key);
        put_bytes(out, self.value);
        self.headers.encode(out);
    }

    #[inline]
    fn body_len(&self) -> usize {
        1 + varint_len(zigzag(self.timestamp_delta))
            + varint_len(zigzag(self.offset_delta.into()))
            + bytes_len(self.key)
            + bytes_len(self.value)
            + self.headers.encoded_len()
    }
}

/// Records have a byte of attributes, but none has been defined yet.
const NO_ATTRIBUTES: u8 = 0;
