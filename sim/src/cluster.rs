//! A cluster that keeps what it is sent: brokers that answer by the protocol, or fail by a script.

mod replication;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use kafka_engine::settings::Endpoint;
use kafka_engine::time::Time;
use kafka_wire::Codec;
use kafka_wire::compression::decompress;
use kafka_wire::message::{
    ApiKey, ApiVersion, ApiVersionsRequest, ApiVersionsResponse, InitProducerIdRequest,
    InitProducerIdResponse, LeaderIdAndEpoch, MetadataBroker, MetadataPartition, MetadataRequest,
    MetadataResponse, MetadataTopic, NodeEndpoint, ProducePartitionResponse, ProduceRequest,
    ProduceResponse, ProduceTopicResponse, RecordError, Records, RequestHeader,
    decode_request_header, encode_response,
};
use kafka_wire::record::{BatchHeader, RecordReader, read_batch};
use kafka_wire::{ErrorCode, Message, Reader, Uuid, VersionRange};

use crate::census::Census;
use crate::clock::elapsed;
use crate::producers::{Producers, sequence_of};
use crate::story::Story;
pub use replication::Election;
use replication::{Deposed, Lost, Picture};

/// The version of Produce that names topics by their ids.
const BY_TOPIC_ID: i16 = 13;

/// Brokers, topics and their logs, and everything that goes wrong with them.
#[derive(Debug)]
pub struct Cluster {
    /// By id.
    pub brokers: BTreeMap<i32, Broker>,
    /// By name.
    pub topics: BTreeMap<String, TopicLog>,
    /// Topics that were deleted, or made anew under another id.
    former: Vec<(String, TopicLog)>,
    /// Addresses that lead to brokers, and that no broker advertises.
    pub aliases: BTreeMap<Endpoint, i32>,
    /// Addresses at which connecting takes for ever.
    pub black_holes: BTreeSet<Endpoint>,
    /// What Metadata says of a topic instead of the truth.
    pub topic_errors: BTreeMap<String, ErrorCode>,
    /// How many partitions a topic gets that is asked for and does not exist.
    pub auto_create: Option<usize>,
    /// Stamped on the records by the brokers, if set.
    pub log_append_time: Option<i64>,
    /// Whether Metadata lists brokers that cannot be reached.
    pub lists_the_dead: bool,
    /// Whether answers to Produce name the leader where it is another one (KIP-951).
    pub hints: bool,
    /// How long followers take to copy what a leader appends; `acks=all` waits for that.
    pub lag: Duration,
    /// What every answer says that has a throttle time.
    pub throttle_ms: i32,
    /// What the answers of single brokers say instead.
    pub throttled: BTreeMap<i32, i32>,
    /// The largest batch that is taken (`message.max.bytes`).
    pub max_batch_bytes: usize,
    /// Messages, by opaque, that make a broker refuse their batch and name them (KIP-467).
    pub invalid: BTreeSet<u64>,
    /// What the next producer id will be.
    pub next_producer_id: i64,
    /// The epoch that producer ids begin with.
    pub first_producer_epoch: i16,
    /// How long a partition remembers a producer that writes nothing (`producer.id.expiration.ms`).
    pub producer_lifetime: Duration,
    /// Messages, by opaque, whose batches came again when their producer was forgotten.
    doubled: HashSet<u64>,
    /// Whether producers that a partition does not know have to begin with sequence 0, as they had
    /// to before Kafka 2.5 (KIP-360).
    pub refuses_strangers: bool,
    /// The message that each sequence number stands for: topic, partition, producer id, epoch,
    /// number.
    numbered: HashMap<(Uuid, i32, i64, i16, i32), u64>,
    /// Metadata requests: when, by which broker, and for which topics.
    pub questions: Vec<(Time, i32, Vec<String>)>,
    /// Every Produce request that was understood.
    pub produced: Vec<Produced>,
    /// What brokers are asked, and what they answer.
    pub(crate) story: Story,
    /// Which faults and errors came to pass.
    pub census: Census,
    /// Messages that wait for their outcome, as the world counts them.
    pub(crate) held: usize,
    /// The opaque of the next message, as the world counts them.
    pub(crate) next_opaque: u64,
    /// Records that elections took out of logs.
    lost: Vec<Lost>,
    last_topic_id: u8,
}

