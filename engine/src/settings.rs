//! What the engine is told: plain values with their units in the types. Strings, aliases and
//! ranges are the business of whoever fills these in.

use std::time::Duration;

use kafka_wire::Codec;
use serde::{Deserialize, Serialize};

use crate::log::LogSettings;

/// Settings of one producer. The defaults are librdkafka's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where to find the cluster first; after that its own metadata says.
    pub bootstrap: Vec<Endpoint>,
    /// How this producer names itself to brokers (quotas and request logs go by it).
    pub client_id: String,
    /// What brokers are told to be talking to (KIP-511); letters, digits, `-` and `.` count.
    pub client_software_name: String,
    /// In which version.
    pub client_software_version: String,
    /// How long a batch may wait for company. Less than every `message_timeout`: publishers rouse
    /// the I/O thread in time for the one, and so for the other.
    pub linger: Duration,
    /// Bytes of records after which a batch is full; a single larger record still gets a batch.
    pub batch_bytes: usize,
    /// Records after which a batch is full.
    pub batch_messages: usize,
    /// The largest record batch, headers included, and so the largest message.
    pub message_max_bytes: usize,
    /// The largest Produce request, unless a single batch is larger.
    pub request_max_bytes: usize,
    /// Messages held at most, from `publish` until their report was taken; `None` is no limit.
    pub queue_max_messages: Option<usize>,
    /// Bytes of memory held at most for messages (keys, headers, framing and slack included).
    pub queue_max_bytes: usize,
    /// Requests on the wire of one connection at most.
    pub max_in_flight: usize,
    /// Requests to one broker, the one that is being written included, that are made before they
    /// can be written: at least 1. While there are so many, batches stay open for more messages.
    pub backpressure_threshold: usize,
    /// How often a failed batch is sent again.
    pub max_retries: u32,
    /// Whether every message is in the log once, and in order per partition, whatever happens on the
    /// way. Needs `acks` of all replicas, and retries.
    pub idempotence: bool,
    /// Whether a message that fails for another reason than its time-out ends the producer, so that
    /// nothing comes behind a gap. With `idempotence` only.
    pub gapless: bool,
    /// The first wait before a failed request is sent again; doubles up to `retry_backoff_max`.
    pub retry_backoff: Duration,
    /// The longest such wait.
    pub retry_backoff_max: Duration,
    /// The first wait before a lost broker is connected again; doubles up to
    /// `reconnect_backoff_max`, each time with a jitter of -25 % to +50 %.
    pub reconnect_backoff: Duration,
    /// The longest such wait.
    pub reconnect_backoff_max: Duration,
    /// How long a broker may take to answer any request, from when it is handed to the socket:
    /// writing it counts.
    pub request_timeout: Duration,
    /// How long name resolution, TCP and the handshake may take together.
    pub connection_setup_timeout: Duration,
    /// How long a broker may take to say which versions it speaks; part of the time above.
    pub api_version_timeout: Duration,
    /// Close a connection after so long without a request; `None` never does.
    pub connections_max_idle: Option<Duration>,
    /// Requests of a connection whose answers take too long, with which it is closed; before that
    /// they are given up alone. `None` gives up any number.
    pub max_fails: Option<usize>,
    /// Ask for metadata anew after so long; `None` only on errors.
    pub metadata_refresh_interval: Option<Duration>,
    /// What metadata says is believed for so long, whatever the interval.
    pub metadata_max_age: Duration,
    /// The first wait before metadata is asked for again that left something open; doubles up to
    /// `retry_backoff_max`.
    pub metadata_fast_interval: Duration,
    /// Whether a refresh asks for the topics in use only; false asks for all there are.
    pub metadata_sparse: bool,
    /// Whether brokers may create a topic that is asked for.
    pub allow_auto_create: bool,
    /// Whether the bootstrap list is tried again while no known broker can be reached (KIP-899).
    pub rebootstrap: bool,
    /// After how long without metadata, though somebody asks for it, the brokers that the cluster
    /// has named are forgotten (KIP-1102); counts with `rebootstrap` only, and from 2 s on.
    pub rebootstrap_trigger: Duration,
    /// Whether connections are made to brokers only that have something to do; false makes one to
    /// each that metadata lists.
    pub sparse_connections: bool,
    /// How long a topic that the cluster does not know yet may take to appear.
    pub topic_propagation_max: Duration,
    /// How long a partition keeps the records without a key before another one is drawn; zero
    /// draws anew for every record (KIP-480 by time, as librdkafka does it).
    pub sticky_linger: Duration,
    /// What connections are made with.
    pub sockets: SocketSettings,
    /// How the batches of topics that say nothing of it are compressed; `None` sends them as they are.
    pub codec: Option<Codec>,
    /// Threads that compress batches at most, if any topic does.
    pub compression_threads: usize,
    /// What is said to the log.
    #[serde(skip)]
    pub log: LogSettings,
    /// Which outcomes are reported.
    pub reports: ReportMode,
    /// Whether reports carry the record's key, value and timestamp. Memory is then held until
    /// the report is taken.
    pub report_records: bool,
    /// Bytes of memory for the flight [recorder](crate::recording); `None` is off.
    pub recording: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            client_id: "rdkafka".into(),
            client_software_name: "event-kafka".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
            linger: Duration::from_millis(5),
            batch_bytes: 1_000_000,
            batch_messages: 10_000,
            message_max_bytes: 1_000_000,
            request_max_bytes: 8 << 20,
            queue_max_messages: Some(100_000),
            queue_max_bytes: 1 << 30,
            max_in_flight: 1_000_000,
            backpressure_threshold: 1,
            max_retries: i32::MAX as u32,
            idempotence: false,
            gapless: false,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: Duration::from_millis(100),
            reconnect_backoff_max: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            connection_setup_timeout: Duration::from_secs(30),
            api_version_timeout: Duration::from_secs(10),
            connections_max_idle: None,
            max_fails: Some(1),
            metadata_refresh_interval: Some(Duration::from_secs(300)),
            metadata_max_age: Duration::from_secs(900),
            metadata_fast_interval: Duration::from_millis(100),
            metadata_sparse: true,
            allow_auto_create: true,
            rebootstrap: true,
            rebootstrap_trigger: Duration::from_secs(300),
            sparse_connections: true,
            topic_propagation_max: Duration::from_secs(30),
            sticky_linger: Duration::from_millis(10),
            sockets: SocketSettings::default(),
            codec: None,
            compression_threads: 1,
            log: LogSettings::default(),
            reports: ReportMode::All,
            report_records: false,
            recording: None,
        }
    }
}

