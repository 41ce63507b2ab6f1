//! A real Apache Kafka: a cluster of one or three KRaft nodes on loopback, from Maven packages.
//!
//! [`Cluster`] is for tests: it ends with its owner. [`up`], [`down`] and [`command_node`] are for
//! hands-on work: the nodes outlive the command that started them.

mod archive;
mod cache;
mod cluster;
mod hands_on;
mod jars;
mod layout;
mod leaders;
mod options;
mod ports;
mod process;
mod ready;
mod requests;
mod storage;
mod version;

pub use cluster::Cluster;
pub use hands_on::{NodeCommand, UpOptions, command_node, down, up};
pub use leaders::Leaders;
pub use options::Options;
pub use version::{KAFKA_VERSION, Version};
