//! One request and its answer over a blocking socket, with the `kafka-protocol` crate.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::PATIENCE;

/// A connection to one broker.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

impl Connection {
    /// Connects to the first of the comma-separated addresses that answers.
    pub(super) fn open(addresses: &str) -> io::Result<Self> {
        let mut refusal = io::Error::new(io::ErrorKind::InvalidInput, "no address");
        for address in addresses.split(',') {
            match TcpStream::connect(address) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_nodelay(true)?;
                    return Ok(Self {
                        stream,
                        correlation_id: 0,
                    });
                }
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// Sends one request in the given version and waits for its answer.
    pub(super) fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> io::Result<R::Response> {
        self.correlation_id += 1;
        let frame = encode(version, self.correlation_id, request).map_err(io::Error::other)?;
        self.stream.write_all(&frame)?;
        let mut answer = self.receive()?;
        let header_version = R::Response::header_version(version);
        ResponseHeader::decode(&mut answer, header_version).map_err(io::Error::other)?;
        R::Response::decode(&mut answer, version).map_err(io::Error::other)
    }

    fn receive(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u64::from(u32::from_be_bytes(length));
        let mut answer = Vec::new();
        if (&self.stream).take(length).read_to_end(&mut answer)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer.into())
    }
}

fn encode<R: Request>(
    version: i16,
    correlation_id: i32,
    request: &R,
) -> Result<BytesMut, Box<dyn Error + Send + Sync>> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("event-kafka-tests")));
    let mut frame = BytesMut::from(&[0; 4][..]);
    header.encode(&mut frame, R::header_version(version))?;
    request.encode(&mut frame, version)?;
    let length = u32::try_from(frame.len() - 4)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}
