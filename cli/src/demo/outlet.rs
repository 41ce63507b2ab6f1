//! An event socket, and what became of the events that were raised on it.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use event_kafka::config::Config;
use event_kafka::opensips::{self, Params, Socket};
use event_kafka::{Balance, Delivered, Failure, Outcome, Producer, Record, Topic};

use super::events::Event;
use crate::error::Error;
use crate::socket;

/// What OpenSIPS makes of a socket that its script subscribes to an event.
pub(super) struct Outlet<'a> {
    socket: Socket<'a>,
    producer: Producer,
    topic: Topic,
    /// An event's opaque is its index here.
    raised: Vec<Raised>,
}

pub(super) struct Raised {
    pub(super) number: usize,
    pub(super) event: &'static Event,
    pub(super) key: Option<Vec<u8>>,
    pub(super) payload: Vec<u8>,
    at: Instant,
    pub(super) report: Option<Report>,
}

pub(super) struct Report {
    /// How long the event was under way.
    pub(super) after: Duration,
    pub(super) outcome: Outcome,
}

impl<'a> Outlet<'a> {
    pub(super) fn open(socket: &'a str) -> Result<Self, Error> {
        let socket = Socket::parse(socket)?;
        let mut config = Config::default();
        socket::configure(&socket, &mut config)?;
        let producer = Producer::builder().config(config).start()?;
        Ok(Self {
            topic: producer.topic(socket.topic)?,
            socket,
            producer,
            raised: Vec::new(),
        })
    }

    pub(super) fn raise(&mut self, event: &'static Event) -> Result<(), Error> {
        let mut payload = Vec::new();
        opensips::Event::new(event.name.as_bytes(), Params::Named(event.params))
            .write(self.socket.payload, &mut payload);
        let key = self
            .socket
            .key
            .key_of(
                event.call_id.map(str::as_bytes),
                Params::Named(event.params),
            )
            .map(Cow::into_owned);
        let at = Instant::now();
        self.topic.publish(Record {
            key: key.as_deref(),
            opaque: self.raised.len() as u64,
            ..Record::new(&payload)
        })?;
        self.raised.push(Raised {
            number: self.raised.len() + 1,
            event,
            key,
            payload,
            at,
            report: None,
        });
        Ok(())
    }

    /// Takes the report of every event, which is there within [`PATIENCE`] or not at all.
    pub(super) fn take_reports(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.raised.iter().any(|raised| raised.report.is_none())
            && let Some(left) = deadline.checked_duration_since(Instant::now())
        {
            for report in self.producer.reports().wait(left) {
                let raised = &mut self.raised[report.opaque as usize];
                raised.report = Some(Report {
                    after: raised.at.elapsed(),
                    outcome: report.outcome,
                });
            }
        }
    }

    pub(super) fn raised(&self) -> &[Raised] {
        &self.raised
    }

    pub(super) fn balance(&self) -> Balance {
        self.producer.balance()
    }
}

impl Raised {
    pub(super) fn delivered(&self) -> Option<&Delivered> {
        self.report.as_ref()?.outcome.as_ref().ok()
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.report
            .as_ref()?
            .outcome
            .as_ref()
            .err()
            .map(|failure| &**failure)
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