/// A broker, as others see it.
#[derive(Debug)]
pub struct Broker {
    /// Where it listens, and what it advertises.
    pub endpoint: Endpoint,
    /// Whether it can be reached.
    pub reach: Reach,
    /// Whether it reads what is written to it.
    pub reads: bool,
    /// How many of the next requests are cut in the middle, together with their connections.
    pub tears: usize,
    /// How long every request is on its way.
    pub distance: Duration,
    /// How long every answer takes.
    pub latency: Duration,
    /// What it says that it speaks; an API that is missing here is not offered.
    pub offers: HashMap<ApiKey, VersionRange>,
    /// What it believes of leaders, if not the truth.
    picture: Option<Picture>,
    faults: HashMap<ApiKey, VecDeque<Fault>>,
    /// What goes wrong with every request of an API for which there is no script, in turns.
    habits: HashMap<ApiKey, VecDeque<Fault>>,
}

/// What becomes of attempts to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Connections are made, requests answered.
    Up,
    /// Nobody listens.
    Refuses,
    /// Takes connections, and never answers anything.
    Hangs,
}

/// What a broker does wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing: for scripts that begin later.
    Obey,
    /// Refuses every batch.
    Refuse(ErrorCode),
    /// Takes every batch, and says that it did not.
    AppendThenRefuse(ErrorCode),
    /// Answers so much later than it would.
    Slow(Duration),
    /// This request and every later one of the connection are never answered.
    Hang,
    /// The same, after taking what there is to take.
    AppendThenHang,
    /// Closes the connection instead of an answer.
    Close,
    /// The same, after taking what there is to take.
    AppendThenClose,
    /// Answers as it should, and closes the connection right after.
    AnswerThenClose,
    /// Answers with these bytes instead.
    Say(Vec<u8>),
    /// Answers with the first so many bytes.
    Truncate(usize),
    /// Answers to a request that was never asked.
    WrongCorrelation,
    /// Answers as if nothing had been asked for.
    LeaveOut,
    /// Answers twice.
    Repeat,
    /// Answers after the next answer.
    Overtaken,
    /// Changes the bytes of the answer.
    Alter(fn(&mut Vec<u8>)),
    /// Changes what an answer to Metadata says.
    Misstate(fn(&mut MetadataResponse<'_>)),
    /// Changes what an answer to Produce says.
    Misreport(fn(&mut ProduceResponse<'_>)),
}

impl Fault {
    /// What to call it where faults are counted.
    fn name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Obey | Self::Refuse(_) => return None,
            Self::AppendThenRefuse(_) => "takes and refuses",
            Self::Slow(_) => "slow",
            Self::Hang => "never answers",
            Self::AppendThenHang => "takes and never answers",
            Self::Close => "closes",
            Self::AppendThenClose => "takes and closes",
            Self::AnswerThenClose => "answers and closes",
            Self::Say(_) => "answers with other bytes",
            Self::Truncate(_) => "truncated",
            Self::WrongCorrelation => "another correlation id",
            Self::LeaveOut => "leaves out what was asked",
            Self::Repeat => "answers twice",
            Self::Overtaken => "answers in the wrong order",
            Self::Alter(_) | Self::Misstate(_) | Self::Misreport(_) => "lies",
        })
    }
}

/// A Produce request that was received.
#[derive(Clone, Debug)]
pub struct Produced {
    /// When.
    pub at: Time,
    /// By which broker.
    pub broker: i32,
    /// Its version.
    pub version: i16,
    /// Its `acks`.
    pub acks: i16,
    /// How many milliseconds the leader may wait for its followers.
    pub timeout_ms: i32,
    /// Topic, partition, records and bytes of each batch.
    pub batches: Vec<(String, i32, usize, usize)>,
    /// How each batch is compressed.
    pub codecs: Vec<Option<Codec>>,
    /// Producer id, epoch and first sequence number of each batch.
    pub sequences: Vec<(i64, i16, i32)>,
}

/// A topic.
#[derive(Debug, Default)]
pub struct TopicLog {
    /// Its id, which it shares with no topic before or after it.
    pub id: Uuid,
    /// By index.
    pub partitions: Vec<PartitionLog>,
    /// If it was made anew: the opaque of the first message that was published after that.
    anew_from: u64,
}

