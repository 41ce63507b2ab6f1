//! What holds for every message of every version, in both directions.

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};
use kafka_protocol::records::RecordBatchDecoder;
use kafka_wire::message::*;
use kafka_wire::record::{
    Attributes, BATCH_HEADER_LEN, BatchHeader, Header, RecordFields, RecordHeaders, read_batch,
};
use kafka_wire::{ApiKey, ErrorCode, Message, Reader, Writer};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{strategies, theirs as convert};

macro_rules! properties {
    ($($api:ident $name:ident: $type:ident;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn what_is_encoded_is_decoded_again() {
                every_version(ApiKey::$api, strategies::$name, |version, message| {
                    let bytes = encode(message, version);
                    let mut reader = Reader::new(&bytes);
                    assert_eq!($type::decode(&mut reader, version).as_ref(), Ok(message));
                    assert_eq!(reader.remaining(), 0);
                });
            }

            #[test]
            fn no_cut_is_a_message() {
                every_version(ApiKey::$api, strategies::$name, |version, message| {
                    let bytes = encode(message, version);
                    for cut in 0..bytes.len() {
                        let cut_off = $type::decode(&mut Reader::new(&bytes[..cut]), version);
                        assert!(cut_off.is_err(), "{cut} of {} bytes", bytes.len());
                    }
                });
            }

            #[test]
            fn another_implementation_reads_and_writes_the_same() {
                every_version(ApiKey::$api, strategies::$name, |version, message| {
                    let bytes = Bytes::from(encode(message, version));
                    let mut unread = bytes.clone();
                    let theirs = theirs::$type::decode(&mut unread, version)
                        .expect("what we write can be read");
                    assert!(unread.is_empty());
                    assert_eq!(&convert::$name(&theirs), message);

                    let mut written = BytesMut::new();
                    theirs.encode(&mut written, version).expect("what was read can be written");
                    assert_eq!(written, bytes);
                });
            }
        }
    )*};
}

properties! {
    ApiVersions api_versions_request: ApiVersionsRequest;
    ApiVersions api_versions_response: ApiVersionsResponse;
    Metadata metadata_request: MetadataRequest;
    Metadata metadata_response: MetadataResponse;
    Produce produce_request: ProduceRequest;
    Produce produce_response: ProduceResponse;
    InitProducerId init_producer_id_request: InitProducerIdRequest;
    InitProducerId init_producer_id_response: InitProducerIdResponse;
}

#[test]
fn frames_carry_header_and_size() {
    every_version(
        ApiKey::Produce,
        strategies::produce_request,
        |version, request| {
            let frame =
                encode_request(request, version, 77, Some("pbx")).expect("fits the version");
            let (size, frame) = frame
                .bytes
                .split_first_chunk()
                .expect("starts with the size");
            assert_eq!(i32::from_be_bytes(*size) as usize, frame.len());
            let (header, mut body) = decode_request_header(frame).expect("has a header");
            let expected = RequestHeader {
                api: ApiKey::Produce,
                version,
                correlation_id: 77,
                client_id: Some("pbx"),
            };
            assert_eq!(header, expected);
            assert_eq!(
                ProduceRequest::decode(&mut body, version).as_ref(),
                Ok(request)
            );
        },
    );
    every_version(
        ApiKey::Produce,
        strategies::produce_response,
        |version, response| {
            let frame =
                encode_response(ApiKey::Produce, response, version, -5).expect("fits the version");
            let frame = &frame.bytes[4..];
            assert_eq!(correlation_id(frame), Ok(-5));
            let decoded = decode_response::<ProduceResponse<'_>>(ApiKey::Produce, version, frame);
            assert_eq!(decoded, Ok((-5, response.clone())));
        },
    );
}

