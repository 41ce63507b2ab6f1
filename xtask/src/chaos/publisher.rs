//! A publisher as a child: fed at a rate, its reports read as they come.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use xtask::{Error, Result};

use super::message;
use super::report::Report;

/// How long the last message may take: 5 minutes (`message.timeout.ms`), and one to be lenient.
const PATIENCE: Duration = Duration::from_secs(6 * 60);

/// `event-kafka publish`, or what takes and prints the same.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) topic: &'static str,
    pub(super) command: Command,
}

/// What a publisher gets to publish.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) messages: u64,
    /// Messages in a second.
    pub(super) rate: u64,
    /// When the first is due.
    pub(super) start: Instant,
}

/// A program that publishes. When it was killed, another process goes on with the next message.
#[derive(Debug)]
pub(super) struct Publisher {
    program: Program,
    load: Load,
    /// The process that runs, if one does.
    process: Option<Process>,
    /// Of processes that were killed.
    said: Vec<Line>,
    killed: Vec<Range<u64>>,
}

/// What a publisher was given and what it said.
#[derive(Debug)]
pub(super) struct Published {
    /// Messages that it was to publish.
    pub(super) messages: u64,
    pub(super) rate: u64,
    /// Those that it took, beginning with 0.
    pub(super) fed: u64,
    pub(super) said: Vec<Line>,
    /// Messages that went to processes that were killed then.
    pub(super) killed: Vec<Range<u64>>,
    /// How the last process ended.
    pub(super) status: ExitStatus,
}

/// A line that it printed.
#[derive(Debug)]
pub(super) struct Line {
    /// When it came, since the first message was due.
    pub(super) at: Duration,
    /// The line as it is, if it is no report.
    pub(super) report: std::result::Result<Report, String>,
}

impl Publisher {
    /// Starts it and begins to feed it.
    pub(super) fn start(program: Program, load: Load) -> Result<Self> {
        let mut publisher = Self {
            program,
            load,
            process: None,
            said: Vec::new(),
            killed: Vec::new(),
        };
        publisher.go_on()?;
        Ok(publisher)
    }

    pub(super) fn name(&self) -> &'static str {
        self.program.name
    }

    pub(super) fn topic(&self) -> &'static str {
        self.program.topic
    }

    /// Waits so long, or until all is fed, and says whether there is more to feed.
    pub(super) fn takes_more_after(&self, time: Duration) -> bool {
        let process = self.process.as_ref().expect("one runs");
        !process.feeder.ends_within(time) && Instant::now() < self.load.deadline()
    }

    /// Kills its process (SIGKILL). What that one had printed until then is known.
    pub(super) fn kill(&mut self) -> Result<()> {
        let process = self.process.take().expect("one runs");
        let first = process.first;
        let end = process.kill()?;
        if end.status.signal().is_none() {
            let (name, status) = (self.program.name, end.status);
            return Err(Error::Failed(format!(
                "{name} was to be killed and had ended ({status})"
            )));
        }
        self.said.extend(end.said);
        self.killed.push(first..end.fed);
        Ok(())
    }

    /// Starts a process that publishes what the killed ones were not fed.
    pub(super) fn go_on(&mut self) -> Result<()> {
        let first = self.killed.last().map_or(0, |range| range.end);
        self.process = Some(Process::start(&mut self.program, self.load, first)?);
        Ok(())
    }

    /// Waits until it has ended; kills it when that takes too long.
    pub(super) fn finish(mut self) -> Result<Published> {
        let process = self.process.take().expect("one runs");
        let left = self.load.deadline();
        let left = left.saturating_duration_since(Instant::now());
        let end = if process.reader.ends_within(left) {
            process.wait()?
        } else {
            eprintln!("{} does not end; it is killed", self.program.name);
            process.kill()?
        };
        self.said.extend(end.said);
        Ok(Published {
            messages: self.load.messages,
            rate: self.load.rate,
            fed: end.fed,
            said: self.said,
            killed: self.killed,
            status: end.status,
        })
    }
}

impl Load {
    /// How many messages are due so long after the start.
    fn due(&self, elapsed: Duration) -> u64 {
        due(elapsed, self.rate).min(self.messages)
    }

    /// When all should long have ended.
    fn deadline(&self) -> Instant {
        self.start + Duration::from_secs(self.messages / self.rate) + PATIENCE
    }
}

/// How many messages a rate gives in a time.
pub(super) fn due(time: Duration, rate: u64) -> u64 {
    time.as_millis() as u64 * rate / 1000
}

/// The messages are numbered by each process from 0 on, and here from `first` on.
#[derive(Debug)]
struct Process {
    child: Owned,
    first: u64,
    feeder: Thread<u64>,
    reader: Thread<Vec<Line>>,
}

/// What is known of a process in the end.
struct End {
    /// The first message that it was not fed.
    fed: u64,
    said: Vec<Line>,
    status: ExitStatus,
}

