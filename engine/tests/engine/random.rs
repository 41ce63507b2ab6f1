//! Random messages, settings and faults: whatever happens, every accepted message has one outcome,
//! and it is true.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use kafka_engine::Purge;
use kafka_engine::accumulator::Topic;
use kafka_engine::settings::{Acks, Settings, TopicSettings};
use kafka_wire::ApiKey::{self, ApiVersions, Metadata, Produce};
use kafka_wire::{ErrorCode, VersionRange};

use kafka_sim::{Cluster, Fault, Message, Reach, World};
use kafka_sim::{endpoint, millis, secs};

const SEEDS: u64 = 150;
const STEPS: usize = 150;

/// A single seed can be repeated by naming it in this variable.
const SEED_VARIABLE: &str = "ENGINE_SEED";

#[test]
fn whatever_happens_every_message_has_one_outcome_and_it_is_true() {
    for_each_seed(|seed| live(seed, |_| {}).verify());
}

#[test]
fn whatever_happens_order_holds_with_one_request_on_the_wire() {
    for_each_seed(|seed| {
        let mut world = live(seed, |settings| settings.max_in_flight = 1);
        world.verify();
        world.verify_order();
    });
}

#[test]
fn whatever_happens_an_idempotent_producer_doubles_and_reorders_nothing() {
    for_each_seed(|seed| {
        let mut world = live(seed, |settings| settings.idempotence = true);
        world.verify();
        world.verify_order();
        world.verify_once();
    });
}

fn for_each_seed(test: impl Fn(u64)) {
    let named = std::env::var(SEED_VARIABLE).map(|seed| seed.parse().expect("a number"));
    let seeds = named.map_or(0..SEEDS, |seed| seed..seed + 1);
    for seed in seeds {
        let _named = Named(seed);
        test(seed);
    }
}

/// A world after much happened to it, all faults ended, and everything got its outcome.
fn live(seed: u64, change: fn(&mut Settings)) -> World {
    let mut random = Rng::with_seed(seed);
    let mut settings = settings(&mut random);
    change(&mut settings);
    let mut world = World::seeded(cluster(&mut random), settings, seed);
    let mut topics = Vec::new();
    for _ in 0..STEPS {
        if topics.len() < 4 && random.u8(..20) < 3 || topics.is_empty() {
            topics.push(open(&mut random, &mut world));
        }
        act(&mut random, &mut world, &topics);
        let pause = pick(&mut random, [0, 3_000, 30_000, 300_000]);
        world.run_for(Duration::from_micros(random.u64(0..=pause)));
    }
    heal(&mut world);
    world.run_dry(secs(120));
    // Requests that were never answered hold their batches until they time out.
    world.run_for(secs(20));
    world
}

/// Says which seed failed.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with {SEED_VARIABLE}={}", self.0);
        }
    }
}

fn pick<T: Copy, const N: usize>(random: &mut Rng, choices: [T; N]) -> T {
    choices[random.usize(..N)]
}

fn settings(random: &mut Rng) -> Settings {
    Settings {
        bootstrap: vec![endpoint("b1"), endpoint("b2"), endpoint("nobody")],
        linger: millis(pick(random, [0, 5, 100])),
        batch_messages: pick(random, [1, 10, 10_000]),
        batch_bytes: pick(random, [2_000, 1_000_000]),
        message_max_bytes: pick(random, [150_000, 1_000_000]),
        request_max_bytes: pick(random, [10_000, 8 << 20]),
        queue_max_messages: Some(pick(random, [100, 100_000])),
        queue_max_bytes: pick(random, [300_000, 1 << 30]),
        max_retries: pick(random, [0, 2, u32::MAX]),
        request_timeout: secs(pick(random, [2, 10])),
        connection_setup_timeout: secs(pick(random, [1, 10])),
        connections_max_idle: pick(random, [None, Some(secs(1))]),
        metadata_refresh_interval: pick(random, [None, Some(secs(1)), Some(secs(300))]),
        topic_propagation_max: secs(pick(random, [2, 30])),
        sticky_linger: millis(pick(random, [0, 10])),
        report_records: random.bool(),
        ..Settings::default()
    }
}

fn cluster(random: &mut Rng) -> Cluster {
    let mut cluster = Cluster::new(random.i32(2..=4));
    for name in ["t", "u"] {
        cluster.create(name, random.usize(1..=6));
    }
    for broker in cluster.brokers.values_mut() {
        broker.latency = millis(pick(random, [0, 1, 20]));
        let mut newest = |api: ApiKey, least: i16| {
            let max = random.i16(least..=api.versions().max);
            broker.offers.insert(api, VersionRange { min: 0, max });
        };
        newest(Produce, 3);
        newest(Metadata, 1);
        newest(ApiVersions, 0);
    }
    cluster
}

fn open(random: &mut Rng, world: &mut World) -> Arc<Topic> {
    let settings = TopicSettings {
        acks: pick(random, [Acks::None, Acks::Leader, Acks::All, Acks::All]),
        message_timeout: pick(
            random,
            [None, Some(millis(700)), Some(secs(3)), Some(secs(30))],
        ),
        ..TopicSettings::default()
    };
    world.topic_with(pick(random, ["t", "u", "late", "never"]), &settings)
}

