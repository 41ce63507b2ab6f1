//! Whatever brokers answer, and whenever: the engine does not panic, spin or hoard memory; every
//! message that it accepted has one outcome, and in time; and what was recorded of it is the same
//! when it is replayed.

#![no_main]

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kafka_engine::accumulator::{Accumulator, Record, Topic};
use kafka_engine::compression::Job;
use kafka_engine::recording::{Recording, replay};
use kafka_engine::settings::{Endpoint, Settings, TopicCodec, TopicSettings};
use kafka_engine::time::{Clock, Time};
use kafka_engine::{ConnId, Engine, Event, Purge, Transmit};
use kafka_wire::compression::Compressor;
use kafka_wire::message::{
    ApiVersion, ApiVersionsResponse, InitProducerIdResponse, LeaderIdAndEpoch, MetadataBroker,
    MetadataPartition, MetadataResponse, MetadataTopic, NodeEndpoint, ProducePartitionResponse,
    ProduceRequest, ProduceResponse, ProduceTopicResponse, RecordError, RequestHeader,
    decode_request_header, encode_response,
};
use kafka_wire::{ApiKey, Codec, ErrorCode, Frame, Message as _, Reader, Uuid};
use kafka_wire_fuzz::peak_of;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|run: Run| {
    let mut play = Play::begin(&run.setup);
    for step in &run.steps {
        play.take(step);
    }
    play.end(&run.setup);
});

