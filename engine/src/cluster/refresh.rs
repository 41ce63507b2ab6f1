//! When to ask for metadata: one request at a time, whoever wants it, and never a storm.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::backoff::backoff;
use crate::connection::ConnId;
use crate::settings::Settings;
use crate::time::Time;

const JITTER: RangeInclusive<f64> = 0.8..=1.2;

#[derive(Debug)]
pub(crate) struct Refresh {
    wanted: bool,
    /// A new topic waits: the usual distance to the last question does not apply.
    urgent: bool,
    asked: Option<ConnId>,
    /// Answers in a row that left something open.
    fruitless: u32,
    not_before: Time,
    /// When what is known is too old.
    stale_at: Time,
    interval: Option<Duration>,
    backoff: (Duration, Duration),
}

impl Refresh {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            wanted: true,
            urgent: true,
            asked: None,
            fruitless: 0,
            not_before: Time::default(),
            stale_at: Time::NEVER,
            interval: settings.metadata_refresh_interval,
            backoff: (settings.retry_backoff, settings.retry_backoff_max),
        }
    }

    /// Somebody needs fresh metadata.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Somebody waits for what was never asked before.
    pub(crate) fn want_urgently(&mut self) {
        self.wanted = true;
        self.urgent = true;
    }

    /// Whether a broker is to be asked now.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.asked.is_none() && now >= self.next_due()
    }

    /// When a broker is to be asked, unless one is being asked already.
    pub(crate) fn next_due(&self) -> Time {
        match (self.asked, self.wanted) {
            (Some(_), _) => Time::NEVER,
            (None, true) if self.urgent => Time::default(),
            (None, true) => self.not_before,
            (None, false) => self.stale_at,
        }
    }

    pub(crate) fn ask(&mut self, conn: ConnId) {
        self.wanted = false;
        self.urgent = false;
        self.asked = Some(conn);
    }

    /// An answer came: its connection may go.
    pub(crate) fn heard(&mut self) {
        self.asked = None;
    }

    /// What the answer said is known. While it leaves something open that is needed, the next
    /// question waits.
    pub(crate) fn answered(&mut self, complete: bool, now: Time, random: &mut fastrand::Rng) {
        self.stale_at = self
            .interval
            .map_or(Time::NEVER, |interval| now.after(interval));
        self.fruitless = if complete { 0 } else { self.fruitless + 1 };
        let (first, max) = self.backoff;
        // Also after a complete answer: a leader that moves again and again makes no storm.
        self.not_before = now.after(backoff(first, max, self.fruitless, JITTER, random));
        self.wanted |= !complete;
    }

    /// The connection that was asked is gone.
    pub(crate) fn lost(&mut self, conn: ConnId) {
        if self.asked == Some(conn) {
            self.asked = None;
            self.wanted = true;
        }
    }
}