/// A partition.
#[derive(Clone, Debug, Default)]
pub struct PartitionLog {
    /// Who takes batches for it, if anybody does.
    pub leader: Option<i32>,
    /// How often the leader changed.
    pub epoch: i32,
    /// What was taken, in the order of offsets.
    pub log: Vec<Logged>,
    /// Who wrote it.
    pub producers: Producers,
    /// Up to where the log was when something was appended, and when the followers have that.
    copied: Vec<(usize, Time)>,
    /// What a former leader has that has not heard of the present one.
    deposed: Option<Box<Deposed>>,
}

/// A record in a log; its place there is its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// When it was created, in milliseconds since 1970.
    pub timestamp: i64,
    /// What the test published it with, from a header.
    pub opaque: u64,
}

/// What a broker does about a request.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer(Duration, Vec<u8>),
    LastAnswer(Duration, Vec<u8>),
    TwoAnswers(Duration, Vec<u8>),
    LateAnswer(Duration, Vec<u8>),
    /// Nothing, as `acks=0` asks for.
    None,
    Hang,
    Close,
}

impl Cluster {
    /// Brokers 1 to `brokers`, at `b1:9092` and so on.
    pub fn new(brokers: i32) -> Self {
        Self {
            brokers: (1..=brokers).map(|id| (id, Broker::new(id))).collect(),
            topics: BTreeMap::new(),
            former: Vec::new(),
            aliases: BTreeMap::new(),
            black_holes: BTreeSet::new(),
            topic_errors: BTreeMap::new(),
            auto_create: None,
            log_append_time: None,
            lists_the_dead: false,
            hints: false,
            lag: Duration::ZERO,
            throttle_ms: 0,
            throttled: BTreeMap::new(),
            max_batch_bytes: usize::MAX,
            invalid: BTreeSet::new(),
            next_producer_id: 1000,
            first_producer_epoch: 0,
            producer_lifetime: Duration::from_secs(86_400),
            doubled: HashSet::new(),
            refuses_strangers: false,
            numbered: HashMap::new(),
            questions: Vec::new(),
            produced: Vec::new(),
            story: Story::default(),
            census: Census::default(),
            held: 0,
            next_opaque: 0,
            lost: Vec::new(),
            last_topic_id: 0,
        }
    }

    /// The same cluster with a topic.
    pub fn with_topic(mut self, name: &str, partitions: usize) -> Self {
        self.create(name, partitions);
        self
    }

    /// Creates a topic, led by all brokers in turn.
    pub fn create(&mut self, name: &str, partitions: usize) {
        self.last_topic_id += 1;
        let ids: Vec<i32> = self.brokers.keys().copied().collect();
        let partition = |index: usize| PartitionLog {
            leader: Some(ids[index % ids.len()]),
            ..PartitionLog::default()
        };
        let anew = self.former.iter().any(|(former, _)| former == name);
        let topic = TopicLog {
            id: Uuid([self.last_topic_id; 16]),
            partitions: (0..partitions).map(partition).collect(),
            anew_from: if anew { self.next_opaque } else { 0 },
        };
        self.topics.insert(name.into(), topic);
    }

    /// Adds a partition to a topic, which must exist; the leader of its first one leads it.
    pub fn add_partition(&mut self, name: &str) {
        let topic = self.topics.get_mut(name).expect("an existing topic");
        topic.partitions.push(topic.partitions[0].bare());
    }

    /// Deletes a topic. What is in it still counts as logged.
    pub fn delete(&mut self, name: &str) {
        let former = self.topics.remove_entry(name);
        self.former.extend(former);
    }

    /// The broker with an id, which must exist.
    pub fn broker(&mut self, id: i32) -> &mut Broker {
        self.brokers.get_mut(&id).expect("a broker of this cluster")
    }

    /// A partition, which must exist.
    pub fn partition(&mut self, topic: &str, index: usize) -> &mut PartitionLog {
        let topic = self.topics.get_mut(topic).expect("an existing topic");
        &mut topic.partitions[index]
    }

    /// The log of a partition, which must exist.
    pub fn log(&self, topic: &str, index: usize) -> &[Logged] {
        &self.topics[topic].partitions[index].log
    }

    /// All logs there are, or were before their topic was deleted: topic, partition, records.
    pub(crate) fn logs(&self) -> impl Iterator<Item = (&str, i32, &[Logged])> {
        self.all_topics().flat_map(|(name, topic)| {
            let partitions = (0..).zip(&topic.partitions);
            partitions.flat_map(move |(index, partition)| {
                let deposed = partition.deposed.iter().map(|deposed| &deposed.log);
                let logs = deposed.chain([partition]);
                logs.map(move |partition| (name.as_str(), index, &partition.log[..]))
            })
        })
    }