impl Process {
    fn start(program: &mut Program, load: Load, first: u64) -> Result<Self> {
        let command = program.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let running = Error::io(format!("running {}", program.name));
        let mut child = command.spawn().map_err(running)?;
        let stdin = child.stdin.take().expect("it is a pipe");
        let stdout = child.stdout.take().expect("it is a pipe");
        Ok(Self {
            child: Owned(child),
            first,
            feeder: Thread::spawn(move || feed(stdin, first, load)),
            reader: Thread::spawn(move || read_lines(stdout, first, load.start)),
        })
    }

    fn kill(mut self) -> Result<End> {
        // It does nothing to one that has ended.
        let killing = Error::io("killing a publisher");
        self.child.0.kill().map_err(killing)?;
        self.wait()
    }

    fn wait(mut self) -> Result<End> {
        let waiting = Error::io("waiting for a publisher");
        Ok(End {
            fed: self.feeder.join(),
            said: self.reader.join(),
            status: self.child.0.wait().map_err(waiting)?,
        })
    }
}

/// Writes messages at the rate, ever faster when behind, and returns the first that did not go over.
fn feed(stdin: ChildStdin, first: u64, load: Load) -> u64 {
    const TICK: Duration = Duration::from_millis(10);
    let mut output = BufWriter::with_capacity(64 << 10, stdin);
    let mut fed = first;
    while fed < load.messages {
        let due = load.due(load.start.elapsed()).max(fed);
        let written = write_messages(&mut output, fed..due);
        // Of those, too, that could not be written to their end some may have gone over.
        fed = due;
        if written.is_err() {
            // The process has gone; what it said tells how far it came.
            return fed;
        }
        thread::sleep(TICK);
    }
    fed
}

fn write_messages(output: &mut impl Write, numbers: Range<u64>) -> io::Result<()> {
    for n in numbers {
        message::write_line(output, n)?;
    }
    output.flush()
}

fn read_lines(stdout: ChildStdout, first: u64, start: Instant) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    // A line that is no text, or not whole since its process was killed, ends the reading as the end
    // of the file does: it is missed later.
    while stdout.read_line(&mut line).is_ok() && line.ends_with('\n') {
        let report = match Report::parse(&line) {
            Some(report) => Ok(Report {
                n: first + report.n,
                ..report
            }),
            None => Err(line.trim_end().to_owned()),
        };
        lines.push(Line {
            at: start.elapsed(),
            report,
        });
        line.clear();
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Says of every line that it is delivered.
    const DELIVERS: &str = r#"n=0; while read -r line; do
        echo "{\"n\":$n,\"status\":\"delivered\",\"partition\":0,\"offset\":$n,\"latency_us\":1}"
        n=$((n + 1))
    done"#;

    fn publisher(script: &str, messages: u64) -> Publisher {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let program = Program {
            name: "sh",
            topic: "t",
            command,
        };
        let load = Load {
            messages,
            rate: 1000,
            start: Instant::now(),
        };
        Publisher::start(program, load).unwrap()
    }

    #[test]
    fn after_a_killed_process_another_goes_on_with_the_next_message() {
        let mut publisher = publisher(DELIVERS, 2000);
        assert!(publisher.takes_more_after(Duration::from_millis(200)));
        publisher.kill().unwrap();
        publisher.go_on().unwrap();
        let published = publisher.finish().unwrap();

        let [killed] = &published.killed[..] else {
            panic!("{:?}", published.killed);
        };
        assert_eq!((killed.start, published.fed), (0, 2000));
        let reports = published.said.iter().map(|line| line.report.as_ref());
        let numbers: Vec<u64> = reports.map(|report| report.unwrap().n).collect();
        let of_the_killed: Vec<u64> = numbers
            .iter()
            .copied()
            .take_while(|n| killed.contains(n))
            .collect();
        assert!(
            of_the_killed
                .iter()
                .copied()
                .eq(0..of_the_killed.len() as u64)
        );
        let of_the_other = numbers[of_the_killed.len()..].iter().copied();
        assert!(of_the_other.eq(killed.end..2000), "{killed:?}: {numbers:?}");
    }

    #[test]
    fn a_line_that_was_cut_off_is_not_taken() {
        let published = publisher("printf 'half a li'; cat > /dev/null", 1)
            .finish()
            .unwrap();
        assert!(published.said.is_empty(), "{:?}", published.said);
    }

    #[test]
    fn one_that_ended_before_it_was_killed_is_an_error() {
        let mut publisher = publisher("read -r line; exit 7", 1);
        while publisher.takes_more_after(Duration::from_millis(20)) {}
        let process = publisher.process.as_ref().unwrap();
        assert!(process.reader.ends_within(Duration::from_secs(60)));
        let error = publisher.kill().unwrap_err().to_string();
        assert!(error.contains("exit status: 7"), "{error}");
    }
}
