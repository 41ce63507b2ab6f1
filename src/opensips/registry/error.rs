//! Why a socket cannot be subscribed or published to.

use std::fmt;

use super::OTHER_TOPICS;
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
    /// No broker accepts a topic of this name.
    TopicName,
    /// The socket has as many topics besides its own as it can have
    /// ([`OTHER_TOPICS`](super::OTHER_TOPICS)), and this is another one.
    TooManyTopics,
}

/// librdkafka's code of a bad argument, and its name.
const INVALID_ARG: (i32, &str) = (-186, "_INVALID_ARG");

impl SocketPublishError {
    /// librdkafka's code.
    pub fn code(&self) -> i32 {
        match self {
            Self::NoSocket => PublishError::Closed.code(),
            Self::Refused(error) => error.code(),
            Self::TopicName | Self::TooManyTopics => INVALID_ARG.0,
        }
    }

    /// librdkafka's name of the code.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoSocket => PublishError::Closed.name(),
            Self::Refused(error) => error.name(),
            Self::TopicName | Self::TooManyTopics => INVALID_ARG.1,
        }
    }

    /// Whether the same message may be accepted once others have been delivered.
    pub fn is_queue_full(&self) -> bool {
        match self {
            Self::Refused(error) => error.is_queue_full(),
            Self::NoSocket | Self::TopicName | Self::TooManyTopics => false,
        }
    }
}

impl fmt::Display for SocketPublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSocket => f.write_str("the socket was unsubscribed; subscribe it again"),
            Self::Refused(error) => error.fmt(f),
            Self::TopicName => f.write_str(
                "no broker accepts a topic of that name; use letters, digits, '.', '_' and '-'",
            ),
            Self::TooManyTopics => write!(
                f,
                "the socket has {OTHER_TOPICS} topics besides its own already; \
                 have no names of topics made of what somebody sends, or add a socket"
            ),
        }
    }
}

impl std::error::Error for SocketPublishError {}
