//! A client: requests and answers over a blocking socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_mock::Cluster;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use uuid::Uuid;

use crate::PATIENCE;

pub(crate) const NEWEST_PRODUCE: i16 = 13;
pub(crate) const NEWEST_FETCH: i16 = 18;

/// A connection to one node.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    correlation: i32,
}

impl Client {
    pub(crate) fn of(cluster: &Cluster, node: i32) -> Self {
        Self::at(cluster.address(node)).unwrap()
    }

    pub(crate) fn at(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            correlation: 0,
        })
    }

    /// Asks, and takes the answer apart: it must be for this request, and all of it understood.
    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request);
        self.receive::<R>(version).unwrap()
    }

    /// Asks without waiting for the answer.
    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation += 1;
        let frame = frame(version, self.correlation, request);
        self.stream.write_all(&frame).unwrap();
    }

    /// The answer to the latest request.
    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        let mut answer = self.receive_frame()?;
        let header = R::Response::header_version(version);
        let header = ResponseHeader::decode(&mut answer, header).unwrap();
        assert_eq!(header.correlation_id, self.correlation);
        let response = R::Response::decode(&mut answer, version).unwrap();
        assert!(!answer.has_remaining(), "{} bytes follow", answer.len());
        Ok(response)
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub(crate) fn receive_frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer)?;
        Ok(answer.into())
    }

    /// Waits for the broker to close the connection without saying anything more.
    pub(crate) fn assert_closed(&mut self) {
        match self.stream.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("the connection is not closed: {other:?}"),
        }
    }

    /// One batch for one partition.
    pub(crate) fn produce(
        &mut self,
        version: i16,
        topic: &Topic,
        partition: i32,
        batch: Bytes,
    ) -> PartitionProduceResponse {
        let request = produce_request(version, topic, partition, batch);
        let mut response = self.call(version, &request);
        let mut topic = response.responses.remove(0);
        assert_eq!(topic.partition_responses.len(), 1);
        topic.partition_responses.remove(0)
    }

    /// What is there from an offset on, without waiting.
    pub(crate) fn fetch(
        &mut self,
        version: i16,
        topic: &Topic,
        partition: i32,
        offset: i64,
    ) -> PartitionData {
        let request = fetch_request(version, topic, partition, offset);
        only_partition(self.call(version, &request))
    }
}

/// A topic by its two names.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: TopicName,
    pub(crate) id: Uuid,
}

impl Topic {
    pub(crate) fn create(cluster: &Cluster, name: &str, partitions: i32) -> Self {
        cluster.create_topic(name, partitions);
        Self::of(cluster, name)
    }

    pub(crate) fn of(cluster: &Cluster, name: &str) -> Self {
        let topics = cluster.topics();
        let topic = topics.iter().find(|topic| topic.name == name).unwrap();
        Self {
            name: topic_name(name),
            id: topic.id,
        }
    }
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    text(name).into()
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A whole request as it is sent.
pub(crate) fn frame<R: Request>(version: i16, correlation: i32, request: &R) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("kafka-mock-tests")));
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header
        .encode(&mut frame, R::header_version(version))
        .unwrap();
    request.encode(&mut frame, version).unwrap();
    let length = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// With acks=-1.
pub(crate) fn produce_request(
    version: i16,
    topic: &Topic,
    partition: i32,
    batch: Bytes,
) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch));
    let data = TopicProduceData::default().with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![if version < 13 {
            data.with_name(topic.name.clone())
        } else {
            data.with_topic_id(topic.id)
        }])
}

/// Without waiting.
pub(crate) fn fetch_request(
    version: i16,
    topic: &Topic,
    partition: i32,
    offset: i64,
) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let wanted = FetchTopic::default().with_partitions(vec![partition]);
    let mut request = FetchRequest::default()
        .with_max_bytes(1 << 20)
        .with_topics(vec![if version < 13 {
            wanted.with_topic(topic.name.clone())
        } else {
            wanted.with_topic_id(topic.id)
        }]);
    if version < 15 {
        request.replica_id = BrokerId(-1);
    }
    if version >= 7 {
        request.session_epoch = -1;
    }
    request
}

pub(crate) fn only_partition(mut response: FetchResponse) -> PartitionData {
    assert_eq!(response.error_code, 0);
    assert_eq!(response.responses.len(), 1);
    let mut topic = response.responses.remove(0);
    assert_eq!(topic.partitions.len(), 1);
    topic.partitions.remove(0)
}
