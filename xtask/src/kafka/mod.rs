//! A real Apache Kafka: one KRaft node on loopback, from Maven packages.
//!
//! [`Node`] is for tests: it ends with its owner. [`up`] and [`down`] are for hands-on work: the node
//! outlives the command that started it.

mod hands_on;
mod jars;
mod layout;
mod node;
mod ports;
mod process;
mod ready;

pub use hands_on::{UpOptions, down, up};
pub use jars::KAFKA_VERSION;
pub use node::Node;
