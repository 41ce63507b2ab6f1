//! Record batches, sound and unsound.

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

/// Where the checksummed part of a batch begins.
const CHECKED_FROM: usize = 21;

/// A batch to be.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    count: i32,
    value: Bytes,
    timestamp: i64,
    compression: Compression,
    producer_id: i64,
    epoch: i16,
    sequence: i32,
}

/// A batch of so many records: keys are "0", "1" and so on, times 1000, 1001 and so on.
pub(crate) fn batch(count: i32) -> Batch {
    Batch {
        count,
        value: Bytes::from_static(b"value"),
        timestamp: 1000,
        compression: Compression::None,
        producer_id: NO_PRODUCER_ID,
        epoch: NO_PRODUCER_EPOCH,
        sequence: NO_SEQUENCE,
    }
}

impl Batch {
    pub(crate) fn value(self, value: impl Into<Bytes>) -> Self {
        Self {
            value: value.into(),
            ..self
        }
    }

    /// Of the first record, in milliseconds.
    pub(crate) fn timestamp(self, timestamp: i64) -> Self {
        Self { timestamp, ..self }
    }

    /// Says so and compresses nothing: the broker must not look.
    pub(crate) fn compression(self, compression: Compression) -> Self {
        Self {
            compression,
            ..self
        }
    }

    pub(crate) fn producer(self, producer_id: i64, epoch: i16, sequence: i32) -> Self {
        Self {
            producer_id,
            epoch,
            sequence,
            ..self
        }
    }

    pub(crate) fn build(&self) -> Bytes {
        let records: Vec<Record> = (0..self.count).map(|index| self.record(index)).collect();
        let options = RecordEncodeOptions {
            version: 2,
            compression: self.compression,
        };
        let as_is = |from: &mut BytesMut, to: &mut BytesMut, _| {
            to.extend_from_slice(from);
            Ok(())
        };
        let mut bytes = BytesMut::new();
        RecordBatchEncoder::encode_with_custom_compression(
            &mut bytes,
            &records,
            &options,
            Some(as_is),
        )
        .unwrap();
        bytes.freeze()
    }

    fn record(&self, index: i32) -> Record {
        let name = StrBytes::from_static_str("name");
        Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(index),
            sequence: self.sequence.wrapping_add(index),
            timestamp: self.timestamp + i64::from(index),
            key: Some(Bytes::from(index.to_string())),
            value: Some(self.value.clone()),
            headers: IndexMap::from([(name, None)]),
        }
    }
}

/// A batch with some of its bytes replaced, and the checksum that goes with them.
pub(crate) fn altered(batch: &Bytes, at: usize, bytes: &[u8]) -> Bytes {
    let mut altered = BytesMut::from(&batch[..]);
    altered[at..at + bytes.len()].copy_from_slice(bytes);
    let checksum = crc32c::crc32c(&altered[CHECKED_FROM..]);
    altered[17..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
    altered.freeze()
}

/// A batch with other records and the length and checksum that go with them.
pub(crate) fn with_records(batch: &Bytes, records: &[u8]) -> Bytes {
    let mut whole = BytesMut::from(&batch[..61]);
    whole.extend_from_slice(records);
    let length = i32::try_from(whole.len() - 12).unwrap();
    altered(&whole.freeze(), 8, &length.to_be_bytes())
}
