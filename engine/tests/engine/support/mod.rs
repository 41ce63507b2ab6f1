//! A world for the engine: a clock that tests move, a cluster, and the way between them.

mod clock;
mod cluster;
mod log;
mod world;

pub(crate) use clock::START_MS;
pub(crate) use cluster::{Cluster, Fault, PartitionLog, Reach, endpoint};
pub(crate) use world::{Message, Outcome, World, millis, secs};
