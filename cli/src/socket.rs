//! Sockets on the command line.

use event_kafka::config::Config;
use event_kafka::opensips::{ResolvedSocket, Socket, SocketError, System};

/// Sets what a socket and the files and variables that it names say, and logs what its author
/// should know.
pub(crate) fn configure<'s>(
    socket: &'s Socket<'s>,
    config: &mut Config,
) -> Result<ResolvedSocket<'s>, SocketError> {
    let resolved = socket.resolve(&System)?;
    for warning in resolved.configure(config)? {
        tracing::warn!("{warning}");
    }
    Ok(resolved)
}

/// Logs what the author of a socket that is used for no events should know.
pub(crate) fn expect_no_events(socket: &Socket<'_>) {
    for warning in socket.without_events() {
        tracing::warn!("{warning}");
    }
}
