//! Requests from bytes that nobody vouches for.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::ByteBuf;

/// Decodes all of `body`; the error says what is wrong with it.
///
/// The codec allocates as many elements as an array announces, be there bytes for them or not. So it
/// runs twice: first over a [`Guard`] that turns impossible numbers into errors, then for good.
pub(super) fn decode<T: Decodable>(body: &Bytes, version: i16) -> Result<T, String> {
    let mut guard = Guard::new(body.clone());
    T::decode(&mut guard, version).map_err(|error| error.to_string())?;
    if guard.has_remaining() {
        return Err(format!("{} bytes follow its end", guard.remaining()));
    }
    T::decode(&mut body.clone(), version).map_err(|error| error.to_string())
}

/// Bytes that give no length or count which is larger than what is left of them.
///
/// It does not know what a number means. A large number that is no count comes out wrong, which the
/// second run makes good.
struct Guard {
    bytes: Bytes,
    /// The variable-length number being read, so far.
    varint: u64,
    /// Its bits, so far.
    bits: u32,
}

impl Guard {
    fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            varint: 0,
            bits: 0,
        }
    }

    fn end_varint(&mut self) {
        self.varint = 0;
        self.bits = 0;
    }
}

impl Buf for Guard {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.end_varint();
        self.bytes.advance(count);
    }

    /// Lengths and counts of the older encoding, among other numbers.
    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        self.end_varint();
        let number = self.bytes.try_get_i32()?;
        let possible = usize::try_from(number).is_ok_and(|count| count <= self.bytes.len());
        // Any negative number but -1 is an error where a count is expected.
        Ok(if possible || number == -1 {
            number
        } else {
            i32::MIN
        })
    }

    /// Lengths and counts of the compact encoding, byte by byte, among truth values.
    ///
    /// Of several ways to see where a number began, the one that makes it largest counts.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.bytes.try_get_u8()?;
        self.varint |= u64::from(byte & 0x7f) << self.bits;
        self.bits += 7;
        // Compact lengths are one more than what they count.
        let most = self.bytes.len() as u64 + 1;
        if self.bits > 35 || self.varint > most {
            return Err(TryGetError {
                requested: usize::try_from(self.varint).unwrap_or(usize::MAX),
                available: self.bytes.len(),
            });
        }
        if byte < 0x80 {
            self.end_varint();
        }
        Ok(byte)
    }
}

impl ByteBuf for Guard {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.end_varint();
        self.bytes.split_to(size)
    }
}
