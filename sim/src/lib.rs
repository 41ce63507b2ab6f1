//! A world for the engine: a clock that tests move, a cluster that keeps what it is sent or fails as
//! told, and the way between them.

mod census;
mod clock;
mod cluster;
mod log;
mod producers;
pub mod replay;
pub mod simulation;
mod story;
mod world;

pub use census::Census;
pub use clock::START_MS;
pub use cluster::{
    Broker, Cluster, Election, Fault, Logged, PartitionLog, Produced, Reach, TopicLog, endpoint,
};
pub use log::Log;
pub use producers::Producers;
pub use world::{Message, Outcome, Presses, World, millis, secs};