    /// Whether a message may be in a log twice, as its producer was forgotten in between.
    pub(crate) fn is_doubled(&self, opaque: u64) -> bool {
        self.doubled.contains(&opaque)
    }

    /// The same with the offsets of the records, and without those whose order nobody can promise where
    /// requests go by names (before Produce 13): what was on its way when the topic was made anew. The
    /// new log knows no producer, and takes what the former would have refused. Nor can anybody where
    /// producers are forgotten.
    pub(crate) fn orderly_logs(&self) -> impl Iterator<Item = (&str, i32, Vec<(i64, &Logged)>)> {
        let mut produced = self.produced.iter();
        let by_name = produced.any(|request| request.version < BY_TOPIC_ID);
        self.all_topics().flat_map(move |(name, topic)| {
            let strayed =
                move |opaque| by_name && opaque < topic.anew_from || self.is_doubled(opaque);
            let partitions = (0..).zip(&topic.partitions);
            partitions.map(move |(index, partition)| {
                let records = (0..).zip(&partition.log);
                let records = records.filter(|(_, record)| !strayed(record.opaque));
                (name.as_str(), index, records.collect())
            })
        })
    }

    fn all_topics(&self) -> impl Iterator<Item = (&String, &TopicLog)> {
        let former = self.former.iter().map(|(name, topic)| (name, topic));
        self.topics.iter().chain(former)
    }

    /// What there is, or was before the topic was deleted, at a place.
    pub(crate) fn at_offset(
        &self,
        topic: &str,
        index: i32,
        offset: i64,
    ) -> impl Iterator<Item = &Logged> {
        let there = self
            .logs()
            .filter(move |(name, of, _)| (*name, *of) == (topic, index));
        there.filter_map(move |(.., log)| log.get(offset as usize))
    }

    /// The opaques of all records in logs, those of deleted topics included.
    pub(crate) fn everything_logged(&self) -> HashSet<u64> {
        let records = self.logs().flat_map(|(.., log)| log);
        records.map(|logged| logged.opaque).collect()
    }

    /// Whether a record is in a log, or was until an election.
    pub(crate) fn ever_logged(&self, opaque: u64) -> bool {
        let records = self.logs().flat_map(|(.., log)| log);
        let mut all = records.chain(self.lost.iter().map(|lost| &lost.record));
        all.any(|record| record.opaque == opaque)
    }

    /// The opaques in a partition's log, in its order.
    pub fn opaques(&self, topic: &str, index: usize) -> Vec<u64> {
        let log = self.log(topic, index).iter();
        log.map(|logged| logged.opaque).collect()
    }

    /// Gives a partition another leader, which waits until the followers have all of it: nobody died.
    pub fn lead(&mut self, topic: &str, index: usize, leader: Option<i32>) {
        self.reinstate(leader);
        let partition = self.partition(topic, index);
        partition.copy_all();
        partition.leader = leader;
        partition.epoch += 1;
    }

    /// A fault has come to pass, for all messages that wait.
    pub(crate) fn hit(&mut self, fault: impl Into<Cow<'static, str>>) {
        self.census.hit(fault, self.held);
    }

    /// Which broker listens there.
    pub fn at(&self, endpoint: &Endpoint) -> Option<i32> {
        let mut brokers = self.brokers.iter();
        let own = brokers.find(|(_, broker)| broker.endpoint == *endpoint);
        let own = own.map(|(id, _)| *id);
        own.or_else(|| self.aliases.get(endpoint).copied())
    }

