//! Requests in, answers out: one file for each API.

mod api_versions;
mod concerns;
mod consumer_group_heartbeat;
mod create_topics;
mod decode;
mod delete_topics;
mod describe_cluster;
mod fetch;
mod find_coordinator;
mod init_producer_id;
mod join_group;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::fault::Plan;
use crate::state::{Node, Partition, State};

pub(crate) use concerns::concerns;

/// What users of consumer groups get to know, of the older kind and the newer one.
const NO_GROUPS: &str = "this broker has no consumer groups: assign partitions instead of \
                         subscribing, as kcat -C -t TOPIC -p 0 does";

/// A request, before its body is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation: i32,
    pub(crate) client_id: Option<String>,
    body: Bytes,
}

/// What a broker does with a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Sends this, the length in front included.
    Send(Bytes),
    /// Sends nothing: the client wants it so (acks=0).
    Nothing,
    /// Asks again when something has changed, at the latest after this time, which counts from the
    /// arrival of the request.
    Later(Duration),
    /// Closes the connection for this reason.
    Close(String),
}

/// How often a request was asked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    First,
    /// It said [`Answer::Later`].
    Again,
    /// And now its time is over.
    Last,
}

impl Frame {
    /// Takes a request apart; the error says why it is none.
    pub(crate) fn parse(mut bytes: Bytes) -> Result<Self, String> {
        const FIXED: usize = 8;
        if bytes.len() < FIXED {
            return Err(format!("a request of {} bytes", bytes.len()));
        }
        let key = i16::from_be_bytes([bytes[0], bytes[1]]);
        let version = i16::from_be_bytes([bytes[2], bytes[3]]);
        let correlation = i32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let api = ApiKey::try_from(key).map_err(|()| format!("a request for unknown API {key}"))?;
        let header = RequestHeader::decode(&mut bytes, api.request_header_version(version))
            .map_err(|error| format!("the header of a request for {api:?}: {error}"))?;
        Ok(Self {
            api,
            version,
            correlation,
            client_id: header.client_id.map(|id| id.to_string()),
            body: bytes,
        })
    }
}

/// Does what a request asks for, as `node`, and says what to send.
pub(crate) fn answer(
    state: &mut State,
    node: i32,
    frame: &Frame,
    plan: &Plan,
    turn: Turn,
) -> Answer {
    let profile = state.profile(node);
    let offered = profile
        .versions(frame.api)
        .is_some_and(|(lowest, highest)| (lowest..=highest).contains(&frame.version));
    let call = Call {
        node,
        frame,
        plan,
        turn,
    };
    let outcome = match frame.api {
        ApiKey::ApiVersions if !offered => api_versions::too_new(&call, profile),
        _ if !offered => Err(format!("it is not offered by {profile}")),
        ApiKey::ApiVersions => api_versions::answer(state, &call),
        ApiKey::Metadata => metadata::answer(state, &call),
        ApiKey::Produce => produce::answer(state, &call),
        ApiKey::InitProducerId => init_producer_id::answer(state, &call),
        ApiKey::Fetch => fetch::answer(state, &call),
        ApiKey::ListOffsets => list_offsets::answer(state, &call),
        ApiKey::OffsetForLeaderEpoch => offset_for_leader_epoch::answer(state, &call),
        ApiKey::CreateTopics => create_topics::answer(state, &call),
        ApiKey::DeleteTopics => delete_topics::answer(state, &call),
        ApiKey::DescribeCluster => describe_cluster::answer(state, &call),
        ApiKey::FindCoordinator => find_coordinator::answer(state, &call),
        ApiKey::OffsetFetch => offset_fetch::answer(&call),
        ApiKey::OffsetCommit => offset_commit::answer(state, &call),
        ApiKey::JoinGroup => join_group::answer(state, &call),
        ApiKey::ConsumerGroupHeartbeat => consumer_group_heartbeat::answer(state, &call),
        _ => Err("the mock has no such API".to_owned()),
    };
    outcome.unwrap_or_else(|reason| {
        Answer::Close(format!("{:?} {}: {reason}", frame.api, frame.version))
    })
}

/// A request and the circumstances.
struct Call<'a> {
    node: i32,
    frame: &'a Frame,
    plan: &'a Plan,
    turn: Turn,
}

/// The error says why the connection is closed.
type Outcome = Result<Answer, String>;

impl Call<'_> {
    fn version(&self) -> i16 {
        self.frame.version
    }

    fn decode<R: Request>(&self) -> Result<R, String> {
        decode::decode(&self.frame.body, self.frame.version)
    }

    fn send<R: Encodable + HeaderVersion>(&self, response: &R) -> Outcome {
        self.send_as(response, self.frame.version)
    }

    fn send_as<R: Encodable + HeaderVersion>(&self, response: &R, version: i16) -> Outcome {
        let header = ResponseHeader::default().with_correlation_id(self.frame.correlation);
        let size = response.compute_size(version).unwrap_or_default();
        let mut bytes = BytesMut::with_capacity(size + 16);
        bytes.put_i32(0);
        header
            .encode(&mut bytes, R::header_version(version))
            .and_then(|()| response.encode(&mut bytes, version))
            .map_err(|error| format!("the answer cannot be encoded: {error}"))?;
        let length = i32::try_from(bytes.len() - 4).map_err(|_| "the answer is too large")?;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        Ok(Answer::Send(bytes.freeze()))
    }

    /// The injected error of a partition, and whether the request is applied all the same.
    fn fault(&self, topic: &str, partition: i32) -> Option<(ResponseError, bool)> {
        let own = self.plan.partition_error(topic, partition);
        own.or(self.plan.error())
    }

    fn throttle_ms(&self) -> i32 {
        i32::try_from(self.plan.throttle().as_millis()).unwrap_or(i32::MAX)
    }

    /// Writes to the log why something is refused, unless it was said before.
    fn tell_once(&self, state: &mut State, why: &str) {
        if state.is_news(why) {
            tracing::warn!(client = self.frame.client_id, "{why}");
        }
    }
}

/// The partition, if the node leads it, and in the epoch that the client supposes (-1: in any).
fn leading<'a>(
    state: &'a State,
    call: &Call<'_>,
    topic: &str,
    partition: i32,
    epoch: i32,
) -> Result<&'a Partition, ResponseError> {
    let partition = state
        .topics
        .get(topic)
        .and_then(|topic| topic.partition(partition))
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    match epoch {
        -1 => {}
        older if older < partition.leader_epoch => return Err(ResponseError::FencedLeaderEpoch),
        newer if newer > partition.leader_epoch => return Err(ResponseError::UnknownLeaderEpoch),
        _ => {}
    }
    if partition.leader == Some(call.node) {
        Ok(partition)
    } else {
        Err(ResponseError::NotLeaderOrFollower)
    }
}

/// Where clients find a node.
fn endpoint(node: &Node) -> (StrBytes, i32) {
    let address = node.advertised;
    (text(address.ip().to_string()), address.port().into())
}

fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// 0: no error.
fn code(error: Option<ResponseError>) -> i16 {
    error.map_or(0, |error| error.code())
}
