//! Sockets on the command line.

use event_kafka::config::Config;
use event_kafka::opensips::{Socket, SocketError, System};

/// Sets what a socket and the files and variables that it names say, and logs what its author
/// should know.
pub(crate) fn configure(socket: &Socket<'_>, config: &mut Config) -> Result<(), SocketError> {
    for warning in socket.resolve(&System)?.configure(config)? {
        tracing::warn!("{warning}");
    }
    Ok(())
}
