//! Draws plans from seeds.

use std::time::Duration;

use fastrand::Rng;
use kafka_engine::Purge;
use kafka_engine::settings::{Acks, Partitioner, Settings, TopicCodec, TopicSettings};
use kafka_wire::ApiKey::{self, ApiVersions, InitProducerId, Metadata, Produce};
use kafka_wire::{Codec, ErrorCode};

use super::Plan;
use super::action::{Action, Step};
use super::setup::{
    BrokerSetup, LATE, MOST_PARTITIONS, NEVER, Setup, THROTTLE_MAX_MS, TOPICS, Versions,
};
use crate::{Election, Fault, Message, Reach, endpoint, millis, secs};

const STEPS: usize = 150;

/// One run of so many is recorded, and replayed at its end.
const RECORDED: u64 = 4;

/// More bytes than any run takes.
const RECORDING: usize = 1 << 30;

/// What a broker may say of a batch that it did not take.
const REFUSALS: [ErrorCode; 29] = [
    ErrorCode::UNKNOWN_SERVER_ERROR,
    ErrorCode::CORRUPT_MESSAGE,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::LEADER_NOT_AVAILABLE,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::BROKER_NOT_AVAILABLE,
    ErrorCode::REPLICA_NOT_AVAILABLE,
    ErrorCode::MESSAGE_TOO_LARGE,
    ErrorCode::NETWORK_EXCEPTION,
    ErrorCode::INVALID_TOPIC_EXCEPTION,
    ErrorCode::RECORD_LIST_TOO_LARGE,
    ErrorCode::NOT_ENOUGH_REPLICAS,
    ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode::INVALID_REQUIRED_ACKS,
    ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    ErrorCode::INVALID_TIMESTAMP,
    ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
    ErrorCode::POLICY_VIOLATION,
    ErrorCode::KAFKA_STORAGE_ERROR,
    ErrorCode::FENCED_LEADER_EPOCH,
    ErrorCode::UNKNOWN_LEADER_EPOCH,
    ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
    ErrorCode::INVALID_RECORD,
    ErrorCode::THROTTLING_QUOTA_EXCEEDED,
    ErrorCode::UNKNOWN_TOPIC_ID,
    ErrorCode::INCONSISTENT_TOPIC_ID,
    ErrorCode(999),
];

/// What a broker may say of a batch that it took.
const TAKEN: [ErrorCode; 5] = [
    ErrorCode::UNKNOWN_SERVER_ERROR,
    ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ErrorCode::REQUEST_TIMED_OUT,
    ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode::KAFKA_STORAGE_ERROR,
];

/// What a broker may say to who asks for a producer id.
const OF_IDENTITIES: [ErrorCode; 4] = [
    ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ErrorCode::NOT_COORDINATOR,
    ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
];

const OF_TOPICS: [ErrorCode; 4] = [
    ErrorCode::LEADER_NOT_AVAILABLE,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    ErrorCode::INVALID_TOPIC_EXCEPTION,
];

/// What happens in one run or another, apart from errors and from what goes wrong with requests.
const SCENES: &[&str] = &[
    "a broker dies and others take over",
    "a broker does not hear of new leaders",
    "a broker hangs",
    "a broker is gone",
    "a broker restarts",
    "a broker restarts with another version",
    "a broker that does not read",
    "a connection stays silent",
    "a leader does not hear that it is deposed",
    "a leader moves",
    "a partition has no leader",
    "a partition is added",
    "a request that outlives its connection",
    "a request torn in the middle",
    "a topic appears late",
    "a topic is deleted",
    "a topic is deleted and made anew",
    "compressed: gzip",
    "compressed: lz4",
    "compressed: snappy",
    "compressed: zstd",
    "an answer to no question",
    "close",
    "connections are reset",
    "flush",
    "lost in an unclean election",
    "lost, as a deposed leader had it",
    "lost, as no follower had it",
    "producer state expires",
    "purge",
    "refused: no such partition",
    "refused: the producer has failed for good",
    "refused: too large",
    "refused: too many bytes",
    "refused: too many messages",
    "reports are left for a while",
    "the wall clock steps",
    "throttled",
];

