//! Metadata: whom to ask, and what an answer changes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::ApiKey;
use kafka_wire::message::{MetadataResponse, MetadataTopic};

use tracing::info;

use super::{Engine, Subject, Timer};
use crate::cluster::Changes;
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
        match self.readiest(ApiKey::Metadata) {
            Some(conn) => self.ask_metadata(conn, now),
            None => self.find_broker(now),
        }
    }

    /// The connection whose broker is most likely to answer soon: none that has left something
    /// unanswered for longer than others, and none that has this very question.
    pub(super) fn readiest(&self, api: ApiKey) -> Option<ConnId> {
        let usable = self.connections.iter();
        let usable = usable.filter(|(_, c)| c.offers(api) && !c.awaits(api));
        let readiest = usable
            .max_by_key(|(conn, c)| (c.oldest_deadline(), Reverse(c.in_flight()), Reverse(**conn)));
        readiest.map(|(conn, _)| *conn)
    }

    pub(super) fn ask_metadata(&mut self, conn: ConnId, now: Time) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        // A topic that is open with two settings is still one.
        let names: BTreeSet<Arc<str>> = self
            .topics
            .values()
            .map(|state| Arc::clone(state.topic.name()))
            .collect();
        let settings = &self.core.settings;
        // Who needs to know something of a topic asks for it by its name: it may have to be made.
        let some = settings.metadata_sparse || !self.cluster.refresh.is_routine();
        let deadline = now.after(settings.request_timeout);
        match connection.ask_metadata(some.then(|| names.into_iter().collect()), deadline) {
            Ok(()) => {
                self.cluster.refresh.ask(conn, now);
                self.cluster.searched_at = None;
                self.sendable.push_back(conn);
                self.timers.arm(Timer::Connection(conn), deadline);
            }
            Err(error) => self.drop_connection(conn, &error, now),
        }
    }

    /// Connects to some broker: to another one whenever the last does not answer soon. A
    /// connection that is in the making for other reasons gets the same time.
    pub(super) fn find_broker(&mut self, now: Time) {
        if self.cluster.is_opening() {
            let last_step = *self.cluster.searched_at.get_or_insert(now);
            let next_step = last_step.after(NEXT_CANDIDATE);
            if next_step > now {
                return self.timers.arm(Timer::Refresh, next_step);
            }
        }
        if let Some(candidate) = self.cluster.candidate() {
            self.connect(candidate, now);
            self.cluster.searched_at = Some(now);
            self.timers.arm(Timer::Refresh, now.after(NEXT_CANDIDATE));
        }
    }

    /// Takes over what an answer to Metadata says.
    pub(super) fn learn(&mut self, conn: ConnId, response: &MetadataResponse<'_>, now: Time) {
        if !self.cluster.refresh.heard(conn) {
            return;
        }
        // Nobody else needs to be asked.
        self.timers.disarm(Timer::Refresh);
        let changes = self.cluster.update(&response.brokers);
        self.apply(changes, now);
        self.connect_all(now);
        let answers = response.topics.iter();
        let answers: HashMap<&str, &MetadataTopic<'_>> = answers
            .filter_map(|topic| Some((topic.name?, topic)))
            .collect();
        let slots: Vec<u32> = self.topics.keys().copied().collect();
        let mut open = Vec::new();
        let (mut leaderless, mut cut_off) = (false, false);
        for slot in slots {
            let name = Arc::clone(self.topics[&slot].topic.name());
            // A topic that was opened after the question was asked is not in the answer.
            let answer = answers.get(&*name);
            let usable = answer.is_some_and(|answer| self.learn_topic(slot, answer, now));
            leaderless |= self.topics[&slot].leaderless;
            cut_off |= self.is_cut_off(slot);
            if self.needs_metadata(slot) {
                open.push(slot);
            } else if usable && self.complaints.over(&Subject::Metadata(slot)) {
                info!(topic = %name, "can be used again");
            }
        }
        let needed = !open.is_empty() || cut_off || response.brokers.is_empty();
        let complete = !needed && !leaderless;
        self.cluster
            .refresh
            .answered(complete, needed, now, &mut self.random);
        if self.cluster.refresh.is_fruitless() {
            for slot in open {
                self.complain_of_waiting(slot, now);
            }
        }
    }

    fn apply(&mut self, changes: Changes, now: Time) {
        if let Some((conn, node)) = changes.adopted
            && let Some(connection) = self.connections.get_mut(&conn)
        {
            connection.node = node;
        }
        for conn in changes.obsolete {
            self.dismiss(conn, now);
        }
        self.dismiss_spares(now);
    }

    pub(super) fn dismiss_spares(&mut self, now: Time) {
        for conn in self.cluster.spare_links() {
            let connection = self.connections.get(&conn);
            if connection.is_some_and(|connection| !connection.awaits(ApiKey::Metadata)) {
                self.dismiss(conn, now);
            }
        }
    }

    fn dismiss(&mut self, conn: ConnId, now: Time) {
        if let Some(connection) = self.connections.get(&conn) {
            let broker = connection.endpoint.clone();
            let trouble = Trouble::Dismissed;
            self.drop_connection(conn, &ConnectionError { broker, trouble }, now);
        }
    }
}
