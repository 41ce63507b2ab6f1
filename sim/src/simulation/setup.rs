//! What stays the same throughout a run.

use std::fmt;
use std::time::Duration;

use kafka_engine::settings::Settings;
use kafka_wire::{ApiKey, VersionRange};

use crate::clock::START_MS;
use crate::{Cluster, Reach, World, endpoint, millis, secs};

/// Topics that exist from the start; `late` comes later, and `never` does not.
pub(super) const TOPICS: [&str; 2] = ["t", "u"];
pub(super) const LATE: &str = "late";
pub(super) const NEVER: &str = "never";

/// A topic begins with so many at most, and with as many if it is made anew.
pub(super) const MOST_PARTITIONS: usize = 6;

#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) settings: Settings,
    /// By broker.
    pub(super) brokers: Vec<BrokerSetup>,
    /// By topic.
    pub(super) partitions: [usize; 2],
    /// How long followers take to copy.
    pub(super) lag: Duration,
    /// Whether every third batch makes the codec fail.
    pub(super) codec_fails: bool,
    pub(super) hints: bool,
    pub(super) log_append_time: bool,
    pub(super) lists_the_dead: bool,
    pub(super) refuses_strangers: bool,
    pub(super) producer_lifetime: Duration,
    pub(super) first_producer_epoch: i16,
    pub(super) max_batch_bytes: usize,
    /// How long batches take to be compressed, in turns.
    pub(super) presses: Vec<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BrokerSetup {
    pub(super) latency: Duration,
    pub(super) distance: Duration,
    pub(super) versions: Versions,
}

/// The newest version of each API that a broker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions(pub(super) [i16; 4]);

impl Default for Versions {
    fn default() -> Self {
        Self(ApiKey::ALL.map(|api| api.versions().max))
    }
}

impl Versions {
    pub(super) fn offers(self) -> impl Iterator<Item = (ApiKey, VersionRange)> {
        let apis = ApiKey::ALL.into_iter().zip(self.0);
        apis.map(|(api, max)| (api, VersionRange { min: 0, max }))
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            settings: Settings {
                bootstrap: vec![endpoint("b1")],
                ..Settings::default()
            },
            brokers: vec![BrokerSetup::default(); 3],
            partitions: [1, 1],
            lag: Duration::ZERO,
            codec_fails: false,
            hints: false,
            log_append_time: false,
            lists_the_dead: false,
            refuses_strangers: false,
            producer_lifetime: secs(86_400),
            first_producer_epoch: 0,
            max_batch_bytes: usize::MAX,
            presses: Vec::new(),
        }
    }
}

impl Setup {
    pub(super) fn world(&self, seed: u64) -> World {
        let mut cluster = Cluster::new(self.brokers.len() as i32);
        for (name, partitions) in TOPICS.into_iter().zip(self.partitions) {
            cluster.create(name, partitions);
        }
        cluster.lag = self.lag;
        cluster.hints = self.hints;
        cluster.log_append_time = self.log_append_time.then_some(START_MS);
        cluster.lists_the_dead = self.lists_the_dead;
        cluster.refuses_strangers = self.refuses_strangers;
        cluster.producer_lifetime = self.producer_lifetime;
        cluster.first_producer_epoch = self.first_producer_epoch;
        cluster.max_batch_bytes = self.max_batch_bytes;
        for (broker, setup) in cluster.brokers.values_mut().zip(&self.brokers) {
            broker.latency = setup.latency;
            broker.distance = setup.distance;
            broker.offers = setup.versions.offers().collect();
        }
        let mut world = World::seeded(cluster, self.settings.clone(), seed);
        world.presses.durations.clone_from(&self.presses);
        world.presses.fails = self.codec_fails.then_some(|number| number % 3 == 2);
        world
    }

    /// Ends all faults. Who moved stays where he is.
    pub(super) fn heal(&self, world: &mut World) {
        let cluster = &mut world.cluster;
        cluster.topic_errors.clear();
        cluster.invalid.clear();
        cluster.throttle_ms = 0;
        cluster.lag = Duration::ZERO;
        cluster.max_batch_bytes = usize::MAX;
        let ids: Vec<i32> = cluster.brokers.keys().copied().collect();
        for name in TOPICS.into_iter().chain([LATE]) {
            if !cluster.topics.contains_key(name) {
                cluster.create(name, MOST_PARTITIONS);
            }
        }
        let names: Vec<String> = cluster.topics.keys().cloned().collect();
        for name in names {
            for index in 0..cluster.topics[&name].partitions.len() {
                if cluster.partition(&name, index).leader.is_none() {
                    cluster.lead(&name, index, Some(ids[index % ids.len()]));
                }
            }
        }
        for id in ids {
            cluster.update(id);
            let broker = cluster.broker(id);
            broker.reach = Reach::Up;
            broker.latency = Duration::ZERO;
            broker.distance = Duration::ZERO;
            broker.tears = 0;
            broker.forget_script();
        }
        for id in 1..=self.brokers.len() as i32 {
            world.read_on(id);
        }
    }

    /// After all faults have ended, everything has its outcome within this time: what hangs times
    /// out, a broker is tried again, the cluster is asked, a topic does not appear.
    pub(super) fn recovery(&self) -> Duration {
        let Settings {
            request_timeout,
            connection_setup_timeout,
            reconnect_backoff_max,
            retry_backoff_max,
            topic_propagation_max,
            ..
        } = self.settings;
        let waits = request_timeout + connection_setup_timeout + reconnect_backoff_max;
        let throttled = millis(THROTTLE_MAX_MS as u64);
        waits + retry_backoff_max * 2 + topic_propagation_max + throttled + secs(1)
    }
}

pub(super) const THROTTLE_MAX_MS: i32 = 2_000;

/// What is not as it is by default, a line for each.
impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = format!("{:#?}", Self::default());
        let usual: Vec<&str> = usual.lines().collect();
        let own = format!("{self:#?}");
        for line in own.lines().filter(|line| !usual.contains(line)) {
            writeln!(f, "  {}", line.trim())?;
        }
        Ok(())
    }
}
