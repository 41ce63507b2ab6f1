//! What a broker does wrong, and when.

mod lies;
mod mangle;
mod plan;
mod rules;

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use uuid::Uuid;

use crate::Profile;

pub(crate) use mangle::{Dressed, Then};
pub(crate) use plan::{End, Plan, Wait};
pub(crate) use rules::{Concern, Faults, Habits, Pace, Reach};

/// Names an injected [`Rule`], to withdraw it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(u64);

/// A fault and the requests or connections that it befalls. Unless narrowed, it befalls every node
/// and every API, and lasts until it is withdrawn.
///
/// Rules add up: a request that several rules match suffers all of them. Each rule counts what it
/// matches, whatever the others do to it. Where two of them exclude each other (two error codes, two
/// ways to end), the one that was injected first has its way; an error of a partition goes before an
/// error of the whole request.
///
/// # The way of a request
///
/// 1. It waits, for others ([`Fault::Gather`]) and for a time ([`Fault::DelayBefore`]).
/// 2. It is ended ([`Fault::CloseBefore`], [`Fault::ResetBefore`], [`Fault::IgnoreBefore`]), or
///    refused ([`Fault::Error`]), or applied.
/// 3. Its answer waits ([`Fault::Delay`]); so does an end that takes its place.
/// 4. The answer is withheld ([`Fault::CloseAfter`] and the like), or sent: its contents are forged,
///    then its bytes, then it lets the next one pass ([`Fault::SwapWithNext`]).
///
/// The next request of the connection is taken up after all that, as with a real broker.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    node: Option<i32>,
    api: Option<ApiKey>,
    partition: Option<(String, i32)>,
    /// What is let through first.
    skip: u32,
    /// What suffers after that; `None` is all.
    times: Option<u32>,
}

impl Rule {
    /// The fault, everywhere and for ever.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            node: None,
            api: None,
            partition: None,
            skip: 0,
            times: None,
        }
    }

    /// Only at this node.
    pub fn node(self, node: i32) -> Self {
        Self {
            node: Some(node),
            ..self
        }
    }

    /// Only requests of this API.
    pub fn api(self, api: ApiKey) -> Self {
        Self {
            api: Some(api),
            ..self
        }
    }

    /// Only what concerns this partition.
    ///
    /// Of a request with several partitions, the others are served. Faults that can only befall all
    /// of a request, like a delay, befall those that concern the partition. Requests for Metadata
    /// concern all partitions of the topics that they ask for.
    pub fn partition(self, topic: &str, partition: i32) -> Self {
        Self {
            partition: Some((topic.to_owned(), partition)),
            ..self
        }
    }

    /// Lets the first `count` matching requests pass, or connections where the fault befalls those:
    /// with `times(1)`, any one of several in flight can be picked.
    pub fn after(self, count: u32) -> Self {
        Self {
            skip: count,
            ..self
        }
    }

    /// Only the next `count` matching requests, or connections where the fault befalls those.
    pub fn times(self, count: u32) -> Self {
        Self {
            times: Some(count),
            ..self
        }
    }
}

