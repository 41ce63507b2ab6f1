//! The producer under test: the real program in a process of its own, so that what is counted for
//! that process is the producer's alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use serde_json::Value;

use super::usage::{Usage, peak_memory};

/// A running `event-kafka publish --report json`. Killed when dropped before its end.
pub(crate) struct Producer {
    child: Child,
    stdin: Option<ChildStdin>,
    /// When each message was fed, by its number.
    fed: Vec<Instant>,
    heard: Arc<Heard>,
    listeners: Vec<JoinHandle<()>>,
}

/// What is fed to a producer, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Bytes of a message.
    pub(crate) size: usize,
    /// From one message to the next; zero is as fast as they are taken.
    pub(crate) interval: Duration,
}

/// What the producer said of one message.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) n: u64,
    pub(crate) at: Instant,
    pub(crate) fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered {
        partition: i32,
        /// Nobody knows it with `acks=0`.
        offset: Option<i64>,
    },
    Failed {
        /// The name of the code.
        name: String,
        /// Whether it may be in the log all the same.
        maybe_persisted: bool,
    },
}

/// How the process ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) reports: Vec<Report>,
    pub(crate) log: Vec<String>,
}

impl Producer {
    /// Publishes to `socket`; nothing is fed yet.
    pub(crate) fn start(socket: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_event-kafka"))
            .args(["publish", socket, "--report", "json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let heard = Arc::<Heard>::default();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let listeners = vec![
            listen(stdout.expect("piped"), &heard, |state, line| {
                state.reports.push(Report::parse(line));
            }),
            listen(stderr.expect("piped"), &heard, |state, line| {
                state.log.push(line.to_owned());
            }),
        ];
        Self {
            stdin: child.stdin.take(),
            fed: Vec::new(),
            child,
            heard,
            listeners,
        }
    }

    pub(crate) fn process(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id is positive"))
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.process())
    }

    pub(crate) fn peak_memory(&self) -> u64 {
        peak_memory(self.process())
    }

    /// Feeds one message.
    pub(crate) fn feed_one(&mut self) {
        let mut stdin = self.stdin.as_ref().expect("nobody else feeds it");
        writeln!(stdin, "{}", self.fed.len()).expect("it reads");
        self.fed.push(Instant::now());
    }

    /// Feeds messages from another thread until told to stop.
    pub(crate) fn feed(&mut self, pace: Pace) -> Feeder {
        let mut stdin = self.stdin.take().expect("nobody else feeds it");
        let mut fed = std::mem::take(&mut self.fed);
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut due = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let line = format!("{:<1$}\n", fed.len(), pace.size);
                if stdin.write_all(line.as_bytes()).is_err() {
                    // It has ended too early, which its exit code will tell.
                    break;
                }
                fed.push(Instant::now());
                due += pace.interval;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            (stdin, fed)
        });
        Feeder { stop, thread }
    }

    /// When each message was fed, by its number.
    pub(crate) fn fed(&self) -> &[Instant] {
        &self.fed
    }

    /// Waits until the reports satisfy `enough`, or the time is over: then false.
    pub(crate) fn wait_for_reports(
        &self,
        timeout: Duration,
        enough: impl Fn(&[Report]) -> bool,
    ) -> bool {
        let state = self.heard.lock();
        let waited = self
            .heard
            .changed
            .wait_timeout_while(state, timeout, |state| !enough(&state.reports));
        !waited.expect("no listener panics").1.timed_out()
    }

    /// Lines on standard error so far.
    pub(crate) fn log_lines(&self) -> usize {
        self.heard.lock().log.len()
    }

    /// Lets it end, its input being closed, and waits for that; `None` if it does not end in time
    /// and is killed.
    pub(crate) fn end(mut self, timeout: Duration) -> Option<Ended> {
        drop(self.stdin.take());
        let state = self.heard.lock();
        let running = |state: &mut State| state.open_streams > 0;
        let waited = self
            .heard
            .changed
            .wait_timeout_while(state, timeout, running);
        let (state, waited) = waited.expect("no listener panics");
        drop(state);
        if waited.timed_out() {
            return None;
        }
        let status = self.child.wait().expect("it is our child");
        self.listeners
            .drain(..)
            .for_each(|listener| listener.join().expect("every line is understood"));
        let mut state = self.heard.lock();
        Some(Ended {
            code: status.code(),
            reports: std::mem::take(&mut state.reports),
            log: std::mem::take(&mut state.log),
        })
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Feeds a producer. Every message is its number, padded with spaces.
pub(crate) struct Feeder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(ChildStdin, Vec<Instant>)>,
}

impl Feeder {
    /// Feeds no more. The producer's input stays open.
    pub(crate) fn stop(self, producer: &mut Producer) {
        self.stop.store(true, Ordering::Relaxed);
        let (stdin, fed) = self.thread.join().expect("the feeder does not panic");
        producer.stdin = Some(stdin);
        producer.fed = fed;
    }
}

impl Report {
    fn parse(line: &str) -> Self {
        let at = Instant::now();
        let value: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("`{line}` is no report: {error}"));
        let text = |name: &str| value["error"][name].as_str().map(str::to_owned);
        let fate = match value["status"].as_str() {
            Some("delivered") => Fate::Delivered {
                partition: value["partition"]
                    .as_i64()
                    .and_then(|index| i32::try_from(index).ok())
                    .expect("every delivery names its partition"),
                offset: value["offset"].as_i64(),
            },
            Some("failed") => Fate::Failed {
                name: text("name").expect("every failure has a name"),
                maybe_persisted: text("persisted").expect("every failure says it") == "maybe",
            },
            _ => panic!("`{line}` is no report"),
        };
        let n = value["n"].as_u64().expect("every report has a number");
        Self { n, at, fate }
    }
}

/// What the producer has written so far.
#[derive(Default)]
struct Heard {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    reports: Vec<Report>,
    log: Vec<String>,
    open_streams: u32,
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no listener panics")
    }
}

fn listen(
    stream: impl Read + Send + 'static,
    heard: &Arc<Heard>,
    take: impl Fn(&mut State, &str) + Send + 'static,
) -> JoinHandle<()> {
    heard.lock().open_streams += 1;
    let heard = Arc::clone(heard);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            take(&mut heard.lock(), &line.expect("its output is text"));
            heard.changed.notify_all();
        }
        heard.lock().open_streams -= 1;
        heard.changed.notify_all();
    })
}
