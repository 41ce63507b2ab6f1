//! The command line as a child: fed at a rate, its reports read as they come.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use xtask::{Error, Result};

use super::message;
use super::report::Report;

/// How long the last message may take: 5 minutes (`message.timeout.ms`), and one to be lenient.
const PATIENCE: Duration = Duration::from_secs(6 * 60);

/// A running `event-kafka publish`.
#[derive(Debug)]
pub(super) struct Publisher {
    child: Owned,
    messages: u64,
    feeder: Thread<u64>,
    reader: Thread<Vec<Line>>,
    /// When it should long have ended.
    deadline: Instant,
}

/// What a publisher was given and what it said.
#[derive(Debug)]
pub(super) struct Published {
    /// Messages that it was to publish.
    pub(super) messages: u64,
    /// Those that it took, beginning with 0.
    pub(super) fed: u64,
    pub(super) said: Vec<Line>,
    pub(super) status: ExitStatus,
}

/// A line that it printed.
#[derive(Debug)]
pub(super) struct Line {
    /// When it came, since the first message was fed.
    pub(super) at: Duration,
    /// The line as it is, if it is no report.
    pub(super) report: std::result::Result<Report, String>,
}

impl Publisher {
    /// Starts it and begins to feed it.
    pub(super) fn start(program: &Path, socket: &str, messages: u64, rate: u64) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["publish", socket, "--report", "json"])
            .args(["--key-separator", message::SEPARATOR])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::io(format!("running {}", program.display())))?;
        let stdin = child.stdin.take().expect("it is a pipe");
        let stdout = child.stdout.take().expect("it is a pipe");
        let start = Instant::now();
        let planned = Duration::from_secs(messages / rate);
        Ok(Self {
            child: Owned(child),
            messages,
            feeder: Thread::spawn(move || feed(stdin, messages, rate, start)),
            reader: Thread::spawn(move || read_lines(stdout, start)),
            deadline: start + planned + PATIENCE,
        })
    }

    /// Waits so long, or until all is fed, and says whether there is more to feed.
    pub(super) fn takes_more_after(&self, time: Duration) -> bool {
        !self.feeder.ends_within(time) && Instant::now() < self.deadline
    }

    /// Waits until it has ended; kills it when that takes too long.
    pub(super) fn finish(mut self) -> Result<Published> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if !self.reader.ends_within(left) {
            eprintln!("the publisher does not end; it is killed");
            let killing = Error::io("killing the publisher");
            self.child.0.kill().map_err(killing)?;
        }
        let waiting = Error::io("waiting for the publisher");
        Ok(Published {
            messages: self.messages,
            fed: self.feeder.join(),
            said: self.reader.join(),
            status: self.child.0.wait().map_err(waiting)?,
        })
    }
}

/// Writes messages at the rate, ever faster when behind, and returns how many went over.
fn feed(stdin: ChildStdin, messages: u64, rate: u64, start: Instant) -> u64 {
    const TICK: Duration = Duration::from_millis(10);
    let mut output = BufWriter::with_capacity(64 << 10, stdin);
    let mut fed = 0;
    while fed < messages {
        let due = start.elapsed().as_millis() as u64 * rate / 1000;
        let due = due.clamp(fed, messages);
        if write_messages(&mut output, fed..due).is_err() {
            // It has gone; what it said tells how far it came.
            return fed;
        }
        fed = due;
        thread::sleep(TICK);
    }
    fed
}

fn write_messages(output: &mut impl Write, numbers: std::ops::Range<u64>) -> io::Result<()> {
    for n in numbers {
        message::write_line(output, n)?;
    }
    output.flush()
}

fn read_lines(stdout: ChildStdout, start: Instant) -> Vec<Line> {
    // A line that is no text ends the reading as the end of the file does: it is missed later.
    let lines = BufReader::new(stdout).lines().map_while(io::Result::ok);
    lines
        .map(|line| Line {
            at: start.elapsed(),
            report: Report::parse(&line).ok_or(line),
        })
        .collect()
}

/// A child that does not outlive the run, however it ends.
#[derive(Debug)]
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It does nothing to a child that was waited for.
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("a publisher may be left over: {error}");
        }
    }
}

/// A thread that can be waited for with a deadline.
#[derive(Debug)]
struct Thread<T> {
    handle: JoinHandle<T>,
    /// Disconnected when it ends.
    alive: Receiver<()>,
}

impl<T: Send + 'static> Thread<T> {
    fn spawn(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (held, alive) = mpsc::channel();
        let handle = thread::spawn(move || {
            let _held = held;
            work()
        });
        Self { handle, alive }
    }

    fn ends_within(&self, time: Duration) -> bool {
        self.alive.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    fn join(self) -> T {
        self.handle.join().expect("it does not panic")
    }
}
