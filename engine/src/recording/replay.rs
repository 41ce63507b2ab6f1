//! A recorded run once more.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::entry::{Compressed, Entry, Note, Place, Step};
use super::file::{Entries, Recording};
use super::notes::NotedClock;
use super::tape::{Mode, Picked, Tape};
use crate::accumulator::{Accumulator, Queue, Work};
use crate::compression::{self, Job};
use crate::connection::ConnId;
use crate::engine::{Engine, Purge};
use crate::report::Report;
use crate::settings::{ReportMode, Settings, TopicSettings};
use crate::time::Time;

/// The most memory for messages that a replay takes, whatever a file says.
const MOST_BYTES: usize = 4 << 30;

/// What became of a replay.
#[derive(Debug)]
pub struct Replay {
    /// Steps that were taken.
    pub steps: u64,
    /// Where the engine did not do what is recorded, if it ever did so.
    pub divergence: Option<Divergence>,
}

/// The engine did something else than what is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The number of the step, from 1.
    pub step: u64,
    /// How long after the first step.
    pub at: Duration,
    /// What the engine was told there.
    pub told: String,
    /// What is recorded; `None`: nothing more in this step.
    pub recorded: Option<String>,
    /// What it did; `None`: nothing more in this step.
    pub replayed: Option<String>,
}

/// Why a recording cannot be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// Its beginning is missing, and so what it builds on.
    NoBeginning {
        /// Steps that are missing.
        lost: u64,
    },
}

/// Has an engine live through what is recorded, until it does something else. Every report goes to
/// `report`, and so does what went to futures, or to nobody.
pub fn replay(
    recording: &Recording,
    mut report: impl FnMut(Report),
) -> Result<Replay, ReplayError> {
    let lost = recording.lost();
    if lost > 0 {
        return Err(ReplayError::NoBeginning { lost });
    }
    let entries = Arc::clone(&recording.entries);
    let tape = Tape::replaying(Player::new(&entries, recording.header.cut));
    let settings = settings(&recording.header.settings);
    let accumulator = Accumulator::on(tape.clone(), settings, 0);
    let mut stage = Stage {
        engine: Engine::new(&accumulator, recording.header.seed),
        jobs: HashMap::new(),
    };
    while let Some((now, step)) = tape.play(|player| player.next_step(&entries)) {
        let taken = stage.take(step, now);
        for settled in accumulator.reports().take() {
            settled.for_each(&mut report);
        }
        let goes_on = tape.play(|player| {
            if !taken {
                player.diverge(Some("it has nothing to compress there".to_owned()));
            }
            player.finish_step()
        });
        if !goes_on {
            break;
        }
    }
    let (steps, divergence) = tape.play(|player| (player.step, player.divergence.take()));
    Ok(Replay { steps, divergence })
}

/// What was accepted then is accepted again, and all outcomes are reported.
fn settings(recorded: &Settings) -> Settings {
    Settings {
        queue_max_messages: None,
        queue_max_bytes: recorded.queue_max_bytes.saturating_mul(8).min(MOST_BYTES),
        reports: ReportMode::All,
        report_records: false,
        recording: None,
        ..recorded.clone()
    }
}

impl Tape {
    fn play<T>(&self, act: impl FnOnce(&mut Player) -> T) -> T {
        let played = self.with(|deck| match &mut deck.mode {
            Mode::Replay(player) => Some(act(player)),
            Mode::Record(_) => None,
        });
        played
            .flatten()
            .expect("a replay's tape is none to record on")
    }
}

/// The engine, and batches that wait to be compressed.
struct Stage {
    engine: Engine,
    jobs: HashMap<compression::Place, Job>,
}

impl Stage {
    /// False if there is nothing to take it with.
    fn take(&mut self, step: Step<'_>, now: Time) -> bool {
        let engine = &mut self.engine;
        match step {
            Step::BeginSequencesAt(first) => engine.begin_sequences_at(first),
            Step::Advance => engine.advance(now),
            Step::Opened(conn) => engine.opened(ConnId(conn), now),
            Step::Closed(conn, reason) => engine.closed(ConnId(conn), reason, now),
            Step::Garbled(conn, what) => engine.garbled(ConnId(conn), what, now),
            Step::Receive(conn, frame) => engine.receive(ConnId(conn), frame, now),
            Step::PollTransmit(conn) => drop(engine.poll_transmit(ConnId(conn), now)),
            Step::Transmitted(conn) => engine.transmitted(ConnId(conn), now),
            Step::Compressed(compressed) => {
                let Compressed { lane, number, .. } = compressed;
                match self.jobs.remove(&compression::Place { lane, number }) {
                    Some(job) => engine.compressed(job.replayed(&compressed), now),
                    None => return false,
                }
            }
            Step::Purge { queued, in_flight } => engine.purge(Purge { queued, in_flight }, now),
            Step::Close => drop(engine.close(now)),
        }
        // What there is to do was done back then.
        while engine.poll_event().is_some() {}
        while engine.poll_sendable().is_some() {}
        while let Some(job) = engine.poll_job() {
            self.jobs.insert(job.place(), job);
        }
        true
    }
}

