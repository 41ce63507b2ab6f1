//! The header of a record batch (magic 2), and what a broker demands of a batch before it stores it.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::ResponseError;

use super::record::{self, Parsed, Record};

/// Where the checksummed part of a batch begins.
const CHECKED_FROM: usize = 21;
const HEADER: usize = 61;
const MAGIC: i8 = 2;
/// What the length field does not count: the base offset and itself.
const BEFORE_LENGTH: usize = 12;

const CODEC: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

const ZSTD: i16 = 4;
/// KIP-110: who speaks an older Produce cannot have meant this codec.
const ZSTD_SINCE: i16 = 7;

/// Of producers that are not idempotent.
pub(crate) const NO_PRODUCER_ID: i64 = -1;

/// The fixed fields at the beginning of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) base_offset: i64,
    length: i32,
    magic: i8,
    checksum: u32,
    attributes: i16,
    last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) count: i32,
}

impl Header {
    /// `None`: there are too few bytes for a header.
    pub(crate) fn read(batch: &[u8]) -> Option<Self> {
        let mut fields = batch.get(..HEADER)?;
        let base_offset = fields.get_i64();
        let length = fields.get_i32();
        let _leader_epoch = fields.get_i32();
        Some(Self {
            base_offset,
            length,
            magic: fields.get_i8(),
            checksum: fields.get_u32(),
            attributes: fields.get_i16(),
            last_offset_delta: fields.get_i32(),
            base_timestamp: fields.get_i64(),
            max_timestamp: fields.get_i64(),
            producer_id: fields.get_i64(),
            producer_epoch: fields.get_i16(),
            base_sequence: fields.get_i32(),
            count: fields.get_i32(),
        })
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.attributes & CODEC != 0
    }

    pub(crate) fn has_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// From now on its records have this time, in milliseconds since the epoch.
    pub(crate) fn set_append_time(&mut self, time: i64) {
        self.attributes |= LOG_APPEND_TIME;
        self.max_timestamp = time;
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Sequences wrap from 2^31-1 to 0.
    pub(crate) fn last_sequence(&self) -> i32 {
        self.base_sequence.wrapping_add(self.last_offset_delta) & i32::MAX
    }
}

/// Why a batch is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) error: ResponseError,
    pub(crate) message: String,
    /// Index in the batch of each record that is to blame, and why (KIP-467).
    pub(crate) records: Vec<(i32, String)>,
}

impl Rejection {
    pub(crate) fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self {
            error,
            message: message.into(),
            records: Vec::new(),
        }
    }
}

/// What is allowed in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Version of the Produce request that brought it.
    pub(crate) produce_version: i16,
    /// `max.message.bytes`: the whole batch, as it is on the wire.
    pub(crate) max_bytes: usize,
    /// The latest timestamp that is taken (`message.timestamp.after.max.ms`), in milliseconds.
    pub(crate) latest_timestamp: i64,
}

/// The header of the only batch in `records`, if a broker would store that batch. Its times are as
/// the broker has them: those of the records' producer.
///
/// Records are checked one by one when they are not compressed: the mock carries no codecs. It is
/// stricter there than Kafka, which stores offset deltas, lengths below -1 and header names as they
/// come.
pub(crate) fn check(records: &Bytes, limits: Limits) -> Result<Header, Rejection> {
    let mut header = only_batch(records)?;
    check_codec(&header, limits.produce_version)?;
    check_size(records, limits.max_bytes)?;
    check_checksum(records, &header)?;
    check_fields(&header)?;
    let timestamps = if header.is_compressed() {
        vec![(header.last_offset_delta, header.max_timestamp)]
    } else {
        check_records(records, &header)?
    };
    check_timestamps(&timestamps, limits.latest_timestamp)?;
    let latest = timestamps.iter().map(|(_, timestamp)| *timestamp).max();
    header.max_timestamp = latest.unwrap_or(header.max_timestamp);
    header.attributes &= !LOG_APPEND_TIME;
    Ok(header)
}

