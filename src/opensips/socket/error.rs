//! What can be wrong with a socket, and what its author should know.

use std::fmt;

use super::property::{GLOBAL, TOPIC};
use crate::config::{self, BrokersError, ConfigError, FileError, Scope, readable_name};
use crate::topic_name::TopicNameError;

/// A socket that cannot be understood or obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketError {
    /// Where, in bytes from the start of the socket.
    pub position: usize,
    /// What is wrong.
    pub problem: SocketProblem,
}

/// What is wrong with a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketProblem {
    /// There is no `[` at the start of a `broker_id`.
    NoId,
    /// There is no `]` after the ID of a `broker_id`.
    NoEndOfId,
    /// Another `broker_id` has this ID.
    IdTaken(Box<str>),
    /// There is no `/` after the brokers.
    NoTopic,
    /// A `proto://` stands before the brokers.
    Protocol,
    /// The list of brokers is malformed.
    Brokers(BrokersError),
    /// The name of the topic is none. What follows the first illegal character is left out.
    Topic(TopicNameError),
    /// There is nothing after a `?` or `&`.
    NoProperty,
    /// A property has no `=`.
    NoValue {
        /// Its name, unless it may be a piece of a value.
        name: Option<Box<str>>,
    },
    /// A value in double quotes does not end.
    NoClosingQuote,
    /// Something other than `&` follows the closing quote.
    AfterQuote,
    /// A backslash in double quotes that escapes neither `"` nor `\`.
    Escape,
    /// A `@file:` or `@env:` that names nothing.
    NoName(&'static str),
    /// A property has no prefix.
    NoPrefix {
        /// How it is written, if it is known.
        suggestion: Option<Box<str>>,
    },
    /// `key=` has a value that does not exist.
    Key,
    /// `payload=` is neither json nor raw.
    Payload,
    /// `members=` has a member that does not exist.
    Members,
    /// A header has no name.
    NoHeader,
    /// `strict=` is neither 0 nor 1.
    Strict,
    /// `config=` names no file.
    NoPath,
    /// A file cannot be read.
    Unreadable {
        /// Its path.
        path: Box<str>,
        /// What the system says.
        reason: Box<str>,
    },
    /// An environment variable is not set.
    NoVariable(Box<str>),
    /// A file or a variable is no UTF-8.
    NotUtf8(Box<str>),
    /// A line of a file of properties cannot be obeyed.
    File {
        /// Its path.
        path: Box<str>,
        /// What is wrong, and in which line.
        error: Box<FileError>,
    },
    /// A property of the producer or the topic cannot be set.
    Property(Box<ConfigError>),
}

impl SocketError {
    pub(super) fn new(position: usize, problem: SocketProblem) -> Self {
        Self { position, problem }
    }

    pub(super) fn ignored(self) -> SocketWarning {
        SocketWarning {
            position: self.position,
            notice: SocketNotice::Ignored(self.problem),
        }
    }
}

impl SocketProblem {
    pub(super) fn no_value(name: &str) -> Self {
        if name.is_empty() {
            return Self::NoProperty;
        }
        let is_name = name.starts_with(GLOBAL) || name.starts_with(TOPIC);
        let name = is_name.then(|| readable_name(name).into());
        Self::NoValue { name }
    }

    pub(super) fn no_prefix(name: &str) -> Self {
        let of = |scope| match scope {
            Scope::Global => GLOBAL,
            Scope::Topic => TOPIC,
        };
        let suggestion = config::lookup(Scope::Global, name)
            .map(|property| (of(property.scope), name))
            .or_else(|| {
                config::suggest(name).and_then(|known| {
                    Some((of(config::lookup(Scope::Global, known)?.scope), known))
                })
            })
            .map(|(prefix, name)| format!("{prefix}{name}").into());
        Self::NoPrefix { suggestion }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket, byte {}: {}", self.position, self.problem)
    }
}

