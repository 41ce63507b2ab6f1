//! A client that believes nothing, and the requests that it sends.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_mock::{Cluster, Profile};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    ApiVersionsRequest, MetadataRequest, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

/// How long something is waited for that is sure to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The topic that clusters have, with three partitions.
pub(crate) const TOPIC: &str = "calls";

/// The last version in which topics go by their names.
pub(crate) const PRODUCE: i16 = 12;
pub(crate) const METADATA: i16 = 12;
pub(crate) const API_VERSIONS: i16 = 3;

pub(crate) fn cluster() -> Cluster {
    cluster_of(1)
}

/// Partition 0 is led by node 1, partition 1 by node 2, and so on.
pub(crate) fn cluster_of(nodes: i32) -> Cluster {
    let cluster = Cluster::builder()
        .nodes(nodes)
        .profile(Profile::KAFKA_4_4)
        .log_append_time(true)
        .start()
        .unwrap();
    cluster.create_topic(TOPIC, 3);
    cluster
}

/// Returns when a node has done all that it can do about what it got before.
///
/// It serves its connections in one thread, in turn. More than one round trip is needed: the first may
/// overtake what a withdrawal has set going.
pub(crate) fn settle(cluster: &Cluster) {
    let mut client = Client::to(cluster, 1);
    for _ in 0..3 {
        client.call(API_VERSIONS, &hello());
    }
}

/// How many records a partition has got.
pub(crate) fn stored(cluster: &Cluster, partition: usize) -> i64 {
    let topics = cluster.topics();
    let topic = topics.iter().find(|topic| topic.name == TOPIC).unwrap();
    topic.partitions[partition].end_offset
}

/// A connection to one node.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    correlation: i32,
}

impl Client {
    pub(crate) fn to(cluster: &Cluster, node: i32) -> Self {
        Self::at(cluster.address(node)).unwrap()
    }

    pub(crate) fn at(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            correlation: 0,
        })
    }

    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let sent = self.send(version, request);
        let (correlation, response) = self.answer::<R>(version);
        assert_eq!(correlation, sent);
        response
    }

    /// Whether a request is answered before the broker ends the connection.
    pub(crate) fn try_call(&mut self) -> bool {
        let request = frame(API_VERSIONS, 0, &hello());
        let sent = self.stream.write_all(&request).is_ok();
        sent && matches!(self.stream.read(&mut [0]), Ok(1))
    }

    /// The partitions of the only topic that are answered for.
    pub(crate) fn produce(&mut self, partitions: &[i32]) -> Vec<PartitionProduceResponse> {
        let mut response = self.call(PRODUCE, &produce(partitions));
        assert_eq!(response.responses.len(), 1);
        response.responses.remove(0).partition_responses
    }

    /// The correlation id of the request.
    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation += 1;
        self.send_bytes(&frame(version, self.correlation, request));
        self.correlation
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next answer and its correlation id.
    pub(crate) fn answer<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let frame = self.frame();
        self.decode::<R>(frame, version)
    }

    /// The next answer as bytes, without its length.
    pub(crate) fn frame(&mut self) -> Bytes {
        let length = self.bytes(4).get_u32();
        self.bytes(length as usize)
    }

    /// So many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Bytes {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes.into()
    }

    /// All bytes until the broker ends the connection in an orderly way.
    pub(crate) fn bytes_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// What has arrived, and what comes next if that is known: the end or an error.
    pub(crate) fn arrived(&mut self) -> (Vec<u8>, Option<Result<(), ErrorKind>>) {
        self.stream.set_nonblocking(true).unwrap();
        let mut bytes = Vec::new();
        let next = match self.stream.read_to_end(&mut bytes) {
            Ok(_) => Some(Ok(())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error.kind())),
        };
        self.stream.set_nonblocking(false).unwrap();
        (bytes, next)
    }

    /// The broker has answered nothing so far and keeps the connection.
    pub(crate) fn assert_waits(&mut self) {
        assert_eq!(self.arrived(), (Vec::new(), None));
    }

    /// The broker ends the connection in an orderly way, and sends nothing more.
    pub(crate) fn assert_ends(&mut self) {
        assert_eq!(self.bytes_to_end(), b"");
    }

    /// The broker ends the connection the hard way, and sends nothing more.
    pub(crate) fn assert_reset(&mut self) {
        let outcome = self.stream.read(&mut [0]);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    /// The broker takes no more bytes. It says so to the first ones that it gets.
    pub(crate) fn assert_takes_nothing(&mut self) {
        self.send_bytes(b"first");
        let error = self.stream.write(b"second").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    /// Sends as much as is taken without waiting, at most all of it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        self.stream.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(count @ 1..) = self.stream.write(&bytes[sent..]) {
            sent += count;
        }
        self.stream.set_nonblocking(false).unwrap();
        sent
    }

    fn decode<R: Request>(&self, mut frame: Bytes, version: i16) -> (i32, R::Response) {
        let header_version = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version).unwrap();
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "{} bytes follow", frame.len());
        (header.correlation_id, response)
    }
}

/// A whole request as it is sent.
pub(crate) fn frame<R: Request>(version: i16, correlation: i32, request: &R) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("faults")));
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    let header_version = R::header_version(version);
    header.encode(&mut frame, header_version).unwrap();
    request.encode(&mut frame, version).unwrap();
    let length = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

pub(crate) fn hello() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("faults"))
        .with_client_software_version(StrBytes::from_static_str("1"))
}

/// For the topic.
pub(crate) fn metadata() -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name()));
    MetadataRequest::default().with_topics(Some(vec![topic]))
}

/// One record for each of the partitions, with acks=-1.
pub(crate) fn produce(partitions: &[i32]) -> ProduceRequest {
    let data = partitions.iter().map(|partition| {
        PartitionProduceData::default()
            .with_index(*partition)
            .with_records(Some(batch(b"value")))
    });
    let topic = TopicProduceData::default()
        .with_name(topic_name())
        .with_partition_data(data.collect());
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic])
}

/// A batch of one record.
pub(crate) fn batch(value: &[u8]) -> Bytes {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: 1000,
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: Default::default(),
    };
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, [&record], &options).unwrap();
    bytes.freeze()
}

pub(crate) fn topic_name() -> TopicName {
    StrBytes::from_static_str(TOPIC).into()
}
