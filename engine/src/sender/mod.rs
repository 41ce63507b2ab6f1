//! From partitions to brokers and back: what goes into the next request, and what its answer means
//! for each batch.

mod identity;
mod lane;
mod press;
mod remedy;
mod request;
mod series;
mod settle;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kafka_wire::message::{ProducePartitionResponse, ProduceResponse, ProduceTopicResponse};
use kafka_wire::{EncodeError, ErrorCode, Uuid};

pub(crate) use identity::Identities;
pub(crate) use lane::Lane;
use lane::{Setback, retry_wait};
use remedy::Remedy;
pub(crate) use request::Cargo;
use series::Series;
pub(crate) use settle::fail_all;

use crate::accumulator::{Core, Partition, Topic};
use crate::cluster::{Cluster, NodeId};
use crate::compression::Job;
use crate::connection::Nonsense;
use crate::error::{DeliveryError, FatalError, Persisted};
use crate::time::Time;

/// A batch in a request: the partition's lane, which of its parcels, and the topic id that it went
/// out under (metadata may bring another one before the answer comes); zero if it went by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shipment {
    pub(crate) lane: u32,
    pub(crate) parcel: u64,
    topic_id: Uuid,
}

/// The lanes, and for each broker those that have something for it.
#[derive(Debug)]
pub(crate) struct Sender {
    core: Arc<Core>,
    lanes: Vec<Lane>,
    outlets: BTreeMap<NodeId, Outlet>,
    pub(crate) identities: Identities,
    /// The sequence number that partitions begin with.
    first_sequence: i32,
    /// Batches to compress.
    jobs: VecDeque<Job>,
    /// A lane whose leader is too old for its codec.
    unreadable: Option<u32>,
}

/// What one broker is to be sent.
#[derive(Debug)]
struct Outlet {
    /// Lanes with something to send, the longest waiting first.
    waiting: VecDeque<u32>,
    /// When the first of them is due, or earlier.
    due: Time,
    /// The version of Produce that it speaks, once that is known.
    produce: Option<i16>,
}

impl Default for Outlet {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            due: Time::NEVER,
            produce: None,
        }
    }
}

/// What an answer to Produce said beyond single batches.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// A partition is led by another broker, or by none.
    pub(crate) leaders_moved: bool,
    /// Batches that the broker did not take.
    pub(crate) refusals: Vec<Refusal>,
    /// Lanes whose batches are delivered again, after some that were not.
    pub(crate) recovered: Vec<u32>,
    /// What the answer says that cannot be true.
    pub(crate) nonsense: Option<Nonsense>,
    /// Batches that the answer does not settle, for that reason.
    pub(crate) unanswered: VecDeque<Shipment>,
}

/// A broker's word against a batch.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) lane: u32,
    /// That the batch went under.
    pub(crate) topic_id: Uuid,
    pub(crate) code: ErrorCode,
    pub(crate) text: Arc<str>,
}