    /// Takes a request, without its length.
    pub(crate) fn handle(&mut self, id: i32, frame: &[u8], now: Time) -> Reply {
        let (header, mut body) = decode_request_header(frame).expect("a request header");
        let broker = self.broker(id);
        if broker.reach == Reach::Hangs {
            return Reply::Hang;
        }
        let mut latency = broker.latency;
        let fault = broker.next_fault(header.api);
        if let Some(name) = fault.name() {
            self.hit(format!("{}: {name}", header.api.name()));
        }
        if matches!(fault, Fault::Hang) {
            return Reply::Hang;
        }
        if matches!(fault, Fault::Close) {
            return Reply::Close;
        }
        let answer = match header.api {
            ApiKey::ApiVersions => Some(self.versions(id, &header, body, &fault)),
            ApiKey::Metadata => {
                let request = MetadataRequest::decode(&mut body, header.version);
                let request = request.expect("a Metadata request");
                body.finish("Metadata").expect("nothing behind it");
                Some(self.metadata(id, &header, &request, &fault, now))
            }
            ApiKey::Produce => {
                let request = ProduceRequest::decode(&mut body, header.version);
                let request = request.expect("a Produce request");
                body.finish("Produce").expect("nothing behind it");
                latency += self.time_to_copy(&request);
                self.produce(id, &header, &request, &fault, now)
            }
            ApiKey::InitProducerId => {
                let request = InitProducerIdRequest::decode(&mut body, header.version);
                let request = request.expect("an InitProducerId request");
                body.finish("InitProducerId").expect("nothing behind it");
                assert_eq!(request.transactional_id, None);
                Some(self.producer_id(id, &header, &fault))
            }
        };
        match (fault, answer) {
            (Fault::AppendThenHang, _) => Reply::Hang,
            (Fault::AppendThenClose, _) => Reply::Close,
            (_, None) => Reply::None,
            (Fault::AnswerThenClose, Some(answer)) => Reply::LastAnswer(latency, answer),
            (Fault::Repeat, Some(answer)) => Reply::TwoAnswers(latency, answer),
            (Fault::Overtaken, Some(answer)) => Reply::LateAnswer(latency, answer),
            (Fault::Alter(alter), Some(mut answer)) => {
                alter(&mut answer);
                Reply::Answer(latency, answer)
            }
            (Fault::Slow(delay), Some(answer)) => Reply::Answer(latency + delay, answer),
            (Fault::Say(bytes), _) => Reply::Answer(latency, bytes),
            (Fault::Truncate(len), Some(mut answer)) => {
                answer.truncate(len);
                Reply::Answer(latency, answer)
            }
            (_, Some(answer)) => Reply::Answer(latency, answer),
        }
    }

    fn versions(
        &self,
        id: i32,
        header: &RequestHeader<'_>,
        mut body: Reader<'_>,
        fault: &Fault,
    ) -> Vec<u8> {
        let offers = &self.brokers[&id].offers;
        let mut response = ApiVersionsResponse::default();
        let list = offers.iter().map(|(api, range)| ApiVersion {
            api_key: *api as i16,
            min_version: range.min,
            max_version: range.max,
        });
        if offers[&ApiKey::ApiVersions].contains(header.version) {
            ApiVersionsRequest::decode(&mut body, header.version).expect("an ApiVersions request");
            response.api_keys = list.collect();
        } else {
            response.error_code = ErrorCode::UNSUPPORTED_VERSION;
        }
        if let Fault::Refuse(code) = fault {
            response.error_code = *code;
        }
        answer(header, &response, fault)
    }

