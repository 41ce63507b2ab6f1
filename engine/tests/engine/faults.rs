//! Every fault, alone and in pairs, in the middle of traffic, with every `acks`: it begins, lasts,
//! ends. The world checks throughout that the engine is alive and does not spin, that time-outs and
//! limits hold and the log repeats nothing; here that the messages flow again soon after the end.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use kafka_engine::accumulator::Topic;
use kafka_engine::error::PublishError;
use kafka_engine::settings::{Acks, Settings, TopicSettings};
use kafka_wire::ApiKey::{self, ApiVersions, Metadata, Produce};
use kafka_wire::message::MetadataResponse;
use kafka_wire::{ErrorCode, VersionRange};

use kafka_sim::{Cluster, Fault, Message, Outcome, Reach, START_MS, World};
use kafka_sim::{endpoint, millis, secs};

/// How many pairs the ordinary run draws; this variable asks for more.
const PAIRS: u64 = 20;
const PAIRS_VARIABLE: &str = "ENGINE_FAULT_PAIRS";

/// A single pair can be repeated by naming its seed in this variable.
const SEED_VARIABLE: &str = "ENGINE_FAULT_SEED";

const ALL_ACKS: [Acks; 3] = [Acks::None, Acks::Leader, Acks::All];

const PARTITIONS: usize = 6;
const TOPIC: &str = "t";

/// `socket.timeout.ms` and `socket.connection.setup.timeout.ms`: what was hung when the fault ended
/// may have to wait for them.
const TIMEOUT: Duration = Duration::from_secs(5);
/// `reconnect.backoff.max.ms`.
const RECONNECT: Duration = Duration::from_secs(10);
/// `retry.backoff.max.ms`, for a batch or for metadata; with what else there is to do.
const RETRY: Duration = Duration::from_secs(2);

/// After this, messages flow as if nothing had been.
const RECOVERY: Duration = TIMEOUT.saturating_add(RECONNECT).saturating_add(RETRY);

const QUEUE_MAX_BYTES: usize = 300_000;

/// A way to misbehave.
struct Kind {
    name: &'static str,
    /// What goes wrong with every request of an API.
    script: Option<(ApiKey, Fault)>,
    /// Something else that begins, at one broker.
    begin: fn(&mut World, i32),
    /// What goes on meanwhile, once a second.
    tick: fn(&mut World, i32),
    /// Whether some messages have nowhere to go any more: they expire.
    strands: bool,
}

fn kinds() -> Vec<Kind> {
    let mut kinds = scripted();
    kinds.extend(acted());
    kinds
}

