//! Bytes that no client would send.

use std::panic;

use kafka_mock::{ApiKey, Cluster};
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, CreateTopicsRequest, FetchRequest, FindCoordinatorRequest,
    JoinGroupRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
    ProduceRequest,
};
use kafka_protocol::protocol::Request;

use crate::batches::batch;
use crate::wire::{Client, NEWEST_FETCH, Topic, fetch_request, frame, produce_request};

fn assert_alive(cluster: &Cluster) {
    let response = Client::of(cluster, 1).call(13, &MetadataRequest::default());
    assert_eq!(response.brokers.len(), 1);
}

/// A request of which only the header is sound.
fn with_body(api: ApiKey, version: i16, header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame.extend_from_slice(&(api as i16).to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&1i32.to_be_bytes());
    frame.extend_from_slice(header);
    frame.extend_from_slice(body);
    let length = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// No client id; without and with tagged fields.
const OLD_HEADER: &[u8] = &[0xff, 0xff];
const HEADER: &[u8] = &[0xff, 0xff, 0];

#[test]
fn a_frame_that_is_too_large_closes_the_connection() {
    let cluster = Cluster::start().unwrap();
    for length in [100 * 1024 * 1024 + 1, u32::MAX] {
        let mut client = Client::of(&cluster, 1);
        client.send_bytes(&length.to_be_bytes()).unwrap();
        client.assert_closed();
    }
    assert_alive(&cluster);
}

#[test]
fn a_frame_without_a_header_closes_the_connection() {
    let cluster = Cluster::start().unwrap();
    for length in 0..8u32 {
        let mut client = Client::of(&cluster, 1);
        let mut frame = length.to_be_bytes().to_vec();
        frame.resize(4 + length as usize, 0);
        client.send_bytes(&frame).unwrap();
        client.assert_closed();
    }
    assert_alive(&cluster);
}

#[test]
fn bytes_after_a_request_close_the_connection() {
    let cluster = Cluster::start().unwrap();
    let mut request = frame(13, 1, &MetadataRequest::default()).to_vec();
    request.push(0);
    let length = u32::try_from(request.len() - 4).unwrap();
    request[..4].copy_from_slice(&length.to_be_bytes());
    let mut client = Client::of(&cluster, 1);
    client.send_bytes(&request).unwrap();
    client.assert_closed();
}

/// Memory for what these announce cannot be had: trying to would end the process.
#[test]
fn arrays_that_announce_more_than_is_there_are_refused() {
    let cluster = Cluster::start().unwrap();
    let many = i32::MAX.to_be_bytes();
    let compact = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let acks_and_timeout = [0xff, 0xff, 0, 0, 0x75, 0x30];
    let old = |before: &[u8]| [before, &many].concat();
    let new = |before: &[u8]| [before, &compact].concat();
    let no_transaction = [&[0xff, 0xff][..], &acks_and_timeout].concat();
    let compact_no_transaction = [&[0][..], &acks_and_timeout].concat();
    // Group, two time-outs, member, no name of it, and the type of protocol.
    const JOINING: [u8; 12] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];
    // Group, member, its epoch, no name of it, no rack, and a time-out.
    const BEATING: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for frame in [
        with_body(ApiKey::Produce, 3, OLD_HEADER, &old(&no_transaction)),
        with_body(ApiKey::Produce, 9, HEADER, &new(&compact_no_transaction)),
        with_body(ApiKey::Metadata, 1, OLD_HEADER, &old(&[])),
        with_body(ApiKey::Metadata, 9, HEADER, &new(&[])),
        with_body(ApiKey::Fetch, 4, OLD_HEADER, &old(&[0; 17])),
        with_body(ApiKey::Fetch, 12, HEADER, &new(&[0; 21])),
        with_body(ApiKey::ListOffsets, 1, OLD_HEADER, &old(&[0; 4])),
        with_body(ApiKey::ListOffsets, 6, HEADER, &new(&[0; 5])),
        with_body(ApiKey::CreateTopics, 2, OLD_HEADER, &old(&[])),
        with_body(ApiKey::CreateTopics, 5, HEADER, &new(&[])),
        with_body(ApiKey::DeleteTopics, 1, OLD_HEADER, &old(&[])),
        with_body(ApiKey::FindCoordinator, 4, HEADER, &new(&[0])),
        with_body(ApiKey::OffsetCommit, 2, OLD_HEADER, &old(&[0; 16])),
        with_body(
            ApiKey::OffsetCommit,
            8,
            HEADER,
            &new(&[1, 0, 0, 0, 0, 1, 0]),
        ),
        with_body(ApiKey::OffsetFetch, 1, OLD_HEADER, &old(&[0; 2])),
        with_body(ApiKey::OffsetFetch, 6, HEADER, &new(&[1])),
        with_body(ApiKey::OffsetFetch, 9, HEADER, &new(&[])),
        with_body(ApiKey::JoinGroup, 0, OLD_HEADER, &old(&[0; 10])),
        with_body(ApiKey::JoinGroup, 6, HEADER, &new(&JOINING)),
        with_body(ApiKey::ConsumerGroupHeartbeat, 0, HEADER, &new(&BEATING)),
        with_body(ApiKey::OffsetForLeaderEpoch, 4, HEADER, &new(&[0; 4])),
        // Tagged fields of the header.
        with_body(ApiKey::Metadata, 9, &new(&[0xff, 0xff]), &[]),
    ] {
        let mut client = Client::of(&cluster, 1);
        client.send_bytes(&frame).unwrap();
        client.assert_closed();
    }
    assert_alive(&cluster);
}

