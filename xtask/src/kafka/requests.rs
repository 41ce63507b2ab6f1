//! The few requests that are made here, written out by hand: asking with the codec under test would
//! make every broken codec look like a broken broker, and a Kafka library would multiply the time to
//! build `xtask`.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A connection to a node.
pub(super) struct Connection(TcpStream);

/// What a node knows of its cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) brokers: Vec<i32>,
    /// Negative while there is none.
    pub(super) controller: i32,
    /// By the partitions of the topic that was asked for; negative while one has none.
    pub(super) leaders: BTreeMap<i32, i32>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        Ok(Self(stream))
    }

    /// Asks for the nodes, and the leaders of a topic, which is not created.
    pub(super) fn metadata(&mut self, topic: Option<&str>) -> io::Result<View> {
        let answer = self.exchange(&metadata_v4(topic))?;
        View::read(&mut Fields(&answer)).ok_or_else(|| cut_off("Metadata"))
    }

    /// An error unless producer ids are handed out.
    pub(super) fn init_producer_id(&mut self) -> io::Result<()> {
        let answer = self.exchange(INIT_PRODUCER_ID_V0)?;
        match init_producer_id_error(&mut Fields(&answer)) {
            Some(0) => Ok(()),
            Some(code) => Err(io::Error::other(format!(
                "no producer ids yet (error {code})"
            ))),
            None => Err(cut_off("InitProducerId")),
        }
    }

    fn exchange(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        let length = u32::try_from(request.len()).expect("requests here are short");
        self.0
            .write_all(&[&length.to_be_bytes(), request].concat())?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut answer = Vec::new();
        let length = u64::from(u32::from_be_bytes(length));
        (&self.0).take(length).read_to_end(&mut answer)?;
        Ok(answer)
    }
}

fn cut_off(api: &str) -> io::Error {
    io::Error::other(format!("a cut-off {api} answer"))
}

/// Header v1 (API 3, version 4, correlation 1, no client id), this topic or none, no creation of
/// topics.
fn metadata_v4(topic: Option<&str>) -> Vec<u8> {
    let mut request = vec![0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff];
    let count = i32::from(topic.is_some());
    request.extend(count.to_be_bytes());
    if let Some(topic) = topic {
        let length = i16::try_from(topic.len()).expect("names here are short");
        request.extend(length.to_be_bytes());
        request.extend(topic.as_bytes());
    }
    request.push(0);
    request
}

/// Header v1 (API 22, version 0, correlation 2, no client id), no transaction, time-out 1000 ms.
const INIT_PRODUCER_ID_V0: &[u8] = &[
    0, 22, 0, 0, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x03, 0xe8,
];

impl View {
    /// Reads a Metadata v4 answer.
    fn read(answer: &mut Fields<'_>) -> Option<Self> {
        let (_correlation, _throttle) = (answer.i32()?, answer.i32()?);
        let mut view = Self::default();
        for _broker in 0..answer.i32()? {
            view.brokers.push(answer.i32()?);
            let (_host, _port, _rack) = (answer.string()?, answer.i32()?, answer.string()?);
        }
        let _cluster_id = answer.string()?;
        view.controller = answer.i32()?;
        for _topic in 0..answer.i32()? {
            let (_error, _name, _internal) = (answer.i16()?, answer.string()?, answer.i8()?);
            for _partition in 0..answer.i32()? {
                let (_error, partition, leader) = (answer.i16()?, answer.i32()?, answer.i32()?);
                view.leaders.insert(partition, leader);
                for _list in ["replicas", "in sync"] {
                    for _node in 0..answer.i32()? {
                        answer.i32()?;
                    }
                }
            }
        }
        Some(view)
    }
}

fn init_producer_id_error(answer: &mut Fields<'_>) -> Option<i16> {
    let (_correlation, _throttle) = (answer.i32()?, answer.i32()?);
    answer.i16()
}

/// What is left of an answer; every reader says `None` when it ends too early.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn i8(&mut self) -> Option<i8> {
        self.array().map(i8::from_be_bytes)
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// A string; null reads as empty.
    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Correlation, throttle, one broker (id 7, "h", 9092, no rack), cluster "c", controller 1; topic
    /// "t": partition 0 led by 7 of 7 and 8, both in sync, and partition 1 without a leader.
    const METADATA: &[u8] = &[
        0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 1, b'h', 0, 0, 0x23, 0x84, 0xff, 0xff,
        0, 1, b'c', 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, b't', 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 8, 0, 5, 0,
        0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0,
    ];

    #[test]
    fn brokers_controller_and_leaders_are_read() {
        let view = View {
            brokers: vec![7],
            controller: 1,
            leaders: BTreeMap::from([(0, 7), (1, -1)]),
        };
        let mut fields = Fields(METADATA);
        assert_eq!(View::read(&mut fields), Some(view));
        assert!(fields.0.is_empty());
    }

    #[test]
    fn a_cut_off_answer_is_no_answer() {
        for end in 0..METADATA.len() {
            assert_eq!(
                View::read(&mut Fields(&METADATA[..end])),
                None,
                "cut at {end}"
            );
        }
    }

    #[test]
    fn a_topic_is_asked_for_by_its_name() {
        let header = [0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff];
        assert_eq!(metadata_v4(None), [&header[..], &[0, 0, 0, 0, 0]].concat());
        let named = [&header[..], &[0, 0, 0, 1, 0, 3, b's', b'i', b'p', 0]].concat();
        assert_eq!(metadata_v4(Some("sip")), named);
    }

    #[test]
    fn an_error_code_of_init_producer_id_is_seen() {
        let loading = [0, 0, 0, 2, 0, 0, 0, 0, 0, 14];
        assert_eq!(init_producer_id_error(&mut Fields(&loading)), Some(14));
    }
}
