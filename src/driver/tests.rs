//! What sockets do that virtual time has no word for.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kafka_wire::message::{
    ApiVersion, ApiVersionsResponse, MetadataBroker, MetadataPartition, MetadataResponse,
    MetadataTopic, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopicResponse,
    decode_request_header, encode_response,
};
use kafka_wire::{ApiKey, Message};

use crate::{Producer, Record};

const PATIENCE: Duration = Duration::from_secs(60);

/// More than the buffers of two sockets hold.
const FLOOD: usize = 16 << 20;

const TOPIC: &str = "t";

#[test]
fn an_answer_that_came_before_the_connection_was_reset_counts() {
    for _ in 0..10 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let bootstrap = listener.local_addr().unwrap().to_string();
        let (first_is_there, first_was_there) = mpsc::channel();
        let broker = thread::spawn(move || {
            let mut taken = vec![reset_behind_the_first_answer(&listener, &first_is_there)?];
            taken.extend(answer_everything(&listener)?);
            io::Result::Ok(taken)
        });

        let producer = Producer::builder()
            .set("bootstrap.servers", &bootstrap)
            .and_then(|builder| builder.set("message.max.bytes", "20000000"))
            .unwrap()
            .start()
            .unwrap();
        let topic = producer.topic(TOPIC).unwrap();
        topic.publish(Record::new("first").partition(0)).unwrap();
        first_was_there.recv_timeout(PATIENCE).unwrap();
        // This cannot be written to its end: when the reset comes, writing fails as reading does.
        let flood = vec![b'.'; FLOOD];
        topic.publish(Record::new(&flood).partition(1)).unwrap();
        producer.close(PATIENCE).unwrap();
        assert_eq!(
            broker.join().unwrap().unwrap(),
            [0, 1],
            "each was sent once"
        );
    }
}

/// Takes a connection and answers its first Produce request, the partition of which it returns, once
/// the next has begun; then resets the connection.
fn reset_behind_the_first_answer(
    listener: &TcpListener,
    first_is_there: &mpsc::Sender<()>,
) -> io::Result<i32> {
    let (mut stream, _) = listener.accept()?;
    loop {
        let request = read_request(&mut stream)?;
        let answer = answer(&request, listener.local_addr()?);
        if let Some(partition) = produced(&request) {
            first_is_there.send(()).expect("the test waits for it");
            stream.read_exact(&mut [0; 1000])?;
            stream.write_all(&answer)?;
            // What is left unread makes this a reset.
            return Ok(partition);
        }
        stream.write_all(&answer)?;
    }
}

/// Takes a connection and answers all its requests. Returns the partitions of the Produce requests.
fn answer_everything(listener: &TcpListener) -> io::Result<Vec<i32>> {
    let (mut stream, _) = listener.accept()?;
    let mut taken = Vec::new();
    while let Ok(request) = read_request(&mut stream) {
        taken.extend(produced(&request));
        stream.write_all(&answer(&request, listener.local_addr()?))?;
    }
    Ok(taken)
}

/// A request without its length.
fn read_request(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut request)?;
    Ok(request)
}

/// The partition of a Produce request with one.
fn produced(request: &[u8]) -> Option<i32> {
    let (header, mut body) = decode_request_header(request).unwrap();
    if header.api != ApiKey::Produce {
        return None;
    }
    let request = ProduceRequest::decode(&mut body, header.version).unwrap();
    Some(request.topics[0].partitions[0].index)
}

/// The answer of a broker at `address` with two partitions, its length included.
fn answer(request: &[u8], address: SocketAddr) -> Vec<u8> {
    let (header, mut body) = decode_request_header(request).unwrap();
    let (version, correlation) = (header.version, header.correlation_id);
    let frame = match header.api {
        ApiKey::ApiVersions => {
            let versions = |api: ApiKey| ApiVersion {
                api_key: api as i16,
                min_version: api.versions().min,
                // Topics by their names.
                max_version: api.versions().max.min(9),
            };
            let response = ApiVersionsResponse {
                api_keys: ApiKey::ALL.map(versions).to_vec(),
                ..ApiVersionsResponse::default()
            };
            encode_response(header.api, &response, version, correlation)
        }
        ApiKey::Metadata => {
            let partition = |partition_index| MetadataPartition {
                partition_index,
                leader_id: 1,
                ..MetadataPartition::default()
            };
            let host = address.ip().to_string();
            let response = MetadataResponse {
                brokers: vec![MetadataBroker {
                    node_id: 1,
                    host: &host,
                    port: address.port().into(),
                    rack: None,
                }],
                topics: vec![MetadataTopic {
                    name: Some(TOPIC),
                    partitions: vec![partition(0), partition(1)],
                    ..MetadataTopic::default()
                }],
                ..MetadataResponse::default()
            };
            encode_response(header.api, &response, version, correlation)
        }
        ApiKey::Produce => {
            let request = ProduceRequest::decode(&mut body, version).unwrap();
            let response = ProduceResponse {
                topics: vec![ProduceTopicResponse {
                    name: TOPIC,
                    partitions: vec![ProducePartitionResponse {
                        index: request.topics[0].partitions[0].index,
                        ..ProducePartitionResponse::default()
                    }],
                    ..ProduceTopicResponse::default()
                }],
                ..ProduceResponse::default()
            };
            encode_response(header.api, &response, version, correlation)
        }
        ApiKey::InitProducerId => panic!("nobody asks for a producer id yet"),
    };
    frame.unwrap().bytes
}