impl std::error::Error for SocketError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            SocketProblem::Brokers(error) => Some(error),
            SocketProblem::Topic(error) => Some(error),
            SocketProblem::File { error, .. } => Some(error),
            SocketProblem::Property(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for SocketProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoId => write!(f, "there is no ID; write [ID]brokers/topic"),
            Self::NoEndOfId => write!(
                f,
                "the ']' after the ID is missing; write [ID]brokers/topic"
            ),
            Self::IdTaken(id) => {
                write!(
                    f,
                    "the ID {id:?} is taken by another broker; choose another one"
                )
            }
            Self::NoTopic => write!(
                f,
                "there is no topic; write brokers/topic, as in kafka:127.0.0.1:9092/sip"
            ),
            Self::Protocol => write!(
                f,
                "brokers have no protocol before them; write brokers/topic and choose it by \
                 g.security.protocol"
            ),
            Self::Brokers(error) => error.fmt(f),
            Self::Topic(error) => error.fmt(f),
            Self::NoProperty => write!(
                f,
                "there is no property; write name=value or remove the '?' or '&'"
            ),
            Self::NoValue { name: Some(name) } => {
                write!(f, "property {name} has no '='; write name=value")
            }
            Self::NoValue { name: None } => write!(
                f,
                "there is no '='; write name=value, and a value with '&' in it in double quotes"
            ),
            Self::NoClosingQuote => write!(
                f,
                "the closing quote is missing; write \" at the end, and \\\" for one inside"
            ),
            Self::AfterQuote => write!(
                f,
                "something follows the closing quote; write & and the next property, or \\\" for \
                 a quote inside"
            ),
            Self::Escape => write!(
                f,
                "a backslash in double quotes needs a quote or a backslash behind it; write \\\\ \
                 for one"
            ),
            Self::NoName(reference) => write!(
                f,
                "{reference} names nothing; write @file:PATH or @env:NAME, or the text itself in \
                 double quotes"
            ),
            Self::NoPrefix {
                suggestion: Some(name),
            } => write!(f, "no such property without a prefix; did you mean {name}?"),
            Self::NoPrefix { suggestion: None } => write!(
                f,
                "no such property; write g.NAME=VALUE for the producer, t.NAME=VALUE for the \
                 topic, and a value with '&' in it in double quotes"
            ),
            Self::Key => write!(
                f,
                "no such source of keys; write key=callid, key=none or key=param:NAME"
            ),
            Self::Payload => write!(
                f,
                "no such payload; write payload=json, or payload=raw for the bytes of OpenSIPS' own module"
            ),
            Self::Members => write!(
                f,
                "no such member of an event; write members= and some of id,timestamp,node"
            ),
            Self::NoHeader => write!(f, "the header has no name; write header.NAME=VALUE"),
            Self::Strict => write!(f, "strict is on or off; write strict=1 or strict=0"),
            Self::NoPath => write!(f, "config names no file; write config=PATH"),
            Self::Unreadable { path, reason } => {
                write!(f, "cannot read {path}: {reason}; give a readable file")
            }
            Self::NoVariable(name) => {
                write!(
                    f,
                    "environment variable {name} is not set; set it for this process"
                )
            }
            Self::NotUtf8(reference) => {
                write!(f, "{reference} is no UTF-8; store it in that encoding")
            }
            Self::File { path, error } => write!(f, "{path}:{error}"),
            Self::Property(error) => error.fmt(f),
        }
    }
}

/// Something that a socket's author should know, and that keeps nobody from using it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketWarning {
    /// Where, in bytes from the start of the socket.
    pub position: usize,
    /// What it is.
    pub notice: SocketNotice,
}

/// What a socket's author should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketNotice {
    /// Blanks before or behind the topic are not part of its name.
    BlanksAroundTopic,
    /// Nobody looks at this property here: it is for events.
    ForEventsOnly(&'static str),
    /// A property is set in another place, too, which counts instead.
    Repeated {
        /// Its name, as it stands here.
        name: Box<str>,
        /// Where the one begins that counts.
        counts: usize,
    },
    /// `strict=0` makes nothing of what would be an error.
    Ignored(SocketProblem),
}

impl fmt::Display for SocketWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket, byte {}: {}", self.position, self.notice)
    }
}

impl fmt::Display for SocketNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlanksAroundTopic => {
                write!(f, "blanks around the topic are left out; remove them")
            }
            Self::ForEventsOnly("key") => write!(
                f,
                "key= has no effect here; give the key together with the message"
            ),
            Self::ForEventsOnly(name) => write!(
                f,
                "{name}= has no effect here, as messages are published as they are; remove it"
            ),
            Self::Repeated { name, counts } => write!(
                f,
                "{name} has no effect, the one at byte {counts} counts; remove one of the two"
            ),
            Self::Ignored(problem) => write!(f, "ignored, as strict=0 says: {problem}"),
        }
    }
}
