//! No input makes the readers of batches and records panic or allocate; what they accept is
//! written again as it was read.

#![no_main]

use kafka_wire::record::{BATCH_HEADER_LEN, RecordFields, RecordReader, read_batch};
use kafka_wire_fuzz::peak_of;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (_, peak) = peak_of(|| read_batch(data).is_ok());
    assert_eq!(peak, 0);
    check_records(data);
    if let Some(batch) = repair(data) {
        let (header, records) = read_batch(&batch).expect("has been repaired");
        assert_eq!(
            header.seal([records].into_iter()),
            batch[..BATCH_HEADER_LEN]
        );
        if let Ok(reader) = header.read_records(records) {
            let read = reader.filter(Result::is_ok).count();
            let plain = RecordReader::new(records).filter(Result::is_ok).count();
            assert_eq!(read, plain);
        }
    }
});

fn check_records(bytes: &[u8]) {
    let (_, peak) = peak_of(|| {
        RecordReader::new(bytes)
            .map_while(Result::ok)
            .map(|r| r.headers.iter().count())
            .sum::<usize>()
    });
    assert_eq!(peak, 0);

    for record in RecordReader::new(bytes).map_while(Result::ok) {
        let fields = RecordFields {
            timestamp_delta: record.timestamp_delta,
            offset_delta: record.offset_delta,
            key: record.key,
            value: record.value,
            headers: &record.headers,
        };
        let mut written = Vec::new();
        fields.encode(&mut written);
        assert_eq!(written.len(), fields.encoded_len());
        let again = RecordReader::new(&written).next();
        assert_eq!(again, Some(Ok(record)));
    }
}

/// Makes a batch of the input whose length, format and checksum are right: no fuzzer guesses those.
fn repair(data: &[u8]) -> Option<Vec<u8>> {
    let mut batch = data.to_vec();
    let length = i32::try_from(batch.len().checked_sub(12)?).ok()?;
    batch.get_mut(8..12)?.copy_from_slice(&length.to_be_bytes());
    *batch.get_mut(16)? = 2;
    let crc = crc32c::crc32c(batch.get(21..)?);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    (batch.len() >= BATCH_HEADER_LEN).then_some(batch)
}
