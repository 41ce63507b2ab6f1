//! Runs the binary under test.

// Every test binary compiles this module for itself and uses only a part of it.
#![allow(dead_code)]

use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output as lines of JSON.
    pub(crate) fn reports(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// Runs to the end with nothing on standard input.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    run_with_input(arguments, b"")
}

/// Runs to the end with these environment variables and nothing on standard input.
pub(crate) fn run_with_variables(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).envs(variables.iter().copied());
    let mut running = Running::spawn(&mut command).expect("the binary starts");
    drop(running.stdin());
    running.end()
}

pub(crate) fn run_with_input(arguments: &[&str], input: &[u8]) -> Ended {
    let mut running = Running::start(arguments);
    let mut stdin = running.stdin();
    thread::scope(|scope| {
        // Written beside the reading of its output, which may fill its pipe first.
        scope.spawn(move || stdin.write_all(input));
        running.end()
    })
}

/// A run to talk with. It does not outlive its test.
pub(crate) struct Running {
    /// `None` while its end is waited for.
    child: Option<Child>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::of(PROGRAM, arguments).expect("the binary starts")
    }

    /// Another program than the one under test, which may not be installed.
    pub(crate) fn of(program: &str, arguments: &[&str]) -> io::Result<Self> {
        Self::spawn(Command::new(program).args(arguments))
    }

    fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self { child: Some(child) })
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child().stdin.take().expect("not taken yet")
    }

    pub(crate) fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child().stdout.take().expect("not taken yet"))
    }

    pub(crate) fn stderr(&mut self) -> BufReader<ChildStderr> {
        BufReader::new(self.child().stderr.take().expect("not taken yet"))
    }

    pub(crate) fn interrupt(&self) {
        let child = self.child.as_ref().expect("it has not ended");
        kill(id(child), Signal::SIGINT).expect("it still runs");
    }

    /// Waits for its end, but not for ever; what was taken of its output is missing.
    pub(crate) fn end(mut self) -> Ended {
        let child = self.child.take().expect("it ends once");
        let id = id(&child);
        let (ended, watched) = mpsc::channel::<()>();
        thread::spawn(move || {
            if watched.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                kill(id, Signal::SIGKILL).expect("it still runs");
            }
        });
        let output = child.wait_with_output().expect("its output is readable");
        drop(ended);
        output.into()
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it has not ended")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn id(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id is positive"))
}

pub(crate) fn next_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("the output is readable");
    line
}

/// A file with this content, for one test.
pub(crate) fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("the test directory is writable");
    path
}

/// Says that the running test is skipped, past the harness's capture and in the form that
/// `cargo xtask test` counts.
pub(crate) fn skip(why: &str) {
    let test = thread::current();
    let test = test.name().unwrap_or("a test");
    // Nothing can be done about a closed standard error.
    let _ = writeln!(io::stderr(), "skipped: {test}: {why}");
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_event-kafka");
/// How long a run may take before it is killed and its test fails.
const PATIENCE: Duration = Duration::from_secs(60);