#[derive(Arbitrary, Debug)]
struct Run {
    setup: Setup,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
struct Setup {
    idempotent: bool,
    gapless: bool,
    lingers: bool,
    small_batches: bool,
    once: bool,
    in_flight: u8,
    codec: u8,
    recorded: bool,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Publish {
        topic: u8,
        partition: Option<u8>,
        keyed: bool,
        size: u16,
        count: u8,
    },
    /// Time passes, and the engine looks whenever it wanted to.
    Pass {
        millis: u16,
    },
    /// The machine was asleep.
    Jump {
        seconds: u8,
    },
    /// Brokers do all that they are asked for.
    Serve {
        requests: u8,
    },
    Open {
        conn: u8,
    },
    Close {
        conn: u8,
    },
    Garble {
        conn: u8,
    },
    /// A broker reads no more, or again.
    Stall {
        conn: u8,
        stalled: bool,
    },
    Answer {
        conn: u8,
        answer: Answer,
    },
    Say {
        conn: u8,
        bytes: Vec<u8>,
    },
    Compressed {
        job: u8,
        fails: bool,
    },
    Flush {
        begins: bool,
    },
    Purge {
        queued: bool,
        in_flight: bool,
    },
}

/// An answer to the oldest request of a connection, with what makes it differ from a good one.
#[derive(Arbitrary, Debug, Default)]
struct Answer {
    /// Half of all values are no error.
    code: u8,
    /// What the error is said of: one of all, or all.
    only: Option<u8>,
    offset: i64,
    throttle_ms: u16,
    /// How many partitions a topic has, and who leads them.
    partitions: u8,
    leader: i8,
    epoch: i8,
    /// Whether topics are others than before.
    anew: bool,
    left_out: bool,
    twice: bool,
    old: bool,
    late: bool,
    records: Vec<i8>,
    /// Bytes of the frame that are others, and how many there are.
    mangled: Vec<(u16, u8)>,
    cut: Option<u16>,
}

const NAMES: [&str; 3] = ["t", "u", "never"];
const BROKERS: i32 = 3;
const START: u64 = 1_000_000_000_000;
const TIMEOUT: Duration = Duration::from_secs(30);
/// No message is without its outcome for longer than its time-out and this.
const LATENESS: Duration = Duration::from_millis(50);
const QUEUE_BYTES: usize = 300_000;
const MESSAGE_BYTES: usize = 100_000;
/// How often the engine is called before it must rest.
const TURNS: usize = 200;
/// What one answer may make the engine allocate, besides what its length justifies: memory for
/// messages that are split, sent and held ready.
const SPARE: usize = 8 << 20;
/// A partition that an answer lists takes about 20 bytes of it, and 2 KiB of the engine.
const AMPLIFICATION: usize = 128;

struct Play {
    accumulator: Arc<Accumulator>,
    engine: Engine,
    clock: StepClock,
    rest: Time,
    topics: Vec<Arc<Topic>>,
    wires: BTreeMap<ConnId, Wire>,
    jobs: VecDeque<Job>,
    compressor: Compressor,
    accepted: u64,
    /// When each message without an outcome was accepted.
    pending: BTreeMap<u64, Time>,
    flushes: u32,
}

#[derive(Default)]
struct Wire {
    open: bool,
    stalled: bool,
    writing: Option<Transmit>,
    requests: VecDeque<Vec<u8>>,
}

impl Play {
    fn begin(setup: &Setup) -> Self {
        let settings = Settings {
            bootstrap: vec![endpoint(1), endpoint(9)],
            idempotence: setup.idempotent,
            gapless: setup.idempotent && setup.gapless,
            linger: Duration::from_millis(if setup.lingers { 20 } else { 0 }),
            batch_messages: if setup.small_batches { 3 } else { 10_000 },
            message_max_bytes: MESSAGE_BYTES,
            request_max_bytes: 2 * MESSAGE_BYTES,
            queue_max_messages: Some(200),
            queue_max_bytes: QUEUE_BYTES,
            max_retries: if setup.once && !setup.idempotent {
                0
            } else {
                u32::MAX
            },
            max_in_flight: usize::from(setup.in_flight % 5) + 1,
            request_timeout: Duration::from_secs(5),
            recording: setup.recorded.then_some(64 << 20),
            ..Settings::default()
        };
        let accumulator = Accumulator::new(settings, 1);
        let mut play = Self {
            engine: Engine::new(&accumulator, 1),
            clock: StepClock(Cell::new(START)),
            rest: Time::NEVER,
            topics: Vec::new(),
            wires: BTreeMap::new(),
            jobs: VecDeque::new(),
            compressor: Compressor::new(),
            accepted: 0,
            pending: BTreeMap::new(),
            flushes: 0,
            accumulator,
        };
        // Only one of the topics may compress.
        let codec = Codec::ALL.get(usize::from(setup.codec % 8)).copied();
        for (name, codec) in NAMES.into_iter().zip([codec, None, None]) {
            let topic_settings = TopicSettings {
                message_timeout: Some(TIMEOUT),
                codec: TopicCodec::Own(codec),
                ..TopicSettings::default()
            };
            let (topic, _) = play.accumulator.topic(name, &topic_settings);
            play.topics.push(topic);
        }
        play.turn();
        play
    }

