//! A Kafka producer for servers: librdkafka's properties, an own wire protocol, no C.
//!
//! ```
//! use std::time::Duration;
//! use event_kafka::{Producer, Record};
//!
//! let brokers = "127.0.0.1:9092";
//! # let cluster = kafka_mock::Cluster::start()?;
//! # let brokers = &cluster.bootstrap();
//! let producer = Producer::builder()
//!     .set("bootstrap.servers", brokers)?
//!     .set("linger.ms", "20")?
//!     .start()?;
//! let topic = producer.topic("sip-events")?;
//!
//! // Returns at once; a full queue is an error that says so.
//! topic.publish(Record::new("INVITE").key("call-1@sip").opaque(42))?;
//!
//! // One report for every message that was accepted.
//! for report in producer.reports().wait(Duration::from_secs(5)) {
//!     # assert_eq!((report.opaque, report.outcome.as_ref().unwrap().offset), (42, Some(0)));
//!     match report.outcome {
//!         Ok(delivered) => println!("{} is at {:?}", report.opaque, delivered.offset),
//!         Err(failure) => eprintln!("{} failed: {failure}", report.opaque),
//!     }
//! }
//! producer.close(Duration::from_secs(5))?;
//! # assert_eq!(cluster.records("sip-events")[0].value.as_deref(), Some(&b"INVITE"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Topic::publish`] encodes the message into the open batch of its partition and returns: no
//! system call, no waiting. What became of it is told by a [`Report`], one for every message that
//! was accepted; a program that would rather await each message uses [`Topic::send`].

pub mod config;
mod driver;
pub mod opensips;
mod producer;
mod reports;
mod topic;
mod topic_name;

pub use kafka_engine::accumulator::Balance;
/// A message for [`Topic::publish`] and [`Topic::send`]. All but the payload is optional.
///
/// ```
/// use event_kafka::{Header, Record};
///
/// let trace = Header { name: "trace", value: Some(b"4bf92f35") };
/// let cdr = Record::new(r#"{"duration":61}"#)
///     .key("call-1@sip")
///     .headers(std::slice::from_ref(&trace))
///     .partition(2)
///     .timestamp(1_700_000_000_000);
/// let forget_it = Record::tombstone().key("call-1@sip").partition(2);
/// # let cluster = kafka_mock::Cluster::start()?;
/// # let brokers = &cluster.bootstrap();
/// # let producer = event_kafka::Producer::builder().set("bootstrap.servers", brokers)?.start()?;
/// # let topic = producer.topic("cdr")?;
/// topic.publish(cdr)?;
/// topic.publish(forget_it)?;
/// # producer.close(std::time::Duration::from_secs(5))?;
/// # let [cdr, forget_it] = &cluster.records("cdr")[..] else { panic!("two records") };
/// # assert_eq!((cdr.partition, cdr.offset, cdr.timestamp), (2, 0, 1_700_000_000_000));
/// # assert_eq!(cdr.key.as_deref(), Some(&b"call-1@sip"[..]));
/// # assert_eq!(cdr.value.as_deref(), Some(&br#"{"duration":61}"#[..]));
/// # assert_eq!(cdr.headers, [("trace".to_owned(), Some("4bf92f35".into()))]);
/// # assert_eq!((forget_it.offset, &forget_it.value), (1, &None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(inline)]
pub use kafka_engine::accumulator::Record;
pub use kafka_engine::error::{DeliveryError, Failure, FatalError, Persisted, Place, PublishError};
pub use kafka_engine::report::{Delivered, Outcome, Report, ReportedRecord};
pub use kafka_engine::settings::{self, ReportMode};
pub use kafka_engine::{Contact, Purge, Undelivered};
pub use kafka_wire::record::Header;

pub use producer::{CloseError, FlushError, Producer, ProducerBuilder, StartError};
pub use reports::{ReportBatch, Reports};
pub use topic::{Room, SendError, Topic};
pub use topic_name::{TopicNameError, check_topic_name};

/// The README's example compiles; it is the one above, which also runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
