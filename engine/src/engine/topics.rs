//! Topics from their first use: staged while the cluster is asked, routed once it has answered.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use kafka_wire::message::MetadataTopic;
use kafka_wire::{ErrorCode, Uuid};

use super::{Engine, Reason, Subject, Timer};
use crate::accumulator::{Core, Partition, Route, Topic};
use crate::cluster::Node;
use crate::error::{DeliveryError, Failure, Place};
use crate::say;
use crate::sender::{Lane, fail_all};
use crate::settings::Compression;
use crate::time::Time;

/// What the I/O thread knows of a topic.
#[derive(Debug)]
pub(super) struct TopicState {
    pub(super) topic: Arc<Topic>,
    pub(super) lanes: Vec<u32>,
    /// Whether some partition has no leader. Records without a key avoid it, so nothing may wait
    /// there: who publishes to the others makes us ask.
    pub(super) leaderless: bool,
    /// Since when messages wait while the cluster says that there is no such topic.
    unknown_since: Option<Time>,
    last_error: Option<Arc<str>>,
    /// Its id, and the one before that (KIP-516); zero if there is none.
    ids: (Uuid, Uuid),
}

impl Engine {
    pub(super) fn stage_changed(&mut self, slot: u32) {
        self.meet(self.accumulator.at(slot));
        self.cluster.refresh.want();
        self.arm_stage(slot);
        self.core.memory.top_up();
    }

    pub(super) fn meet(&mut self, topic: Arc<Topic>) {
        if let Entry::Vacant(unmet) = self.topics.entry(topic.slot()) {
            warn_of_level(&topic, &self.core);
            unmet.insert(TopicState {
                topic,
                lanes: Vec::new(),
                leaderless: false,
                unknown_since: None,
                last_error: None,
                ids: Default::default(),
            });
            self.cluster.refresh.want_urgently();
        }
    }

    pub(super) fn expire_stage(&mut self, slot: u32, now: Time) {
        let Some(trouble) = self.topics.get(&slot).map(|state| self.trouble_of(state)) else {
            return;
        };
        let propagation_max = self.core.settings.topic_propagation_max;
        let state = self.topics.get_mut(&slot).expect("looked up above");
        if let Some(timeout) = state.topic.settings().message_timeout {
            let with_records = self.core.settings.report_records;
            let expired = state.topic.stage().expire(now, timeout, with_records);
            let failure = Failure::unsent(DeliveryError::TimedOut, Place::NoMetadata, trouble);
            fail_all(&self.core, &state.topic, -1, expired, failure);
        }
        let given_up = |since: Time| since.after(propagation_max) <= now;
        if state.unknown_since.is_some_and(given_up) {
            self.give_topic_up(slot, now);
        }
        self.forget_wait(slot);
        self.arm_stage(slot);
    }

    /// Fails the messages of a topic that the cluster does not have. Whoever publishes to it from
    /// now on waits for it as for any that is unknown.
    fn give_topic_up(&mut self, slot: u32, now: Time) {
        let Some(state) = self.topics.get_mut(&slot) else {
            return;
        };
        let why = state.last_error.clone();
        state.purge_stage(&self.core, DeliveryError::UnknownTopic, None);
        state.unknown_since = None;
        let lanes = state.lanes.clone();
        for lane in &lanes {
            self.sender.vanish(*lane, now);
            let lane = self.sender.lane_mut(*lane);
            lane.purge_waiting(&self.core, DeliveryError::UnknownTopic, why.as_ref());
        }
        self.lay_route(slot, 0, now);
        for lane in lanes {
            self.lane_changed(lane, now);
        }
    }

    /// Messages that come later have all of `topic.metadata.propagation.max.ms` again.
    pub(super) fn forget_wait(&mut self, slot: u32) {
        let waits = self.has_waiting(slot);
        if let Some(state) = self.topics.get_mut(&slot) {
            state.unknown_since = state.unknown_since.filter(|_| waits);
        }
    }

    /// Whether messages of a topic wait to be sent.
    fn has_waiting(&self, slot: u32) -> bool {
        let Some(state) = self.topics.get(&slot) else {
            return false;
        };
        let mut lanes = state.lanes.iter().map(|lane| self.sender.lane(*lane));
        lanes.any(Lane::has_waiting) || state.topic.stage().queue().unsettled() > 0
    }

    /// Fails the messages of a partition that its topic has not had for long.
    pub(super) fn expire_vanished(&mut self, index: u32, now: Time) {
        let propagation_max = self.core.settings.topic_propagation_max;
        let lane = self.sender.lane_mut(index);
        let Some(since) = lane.vanished() else {
            return;
        };
        let given_up = since.after(propagation_max);
        if given_up > now {
            return self.timers.arm(Timer::Lane(index), given_up);
        }
        lane.purge_waiting(&self.core, DeliveryError::UnknownPartition, None);
    }