    fn metadata(
        &mut self,
        id: i32,
        header: &RequestHeader<'_>,
        request: &MetadataRequest<'_>,
        fault: &Fault,
        now: Time,
    ) -> Vec<u8> {
        let names: Vec<String> = match &request.topics {
            Some(topics) => {
                let names = topics.iter().filter_map(|topic| topic.name);
                names.map(str::to_owned).collect()
            }
            None => self.topics.keys().cloned().collect(),
        };
        let unique: BTreeSet<&String> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "a topic asked for twice");
        if let Some(partitions) = self.auto_create
            && request.allow_auto_topic_creation
        {
            let missing = names.iter().filter(|n| !self.topics.contains_key(*n));
            for name in missing.cloned().collect::<Vec<_>>() {
                self.create(&name, partitions);
            }
        }
        let alive = |broker: &Broker| broker.reach == Reach::Up || self.lists_the_dead;
        let alive = self.brokers.iter().filter(|(_, broker)| alive(broker));
        let mut response = MetadataResponse {
            brokers: alive
                .map(|(id, broker)| MetadataBroker {
                    node_id: *id,
                    host: &broker.endpoint.host,
                    port: broker.endpoint.port.into(),
                    rack: None,
                })
                .collect(),
            topics: names.iter().map(|name| self.describe(id, name)).collect(),
            throttle_time_ms: self.throttle_of(id),
            ..MetadataResponse::default()
        };
        match fault {
            Fault::LeaveOut => response.topics.clear(),
            Fault::Misstate(misstate) => misstate(&mut response),
            _ => {}
        }
        let bytes = answer(header, &response, fault);
        self.story.tell(elapsed(now), || {
            format!("b{id} is asked for {names:?}, {fault:?}")
        });
        self.questions.push((now, id, names));
        bytes
    }

    /// What a broker says of a topic.
    fn describe<'a>(&'a self, broker: i32, name: &'a str) -> MetadataTopic<'a> {
        let picture = self.brokers[&broker].picture.as_ref();
        let topics = picture.map_or(&self.topics, |picture| &picture.topics);
        let found = topics
            .get(name)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let told = match self.topic_errors.get(name) {
            Some(error) => Err(*error),
            None => found,
        };
        match told {
            Ok(topic) => MetadataTopic {
                name: Some(name),
                topic_id: topic.id,
                partitions: (0..)
                    .zip(&topic.partitions)
                    .map(describe_partition)
                    .collect(),
                ..MetadataTopic::default()
            },
            Err(error_code) => MetadataTopic {
                error_code,
                name: Some(name),
                ..MetadataTopic::default()
            },
        }
    }

    fn throttle_of(&self, broker: i32) -> i32 {
        let own = self.throttled.get(&broker);
        own.copied().unwrap_or(self.throttle_ms)
    }

    fn producer_id(&mut self, id: i32, header: &RequestHeader<'_>, fault: &Fault) -> Vec<u8> {
        let response = match fault {
            Fault::Refuse(error_code) => InitProducerIdResponse {
                error_code: *error_code,
                producer_epoch: -1,
                ..InitProducerIdResponse::default()
            },
            _ => {
                self.next_producer_id += 1;
                InitProducerIdResponse {
                    producer_id: self.next_producer_id - 1,
                    producer_epoch: self.first_producer_epoch,
                    throttle_time_ms: self.throttle_of(id),
                    ..InitProducerIdResponse::default()
                }
            }
        };
        answer(header, &response, fault)
    }

    fn produce(
        &mut self,
        id: i32,
        header: &RequestHeader<'_>,
        request: &ProduceRequest<'_>,
        fault: &Fault,
        now: Time,
    ) -> Option<Vec<u8>> {
        let hints = self.hints && header.version >= 10;
        let mut seen = BTreeSet::new();
        let (mut batches, mut codecs, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
        let mut topics = Vec::new();
        for topic in &request.topics {
            let by_id = |log: &TopicLog| log.id == topic.topic_id;
            let named = match header.version {
                BY_TOPIC_ID.. => self.topics.iter().find(|(_, log)| by_id(log)),
                _ => self.topics.get_key_value(topic.name),
            };
            let name = named.map(|(name, _)| name.clone());
            let mut partitions = Vec::new();
            for partition in &topic.partitions {
                let Some(Records::Whole(bytes)) = partition.records else {
                    panic!("a batch in one piece");
                };
                let (batch, records) = check_batch(bytes);
                let place = (name.clone().unwrap_or_default(), partition.index);
                let named = (topic.name, topic.topic_id.0, partition.index);
                assert!(seen.insert(named), "two batches of {named:?}");
                batches.push((place.0, place.1, records.len(), bytes.len()));
                let codec = Codec::with_number(batch.attributes.codec());
                if let Some(codec) = codec {
                    assert!(header.version >= codec.oldest_produce(), "{codec}");
                    self.census
                        .hit(format!("compressed: {codec}"), records.len());
                }
                codecs.push(codec);
                sequences.push((batch.producer_id, batch.producer_epoch, batch.base_sequence));
                let invalid = self.invalid_among(&records);
                let opaques: Vec<u64> = records.iter().map(|record| record.opaque).collect();
                let appended = match &name {
                    Some(_) if bytes.len() > self.max_batch_bytes => {
                        (ErrorCode::MESSAGE_TOO_LARGE, -1)
                    }
                    Some(_) if !invalid.is_empty() => (ErrorCode::INVALID_RECORD, -1),
                    Some(name) => {
                        self.append(id, name, partition.index, (&batch, records), fault, now)
                    }
                    None => (ErrorCode::UNKNOWN_TOPIC_ID, -1),
                };
                let place = (name.as_deref().unwrap_or_default(), partition.index);
                let (code, base_offset) = self.in_time(id, place, request, appended);
                if !code.is_ok() {
                    let name = format!("answer {} {}", code.0, code.name());
                    self.census.hit(name, opaques.len());
                }
                let leader = name.as_ref().filter(|_| hints && !code.is_ok());
                let leader = leader.and_then(|name| {
                    let partition = self.topics[name].partitions.get(partition.index as usize)?;
                    let leader_epoch = partition.epoch;
                    let leader_id = partition.leader?;
                    Some(LeaderIdAndEpoch {
                        leader_id,
                        leader_epoch,
                    })
                });
                self.story.tell(elapsed(now), || {
                    let name = name.as_deref().unwrap_or("a topic that is gone");
                    let BatchHeader {
                        producer_id,
                        producer_epoch,
                        base_sequence,
                        ..
                    } = batch;
                    format!(
                        "b{id} is sent {opaques:?} for {name} {} as {producer_id}.{producer_epoch} \
                         from {base_sequence} on: {} {base_offset}, {fault:?}",
                        partition.index,
                        code.name()
                    )
                });
                partitions.push(ProducePartitionResponse {
                    index: partition.index,
                    error_code: code,
                    base_offset,
                    log_append_time_ms: self.log_append_time.unwrap_or(-1),
                    current_leader: leader.unwrap_or_default(),
                    record_errors: invalid,
                    ..ProducePartitionResponse::default()
                });
            }
            topics.push(ProduceTopicResponse {
                name: topic.name,
                topic_id: topic.topic_id,
                partitions,
            });
        }
        self.produced.push(Produced {
            at: now,
            broker: id,
            version: header.version,
            acks: request.acks,
            timeout_ms: request.timeout_ms,
            batches,
            codecs,
            sequences,
        });
        if matches!(fault, Fault::LeaveOut) {
            topics.clear();
        }
        let brokers = self.brokers.iter().filter(|_| hints);
        let mut response = ProduceResponse {
            topics,
            node_endpoints: brokers
                .map(|(id, broker)| NodeEndpoint {
                    node_id: *id,
                    host: &broker.endpoint.host,
                    port: broker.endpoint.port.into(),
                    rack: None,
                })
                .collect(),
            throttle_time_ms: self.throttle_of(id),
        };
        if let Fault::Misreport(misreport) = fault {
            misreport(&mut response);
        }
        (request.acks != 0).then(|| answer(header, &response, fault))
    }

    fn append(
        &mut self,
        broker: i32,
        topic: &str,
        index: i32,
        (batch, records): (&BatchHeader, Vec<Logged>),
        fault: &Fault,
        now: Time,
    ) -> (ErrorCode, i64) {
        self.check_numbers(self.topics[topic].id, index, batch, &records);
        if let Fault::Refuse(code) = fault {
            return (*code, -1);
        }
        let topic = self.topics.get_mut(topic).expect("looked up");
        let Some(partition) = topic.partitions.get_mut(index as usize) else {
            return (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1);
        };
        let Some(partition) = partition.led_by(broker) else {
            return (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
        };
        let copied = now.after(self.lag);
        if partition.producers.expire(self.producer_lifetime, now) {
            self.census.hit("producer state expires", records.len());
        }
        let judged = partition.producers.judge(batch, self.refuses_strangers);
        if !matches!(judged, Ok(Some(_))) && partition.producers.has_forgotten(batch) {
            let opaques = records.iter().map(|record| record.opaque);
            self.doubled.extend(opaques);
            self.census.hit(
                "a batch comes again, and its producer is forgotten",
                records.len(),
            );
        }
        let base_offset = match judged {
            Err(code) => return (code, -1),
            Ok(Some(written)) => written,
            Ok(None) => {
                let base_offset = partition.log.len() as i64;
                partition.extend(records, copied);
                partition.producers.wrote(batch, base_offset, now);
                base_offset
            }
        };
        match fault {
            Fault::AppendThenRefuse(code) => (*code, -1),
            _ => (ErrorCode::NONE, base_offset),
        }
    }

    fn invalid_among(&self, records: &[Logged]) -> Vec<RecordError<'static>> {
        let invalid = (0..)
            .zip(records)
            .filter(|(_, record)| self.invalid.contains(&record.opaque));
        let named = invalid.map(|(batch_index, _)| RecordError {
            batch_index,
            message: Some("the test does not want it"),
        });
        named.collect()
    }

    /// A sequence number stands for one message, however often that is sent.
    fn check_numbers(&mut self, topic: Uuid, index: i32, batch: &BatchHeader, records: &[Logged]) {
        let (id, epoch) = (batch.producer_id, batch.producer_epoch);
        for (position, record) in records.iter().enumerate().filter(|_| id >= 0) {
            let number = sequence_of(batch, position);
            let key = (topic, index, id, epoch, number);
            let first = *self.numbered.entry(key).or_insert(record.opaque);
            assert_eq!(first, record.opaque, "two messages are {key:?}");
        }
    }
}

