//! What a producer costs that has nothing to do, or nobody to do it with.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use kafka_mock::{Fault, Rule};

use super::limits::Limits;
use super::producer::Producer;
use super::scene::{Extent, Scene, TOPIC};
use super::usage::Usage;

/// Why nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idleness {
    /// Connected, all is delivered, and nothing comes.
    NothingToSend,
    /// A message waits and nobody listens.
    NobodyListens,
    /// A message waits and connecting takes for ever.
    BlackHole,
}

impl Idleness {
    pub(crate) const ALL: [Self; 3] = [Self::NothingToSend, Self::NobodyListens, Self::BlackHole];

    /// What a producer with librdkafka's defaults uses in this time.
    pub(crate) fn measure(self, time: Duration) -> Usage {
        let scene = Scene::set(Extent::Alone);
        let fault = match self {
            Self::NothingToSend => None,
            Self::NobodyListens => Some(Fault::Refuse),
            Self::BlackHole => Some(Fault::BlackHole),
        };
        fault.map(|fault| scene.inject(Rule::new(fault)));
        let query = Limits::LIBRDKAFKAS.query(-1);
        let mut producer = Producer::start(&format!("{}/{TOPIC}?{query}", scene.bootstrap));
        producer.feed_one();
        let before = match self {
            Self::NothingToSend => {
                let delivered = producer.wait_for_reports(PATIENCE, |reports| !reports.is_empty());
                assert!(delivered, "no message flows");
                calm_down(&producer)
            }
            Self::NobodyListens | Self::BlackHole => Usage::default(),
        };
        thread::sleep(time);
        producer.usage().since(before)
    }
}

impl fmt::Display for Idleness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingToSend => "connected, nothing to send",
            Self::NobodyListens => "nobody listens, a message waits",
            Self::BlackHole => "black hole, a message waits",
        })
    }
}

/// Waits until the producer has slept for a while, and returns what it has used until then.
fn calm_down(producer: &Producer) -> Usage {
    let deadline = Instant::now() + PATIENCE;
    let mut last = producer.usage();
    loop {
        thread::sleep(A_WHILE);
        let now = producer.usage();
        if now.switches == last.switches {
            return now;
        }
        assert!(
            Instant::now() < deadline,
            "the producer never sleeps for {A_WHILE:?}"
        );
        last = now;
    }
}

const A_WHILE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(30);
