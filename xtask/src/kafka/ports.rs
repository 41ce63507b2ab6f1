//! Free loopback ports that stay free.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Error, Result};

/// Below the range from which systems take the ports of outgoing connections (32768 and up on Linux):
/// a port of that range could be taken by any client while a node is stopped and about to start again,
/// or a client could even connect to itself.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// Whether nobody listens on this loopback port.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// So many of what [`free`] gives.
pub(super) fn several(count: usize) -> Result<Vec<u16>> {
    (0..count).map(|_| free()).collect()
}

/// A loopback port on which nobody listens and which this process has not handed out before.
pub(super) fn free() -> Result<u16> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Processes that look for ports at the same moment start far apart.
    let start = process::id().wrapping_mul(7_919);
    for _ in 0..COUNT {
        let step = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        let port = u16::try_from(port).expect("FIRST + COUNT fits a port");
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(Error::Failed(format!(
        "no loopback port from {FIRST} to {} is free",
        FIRST + COUNT
    )))
}
