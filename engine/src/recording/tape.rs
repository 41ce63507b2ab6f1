//! Where the engine is recorded, and where it is given again what was recorded.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::entry::{Entry, Place, Step};
use super::file::{self, Header};
use super::replay::Player;
use crate::accumulator::{Queue, Topic, Work};
use crate::settings::{Settings, TopicSettings};
use crate::time::Time;

/// The choice of a partition for a record.
pub(crate) type Picked = Result<usize, i32>;

/// Nothing, unless the engine is recorded or replayed. The engine does not know which: it says what
/// it is told, looks at what threads share only through here, and says what it yields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(Option<Arc<Mutex<Deck>>>);

#[derive(Debug)]
pub(super) struct Deck {
    /// Whether a step is under way. A step that another one consists of is none of its own, and a
    /// look between steps, for a test, is none.
    stepping: bool,
    /// Looks of this step so far.
    looks: u32,
    pub(super) mode: Mode,
}

#[derive(Debug)]
pub(super) enum Mode {
    Record(Recorder),
    Replay(Player),
}

/// A step, until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Stepping(Option<Tape>);

impl Tape {
    /// A recorder with so many bytes of memory, if any.
    pub(crate) fn recording(limit: Option<usize>) -> Self {
        Self(limit.map(|limit| Deck::new(Mode::Record(Recorder::new(limit)))))
    }

    pub(super) fn replaying(player: Player) -> Self {
        Self(Some(Deck::new(Mode::Replay(player))))
    }

    /// Whether publishers have to note what they publish.
    pub(crate) fn wants_notes(&self) -> bool {
        self.with(|deck| matches!(deck.mode, Mode::Record(_))) == Some(true)
    }

    /// The engine begins, with this seed.
    pub(crate) fn begin(&self, seed: u64) {
        self.with(|deck| {
            if let Mode::Record(recorder) = &mut deck.mode {
                recorder.seed = seed;
            }
        });
    }

    /// The recording so far.
    pub(crate) fn written(&self, settings: &Settings) -> Option<Vec<u8>> {
        self.with(|deck| match &deck.mode {
            Mode::Record(recorder) => Some(recorder.written(settings, deck.stepping)),
            Mode::Replay(_) => None,
        })?
    }

    /// The engine is called.
    pub(crate) fn step<'a>(&self, now: Time, step: impl FnOnce() -> Step<'a>) -> Stepping {
        let began = self.with(|deck| {
            if deck.stepping {
                return false;
            }
            (deck.stepping, deck.looks) = (true, 0);
            if let Mode::Record(recorder) = &mut deck.mode {
                recorder.put(&Entry::Step(now, step()));
            }
            true
        });
        Stepping((began == Some(true)).then(|| self.clone()))
    }

    /// The engine yields something.
    pub(crate) fn output(&self, line: impl FnOnce() -> String) {
        self.with(|deck| match &mut deck.mode {
            Mode::Record(recorder) => recorder.put(&Entry::Output(&line())),
            Mode::Replay(player) => player.compare(&line()),
        });
    }

    /// A look at a queue.
    pub(crate) fn records(&self, place: Place, queue: &mut Queue) {
        self.look(|look, mode| match mode {
            Mode::Record(recorder) => queue.take_notes(|notes| {
                recorder.put(&Entry::Published { look, place, notes });
            }),
            Mode::Replay(player) => player.publish(look, place, queue),
        });
    }

    /// A look at the list of work, on which `left` stands.
    pub(crate) fn work(&self, left: Vec<Work>) -> Vec<Work> {
        let work = self.look(|look, mode| match mode {
            Mode::Record(recorder) => {
                if !left.is_empty() {
                    recorder.put(&Entry::Work {
                        look,
                        work: left.clone(),
                    });
                }
                None
            }
            Mode::Replay(player) => Some(player.work(look)),
        });
        work.flatten().unwrap_or(left)
    }

    /// A look at whether somebody flushes.
    pub(crate) fn flushing(&self, is: bool) -> bool {
        let flushing = self.look(|look, mode| match mode {
            Mode::Record(recorder) => {
                if recorder.flushing != is {
                    recorder.flushing = is;
                    recorder.put(&Entry::Flushing { look, is });
                }
                is
            }
            Mode::Replay(player) => player.flushing(look),
        });
        flushing.unwrap_or(is)
    }

    /// Topics to open before a [look at topics](Self::topics): those that it found.
    pub(crate) fn topics_to_open(&self) -> Vec<(String, TopicSettings)> {
        let topics = self.with(|deck| match &mut deck.mode {
            Mode::Record(_) => Vec::new(),
            Mode::Replay(player) => player.topics(deck.looks + 1),
        });
        topics.unwrap_or_default()
    }

    /// A look at the topics.
    pub(crate) fn topics(&self, topics: &[Arc<Topic>]) {
        self.look(|look, mode| {
            if let Mode::Record(recorder) = mode {
                for topic in &topics[recorder.topics..] {
                    recorder.put(&Entry::Topic {
                        look,
                        name: topic.name(),
                        settings: topic.settings().clone(),
                    });
                }
                recorder.topics = topics.len();
            }
        });
    }

    /// The choice of a partition for a record that was staged.
    pub(crate) fn pick(&self, pick: impl Fn() -> Picked) -> Picked {
        let picked = self.with(|deck| match &mut deck.mode {
            Mode::Record(recorder) => {
                let picked = pick();
                recorder.put(&Entry::Picked(picked.map(|index| index as u32)));
                picked
            }
            Mode::Replay(player) => player.picked().unwrap_or_else(&pick),
        });
        picked.unwrap_or_else(pick)
    }

    fn look<T>(&self, look: impl FnOnce(u32, &mut Mode) -> T) -> Option<T> {
        self.with(|deck| {
            deck.stepping.then(|| {
                deck.looks += 1;
                look(deck.looks, &mut deck.mode)
            })
        })?
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Deck) -> T) -> Option<T> {
        self.0.as_ref().map(|deck| act(&mut deck.lock()))
    }
}

