//! When to ask the cluster something that any broker can answer: one question at a time, whoever
//! wants the answer, and never a storm.
//!
//! A broker that hangs must not hold the question up until `socket.timeout.ms`: after [`PATIENCE`]
//! another broker is asked as well, after twice that a third one, and so on. The first answer
//! ends the question; those that come later are not listened to.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::backoff::backoff;
use crate::connection::ConnId;
use crate::time::Time;

const JITTER: RangeInclusive<f64> = 0.8..=1.2;

/// How long the first broker has for its answer before another one is asked as well. Long enough
/// for a broker that is merely busy, short against every time-out of a message.
const PATIENCE: Duration = Duration::from_secs(2);

/// After so many answers in a row that left something open, something may be wrong: with the
/// default waits between them, some seconds.
const FRUITLESS: u32 = 6;

#[derive(Debug)]
pub(crate) struct Inquiry {
    wanted: bool,
    /// Somebody waits for what was never asked before: the usual distance to the last question does
    /// not apply.
    urgent: bool,
    /// Who was asked and has neither answered nor gone.
    asked: Vec<ConnId>,
    /// How many were asked since the last answer.
    askings: u32,
    /// When the next one is asked as well.
    impatient_at: Time,
    /// Since when there has been a question without an answer.
    open_since: Option<Time>,
    /// Answers in a row that left something open.
    fruitless: u32,
    not_before: Time,
    /// When what is known is too old.
    stale_at: Time,
    max_age: Duration,
    backoff: (Duration, Duration),
}

impl Inquiry {
    /// To be asked at once, again when the answer is `max_age` old, and while something is open with
    /// waits from `backoff.0` to `backoff.1`.
    pub(crate) fn new(max_age: Duration, backoff: (Duration, Duration)) -> Self {
        Self {
            wanted: true,
            urgent: true,
            asked: Vec::new(),
            askings: 0,
            impatient_at: Time::NEVER,
            open_since: None,
            fruitless: 0,
            not_before: Time::default(),
            stale_at: Time::NEVER,
            max_age,
            backoff,
        }
    }

    /// Somebody needs a fresh answer.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Somebody waits for what was never asked before.
    pub(crate) fn want_urgently(&mut self) {
        self.wanted = true;
        self.urgent = true;
    }

    /// Whether nobody needs anything, and what is known is merely old.
    pub(crate) fn is_routine(&self) -> bool {
        !self.wanted && self.asked.is_empty()
    }

    /// Whether a broker is to be asked now.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        now >= self.next_due()
    }

    /// When a broker is to be asked: the first, or one more.
    pub(crate) fn next_due(&self) -> Time {
        match (self.asked.is_empty(), self.wanted) {
            (false, _) => self.impatient_at,
            (true, true) if self.urgent => Time::default(),
            (true, true) => self.not_before,
            (true, false) => self.stale_at,
        }
    }

    /// Since when there has been a question without an answer, whether it could be asked or not.
    pub(crate) fn open_since(&mut self, now: Time) -> Option<Time> {
        if self.open_since.is_none() && (!self.asked.is_empty() || self.is_due(now)) {
            self.open_since = Some(now);
        }
        self.open_since
    }

    /// The question is open from now on, whatever it was before.
    pub(crate) fn reopen(&mut self, now: Time) {
        self.open_since = Some(now);
    }

    pub(crate) fn ask(&mut self, conn: ConnId, now: Time) {
        self.wanted = false;
        self.urgent = false;
        self.asked.push(conn);
        self.askings += 1;
        self.impatient_at = now.after(PATIENCE * (1 << (self.askings - 1).min(16)));
    }

    /// An answer came. False if it is one that nobody waits for any more.
    pub(crate) fn heard(&mut self, conn: ConnId) -> bool {
        let awaited = self.asked.contains(&conn);
        if awaited {
            self.asked.clear();
            self.askings = 0;
            self.open_since = None;
        }
        awaited
    }

    /// What the answer said is known. While it is not `complete` the next question waits longer and
    /// longer; if somebody needs what is missing, it is asked for by itself.
    pub(crate) fn answered(
        &mut self,
        complete: bool,
        needed: bool,
        now: Time,
        random: &mut fastrand::Rng,
    ) {
        self.stale_at = now.after(self.max_age);
        self.fruitless = if complete { 0 } else { self.fruitless + 1 };
        let (first, max) = self.backoff;
        // Also after a complete answer: a leader that moves again and again makes no storm.
        self.not_before = now.after(backoff(first, max, self.fruitless, JITTER, random));
        self.wanted |= needed;
    }

    /// Whether asking has been of no use for longer than a topic takes to be made, or a leader to
    /// be elected.
    pub(crate) fn is_fruitless(&self) -> bool {
        self.fruitless >= FRUITLESS
    }

    /// A connection is gone. If it was the last that was asked, the question is open again.
    pub(crate) fn lost(&mut self, conn: ConnId) {
        let before = self.asked.len();
        self.asked.retain(|asked| *asked != conn);
        self.wanted |= before > 0 && self.asked.is_empty();
    }
}