    pub(super) fn arm_stage(&mut self, slot: u32) {
        let Some(state) = self.topics.get(&slot) else {
            return;
        };
        let timeout = state.topic.settings().message_timeout;
        let expiry = timeout.map_or(Time::NEVER, |t| state.topic.stage().queue().next_expiry(t));
        let propagation_max = self.core.settings.topic_propagation_max;
        let given_up = state
            .unknown_since
            .map_or(Time::NEVER, |s| s.after(propagation_max));
        self.timers.arm(Timer::Stage(slot), expiry.min(given_up));
    }

    /// Takes over what is said of a topic. True if there are partitions.
    pub(super) fn learn_topic(&mut self, slot: u32, answer: &MetadataTopic<'_>, now: Time) -> bool {
        let code = answer.error_code;
        let usable = code.is_ok() || code == ErrorCode::LEADER_NOT_AVAILABLE;
        if usable && !answer.partitions.is_empty() {
            self.update_partitions(slot, answer, now);
            return true;
        }
        let Some(state) = self.topics.get_mut(&slot) else {
            return false;
        };
        let text: Arc<str> = match code.is_ok() {
            true => "no partitions are listed".into(),
            false => format!("{} ({})", code.name(), code.text()).into(),
        };
        state.last_error = Some(Arc::clone(&text));
        if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
            let waiting = self.has_waiting(slot).then_some(now);
            let state = self.topics.get_mut(&slot).expect("looked up above");
            state.unknown_since = state.unknown_since.or(waiting);
        } else if !code.is_retriable() && !code.is_ok() {
            let subject = Subject::Metadata(slot);
            match self.complaints.complain(subject, Reason::Code(code), now) {
                Some(unsaid) => {
                    say!(
                        self.core.settings, WARN Topic,
                        topic = %state.topic.name(), "{text}{unsaid}"
                    )
                }
                None => {
                    say!(self.core.settings, DEBUG Topic, topic = %state.topic.name(), "{text}")
                }
            }
            let error = DeliveryError::Broker(code);
            state.purge_stage(&self.core, error, Some(&text));
            for lane in state.lanes.clone() {
                let lane = self.sender.lane_mut(lane);
                lane.purge_waiting(&self.core, error, Some(&text));
            }
        }
        self.arm_stage(slot);
        false
    }

    /// Says that messages wait, and that metadata does not help.
    pub(super) fn complain_of_waiting(&mut self, slot: u32, now: Time) {
        let state = &self.topics[&slot];
        let lanes = state.lanes.iter().map(|lane| self.sender.lane(*lane));
        let mut stranded = lanes.filter(|lane| self.is_stranded(lane));
        let text = state.last_error.clone().unwrap_or_else(|| {
            stranded.next().map_or_else(
                || "the answers leave it out".into(),
                |lane| {
                    let leader = lane.leader.map_or(-1, |leader| leader.0);
                    let index = lane.partition.index();
                    format!("partition {index} is led by {leader}, which is no broker").into()
                },
            )
        });
        let subject = Subject::Metadata(slot);
        let topic = state.topic.name();
        match self.complaints.complain(subject, Reason::NowhereToGo, now) {
            Some(unsaid) => {
                say!(self.core.settings, WARN Topic, %topic, "messages wait: {text}{unsaid}")
            }
            None => say!(self.core.settings, DEBUG Topic, %topic, "messages wait: {text}"),
        }
    }

    pub(super) fn update_partitions(&mut self, slot: u32, answer: &MetadataTopic<'_>, now: Time) {
        let Some(state) = self.topics.get_mut(&slot) else {
            return;
        };
        state.unknown_since = None;
        state.last_error = None;
        let (id, former) = state.ids;
        if answer.topic_id != Uuid::ZERO && answer.topic_id != id {
            // No topic gets an id twice: this broker has not heard that it was made anew. Where numbers
            // depend on it, leaders answer, and say if that is wrong.
            if answer.topic_id == former && self.core.settings.idempotence {
                return;
            }
            state.ids = (answer.topic_id, id);
        }
        // Partitions are numbered without gaps: what is listed says how many there are, never a
        // number that a peer claims.
        for index in state.lanes.len()..answer.partitions.len() {
            let lane = self.sender.next_lane();
            let (limits, numbers) = (self.core.limits(), (index as i32, lane));
            let partition = Partition::new(numbers, limits, &self.core.memory, &self.core.tape);
            if self.core.is_closed() {
                partition.queue().close();
            }
            state.lanes.push(lane);
            self.sender.add(&state.topic, partition);
        }
        let lanes = state.lanes.clone();
        let listed = answer.partitions.len();
        let mut former = BTreeSet::new();
        for partition in &answer.partitions {
            let index = usize::try_from(partition.partition_index).ok();
            if let Some(lane) = index.and_then(|index| lanes.get(index)) {
                let useless = !self.has_leader(self.sender.lane(*lane));
                let lane = self.sender.lane_mut(*lane);
                let leader = lane.leader;
                if lane.update_leader(answer.topic_id, partition, useless) {
                    former.extend(leader);
                }
            }
        }
        for lane in &lanes[listed..] {
            self.sender.vanish(*lane, now);
        }
        for leader in former {
            self.sender.unlist(leader);
        }
        let led = |lane: &u32| self.has_leader(self.sender.lane(*lane));
        let leaderless = !lanes[..listed].iter().all(led);
        self.topics
            .entry(slot)
            .and_modify(|state| state.leaderless = leaderless);
        self.lay_route(slot, listed, now);
        for lane in lanes {
            self.lane_changed(lane, now);
        }
    }

    /// Leads publishers to the first `count` partitions: those that the topic has now.
    pub(super) fn lay_route(&mut self, slot: u32, count: usize, now: Time) {
        let Some(state) = self.topics.get(&slot) else {
            return;
        };
        let lanes = state.lanes.iter().map(|lane| self.sender.lane(*lane));
        let led = (0..)
            .zip(lanes.clone())
            .filter(|(_, lane)| lane.leader.is_some());
        let available: Vec<u32> = led.map(|(index, _)| index).collect();
        let current = state.topic.route();
        if current.partitions.len() == count && current.available == available {
            return;
        }
        let (topic, with_leader) = (state.topic.name(), available.len());
        say!(
            self.core.settings, DEBUG Topic,
            %topic, "{count} partitions, {with_leader} of them with a leader"
        );
        let mut partitions: Vec<_> = lanes.map(|lane| Arc::clone(&lane.partition)).collect();
        let former = partitions.split_off(count);
        let route = Route {
            partitions,
            available,
            former,
        };
        for (target, settlement) in state.topic.lay_route(route, now) {
            let text = format!("partition {target} of {count}").into();
            let error = DeliveryError::UnknownPartition;
            let failure = Failure::unsent(error, Place::Queued, Some(text));
            fail_all(&self.core, &state.topic, target, vec![settlement], failure);
        }
    }

    /// A leader does not know a topic by this id. If it is the present one, any other may be it.
    pub(super) fn disbelieve(&mut self, lane: u32, topic_id: Uuid) {
        let slot = self.sender.lane(lane).topic.slot();
        let state = self.topics.get_mut(&slot);
        if let Some(state) = state.filter(|state| state.ids.0 == topic_id) {
            state.ids.1 = Uuid::ZERO;
        }
    }

    /// A batch was begun: its topic is in use.
    pub(super) fn seek_leaders(&mut self, lane: u32) {
        let slot = self.sender.lane(lane).topic.slot();
        if self.topics.get(&slot).is_some_and(|state| state.leaderless) {
            self.cluster.refresh.want();
        }
    }

    /// Whether messages of a topic wait for metadata.
    pub(super) fn needs_metadata(&self, slot: u32) -> bool {
        let state = &self.topics[&slot];
        let staged = state.topic.stage().queue().unsettled() > 0;
        let mut lanes = state.lanes.iter().map(|lane| self.sender.lane(*lane));
        staged || lanes.any(|lane| self.is_stranded(lane))
    }

    /// Whether messages of a partition wait, and no broker leads it.
    fn is_stranded(&self, lane: &Lane) -> bool {
        !self.has_leader(lane) && lane.has_messages()
    }

    /// Whether messages of a topic wait for a leader that cannot be reached. The cluster takes its
    /// time (`broker.session.timeout.ms`) to find that out and to elect another one, which may be
    /// long before the next attempt to connect.
    pub(super) fn is_cut_off(&self, slot: u32) -> bool {
        let lanes = self.topics[&slot].lanes.iter();
        lanes.map(|lane| self.sender.lane(*lane)).any(|lane| {
            let leader = lane.leader.and_then(|leader| self.cluster.get(leader));
            lane.has_messages() && leader.is_some_and(Node::is_unreachable)
        })
    }

    /// Whether a partition is led by a broker of the cluster.
    fn has_leader(&self, lane: &Lane) -> bool {
        let leader = lane.leader.and_then(|leader| self.cluster.get(leader));
        leader.is_some()
    }

    pub(super) fn trouble_of(&self, state: &TopicState) -> Option<Arc<str>> {
        state
            .last_error
            .clone()
            .or_else(|| self.cluster.last_error())
    }
}

/// A level that the codec lacks counts as the nearest one.
fn warn_of_level(topic: &Topic, core: &Core) {
    let compression = topic.settings().compression(&core.settings);
    let Some(Compression { codec, level }) = compression else {
        return;
    };
    let levels = codec.levels();
    if let Some(level) = level.filter(|level| !levels.contains(level)) {
        let nearest = level.clamp(*levels.start(), *levels.end());
        say!(
            core.settings, WARN Topic,
            topic = %topic.name(),
            "{codec} has the levels {} to {} here: {level} counts as {nearest}",
            levels.start(),
            levels.end()
        );
    }
}

impl TopicState {
    /// Fails everything that is staged, because of `why` or of what was last said of the topic.
    pub(super) fn purge_stage(
        &mut self,
        core: &Core,
        error: DeliveryError,
        why: Option<&Arc<str>>,
    ) {
        let waiting = self.topic.stage().purge(core.settings.report_records);
        let why = why.or(self.last_error.as_ref()).cloned();
        let failure = Failure::unsent(error, Place::NoMetadata, why);
        fail_all(core, &self.topic, -1, waiting, failure);
        self.unknown_since = None;
    }
}
