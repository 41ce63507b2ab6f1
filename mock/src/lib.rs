//! An in-process Kafka cluster on loopback: for trying a producer out, and for testing how it lives
//! with brokers that fail, stall and lie.
//!
//! It speaks the protocol with the `kafka-protocol` crate, not with the codec of the producer under
//! test: a mistake in one of them cannot hide in both.

mod api;
mod cluster;
mod fault;
mod profile;
mod server;
mod state;

pub use cluster::{Builder, Cluster};
pub use fault::{Fault, FaultId, Rule};
pub use kafka_protocol::ResponseError;
pub use kafka_protocol::messages::ApiKey;
pub use profile::{Profile, UnknownProfile};
pub use state::{PartitionSummary, Record, RequestSeen, TopicSummary};
