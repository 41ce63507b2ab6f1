//! The producer as state machines.
