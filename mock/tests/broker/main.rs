//! The mock broker, seen by a client that is nothing but the codec and a socket.

mod batches;
mod wire;

mod api_versions;
mod fetch;
mod groups;
mod hostile;
mod idempotence;
mod metadata;
mod nodes;
mod offsets;
mod produce;
mod topics;
mod versions;

use std::time::Duration;

/// How long a state is waited for that is sure to come.
const PATIENCE: Duration = Duration::from_secs(20);
