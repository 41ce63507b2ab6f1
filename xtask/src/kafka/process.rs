//! The Java process of a node: starting it, ending it, and seeing to it that nothing is left over.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::archive;
use super::jars::class_path;
use super::layout::Layout;
use crate::{Error, Result};

/// Longer than any orderly stop we have seen (under 3 s).
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Reads from a pipe that its starter holds open. A line means that all is in order; end of file
/// means that the starter is gone, however it died, and the node must go too.
const WATCHDOG: &str = r#"read -r _ || { kill -9 "$1"; sleep 1; rm -rf -- "$2"; }"#;

/// Starts the node's process.
pub(super) fn spawn(layout: &Layout) -> Result<Child> {
    spawn_with(layout, &archive::option(&layout.version)?)
}

/// In a process group of its own: an interrupt from the terminal reaches only the command that the
/// user runs, which then decides.
fn spawn_with(layout: &Layout, java_option: &OsStr) -> Result<Child> {
    java(layout)?
        .arg(java_option)
        .arg("kafka.Kafka")
        .arg(layout.properties())
        .process_group(0)
        .spawn()
        .map_err(Error::io("running java"))
}

/// A node's process that cannot outlive this one.
#[derive(Debug)]
pub(super) struct Supervised {
    java: Child,
    watchdog: Child,
}

impl Supervised {
    pub(super) fn start(layout: &Layout) -> Result<Self> {
        Self::watch(spawn(layout)?, &layout.data())
    }

    /// The same with an option for Java instead of the class archive.
    pub(super) fn start_with(layout: &Layout, java_option: &OsStr) -> Result<Self> {
        Self::watch(spawn_with(layout, java_option)?, &layout.data())
    }

    fn watch(mut java: Child, data: &Path) -> Result<Self> {
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(java.id().to_string())
            .arg(data)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { java, watchdog }),
            Err(error) => {
                end_child(&mut java, Signal::KILL)?;
                Err(Error::io("running sh")(error))
            }
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.java.id()
    }

    /// An error if the process has ended by itself.
    pub(super) fn expect_alive(&mut self, layout: &Layout) -> Result<()> {
        expect_alive(&mut self.java, layout)
    }

    /// Sends a signal that does not end the process, which is alive or at least not waited for: its
    /// id is nobody else's.
    pub(super) fn signal(&mut self, how: Signal) -> Result<()> {
        signal(self.id(), how)
    }

    /// Sends the signal and waits until the process is gone.
    pub(super) fn end(mut self, signal: Signal) -> Result<ExitStatus> {
        let ended = end_child(&mut self.java, signal);
        let mut pipe = self
            .watchdog
            .stdin
            .take()
            .expect("the watchdog was given a pipe");
        pipe.write_all(b"in order\n")
            .map_err(Error::io("releasing the watchdog"))?;
        self.watchdog
            .wait()
            .map_err(Error::io("waiting for the watchdog"))?;
        ended
    }
}

/// An error if the process has ended by itself.
pub(super) fn expect_alive(java: &mut Child, layout: &Layout) -> Result<()> {
    let asking = Error::io("asking after Kafka's process");
    match java.try_wait().map_err(asking)? {
        Some(status) => Err(layout.failure(&format!("has ended by itself ({status})"))),
        None => Ok(()),
    }
}

/// Sends a signal to a process that may have ended already.
pub(super) fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.expect("the system gave this process id");
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(Error::io(format!("sending {signal:?}"))(errno.into())),
    }
}

/// Sends the signal and waits until the process is `gone`; kills it when that takes too long.
pub(super) fn end(pid: u32, how: Signal, mut gone: impl FnMut() -> Result<bool>) -> Result<()> {
    signal(pid, how)?;
    // A paused process heeds nothing but SIGKILL.
    signal(pid, Signal::CONT)?;
    let deadline = Instant::now() + STOP_LIMIT;
    let mut killed = false;
    while !gone()? {
        if !killed && Instant::now() >= deadline {
            signal(pid, Signal::KILL)?;
            killed = true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn end_child(child: &mut Child, how: Signal) -> Result<ExitStatus> {
    let waiting = || Error::io("waiting for Kafka to end");
    // Asked first: the process id of one that was waited for may be somebody else's.
    if child.try_wait().map_err(waiting())?.is_none() {
        let pid = child.id();
        end(pid, how, || {
            Ok(child.try_wait().map_err(waiting())?.is_some())
        })?;
    }
    child.wait().map_err(waiting())
}

/// Small and quick to start rather than fast: the broker is a fixture, not the thing measured.
pub(super) fn java(layout: &Layout) -> Result<Command> {
    let (out, err) = (layout.open_log()?, layout.open_log()?);
    let mut command = Command::new("java");
    command
        .args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
        .arg("-cp")
        .arg(class_path(&layout.version)?)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::ExitStatusExt;
    use std::{env, fs, process};

    use super::*;

    #[test]
    fn a_node_and_its_data_go_when_their_owner_dies() {
        let data = env::temp_dir().join(format!("event-kafka-watchdog-{}", process::id()));
        fs::create_dir(&data).unwrap();
        let mut supervised = Supervised::watch(sleeper(), &data).unwrap();

        // What the system does to the pipes of a process that dies.
        drop(supervised.watchdog.stdin.take());

        assert_eq!(supervised.java.wait().unwrap().signal(), Some(9));
        supervised.watchdog.wait().unwrap();
        assert!(!data.exists());
    }

    #[test]
    fn a_node_that_is_ended_in_order_keeps_its_data() {
        let data = env::temp_dir().join(format!("event-kafka-ended-{}", process::id()));
        fs::create_dir(&data).unwrap();
        let supervised = Supervised::watch(sleeper(), &data).unwrap();

        supervised.end(Signal::TERM).unwrap();

        fs::remove_dir(&data).unwrap();
    }

    #[test]
    fn a_paused_process_can_be_ended_in_order() {
        // As Java does, it has something to do on SIGTERM: only then the signal waits.
        let mut child = Command::new("sh")
            .args(["-c", "trap 'exit 7' TERM; echo ready; read -r _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child.stdout.take().unwrap().read_exact(&mut ready).unwrap();

        signal(child.id(), Signal::STOP).unwrap();
        let status = end_child(&mut child, Signal::TERM).unwrap();
        assert_eq!(status.code(), Some(7), "{status}");
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }
}
