//! The C interface of event-kafka: `libevent_kafka`, whose header `event_kafka.h` is made from
//! this crate (`tests/header.rs`) and is its documentation.
//!
//! The only crate with `unsafe` code. All of it is where C's pointers come in or go out, in the page
//! that knows a fork, and below [`shared`], the memory that forked processes have in common. Every
//! entry runs in [`error::call`], which lets no panic out and refuses to work in a forked child, or,
//! as all of [`area`] and [`event`] do, in [`error::call_in_any_process`]. Handles are numbers that are looked up
//! ([`handle`]), so a stale one is an error and never an address.

mod area;
mod bell;
pub mod codes;
mod counters;
mod error;
mod event;
mod fork;
mod handle;
mod log;
mod pointer;
mod producer;
mod publish;
mod reports;
#[allow(
    dead_code,
    reason = "OpenSIPS hands batches of reports out by number, which C cannot do yet"
)]
mod shared;
mod text;
mod version;
mod worker;
