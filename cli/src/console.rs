//! Standard error: lines for people, and a progress bar that gets out of their way.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use event_kafka::Balance;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

/// Everything that goes to standard error goes through here, so that lines, logs and the progress
/// bar do not write over each other.
#[derive(Clone)]
pub(crate) struct Console {
    bar: ProgressBar,
}

impl Console {
    pub(crate) fn new() -> Self {
        Self {
            bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
        }
    }

    pub(crate) fn line(&self, text: &str) {
        // Nobody can be told that standard error is closed.
        let _ = self.write(format!("event-kafka: {text}\n").as_bytes());
    }

    /// A progress bar that appears after a second of work, on a terminal only.
    pub(crate) fn progress(&self, total: Option<u64>) -> Progress {
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        let state = if io::stderr().is_terminal() {
            State::Pending
        } else {
            State::Never
        };
        Progress {
            bar: self.bar.clone(),
            started: Instant::now(),
            state,
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.bar.suspend(|| io::stderr().write_all(bytes))
    }
}

/// Logs are lines of the console.
impl<'a> MakeWriter<'a> for Console {
    type Writer = LogWriter<'a>;

    fn make_writer(&'a self) -> LogWriter<'a> {
        LogWriter(self)
    }
}

pub(crate) struct LogWriter<'a>(&'a Console);

impl Write for LogWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Never,
    Pending,
    Shown,
}

impl Progress {
    /// When to call [`Progress::update`] next; `None`: never.
    pub(crate) fn next_update(&self) -> Option<Duration> {
        match self.state {
            State::Never => None,
            State::Pending => Some(PATIENCE.saturating_sub(self.started.elapsed())),
            State::Shown => Some(REDRAW),
        }
    }

    pub(crate) fn update(&mut self, balance: &Balance) {
        if self.state == State::Never || self.started.elapsed() < PATIENCE {
            return;
        }
        self.bar.set_position(balance.delivered);
        self.bar.set_message(format!(
            "{} waiting, {} failed",
            balance.held, balance.failed
        ));
        if self.state == State::Pending {
            self.show();
        }
    }

    pub(crate) fn end(&mut self) {
        self.bar.finish_and_clear();
        self.state = State::Never;
    }

    fn show(&mut self) {
        let template = match self.bar.length() {
            Some(_) => "{bar:30} {pos}/{len} delivered, {rate}, {msg}",
            None => "{spinner} {pos} delivered, {rate}, {msg}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        self.bar.set_style(style.with_key(
            "rate",
            |state: &ProgressState, out: &mut dyn fmt::Write| {
                // A bar has no way to tell that it cannot be drawn.
                let _ = write!(out, "{:.0}/s", state.per_sec());
            },
        ));
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.state = State::Shown;
    }
}

const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(100);
