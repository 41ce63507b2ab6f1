//! Frames exchanged between Kafka's own client classes and a real broker (Apache Kafka 4.4.0, two
//! nodes), and logs that it kept of batches written by Java and by librdkafka.
//!
//! Each line of a `.hex` file is one frame with its size: direction, version, bytes. The topic
//! `golden` has partitions 0 and 2 on node 1 and partition 1 on node 2, `compact` wants keys,
//! `stamped` takes the broker's time.

use std::fmt::Debug;

use kafka_wire::compression::{Codec, decompress};
use kafka_wire::message::*;
use kafka_wire::record::{Attributes, BATCH_HEADER_LEN, BatchHeader, RecordReader, read_batch};
use kafka_wire::{ApiKey, DecodeErrorKind, ErrorCode, Message, Uuid};

#[test]
fn api_versions() {
    let frames = frames(API_VERSIONS);
    for frame in &frames {
        match frame.direction {
            "request" => {
                let request: ApiVersionsRequest<'_> = frame.request();
                let name = if frame.version >= 3 {
                    "event-kafka"
                } else {
                    ""
                };
                assert_eq!(request.client_software_name, name);
            }
            "response" => {
                let response: ApiVersionsResponse<'_> = frame.response(ApiKey::ApiVersions);
                assert_eq!(response.error_code, ErrorCode::NONE);
                let produce = ApiVersion {
                    api_key: 0,
                    min_version: 0,
                    max_version: 13,
                };
                assert!(response.api_keys.contains(&produce));
                let transactions = response
                    .finalized_features
                    .iter()
                    .find(|f| f.name == "transaction.version");
                let level = transactions.map(|feature| feature.max_version_level);
                assert_eq!(level, (frame.version >= 3).then_some(2));
            }
            // Version 99 was asked for.
            "request-refused" => {
                let (header, _) = decode_request_header(&frame.bytes[4..]).expect("has a header");
                assert_eq!((header.version, header.client_id), (99, Some("golden")));
            }
            _ => {
                let (_, response) = decode_response::<ApiVersionsResponse<'_>>(
                    ApiKey::ApiVersions,
                    4,
                    frame.body(),
                )
                .expect("is in the form of version 0");
                assert_eq!(response.error_code, ErrorCode::UNSUPPORTED_VERSION);
                let offered = ApiVersion {
                    api_key: 18,
                    min_version: 0,
                    max_version: 5,
                };
                assert_eq!(response.api_keys, [offered]);
            }
        }
    }
    assert_every_version(&frames, ApiKey::ApiVersions);
}

#[test]
fn metadata() {
    let frames = frames(METADATA);
    for frame in &frames {
        let version = frame.version;
        match frame.direction {
            "request" => {
                let request: MetadataRequest<'_> = frame.request();
                let names: Vec<_> = request
                    .topics
                    .iter()
                    .flatten()
                    .map(|topic| topic.name)
                    .collect();
                assert_eq!(names, [Some("golden"), Some("absent")]);
                assert_eq!(request.allow_auto_topic_creation, version < 4);
            }
            "response" => check_metadata(&frame.response(ApiKey::Metadata), version),
            "request-by-id" => {
                let request: MetadataRequest<'_> = frame.request();
                let topics = request.topics.expect("asks for some");
                assert!(
                    topics
                        .iter()
                        .all(|t| t.name.is_none() && t.topic_id != Uuid::ZERO)
                );
            }
            _ => {
                let response: MetadataResponse<'_> = frame.response(ApiKey::Metadata);
                let [unknown, known] = &response.topics[..] else {
                    panic!("two topics")
                };
                assert_eq!(unknown.error_code, ErrorCode::UNKNOWN_TOPIC_ID);
                assert_eq!((unknown.name, unknown.topic_id), (None, Uuid([0x11; 16])));
                assert_eq!(known.name, Some("stamped"));
            }
        }
    }
    assert_every_version(&frames, ApiKey::Metadata);
}

