//! What the processes of a forking host share, in one mapping that is made before they fork: each
//! writes messages into a lane of its own, and one of them, the worker, reads them all.
//!
//! A process can be stopped or killed at any place without harm to the others, and nothing that it
//! writes into its lane makes the worker do more than count it as broken. Its own process knows a
//! child by a page that the kernel wipes ([`local`]), so a child never writes to the lane of its
//! parent.
//!
//! This module needs nothing else of this crate: benches and fuzz targets include it as it is.

pub(crate) mod area;
mod doorbell;
pub(crate) mod host;
#[cfg(any(test, feature = "hostile"))]
mod hostile;
pub(crate) mod inbox;
pub(crate) mod lane;
mod local;
mod mapping;
mod memory;
#[cfg(test)]
mod models;
pub(crate) mod outbox;
pub(crate) mod process;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod shown;
pub(crate) mod slots;
pub(crate) mod sockets;
#[cfg(test)]
mod tests;
pub(crate) mod totals;
mod wire;
pub(crate) mod worker;
