//! Reading records.

use std::iter::FusedIterator;

use crate::primitives::{DecodeError, DecodeErrorKind, Reader};
use crate::record::RawHeaders;

/// A record as it stands in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Milliseconds since the base timestamp of the batch.
    pub timestamp_delta: i64,
    /// The distance from the base offset of the batch.
    pub offset_delta: i32,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: RawHeaders<'a>,
}

/// Iterates over uncompressed records. After an error it ends.
#[derive(Clone, Debug)]
pub struct RecordReader<'a> {
    reader: Reader<'a>,
    read: usize,
    stated: Option<i32>,
}

impl<'a> RecordReader<'a> {
    /// Reads records that follow one another until `bytes` end, as a writer appended them.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            read: 0,
            stated: None,
        }
    }

    /// The same for the records of a batch that says how many it holds.
    pub(super) fn with_count(bytes: &'a [u8], stated: i32) -> Self {
        Self {
            stated: Some(stated),
            ..Self::new(bytes)
        }
    }

    /// How many bytes have been read: where the next record starts.
    pub fn offset(&self) -> usize {
        self.reader.offset()
    }

    /// Once, at the end of the input: an error if there are more or fewer records than stated.
    fn check_count(&mut self) -> Option<DecodeError> {
        let stated = self.stated.take()?;
        let kind = DecodeErrorKind::RecordCount { stated };
        let error = self.reader.error("RecordBatch.record_count", kind);
        (usize::try_from(stated) != Ok(self.read)).then_some(error)
    }

    fn end(&mut self) {
        *self = Self::new(&[]);
    }
}

impl<'a> Iterator for RecordReader<'a> {
    type Item = Result<RecordView<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.remaining() == 0 {
            return self.check_count().map(Err);
        }
        let record = read_record(&mut self.reader);
        self.read += 1;
        if record.is_err() {
            self.end();
        }
        Some(record)
    }
}

impl FusedIterator for RecordReader<'_> {}

/// Bytes with a zigzag length before them, or null.
pub(super) fn nullable_bytes<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
) -> Result<Option<&'a [u8]>, DecodeError> {
    let start = reader.clone();
    let length = reader.varint(field)?;
    let length = start.classic_length(length, field)?;
    length.map(|length| reader.take(length, field)).transpose()
}

/// The same where null is not allowed.
pub(super) fn required_bytes<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
) -> Result<&'a [u8], DecodeError> {
    let start = reader.clone();
    nullable_bytes(reader, field)?
        .ok_or_else(|| start.error(field, DecodeErrorKind::UnexpectedNull))
}

fn read_record<'a>(reader: &mut Reader<'a>) -> Result<RecordView<'a>, DecodeError> {
    let start = reader.clone();
    let length = reader.varint("Record.length")?;
    let length = usize::try_from(length)
        .map_err(|_| start.error("Record.length", DecodeErrorKind::NegativeLength { length }))?;
    let mut body = reader.nested(length, "Record")?;
    body.i8("Record.attributes")?;
    Ok(RecordView {
        timestamp_delta: body.varlong("Record.timestamp_delta")?,
        offset_delta: body.varint("Record.offset_delta")?,
        key: nullable_bytes(&mut body, "Record.key")?,
        value: nullable_bytes(&mut body, "Record.value")?,
        headers: RawHeaders::decode(&mut body)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchHeader, Header, RecordFields};

    #[test]
    fn count_of_the_header_must_be_that_of_the_records() {
        let records = [record(), record()].concat();
        for (stated, is_right) in [(-1, false), (1, false), (2, true), (3, false)] {
            let header = BatchHeader::new(stated, 0, 0);
            let read: Result<Vec<_>, _> = header.read_records(&records).expect("plain").collect();
            let kind = DecodeErrorKind::RecordCount { stated };
            let expected = if is_right { Ok(2) } else { Err(kind) };
            let read = read
                .map(|records| records.len())
                .map_err(|error| error.kind);
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn damaged_record_is_an_error_and_the_end() {
        let whole = record();
        for cut in 1..whole.len() {
            let mut reader = RecordReader::new(&whole[..cut]);
            assert!(matches!(reader.next(), Some(Err(_))), "{cut}");
            assert_eq!(reader.next(), None);
        }
    }

    #[test]
    fn record_must_end_where_its_length_says() {
        let mut longer = record();
        longer[0] += 2;
        longer.push(0);
        let error = first_error(&longer);
        assert_eq!(
            (error.field, error.kind),
            ("Record", DecodeErrorKind::Trailing { left: 1 })
        );
    }

    #[test]
    fn lengths_that_make_no_sense_are_refused() {
        // Length, attributes, timestamp, offset, key, value, count of headers, header.
        let cases: [(&[u8], &str, DecodeErrorKind); 4] = [
            (
                &[1],
                "Record.length",
                DecodeErrorKind::NegativeLength { length: -1 },
            ),
            (
                &[8, 0, 0, 0, 3],
                "Record.key",
                DecodeErrorKind::NegativeLength { length: -2 },
            ),
            (
                &[12, 0, 0, 0, 1, 1, 1],
                "Record.header_count",
                DecodeErrorKind::NegativeLength { length: -1 },
            ),
            (
                &[14, 0, 0, 0, 1, 1, 2, 1],
                "Record.header.name",
                DecodeErrorKind::UnexpectedNull,
            ),
        ];
        for (bytes, field, kind) in cases {
            let error = first_error(bytes);
            assert_eq!((error.field, error.kind), (field, kind));
        }
    }

    #[test]
    fn offset_is_where_the_next_record_starts() {
        let one = record();
        let two = [one.clone(), one.clone()].concat();
        let mut reader = RecordReader::new(&two);
        reader.next();
        assert_eq!(reader.offset(), one.len());
    }

    fn record() -> Vec<u8> {
        let headers: &[Header<'_>] = &[Header {
            name: "event",
            value: Some(b"E_PIKE"),
        }];
        let mut bytes = Vec::new();
        let (key, value) = (Some(&b"call-1"[..]), Some(&b"INVITE"[..]));
        RecordFields {
            timestamp_delta: 5,
            offset_delta: 0,
            key,
            value,
            headers,
        }
        .encode(&mut bytes);
        bytes
    }

    fn first_error(bytes: &[u8]) -> DecodeError {
        let mut errors = RecordReader::new(bytes).filter_map(Result::err);
        errors.next().expect("is damaged")
    }
}
