//! Fetch: batches out of logs, without sessions.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{
    FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse};

use super::{Answer, Call, Outcome, Turn, endpoint, leading};
use crate::state::State;

/// KIP-227: fetch sessions, and an error that concerns no partition.
const SESSIONS_SINCE: i16 = 7;
/// KIP-516.
const BY_ID_SINCE: i16 = 13;
/// KIP-595 and KIP-951: who leads the partition instead, and where it is.
const LEADER_SINCE: i16 = 12;
const ENDPOINTS_SINCE: i16 = 16;
/// No answer has more bytes of batches than this, whatever a client asks for.
const MOST_BYTES: usize = 50 * 1024 * 1024;

pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Outcome {
    let request: FetchRequest = call.decode()?;
    let mut response = FetchResponse::default().with_throttle_time_ms(call.throttle_ms());
    // Session 0 in the answer says that there is none. Who names one gets to know it so.
    if call.version() >= SESSIONS_SINCE && request.session_id != 0 {
        response.error_code = ResponseError::FetchSessionIdNotFound.code();
        return call.send(&response);
    }
    let mut basket = Basket::new(&request);
    for topic in &request.topics {
        let name = if call.version() >= BY_ID_SINCE {
            state
                .topic_by_id(topic.topic_id)
                .map(|(name, _)| name.to_owned())
        } else {
            Some(topic.topic.to_string())
        };
        let partitions = topic
            .partitions
            .iter()
            .map(|wanted| basket.fill(state, call, name.as_deref(), wanted))
            .collect();
        let answer = FetchableTopicResponse::default().with_partitions(partitions);
        response.responses.push(if call.version() >= BY_ID_SINCE {
            answer.with_topic_id(topic.topic_id)
        } else {
            answer.with_topic(topic.topic.clone())
        });
    }
    let enough = basket.failed || basket.taken >= basket.least;
    let wait = Duration::from_millis(request.max_wait_ms.try_into().unwrap_or(0));
    if !enough && !wait.is_zero() && call.turn != Turn::Last {
        return Ok(Answer::Later(wait));
    }
    if call.version() >= ENDPOINTS_SINCE {
        response.node_endpoints = endpoints(state, &response);
    }
    call.send(&response)
}

/// What goes into one answer.
struct Basket {
    read_committed: bool,
    least: usize,
    most: usize,
    taken: usize,
    failed: bool,
}

impl Basket {
    fn new(request: &FetchRequest) -> Self {
        Self {
            read_committed: request.isolation_level != 0,
            least: size(request.min_bytes),
            most: size(request.max_bytes).min(MOST_BYTES),
            taken: 0,
            failed: false,
        }
    }

    fn fill(
        &mut self,
        state: &mut State,
        call: &Call<'_>,
        topic: Option<&str>,
        wanted: &FetchPartition,
    ) -> PartitionData {
        let answer = PartitionData::default()
            .with_partition_index(wanted.partition)
            .with_records(Some(Bytes::new()))
            .with_aborted_transactions(self.read_committed.then(Vec::new));
        match self.read(state, call, topic, wanted, answer.clone()) {
            Ok(answer) => answer,
            Err(error) => {
                self.failed = true;
                let answer = answer.with_error_code(error.code()).with_high_watermark(-1);
                hint(state, call, topic, error, answer)
            }
        }
    }

    fn read(
        &mut self,
        state: &mut State,
        call: &Call<'_>,
        topic: Option<&str>,
        wanted: &FetchPartition,
        mut answer: PartitionData,
    ) -> Result<PartitionData, ResponseError> {
        let topic = topic.ok_or(ResponseError::UnknownTopicId)?;
        if let Some((error, _)) = call.fault(topic, wanted.partition) {
            return Err(error);
        }
        let epoch = wanted.current_leader_epoch;
        let log = &leading(state, call, topic, wanted.partition, epoch)?.log;
        if !(log.start()..=log.end()).contains(&wanted.fetch_offset) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let room = size(wanted.partition_max_bytes).min(self.most.saturating_sub(self.taken));
        // KIP-74: a batch that is larger than every limit must not stop the consumer.
        let batches = log.read(wanted.fetch_offset, room, self.taken == 0);
        let records = join(batches);
        self.taken += records.len();
        answer.high_watermark = log.end();
        answer.last_stable_offset = log.end();
        if call.version() >= 5 {
            answer.log_start_offset = log.start();
        }
        Ok(answer.with_records(Some(records)))
    }
}

fn join(batches: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(batches) {
        Ok([batch]) => batch,
        Err(batches) => {
            let mut joined = BytesMut::with_capacity(batches.iter().map(Bytes::len).sum());
            for batch in batches {
                joined.extend_from_slice(&batch);
            }
            joined.freeze()
        }
    }
}

/// Names the leader where the fault wants it.
fn hint(
    state: &State,
    call: &Call<'_>,
    topic: Option<&str>,
    error: ResponseError,
    answer: PartitionData,
) -> PartitionData {
    let moved = matches!(
        error,
        ResponseError::NotLeaderOrFollower | ResponseError::FencedLeaderEpoch
    );
    let hints = topic.is_some_and(|topic| call.plan.leader_hints(topic, answer.partition_index));
    if !(moved && hints && call.version() >= LEADER_SINCE) {
        return answer;
    }
    let leader = topic
        .and_then(|topic| state.topics.get(topic)?.partition(answer.partition_index))
        .and_then(|partition| Some((partition.leader?, partition.leader_epoch)));
    match leader {
        Some((leader, epoch)) => answer.with_current_leader(
            LeaderIdAndEpoch::default()
                .with_leader_id(BrokerId(leader))
                .with_leader_epoch(epoch),
        ),
        None => answer,
    }
}

/// Of the leaders that the answer names.
fn endpoints(state: &State, response: &FetchResponse) -> Vec<NodeEndpoint> {
    let named = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|partition| partition.current_leader.leader_id.0);
    state
        .nodes_among(named)
        .map(|(id, node)| {
            let (host, port) = endpoint(node);
            NodeEndpoint::default()
                .with_node_id(BrokerId(id))
                .with_host(host)
                .with_port(port)
        })
        .collect()
}

fn size(bytes: i32) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}