#[test]
fn split_records_leave_a_gap_that_all_lengths_count() {
    every_version(
        ApiKey::Produce,
        strategies::produce_request,
        |version, request| {
            let whole = encode_request(request, version, 1, None).expect("fits the version");
            let mut payloads = Vec::new();
            let mut split = request.clone();
            for partition in split
                .topics
                .iter_mut()
                .flat_map(|topic| &mut topic.partitions)
            {
                if let Some(Records::Whole(bytes)) = partition.records {
                    let (header, rest) = bytes.split_at(bytes.len().min(BATCH_HEADER_LEN));
                    partition.records = Some(Records::Split {
                        header,
                        rest: rest.len(),
                    });
                    payloads.push(rest);
                }
            }
            let frame = encode_request(&split, version, 1, None).expect("fits the version");
            assert_eq!(frame.gaps.len(), payloads.len());
            let mut joined = Vec::new();
            let mut sent = 0;
            for (gap, payload) in frame.gaps.iter().zip(payloads) {
                joined.extend_from_slice(&frame.bytes[sent..*gap]);
                joined.extend_from_slice(payload);
                sent = *gap;
            }
            joined.extend_from_slice(&frame.bytes[sent..]);
            assert_eq!(joined, whole.bytes);
        },
    );
}

#[test]
fn refusal_of_a_version_travels_in_the_form_of_version_0() {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![ApiVersion {
            api_key: 18,
            min_version: 0,
            max_version: 2,
        }],
        ..Default::default()
    };
    let as_v0 = encode(&response, 0);
    for version in 0..=4 {
        assert_eq!(encode(&response, version), as_v0);
        let decoded = ApiVersionsResponse::decode(&mut Reader::new(&as_v0), version);
        assert_eq!(decoded.as_ref(), Ok(&response));
    }
}