fn scripted() -> Vec<Kind> {
    let scripted = |name, api, fault| Kind {
        script: Some((api, fault)),
        ..Kind::named(name)
    };
    let garbage: fn(&mut Vec<u8>) = |answer| answer[4..].fill(0x7f);
    let longer: fn(&mut Vec<u8>) = |answer| answer.push(0);
    let refuse = |code| Fault::Refuse(code);
    vec![
        scripted(
            "too few replicas",
            Produce,
            refuse(ErrorCode::NOT_ENOUGH_REPLICAS),
        ),
        scripted(
            "not the leader",
            Produce,
            refuse(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        ),
        scripted(
            "no such topic",
            Produce,
            refuse(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ),
        scripted(
            "no such topic id",
            Produce,
            refuse(ErrorCode::UNKNOWN_TOPIC_ID),
        ),
        scripted("invalid record", Produce, refuse(ErrorCode::INVALID_RECORD)),
        scripted("too large", Produce, refuse(ErrorCode::MESSAGE_TOO_LARGE)),
        scripted(
            "not allowed",
            Produce,
            refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        ),
        scripted("a new error", Produce, refuse(ErrorCode(999))),
        scripted(
            "taken and refused",
            Produce,
            Fault::AppendThenRefuse(ErrorCode::REQUEST_TIMED_OUT),
        ),
        scripted("slow", Produce, Fault::Slow(secs(2))),
        scripted("too slow", Produce, Fault::Slow(secs(7))),
        scripted("slow metadata", Metadata, Fault::Slow(secs(3))),
        scripted("too slow metadata", Metadata, Fault::Slow(secs(7))),
        scripted("slow handshake", ApiVersions, Fault::Slow(secs(3))),
        scripted("never answers", Produce, Fault::Hang),
        scripted("takes and never answers", Produce, Fault::AppendThenHang),
        scripted("never answers metadata", Metadata, Fault::Hang),
        scripted("never answers handshakes", ApiVersions, Fault::Hang),
        scripted("closes", Produce, Fault::Close),
        scripted("takes and closes", Produce, Fault::AppendThenClose),
        scripted("answers and closes", Produce, Fault::AnswerThenClose),
        scripted("closes on metadata", Metadata, Fault::Close),
        scripted(
            "answers metadata and closes",
            Metadata,
            Fault::AnswerThenClose,
        ),
        scripted("closes on handshakes", ApiVersions, Fault::Close),
        scripted(
            "closes after the handshake",
            ApiVersions,
            Fault::AnswerThenClose,
        ),
        scripted("answers twice", Produce, Fault::Repeat),
        scripted("answers metadata twice", Metadata, Fault::Repeat),
        scripted("answers in the wrong order", Produce, Fault::Overtaken),
        scripted("truncated", Produce, Fault::Truncate(9)),
        scripted("truncated metadata", Metadata, Fault::Truncate(40)),
        scripted("truncated handshake", ApiVersions, Fault::Truncate(9)),
        scripted("garbage", Produce, Fault::Alter(garbage)),
        scripted("garbage for metadata", Metadata, Fault::Alter(garbage)),
        scripted(
            "garbage for the handshake",
            ApiVersions,
            Fault::Alter(garbage),
        ),
        scripted("trailing bytes", Produce, Fault::Alter(longer)),
        scripted("a huge answer", Produce, Fault::Say(vec![0; 4 << 20])),
        scripted("wrong correlation", Produce, Fault::WrongCorrelation),
        scripted(
            "wrong correlation of metadata",
            Metadata,
            Fault::WrongCorrelation,
        ),
        scripted("leaves out partitions", Produce, Fault::LeaveOut),
        scripted("leaves out topics", Metadata, Fault::LeaveOut),
        scripted(
            "no brokers",
            Metadata,
            Fault::Misstate(|r| r.brokers.clear()),
        ),
        scripted(
            "rebootstrap required",
            Metadata,
            Fault::Misstate(|r| r.error_code = ErrorCode::REBOOTSTRAP_REQUIRED),
        ),
        scripted("absurd brokers", Metadata, Fault::Misstate(absurd_ports)),
        scripted(
            "leaders that are no brokers",
            Metadata,
            Fault::Misstate(led_by_nobody),
        ),
        scripted(
            "one partition only",
            Metadata,
            Fault::Misstate(one_partition),
        ),
        scripted(
            "handshake refused",
            ApiVersions,
            refuse(ErrorCode::CLUSTER_AUTHORIZATION_FAILED),
        ),
    ]
}

fn acted() -> Vec<Kind> {
    let begun = |name, begin: fn(&mut World, i32)| Kind {
        begin,
        ..Kind::named(name)
    };
    let ticking = |name, tick: fn(&mut World, i32)| Kind {
        tick,
        ..Kind::named(name)
    };
    vec![
        begun("refuses connections", |world, id| {
            world.crash(id, Reach::Refuses)
        }),
        begun("takes connections and hangs", |world, id| {
            world.crash(id, Reach::Hangs)
        }),
        begun("freezes", |world, id| {
            world.cluster.broker(id).reach = Reach::Hangs
        }),
        begun("a black hole", |world, id| {
            let address = world.cluster.broker(id).endpoint.clone();
            world.cluster.black_holes.insert(address);
            world.crash(id, Reach::Up);
        }),
        begun("never reads", |world, id| {
            world.cluster.broker(id).reads = false
        }),
        ticking("closes all connections", |world, id| {
            world.crash(id, Reach::Up)
        }),
        ticking("answers that nobody asked for", |world, id| {
            world.say_unasked(id, vec![0; 8])
        }),
        ticking("no frames", |world, id| {
            world.garble(id, "byte 0 begins no frame")
        }),
        ticking("comes and goes", |world, id| {
            let reach = match world.cluster.broker(id).reach {
                Reach::Up => Reach::Refuses,
                Reach::Refuses | Reach::Hangs => Reach::Up,
            };
            world.crash(id, reach);
        }),
        begun("latency", |world, id| {
            world.cluster.broker(id).latency = millis(900)
        }),
        begun("lists the dead", |world, id| {
            world.cluster.lists_the_dead = true;
            world.crash(id, Reach::Refuses);
        }),
        ticking("leaders move", move_leaders),
        ticking("leaders move, with hints", |world, id| {
            world.cluster.hints = true;
            move_leaders(world, id);
        }),
        begun("no leader", |world, id| {
            for index in led_by(world, id) {
                world.cluster.lead(TOPIC, index, None);
            }
        }),
        begun("a new address", |world, id| move_away(world, id, false)),
        begun(
            "a new address, and the old one swallows all",
            |world, id| move_away(world, id, true),
        ),
        begun("deleted", |world, _| world.cluster.delete(TOPIC)),
        begun("made anew", |world, _| make_anew(world, PARTITIONS)),
        begun("made anew, larger", |world, _| {
            make_anew(world, PARTITIONS + 3)
        }),
        Kind {
            strands: true,
            script: Some((Metadata, Fault::Misstate(many_partitions))),
            ..Kind::named("partitions that are none")
        },
        Kind {
            strands: true,
            ..begun("made anew, smaller", |world, _| make_anew(world, 2))
        },
        ticking("made anew all the time", |world, _| {
            make_anew(world, PARTITIONS)
        }),
        begun("older versions", |world, id| {
            let broker = world.cluster.broker(id);
            for (api, max) in [(Produce, 7), (Metadata, 4), (ApiVersions, 1)] {
                broker.offers.insert(api, VersionRange { min: 0, max });
            }
            world.crash(id, Reach::Up);
        }),
        begun("no version in common", |world, id| {
            world.cluster.broker(id).offers.remove(&Produce);
            world.crash(id, Reach::Up);
        }),
        begun("not allowed, says metadata", |world, _| {
            let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
            world.cluster.topic_errors.insert(TOPIC.into(), denied);
        }),
        begun("throttled", |world, _| world.cluster.throttle_ms = i32::MAX),
        begun("a clock in the past", |world, _| {
            world.cluster.log_append_time = Some(1)
        }),
        begun("a clock in the future", |world, _| {
            world.cluster.log_append_time = Some(START_MS * 1000);
        }),
    ]
}

impl Kind {
    fn named(name: &'static str) -> Self {
        Self {
            name,
            script: None,
            begin: |_, _| {},
            tick: |_, _| {},
            strands: false,
        }
    }
}

fn absurd_ports(response: &mut MetadataResponse<'_>) {
    for broker in &mut response.brokers {
        broker.port = 70_000;
    }
}

fn led_by_nobody(response: &mut MetadataResponse<'_>) {
    let topics = response.topics.iter_mut();
    let partitions = topics.flat_map(|topic| &mut topic.partitions);
    partitions.for_each(|partition| partition.leader_id = 77);
}

fn one_partition(response: &mut MetadataResponse<'_>) {
    for topic in &mut response.topics {
        topic.partitions.truncate(1);
    }
}

fn many_partitions(response: &mut MetadataResponse<'_>) {
    for topic in &mut response.topics {
        if let Some(first) = topic.partitions.first().cloned() {
            topic.partitions.resize(200, first);
        }
        for (index, partition) in (0..).zip(&mut topic.partitions) {
            partition.partition_index = index;
        }
    }
}

fn led_by(world: &World, id: i32) -> Vec<usize> {
    let Some(topic) = world.cluster.topics.get(TOPIC) else {
        return Vec::new();
    };
    let partitions = topic.partitions.iter().enumerate();
    let led = partitions.filter(|(_, partition)| partition.leader == Some(id));
    led.map(|(index, _)| index).collect()
}

/// The next broker leads what this one did.
fn move_leaders(world: &mut World, id: i32) {
    let next = id % world.cluster.brokers.len() as i32 + 1;
    for index in led_by(world, id) {
        world.cluster.lead(TOPIC, index, Some(next));
    }
}

fn move_away(world: &mut World, id: i32, swallows: bool) {
    world.crash(id, Reach::Up);
    let broker = world.cluster.broker(id);
    let there = endpoint(&format!("{}-moved", broker.endpoint.host));
    let old = std::mem::replace(&mut broker.endpoint, there);
    if swallows {
        world.cluster.black_holes.insert(old);
    }
}

fn make_anew(world: &mut World, partitions: usize) {
    world.cluster.delete(TOPIC);
    world.cluster.create(TOPIC, partitions);
}

/// A run: which faults there are, at which brokers, with which `acks`.
struct Run<'a> {
    kinds: Vec<&'a Kind>,
    brokers: &'a [i32],
    acks: Acks,
    seed: u64,
}

#[test]
fn messages_flow_again_after_every_fault_of_one_broker() {
    survive_each(&[1]);
}

#[test]
fn messages_flow_again_after_every_fault_of_all_brokers() {
    survive_each(&[1, 2, 3]);
}

#[test]
fn messages_flow_again_after_pairs_of_faults() {
    let number = |name| std::env::var(name).map(|text| text.parse().expect("a number"));
    let count = number(PAIRS_VARIABLE).unwrap_or(PAIRS);
    let seeds = number(SEED_VARIABLE).map_or(0..count, |seed| seed..seed + 1);
    let kinds = kinds();
    for seed in seeds {
        let mut random = Rng::with_seed(seed);
        let pair = random.choose_multiple(&kinds, 2);
        let brokers: &[i32] = random
            .choice([&[1][..], &[1, 2], &[1, 2, 3]])
            .expect("three");
        let acks = random.choice(ALL_ACKS).expect("three");
        Run {
            kinds: pair,
            brokers,
            acks,
            seed,
        }
        .survive();
    }
}

fn survive_each(brokers: &[i32]) {
    for kind in &kinds() {
        for acks in ALL_ACKS {
            let kinds = vec![kind];
            Run {
                kinds,
                brokers,
                acks,
                seed: 1,
            }
            .survive();
        }
    }
}

impl Run<'_> {
    fn survive(&self) {
        let _named = Named(self);
        let mut random = Rng::with_seed(self.seed);
        let mut world = World::seeded(cluster(), settings(), self.seed);
        let topics = [millis(8_000), millis(60_000)].map(|message_timeout| {
            let settings = TopicSettings {
                acks: self.acks,
                message_timeout: Some(message_timeout),
                ..TopicSettings::default()
            };
            world.topic_with(TOPIC, &settings)
        });
        traffic(&mut world, &topics, &mut random);
        traffic(&mut world, &topics, &mut random);
        self.begin(&mut world);
        for _ in 0..random.usize(4..20) {
            for kind in &self.kinds {
                self.brokers
                    .iter()
                    .for_each(|id| (kind.tick)(&mut world, *id));
            }
            traffic(&mut world, &topics, &mut random);
        }
        heal(&mut world);
        self.recovers(&mut world, &topics[1]);
        self.stays_calm(&mut world);
        // Requests that were never answered hold their memory until they time out.
        world.run_for(TIMEOUT);
        world.verify();
    }

    fn begin(&self, world: &mut World) {
        for id in self.brokers {
            for kind in &self.kinds {
                if let Some((api, fault)) = &kind.script {
                    world.cluster.broker(*id).always(*api, fault.clone());
                }
                (kind.begin)(world, *id);
            }
        }
    }

    /// Soon after the end of the fault, a message for each partition is delivered, and no other one
    /// waits.
    fn recovers(&self, world: &mut World, topic: &Arc<Topic>) {
        let end = world.elapsed() + RECOVERY;
        let partitions = world.cluster.topics[TOPIC].partitions.len();
        let mut probes = vec![None; partitions];
        while !probes.iter().all(|probe| is_delivered(world, *probe)) {
            assert!(world.elapsed() < end, "{:?}", Self::told(world, &probes));
            for (partition, probe) in (0..).zip(&mut probes) {
                // What was on its way when the fault ended may still refuse some.
                let gone = probe.is_none_or(|probe| world.outcomes.contains_key(&probe));
                if gone && !is_delivered(world, *probe) {
                    *probe = world
                        .try_publish(topic, &Message::of(10).to(partition))
                        .ok();
                }
            }
            world.run_for(millis(50));
        }
        let strands = self.kinds.iter().any(|kind| kind.strands);
        let limit = match strands {
            true => secs(61),
            false => end.saturating_sub(world.elapsed()),
        };
        world.run_dry(limit);
    }

    fn told<'a>(world: &'a World, probes: &[Option<u64>]) -> Vec<Option<&'a Outcome>> {
        let told = |probe: &Option<u64>| world.outcomes.get(probe.as_ref()?);
        probes.iter().map(told).collect()
    }

    /// There were neither connections nor questions without end.
    fn stays_calm(&self, world: &mut World) {
        let seconds = world.elapsed().as_secs() as usize;
        let mut hosts: Vec<&String> = world.connects.iter().map(|(_, host)| host).collect();
        let connects = hosts.len();
        hosts.sort_unstable();
        hosts.dedup();
        let most = hosts.len() * (15 + seconds / 4);
        assert!(connects <= most, "{connects} connects in {seconds} s");
        let questions = world.requests.iter().filter(|(.., api)| *api == Metadata);
        let questions = questions.count();
        // One in `retry.backoff.ms`, with its jitter.
        assert!(
            questions <= 10 + 12 * seconds,
            "{questions} questions in {seconds} s"
        );
    }
}

