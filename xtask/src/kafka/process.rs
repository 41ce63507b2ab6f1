//! The Java process of a node: starting it, ending it, and seeing to it that nothing is left over.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::jars::class_path;
use super::layout::Layout;
use crate::{Error, Result};

/// Longer than any orderly stop we have seen (under 3 s).
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Reads from a pipe that its starter holds open. A line means that all is in order; end of file
/// means that the starter is gone, however it died, and the node must go too.
const WATCHDOG: &str = r#"read -r _ || { kill -9 "$1"; sleep 1; rm -rf -- "$2"; }"#;

/// Gives the node's data folder its identity, unless it has one.
pub(super) fn format(layout: &Layout) -> Result<()> {
    if layout.data().join("meta.properties").exists() {
        return Ok(());
    }
    // Any id will do: nodes with the same one never meet. This is "EventKafkaTests1" in base64.
    const CLUSTER_ID: &str = "RXZlbnRLYWZrYVRlc3RzMQ";
    let status = java(layout)?
        .args([
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            CLUSTER_ID,
            "--config",
        ])
        .arg(layout.properties())
        .status()
        .map_err(Error::io("running java"))?;
    if !status.success() {
        let log = layout.log_tail();
        return Err(Error::Failed(format!(
            "Kafka could not format its storage:\n{log}"
        )));
    }
    Ok(())
}

/// Starts the node's process in a process group of its own: an interrupt from the terminal reaches
/// only the command that the user runs, which then decides.
pub(super) fn spawn(layout: &Layout) -> Result<Child> {
    java(layout)?
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
                end(&mut java, Signal::KILL)?;
                Err(Error::io("running sh")(error))
            }
        }
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.java
    }

    /// Sends the signal and waits until the process is gone.
    pub(super) fn end(mut self, signal: Signal) -> Result<()> {
        let ended = end(&mut self.java, signal);
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

/// Sends a signal to a process that may have ended already.
pub(super) fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.expect("the system gave this process id");
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(Error::io(format!("sending {signal:?}"))(errno.into())),
    }
}

/// Asks `gone` until it says yes or the limit for an orderly stop has passed.
pub(super) fn wait_until_gone(mut gone: impl FnMut() -> Result<bool>) -> Result<bool> {
    let deadline = Instant::now() + STOP_LIMIT;
    while !gone()? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

fn end(child: &mut Child, how: Signal) -> Result<()> {
    let waiting = || Error::io("waiting for Kafka to end");
    if child.try_wait().map_err(waiting())?.is_some() {
        // Its process id may be somebody else's by now.
        return Ok(());
    }
    signal(child.id(), how)?;
    if !wait_until_gone(|| Ok(child.try_wait().map_err(waiting())?.is_some()))? {
        child.kill().map_err(Error::io("killing Kafka"))?;
        child.wait().map_err(waiting())?;
    }
    Ok(())
}

/// Small and quick to start rather than fast: the broker is a fixture, not the thing measured.
fn java(layout: &Layout) -> Result<Command> {
    let (out, err) = (layout.open_log()?, layout.open_log()?);
    let mut command = Command::new("java");
    command
        .args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
        .arg("-cp")
        .arg(class_path()?)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    Ok(command)
}

#[cfg(test)]
mod tests {
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

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }
}
