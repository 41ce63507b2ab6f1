//! The producer as state machines: no socket, no thread, no clock.

pub mod settings;
