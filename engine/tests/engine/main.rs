//! The engine on virtual time, against a small cluster that keeps what it is sent and fails by a
//! script.

mod compression;
mod connecting;
mod delivery;
mod ending;
mod errors;
mod expiry;
mod fairness;
mod faults;
mod hostile;
mod idempotence;
mod limits;
mod log;
mod metadata;
mod order;
mod outcomes;
mod quotas;
mod random;
mod recording;
mod refusals;
mod retry;
mod stuck;
mod topics;