/// Gives the engine what is recorded, and compares what it yields.
#[derive(Debug)]
pub(super) struct Player {
    entries: Arc<[u8]>,
    /// Whether the end of the last step is missing.
    cut: bool,
    /// Where the next entry begins.
    next: usize,
    flushing: bool,
    start: Option<Time>,
    now: Time,
    step: u64,
    told: String,
    divergence: Option<Divergence>,
}

impl Player {
    fn new(entries: &Arc<[u8]>, cut: bool) -> Self {
        Self {
            entries: Arc::clone(entries),
            cut,
            next: 0,
            flushing: false,
            start: None,
            now: Time::default(),
            step: 0,
            told: String::new(),
            divergence: None,
        }
    }

    fn next_step<'a>(&mut self, entries: &'a [u8]) -> Option<(Time, Step<'a>)> {
        let (entry, next) = entry_at(entries, self.next)?;
        let Entry::Step(now, step) = entry else {
            self.diverge(None);
            return None;
        };
        self.next = next;
        self.start.get_or_insert(now);
        self.now = now;
        self.step += 1;
        self.told = step.to_string();
        Some((now, step))
    }

    /// The engine is done with a step; what is recorded must be at its end, too. False if this is the
    /// end.
    fn finish_step(&mut self) -> bool {
        match entry_at(&self.entries, self.next) {
            Some((Entry::Step(..), _)) | None => {}
            Some(_) => self.diverge(None),
        }
        self.divergence.is_none()
    }

    pub(super) fn compare(&mut self, line: &str) {
        let next = entry_at(&self.entries, self.next);
        match next {
            Some((Entry::Output(recorded), next)) if recorded == line => self.next = next,
            _ => self.diverge(Some(line.to_owned())),
        }
    }

    pub(super) fn publish(&mut self, look: u32, place: Place, queue: &mut Queue) {
        let entries = Arc::clone(&self.entries);
        let Some((entry, next)) = entry_at(&entries, self.next) else {
            return;
        };
        let Entry::Published {
            look: at,
            place: there,
            notes,
        } = entry
        else {
            return;
        };
        if at != look {
            return;
        }
        if there != place {
            return self.diverge(Some(format!("it looks at {place}")));
        }
        self.next = next;
        let mut clock = NotedClock::default();
        let mut rest = notes;
        while !rest.is_empty() {
            let read = postcard::take_from_bytes::<Note>(rest);
            let Ok((note, behind)) = read else {
                return self.diverge(Some("the notes make no sense".to_owned()));
            };
            rest = behind;
            clock.read(&note);
            if !queue.replay(&clock, note.message.as_ref()) {
                return self.diverge(Some("it has no room for a message".to_owned()));
            }
        }
    }

    pub(super) fn work(&mut self, look: u32) -> Vec<Work> {
        let next = entry_at(&self.entries, self.next);
        match next {
            Some((Entry::Work { look: at, work }, next)) if at == look => {
                self.next = next;
                work
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn flushing(&mut self, look: u32) -> bool {
        let next = entry_at(&self.entries, self.next);
        if let Some((Entry::Flushing { look: at, is }, next)) = next
            && at == look
        {
            (self.next, self.flushing) = (next, is);
        }
        self.flushing
    }

    pub(super) fn topics(&mut self, look: u32) -> Vec<(String, TopicSettings)> {
        let mut topics = Vec::new();
        let entries = Arc::clone(&self.entries);
        while let Some((entry, next)) = entry_at(&entries, self.next)
            && let Entry::Topic {
                look: at,
                name,
                settings,
            } = entry
            && at == look
        {
            self.next = next;
            topics.push((name.to_owned(), settings));
        }
        topics
    }

    pub(super) fn picked(&mut self) -> Option<Picked> {
        let next = entry_at(&self.entries, self.next);
        if let Some((Entry::Picked(picked), next)) = next {
            self.next = next;
            return Some(picked.map(|index| index as usize));
        }
        self.diverge(Some("it has a partition chosen".to_owned()));
        None
    }

    /// The first time counts: everything else follows from it.
    fn diverge(&mut self, replayed: Option<String>) {
        let unknown = self.cut && self.next == self.entries.len();
        if self.divergence.is_none() && !unknown {
            let recorded = entry_at(&self.entries, self.next).map(|(entry, _)| entry);
            let recorded = recorded.filter(|entry| !matches!(entry, Entry::Step(..)));
            self.divergence = Some(Divergence {
                step: self.step,
                at: self.now.since(self.start.unwrap_or(self.now)),
                told: self.told.clone(),
                recorded: recorded.map(|entry| entry.to_string()),
                replayed,
            });
        }
    }
}

/// The entry that begins there, and where the next one does.
fn entry_at(entries: &[u8], at: usize) -> Option<(Entry<'_>, usize)> {
    let mut rest = Entries(entries.get(at..)?);
    let entry = rest.next()?.ok()?;
    Some((entry, entries.len() - rest.0.len()))
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |line: &Option<String>| line.clone().unwrap_or_else(|| "nothing more".into());
        write!(
            f,
            "step {} at {:.6} s ({}):\n  recorded: {}\n  replayed: {}",
            self.step,
            self.at.as_secs_f64(),
            self.told,
            said(&self.recorded),
            said(&self.replayed)
        )
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBeginning { lost } => write!(
                f,
                "the first {lost} steps are missing, and with them the state that the others build \
                 on: it can be read, but not be replayed; give the recorder more memory"
            ),
        }
    }
}

impl std::error::Error for ReplayError {}