#[test]
fn flipped_bits_do_no_harm() {
    let cluster = Cluster::builder().profile(kafka_mock::Profile::KAFKA_4_4);
    let cluster = cluster.start().unwrap();
    let topic = Topic::create(&cluster, "events", 1);
    let requests = [
        produce(3, &topic),
        produce(9, &topic),
        produce(13, &topic),
        fetch(4, &topic),
        fetch(12, &topic),
        fetch(NEWEST_FETCH, &topic),
        sound(0, &MetadataRequest::default()),
        sound(13, &MetadataRequest::default()),
        sound(1, &ListOffsetsRequest::default()),
        sound(7, &CreateTopicsRequest::default()),
        sound(6, &FindCoordinatorRequest::default()),
        sound(2, &OffsetCommitRequest::default()),
        sound(9, &OffsetCommitRequest::default()),
        sound(1, &OffsetFetchRequest::default()),
        sound(9, &OffsetFetchRequest::default()),
        sound(0, &JoinGroupRequest::default()),
        sound(9, &JoinGroupRequest::default()),
        sound(1, &ConsumerGroupHeartbeatRequest::default()),
    ];
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        for _ in 0..1500 {
            let mut request = random.choice(&requests).unwrap().clone();
            for _ in 0..random.usize(1..8) {
                // The length stays: else the broker would wait for the rest.
                let at = random.usize(4..request.len());
                request[at] ^= 1 << random.u8(0..8);
            }
            send_and_go(&cluster, &request);
        }
        assert_alive(&cluster);
    }));
    outcome.unwrap_or_else(|_| panic!("the seed was {seed}"));
}

#[test]
fn random_frames_do_no_harm() {
    let cluster = Cluster::start().unwrap();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        for _ in 0..1500 {
            let api = random.choice(APIS).unwrap();
            let version = random.i16(0..14);
            let mut body = vec![0; random.usize(0..200)];
            random.fill(&mut body);
            let header = if random.bool() { HEADER } else { OLD_HEADER };
            send_and_go(&cluster, &with_body(*api, version, header, &body));
        }
        assert_alive(&cluster);
    }));
    outcome.unwrap_or_else(|_| panic!("the seed was {seed}"));
}

#[test]
fn a_request_may_come_byte_by_byte_and_many_at_once() {
    let cluster = Cluster::start().unwrap();
    let mut client = Client::of(&cluster, 1);
    let request = frame(13, 1, &MetadataRequest::default());
    for byte in &request {
        client.send_bytes(&[*byte]).unwrap();
    }
    client.receive_frame().unwrap();
    client.send_bytes(&request.repeat(50)).unwrap();
    for _ in 0..50 {
        client.receive_frame().unwrap();
    }
}

const APIS: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::ApiVersions,
    ApiKey::FindCoordinator,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::JoinGroup,
    ApiKey::ConsumerGroupHeartbeat,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::DescribeCluster,
];

fn sound<R: Request>(version: i16, request: &R) -> Vec<u8> {
    frame(version, 1, request).to_vec()
}

fn produce(version: i16, topic: &Topic) -> Vec<u8> {
    let request: ProduceRequest = produce_request(version, topic, 0, batch(3).build());
    sound(version, &request)
}

fn fetch(version: i16, topic: &Topic) -> Vec<u8> {
    let request: FetchRequest = fetch_request(version, topic, 0, 0);
    sound(version, &request)
}

/// Sends a whole frame and ends the connection: a flipped bit may mean that no answer ever comes.
fn send_and_go(cluster: &Cluster, frame: &[u8]) {
    let mut client = Client::of(cluster, 1);
    client.send_bytes(frame).unwrap();
}
