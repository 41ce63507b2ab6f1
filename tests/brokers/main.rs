//! The producer against a broker of any kind; `support` says how to name one.

mod broker_support;
mod compression;
mod delivery;
mod idempotence;
mod load;
mod outages;
mod producer;
mod recording;
#[path = "../support/mod.rs"]
mod support;
mod topics;
