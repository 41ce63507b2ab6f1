//! How a command ends.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{error, io};

use event_kafka::PublishError;
use event_kafka::StartError;
use event_kafka::TopicNameError;
use event_kafka::config::{ConfigError, FileError, readable_name, suggest};
use event_kafka::opensips::SocketError;

/// The exit codes that scripts may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Well,
    SomeFailed,
    Misused,
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Well => 0,
            Exit::SomeFailed => 1,
            Exit::Misused => 2,
            Exit::Interrupted => 130,
        })
    }
}

/// What keeps a command from being carried out. The text is one line with the remedy.
#[derive(Debug)]
pub(crate) enum Error {
    Socket(SocketError),
    Config(ConfigError),
    ConfigFile {
        path: PathBuf,
        error: Box<FileError>,
    },
    Read {
        path: PathBuf,
        error: io::Error,
    },
    Write {
        path: PathBuf,
        error: io::Error,
    },
    /// `--param` with and without names.
    MixedParams,
    Start(StartError),
    Topic(TopicNameError),
    Publish(PublishError),
    /// The broker of `demo` could not be started.
    Broker(io::Error),
    /// The broker of `broker` could not be started.
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    /// There is no property of that name.
    NoProperty(String),
    Output(io::Error),
    Signals(io::Error),
    /// A flag that this version cannot obey.
    Unsupported {
        flag: &'static str,
        value: String,
        remedy: &'static str,
    },
    /// A file of events with less than one event in it.
    ShortPayload {
        path: PathBuf,
        size: usize,
    },
}

impl Error {
    pub(crate) fn read(path: &Path, error: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            error,
        }
    }

    pub(crate) fn write(path: &Path, error: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "{error}"),
            Self::Config(error) => write!(f, "{error}"),
            Self::ConfigFile { path, error } => write!(f, "{}:{error}", path.display()),
            Self::Read { path, error } => {
                write!(
                    f,
                    "cannot read {}: {error}; give a readable file",
                    path.display()
                )
            }
            Self::Write { path, error } => {
                write!(
                    f,
                    "cannot write {}: {error}; give a file that can be written",
                    path.display()
                )
            }
            Self::MixedParams => write!(
                f,
                "some --param have names and some have none; give all as NAME=VALUE or none"
            ),
            Self::Start(error) => write!(f, "{error}"),
            Self::Topic(error) => write!(f, "{error}"),
            Self::Publish(error) => write!(f, "{error}"),
            Self::Broker(error) => write!(f, "cannot listen on loopback: {error}"),
            Self::Listen { address, error } => {
                write!(f, "cannot listen at {address}: {error}; ")?;
                f.write_str(match error.kind() {
                    ErrorKind::AddrInUse => {
                        "end the broker that runs there, or give another --listen"
                    }
                    _ => "give an address of this machine and a port to --listen",
                })
            }
            Self::NoProperty(name) => {
                // It may be a socket with a secret in it.
                write!(f, "there is no property {}; ", readable_name(name))?;
                match suggest(name) {
                    Some(known) => write!(f, "did you mean {known}?"),
                    None => write!(f, "event-kafka properties lists them all"),
                }
            }
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Signals(error) => write!(f, "cannot watch for interrupts: {error}"),
            Self::Unsupported {
                flag,
                value,
                remedy,
            } => {
                write!(f, "{flag} {value} is not supported; {remedy}")
            }
            Self::ShortPayload { path, size } => write!(
                f,
                "{} holds less than one event of {size} bytes; give a longer file or --size",
                path.display()
            ),
        }
    }
}

impl error::Error for Error {}

impl From<SocketError> for Error {
    fn from(error: SocketError) -> Self {
        Self::Socket(error)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<TopicNameError> for Error {
    fn from(error: TopicNameError) -> Self {
        Self::Topic(error)
    }
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        Self::Publish(error)
    }
}
