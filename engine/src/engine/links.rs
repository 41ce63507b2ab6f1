//! Connections to brokers: made when something waits for one, dropped with a reason, made anew
//! after a wait.

use std::sync::Arc;

use super::{Engine, Event, Reason, Subject, Timer};
use crate::backoff::backoff;
use crate::cluster::{Link, NodeId};
use crate::connection::{ConnId, Connection, ConnectionError, Purpose, Trouble};
use crate::contact::Contact;
use crate::recording::Step;
use crate::say;
use crate::time::Time;

impl Engine {
    /// A connection is open.
    pub fn opened(&mut self, conn: ConnId, now: Time) {
        let _step = self.core.tape.step(now, || Step::Opened(conn.0));
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match connection.opened(now) {
            Ok(()) => self.sendable.push_back(conn),
            Err(error) => self.drop_connection(conn, &error, now),
        }
    }

    /// A connection could not be made, or is gone.
    pub fn closed(&mut self, conn: ConnId, reason: &str, now: Time) {
        let _step = self.core.tape.step(now, || Step::Closed(conn.0, reason));
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        let error = connection.lost(reason);
        self.drop_connection(conn, &error, now);
    }

    /// What arrived on a connection is no frame; `what` says what it is, and where in the stream.
    pub fn garbled(&mut self, conn: ConnId, what: &str, now: Time) {
        let _step = self.core.tape.step(now, || Step::Garbled(conn.0, what));
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        let error = connection.garbled(what);
        self.drop_connection(conn, &error, now);
    }

    pub(super) fn connect(&mut self, id: NodeId, now: Time) {
        let Some(node) = self.cluster.get_mut(id) else {
            return;
        };
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        node.link = Link::Opening(conn);
        let endpoint = node.endpoint.clone();
        say!(self.core.settings, DEBUG Broker, "{endpoint}: connecting");
        let connection = Connection::new(id, endpoint.clone(), &self.core, now);
        self.timers
            .arm(Timer::Connection(conn), connection.deadline());
        self.connections.insert(conn, connection);
        let tape = &self.core.tape;
        tape.output(|| format!("opens connection {} to {endpoint}", conn.0));
        self.events.push_back(Event::Connect { conn, endpoint });
    }

    /// Connects to every broker of the cluster, where that is wanted.
    pub(super) fn connect_all(&mut self, now: Time) {
        if !self.core.settings.sparse_connections {
            for id in self.cluster.unconnected() {
                self.connect(id, now);
            }
        }
    }