/// What can go wrong with a request, by the names of [`Fault`].
const FAULTS: &[&str] = &[
    "another correlation id",
    "answers and closes",
    "answers in the wrong order",
    "answers twice",
    "answers with other bytes",
    "closes",
    "leaves out what was asked",
    "never answers",
    "slow",
    "takes and closes",
    "takes and never answers",
    "truncated",
];

/// The names of everything that enough seeds must meet.
pub(super) fn everything() -> impl Iterator<Item = String> {
    let scenes = SCENES.iter().map(|scene| (*scene).to_owned());
    let faults = [Produce, Metadata, ApiVersions]
        .into_iter()
        .flat_map(|api| {
            let faults = FAULTS.iter();
            faults.map(move |fault| format!("{}: {fault}", api.name()))
        });
    let answers = REFUSALS.map(|code| format!("answer {} {}", code.0, code.name()));
    let metadata = OF_TOPICS.map(|code| format!("metadata says {} {}", code.0, code.name()));
    scenes.chain(faults).chain(answers).chain(metadata)
}

impl Plan {
    /// What this seed stands for.
    pub fn draw(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let random = &mut random;
        let mut setup = setup(random);
        setup.settings.recording = seed.is_multiple_of(RECORDED).then_some(RECORDING);
        // Some runs are calm but for one kind of trouble: it is not drowned by the others.
        let trouble = pick(random, [5, 15, 30, 45]);
        let only = (random.u8(..3) == 0).then(|| random.u8(..KINDS_OF_TROUBLE));
        let steps = (0..random.usize(STEPS / 5..=STEPS)).map(|number| {
            let action = match number {
                0 => open(random),
                _ if random.u8(..100) < trouble => {
                    let kind = only.unwrap_or_else(|| random.u8(..KINDS_OF_TROUBLE));
                    disturb(random, kind)
                }
                _ => use_it(random),
            };
            let pause = pick(random, [0, 3_000, 30_000, 300_000, 300_000]);
            let pause = Duration::from_micros(random.u64(0..=pause));
            Step { action, pause }
        });
        let mut steps: Vec<Step> = steps.collect();
        if random.u8(..10) == 0 {
            let at = random.usize(1..steps.len());
            let pause = Duration::ZERO;
            let action = Action::Close;
            steps.insert(at, Step { action, pause });
            steps.truncate(at + 5);
        }
        Self { seed, setup, steps }
    }
}

fn pick<T: Copy, const N: usize>(random: &mut Rng, choices: [T; N]) -> T {
    choices[random.usize(..N)]
}

fn setup(random: &mut Rng) -> Setup {
    let brokers = (0..random.usize(2..=4)).map(|_| BrokerSetup {
        latency: millis(pick(random, [0, 1, 20])),
        distance: millis(pick(random, [0, 0, 1, 30])),
        versions: versions(random),
    });
    Setup {
        brokers: brokers.collect(),
        settings: settings(random),
        partitions: TOPICS.map(|_| random.usize(1..=MOST_PARTITIONS)),
        lag: millis(pick(random, [0, 0, 5, 50, 500])),
        codec_fails: random.u8(..10) == 0,
        hints: random.bool(),
        log_append_time: random.u8(..4) == 0,
        lists_the_dead: random.bool(),
        refuses_strangers: random.u8(..4) == 0,
        // Longer than a producer is quiet that still relies on it.
        producer_lifetime: secs(pick(random, [90, 86_400])),
        first_producer_epoch: pick(random, [0, 0, i16::MAX - 2]),
        max_batch_bytes: usize::MAX,
        presses: (0..random.usize(..4))
            .map(|_| millis(pick(random, [0, 1, 10, 300])))
            .collect(),
    }
}

fn settings(random: &mut Rng) -> Settings {
    let settings = ordinary_settings(random);
    match random.bool() {
        // What the configuration makes of it.
        true => Settings {
            idempotence: true,
            gapless: random.u8(..10) == 0,
            max_in_flight: settings.max_in_flight.min(5),
            max_retries: settings.max_retries.max(1),
            ..settings
        },
        false => settings,
    }
}

