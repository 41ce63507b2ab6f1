//! Brokers in containers, for machines that have a container daemon.

use std::process::Command;

use xtask::{Result, workspace_root};

use crate::command::{run, succeeds};

/// The brokers of `tests/compose.yaml`: name and address.
pub(crate) const BROKERS: [(&str, &str); 2] = [
    ("Apache Kafka", "127.0.0.1:19092"),
    ("Redpanda", "127.0.0.1:29092"),
];

/// The containers of `tests/compose.yaml`, running until this is dropped.
#[derive(Debug)]
pub(crate) struct Containers;

impl Containers {
    /// Starts them and waits until they are healthy; `None` where no daemon answers.
    pub(crate) fn start() -> Result<Option<Self>> {
        let daemon = succeeds(Command::new("docker").args(["info", "--format", "{{.ID}}"]));
        if !daemon || !succeeds(&mut compose(&["version"])) {
            return Ok(None);
        }
        // Made first, so that a start that fails half-way is cleared away, too.
        let containers = Self;
        run(&mut compose(&["up", "--detach", "--wait"]))?;
        Ok(Some(containers))
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        if let Err(error) = run(&mut compose(&["down", "--volumes"])) {
            eprintln!("containers may be left over: {error}");
        }
    }
}

fn compose(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command
        .args(["compose", "--file", "tests/compose.yaml"])
        .args(arguments);
    command.current_dir(workspace_root());
    command
}