    fn take(&mut self, step: &Step) {
        let now = self.clock.now();
        match step {
            Step::Publish {
                topic,
                partition,
                keyed,
                size,
                count,
            } => {
                for _ in 0..count % 8 + 1 {
                    self.publish(*topic, *partition, *keyed, *size);
                }
            }
            Step::Pass { millis } => self.pass(Duration::from_millis((*millis).into())),
            Step::Jump { seconds } => {
                self.clock
                    .set(now.after(Duration::from_secs((*seconds).into())));
            }
            Step::Serve { requests } => (0..*requests % 16).for_each(|_| self.serve()),
            Step::Open { conn } => {
                if let Some(conn) = self.pick(*conn, |wire| !wire.open) {
                    self.open(conn);
                }
            }
            Step::Close { conn } => {
                if let Some(conn) = self.pick(*conn, |_| true) {
                    self.engine.closed(conn, "connection reset", now);
                }
            }
            Step::Garble { conn } => {
                if let Some(conn) = self.pick(*conn, |wire| wire.open) {
                    self.engine.garbled(conn, "byte 0: no frame", now);
                }
            }
            Step::Stall { conn, stalled } => {
                if let Some(conn) = self.pick(*conn, |wire| wire.open) {
                    self.stall(conn, *stalled);
                }
            }
            Step::Answer { conn, answer } => {
                if let Some(conn) = self.pick(*conn, |wire| !wire.requests.is_empty()) {
                    self.answer(conn, answer);
                }
            }
            Step::Say { conn, bytes } => {
                if let Some(conn) = self.pick(*conn, |wire| wire.open) {
                    self.receive(conn, bytes);
                }
            }
            Step::Compressed { job, fails } => {
                let job = usize::from(*job).checked_rem(self.jobs.len());
                if let Some(job) = job.and_then(|job| self.jobs.remove(job)) {
                    self.compress(job, *fails);
                }
            }
            Step::Flush { begins: true } => {
                self.flushes += 1;
                let _ = self.accumulator.begin_flush();
            }
            Step::Flush { begins: false } => {
                if let Some(left) = self.flushes.checked_sub(1) {
                    self.flushes = left;
                    self.accumulator.end_flush();
                }
            }
            Step::Purge { queued, in_flight } => {
                let (queued, in_flight) = (*queued, *in_flight);
                self.engine.purge(Purge { queued, in_flight }, now);
            }
        }
        self.turn();
    }

    /// Nobody answers any more: time alone ends every message. Then nothing is left.
    fn end(mut self, setup: &Setup) {
        self.pass(TIMEOUT + LATENESS);
        assert_eq!(self.accumulator.balance().held, 0, "without outcome");
        self.publish(0, None, true, 10);
        self.engine.close(self.clock.now());
        self.hear();
        assert!(
            self.pending.is_empty(),
            "closed and without outcome: {:?}",
            self.pending
        );
        assert_eq!(self.engine.count_held(), 0);
        let recording = self.accumulator.recording();
        let Self {
            accumulator,
            engine,
            jobs,
            wires,
            ..
        } = self;
        drop((engine, jobs, wires));
        assert_eq!(accumulator.queued(), (0, 0), "given back");
        assert_eq!(recording.is_some(), setup.recorded);
        if let Some(recording) = recording {
            let recording = Recording::read(&recording).expect("as it was written");
            let mut reports = 0;
            let replayed = replay(&recording, |_| reports += 1).expect("it is whole");
            assert_eq!(replayed.divergence, None);
            assert_eq!(reports, accumulator.balance().accepted);
        }
    }

    // The application.

    fn publish(&mut self, topic: u8, partition: Option<u8>, keyed: bool, size: u16) {
        let value = vec![topic; size.into()];
        let key = self.accepted.to_be_bytes();
        let record = Record {
            key: keyed.then_some(&key),
            value: (size > 0).then_some(&value),
            partition: partition.map(|partition| i32::from(partition % 8)),
            opaque: self.accepted,
            ..Record::default()
        };
        let topic = &self.topics[usize::from(topic) % self.topics.len()];
        if topic.publish(&self.clock, &record, None).is_ok() {
            self.pending.insert(self.accepted, self.clock.now());
            self.accepted += 1;
        }
    }

    fn hear(&mut self) {
        for report in self.accumulator.reports().take().into_iter().flatten() {
            let accepted = self.pending.remove(&report.opaque);
            assert!(accepted.is_some(), "{} has two outcomes", report.opaque);
        }
    }

    // Time.

    fn pass(&mut self, duration: Duration) {
        let end = self.clock.now().after(duration);
        while self.rest < end {
            self.clock.set(self.rest.max(self.clock.now()));
            self.turn();
        }
        self.clock.set(end);
        self.turn();
    }

    // The driver.

