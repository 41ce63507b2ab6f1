//! What a recording consists of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::accumulator::Work;
use crate::settings::TopicSettings;
use crate::time::Time;

/// One thing that happened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Entry<'a> {
    /// The engine was called.
    Step(Time, #[serde(borrow)] Step<'a>),
    /// A look found records.
    Published {
        look: u32,
        place: Place,
        /// A [`Note`] for each.
        notes: &'a [u8],
    },
    /// A look found a topic.
    Topic {
        look: u32,
        name: &'a str,
        settings: TopicSettings,
    },
    /// A look found something to do.
    Work { look: u32, work: Vec<Work> },
    /// A look found that somebody flushes, or that nobody does any more.
    Flushing { look: u32, is: bool },
    /// Which partition a staged record was given; the one that it asked for as an error if there is
    /// none such.
    Picked(Result<u32, i32>),
    /// Something that the engine yielded.
    Output(&'a str),
}

/// A call of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step<'a> {
    BeginSequencesAt(i32),
    Advance,
    Opened(u64),
    Closed(u64, &'a str),
    Garbled(u64, &'a str),
    Receive(u64, &'a [u8]),
    PollTransmit(u64),
    Transmitted(u64),
    #[serde(borrow)]
    Compressed(Compressed<'a>),
    Purge {
        queued: bool,
        in_flight: bool,
    },
    Close,
}

/// A batch that comes back from compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compressed<'a> {
    pub(crate) lane: u32,
    pub(crate) number: u64,
    /// Its bytes; `None`: it stays as it is.
    pub(crate) len: Option<u32>,
    pub(crate) failure: Option<&'a str>,
}

/// Where records are published to, by the engine's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// The stage of a topic.
    Stage(u32),
    /// A partition.
    Lane(u32),
}

/// A call of `publish`, as a queue saw it; times and clocks as differences from the note before.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) coarse: i64,
    pub(crate) opened: i64,
    pub(crate) wall_offset: i64,
    /// `None`: the budget had no memory for it.
    pub(crate) message: Option<Message>,
}

/// A message without its content.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) key: Option<u32>,
    pub(crate) value: Option<u32>,
    /// The lengths of each name and value.
    pub(crate) headers: Vec<(u32, Option<u32>)>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) opaque: u64,
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeginSequencesAt(first) => write!(f, "sequences begin at {first}"),
            Self::Advance => f.write_str("time passes"),
            Self::Opened(conn) => write!(f, "connection {conn} is open"),
            Self::Closed(conn, reason) => write!(f, "connection {conn} is closed: {reason}"),
            Self::Garbled(conn, what) => write!(f, "connection {conn} is garbled: {what}"),
            Self::Receive(conn, frame) => {
                write!(f, "{} bytes are received on connection {conn}", frame.len())
            }
            Self::PollTransmit(conn) => write!(f, "connection {conn} can be written to"),
            Self::Transmitted(conn) => write!(f, "a request is written on connection {conn}"),
            Self::Compressed(Compressed {
                lane,
                number,
                len,
                failure,
            }) => {
                write!(f, "batch {number} of lane {lane} is compressed")?;
                match (len, failure) {
                    (Some(len), _) => write!(f, " to {len} bytes"),
                    (None, Some(failure)) => write!(f, ": {failure}"),
                    (None, None) => f.write_str(" and does not gain"),
                }
            }
            Self::Purge { queued, in_flight } => {
                write!(f, "purge: queued {queued}, in flight {in_flight}")
            }
            Self::Close => f.write_str("close"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(slot) => write!(f, "the stage of topic {slot}"),
            Self::Lane(lane) => write!(f, "lane {lane}"),
        }
    }
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(_, step) => step.fmt(f),
            Self::Published { place, notes, .. } => {
                write!(f, "published to {place}: {} bytes of notes", notes.len())
            }
            Self::Topic { name, .. } => write!(f, "the topic {name} is opened"),
            Self::Work { work, .. } => write!(f, "to look at: {work:?}"),
            Self::Flushing { is: true, .. } => f.write_str("a flush begins"),
            Self::Flushing { is: false, .. } => f.write_str("the flush is over"),
            Self::Picked(Ok(partition)) => write!(f, "a staged record goes to {partition}"),
            Self::Picked(Err(partition)) => {
                write!(f, "a staged record asks for {partition}, which is none")
            }
            Self::Output(line) => f.write_str(line),
        }
    }
}