proptest! {
    #[test]
    fn batches_are_read_as_they_were_written(
        records in proptest::collection::vec(record(), 0..20),
        attributes in any::<i16>().prop_map(|bits| Attributes(bits).with_codec(0)),
        producer in any::<(i64, i16, i32)>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut written = Vec::new();
        for (delta, record) in (0..).zip(&records) {
            let before = written.len();
            let headers = record.headers();
            let fields = record.fields(delta, headers.as_slice());
            fields.encode(&mut written);
            prop_assert_eq!(written.len() - before, fields.encoded_len());
        }
        let header = BatchHeader {
            attributes,
            producer_id: producer.0,
            producer_epoch: producer.1,
            base_sequence: producer.2,
            ..BatchHeader::new(records.len() as i32, 1_700_000_000_000, 1_700_000_000_999)
        };
        // Where the records are cut into segments must not matter.
        let (first, second) = written.split_at(cut.index(written.len() + 1));
        let mut batch = header.seal([first, second].into_iter()).to_vec();
        batch.extend_from_slice(&written);

        let (read_header, read_records) = read_batch(&batch).expect("is whole");
        prop_assert_eq!(read_header, header);
        prop_assert_eq!(read_records, &written[..]);
        let views: Result<Vec<_>, _> = header.read_records(read_records).expect("plain").collect();
        let views = views.expect("are whole");
        prop_assert_eq!(views.len(), records.len());
        let mut again = Vec::new();
        for ((delta, record), view) in (0..).zip(&records).zip(views) {
            prop_assert_eq!(view.timestamp_delta, record.timestamp_delta);
            prop_assert_eq!(view.offset_delta, delta);
            prop_assert_eq!(view.key, record.key.as_deref());
            prop_assert_eq!(view.value, record.value.as_deref());
            prop_assert_eq!(view.headers.iter().collect::<Vec<_>>(), record.headers());
            // Rewriting copies the header section as it is.
            record.fields(delta, &view.headers).encode(&mut again);
        }
        prop_assert_eq!(again, written);
    }

    #[test]
    fn another_implementation_reads_the_batches(
        mut records in proptest::collection::vec(record(), 1..20),
        base_sequence in 0..i32::MAX - 20,
    ) {
        for record in &mut records {
            // It adds deltas to the base without a check, and keeps one header of each name.
            record.timestamp_delta >>= 1;
            record.headers.truncate(1);
        }
        let mut written = Vec::new();
        for (delta, record) in (0..).zip(&records) {
            record.fields(delta, record.headers().as_slice()).encode(&mut written);
        }
        let base_timestamp = 1_700_000_000_000;
        let header = BatchHeader {
            producer_id: 9,
            producer_epoch: 3,
            base_sequence,
            ..BatchHeader::new(records.len() as i32, base_timestamp, base_timestamp)
        };
        let mut batch = BytesMut::from(&header.seal([&written[..]].into_iter())[..]);
        batch.extend_from_slice(&written);

        let theirs = RecordBatchDecoder::decode(&mut batch.freeze()).expect("can be read").records;
        prop_assert_eq!(theirs.len(), records.len());
        for ((delta, ours), theirs) in (0..).zip(&records).zip(&theirs) {
            prop_assert_eq!((theirs.producer_id, theirs.producer_epoch), (9, 3));
            prop_assert_eq!(theirs.offset, i64::from(delta));
            prop_assert_eq!(theirs.sequence, base_sequence + delta);
            prop_assert_eq!(theirs.timestamp, base_timestamp + ours.timestamp_delta);
            prop_assert_eq!(theirs.key.as_deref(), ours.key.as_deref());
            prop_assert_eq!(theirs.value.as_deref(), ours.value.as_deref());
            let headers = theirs.headers.iter();
            let headers = headers.map(|(name, value)| Header { name, value: value.as_deref() });
            prop_assert_eq!(headers.collect::<Vec<_>>(), ours.headers());
        }
    }

    #[test]
    fn a_changed_bit_of_a_batch_is_noticed(at in 8..200usize, bit in 0..8u32) {
        let mut records = Vec::new();
        let value = [b'x'; 150];
        let headers: &[Header<'_>] = &[];
        RecordFields { timestamp_delta: 0, offset_delta: 0, key: None, value: Some(&value), headers }
            .encode(&mut records);
        let mut batch = BatchHeader::new(1, 0, 0).seal([&records[..]].into_iter()).to_vec();
        batch.extend_from_slice(&records);
        batch[at] ^= 1 << bit;
        // The leader epoch is the broker's to set, and not covered by the checksum.
        prop_assert_eq!(read_batch(&batch).is_err(), !(12..16).contains(&at));
    }
}

#[derive(Clone, Debug)]
struct OwnedRecord {
    timestamp_delta: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl OwnedRecord {
    fn headers(&self) -> Vec<Header<'_>> {
        let headers = self.headers.iter();
        headers
            .map(|(name, value)| Header {
                name,
                value: value.as_deref(),
            })
            .collect()
    }

    fn fields<'a, H: RecordHeaders + ?Sized>(
        &'a self,
        offset_delta: i32,
        headers: &'a H,
    ) -> RecordFields<'a, H> {
        RecordFields {
            timestamp_delta: self.timestamp_delta,
            offset_delta,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers,
        }
    }
}

fn record() -> impl Strategy<Value = OwnedRecord> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let headers = proptest::collection::vec((".{0,8}", bytes()), 0..4);
    (any::<i64>(), bytes(), bytes(), headers).prop_map(|(timestamp_delta, key, value, headers)| {
        OwnedRecord {
            timestamp_delta,
            key,
            value,
            headers,
        }
    })
}

/// Runs `check` on arbitrary messages of every version of `api`.
fn every_version<T: Debug + 'static>(
    api: ApiKey,
    messages: fn(i16) -> BoxedStrategy<T>,
    check: impl Fn(i16, &T),
) {
    let versions = api.versions();
    for version in versions.min..=versions.max {
        let mut runner = TestRunner::new(Config::with_cases(48));
        let result = runner.run(&messages(version), |message| {
            check(version, &message);
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{} version {version}: {error}", api.name()));
    }
}

fn encode<'a>(message: &impl Message<'a>, version: i16) -> Vec<u8> {
    let mut writer = Writer::new();
    message
        .encode(&mut writer, version)
        .expect("fits the version");
    writer.into_parts().bytes
}