/// One thing that a broker can do wrong.
///
/// What has happened when a fault is withdrawn is not undone. Where something is still going on, the
/// fault says what becomes of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    // What becomes of a request.
    /// Refuses with this code; nothing is applied.
    Error(ResponseError),
    /// Applies the request, and answers with this code all the same.
    AppliedError(ResponseError),
    /// Applies the request once so many more of its connection have come behind it, or at withdrawal:
    /// however fast it answers, so many are in flight.
    Gather(usize),
    /// Applies the request so much later, even if the client has gone away by then. Later requests of
    /// the connection wait. At withdrawal it is applied at once; [`Duration::MAX`] is until then.
    DelayBefore(Duration),
    /// Applies the request and answers so much later. Later requests of the connection wait. At
    /// withdrawal the answer is sent at once; [`Duration::MAX`] is until then.
    Delay(Duration),
    /// Closes the connection instead of applying the request.
    CloseBefore,
    /// Applies the request and closes the connection instead of answering.
    CloseAfter,
    /// Resets the connection (RST) instead of applying the request. Answers on their way are lost.
    ResetBefore,
    /// Applies the request and resets the connection (RST) instead of answering.
    ResetAfter,
    /// Applies the request and ends the stream of answers, but not the one of requests: those are
    /// read and thrown away. At withdrawal the connection is closed.
    HalfClose,
    /// Neither applies nor answers, not even after withdrawal. Later requests are served.
    IgnoreBefore,
    /// Applies and never answers, not even after withdrawal. Later requests are served.
    IgnoreAfter,

    // How an answer goes out. Lengths and positions begin after the four bytes that announce the
    // length of an answer, unless said otherwise.
    /// Sends the answer twice.
    Twice,
    /// Sends the answer after the next one of its connection: answers change places in pairs. At
    /// withdrawal the one that waits is sent at once.
    SwapWithNext,
    /// Sends only the first so many bytes of the answer, and its announced length is the true one.
    Truncate(usize),
    /// Announces the whole answer, sends only so many bytes, the four of the length included, and
    /// closes.
    CutOff(usize),
    /// Appends bytes to the answer, counted in its length.
    Trailing(Bytes),
    /// Sends these bytes instead of the answer and of its length.
    Garbage(Bytes),
    /// Replaces the bytes from this position on: what lies there may be the count of an array.
    Overwrite {
        /// The first byte to replace. Bytes that would lie behind the answer are left out.
        at: usize,
        /// What it is replaced by.
        bytes: Bytes,
    },
    /// Flips bits of the answer. Equal seeds draw equal bits, and other ones for each answer.
    Corrupt {
        /// How many bits.
        bits: u32,
        /// What draws them.
        seed: u64,
    },
    /// Announces an answer of so many bytes, and sends the one that it has.
    Announce(u32),
    /// Announces an answer of so many bytes, and really sends them: zeros follow the answer.
    Flood(u32),
    /// Adds this to the correlation id. With 1 it is likely the one of the next request.
    WrongCorrelation(i32),

    // What an answer says. Each concerns the APIs that are named here, and no other.
    /// States this throttle time (KIP-219: answered at once, muted by the client). Several add up.
    Throttle(Duration),
    /// Produce: the clock of the broker, which log append times come from, is off by so many
    /// milliseconds. Several add up.
    ClockSkew(i64),
    /// Produce, Fetch: names the leader where it says NOT_LEADER_OR_FOLLOWER (KIP-951).
    LeaderHints,
    /// Metadata and the hints in Produce: this node leads, be it there or not, in this epoch.
    Leader {
        /// The node; -1: none.
        node: i32,
        /// The leader epoch.
        epoch: i32,
    },
    /// Metadata: these are the brokers, as number, host and port. There may be none.
    Brokers(Vec<(i32, String, i32)>),
    /// Metadata: topics have so many partitions, all described like the first one that there is.
    PartitionCount(usize),
    /// Metadata: topics have this id.
    TopicId(Uuid),
    /// Metadata: the cluster has this id.
    ClusterId(Option<String>),
    /// Metadata, Produce: the answer lacks the partition; unless narrowed to one, all of them.
    OmitPartition,
    /// Metadata, Produce: the answer has the partition twice; unless narrowed to one, all of them.
    RepeatPartition,
    /// Metadata, Produce: the answer has this partition too, in each of its topics, without error.
    StrayPartition(i32),
    /// Metadata, Produce: the answer has this topic too, with partition 0 and without error.
    StrayTopic(String),
    /// Produce: batches that were appended have this offset.
    BaseOffset(i64),
    /// InitProducerId: this is the id of the producer.
    ProducerId {
        /// The id.
        id: i64,
        /// Its epoch.
        epoch: i16,
    },
    /// ApiVersions: the broker takes these versions of the API, from the lowest to the highest;
    /// `None`: the API is not listed.
    Versions(ApiKey, Option<(i16, i16)>),

    // Of connections, from the moment of injection on. Those that are there count first, in the order
    // in which they were made.
    /// Reads nothing: the socket buffers fill up. At withdrawal it goes on reading.
    NeverRead,
    /// Reads so many bytes at a time, with this pause between.
    SlowRead {
        /// Bytes in one read; at least 1.
        bytes: usize,
        /// Between two reads.
        pause: Duration,
    },
    /// Writes so many bytes at a time, with this pause between. At withdrawal the rest is written at
    /// once.
    SlowWrite {
        /// Bytes in one write; at least 1.
        bytes: usize,
        /// Between two writes.
        pause: Duration,
    },
    /// Closes connections that wait for a request for so long (`connections.max.idle.ms`).
    CloseIdle(Duration),

    // Of connections made from now on; present ones are closed.
    /// Takes connections and closes them at once.
    CloseOnAccept,
    /// Takes connections, answers ApiVersions and closes them after that, or at another request.
    CloseAfterHandshake,
    /// Begins connections with these bytes, which nobody asked for.
    Greet(Bytes),
    /// Offers what another version offers. Present connections are closed at withdrawal too. It cannot
    /// be counted.
    Downgrade(Profile),

    // Of attempts to connect; present connections are closed. They cannot be counted.
    /// Nobody listens: connecting is refused.
    Refuse,
    /// Packets vanish: connecting takes for ever. Who connects in the very moment of injection may get
    /// through and hears nothing. At withdrawal the system of a client that still tries gets through at
    /// its next attempt, which may take a second or more.
    BlackHole,
}

