//! What is told of the messages' fate.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use event_kafka::{Balance, Delivered, Failure, Report};
use serde::Serialize;

use super::Report as Style;
use crate::console::Console;

/// Shared by the thread that publishes (refusals) and the one that takes reports.
pub(super) struct Reporter {
    style: Style,
    topic: String,
    console: Console,
    /// When each message without an outcome left.
    under_way: Mutex<HashMap<u64, Departure>>,
    output: Mutex<Output>,
    refused: AtomicU64,
}

impl Reporter {
    pub(super) fn new(style: Style, topic: &str, console: Console) -> Self {
        Self {
            style,
            topic: topic.to_owned(),
            console,
            under_way: Mutex::default(),
            output: Mutex::new(Output {
                buffer: Vec::new(),
                state: OutputState::Open,
            }),
            refused: AtomicU64::new(0),
        }
    }

    /// Notes that message `n` is about to be published and returns its timestamp.
    pub(super) fn begin(&self, n: u64) -> i64 {
        let departure = Departure::now();
        if self.style == Style::Json {
            lock(&self.under_way).insert(n, departure);
        }
        departure.timestamp
    }

    /// Message `n` was not accepted.
    pub(super) fn refuse(&self, n: u64, code: i32, name: &str, reason: &dyn Display) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        match self.style {
            Style::None => {}
            Style::Errors => self.console.line(&format!("message {n} failed: {reason}")),
            Style::Json => {
                lock(&self.under_way).remove(&n);
                let text = reason.to_string();
                let mut output = lock(&self.output);
                output.add(&FailedLine {
                    n,
                    status: "failed",
                    topic: &self.topic,
                    error: ErrorLine {
                        code,
                        name,
                        text,
                        place: "not accepted".into(),
                        attempts: 0,
                        persisted: "no".into(),
                    },
                });
                output.write_out();
            }
        }
    }

    /// Tells what `reports` say, and then how many there were.
    pub(super) fn settle_all(&self, reports: impl Iterator<Item = Report>) -> u64 {
        let mut count = 0;
        for report in reports {
            self.settle(&report);
            count += 1;
        }
        lock(&self.output).write_out();
        count
    }

    /// How many reports there are once all messages of `balance` are settled.
    pub(super) fn expected(&self, balance: &Balance) -> u64 {
        match self.style {
            Style::None => 0,
            Style::Errors => balance.failed,
            Style::Json => balance.accepted,
        }
    }

    /// A hint for those who only see a number of failures on standard error.
    pub(super) fn where_failures_are_named(&self) -> Option<&'static str> {
        match self.style {
            Style::None => Some("--report errors names each"),
            Style::Errors => None,
            Style::Json => Some("standard output names each"),
        }
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Why reports could not be written, other than that nobody reads them any more.
    pub(super) fn output_error(&self) -> Option<String> {
        match &lock(&self.output).state {
            OutputState::Broken(error) => Some(error.to_string()),
            OutputState::Open | OutputState::Closed => None,
        }
    }

    fn settle(&self, report: &Report) {
        let n = report.opaque;
        match (&report.outcome, self.style) {
            (_, Style::None) | (Ok(_), Style::Errors) => {}
            (Err(failure), Style::Errors) => {
                self.console.line(&format!("message {n} failed: {failure}"));
            }
            (Ok(delivered), Style::Json) => self.add_delivered(report, delivered),
            (Err(failure), Style::Json) => {
                lock(&self.under_way).remove(&n);
                self.add_failed(report, failure);
            }
        }
    }

    fn add_delivered(&self, report: &Report, delivered: &Delivered) {
        let Some(departure) = lock(&self.under_way).remove(&report.opaque) else {
            return;
        };
        lock(&self.output).add(&DeliveredLine {
            n: report.opaque,
            status: "delivered",
            topic: &report.topic,
            partition: delivered.partition,
            offset: delivered.offset,
            timestamp: delivered.log_append_time.unwrap_or(departure.timestamp),
            latency_us: departure.at.elapsed().as_micros(),
        });
    }

    fn add_failed(&self, report: &Report, failure: &Failure) {
        let text = match &failure.last_error {
            Some(last) => format!("{}; last error: {last}", failure.error),
            None => failure.error.to_string(),
        };
        lock(&self.output).add(&FailedLine {
            n: report.opaque,
            status: "failed",
            topic: &report.topic,
            error: ErrorLine {
                code: failure.error.code(),
                name: failure.error.name(),
                text,
                place: failure.place.to_string(),
                attempts: failure.attempts,
                persisted: failure.persisted.to_string(),
            },
        });
    }
}

#[derive(Serialize)]
struct DeliveredLine<'a> {
    n: u64,
    status: &'static str,
    topic: &'a str,
    partition: i32,
    offset: Option<i64>,
    timestamp: i64,
    latency_us: u128,
}

#[derive(Serialize)]
struct FailedLine<'a> {
    n: u64,
    status: &'static str,
    topic: &'a str,
    error: ErrorLine<'a>,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    code: i32,
    name: &'a str,
    text: String,
    #[serde(rename = "where")]
    place: String,
    attempts: u32,
    persisted: String,
}

/// Standard output, a batch of lines at a time.
struct Output {
    buffer: Vec<u8>,
    state: OutputState,
}

enum OutputState {
    Open,
    /// The reader has gone, as `head` does. Messages go on.
    Closed,
    Broken(io::Error),
}

impl Output {
    fn add(&mut self, line: &impl Serialize) {
        match serde_json::to_writer(&mut self.buffer, line) {
            Ok(()) => self.buffer.push(b'\n'),
            Err(error) => self.state = OutputState::Broken(error.into()),
        }
    }

    fn write_out(&mut self) {
        if matches!(self.state, OutputState::Open) {
            let mut stdout = io::stdout().lock();
            if let Err(error) = stdout.write_all(&self.buffer).and_then(|()| stdout.flush()) {
                self.state = match error.kind() {
                    ErrorKind::BrokenPipe => OutputState::Closed,
                    _ => OutputState::Broken(error),
                };
            }
        }
        self.buffer.clear();
    }
}

/// When a message left.
#[derive(Clone, Copy)]
struct Departure {
    at: Instant,
    /// Milliseconds since 1970.
    timestamp: i64,
}

impl Departure {
    fn now() -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let timestamp = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
        Self {
            at: Instant::now(),
            timestamp,
        }
    }
}

/// A thread that panicked has left nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use super::*;

    #[test]
    fn departures_of_settled_messages_are_forgotten_while_an_older_one_waits() {
        let reporter = Reporter::new(Style::Json, "t", Console::new());
        reporter.begin(0);
        for n in 1..=1000 {
            reporter.begin(n);
            reporter.settle(&delivered(n));
        }
        assert_eq!(lock(&reporter.under_way).len(), 1);
        reporter.settle(&delivered(0));
        assert_eq!(lock(&reporter.under_way).len(), 0);
        let output = lock(&reporter.output);
        assert_eq!(output.buffer.lines().count(), 1001);
    }

    fn delivered(n: u64) -> Report {
        Report {
            topic: "t".into(),
            partition: 0,
            opaque: n,
            outcome: Ok(Delivered {
                partition: 0,
                offset: Some(0),
                log_append_time: None,
            }),
            record: None,
        }
    }
}