impl Sender {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        Self {
            core: Arc::clone(core),
            lanes: Vec::new(),
            outlets: BTreeMap::new(),
            identities: Identities::new(&core.settings),
            first_sequence: 0,
            jobs: VecDeque::new(),
            unreadable: None,
        }
    }

    pub(crate) fn begin_sequences_at(&mut self, first: i32) {
        self.first_sequence = first;
    }

    /// A batch to compress, in the order in which they were sealed.
    pub(crate) fn next_job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// A partition whose batches go uncompressed, since its leader could not read them otherwise.
    pub(crate) fn take_unreadable(&mut self) -> Option<u32> {
        self.unreadable.take()
    }

    pub(crate) fn next_lane(&self) -> u32 {
        self.lanes.len() as u32
    }

    pub(crate) fn add(&mut self, topic: &Arc<Topic>, partition: Partition) {
        let idempotence = self.core.settings.idempotence;
        let series = idempotence.then(|| {
            self.identities.need(topic.variant());
            Series::new(topic.variant(), self.first_sequence)
        });
        let compression = topic.settings().compression(&self.core.settings);
        let lane = Lane::new(Arc::clone(topic), Arc::new(partition), series, compression);
        self.lanes.push(lane);
    }

    pub(crate) fn lanes(&self) -> impl Iterator<Item = (u32, &Lane)> {
        (0..).zip(&self.lanes)
    }

    pub(crate) fn lanes_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.lanes.iter_mut()
    }

    pub(crate) fn lane(&self, lane: u32) -> &Lane {
        &self.lanes[lane as usize]
    }

    pub(crate) fn lane_mut(&mut self, lane: u32) -> &mut Lane {
        &mut self.lanes[lane as usize]
    }

    /// Puts a lane on its leader's list if it has something to send. Returns that leader.
    pub(crate) fn list(&mut self, index: u32) -> Option<NodeId> {
        let lane = &mut self.lanes[index as usize];
        lane.renumber(&mut self.identities);
        let leader = lane.leader?;
        let outlet = self.outlets.entry(leader).or_default();
        if let Some(produce) = outlet.produce {
            let context = (&*self.core, &self.identities);
            lane.compress(context, Time::default(), produce, &mut self.jobs);
        }
        let due = lane.due(&self.core, &self.identities);
        if due == Time::NEVER {
            return None;
        }
        if !std::mem::replace(&mut lane.listed, true) {
            outlet.waiting.push_back(index);
        }
        outlet.due = outlet.due.min(due);
        Some(leader)
    }

    /// Takes lanes off the list of a broker that does not lead them any more.
    pub(crate) fn unlist(&mut self, former: NodeId) {
        if let Some(outlet) = self.outlets.get_mut(&former) {
            let lanes = &self.lanes;
            let leads = |lane: &u32| lanes[*lane as usize].leader == Some(former);
            outlet.waiting.retain(leads);
        }
    }

    /// Metadata does not list a partition any more.
    pub(crate) fn vanish(&mut self, index: u32, now: Time) {
        let lane = &mut self.lanes[index as usize];
        let former = lane.leader;
        lane.vanish(now);
        if let Some(former) = former {
            self.unlist(former);
        }
    }

    /// Everything that lingers may go: a flush began.
    pub(crate) fn hurry(&mut self) -> Vec<NodeId> {
        let outlets = self.outlets.iter_mut();
        let waiting = outlets.filter(|(_, outlet)| !outlet.waiting.is_empty());
        let hurried = waiting.map(|(node, outlet)| {
            outlet.due = Time::default();
            *node
        });
        hurried.collect()
    }

    /// When this broker is to be sent something.
    pub(crate) fn due(&self, node: NodeId) -> Time {
        self.outlets
            .get(&node)
            .map_or(Time::NEVER, |outlet| outlet.due)
    }

    /// Takes the batches for the next request to a broker, if one is due: one of each partition
    /// that has any, whether its linger is over or not, in turn, within `request.max.bytes`, all
    /// with the same `acks` and time-out. Batches that are to be compressed wait until they are, and
    /// for their own linger: another may come first. `produce` is the version that the broker speaks.
    pub(crate) fn collect(&mut self, node: NodeId, produce: i16, now: Time) -> Option<Cargo> {
        let outlet = self
            .outlets
            .get_mut(&node)
            .filter(|outlet| outlet.due <= now)?;
        let waiting = std::mem::take(&mut outlet.waiting);
        outlet.due = Time::NEVER;
        outlet.produce = Some(produce);
        let mut cargo = Cargo::default();
        for index in waiting {
            let lane = &mut self.lanes[index as usize];
            lane.listed = false;
            let (context, jobs) = ((&*self.core, &self.identities), &mut self.jobs);
            if lane.compress(context, now, produce, jobs) {
                self.unreadable = Some(index);
            }
            if !cargo.load_from(index, lane, context, (produce, now), jobs) {
                self.list(index);
            }
        }
        // Behind those that had no room.
        for index in cargo.lanes() {
            self.list(index);
        }
        (!cargo.is_empty()).then_some(cargo)
    }

    /// Settles the batches of a written `acks=0` request.
    pub(crate) fn written(&mut self, shipments: &[Shipment]) {
        for Shipment { lane, parcel, .. } in shipments {
            let lane = &mut self.lanes[*lane as usize];
            lane.delivered(&self.core, *parcel, None, None);
            lane.report_concluded(&self.core);
        }
    }

    /// Settles the batches of a request by its answer, or lines them up for a retry.
    pub(crate) fn answered(
        &mut self,
        response: &ProduceResponse<'_>,
        shipments: Vec<Shipment>,
        (node, broker): (NodeId, &str),
        cluster: &Cluster,
        now: Time,
        random: &mut fastrand::Rng,
    ) -> Verdict {
        let mut verdict = Verdict {
            unanswered: shipments.into(),
            ..Verdict::default()
        };
        let partitions = response.topics.iter();
        let mut partitions = partitions.flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
        let failed = partitions.try_for_each(|(topic, answer)| {
            let shipment = self.take_answered(topic, answer, &mut verdict.unanswered)?;
            let hint = answer.current_leader;
            let leader = NodeId(hint.leader_id);
            // A partition without a leader has -1, which is no bootstrap address.
            if !leader.is_bootstrap() && cluster.get(leader).is_some() {
                let moved = self.lanes[shipment.lane as usize].follow(hint);
                verdict.leaders_moved |= moved;
            }
            self.judge(shipment, answer, (node, broker), &mut verdict, now, random);
            Ok(())
        });
        if verdict.leaders_moved {
            self.unlist(node);
        }
        verdict.nonsense = failed.err().or_else(|| self.left_out(&verdict.unanswered));
        verdict
    }

    /// What to say of batches that an answer leaves out.
    fn left_out(&self, unanswered: &VecDeque<Shipment>) -> Option<Nonsense> {
        let lane = self.lane(unanswered.front()?.lane);
        let (index, topic) = (lane.partition.index(), lane.topic.name());
        Some(Nonsense {
            field: "ProduceTopicResponse.partitions",
            what: format!("leaves out partition {index} of {topic:?}"),
        })
    }

    /// The batch that a partition's answer is about, taken out of those without an answer.
    fn take_answered(
        &self,
        topic: &ProduceTopicResponse<'_>,
        answer: &ProducePartitionResponse<'_>,
        unanswered: &mut VecDeque<Shipment>,
    ) -> Result<Shipment, Nonsense> {
        let matches = |shipment: &Shipment| {
            let lane = &self.lanes[shipment.lane as usize];
            let same_topic = || match topic.topic_id {
                Uuid::ZERO => **lane.topic.name() == *topic.name,
                id => shipment.topic_id == id,
            };
            lane.partition.index() == answer.index && same_topic()
        };
        // Brokers answer in the order of the request: the first is nearly always it.
        let position = unanswered.iter().position(matches);
        let unasked = || Nonsense {
            field: "ProducePartitionResponse.index",
            what: match topic.topic_id {
                Uuid::ZERO => format!("partition {} of {:?}", answer.index, topic.name),
                Uuid(id) => format!("partition {} of the topic {id:02x?}", answer.index),
            } + " is answered, but not asked for or twice",
        };
        let position = position.ok_or_else(unasked)?;
        // -1 stands for one that is not known.
        if answer.base_offset < -1 {
            let what = format!("partition {}: {}", answer.index, answer.base_offset);
            let field = "ProducePartitionResponse.base_offset";
            return Err(Nonsense { field, what });
        }
        unanswered.remove(position).ok_or_else(unasked)
    }

    /// Settles a batch by its answer, or lines it up for a retry.
    fn judge(
        &mut self,
        shipment: Shipment,
        answer: &ProducePartitionResponse<'_>,
        (node, broker): (NodeId, &str),
        verdict: &mut Verdict,
        now: Time,
        random: &mut fastrand::Rng,
    ) {
        let (index, parcel) = (shipment.lane, shipment.parcel);
        let core = Arc::clone(&self.core);
        let lane = &mut self.lanes[index as usize];
        let code = answer.error_code;
        let remedy = match code.is_ok() {
            true => Remedy::Deliver,
            false => Remedy::of(code, core.settings.idempotence),
        };
        if remedy == Remedy::Deliver {
            let told = |value: i64| Some(value).filter(|value| code.is_ok() && *value >= 0);
            let (base_offset, append_time) = (answer.base_offset, answer.log_append_time_ms);
            let troubled = lane.last_error().is_some();
            lane.delivered(&core, parcel, told(base_offset), told(append_time));
            lane.report_concluded(&core);
            if troubled && lane.last_error().is_none() {
                verdict.recovered.push(index);
            }
            return;
        }
        let setback = Setback::answered(code, answer.error_message, broker);
        verdict.refusals.push(Refusal {
            lane: index,
            topic_id: shipment.topic_id,
            code,
            text: Arc::clone(&setback.text),
        });
        // Whoever leads now has not refused it yet (KIP-951).
        let moved = lane.leader.is_some_and(|leader| leader != node);
        let retry_at = |attempts| match moved && attempts == 1 {
            true => now,
            false => now.after(retry_wait(&core, attempts, random)),
        };
        match remedy {
            Remedy::Deliver => {}
            Remedy::Retry => lane.again(&core, shipment, &setback, retry_at),
            Remedy::Reorder => {
                let forgotten = code == ErrorCode::UNKNOWN_PRODUCER_ID;
                lane.out_of_order(&core, parcel, &setback, forgotten, retry_at)
            }
            Remedy::Split => lane.split(&core, parcel, &setback),
            Remedy::Fail => lane.refused(&core, parcel, &setback, &answer.record_errors),
            Remedy::Despair => {
                core.condemn(FatalError {
                    error: setback.error,
                    text: Arc::clone(&setback.text),
                });
                lane.failed(&core, parcel, &setback);
            }
        }
        lane.report_concluded(&core);
        // Metadata may have named a new leader while the answer was on its way.
        if code.needs_metadata() && lane.leader == Some(node) {
            lane.set_leader(None);
            verdict.leaders_moved = true;
        }
    }

    /// Fails batches that no request can carry.
    fn unencodable(&mut self, shipments: &[Shipment], error: &EncodeError) {
        let setback = Setback {
            error: DeliveryError::Unencodable,
            persisted: Persisted::No,
            text: error.to_string().into(),
        };
        for Shipment { lane, parcel, .. } in shipments {
            self.lanes[*lane as usize].failed(&self.core, *parcel, &setback);
        }
    }

    /// Lines up batches whose outcome is unknown because their connection is gone.
    pub(crate) fn lost(
        &mut self,
        shipments: impl IntoIterator<Item = Shipment>,
        why: &Arc<str>,
        now: Time,
        random: &mut fastrand::Rng,
    ) {
        let setback = Setback {
            error: DeliveryError::Transport,
            persisted: Persisted::Maybe,
            text: Arc::clone(why),
        };
        let core = Arc::clone(&self.core);
        for shipment in shipments {
            let lane = &mut self.lanes[shipment.lane as usize];
            lane.again(&core, shipment, &setback, |attempts| {
                now.after(retry_wait(&core, attempts, random))
            });
            lane.report_concluded(&core);
        }
    }
}

impl Setback {
    fn answered(code: ErrorCode, message: Option<&str>, broker: &str) -> Self {
        let detail = message
            .map(|message| format!(": {message}"))
            .unwrap_or_default();
        Self {
            error: DeliveryError::Broker(code),
            persisted: remedy::persisted(code),
            text: format!("{broker}: {} ({}){detail}", code.name(), code.text()).into(),
        }
    }
}
