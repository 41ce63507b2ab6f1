//! Why a socket cannot be subscribed or published to.

use std::fmt;

use crate::opensips::SocketError;
use crate::{PublishError, StartError};

/// Why a socket cannot be subscribed.
#[derive(Debug)]
pub enum SubscribeError {
    /// It cannot be understood or obeyed.
    Socket(SocketError),
    /// Its properties contradict each other, or the system gave no thread or no event queue.
    Start(StartError),
    /// The registry was closed.
    Closed,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => error.fmt(f),
            Self::Start(error) => error.fmt(f),
            Self::Closed => f.write_str("the sockets were closed"),
        }
    }
}

impl std::error::Error for SubscribeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Socket(error) => Some(error),
            Self::Start(error) => Some(error),
            Self::Closed => None,
        }
    }
}

impl From<SocketError> for SubscribeError {
    fn from(error: SocketError) -> Self {
        Self::Socket(error)
    }
}

impl From<StartError> for SubscribeError {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

/// Why a message was not accepted by a socket. Nothing of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketPublishError {
    /// The socket was unsubscribed, or there never was one of this name.
    NoSocket,
    /// The message was refused. Where the queue is full, it is that of the socket.
    Refused(PublishError),
}

impl SocketPublishError {
    /// librdkafka's code.
    pub fn code(&self) -> i32 {
        match self {
            Self::NoSocket => PublishError::Closed.code(),
            Self::Refused(error) => error.code(),
        }
    }

    /// librdkafka's name of the code.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoSocket => PublishError::Closed.name(),
            Self::Refused(error) => error.name(),
        }
    }

    /// Whether the same message may be accepted once others have been delivered.
    pub fn is_queue_full(&self) -> bool {
        match self {
            Self::NoSocket => false,
            Self::Refused(error) => error.is_queue_full(),
        }
    }
}

impl fmt::Display for SocketPublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSocket => f.write_str("the socket was unsubscribed; subscribe it again"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SocketPublishError {}
