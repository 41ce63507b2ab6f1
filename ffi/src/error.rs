//! Codes, and how every call begins and ends.

use std::ffi::c_char;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use event_kafka::{CloseError, FlushError, PublishError};
use nix::errno::Errno;

use crate::codes::*;
use crate::shared::area::AreaError;
use crate::shared::host::Refusal;
use crate::shared::lane::LaneError;
use crate::shared::sockets::SocketError;
use crate::shared::worker::AttachError;
use crate::{fork, text};

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Error {
    Argument {
        what: &'static str,
        why: &'static str,
    },
    /// Properties, sockets and topics, in the words of the library.
    Config(String),
    BadHandle(&'static str),
    Forked,
    System {
        what: &'static str,
        error: io::Error,
    },
    Publish(PublishError),
    Flush(FlushError),
    Close(CloseError),
    Area(AreaError),
    /// A lane took nothing.
    Refused(Refusal),
    /// The table of sockets took nothing.
    Table(SocketError),
    Attach(AttachError),
    /// Reports go to those who asked.
    NotForAnybody,
    Panicked,
}

impl Error {
    pub(crate) fn argument(what: &'static str, why: &'static str) -> Self {
        Self::Argument { what, why }
    }

    pub(crate) fn config(error: impl fmt::Display) -> Self {
        Self::Config(error.to_string())
    }

    pub(crate) fn system(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System {
            what,
            error: errno.into(),
        }
    }

    fn code(&self) -> i32 {
        match self {
            Self::Argument { .. } | Self::Config(_) => EVENT_KAFKA_ERR_INVALID_ARG,
            Self::BadHandle(_) => EVENT_KAFKA_ERR_BAD_HANDLE,
            Self::Forked => EVENT_KAFKA_ERR_FORKED,
            Self::System { .. } => EVENT_KAFKA_ERR_SYSTEM,
            Self::Publish(error) => error.code(),
            Self::Flush(_) | Self::Close(_) => EVENT_KAFKA_ERR_TIMED_OUT,
            Self::Area(AreaError::System { .. })
            | Self::Attach(AttachError::System { .. })
            | Self::Refused(Refusal::NoLane { .. }) => EVENT_KAFKA_ERR_SYSTEM,
            Self::Area(_) | Self::Table(SocketError::TooLong { .. }) => EVENT_KAFKA_ERR_INVALID_ARG,
            Self::Table(SocketError::NoSlot { .. }) => EVENT_KAFKA_ERR_SYSTEM,
            Self::Attach(AttachError::Attached { .. }) | Self::NotForAnybody => {
                EVENT_KAFKA_ERR_STATE
            }
            Self::Refused(Refusal::Lane(LaneError::TooLarge { .. })) => {
                EVENT_KAFKA_ERR_MSG_SIZE_TOO_LARGE
            }
            Self::Refused(Refusal::Lane(LaneError::Full) | Refusal::SocketFull) => {
                EVENT_KAFKA_ERR_QUEUE_FULL
            }
            Self::Refused(Refusal::Lane(LaneError::Broken)) => EVENT_KAFKA_ERR_INTERNAL,
            Self::Refused(Refusal::NoSocket) => EVENT_KAFKA_ERR_CLOSED,
            Self::Panicked => EVENT_KAFKA_ERR_INTERNAL,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument { what, why } => write!(f, "{what} {why}"),
            Self::Config(text) => f.write_str(text),
            Self::BadHandle(what) => write!(f, "no such {what}: it was freed, or never made"),
            Self::Forked => f.write_str(
                "this process was forked from one that used event_kafka before; \
                 fork first, or execute another program",
            ),
            Self::System { what, error } => write!(f, "cannot {what}: {error}"),
            Self::Publish(error) => error.fmt(f),
            Self::Flush(error) => error.fmt(f),
            Self::Close(error) => error.fmt(f),
            Self::Area(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Table(error) => error.fmt(f),
            Self::Attach(error) => error.fmt(f),
            Self::NotForAnybody => {
                f.write_str("the worker was attached without EVENT_KAFKA_WORKER_REPORTS_TO_ANYBODY")
            }
            Self::Panicked => {
                f.write_str("a defect of event_kafka; standard error says where: please report it")
            }
        }
    }
}

/// Runs the body of an entry. If it fails, its text goes to `text`, cut to `text_size` bytes with
/// the NUL; either may be none. Nothing is allocated for that, as memory may be what is lacking.
///
/// # Safety
/// `text` is NULL or has room for `text_size` bytes.
#[inline]
pub(crate) unsafe fn call(
    text: *mut c_char,
    text_size: usize,
    body: impl FnOnce() -> Result<(), Error>,
) -> i32 {
    let body = || fork::check().and_then(|()| body());
    // SAFETY: the caller's promise is ours.
    unsafe { call_in_any_process(text, text_size, body) }
}

/// As [`call`], but for what forked children may call, too: it takes no lock that a thread of the
/// parent may have held.
///
/// # Safety
/// As [`call`].
#[inline]
pub(crate) unsafe fn call_in_any_process(
    text: *mut c_char,
    text_size: usize,
    body: impl FnOnce() -> Result<(), Error>,
) -> i32 {
    // Whatever a panic leaves half done is behind locks and atomics that know no poison.
    let result = catch_unwind(AssertUnwindSafe(body));
    match result.unwrap_or(Err(Error::Panicked)) {
        Ok(()) => EVENT_KAFKA_OK,
        Err(error) => {
            // SAFETY: the caller's promise is ours.
            unsafe { text::write(text, text_size, &error) };
            error.code()
        }
    }
}

/// As [`call`] where there is nothing to say but the code.
pub(crate) fn call_without_text(body: impl FnOnce() -> Result<(), Error>) -> i32 {
    // SAFETY: NULL is no buffer.
    unsafe { call(std::ptr::null_mut(), 0, body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_code() {
        let code = call_without_text(|| panic!("on purpose"));
        assert_eq!(code, EVENT_KAFKA_ERR_INTERNAL);
    }
}
