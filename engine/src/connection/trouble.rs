//! What can be wrong with a connection.

use std::fmt;
use std::sync::Arc;

use kafka_wire::message::{ApiKey, VersionRange};
use kafka_wire::{DecodeError, EncodeError, ErrorCode};

use super::oldest_usable;
use crate::settings::Endpoint;

/// Why a connection could not be used, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionError {
    /// The address as configured or advertised.
    pub broker: Endpoint,
    /// What happened.
    pub trouble: Trouble,
}

/// See [`ConnectionError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection came about.
    Unreachable {
        /// The system's words.
        reason: Arc<str>,
    },
    /// It ended before the first answer.
    LostInHandshake {
        /// The system's words.
        reason: Arc<str>,
    },
    /// It ended.
    Lost {
        /// The system's words.
        reason: Arc<str>,
        /// The oldest request without an answer, if there is any.
        unanswered: Option<Question>,
    },
    /// `socket.connection.setup.timeout.ms` is over, still connecting.
    SlowToOpen,
    /// Connected, but the time for the handshake is over, still without an answer.
    SlowHandshake {
        /// The property that sets it.
        limit: &'static str,
    },
    /// `socket.timeout.ms` is over for a request.
    NoAnswer {
        /// Which.
        question: Question,
    },
    /// `socket.timeout.ms` is over for a request that needs no answer, and it is not written yet.
    NotWritten {
        /// Which.
        question: Question,
    },
    /// `connections.max.idle.ms` is over without a request.
    Idle,
    /// The cluster does not list this broker any more, or has moved it.
    Dismissed,
    /// What arrived is no answer at all.
    Garbled {
        /// What it is, and where in the stream.
        what: Arc<str>,
        /// What should have been answered, if anything.
        unanswered: Option<Question>,
    },
    /// An answer that nothing asked for.
    Unasked {
        /// How many bytes it has.
        len: usize,
    },
    /// An answer to another request than the oldest.
    Correlation {
        /// The oldest request.
        question: Question,
        /// Its correlation id.
        expected: i32,
        /// The answer's.
        found: i32,
    },
    /// An answer that cannot be read.
    Malformed {
        /// To what.
        question: Question,
        /// Where, and what is wrong.
        source: DecodeError,
    },
    /// An answer that can be read, and cannot be true.
    Nonsense {
        /// To what.
        question: Question,
        /// What it says.
        source: Nonsense,
    },
    /// A request that cannot be written in the version that the broker understands.
    Unwritable {
        /// Which.
        question: Question,
        /// The field.
        source: EncodeError,
    },
    /// The broker refused the handshake.
    Refused {
        /// With this.
        code: ErrorCode,
    },
    /// No version of an API in common.
    TooOld {
        /// Which API.
        api: ApiKey,
        /// What the broker offers.
        theirs: Option<VersionRange>,
    },
}

/// A request that a broker has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its API.
    pub api: ApiKey,
    /// Its version, which is also that of the answer.
    pub version: i16,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {}", self.api.name(), self.version)
    }
}

/// What an answer says that cannot be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonsense {
    /// The field, or the structure that is missing or too much.
    pub field: &'static str,
    /// What it says, and about what.
    pub what: String,
}

impl fmt::Display for Nonsense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.what)
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.broker, self.trouble)
    }
}

impl std::error::Error for ConnectionError {}

impl Trouble {
    /// Whether nothing is wrong: this side ended a connection that it did not need.
    pub(crate) fn is_orderly(&self) -> bool {
        matches!(self, Self::Idle | Self::Dismissed)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { reason } => write!(f, "cannot connect: {reason}"),
            Self::LostInHandshake { reason } => write!(
                f,
                "{reason} before the first answer; is this a plaintext listener of Kafka 0.11 or \
                 newer?"
            ),
            Self::Lost { reason, unanswered } => {
                f.write_str(reason)?;
                match unanswered {
                    Some(question) => write!(f, "; {question} was not answered"),
                    None => Ok(()),
                }
            }
            Self::SlowToOpen => {
                f.write_str("no connection within socket.connection.setup.timeout.ms")
            }
            Self::SlowHandshake { limit } => write!(
                f,
                "connected, but no answer within {limit}; is this a plaintext listener?"
            ),
            Self::NoAnswer { question } => {
                write!(f, "no answer to {question} within socket.timeout.ms")
            }
            Self::NotWritten { question } => write!(
                f,
                "{question} could not be written within socket.timeout.ms: the broker does not read"
            ),
            Self::Idle => f.write_str("closed after connections.max.idle.ms"),
            Self::Dismissed => f.write_str("closed: no longer part of the cluster"),
            Self::Garbled { what, unanswered } => {
                f.write_str(what)?;
                match unanswered {
                    Some(question) => write!(f, "; an answer to {question} was due"),
                    None => f.write_str("; no answer was due"),
                }
            }
            Self::Unasked { len } => {
                write!(f, "an answer of {len} bytes that nothing asked for")
            }
            Self::Correlation {
                question,
                expected,
                found,
            } => write!(
                f,
                "cannot read the answer to {question}: ResponseHeader.correlation_id at byte 0: \
                 is {found}, but the oldest request is {expected}"
            ),
            Self::Malformed { question, source } => {
                write!(f, "cannot read the answer to {question}: {source}")
            }
            Self::Nonsense { question, source } => {
                write!(f, "cannot believe the answer to {question}: {source}")
            }
            Self::Unwritable { question, source } => {
                write!(f, "cannot write {question}: {source}")
            }
            Self::Refused { code } => {
                write!(
                    f,
                    "refused the handshake: {} ({})",
                    code.name(),
                    code.text()
                )
            }
            Self::TooOld { api, theirs } => {
                let VersionRange { min, max } = oldest_usable(*api);
                write!(f, "speaks {} ", api.name())?;
                match theirs {
                    Some(theirs) => write!(f, "{} to {}", theirs.min, theirs.max)?,
                    None => f.write_str("not at all")?,
                }
                write!(
                    f,
                    ", this producer {min} to {max}; Kafka 0.11 or newer is needed"
                )
            }
        }
    }
}