/// What connections are made with. The engine leaves that to whoever makes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketSettings {
    /// Bytes of the send buffer (`SO_SNDBUF`); `None`: as the system has it.
    pub send_buffer: Option<u32>,
    /// Bytes of the receive buffer (`SO_RCVBUF`); `None`: as the system has it.
    pub receive_buffer: Option<u32>,
    /// Whether the system probes connections that are idle (`SO_KEEPALIVE`).
    pub keepalive: bool,
    /// Whether small packets are sent at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Which of a name's addresses are tried.
    pub family: AddressFamily,
    /// Whether a name of the bootstrap list stands for the canonical names of its addresses.
    pub canonical_bootstrap: bool,
    /// How long a name's addresses are remembered; a connection that fails forgets them.
    pub address_ttl: Duration,
    /// The longest answer in bytes; a longer one ends the connection before memory is given to it.
    pub max_answer: usize,
}

impl Default for SocketSettings {
    fn default() -> Self {
        Self {
            send_buffer: None,
            receive_buffer: None,
            keepalive: false,
            nodelay: true,
            family: AddressFamily::Any,
            canonical_bootstrap: false,
            address_ttl: Duration::from_secs(1),
            max_answer: 100_000_000,
        }
    }
}

/// Which of a name's addresses are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AddressFamily {
    /// All.
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Settings of one topic. Two users of a topic share its batches only if these are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TopicSettings {
    /// Whose acknowledgement makes a message delivered.
    pub acks: Acks,
    /// How long the leader may wait for its followers before it answers with an error.
    pub request_timeout: Duration,
    /// How long a message may take in all before it has failed; `None` is for ever.
    pub message_timeout: Option<Duration>,
    /// How a partition is chosen for a record that names none.
    pub partitioner: Partitioner,
    /// How batches are compressed.
    pub codec: TopicCodec,
    /// How hard the codec tries; `None` is its default, and one that it lacks counts as the nearest.
    pub compression_level: Option<i32>,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            request_timeout: Duration::from_secs(30),
            message_timeout: Some(Duration::from_secs(300)),
            partitioner: Partitioner::ConsistentRandom,
            codec: TopicCodec::Inherit,
            compression_level: None,
        }
    }
}

impl TopicSettings {
    /// How the batches of the topic are compressed, if they are.
    pub fn compression(&self, settings: &Settings) -> Option<Compression> {
        let codec = match self.codec {
            TopicCodec::Inherit => settings.codec,
            TopicCodec::Own(codec) => codec,
        };
        let level = self.compression_level;
        codec.map(|codec| Compression { codec, level })
    }
}

/// `compression.codec` of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TopicCodec {
    /// That of the producer.
    Inherit,
    /// This one; `None` sends batches as they are.
    Own(Option<Codec>),
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Compression {
    /// By what.
    pub codec: Codec,
    /// How hard it tries, as in [`TopicSettings::compression_level`].
    pub level: Option<i32>,
}

/// `acks`: whose acknowledgement counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Acks {
    /// 0: nobody's. A message is delivered once it was handed to the socket.
    None,
    /// 1: the leader's.
    Leader,
    /// -1: that of all in-sync replicas.
    All,
}

impl Acks {
    /// The number on the wire.
    pub fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How a partition is chosen: by chance, or by a hash of the key. What is said to stick goes to one
/// random partition for [`Settings::sticky_linger`]; without that, each record draws its own.
/// Partitions without a leader are drawn only where no other is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Partitioner {
    /// Any; records without a key stick.
    Random,
    /// CRC-32 of the key; one that is null or empty has a hash, too.
    Consistent,
    /// CRC-32 of the key; records with a null or empty key stick.
    ConsistentRandom,
    /// MurmurHash2 of the key, as Kafka's Java clients compute it; one that is null or empty has a
    /// hash, too.
    Murmur2,
    /// The same, but records without a key stick. What Java does.
    Murmur2Random,
    /// FNV-1a of the key, as Sarama computes it; one that is null or empty has a hash, too.
    Fnv1a,
    /// The same, but records without a key stick.
    Fnv1aRandom,
    /// MurmurHash2 of the key. Records without a key go to one partition until those are
    /// [`Settings::batch_bytes`], and then to another, which is drawn the less often the more waits
    /// there already (KIP-794).
    UniformSticky,
}

/// Which outcomes are reported to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportMode {
    /// None: counters alone tell.
    None,
    /// Failures only.
    Errors,
    /// One report for every accepted message.
    All,
}

/// A broker's address as configured or advertised: a name, an IPv4 or an IPv6 address (without
/// brackets), and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
