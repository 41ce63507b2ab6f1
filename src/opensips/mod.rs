//! What the OpenSIPS module `event_kafka` needs and C need not do: the grammar of its sockets and
//! the payload of its events.

mod payload;
mod socket;

pub use payload::{Params, Value, write_event};
pub use socket::{KeySource, Socket, SocketError, SocketProblem};