/// A batch as the leader stores it, under the given header.
///
/// It is a copy: a slice would keep the whole request in memory for as long as the batch is retained.
pub(crate) fn stamp(batch: &[u8], header: &Header, leader_epoch: i32) -> Bytes {
    let mut stamped = BytesMut::from(batch);
    stamped[0..8].copy_from_slice(&header.base_offset.to_be_bytes());
    stamped[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
    stamped[21..23].copy_from_slice(&header.attributes.to_be_bytes());
    stamped[35..43].copy_from_slice(&header.max_timestamp.to_be_bytes());
    if stamped[CHECKED_FROM..HEADER] != batch[CHECKED_FROM..HEADER] {
        let checksum = crc32c::crc32c(&stamped[CHECKED_FROM..]);
        stamped[17..21].copy_from_slice(&checksum.to_be_bytes());
    }
    stamped.freeze()
}

/// What a stored batch holds.
///
/// # Panics
///
/// It is compressed.
pub(crate) fn records(topic: &str, partition: i32, batch: &Bytes) -> Vec<Record> {
    let header = Header::read(batch).expect("only checked batches are stored");
    assert!(
        !header.is_compressed(),
        "the batch at offset {} of {topic}-{partition} is compressed, and the mock has no codecs",
        header.base_offset
    );
    parse_records(batch)
        .map(|record| Record {
            topic: topic.to_owned(),
            partition,
            offset: header.base_offset + i64::from(record.offset_delta),
            timestamp: if header.has_log_append_time() {
                header.max_timestamp
            } else {
                header.base_timestamp.saturating_add(record.timestamp_delta)
            },
            key: record.key,
            value: record.value,
            headers: record.headers,
        })
        .collect()
}

/// The records of a stored batch that is not compressed.
pub(crate) fn parse_records(batch: &Bytes) -> impl Iterator<Item = Parsed> {
    let mut rest = batch.slice(HEADER..);
    // Stored batches have been checked: they end where their records end.
    std::iter::from_fn(move || record::parse(&mut rest).ok())
}

fn only_batch(records: &Bytes) -> Result<Header, Rejection> {
    let Some(header) = Header::read(records) else {
        return Err(invalid(format!(
            "{} bytes are no record batch: its header has {HEADER}",
            records.len()
        )));
    };
    let length = usize::try_from(header.length).unwrap_or(0) + BEFORE_LENGTH;
    if length < HEADER || header.magic > MAGIC {
        return Err(Rejection::new(
            ResponseError::CorruptMessage,
            format!("no batch has magic {} and {length} bytes", header.magic),
        ));
    }
    if header.magic < MAGIC {
        return Err(invalid(format!(
            "magic is {}, since Produce 3 it must be {MAGIC}",
            header.magic
        )));
    }
    if length > records.len() {
        return Err(invalid(format!(
            "the batch says it has {length} bytes, {} came",
            records.len()
        )));
    }
    if length < records.len() {
        return Err(invalid(format!(
            "{} bytes follow the batch of {length}: a partition takes exactly one batch",
            records.len() - length
        )));
    }
    Ok(header)
}

fn check_codec(header: &Header, produce_version: i16) -> Result<(), Rejection> {
    match header.attributes & CODEC {
        ZSTD if produce_version < ZSTD_SINCE => Err(Rejection::new(
            ResponseError::UnsupportedCompressionType,
            format!("zstd needs Produce {ZSTD_SINCE}, this is {produce_version}"),
        )),
        codec if codec > ZSTD => Err(Rejection::new(
            // Kafka has no better error for this.
            ResponseError::UnknownServerError,
            format!("there is no compression type {codec}"),
        )),
        _ => Ok(()),
    }
}

fn check_size(records: &Bytes, max_bytes: usize) -> Result<(), Rejection> {
    if records.len() > max_bytes {
        return Err(Rejection::new(
            ResponseError::MessageTooLarge,
            format!(
                "the batch has {} bytes, the topic takes {max_bytes}",
                records.len()
            ),
        ));
    }
    Ok(())
}

fn check_checksum(records: &Bytes, header: &Header) -> Result<(), Rejection> {
    let checksum = crc32c::crc32c(&records[CHECKED_FROM..]);
    if checksum != header.checksum {
        return Err(Rejection::new(
            ResponseError::CorruptMessage,
            format!(
                "the batch says CRC-32C {:08x}, its bytes have {checksum:08x}",
                header.checksum
            ),
        ));
    }
    Ok(())
}

fn check_fields(header: &Header) -> Result<(), Rejection> {
    if header.base_offset != 0 {
        return Err(invalid(format!(
            "the base offset of a batch to append is 0, not {}",
            header.base_offset
        )));
    }
    if header.count <= 0 {
        return Err(invalid(format!(
            "the batch counts {} records",
            header.count
        )));
    }
    if header.last_offset_delta != header.count - 1 {
        return Err(invalid(format!(
            "the batch counts {} records, and its last offset delta is {}",
            header.count, header.last_offset_delta
        )));
    }
    if header.attributes & CONTROL != 0 {
        return Err(invalid("clients may not write control records"));
    }
    if header.attributes & TRANSACTIONAL != 0 {
        return Err(Rejection::new(
            ResponseError::TransactionalIdAuthorizationFailed,
            "the batch is part of a transaction, and this broker has none",
        ));
    }
    if header.producer_id != NO_PRODUCER_ID && header.base_sequence < 0 {
        return Err(invalid(format!(
            "producer {} gave sequence number {}",
            header.producer_id, header.base_sequence
        )));
    }
    Ok(())
}

/// Returns the index and the timestamp of each record.
fn check_records(records: &Bytes, header: &Header) -> Result<Vec<(i32, i64)>, Rejection> {
    let mut rest = records.slice(HEADER..);
    let mut timestamps = Vec::new();
    for index in 0..header.count {
        let blame = |message: String| Rejection {
            error: ResponseError::InvalidRecord,
            message: format!("record {index}: {message}"),
            records: vec![(index, message)],
        };
        let record = record::parse(&mut rest).map_err(|flaw| blame(flaw.to_string()))?;
        if record.offset_delta != index {
            return Err(blame(format!("offset delta is {}", record.offset_delta)));
        }
        timestamps.push((
            index,
            header.base_timestamp.saturating_add(record.timestamp_delta),
        ));
    }
    if !rest.is_empty() {
        return Err(invalid(format!(
            "{} bytes follow the last of {} records",
            rest.len(),
            header.count
        )));
    }
    Ok(timestamps)
}

fn check_timestamps(timestamps: &[(i32, i64)], latest: i64) -> Result<(), Rejection> {
    let late: Vec<(i32, String)> = timestamps
        .iter()
        .filter(|(_, timestamp)| *timestamp > latest)
        .map(|(index, timestamp)| (*index, format!("{timestamp} is later than {latest}")))
        .collect();
    if late.is_empty() {
        return Ok(());
    }
    Err(Rejection {
        error: ResponseError::InvalidTimestamp,
        message: format!("{} records are too far in the future", late.len()),
        records: late,
    })
}

fn invalid(message: impl Into<String>) -> Rejection {
    Rejection::new(ResponseError::InvalidRecord, message)
}