/// What a fault befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victims {
    /// Requests of these APIs; empty: of all.
    Requests(&'static [ApiKey]),
    Connections,
    /// Those made from now on.
    NewConnections,
    /// A node as a whole, and the connections made from now on.
    Nodes,
}

impl Fault {
    fn victims(&self) -> Victims {
        use ApiKey::{ApiVersions, Fetch, InitProducerId, Metadata, Produce};
        match self {
            Self::Error(_)
            | Self::AppliedError(_)
            | Self::Gather(_)
            | Self::DelayBefore(_)
            | Self::Delay(_)
            | Self::CloseBefore
            | Self::CloseAfter
            | Self::ResetBefore
            | Self::ResetAfter
            | Self::HalfClose
            | Self::IgnoreBefore
            | Self::IgnoreAfter
            | Self::Twice
            | Self::SwapWithNext
            | Self::Truncate(_)
            | Self::CutOff(_)
            | Self::Trailing(_)
            | Self::Garbage(_)
            | Self::Overwrite { .. }
            | Self::Corrupt { .. }
            | Self::Announce(_)
            | Self::Flood(_)
            | Self::WrongCorrelation(_)
            | Self::Throttle(_) => Victims::Requests(&[]),
            Self::ClockSkew(_) | Self::BaseOffset(_) => Victims::Requests(&[Produce]),
            Self::LeaderHints => Victims::Requests(&[Produce, Fetch]),
            Self::Leader { .. }
            | Self::OmitPartition
            | Self::RepeatPartition
            | Self::StrayPartition(_)
            | Self::StrayTopic(_) => Victims::Requests(&[Metadata, Produce]),
            Self::Brokers(_) | Self::PartitionCount(_) | Self::TopicId(_) | Self::ClusterId(_) => {
                Victims::Requests(&[Metadata])
            }
            Self::ProducerId { .. } => Victims::Requests(&[InitProducerId]),
            Self::Versions(..) => Victims::Requests(&[ApiVersions]),
            Self::NeverRead
            | Self::SlowRead { .. }
            | Self::SlowWrite { .. }
            | Self::CloseIdle(_) => Victims::Connections,
            Self::CloseOnAccept | Self::CloseAfterHandshake | Self::Greet(_) => {
                Victims::NewConnections
            }
            Self::Downgrade(_) | Self::Refuse | Self::BlackHole => Victims::Nodes,
        }
    }
}
