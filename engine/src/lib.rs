//! The producer as state machines: no socket, no thread, no clock.
//!
//! Publishing threads call [`Topic::publish`](accumulator::Topic::publish), which encodes a message
//! into the open batch of its partition. One thread owns the [`Engine`] and feeds it with what
//! happened, and when: answers, lost connections, the passing of time. The engine says what to
//! write and where to connect, and settles batches into [reports](report).

pub mod accumulator;
mod backoff;
mod cluster;
mod complaints;
pub mod compression;
mod connection;
mod contact;
mod engine;
pub mod error;
mod inquiry;
pub mod log;
pub mod recording;
pub mod report;
mod sender;
pub mod settings;
pub mod signal;
pub mod time;
mod timers;

pub use connection::{ConnId, ConnectionError, Nonsense, Question, Transmit, Trouble};
pub use contact::Contact;
pub use engine::{Engine, Event, Purge, Undelivered};
