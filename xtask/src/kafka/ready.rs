//! Whether nodes answer as a cluster that can be worked with.
//!
//! Two requests, written out by hand: asking with the codec under test would make every broken codec
//! look like a broken broker, and a Kafka library would multiply the time to build `xtask`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::layout::Layout;
use crate::Result;

const START_LIMIT: Duration = Duration::from_secs(120);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Whether so many nodes can elect a controller.
pub(super) fn is_majority(nodes: usize, cluster_size: usize) -> bool {
    nodes > cluster_size / 2
}

/// Waits until every one of these running nodes is ready and knows the others, for two minutes at
/// most, or until `alive` has an error because one of them has ended.
///
/// Without a majority of the cluster's nodes no controller can be elected: nothing to wait for.
pub(super) fn wait(
    nodes: &[&Layout],
    cluster_size: usize,
    mut alive: impl FnMut() -> Result<()>,
) -> Result<()> {
    if !is_majority(nodes.len(), cluster_size) {
        return Ok(());
    }
    let deadline = Instant::now() + START_LIMIT;
    let ids: Vec<i32> = nodes.iter().map(|node| node.id).collect();
    for node in nodes {
        while let Err(why) = ask(node.address(), &ids) {
            alive()?;
            if Instant::now() >= deadline {
                let limit = START_LIMIT.as_secs();
                return Err(node.failure(&format!("was not ready after {limit} s ({why})")));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Ready means: the nodes and a controller are known, and producer ids are handed out.
fn ask(address: SocketAddr, nodes: &[i32]) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;

    let metadata = exchange(&mut stream, METADATA_V4)?;
    let Some(view) = View::read(&mut Fields(&metadata)) else {
        return Err(io::Error::other("a cut-off Metadata answer"));
    };
    if let Some(lacking) = view.lacks(nodes) {
        return Err(io::Error::other(lacking));
    }
    let init = exchange(&mut stream, INIT_PRODUCER_ID_V0)?;
    match init_producer_id_error(&mut Fields(&init)) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::other(format!(
            "no producer ids yet (error {code})"
        ))),
        None => Err(io::Error::other("a cut-off InitProducerId answer")),
    }
}

/// Header v1 (API 3, version 4, correlation 1, no client id), no topics, no creation of topics.
const METADATA_V4: &[u8] = &[0, 3, 0, 4, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0];

/// Header v1 (API 22, version 0, correlation 2, no client id), no transaction, time-out 1000 ms.
const INIT_PRODUCER_ID_V0: &[u8] = &[
    0, 22, 0, 0, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x03, 0xe8,
];

fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(request.len()).expect("requests here are short");
    stream.write_all(&[&length.to_be_bytes(), request].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = Vec::new();
    let length = u64::from(u32::from_be_bytes(length));
    stream.take(length).read_to_end(&mut answer)?;
    Ok(answer)
}

/// What a node knows of its cluster.
#[derive(Debug, PartialEq, Eq)]
struct View {
    brokers: Vec<i32>,
    /// Negative while there is none.
    controller: i32,
}

impl View {
    /// What is lacking for these nodes to be a cluster.
    fn lacks(&self, nodes: &[i32]) -> Option<String> {
        if let Some(missing) = nodes.iter().find(|node| !self.brokers.contains(node)) {
            return Some(format!("node {missing} is not known yet"));
        }
        (self.controller < 0).then(|| "no controller yet".to_owned())
    }

    /// Reads a Metadata v4 answer.
    fn read(answer: &mut Fields<'_>) -> Option<Self> {
        let (_correlation, _throttle) = (answer.i32()?, answer.i32()?);
        let mut brokers = Vec::new();
        for _broker in 0..answer.i32()? {
            brokers.push(answer.i32()?);
            let (_host, _port, _rack) = (answer.string()?, answer.i32()?, answer.string()?);
        }
        let _cluster_id = answer.string()?;
        let controller = answer.i32()?;
        Some(Self {
            brokers,
            controller,
        })
    }
}

fn init_producer_id_error(answer: &mut Fields<'_>) -> Option<i16> {
    let (_correlation, _throttle) = (answer.i32()?, answer.i32()?);
    answer.i16()
}

/// What is left of an answer; every reader says `None` when it ends too early.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
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

    /// Correlation, throttle, one broker (id 7, "h", 9092, no rack), cluster "c", controller 1.
    const METADATA: &[u8] = &[
        0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 1, b'h', 0, 0, 0x23, 0x84, 0xff, 0xff,
        0, 1, b'c', 0, 0, 0, 1,
    ];

    #[test]
    fn brokers_and_controller_are_read_past_a_null_rack() {
        let view = View {
            brokers: vec![7],
            controller: 1,
        };
        assert_eq!(View::read(&mut Fields(METADATA)), Some(view));
    }

    #[test]
    fn a_cluster_lacks_nodes_that_it_does_not_know_and_a_controller() {
        let view = |controller| View {
            brokers: vec![1, 3],
            controller,
        };
        assert_eq!(view(3).lacks(&[3, 1]), None);
        let lacking = view(3).lacks(&[1, 2, 3]).unwrap();
        assert!(lacking.contains("node 2"), "{lacking}");
        assert!(view(-1).lacks(&[1]).unwrap().contains("controller"));
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
    fn an_error_code_of_init_producer_id_is_seen() {
        let loading = [0, 0, 0, 2, 0, 0, 0, 0, 0, 14];
        assert_eq!(init_producer_id_error(&mut Fields(&loading)), Some(14));
    }
}