fn ordinary_settings(random: &mut Rng) -> Settings {
    Settings {
        bootstrap: vec![endpoint("b1"), endpoint("b2"), endpoint("nobody")],
        linger: millis(pick(random, [0, 5, 100])),
        batch_messages: pick(random, [1, 3, 10, 10_000]),
        batch_bytes: pick(random, [2_000, 1_000_000]),
        message_max_bytes: pick(random, [150_000, 1_000_000]),
        request_max_bytes: pick(random, [10_000, 8 << 20]),
        queue_max_messages: Some(pick(random, [100, 100_000])),
        queue_max_bytes: pick(random, [300_000, 1 << 30]),
        max_in_flight: pick(random, [1, 2, 5, 1_000_000]),
        max_retries: pick(random, [0, 2, u32::MAX, u32::MAX]),
        request_timeout: secs(pick(random, [2, 10])),
        connection_setup_timeout: secs(pick(random, [1, 10])),
        connections_max_idle: pick(random, [None, Some(secs(1))]),
        metadata_refresh_interval: pick(random, [None, Some(secs(1)), Some(secs(300))]),
        topic_propagation_max: secs(pick(random, [2, 30])),
        sticky_linger: millis(pick(random, [0, 10])),
        codec: (random.u8(..3) == 0).then(|| pick(random, Codec::ALL)),
        compression_threads: random.usize(1..=2),
        report_records: random.bool(),
        ..Settings::default()
    }
}

/// Any version from the oldest that will do.
fn versions(random: &mut Rng) -> Versions {
    let newest = Versions::default();
    if random.bool() {
        return newest;
    }
    let least = ApiKey::ALL.map(|api| match api {
        Produce => 3,
        Metadata => 1,
        _ => 0,
    });
    let mut drawn = newest.0;
    for (version, least) in drawn.iter_mut().zip(least) {
        *version = random.i16(least..=*version);
    }
    Versions(drawn)
}

fn open(random: &mut Rng) -> Action {
    let name = pick(random, [TOPICS[0], TOPICS[0], TOPICS[1], LATE, NEVER]);
    let timeouts = [None, Some(millis(700)), Some(secs(3)), Some(secs(30))];
    let settings = TopicSettings {
        acks: pick(random, [Acks::None, Acks::Leader, Acks::All, Acks::All]),
        request_timeout: millis(pick(random, [100, 30_000])),
        message_timeout: pick(random, timeouts),
        partitioner: pick(
            random,
            [Partitioner::ConsistentRandom, Partitioner::UniformSticky],
        ),
        codec: match random.bool() {
            true => TopicCodec::Inherit,
            false => TopicCodec::Own(Some(pick(random, Codec::ALL))),
        },
        ..TopicSettings::default()
    };
    Action::Open(name, settings)
}

/// What an application does.
fn use_it(random: &mut Rng) -> Action {
    match random.u8(..40) {
        0..3 => open(random),
        3 => Action::Flush(millis(random.u64(..50))),
        4 => Action::Rest,
        _ => {
            let count = match random.u8(..20) {
                0 => random.usize(20..100),
                1..10 => random.usize(2..12),
                _ => 1,
            };
            let topic = random.usize(..8);
            Action::Publish(topic, (0..count).map(|_| message(random)).collect())
        }
    }
}

fn message(random: &mut Rng) -> Message {
    let size = match random.u8(..100) {
        0 => random.usize(..200_000),
        1..8 => random.usize(..10_000),
        _ => random.usize(..200),
    };
    let keyed = random.bool();
    Message {
        key: keyed.then(|| vec![random.u8(..10); random.usize(..4)]),
        size: (random.u8(..20) > 0).then_some(size),
        partition: (random.u8(..4) == 0).then(|| random.i32(-1..8)),
        timestamp: (random.u8(..8) == 0).then(|| random.i64(0..i64::MAX)),
        waited_for: random.u8(..6) == 0,
    }
}

