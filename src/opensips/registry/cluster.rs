//! One producer and the sockets that share it.

use parking_lot::Mutex;

use super::ledger::{Ledger, Limits};
use crate::config::Finished;
use crate::settings::{Endpoint, ReportMode, Settings, TopicSettings};
use crate::{Producer, ReportBatch, StartError, Topic, TopicNameError};

pub(super) struct Cluster {
    /// From 1. None is numbered like an earlier one.
    pub(super) number: u64,
    /// What its sockets say, in their normal form.
    settings: Settings,
    producer: Producer,
    /// Reports that were taken from the producer and by nobody else so far.
    pub(super) reports: Mutex<ReportBatch>,
}

impl Cluster {
    pub(super) fn start(
        number: u64,
        finished: &Finished,
        report_records: bool,
    ) -> Result<Self, StartError> {
        let settings = Settings {
            // Each socket has its own budget, and has to hear of every message for it.
            queue_max_messages: None,
            queue_max_bytes: usize::MAX,
            reports: ReportMode::All,
            report_records,
            ..finished.settings.clone()
        };
        Ok(Self {
            number,
            settings: normal(&finished.settings),
            producer: Producer::start(settings, finished.topic_settings.clone())?,
            reports: Mutex::default(),
        })
    }

    /// Whether a socket's producer would be the same. One that has failed serves nobody else.
    pub(super) fn serves(&self, finished: &Finished) -> bool {
        self.settings == normal(&finished.settings) && self.producer.fatal_error().is_none()
    }

    pub(super) fn producer(&self) -> &Producer {
        &self.producer
    }

    pub(super) fn topic(
        &self,
        name: &str,
        settings: &TopicSettings,
    ) -> Result<Topic, TopicNameError> {
        self.producer.topic_with(name, settings)
    }

    /// An empty ledger for one more socket.
    pub(super) fn ledger<T: Copy>(&self) -> Ledger<T> {
        // Entries are numbered with 32 bits.
        let most = u32::MAX as usize;
        Ledger::new(Limits {
            messages: self
                .settings
                .queue_max_messages
                .map_or(most, |limit| limit.min(most)),
            bytes: self.settings.queue_max_bytes,
        })
    }

    pub(super) fn report_mode(&self) -> ReportMode {
        self.settings.reports
    }
}

/// Settings that are equal if they mean the same: brokers in one order, each once, and hosts in small
/// letters, as names of hosts have no others.
pub(super) fn normal(settings: &Settings) -> Settings {
    let small = |endpoint: &Endpoint| Endpoint {
        host: endpoint.host.to_ascii_lowercase(),
        port: endpoint.port,
    };
    let mut bootstrap: Vec<Endpoint> = settings.bootstrap.iter().map(small).collect();
    bootstrap.sort();
    bootstrap.dedup();
    Settings {
        bootstrap,
        ..settings.clone()
    }
}
