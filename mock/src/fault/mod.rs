//! What a broker does wrong, and when.

mod plan;

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;

use crate::Profile;

pub(crate) use plan::{End, Faults, Plan, Reach};

/// Names an injected [`Rule`], to withdraw it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

/// A fault and the requests or connections that it befalls. Unless narrowed, it befalls every node
/// and every API, and lasts until it is withdrawn.
///
/// Rules add up: a request that several rules match suffers all of them, in the order of injection.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    node: Option<i32>,
    api: Option<ApiKey>,
    partition: Option<(String, i32)>,
    /// Matching requests that are let through first.
    skip: u32,
    /// Matching requests that suffer after those; `None` is all.
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

    /// Only what concerns this partition: of a request with several, the others are served.
    pub fn partition(self, topic: &str, partition: i32) -> Self {
        Self {
            partition: Some((topic.to_owned(), partition)),
            ..self
        }
    }

    /// Lets the first `count` matching requests pass: with `times(1)`, any one of several in flight
    /// can be picked.
    pub fn after(self, count: u32) -> Self {
        Self {
            skip: count,
            ..self
        }
    }

    /// Only the next `count` matching requests.
    pub fn times(self, count: u32) -> Self {
        Self {
            times: Some(count),
            ..self
        }
    }
}

/// One thing that a broker can do wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    // In the answer to a request.
    /// Refuses with this code; nothing is applied.
    Error(ResponseError),
    /// Applies the request, and answers with this code all the same.
    AppliedError(ResponseError),
    /// Answers so much later. Later requests of the connection wait, as with a real broker.
    Delay(Duration),
    /// Closes the connection instead of applying the request.
    CloseBefore,
    /// Applies the request and closes the connection instead of answering.
    CloseAfter,
    /// Neither applies nor answers.
    IgnoreBefore,
    /// Applies and never answers.
    IgnoreAfter,
    /// Sends the answer twice.
    Twice,
    /// Sends the answer after the next one of its connection.
    SwapWithNext,
    /// Sends only the first so many bytes of the answer, whose length tells the truth about that.
    Truncate(usize),
    /// Announces the whole answer, sends only so many bytes of it, and closes.
    CutOff(usize),
    /// Appends bytes to the answer, counted in its length.
    Trailing(Bytes),
    /// Sends these bytes instead of the answer, the length included: not even a frame, maybe.
    Garbage(Bytes),
    /// Flips bits of the answer's body: as many as said, drawn by the seed.
    Corrupt {
        /// How many bits.
        bits: u32,
        /// What draws them.
        seed: u64,
    },
    /// Announces an answer of so many bytes, and sends few.
    Announce(u32),
    /// Answers with another correlation id.
    WrongCorrelation,
    /// States this throttle time in the answer (KIP-219: answered at once, muted by the client).
    Throttle(Duration),
    /// Lets timestamps of the broker (log append time) be off by so many milliseconds.
    ClockSkew(i64),
    /// Names the leader in answers with NOT_LEADER_OR_FOLLOWER (KIP-951).
    LeaderHints,

    // Of connections, from the moment of injection on, the present ones included.
    /// Reads nothing: the socket buffers fill up.
    NeverRead,
    /// Writes so many bytes at a time, with this pause between.
    SlowWrite {
        /// Bytes in one write.
        bytes: usize,
        /// Between two writes.
        pause: Duration,
    },
    /// Reads so many bytes at a time, with this pause between.
    SlowRead {
        /// Bytes in one read.
        bytes: usize,
        /// Between two reads.
        pause: Duration,
    },
    /// Takes connections and closes them at once.
    CloseOnAccept,
    /// Takes connections, answers ApiVersions and closes them after that.
    CloseAfterHandshake,

    // Of attempts to connect; present connections are cut.
    /// Nobody listens: connecting is refused.
    Refuse,
    /// Packets vanish: connecting takes for ever.
    BlackHole,

    // Of the version handshake, on connections made from now on; present ones are cut.
    /// Offers what another version offers.
    Downgrade(Profile),
}
