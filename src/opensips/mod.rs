//! What the OpenSIPS module `event_kafka` needs and C need not do: the grammar of its sockets, the
//! registry of those that are in use, and the payload of its events.
//!
//! ```
//! use event_kafka::config::Config;
//! use event_kafka::opensips::{Event, Params, Socket, System, Value};
//! use event_kafka::{Producer, Record};
//!
//! let socket = "kafka:127.0.0.1:9092/sip-events?g.linger.ms=20&t.acks=all";
//! # let cluster = kafka_mock::Cluster::start()?;
//! # let socket = &socket.replace("127.0.0.1:9092", &cluster.bootstrap());
//! let socket = Socket::parse(socket)?;
//! let mut config = Config::default();
//! let resolved = socket.resolve(&System)?;
//! for warning in resolved.configure(&mut config)? {
//!     eprintln!("{warning}");
//! }
//! let producer = Producer::builder().config(config).start()?;
//!
//! let mut payload = Vec::new();
//! let params = [(&b"ip"[..], Value::Text(b"192.0.2.1"))];
//! Event::new(b"E_PIKE_BLOCKED", Params::Named(&params)).write(socket.payload, &mut payload);
//! let headers = resolved.headers();
//! producer.topic(socket.topic)?.publish(Record::new(&payload).headers(&headers))?;
//! # producer.close(std::time::Duration::from_secs(5))?;
//! # assert_eq!(
//! #     cluster.records("sip-events")[0].value.as_deref(),
//! #     Some(&br#"{"jsonrpc":"2.0","method":"E_PIKE_BLOCKED","params":{"ip":"192.0.2.1"}}"#[..])
//! # );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod event_id;
mod payload;
mod registry;
mod socket;

pub use event_id::{EventId, EventIds};
pub use payload::{Event, Params, Payload, Value};
pub use registry::{
    OTHER_TOPICS, Registry, RegistryBuilder, SocketCounters, SocketFlush, SocketKey,
    SocketPublishError, SocketReport, SocketReports, SocketState, SocketStatus, SubscribeError,
    Subscription, check_socket, sockets_match,
};
pub use socket::{
    BrokerId, BrokerIds, ConfigFile, KeySource, Members, Outside, ResolvedSocket, Socket,
    SocketError, SocketHeader, SocketNotice, SocketProblem, SocketProperty, SocketValue,
    SocketWarning, System,
};
