//! The header of a record batch.

use crate::primitives::{DecodeError, DecodeErrorKind, Reader};
use crate::record::RecordReader;

/// Length of the header of a batch, in bytes.
pub const BATCH_HEADER_LEN: usize = 61;

/// The header of a batch, but for what follows from the records: batch length and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record; 0 in a Produce request, where the broker sets it.
    pub base_offset: i64,
    /// The epoch of the leader that appended the batch; -1 in a Produce request.
    pub partition_leader_epoch: i32,
    /// Compression and the like.
    pub attributes: Attributes,
    /// The offset delta of the last record.
    pub last_offset_delta: i32,
    /// The time that the timestamp deltas count from, in milliseconds since 1970.
    pub base_timestamp: i64,
    /// The latest timestamp of the records, in milliseconds since 1970.
    pub max_timestamp: i64,
    /// Who wrote it; -1: no idempotence.
    pub producer_id: i64,
    /// The epoch of the producer; -1: no idempotence.
    pub producer_epoch: i16,
    /// The sequence number of the first record; -1: no idempotence.
    pub base_sequence: i32,
    /// The number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// The header of `record_count` records with offset deltas from 0 on, from a producer without
    /// idempotence. Timestamps are milliseconds since 1970.
    pub fn new(record_count: i32, base_timestamp: i64, max_timestamp: i64) -> Self {
        Self {
            last_offset_delta: record_count - 1,
            base_timestamp,
            max_timestamp,
            record_count,
            ..Self::default()
        }
    }

    /// The bytes of the header in front of `records`, which come in as many pieces as they are
    /// stored in. Takes one pass over the records, for the checksum.
    ///
    /// # Panics
    /// If the records take more than 2 GiB, which no broker accepts.
    pub fn seal<'s>(
        &self,
        records: impl Iterator<Item = &'s [u8]> + Clone,
    ) -> [u8; BATCH_HEADER_LEN] {
        let records_len: usize = records.clone().map(<[u8]>::len).sum();
        let batch_length = i32::try_from(records_len + BATCH_HEADER_LEN - LENGTH_END)
            .expect("a batch is far below 2 GiB, as message.max.bytes is");

        let mut header = [0; BATCH_HEADER_LEN];
        put(&mut header, 0, self.base_offset.to_be_bytes());
        put(&mut header, 8, batch_length.to_be_bytes());
        put(
            &mut header,
            LENGTH_END,
            self.partition_leader_epoch.to_be_bytes(),
        );
        put(&mut header, 16, MAGIC.to_be_bytes());
        put(&mut header, CRC_END, self.attributes.0.to_be_bytes());
        put(&mut header, 23, self.last_offset_delta.to_be_bytes());
        put(&mut header, 27, self.base_timestamp.to_be_bytes());
        put(&mut header, 35, self.max_timestamp.to_be_bytes());
        put(&mut header, 43, self.producer_id.to_be_bytes());
        put(&mut header, 51, self.producer_epoch.to_be_bytes());
        put(&mut header, 53, self.base_sequence.to_be_bytes());
        put(&mut header, 57, self.record_count.to_be_bytes());

        let crc = records.fold(crc32c::crc32c(&header[CRC_END..]), crc32c::crc32c_append);
        put(&mut header, CRC_START, crc.to_be_bytes());
        header
    }

    /// Reads the records of this batch.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Compressed`] if they have to be decompressed first.
    pub fn read_records<'a>(&self, records: &'a [u8]) -> Result<RecordReader<'a>, DecodeError> {
        match self.attributes.codec() {
            0 => Ok(RecordReader::with_count(records, self.record_count)),
            codec => Err(DecodeError {
                offset: 0,
                field: "RecordBatch.records",
                kind: DecodeErrorKind::Compressed { codec },
            }),
        }
    }
}

impl Default for BatchHeader {
    /// No records, no idempotence, no leader epoch.
    fn default() -> Self {
        Self {
            base_offset: 0,
            partition_leader_epoch: -1,
            attributes: Attributes::default(),
            last_offset_delta: -1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        }
    }
}

/// The attributes of a batch, a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    /// The broker's clock instead of the producer's (`message.timestamp.type=LogAppendTime`).
    pub const LOG_APPEND_TIME: i16 = 1 << 3;
    /// Part of a transaction.
    pub const TRANSACTIONAL: i16 = 1 << 4;
    /// Written by the broker itself, to end a transaction.
    pub const CONTROL: i16 = 1 << 5;

    /// The number of the codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub fn codec(self) -> u8 {
        (self.0 & CODEC_MASK) as u8
    }

    /// The same with another codec, of which the lowest three bits count.
    pub fn with_codec(self, codec: u8) -> Self {
        Self(self.0 & !CODEC_MASK | i16::from(codec) & CODEC_MASK)
    }

    /// Whether all bits of `flag` are set.
    pub fn has(self, flag: i16) -> bool {
        self.0 & flag == flag
    }
}