impl Deck {
    fn new(mode: Mode) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            stepping: false,
            looks: 0,
            mode,
        }))
    }
}

impl Drop for Stepping {
    fn drop(&mut self) {
        if let Some(tape) = &self.0 {
            tape.with(|deck| deck.stepping = false);
        }
    }
}

/// The log: in parts, so that the oldest can go.
#[derive(Debug)]
pub(super) struct Recorder {
    limit: usize,
    parts: VecDeque<Part>,
    bytes: usize,
    lost: u64,
    seed: u64,
    flushing: bool,
    /// Topics that are recorded.
    topics: usize,
}

#[derive(Debug, Default)]
struct Part {
    entries: Vec<u8>,
    steps: u64,
}

impl Recorder {
    /// So many parts at least share the memory: when the oldest goes, most of the log stays.
    const PARTS: usize = 64;

    fn new(limit: usize) -> Self {
        Self {
            limit,
            parts: VecDeque::new(),
            bytes: 0,
            lost: 0,
            seed: 0,
            flushing: false,
            topics: 0,
        }
    }

    fn put(&mut self, entry: &Entry<'_>) {
        let full = |part: &Part| part.entries.len() >= self.limit / Self::PARTS;
        if self.parts.back().is_none_or(full) {
            self.parts.push_back(Part::default());
        }
        let Some(part) = self.parts.back_mut() else {
            return;
        };
        let before = part.entries.len();
        let entries = std::mem::take(&mut part.entries);
        part.entries =
            postcard::to_extend(entry, entries).expect("memory takes whatever it is given");
        part.steps += u64::from(matches!(entry, Entry::Step(..)));
        self.bytes += part.entries.len() - before;
        while self.bytes > self.limit
            && let Some(oldest) = self.parts.pop_front()
        {
            self.bytes -= oldest.entries.len();
            self.lost += oldest.steps;
        }
    }

    fn written(&self, settings: &Settings, cut: bool) -> Vec<u8> {
        let header = Header {
            software: env!("CARGO_PKG_VERSION").to_owned(),
            settings: settings.clone(),
            seed: self.seed,
            lost: self.lost,
            cut,
        };
        let parts: Vec<&[u8]> = self.parts.iter().map(|part| &part.entries[..]).collect();
        file::write(&header, &parts)
    }
}
