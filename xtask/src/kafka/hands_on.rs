//! `cargo xtask kafka up` and `down`: a node for hands-on work that outlives the command.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use super::layout::Layout;
use super::{KAFKA_VERSION, ports, process, ready};
use crate::{Error, Result, kafka_folder};

/// What `cargo xtask kafka up` was asked for.
#[derive(Debug, Default)]
pub struct UpOptions {
    /// The port for clients; without it Kafka's own 9092 when it is free, otherwise any free port.
    pub port: Option<u16>,
    /// Partitions of a topic that comes into being by its first use; without it 4.
    pub partitions: Option<u16>,
    /// Begin with empty storage instead of what the last node left.
    pub fresh: bool,
}

/// Starts the node, unless it runs, and says how to use it.
pub fn up(options: &UpOptions) -> Result<()> {
    if let Some(state) = State::of_running_node()? {
        println!(
            "Kafka is up already: {} (process {})",
            state.address, state.pid
        );
        return Ok(());
    }
    let layout = Layout {
        folder: folder(),
        client_port: client_port(options.port)?,
        controller_port: ports::free()?,
        partitions: options.partitions.unwrap_or(4),
    };
    if options.fresh {
        layout.remove_data()?;
    }
    layout.write()?;
    process::format(&layout)?;
    let mut child = process::spawn(&layout)?;
    let state = State {
        pid: child.id(),
        address: layout.address().to_string(),
    };
    state.save()?;
    if let Err(error) = ready::wait(&layout, &mut child) {
        down()?;
        return Err(error);
    }
    print_usage(&state, &layout);
    Ok(())
}

/// Stops the node that [`up`] started. Its data stays for the next [`up`].
pub fn down() -> Result<()> {
    let Some(state) = State::of_running_node()? else {
        println!("no Kafka of `cargo xtask kafka up` is running");
        return State::forget();
    };
    process::signal(state.pid, Signal::TERM)?;
    let gone = || Ok(!state.is_running());
    if !process::wait_until_gone(gone)? {
        process::signal(state.pid, Signal::KILL)?;
        process::wait_until_gone(gone)?;
    }
    println!("Kafka at {} is down", state.address);
    State::forget()
}

fn folder() -> PathBuf {
    kafka_folder().join("up")
}

fn client_port(wanted: Option<u16>) -> Result<u16> {
    match wanted {
        Some(port) if ports::is_free(port) => Ok(port),
        Some(port) => Err(Error::Failed(format!(
            "port {port} of 127.0.0.1 is taken; name another with --port, or none to get a free one"
        ))),
        None if ports::is_free(9092) => Ok(9092),
        None => ports::free(),
    }
}

fn print_usage(state: &State, layout: &Layout) {
    let State { pid, address } = state;
    let log = layout.log();
    println!(
        "Apache Kafka {KAFKA_VERSION} is up at {address} (process {pid}, log {log})

publish:  cargo run -- publish \"kafka:{address}/sip\" hello
read:     kcat -b {address} -C -t sip -e
stop:     cargo xtask kafka down",
        log = log.display(),
    );
}

/// Which process `up` started, kept in a file for `down`.
struct State {
    pid: u32,
    address: String,
}

impl State {
    fn path() -> PathBuf {
        folder().join("running")
    }

    fn save(&self) -> Result<()> {
        let path = Self::path();
        fs::write(&path, format!("{} {}\n", self.pid, self.address))
            .map_err(Error::io(format!("writing {}", path.display())))
    }

    fn forget() -> Result<()> {
        let path = Self::path();
        if path.exists() {
            fs::remove_file(&path).map_err(Error::io(format!("removing {}", path.display())))?;
        }
        Ok(())
    }

    fn of_running_node() -> Result<Option<Self>> {
        let path = Self::path();
        if !path.exists() {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&path).map_err(Error::io(format!("reading {}", path.display())))?;
        let state = Self::parse(&text)
            .ok_or_else(|| Error::Failed(format!("{} is damaged: remove it", path.display())))?;
        Ok(state.is_running().then_some(state))
    }

    fn parse(text: &str) -> Option<Self> {
        let (pid, address) = text.trim_end().split_once(' ')?;
        Some(Self {
            pid: pid.parse().ok()?,
            address: address.to_owned(),
        })
    }

    /// Whether the process still is our node: its id may have gone to somebody else since.
    fn is_running(&self) -> bool {
        let properties = folder().join("server.properties");
        let properties = properties.as_os_str().as_encoded_bytes();
        let command_line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        command_line
            .split(|byte| *byte == 0)
            .any(|argument| argument == properties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_our_node_is_never_taken_for_it() {
        let state = State {
            pid: std::process::id(),
            address: String::new(),
        };
        assert!(!state.is_running());
    }

    #[test]
    fn a_damaged_state_is_recognised() {
        assert!(State::parse("12 127.0.0.1:9092\n").is_some());
        for damaged in ["", "12", "twelve 127.0.0.1:9092"] {
            assert!(State::parse(damaged).is_none(), "{damaged:?}");
        }
    }
}
