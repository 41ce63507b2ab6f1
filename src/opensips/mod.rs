//! What the OpenSIPS module `event_kafka` needs and C need not do: the grammar of its sockets and
//! the payload of its events.
//!
//! ```
//! use event_kafka::config::Config;
//! use event_kafka::opensips::{Params, Socket, System, Value, write_event};
//! use event_kafka::{Producer, Record};
//!
//! let socket = "kafka:127.0.0.1:9092/sip-events?g.linger.ms=20&t.acks=all";
//! # let cluster = kafka_mock::Cluster::start()?;
//! # let socket = &socket.replace("127.0.0.1:9092", &cluster.bootstrap());
//! let socket = Socket::parse(socket)?;
//! let mut config = Config::default();
//! for warning in socket.resolve(&System)?.configure(&mut config)? {
//!     eprintln!("{warning}");
//! }
//! let producer = Producer::builder().config(config).start()?;
//!
//! let mut payload = Vec::new();
//! let params = [(&b"ip"[..], Value::Text(b"192.0.2.1"))];
//! write_event(&mut payload, b"E_PIKE_BLOCKED", Params::Named(&params));
//! producer.topic(socket.topic)?.publish(Record::new(&payload))?;
//! # producer.close(std::time::Duration::from_secs(5))?;
//! # assert_eq!(
//! #     cluster.records("sip-events")[0].value.as_deref(),
//! #     Some(&br#"{"jsonrpc":"2.0","method":"E_PIKE_BLOCKED","params":{"ip":"192.0.2.1"}}"#[..])
//! # );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod payload;
mod socket;

pub use payload::{Params, Value, write_event};
pub use socket::{
    BrokerId, BrokerIds, ConfigFile, KeySource, Outside, ResolvedSocket, Socket, SocketError,
    SocketNotice, SocketProblem, SocketProperty, SocketValue, SocketWarning, System,
};