fn act(random: &mut Rng, world: &mut World, topics: &[Arc<Topic>]) {
    match random.u8(..100) {
        0..70 => publish(random, world, topics),
        70..82 => script(random, world),
        82..86 => {
            let id = broker(random, world);
            let reach = pick(random, [Reach::Up, Reach::Up, Reach::Refuses, Reach::Hangs]);
            world.crash(id, reach);
        }
        86..93 => move_leader(random, world),
        93 => world.purge(Purge {
            queued: random.bool(),
            in_flight: random.bool(),
        }),
        94 => {
            world.begin_flush();
            world.run_for(millis(random.u64(..50)));
            world.accumulator.end_flush();
        }
        95 => {
            let id = broker(random, world);
            world.cluster.broker(id).latency = millis(random.u64(..400));
        }
        96 => {
            let denied = pick(
                random,
                [
                    ErrorCode::LEADER_NOT_AVAILABLE,
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                ],
            );
            world.cluster.topic_errors.insert("u".into(), denied);
        }
        97 => world.cluster.topic_errors.clear(),
        98 if !world.cluster.topics.contains_key("late") => world.cluster.create("late", 3),
        98 => world.cluster.add_partition("late"),
        99 if random.bool() => {
            let id = broker(random, world);
            match world.cluster.broker(id).reads {
                true => world.cluster.broker(id).reads = false,
                false => world.read_on(id),
            }
        }
        _ => {
            let id = broker(random, world);
            world.say_unasked(id, vec![random.u8(..); random.usize(..20)]);
        }
    }
}

fn publish(random: &mut Rng, world: &mut World, topics: &[Arc<Topic>]) {
    let topic = &topics[random.usize(..topics.len())];
    for _ in 0..random.usize(1..12) {
        let size = match random.u8(..60) {
            0 => random.usize(..200_000),
            1..5 => random.usize(..10_000),
            _ => random.usize(..200),
        };
        let message = Message {
            key: random
                .bool()
                .then(|| vec![random.u8(..10); random.usize(..4)]),
            size: (random.u8(..20) > 0).then_some(size),
            partition: (random.u8(..4) == 0).then(|| random.i32(-1..8)),
            timestamp: (random.u8(..8) == 0).then(|| random.i64(0..i64::MAX)),
            waited_for: random.u8(..6) == 0,
        };
        // A full queue, a partition that does not exist: all in a day's work.
        let _ = world.try_publish(topic, &message);
    }
}

fn script(random: &mut Rng, world: &mut World) {
    let fault = match random.u8(..18) {
        0 => Fault::Refuse(pick(
            random,
            [
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                ErrorCode::NOT_ENOUGH_REPLICAS,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ErrorCode::INVALID_RECORD,
                ErrorCode::MESSAGE_TOO_LARGE,
            ],
        )),
        1 => Fault::AppendThenRefuse(pick(
            random,
            [
                ErrorCode::REQUEST_TIMED_OUT,
                ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            ],
        )),
        2 => Fault::Slow(millis(random.u64(..3000))),
        3 => Fault::Hang,
        4 => Fault::AppendThenHang,
        5 => Fault::Close,
        6 => Fault::AppendThenClose,
        7 => Fault::Say((0..random.usize(..40)).map(|_| random.u8(..)).collect()),
        8 => Fault::Truncate(random.usize(..30)),
        9 => Fault::WrongCorrelation,
        10 => Fault::LeaveOut,
        11 => Fault::AnswerThenClose,
        12 => Fault::Repeat,
        13 => Fault::Overtaken,
        _ => Fault::Obey,
    };
    let api = pick(random, [Produce, Produce, Produce, Metadata, ApiVersions]);
    let id = broker(random, world);
    let times = random.usize(1..6);
    world.cluster.broker(id).script(api, vec![fault; times]);
}

fn move_leader(random: &mut Rng, world: &mut World) {
    let leader = (random.u8(..5) > 0).then(|| broker(random, world));
    let name = pick(random, ["t", "u"]);
    let partitions = world.cluster.topics[name].partitions.len();
    world.cluster.lead(name, random.usize(..partitions), leader);
}

fn broker(random: &mut Rng, world: &World) -> i32 {
    random.i32(1..=world.cluster.brokers.len() as i32)
}

/// Ends all faults.
fn heal(world: &mut World) {
    world.cluster.topic_errors.clear();
    for broker in world.cluster.brokers.values_mut() {
        broker.reach = Reach::Up;
        broker.latency = Duration::ZERO;
        broker.forget_script();
    }
    for id in 1..=world.cluster.brokers.len() as i32 {
        world.read_on(id);
    }
    for name in ["t", "u"] {
        for index in 0..world.cluster.topics[name].partitions.len() {
            world.cluster.lead(name, index, Some(1));
        }
    }
}