impl Broker {
    fn new(id: i32) -> Self {
        Self {
            endpoint: endpoint(&format!("b{id}")),
            reach: Reach::Up,
            reads: true,
            tears: 0,
            distance: Duration::ZERO,
            latency: Duration::ZERO,
            offers: ApiKey::ALL
                .into_iter()
                .map(|api| (api, api.versions()))
                .collect(),
            picture: None,
            faults: HashMap::new(),
            habits: HashMap::new(),
        }
    }

    /// Lets the next requests of an API go wrong, one after the other.
    pub fn script(&mut self, api: ApiKey, faults: impl IntoIterator<Item = Fault>) {
        self.faults.entry(api).or_default().extend(faults);
    }

    /// Lets all requests of an API go wrong; in turns, if that was asked for before.
    pub fn always(&mut self, api: ApiKey, fault: Fault) {
        self.habits.entry(api).or_default().push_back(fault);
    }

    /// Lets all requests go well again.
    pub fn forget_script(&mut self) {
        self.faults.clear();
        self.habits.clear();
    }

    fn next_fault(&mut self, api: ApiKey) -> Fault {
        let script = self.faults.get_mut(&api);
        let scripted = script.and_then(VecDeque::pop_front);
        let habits = self.habits.get_mut(&api);
        let habit = || {
            let habits = habits?;
            habits.rotate_left(1);
            habits.back().cloned()
        };
        scripted.or_else(habit).unwrap_or(Fault::Obey)
    }
}

