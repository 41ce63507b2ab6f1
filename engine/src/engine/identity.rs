//! The producer id (KIP-98): asked for at the start, and whenever the epochs of one are used up.

use kafka_wire::message::InitProducerIdResponse;
use kafka_wire::{ApiKey, ErrorCode};
use std::sync::Arc;

use super::{Engine, Reason, Subject, Timer};
use crate::accumulator::ProducerId;
use crate::connection::ConnId;
use crate::error::{DeliveryError, FatalError};
use crate::say;
use crate::time::Time;

impl Engine {
    /// Asks for a producer id, if one is missing and it is time.
    pub(super) fn seek_identity(&mut self, now: Time) {
        let identities = &self.sender.identities;
        let missing = identities
            .missing()
            .filter(|_| self.core.condemned().is_none());
        let Some(variant) = missing else {
            return;
        };
        if !identities.inquiry.is_due(now) {
            self.timers
                .arm(Timer::Identity, identities.inquiry.next_due());
            return;
        }
        match self.readiest(ApiKey::InitProducerId, now) {
            Some(conn) => self.ask_producer_id(conn, variant, now),
            None => match self.lacks_producer_ids() {
                Some(fatal) => {
                    self.core.condemn(fatal);
                    self.end_if_condemned();
                }
                None => self.find_broker(now),
            },
        }
    }

    fn ask_producer_id(&mut self, conn: ConnId, variant: u32, now: Time) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        let deadline = now.after(self.core.settings.request_timeout);
        match connection.ask_producer_id(variant, deadline) {
            Ok(()) => {
                let inquiry = &mut self.sender.identities.inquiry;
                inquiry.ask(conn, now);
                self.timers.arm(Timer::Identity, inquiry.next_due());
                self.timers.arm(Timer::Connection(conn), deadline);
                self.sendable.push_back(conn);
            }
            Err(error) => self.drop_connection(conn, &error, now),
        }
    }

    /// What to say if brokers are there, and none of them gives out producer ids.
    fn lacks_producer_ids(&self) -> Option<FatalError> {
        let mut ready = self.connections.values().filter(|c| c.versions().is_some());
        let first = ready.next()?;
        let lacks = !first.offers(ApiKey::InitProducerId);
        (lacks && !ready.any(|c| c.offers(ApiKey::InitProducerId))).then(|| FatalError {
            error: DeliveryError::UnsupportedFeature,
            text: format!("{} does not speak InitProducerId", first.endpoint).into(),
        })
    }

    /// Takes over the answer to InitProducerId.
    pub(super) fn identified(
        &mut self,
        conn: ConnId,
        variant: u32,
        response: &InitProducerIdResponse,
        now: Time,
    ) {
        self.proven(conn);
        let identities = &mut self.sender.identities;
        if !identities.inquiry.heard(conn) {
            return;
        }
        let code = response.error_code;
        if code.is_ok() {
            let producer = ProducerId {
                id: response.producer_id,
                epoch: response.producer_epoch,
            };
            identities.learn(variant, producer);
        }
        let (given, random) = (code.is_ok(), &mut self.random);
        identities.inquiry.answered(given, !given, now, random);
        if given {
            if identities.missing().is_some() {
                identities.inquiry.want_urgently();
            }
            if self.complaints.over(&Subject::Identity) {
                say!(self.core.settings, INFO Eos, "a producer id was given out");
            }
            self.dismiss_spares(now);
            return self.list_all(now);
        }
        let broker = self.connections.get(&conn).map(|c| c.endpoint.clone());
        let broker = broker.map_or_else(String::new, |broker| format!("{broker}: "));
        let text: Arc<str> =
            format!("{broker}no producer id: {} ({})", code.name(), code.text()).into();
        let hopeless = [
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            ErrorCode::UNSUPPORTED_VERSION,
        ];
        if hopeless.contains(&code) {
            let error = DeliveryError::Broker(code);
            self.core.condemn(FatalError { error, text });
            return self.end_if_condemned();
        }
        match self
            .complaints
            .complain(Subject::Identity, Reason::Code(code), now)
        {
            Some(unsaid) => {
                say!(
                    self.core.settings, WARN Eos,
                    "{text}; trying again until there is one{unsaid}"
                )
            }
            None => say!(self.core.settings, DEBUG Eos, "{text}"),
        }
        self.sender.identities.last_error = Some(text);
    }
}