    /// Calls the engine until it rests, which it has to do soon.
    fn turn(&mut self) {
        for _ in 0..TURNS {
            self.engine.advance(self.clock.now());
            while let Some(event) = self.engine.poll_event() {
                match event {
                    Event::Connect { conn, .. } => _ = self.wires.insert(conn, Wire::default()),
                    Event::Disconnect { conn } => _ = self.wires.remove(&conn),
                }
            }
            let mut transmitted = false;
            while let Some(conn) = self.engine.poll_sendable() {
                transmitted |= self.transmit(conn);
            }
            while let Some(job) = self.engine.poll_job() {
                self.jobs.push_back(job);
            }
            self.hear();
            match self.engine.rest() {
                Some(rest) if !transmitted => {
                    self.rest = rest;
                    return self.check();
                }
                _ => {}
            }
        }
        panic!("the engine never rests");
    }

    fn transmit(&mut self, conn: ConnId) -> bool {
        let now = self.clock.now();
        let mut transmitted = false;
        while let Some(wire) = self.wires.get_mut(&conn).filter(|wire| wire.open) {
            if wire.writing.is_some() {
                break;
            }
            let Some(transmit) = self.engine.poll_transmit(conn, now) else {
                break;
            };
            transmitted = true;
            if wire.stalled {
                wire.writing = Some(transmit);
                break;
            }
            wire.requests
                .push_back(transmit.chunks.into_iter().flatten().collect());
            self.engine.transmitted(conn, now);
        }
        transmitted
    }

    fn stall(&mut self, conn: ConnId, stalled: bool) {
        let Some(wire) = self.wires.get_mut(&conn) else {
            return;
        };
        wire.stalled = stalled;
        if let Some(transmit) = wire.writing.take_if(|_| !stalled) {
            wire.requests
                .push_back(transmit.chunks.into_iter().flatten().collect());
            self.engine.transmitted(conn, self.clock.now());
            self.transmit(conn);
        }
    }

    fn open(&mut self, conn: ConnId) {
        if let Some(wire) = self.wires.get_mut(&conn) {
            wire.open = true;
            self.engine.opened(conn, self.clock.now());
        }
    }

    fn compress(&mut self, job: Job, fails: bool) {
        let done = match fails {
            true => job.fail("the codec panicked"),
            false => job.run(&mut self.compressor),
        };
        self.engine.compressed(done, self.clock.now());
    }

    fn receive(&mut self, conn: ConnId, frame: &[u8]) {
        let (engine, now) = (&mut self.engine, self.clock.now());
        let ((), peak) = peak_of(|| engine.receive(conn, frame, now));
        let most = AMPLIFICATION * frame.len() + SPARE;
        assert!(
            peak <= most,
            "{peak} bytes for an answer of {}",
            frame.len()
        );
    }

    // The brokers.

    /// One of the connections that are like that.
    fn pick(&self, which: u8, like: impl Fn(&Wire) -> bool) -> Option<ConnId> {
        let wires = self.wires.iter().filter(|(_, wire)| like(wire));
        let conns: Vec<ConnId> = wires.map(|(conn, _)| *conn).collect();
        let which = usize::from(which).checked_rem(conns.len())?;
        Some(conns[which])
    }

    /// Does the next thing that a good cluster does.
    fn serve(&mut self) {
        if let Some(conn) = self.pick(0, |wire| !wire.open) {
            self.open(conn);
        } else if let Some(conn) = self.pick(0, |wire| wire.stalled) {
            self.stall(conn, false);
        } else if let Some(conn) = self.pick(0, |wire| !wire.requests.is_empty()) {
            let good = Answer {
                partitions: 3,
                leader: -1,
                ..Answer::default()
            };
            self.answer(conn, &good);
        } else if let Some(job) = self.jobs.pop_front() {
            self.compress(job, false);
        }
        self.turn();
    }

