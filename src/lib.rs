//! A Kafka producer for servers: librdkafka's properties, an own wire protocol, no C.
//!
//! ```no_run
//! use std::time::Duration;
//! use event_kafka::{Producer, Record};
//!
//! let producer = Producer::builder()
//!     .set("bootstrap.servers", "127.0.0.1:9092")?
//!     .set("linger.ms", "20")?
//!     .start()?;
//! let topic = producer.topic("sip-events")?;
//! topic.publish(Record::new("INVITE").key("call-1@sip").opaque(42))?;
//! for report in producer.reports().wait(Duration::from_secs(5)) {
//!     match report.outcome {
//!         Ok(delivered) => println!("{} is at {:?}", report.opaque, delivered.offset),
//!         Err(failure) => eprintln!("{} failed: {failure}", report.opaque),
//!     }
//! }
//! producer.close(Duration::from_secs(5))?;
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

pub use kafka_engine::accumulator::{Balance, Record};
pub use kafka_engine::error::{DeliveryError, Failure, Persisted, Place, PublishError};
pub use kafka_engine::report::{Delivered, Outcome, Report, ReportedRecord};
pub use kafka_engine::settings::{self, ReportMode};
pub use kafka_engine::{Purge, Undelivered};
pub use kafka_wire::record::Header;

pub use producer::{CloseError, FlushError, Producer, ProducerBuilder, StartError};
pub use reports::{ReportBatch, Reports};
pub use topic::{SendError, Topic};
pub use topic_name::{TopicNameError, check_topic_name};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
