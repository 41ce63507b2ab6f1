//! What the library logs, kept until the host fetches it: no line is ever written from a thread
//! that is not the host's.

use std::collections::VecDeque;
use std::ffi::{c_char, c_int};
use std::io;
use std::sync::OnceLock;

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::bell::Bell;
use crate::error::{Error, call_without_text};
use crate::pointer::{Out, OutArray};
use crate::text;

/// A line of the log.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LogLine {
    /// EVENT_KAFKA_LOG_...
    pub level: i32,
    /// The line, without an end of line.
    pub text: [c_char; 1020],
}

/// Something is lost or out of use; LOG_ERR of syslog.
pub const EVENT_KAFKA_LOG_ERROR: i32 = 3;
/// Something needs to be looked at; LOG_WARNING of syslog.
pub const EVENT_KAFKA_LOG_WARNING: i32 = 4;
/// Something changed; LOG_INFO of syslog.
pub const EVENT_KAFKA_LOG_INFO: i32 = 6;
/// Everything; LOG_DEBUG of syslog.
pub const EVENT_KAFKA_LOG_DEBUG: i32 = 7;

/// Takes up to capacity lines of the log, the oldest first, and never waits. The log is that of all
/// producers of the process; "log_level" and "debug" of each decide what it logs. 1024 lines are kept;
/// what comes when there are so many is dropped.
///
/// Any thread, at any time.
///
/// count: how many were taken. dropped: how many were dropped since the call before.
///
/// Errors: EVENT_KAFKA_ERR_SYSTEM, EVENT_KAFKA_ERR_INVALID_ARG.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_poll_log(
    lines: *mut LogLine,
    capacity: usize,
    count: *mut usize,
    dropped: *mut u64,
) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for a number there.
        let count = unsafe { Out::new(count, "count") }?;
        // SAFETY: as before.
        let dropped = unsafe { Out::new(dropped, "dropped") }?;
        // SAFETY: the caller has room for so many lines there.
        let mut room = unsafe { OutArray::new(lines, capacity, "lines") }?;
        let log = log()?;
        let mut kept = log.kept.lock();
        let taken = kept.lines.len().min(capacity);
        for (level, line) in kept.lines.drain(..taken) {
            room.push(LogLine {
                level,
                text: text::array(&line),
            });
        }
        if kept.lines.is_empty() {
            log.bell.silence();
        }
        count.set(taken);
        dropped.set(std::mem::take(&mut kept.dropped));
        Ok(())
    })
}

/// Gives a descriptor for poll() and its like that is readable while lines of the log wait. Neither
/// read from it nor close it; it stays as long as the process.
///
/// Any thread, at any time.
///
/// Errors: EVENT_KAFKA_ERR_SYSTEM, EVENT_KAFKA_ERR_INVALID_ARG.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn event_kafka_log_fd(fd: *mut c_int) -> i32 {
    call_without_text(|| {
        // SAFETY: the caller has room for a number there.
        let out = unsafe { Out::new(fd, "fd") }?;
        out.set(log()?.bell.descriptor());
        Ok(())
    })
}

/// How many lines wait at most.
const MOST: usize = 1024;

struct Log {
    bell: Bell,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<(i32, Box<str>)>,
    dropped: u64,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Begins to collect lines; an error is told to whoever asks for them.
pub(crate) fn collect() {
    let _ = log();
}

fn log() -> Result<&'static Log, Error> {
    if let Some(log) = LOG.get() {
        return Ok(log);
    }
    let bell = Bell::new()?;
    Ok(LOG.get_or_init(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::DEBUG)
            .without_time()
            .with_level(false)
            .with_target(false)
            .with_ansi(false)
            .with_writer(Lines)
            .finish();
        // The library has its own copy of `tracing`: nobody else can have set a subscriber.
        let _ = tracing::subscriber::set_global_default(subscriber);
        Log {
            bell,
            kept: Mutex::default(),
        }
    }))
}

/// Keeps what is written to it, line by line.
struct Lines;

struct Line {
    level: i32,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            level: EVENT_KAFKA_LOG_INFO,
        }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line {
        let level = match *event.level() {
            Level::ERROR => EVENT_KAFKA_LOG_ERROR,
            Level::WARN => EVENT_KAFKA_LOG_WARNING,
            Level::INFO => EVENT_KAFKA_LOG_INFO,
            _ => EVENT_KAFKA_LOG_DEBUG,
        };
        Line { level }
    }
}

impl io::Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // `None` only while the log is being made, which logs nothing.
        if let Some(log) = LOG.get() {
            log.keep(self.level, String::from_utf8_lossy(line).trim_end());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn keep(&self, level: i32, line: &str) {
        let mut kept = self.kept.lock();
        kept.add(level, line);
        self.bell.ring();
    }
}

impl Kept {
    fn add(&mut self, level: i32, line: &str) {
        if self.lines.len() == MOST {
            self.dropped += 1;
        } else {
            self.lines.push_back((level, line.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_do_not_fit_are_dropped_and_counted() {
        let mut kept = Kept::default();
        for n in 0..MOST + 3 {
            kept.add(EVENT_KAFKA_LOG_INFO, &n.to_string());
        }
        assert_eq!((kept.lines.len(), kept.dropped), (MOST, 3));
        assert_eq!(&*kept.lines[0].1, "0");
    }
}
