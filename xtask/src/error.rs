use std::fmt;
use std::io;
use std::process::ExitCode;

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a developer command stopped, in words for its user.
#[derive(Debug)]
pub enum Error {
    /// The command line is wrong; the text says how.
    Usage(String),
    /// This machine lacks something that a person has to install.
    Missing {
        /// What is lacking.
        what: String,
        /// The one command that installs it.
        install: String,
    },
    /// A step failed; the text says which one and, where we know it, the remedy.
    Failed(String),
    /// The operating system refused something.
    Io {
        /// What was being done.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// Wraps an I/O error with what was being done, for `map_err`.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// The same error with the name of the step that it ended.
    pub fn in_step(self, step: &str) -> Self {
        match self {
            Self::Failed(_) | Self::Io { .. } => Self::Failed(format!("step `{step}`: {self}")),
            Self::Usage(_) | Self::Missing { .. } => self,
        }
    }

    /// The exit code of a command that ends with this error: 2 usage, 3 something to install, otherwise 1.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Missing { .. } => ExitCode::from(3),
            Self::Failed(_) | Self::Io { .. } => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) => f.write_str(text),
            Self::Missing { what, install } => {
                write!(
                    f,
                    "this machine lacks {what}; to install, run:\n  {install}"
                )
            }
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