fn is_delivered(world: &World, message: Option<u64>) -> bool {
    let outcome = message.and_then(|message| world.outcomes.get(&message));
    outcome.is_some_and(|outcome| outcome.result.is_ok())
}

fn cluster() -> Cluster {
    let mut cluster = Cluster::new(3).with_topic(TOPIC, PARTITIONS);
    // An address that always leads to some broker, wherever brokers are.
    cluster.aliases.insert(endpoint("front"), 3);
    cluster
}

fn settings() -> Settings {
    Settings {
        bootstrap: vec![endpoint("b1"), endpoint("b2"), endpoint("front")],
        request_timeout: TIMEOUT,
        connection_setup_timeout: TIMEOUT,
        reconnect_backoff_max: RECONNECT,
        // What metadata says is believed for so long, if nothing speaks against it.
        metadata_refresh_interval: Some(secs(2)),
        message_max_bytes: 100_000,
        queue_max_bytes: QUEUE_MAX_BYTES,
        ..Settings::default()
    }
}

/// A second of traffic.
fn traffic(world: &mut World, topics: &[Arc<Topic>], random: &mut Rng) {
    for _ in 0..10 {
        for topic in topics {
            let message = Message {
                key: random.bool().then(|| vec![random.u8(..10)]),
                partition: random
                    .bool()
                    .then(|| random.i32(..PARTITIONS as i32).max(0)),
                ..Message::of(random.usize(..500))
            };
            match world.try_publish(topic, &message) {
                Ok(_) => {}
                Err(PublishError::TooManyBytes { .. } | PublishError::UnknownPartition { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        world.run_for(millis(100));
    }
}

/// Ends all faults. Who moved stays where he is.
fn heal(world: &mut World) {
    let cluster = &mut world.cluster;
    cluster.topic_errors.clear();
    cluster.throttle_ms = 0;
    cluster.log_append_time = None;
    if !cluster.topics.contains_key(TOPIC) {
        cluster.create(TOPIC, PARTITIONS);
    }
    let addresses: Vec<_> = cluster
        .brokers
        .values()
        .map(|b| b.endpoint.clone())
        .collect();
    cluster
        .black_holes
        .retain(|address| !addresses.contains(address));
    for index in 0..cluster.topics[TOPIC].partitions.len() {
        if cluster.partition(TOPIC, index).leader.is_none() {
            cluster.lead(TOPIC, index, Some(2));
        }
    }
    for id in 1..=3 {
        let broker = world.cluster.broker(id);
        broker.reach = Reach::Up;
        broker.latency = Duration::ZERO;
        broker.forget_script();
        broker.offers = ApiKey::ALL.map(|api| (api, api.versions())).into();
        world.read_on(id);
    }
}

/// Says which run failed.
struct Named<'a>(&'a Run<'a>);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Run {
                kinds,
                brokers,
                acks,
                seed,
            } = self.0;
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
            eprintln!("{names:?} at {brokers:?} with {acks:?}");
            if names.len() > 1 {
                eprintln!("repeat with {SEED_VARIABLE}={seed}");
            }
        }
    }
}