/// Reads the first batch of `bytes`: its header and its records as they stand, perhaps
/// compressed. What follows the batch starts [`BATCH_HEADER_LEN`] bytes and the records further.
///
/// # Errors
/// A batch that is cut off, of another format, or damaged.
pub fn read_batch(bytes: &[u8]) -> Result<(BatchHeader, &[u8]), DecodeError> {
    let mut reader = Reader::new(bytes);
    let base_offset = reader.i64("RecordBatch.base_offset")?;
    let start = reader.clone();
    let length = reader.i32("RecordBatch.batch_length")?;
    let body_len = usize::try_from(length)
        .ok()
        .filter(|length| length + LENGTH_END >= BATCH_HEADER_LEN)
        .ok_or_else(|| {
            start.error(
                "RecordBatch.batch_length",
                DecodeErrorKind::BatchLength { length },
            )
        })?;
    let mut reader = reader.nested(body_len, "RecordBatch")?;

    let partition_leader_epoch = reader.i32("RecordBatch.partition_leader_epoch")?;
    check_magic(&mut reader)?;
    check_crc(&mut reader)?;
    let header = BatchHeader {
        base_offset,
        partition_leader_epoch,
        attributes: Attributes(reader.i16("RecordBatch.attributes")?),
        last_offset_delta: reader.i32("RecordBatch.last_offset_delta")?,
        base_timestamp: reader.i64("RecordBatch.base_timestamp")?,
        max_timestamp: reader.i64("RecordBatch.max_timestamp")?,
        producer_id: reader.i64("RecordBatch.producer_id")?,
        producer_epoch: reader.i16("RecordBatch.producer_epoch")?,
        base_sequence: reader.i32("RecordBatch.base_sequence")?,
        record_count: reader.i32("RecordBatch.record_count")?,
    };
    let records = reader.take(reader.remaining(), "RecordBatch.records")?;
    Ok((header, records))
}

fn check_magic(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let start = reader.clone();
    match reader.i8("RecordBatch.magic")? {
        MAGIC => Ok(()),
        magic => Err(start.error(
            "RecordBatch.magic",
            DecodeErrorKind::UnsupportedMagic { magic },
        )),
    }
}

/// Checks the checksum at the reader's position against all that follows.
fn check_crc(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let start = reader.clone();
    let stated = reader.u32("RecordBatch.crc")?;
    let covered = reader.clone().take(reader.remaining(), "RecordBatch.crc")?;
    let computed = crc32c::crc32c(covered);
    if stated != computed {
        return Err(start.error("RecordBatch.crc", DecodeErrorKind::Crc { stated, computed }));
    }
    Ok(())
}

fn put<const N: usize>(header: &mut [u8; BATCH_HEADER_LEN], at: usize, bytes: [u8; N]) {
    header[at..at + N].copy_from_slice(&bytes);
}

const MAGIC: i8 = 2;
const CODEC_MASK: i16 = 0b111;
/// The batch length counts the bytes from here on.
const LENGTH_END: usize = 12;
const CRC_START: usize = 17;
/// The checksum covers the bytes from here on.
const CRC_END: usize = 21;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_that_is_cut_off_is_refused_at_every_place() {
        let batch = BatchHeader::new(0, 0, 0).seal(std::iter::empty());
        assert!(read_batch(&batch).is_ok());
        for cut in 0..batch.len() {
            assert!(read_batch(&batch[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn what_follows_a_batch_is_left_alone() {
        let mut bytes = BatchHeader::new(0, 0, 0).seal(std::iter::empty()).to_vec();
        bytes.extend_from_slice(b"more");
        let (_, records) = read_batch(&bytes).expect("starts with a batch");
        assert_eq!(records, b"");
    }

    #[test]
    fn length_that_does_not_cover_the_header_is_refused() {
        for length in [i32::MIN, -1, 0, 48] {
            let mut batch = BatchHeader::new(0, 0, 0).seal(std::iter::empty());
            put(&mut batch, 8, length.to_be_bytes());
            let error = read_batch(&batch).unwrap_err();
            assert_eq!(
                (error.offset, error.kind),
                (8, DecodeErrorKind::BatchLength { length })
            );
        }
    }

    #[test]
    fn older_formats_are_refused_by_name() {
        let mut batch = BatchHeader::new(0, 0, 0).seal(std::iter::empty());
        batch[16] = 1;
        let error = read_batch(&batch).unwrap_err();
        assert_eq!(
            (error.offset, error.kind),
            (16, DecodeErrorKind::UnsupportedMagic { magic: 1 })
        );
    }

    #[test]
    fn damage_is_told_with_both_checksums() {
        let mut batch = BatchHeader::new(0, 0, 0).seal(std::iter::empty());
        batch[60] ^= 1;
        let error = read_batch(&batch).unwrap_err();
        assert_eq!((error.offset, error.field), (CRC_START, "RecordBatch.crc"));
        assert!(matches!(error.kind, DecodeErrorKind::Crc { .. }));
    }

    #[test]
    fn codec_shares_the_attributes_with_flags() {
        let attributes = Attributes(Attributes::TRANSACTIONAL).with_codec(4);
        assert_eq!(
            (attributes.codec(), attributes.with_codec(1).codec()),
            (4, 1)
        );
        assert!(attributes.has(Attributes::TRANSACTIONAL));
        assert!(!attributes.has(Attributes::CONTROL));
    }
}
