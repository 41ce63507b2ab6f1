//! Metadata: whom to ask, and what an answer changes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::Uuid;
use kafka_wire::message::{MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataTopic};

use super::{Engine, Timer};
use crate::cluster::{Changes, Link, NodeId};
use crate::connection::{ConnId, ConnectionError, Trouble};
use crate::time::Time;

/// While no broker answers, another one is tried after so long.
const NEXT_CANDIDATE: Duration = Duration::from_millis(500);

impl Engine {
    pub(super) fn refresh_metadata(&mut self, now: Time) {
        if !self.cluster.refresh.is_due(now) {
            self.timers
                .arm(Timer::Refresh, self.cluster.refresh.next_due());
            return;
        }
        let usable = self
            .connections
            .iter()
            .filter(|(_, c)| c.versions().is_some());
        match usable
            .min_by_key(|(conn, c)| (c.in_flight(), **conn))
            .map(|(conn, _)| *conn)
        {
            Some(conn) => self.ask_metadata(conn, now),
            None => self.find_broker(now),
        }
    }

    pub(super) fn ask_metadata(&mut self, conn: ConnId, now: Time) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        // A topic that is open with two settings is still one.
        let states = self.topics.values();
        let names: BTreeSet<&str> = states.map(|state| &**state.topic.name()).collect();
        let topics = names.into_iter().map(|name| MetadataRequestTopic {
            topic_id: Uuid::ZERO,
            name: Some(name),
        });
        let request = MetadataRequest {
            topics: Some(topics.collect()),
            allow_auto_topic_creation: true,
            ..MetadataRequest::default()
        };
        let deadline = now.after(self.core.settings.request_timeout);
        match connection.ask_metadata(&request, deadline) {
            Ok(()) => {
                self.cluster.refresh.ask(conn);
                self.sendable.push_back(conn);
                self.timers.arm(Timer::Connection(conn), deadline);
            }
            Err(error) => self.drop_connection(conn, &error, now),
        }
    }

    /// Connects to some broker: another one whenever the last does not answer soon.
    pub(super) fn find_broker(&mut self, now: Time) {
        let next_try = self
            .cluster
            .opening_since()
            .map(|since| since.after(NEXT_CANDIDATE));
        if let Some(at) = next_try.filter(|at| *at > now) {
            self.timers.arm(Timer::Refresh, at);
            return;
        }
        let candidates = self.cluster.candidates();
        let down = |id: &NodeId| self.cluster.get(*id).is_some_and(|n| n.link == Link::Down);
        if let Some(candidate) = candidates.into_iter().find(down) {
            self.connect(candidate, now);
            self.timers.arm(Timer::Refresh, now.after(NEXT_CANDIDATE));
        }
    }

    /// Takes over what an answer to Metadata says.
    pub(super) fn learn(&mut self, response: &MetadataResponse<'_>, now: Time) {
        self.cluster.refresh.heard();
        let changes = self.cluster.update(&response.brokers);
        self.apply(changes, now);
        let answers = response.topics.iter();
        let answers: HashMap<&str, &MetadataTopic<'_>> = answers
            .filter_map(|topic| Some((topic.name?, topic)))
            .collect();
        let slots: Vec<u32> = self.topics.keys().copied().collect();
        let mut complete = !response.brokers.is_empty();
        for slot in slots {
            let name = Arc::clone(self.topics[&slot].topic.name());
            // A topic that was opened after the question was asked is not in the answer.
            if let Some(answer) = answers.get(&*name) {
                self.learn_topic(slot, answer, now);
            }
            complete &= !self.needs_metadata(slot);
        }
        self.cluster
            .refresh
            .answered(complete, now, &mut self.random);
    }

    pub(super) fn apply(&mut self, changes: Changes, now: Time) {
        if let Some((conn, node)) = changes.adopted
            && let Some(connection) = self.connections.get_mut(&conn)
        {
            connection.node = node;
        }
        for conn in changes.obsolete {
            if let Some(connection) = self.connections.get(&conn) {
                let broker = connection.endpoint.clone();
                let error = ConnectionError {
                    broker,
                    trouble: Trouble::Dismissed,
                };
                self.drop_connection(conn, &error, now);
            }
        }
    }
}