    fn answer(&mut self, conn: ConnId, answer: &Answer) {
        let wire = self.wires.get_mut(&conn).expect("it was picked");
        let request = match answer.late {
            true => wire.requests.pop_back(),
            false => wire.requests.pop_front(),
        };
        let request = request.expect("it was picked for its requests");
        let frame = answer.frame(&request);
        self.receive(conn, &frame);
        if answer.twice {
            self.receive(conn, &frame);
        }
    }

    // What must hold.

    fn check(&self) {
        let balance = self.accumulator.balance();
        assert_eq!(balance.accepted, self.accepted);
        assert_eq!(
            balance.accepted,
            balance.delivered + balance.failed + balance.held
        );
        assert_eq!(balance.held, self.engine.count_held());
        assert_eq!(
            balance.held,
            self.pending.len() as u64,
            "a report for every outcome"
        );
        let (_, bytes) = self.accumulator.queued();
        assert!(
            bytes <= QUEUE_BYTES + MESSAGE_BYTES,
            "{bytes} bytes are in use"
        );
        assert!(
            self.rest != Time::NEVER || balance.held == 0,
            "{} messages wait for nothing",
            balance.held
        );
        if let Some((opaque, accepted)) = self.pending.first_key_value() {
            let latest = accepted.after(TIMEOUT).after(LATENESS);
            assert!(
                self.clock.now() <= latest,
                "{opaque} waits for longer than it may"
            );
        }
    }
}

impl Answer {
    fn frame(&self, request: &[u8]) -> Vec<u8> {
        let (header, body) = decode_request_header(&request[4..]).expect("a request");
        let mut frame = self.good_frame(&header, body);
        for (at, byte) in &self.mangled {
            if let Some(at) = usize::from(*at).checked_rem(frame.len()) {
                frame[at] = *byte;
            }
        }
        if let Some(cut) = self.cut {
            frame.truncate(cut.into());
        }
        frame
    }

    fn good_frame(&self, header: &RequestHeader<'_>, mut body: Reader<'_>) -> Vec<u8> {
        let RequestHeader {
            api,
            version,
            correlation_id,
            ..
        } = *header;
        let encode = |frame: Result<Frame, _>| frame.map_or_else(|_| Vec::new(), |f| f.bytes);
        let frame = match api {
            ApiKey::ApiVersions => encode(encode_response(
                api,
                &self.versions(),
                version,
                correlation_id,
            )),
            ApiKey::Metadata => encode(encode_response(
                api,
                &self.metadata(),
                version,
                correlation_id,
            )),
            ApiKey::Produce => {
                let request = ProduceRequest::decode(&mut body, version).expect("a request");
                let response = self.produced(&request);
                encode(encode_response(api, &response, version, correlation_id))
            }
            ApiKey::InitProducerId => encode(encode_response(
                api,
                &self.identity(),
                version,
                correlation_id,
            )),
        };
        frame.get(size_of::<i32>()..).unwrap_or_default().to_vec()
    }

    fn error(&self, index: usize) -> ErrorCode {
        let concerned = self.only.is_none_or(|only| usize::from(only % 4) == index);
        match self.code.checked_sub(128) {
            Some(code) if concerned => ErrorCode(i16::from(code)),
            _ => ErrorCode::NONE,
        }
    }

    fn versions(&self) -> ApiVersionsResponse<'_> {
        let version = |api: ApiKey| ApiVersion {
            api_key: api as i16,
            min_version: 0,
            max_version: match self.old {
                true => 9.min(api.versions().max),
                false => api.versions().max,
            },
        };
        let offered = ApiKey::ALL.into_iter().filter(|_| !self.left_out);
        ApiVersionsResponse {
            error_code: self.error(0),
            api_keys: offered.map(version).collect(),
            throttle_time_ms: self.throttle_ms.into(),
            ..ApiVersionsResponse::default()
        }
    }

