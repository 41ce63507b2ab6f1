//! Carries plans out.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::time::Duration;

use kafka_engine::error::DeliveryError;
use kafka_wire::{ApiKey, ErrorCode};

use super::Plan;
use super::action::Stage;
use super::setup::NEVER;
use crate::story::Story;
use crate::{Census, Message, World};

/// A run in which everything held that must hold.
#[derive(Debug, PartialEq)]
pub(super) struct Run {
    pub(super) messages: u64,
    /// When which broker was sent a request of which API.
    requests: Vec<(Duration, i32, ApiKey)>,
    pub(super) census: Census,
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// In the words of the check.
    pub what: String,
    /// The check, as a place in the source.
    pub check: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.check)
    }
}

impl Plan {
    /// Lives through everything, ends all faults, and waits until everything has its outcome.
    pub(super) fn carry_out(&self) -> Result<Run, Broken> {
        self.carry_out_telling(&Story::default())
    }

    /// The same, writing down what happens.
    pub(super) fn carry_out_telling(&self, story: &Story) -> Result<Run, Broken> {
        caught(|| {
            let mut stage = Stage {
                world: self.setup.world(self.seed),
                topics: Vec::new(),
                closed: false,
            };
            stage.world.cluster.story = story.clone();
            for step in &self.steps {
                let elapsed = stage.world.elapsed();
                story.tell(elapsed, || format!("* {:?}", step.action));
                stage.perform(step);
            }
            story.tell(stage.world.elapsed(), || "* all faults end".to_owned());
            if !stage.closed {
                self.recover(&mut stage);
            }
            let mut world = stage.world;
            world.verify();
            let settings = &self.setup.settings;
            if settings.idempotence || settings.max_in_flight == 1 {
                world.verify_order();
            }
            if settings.idempotence {
                world.verify_once();
            }
            // Where epochs run out another producer id takes over, and nothing keeps a request of the
            // former one, given up long ago, from coming last.
            if settings.idempotence && self.setup.first_producer_epoch == 0 {
                world.verify_sequence();
            }
            self.verify_end(&world);
            if self.setup.settings.recording.is_some() {
                world.verify_replay();
            }
            Run {
                messages: world.accepted(),
                requests: world.requests,
                census: world.cluster.census,
            }
        })
    }

    fn recover(&self, stage: &mut Stage) {
        let world = &mut stage.world;
        self.setup.heal(world);
        world.take_reports_at_once(true);
        world.run_dry(self.setup.recovery());
        // Requests that were never answered hold their batches until they time out.
        let longest = self.setup.settings.request_timeout;
        world.run_for(longest + self.setup.settings.reconnect_backoff_max);
        if stage.world.accumulator.fatal_error().is_none() {
            self.probe(stage);
        }
    }

    /// Nothing ends a producer but what must.
    fn verify_end(&self, world: &World) {
        let denied = DeliveryError::Broker(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
        if let Some(fatal) = world.accumulator.fatal_error() {
            let must = fatal.error == denied || self.setup.settings.gapless;
            assert!(must, "{fatal}");
        }
    }

    /// Messages flow as if nothing had been.
    fn probe(&self, stage: &mut Stage) {
        let Stage { world, topics, .. } = stage;
        world.end_silence();
        world.run_for(self.setup.settings.reconnect_backoff_max);
        let existing = topics.iter().filter(|topic| **topic.name() != *NEVER);
        let publish = |world: &mut World, topic| world.publish(topic, &Message::of(10));
        let probes: Vec<u64> = existing.map(|topic| publish(world, topic)).collect();
        world.run_dry(self.setup.recovery());
        // A gap may be found that an election left; and who tries once may be the first to learn of
        // what has changed.
        let once = self.setup.settings.max_retries == 0;
        if once || world.accumulator.fatal_error().is_some() {
            // What was on the wire then holds its memory until it is answered.
            world.run_for(self.setup.settings.request_timeout);
            return;
        }
        for probe in probes {
            let result = &world.outcomes[&probe].result;
            assert!(result.is_ok(), "after all faults: {result:?}");
        }
    }
}

thread_local! {
    /// Whether a panic on this thread is a finding.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
    static FOUND: RefCell<Option<Broken>> = const { RefCell::new(None) };
}

fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Broken> {
    EXPECTED.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    EXPECTED.set(false);
    result.map_err(|_| FOUND.take().expect("the hook left it"))
}

/// From now on panics within runs are not printed.
pub(super) fn hush_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !EXPECTED.get() {
                return print(info);
            }
            let what = info.payload_as_str().unwrap_or("a panic without words");
            let place = info.location();
            let broken = Broken {
                what: what.to_owned(),
                check: place.map_or_else(String::new, |place| {
                    format!("{}:{}", place.file(), place.line())
                }),
            };
            // The first one counts; others may follow from it while it unwinds.
            FOUND.with_borrow_mut(|found| _ = found.get_or_insert(broken));
        }));
    });
}
