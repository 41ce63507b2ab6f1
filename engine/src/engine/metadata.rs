//! Metadata: whom to ask, and what an answer changes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::message::{MetadataResponse, MetadataTopic};
use kafka_wire::{ApiKey, ErrorCode};

use super::{Engine, Reason, Subject, Timer};
use crate::cluster::Changes;
use crate::connection::{ConnId, ConnectionError, Trouble};
use crate::say;
use crate::time::Time;

/// While no broker answers, another one is tried after so long.
const NEXT_CANDIDATE: Duration = Duration::from_millis(500);

/// A cluster is not given up before a broker has had the time to answer.
const LEAST_TRIGGER: Duration = Duration::from_secs(2);

/// What a rebootstrap is, for the log.
const ELSEWHERE: &str = "the cluster is looked for at the bootstrap addresses";

impl Engine {
    pub(super) fn refresh_metadata(&mut self, now: Time) {
        self.give_cluster_up(now);
        if !self.cluster.refresh.is_due(now) {
            self.timers
                .arm(Timer::Refresh, self.cluster.refresh.next_due());
            return;
        }
        match self.readiest(ApiKey::Metadata, now) {
            Some(conn) => self.ask_metadata(conn, now),
            None => self.find_broker(now),
        }
    }

    /// Begins anew with the bootstrap list if no metadata could be had for too long (KIP-1102).
    fn give_cluster_up(&mut self, now: Time) {
        let Some(since) = self.cluster.refresh.open_since(now) else {
            return;
        };
        let settings = &self.core.settings;
        let given_up = since.after(settings.rebootstrap_trigger.max(LEAST_TRIGGER));
        match settings.rebootstrap && self.cluster.is_known() {
            true if given_up <= now => {
                self.cluster.refresh.reopen(now);
                say!(
                    self.core.settings, WARN Metadata,
                    "there has been no metadata for long: {ELSEWHERE}"
                );
                self.rebootstrap(now);
            }
            true => self.timers.arm(Timer::Refresh, given_up),
            false => {}
        }
    }

    /// Asks anew after the usual wait: who is sent back again and again makes no storm.
    fn rebootstrap(&mut self, now: Time) {
        for conn in self.cluster.forget() {
            self.dismiss(conn, now);
        }
        self.cluster.refresh.want();
    }

    /// The connection whose broker is most likely to answer soon: none that has left something
    /// unanswered for longer than others, none that has this very question, and none whose broker
    /// wants to be left alone.
    pub(super) fn readiest(&self, api: ApiKey, now: Time) -> Option<ConnId> {
        let usable = self.connections.iter();
        let usable = usable.filter(|(_, c)| c.offers(api) && !c.awaits(api));
        let usable = usable.filter(|(_, c)| c.muted_until() <= now);
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
        if !response.error_code.is_ok() {
            return self.not_told(response.error_code, now);
        }
        // Nobody else needs to be asked.
        self.timers.disarm(Timer::Refresh);
        say!(
            self.core.settings, DEBUG Metadata,
            "{} brokers, {} topics", response.brokers.len(), response.topics.len()
        );
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
                say!(self.core.settings, INFO Topic, topic = %name, "can be used again");
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

    /// A broker has no metadata to give, or wants this client to forget what it has (KIP-1102).
    fn not_told(&mut self, code: ErrorCode, now: Time) {
        self.cluster
            .refresh
            .answered(false, true, now, &mut self.random);
        let sent_back = code == ErrorCode::REBOOTSTRAP_REQUIRED && self.core.settings.rebootstrap;
        let next = match sent_back {
            true => ELSEWHERE,
            false => "trying again until there is some",
        };
        let text = format!("no metadata: {} ({})", code.name(), code.text());
        match self
            .complaints
            .complain(Subject::Cluster, Reason::Code(code), now)
        {
            Some(unsaid) => {
                say!(
                    self.core.settings, WARN Metadata,
                    "{text}; {next}{unsaid}"
                )
            }
            None => say!(self.core.settings, DEBUG Metadata, "{text}"),
        }
        if sent_back {
            self.rebootstrap(now);
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
            let needed = [ApiKey::Metadata, ApiKey::InitProducerId];
            if connection.is_some_and(|c| !needed.iter().any(|api| c.awaits(*api))) {
                self.dismiss(conn, now);
            }
        }
    }

    pub(super) fn dismiss(&mut self, conn: ConnId, now: Time) {
        if let Some(connection) = self.connections.get(&conn) {
            let broker = connection.endpoint.clone();
            let trouble = Trouble::Dismissed;
            self.drop_connection(conn, &ConnectionError { broker, trouble }, now);
        }
    }
}