    fn metadata(&self) -> MetadataResponse<'_> {
        let broker = |node_id: i32| MetadataBroker {
            node_id,
            host: HOSTS[node_id as usize % HOSTS.len()],
            port: 9092,
            rack: None,
        };
        let leader = |index: i32| match self.leader {
            -1 => index % BROKERS + 1,
            leader => i32::from(leader) % 8,
        };
        let partition = |partition_index: i32| MetadataPartition {
            error_code: self.error(partition_index as usize + 1),
            partition_index,
            leader_id: leader(partition_index),
            leader_epoch: self.epoch.into(),
            ..MetadataPartition::default()
        };
        let partitions = i32::from(self.partitions % 8);
        let topic = |(number, name): (usize, &'static str)| MetadataTopic {
            error_code: match name {
                "never" => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                _ => self.error(number),
            },
            name: Some(name),
            topic_id: id_of(number, self.anew),
            partitions: (0..partitions).map(partition).collect(),
            ..MetadataTopic::default()
        };
        let known = usize::from(!self.left_out) + 1;
        MetadataResponse {
            brokers: (1..=BROKERS).map(broker).collect(),
            topics: NAMES
                .into_iter()
                .enumerate()
                .take(known)
                .map(topic)
                .collect(),
            throttle_time_ms: self.throttle_ms.into(),
            error_code: self.error(3),
            ..MetadataResponse::default()
        }
    }

    fn produced<'a>(&'a self, request: &ProduceRequest<'a>) -> ProduceResponse<'a> {
        let skipped = usize::from(self.left_out);
        let partition = |(number, index): (usize, i32)| ProducePartitionResponse {
            index,
            error_code: self.error(number),
            base_offset: self.offset,
            record_errors: self.records.iter().map(record_error).collect(),
            current_leader: LeaderIdAndEpoch {
                leader_id: self.leader.into(),
                leader_epoch: self.epoch.into(),
            },
            ..ProducePartitionResponse::default()
        };
        let topics = request.topics.iter().map(|topic| ProduceTopicResponse {
            name: topic.name,
            topic_id: topic.topic_id,
            partitions: {
                let asked = topic.partitions.iter().map(|asked| asked.index);
                asked.enumerate().skip(skipped).map(partition).collect()
            },
        });
        ProduceResponse {
            topics: topics.collect(),
            throttle_time_ms: self.throttle_ms.into(),
            node_endpoints: vec![NodeEndpoint {
                node_id: self.leader.into(),
                host: HOSTS[usize::from(self.partitions) % HOSTS.len()],
                port: 9092,
                rack: None,
            }],
        }
    }

    fn identity(&self) -> InitProducerIdResponse {
        InitProducerIdResponse {
            throttle_time_ms: self.throttle_ms.into(),
            error_code: self.error(0),
            producer_id: self.offset,
            producer_epoch: match self.old {
                // Few are left.
                true => i16::MAX - 1,
                false => self.epoch.into(),
            },
        }
    }
}

fn record_error(index: &i8) -> RecordError<'static> {
    RecordError {
        batch_index: (*index).into(),
        message: None,
    }
}

fn id_of(topic: usize, anew: bool) -> Uuid {
    Uuid([topic as u8 + 1 + 100 * u8::from(anew); 16])
}

const HOSTS: [&str; 5] = ["b0", "b1", "b2", "b3", ""];

fn endpoint(id: i32) -> Endpoint {
    Endpoint {
        host: format!("b{id}"),
        port: 9092,
    }
}

/// A clock that stands still until it is set.
struct StepClock(Cell<u64>);

impl StepClock {
    fn set(&self, time: Time) {
        self.0.set(time.as_nanos());
    }
}

impl Clock for StepClock {
    fn now(&self) -> Time {
        Time::from_nanos(self.0.get())
    }

    fn coarse(&self) -> Time {
        const STEP: u64 = 4_000_000;
        Time::from_nanos(self.0.get() / STEP * STEP)
    }

    fn wall_ms(&self) -> i64 {
        1_700_000_000_000 + (self.0.get() / 1_000_000) as i64
    }
}