/// Port 9092 of a host.
pub fn endpoint(host: &str) -> Endpoint {
    Endpoint {
        host: host.into(),
        port: 9092,
    }
}

/// An answer as it arrives: without its length.
fn answer<'a>(header: &RequestHeader<'_>, response: &impl Message<'a>, fault: &Fault) -> Vec<u8> {
    let correlation = match fault {
        Fault::WrongCorrelation => header.correlation_id.wrapping_add(7),
        _ => header.correlation_id,
    };
    let frame = encode_response(header.api, response, header.version, correlation);
    frame.expect("an answer of this version").bytes[4..].to_vec()
}

fn describe_partition((index, partition): (i32, &PartitionLog)) -> MetadataPartition {
    let leader = partition.leader;
    MetadataPartition {
        error_code: leader.map_or(ErrorCode::LEADER_NOT_AVAILABLE, |_| ErrorCode::NONE),
        partition_index: index,
        leader_id: leader.unwrap_or(-1),
        leader_epoch: partition.epoch,
        ..MetadataPartition::default()
    }
}

/// What the records of a batch take at most when they are decompressed.
const MOST_PLAIN: usize = 16 << 20;

/// A batch, after everything that a broker checks.
fn check_batch(bytes: &[u8]) -> (BatchHeader, Vec<Logged>) {
    let (header, records) = read_batch(bytes).expect("a batch with the right checksum");
    assert_eq!(
        kafka_wire::record::BATCH_HEADER_LEN + records.len(),
        bytes.len(),
        "nothing behind the batch"
    );
    assert_eq!(header.base_offset, 0);
    let numbered = header.producer_id >= 0;
    assert_eq!(numbered, header.producer_epoch >= 0);
    assert_eq!(numbered, header.base_sequence >= 0);
    assert_eq!(header.last_offset_delta, header.record_count - 1);
    let plain = match Codec::with_number(header.attributes.codec()) {
        Some(codec) => decompress(codec, records, MOST_PLAIN).expect("compressed records"),
        None => records.to_vec(),
    };
    let logged: Vec<Logged> = (0..)
        .zip(RecordReader::new(&plain))
        .map(|(position, record)| {
            let record = record.expect("a record");
            assert_eq!(record.offset_delta, position);
            let id = record.headers.iter().find(|header| header.name == "opaque");
            let id = id.and_then(|header| header.value?.try_into().ok());
            Logged {
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                timestamp: header.base_timestamp + record.timestamp_delta,
                opaque: u64::from_be_bytes(id.expect("the header of every test record")),
            }
        })
        .collect();
    assert_eq!(i32::try_from(logged.len()), Ok(header.record_count));
    let latest = logged.iter().map(|record| record.timestamp).max();
    assert_eq!(Some(header.max_timestamp), latest);
    (header, logged)
}