fn check_metadata(response: &MetadataResponse<'_>, version: i16) {
    let mut brokers = response.brokers.clone();
    brokers.sort_by_key(|broker| broker.node_id);
    let broker = |node_id, port, rack| {
        let rack = Some(rack).filter(|_| version >= 1);
        MetadataBroker {
            node_id,
            host: "127.0.0.1",
            port,
            rack,
        }
    };
    assert_eq!(
        brokers,
        [broker(1, 19110, "rack-1"), broker(2, 19120, "rack-2")]
    );
    assert_eq!(
        response.cluster_id,
        (version >= 2).then_some("AAAAAAAAQACAAAAAAAAAAQ")
    );
    assert_eq!(
        response.cluster_authorized_operations != i32::MIN,
        (8..=10).contains(&version)
    );

    let topic = |name| {
        let found = response
            .topics
            .iter()
            .find(|topic| topic.name == Some(name));
        found.expect("was asked for")
    };
    assert_eq!(
        topic("absent").error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let golden = topic("golden");
    assert_eq!(golden.error_code, ErrorCode::NONE);
    assert_eq!(golden.topic_id != Uuid::ZERO, version >= 10);
    assert_eq!(golden.topic_authorized_operations != i32::MIN, version >= 8);
    let mut partitions = golden.partitions.clone();
    partitions.sort_by_key(|partition| partition.partition_index);
    let epoch = if version >= 7 { 0 } else { -1 };
    let expected = [(0, 1), (1, 2), (2, 1)].map(|(partition_index, leader_id)| MetadataPartition {
        partition_index,
        leader_id,
        leader_epoch: epoch,
        replica_nodes: vec![leader_id],
        isr_nodes: vec![leader_id],
        ..Default::default()
    });
    assert_eq!(partitions, expected);
}

#[test]
fn produce() {
    let frames = frames(PRODUCE);
    for frame in &frames {
        match frame.direction {
            "request" => check_produce_request(&frame.request(), frame.version),
            _ => check_produce_response(&frame.response(ApiKey::Produce), frame.version),
        }
    }
    assert_every_version(&frames, ApiKey::Produce);
}

fn check_produce_request(request: &ProduceRequest<'_>, version: i16) {
    assert_eq!(
        (request.transactional_id, request.acks, request.timeout_ms),
        (None, -1, 3000)
    );
    assert_eq!(request.topics.len(), 3);
    for topic in &request.topics {
        assert_eq!(topic.name.is_empty(), version >= 13);
        assert_eq!(topic.topic_id == Uuid::ZERO, version < 13);
        for partition in &topic.partitions {
            let Some(Records::Whole(batch)) = partition.records else {
                panic!("has records")
            };
            let (header, records) = read_batch(batch).expect("is whole");
            assert_eq!(batch.len(), BATCH_HEADER_LEN + records.len());
            assert_eq!(header.base_timestamp, 1_700_000_000_000);
        }
    }
}

fn check_produce_response(response: &ProduceResponse<'_>, version: i16) {
    // The broker groups its answers by outcome, so a topic may come twice.
    let mut answers = Vec::new();
    for topic in &response.topics {
        assert_eq!(topic.topic_id == Uuid::ZERO, version < 13);
        answers.extend(topic.partitions.iter().map(|partition| (topic, partition)));
    }
    let with_error = |code| {
        let mut found = answers
            .iter()
            .filter(move |(_, partition)| partition.error_code == code);
        let (_, partition) = found.next().expect("one partition ended so");
        partition
    };
    with_error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    let moved = with_error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    if version >= 10 {
        assert_eq!(
            moved.current_leader,
            LeaderIdAndEpoch {
                leader_id: 2,
                leader_epoch: 0
            }
        );
        let node = NodeEndpoint {
            node_id: 2,
            host: "127.0.0.1",
            port: 19120,
            rack: Some("rack-2"),
        };
        assert_eq!(response.node_endpoints, [node]);
    } else {
        assert_eq!(moved.current_leader, LeaderIdAndEpoch::default());
        assert_eq!(response.node_endpoints, []);
    }

    let invalid = with_error(ErrorCode::INVALID_RECORD);
    assert_eq!(invalid.error_message.is_some(), version >= 8);
    let refused: Vec<_> = invalid
        .record_errors
        .iter()
        .map(|error| error.batch_index)
        .collect();
    assert_eq!(refused, if version >= 8 { vec![0] } else { vec![] });

    let delivered = answers
        .iter()
        .filter(|(_, partition)| partition.error_code.is_ok());
    let stamps: Vec<_> = delivered
        .map(|(_, partition)| partition.log_append_time_ms)
        .collect();
    assert_eq!(stamps.len(), 2);
    // Only `stamped` takes the broker's time.
    assert_eq!(stamps.iter().filter(|time| **time == -1).count(), 1);
}

#[test]
fn init_producer_id() {
    let frames = frames(INIT_PRODUCER_ID);
    for frame in &frames {
        let is_transactional = frame.direction.ends_with("-transactional");
        if frame.direction.starts_with("request") {
            let request: InitProducerIdRequest<'_> = frame.request();
            let expected = InitProducerIdRequest {
                transactional_id: is_transactional.then_some("tx"),
                transaction_timeout_ms: 60_000,
                ..Default::default()
            };
            assert_eq!(request, expected);
        } else {
            let response: InitProducerIdResponse = frame.response(ApiKey::InitProducerId);
            if is_transactional {
                // The other node coordinates this transactional id.
                assert_eq!(response.error_code, ErrorCode::NOT_COORDINATOR);
                assert_eq!(response.producer_id, -1);
            } else {
                assert_eq!(response.error_code, ErrorCode::NONE);
                assert_eq!(
                    (response.producer_id >= 0, response.producer_epoch),
                    (true, 0)
                );
            }
        }
    }
    assert_every_version(&frames, ApiKey::InitProducerId);
}

#[test]
fn batches_of_the_java_client() {
    let batches = batches(include_bytes!("../golden/java.log"));
    assert_eq!(batches.len(), 3);
    for (n, (header, records)) in (0..).zip(&batches) {
        let expected = BatchHeader {
            base_offset: 3 * n,
            partition_leader_epoch: 0,
            ..BatchHeader::new(3, 1_700_000_000_000, 1_700_000_006_000)
        };
        assert_eq!(*header, expected);
        let records: Vec<_> = header
            .read_records(records)
            .expect("plain")
            .map(Result::unwrap)
            .collect();
        let contents = records.iter().map(|r| {
            (
                r.timestamp_delta,
                r.offset_delta,
                text(r.key),
                text(r.value),
            )
        });
        let expected = [
            (0, 0, Some("alice"), Some("one")),
            (3000, 1, None, Some("two")),
            (6000, 2, Some("bob"), None),
        ];
        assert!(contents.eq(expected));
        let headers = records[0]
            .headers
            .iter()
            .map(|header| (header.name, header.value));
        assert!(headers.eq([("trace", Some(&b"abc"[..])), ("none", None)]));
    }
}

#[test]
fn batches_of_librdkafka() {
    let batches = batches(include_bytes!("../golden/librdkafka.log"));
    let [(plain, events), (idempotent, one), (compressed, lz4)] = &batches[..] else {
        panic!("three batches")
    };

    let values = plain.read_records(events).expect("plain").map(|record| {
        let record = record.expect("is whole");
        let headers: Vec<_> = record.headers.iter().map(|h| (h.name, h.value)).collect();
        assert_eq!(
            headers,
            [("event", Some(&b"E_PIKE"[..])), ("empty", Some(&b""[..]))]
        );
        (
            record.key.expect("has a key"),
            record.value.expect("has a value"),
        )
    });
    let expected: [(&[u8], &[u8]); 3] = [
        (b"call-1", b"INVITE sip:bob"),
        (b"call-1", b"BYE sip:bob"),
        (b"call-2", b""),
    ];
    assert!(values.eq(expected));

    assert_eq!((idempotent.base_offset, idempotent.record_count), (3, 1));
    assert_eq!(
        (idempotent.producer_epoch, idempotent.base_sequence),
        (0, 0)
    );
    assert!(idempotent.producer_id >= 0);
    assert_eq!(idempotent.read_records(one).expect("plain").count(), 1);

    assert_eq!(compressed.attributes, Attributes::default().with_codec(3));
    let refused = compressed
        .read_records(lz4)
        .map(|_| ())
        .map_err(|error| error.kind);
    assert_eq!(refused, Err(DecodeErrorKind::Compressed { codec: 3 }));
    let records = decompress(Codec::Lz4, lz4, 100_000).expect("standard LZ4");
    let count = RecordReader::new(&records).filter(Result::is_ok).count();
    assert_eq!(i32::try_from(count), Ok(compressed.record_count));
}

/// The batches of a log; each must be what [`BatchHeader::seal`] makes of its parts.
fn batches(mut log: &[u8]) -> Vec<(BatchHeader, &[u8])> {
    let mut batches = Vec::new();
    while !log.is_empty() {
        let (header, records) = read_batch(log).expect("is whole");
        assert_eq!(header.seal([records].into_iter()), log[..BATCH_HEADER_LEN]);
        log = &log[BATCH_HEADER_LEN + records.len()..];
        batches.push((header, records));
    }
    batches
}

fn text(bytes: Option<&[u8]>) -> Option<&str> {
    bytes.map(|bytes| std::str::from_utf8(bytes).expect("is text"))
}

struct Frame {
    direction: &'static str,
    version: i16,
    bytes: Vec<u8>,
}

impl Frame {
    fn body(&self) -> &[u8] {
        &self.bytes[4..]
    }

    /// Decodes a request, and checks that encoding it gives the same bytes.
    fn request<'a, R: Request<'a>>(&'a self) -> R {
        let (header, mut body) = decode_request_header(self.body()).expect("has a header");
        assert_eq!((header.api, header.version), (R::API, self.version));
        let request = R::decode(&mut body, self.version).expect("is a request");
        assert_eq!(body.remaining(), 0);
        let again = encode_request(
            &request,
            self.version,
            header.correlation_id,
            header.client_id,
        );
        assert_eq!(again.expect("fits its version").bytes, self.bytes);
        request
    }

    /// Decodes a response, and checks that encoding it gives the same bytes.
    fn response<'a, R: Message<'a> + Debug>(&'a self, api: ApiKey) -> R {
        let (correlation_id, response) =
            decode_response::<R>(api, self.version, self.body()).expect("is a response");
        let again = encode_response(api, &response, self.version, correlation_id);
        assert_eq!(
            again.expect("fits its version").bytes,
            self.bytes,
            "{response:?}"
        );
        response
    }
}

fn frames(file: &'static str) -> Vec<Frame> {
    let frame = |line: &'static str| {
        let mut columns = line.split(' ');
        let mut column = || columns.next().expect("three columns");
        Frame {
            direction: column(),
            version: column().parse().expect("a version"),
            bytes: from_hex(column()),
        }
    };
    file.lines().map(frame).collect()
}

fn from_hex(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two hex digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn assert_every_version(frames: &[Frame], api: ApiKey) {
    for direction in ["request", "response"] {
        let found = frames.iter().filter(|frame| frame.direction == direction);
        let versions = api.versions();
        assert!(
            found
                .map(|frame| frame.version)
                .eq(versions.min..=versions.max),
            "{direction}"
        );
    }
}

const API_VERSIONS: &str = include_str!("../golden/api_versions.hex");
const METADATA: &str = include_str!("../golden/metadata.hex");
const PRODUCE: &str = include_str!("../golden/produce.hex");
const INIT_PRODUCER_ID: &str = include_str!("../golden/init_producer_id.hex");