    pub(super) fn ready(&mut self, conn: ConnId, now: Time) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        say!(self.core.settings, DEBUG Broker, "{}: can be used", connection.endpoint);
        let id = connection.node;
        if let Some(node) = self.cluster.get_mut(id) {
            node.link = Link::Up(conn);
        }
        if self.cluster.is_up() {
            self.core.set_contact(Contact::Up);
        }
        if !id.is_bootstrap() {
            self.dismiss_spares(now);
        }
        self.serve(id, now);
    }

    /// A request was answered as it should be: what went wrong before is over.
    pub(super) fn proven(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        if let Some(node) = self.cluster.get_mut(connection.node) {
            node.last_error = None;
        }
        let broker = connection.endpoint.clone();
        if self.complaints.over(&Subject::Broker(broker)) {
            say!(self.core.settings, INFO Broker, broker = %connection.endpoint, "works again");
        }
    }

    /// Ends a connection: its broker is tried again later, its batches are sent again.
    pub(super) fn drop_connection(&mut self, conn: ConnId, error: &ConnectionError, now: Time) {
        let Some(connection) = self.connections.remove(&conn) else {
            return;
        };
        let tape = &self.core.tape;
        tape.output(|| format!("drops connection {}: {error}", conn.0));
        self.events.push_back(Event::Disconnect { conn });
        self.cluster.refresh.lost(conn);
        self.sender.identities.inquiry.lost(conn);
        let id = connection.node;
        let lasted = connection.lasted(now);
        let shipments = connection.into_shipments();
        let idle = matches!(
            error.trouble,
            Trouble::Lost {
                unanswered: None,
                ..
            }
        );
        // Brokers close connections that are idle for long: that is no news.
        let unneeded = idle && lasted && shipments.is_empty();
        let unneeded = unneeded && self.sender.due(id) == Time::NEVER;
        if self
            .cluster
            .get(id)
            .is_some_and(|node| node.connection() == Some(conn))
        {
            match error.trouble.is_orderly() || unneeded {
                true => self.let_go(id, error),
                false => self.back_off(id, error, lasted, now),
            }
        }
        if !error.trouble.is_orderly() {
            // Its partitions may have another leader by now.
            self.cluster.refresh.want();
        }
        let why: Arc<str> = error.to_string().into();
        let unknown = shipments.iter().copied();
        self.sender.lost(unknown, &why, now, &mut self.random);
        self.relist(&shipments, now);
        // Something may have become due for it at this very moment.
        self.serve(id, now);
    }

    /// Nothing is wrong with the broker: it can be connected again at once.
    fn let_go(&mut self, id: NodeId, error: &ConnectionError) {
        say!(self.core.settings, DEBUG Broker, "{error}");
        if let Some(node) = self.cluster.get_mut(id) {
            node.link = Link::Down;
        }
    }

    fn back_off(&mut self, id: NodeId, error: &ConnectionError, lasted: bool, now: Time) {
        let settings = &self.core.settings;
        let (first, max) = (settings.reconnect_backoff, settings.reconnect_backoff_max);
        let Some(node) = self.cluster.get_mut(id) else {
            return;
        };
        let why: Arc<str> = error.to_string().into();
        node.failed(Arc::clone(&why), lasted);
        let wait = backoff(first, max, node.failures, 0.75..=1.5, &mut self.random);
        let until = now.after(wait);
        node.link = Link::Backoff(until);
        self.timers.arm(Timer::Reconnect(id), until);
        let failures = node.failures;
        if !self.cluster.is_up() {
            self.core.set_contact(Contact::Down(why));
        }
        let subject = Subject::Broker(error.broker.clone());
        let reason = Reason::Connection(std::mem::discriminant(&error.trouble));
        let closed = matches!(error.trouble, Trouble::Lost { .. });
        let quiet = closed && !self.core.settings.log.connection_close;
        let said = match quiet {
            true => None,
            false => self.complaints.complain(subject, reason, now),
        };
        match said {
            Some(unsaid) => {
                say!(
                    self.core.settings, WARN Broker,
                    "{error}; trying again until it works{unsaid}"
                )
            }
            None => say!(self.core.settings, DEBUG Broker, failures, ?wait, "{error}"),
        }
    }

    pub(super) fn backoff_over(&mut self, id: NodeId, now: Time) {
        let Some(node) = self.cluster.get_mut(id) else {
            return;
        };
        match node.link {
            Link::Backoff(until) if until <= now => node.link = Link::Down,
            Link::Backoff(until) => self.timers.arm(Timer::Reconnect(id), until),
            _ => {}
        }
        self.connect_all(now);
        self.serve(id, now);
    }

    pub(super) fn check_connection(&mut self, conn: ConnId, now: Time) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        if let Some(error) = connection.overdue(now) {
            match connection.give_up(now) {
                Some(purposes) => self.forgo(conn, purposes, &error, now),
                None => return self.drop_connection(conn, &error, now),
            }
        }
        if let Some(connection) = self.connections.get(&conn) {
            let deadline = connection.deadline();
            self.timers.arm(Timer::Connection(conn), deadline);
        }
    }

    /// Does without some answers of a connection that is kept (`socket.max.fails`).
    fn forgo(&mut self, conn: ConnId, purposes: Vec<Purpose>, error: &ConnectionError, now: Time) {
        let subject = Subject::Broker(error.broker.clone());
        let reason = Reason::Connection(std::mem::discriminant(&error.trouble));
        match self.complaints.complain(subject, reason, now) {
            Some(unsaid) => say!(
                self.core.settings, WARN Broker,
                "{error}; trying again on the same connection{unsaid}"
            ),
            None => say!(self.core.settings, DEBUG Broker, "{error}"),
        }
        let mut shipments = Vec::new();
        for purpose in purposes {
            match purpose {
                Purpose::Produce(unknown) => shipments.extend(unknown),
                Purpose::Metadata(_) => self.cluster.refresh.lost(conn),
                Purpose::InitProducerId(_) => self.sender.identities.inquiry.lost(conn),
                Purpose::ApiVersions | Purpose::GivenUp => {}
            }
        }
        let why: Arc<str> = error.to_string().into();
        let node = self
            .connections
            .get(&conn)
            .map(|connection| connection.node);
        if let Some(node) = node.and_then(|id| self.cluster.get_mut(id)) {
            node.last_error = Some(Arc::clone(&why));
        }
        // Its partitions may have another leader by now.
        self.cluster.refresh.want();
        let unknown = shipments.iter().copied();
        self.sender.lost(unknown, &why, now, &mut self.random);
        self.relist(&shipments, now);
        self.sendable.push_back(conn);
    }

    pub(super) fn trouble_at(&self, leader: Option<NodeId>) -> Option<&Arc<str>> {
        leader.and_then(|leader| self.cluster.get(leader)?.last_error.as_ref())
    }
}