const KINDS_OF_TROUBLE: u8 = 23;

fn disturb(random: &mut Rng, kind: u8) -> Action {
    let id = random.i32(1..=4);
    let topic = random.usize(..TOPICS.len());
    let moved = (random.u8(..5) > 0).then(|| random.i32(1..=4));
    match kind {
        0..7 => script(random, id, kind),
        7 => {
            let reach = [Reach::Up, Reach::Up, Reach::Refuses, Reach::Hangs];
            Action::Crash(id, pick(random, reach))
        }
        8 => Action::ResetConnections(id),
        9 => {
            let kept = random.u16(..=1000);
            let election = pick(random, [Election::Clean, Election::Unclean(kept)]);
            match random.u8(..3) {
                // It comes back sooner or later.
                0 => Action::Crash(id, Reach::Up),
                _ => Action::FailOver(id, moved, election),
            }
        }
        10 => Action::Upgrade(id, versions(random)),
        11 => Action::Latency(id, millis(random.u64(..400))),
        12 => Action::Distance(id, millis(pick(random, [0, 10, 300, 3_000]))),
        13 => match random.bool() {
            true => Action::StopReading(id),
            false => Action::ReadOn(id),
        },
        14 => Action::Tear(id, random.usize(1..4)),
        15 => match random.u8(..4) {
            0 => Action::Outdate(id),
            1 => Action::Depose(id, random.i32(1..=4)),
            _ => Action::Update(id),
        },
        16 => Action::SayUnasked(id, vec![random.u8(..); random.usize(..20)]),
        17 => Action::Lead(topic, random.usize(..6), moved),
        18 => match random.bool() {
            // Who says less than nothing is not to be believed.
            true if random.u8(..8) == 0 => Action::Throttle(random.i32(..0)),
            true => Action::Throttle(random.i32(1..=THROTTLE_MAX_MS)),
            false => Action::Throttle(0),
        },
        19 => match random.u8(..6) {
            0 => Action::Delete(topic),
            1 | 2 => Action::Recreate(topic),
            3 => Action::TopicError(topic, pick(random, OF_TOPICS)),
            _ => Action::NoTopicErrors,
        },
        20 => match random.bool() {
            true => Action::CreateLate,
            false => Action::AddPartition,
        },
        21 => match random.u8(..5) {
            0 => Action::MaxBatchBytes(pick(random, [500, 5_000, usize::MAX])),
            1 => Action::Invalidate(random.u64(1..4)),
            2 => Action::Wait(secs(random.u64(60..200))),
            3 => Action::StepWallClock(random.i64(-3_600_000..3_600_000)),
            _ => Action::TakeReports(random.u8(..3) > 0),
        },
        _ => Action::Purge(Purge {
            queued: random.bool(),
            in_flight: random.bool(),
        }),
    }
}

/// Requests that go wrong one after the other.
fn script(random: &mut Rng, id: i32, kind: u8) -> Action {
    let api = match kind {
        0..4 => Produce,
        4 => Metadata,
        5 => ApiVersions,
        _ => InitProducerId,
    };
    let fault = match random.u8(..18) {
        0 if api == InitProducerId => Fault::Refuse(pick(random, OF_IDENTITIES)),
        0..3 if api == Produce => Fault::Refuse(pick(random, REFUSALS)),
        3 if api == Produce => Fault::AppendThenRefuse(pick(random, TAKEN)),
        4 => Fault::Slow(millis(random.u64(..3000))),
        5 => Fault::Hang,
        6 => Fault::AppendThenHang,
        7 => Fault::Close,
        8 => Fault::AppendThenClose,
        9 => Fault::Say((0..random.usize(..40)).map(|_| random.u8(..)).collect()),
        10 => Fault::Truncate(random.usize(..30)),
        11 => Fault::WrongCorrelation,
        12 => Fault::LeaveOut,
        13 => Fault::AnswerThenClose,
        14 => Fault::Repeat,
        15 => Fault::Overtaken,
        _ => Fault::Obey,
    };
    Action::Script(id, api, fault, random.usize(1..6))
}
