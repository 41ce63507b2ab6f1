//! `cargo xtask kafka up` and `down`: a node for hands-on work that outlives the command.

use std::fs::{self, File};
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
    let place = Place::enter()?;
    if let Some(state) = place.running_node()? {
        println!(
            "Kafka is up already: {} (process {})",
            state.address, state.pid
        );
        return Ok(());
    }
    let layout = Layout {
        folder: place.folder.clone(),
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
    place.save(&state)?;
    if let Err(error) = ready::wait(&layout, &mut child) {
        place.stop(&state)?;
        return Err(error);
    }
    print_usage(&state, &layout);
    Ok(())
}

/// Stops the node that [`up`] started. Its data stays for the next [`up`].
pub fn down() -> Result<()> {
    let place = Place::enter()?;
    match place.running_node()? {
        None => println!("no Kafka of `cargo xtask kafka up` is running"),
        Some(state) => {
            place.stop(&state)?;
            println!("Kafka at {} is down", state.address);
        }
    }
    Ok(())
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

/// The one folder of the node, held against every other `up` and `down` while this lives: two nodes
/// on the same data would destroy it.
struct Place {
    /// Without symbolic links, so that a node is recognised whichever way leads to it.
    folder: PathBuf,
    _lock: File,
}

impl Place {
    fn enter() -> Result<Self> {
        let folder = kafka_folder().join("up");
        let opening = || Error::io(format!("opening {}", folder.display()));
        fs::create_dir_all(&folder).map_err(opening())?;
        let folder = folder.canonicalize().map_err(opening())?;
        let lock = File::create(folder.join("lock")).map_err(opening())?;
        lock.lock().map_err(opening())?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The node that [`Self::save`] noted, if it still runs.
    fn running_node(&self) -> Result<Option<State>> {
        let path = self.state_file();
        if !path.exists() {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&path).map_err(Error::io(format!("reading {}", path.display())))?;
        let state = State::parse(&text)
            .ok_or_else(|| Error::Failed(format!("{} is damaged: remove it", path.display())))?;
        Ok(self.is_node(state.pid).then_some(state))
    }

    fn save(&self, state: &State) -> Result<()> {
        let path = self.state_file();
        fs::write(&path, format!("{} {}\n", state.pid, state.address))
            .map_err(Error::io(format!("writing {}", path.display())))
    }

    fn stop(&self, state: &State) -> Result<()> {
        let gone = || Ok(!self.is_node(state.pid));
        process::signal(state.pid, Signal::TERM)?;
        if !process::wait_until_gone(gone)? {
            process::signal(state.pid, Signal::KILL)?;
            process::wait_until_gone(gone)?;
        }
        let path = self.state_file();
        fs::remove_file(&path).map_err(Error::io(format!("removing {}", path.display())))
    }

    /// Whether the process is a node in this folder: its id may have gone to somebody else.
    fn is_node(&self, pid: u32) -> bool {
        let properties = self.folder.join("server.properties");
        let properties = properties.as_os_str().as_encoded_bytes();
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command_line
            .split(|byte| *byte == 0)
            .any(|argument| argument == properties)
    }

    fn state_file(&self) -> PathBuf {
        self.folder.join("running")
    }
}

/// Which process `up` started, kept in a file for `down`.
struct State {
    pid: u32,
    address: String,
}

impl State {
    fn parse(text: &str) -> Option<Self> {
        let (pid, address) = text.trim_end().split_once(' ')?;
        Some(Self {
            pid: pid.parse().ok()?,
            address: address.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_our_node_is_never_taken_for_it() {
        let folder = std::env::temp_dir();
        let lock = File::open(&folder).unwrap();
        let place = Place {
            folder,
            _lock: lock,
        };
        assert!(!place.is_node(std::process::id()));
    }

    #[test]
    fn a_damaged_state_is_recognised() {
        assert!(State::parse("12 127.0.0.1:9092\n").is_some());
        for damaged in ["", "12", "twelve 127.0.0.1:9092"] {
            assert!(State::parse(damaged).is_none(), "{damaged:?}");
        }
    }
}
