//! An in-process Kafka cluster on loopback: for trying a producer out, and for testing how it lives
//! with brokers that fail, stall and lie.
//!
//! It speaks the protocol with the `kafka-protocol` crate, not with the codec of the producer under
//! test: a mistake in one of them cannot hide in both.
//!
//! ```
//! use std::time::Duration;
//! use kafka_mock::{ApiKey, Cluster, Fault, Profile, ResponseError, Rule};
//!
//! let cluster = Cluster::builder()
//!     .nodes(3)
//!     .profile(Profile::KAFKA_3_7)
//!     .start()?;
//! cluster.create_topic("sip-events", 4);
//! let moved = Fault::Error(ResponseError::NotLeaderOrFollower);
//! cluster.inject(Rule::new(moved).api(ApiKey::Produce).times(2));
//! println!("produce to {}", cluster.bootstrap());
//!
//! let arrived = cluster.wait(Duration::from_millis(1), |cluster| {
//!     let records = cluster.records("sip-events");
//!     (records.len() >= 100).then_some(records)
//! });
//! assert!(arrived.is_none()); // nobody has produced
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it does as Kafka does
//!
//! Topics, leaders and their epochs; the checks of batches, sequence numbers and producer epochs;
//! topic ids; retention by size; consuming from assigned partitions. [`Profile`] says which versions of
//! which APIs each kind of broker offers. A request in another version, or for another API, closes the
//! connection.
//!
//! # What it does otherwise
//!
//! - There are no transactions, no logging in and no encryption. FindCoordinator says of transactions
//!   that there are none.
//! - There are no consumer groups. JoinGroup and ConsumerGroupHeartbeat (KIP-848) are answered at once
//!   with GROUP_AUTHORIZATION_FAILED, which clients tell their users instead of trying again in silence;
//!   what to do about it is said once in the log, as JoinGroup has no room for words.
//! - No offsets are kept for consumers. They find a coordinator, whichever node they ask, and
//!   OffsetFetch says that nothing is committed, so that partitions which are assigned without an
//!   offset are read from where `auto.offset.reset` says. OffsetCommit is refused with
//!   GROUP_AUTHORIZATION_FAILED, too, for success would be a lie. To librdkafka that is final: it does
//!   not try again and does not look for another coordinator. It tells whoever asked for the commit, or
//!   an `offset_commit_cb`; only where there is neither, automatic commits (`enable.auto.commit`) leave
//!   a line in its log each.
//! - Nothing is replicated, and nothing is lost with a node: a partition that has another replica is
//!   led by that one, with all that was stored.
//! - Compressed records are taken as they come: it has no codecs. The others are read one by one, and
//!   more strictly than by Kafka.
//! - Bytes after the end of a request close the connection; Kafka ignores them.
//! - Errors of Produce always come with a message.
//! - A topic that is created because it was asked for is there in the same answer.
//! - The leader is named along with NOT_LEADER_OR_FOLLOWER (KIP-951) only where [`Fault::LeaderHints`]
//!   wants it.
//! - Fetch has no sessions.

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
