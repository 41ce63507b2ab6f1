use std::net::SocketAddr;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;

use super::layout::Layout;
use super::process::{Supervised, format};
use super::{ports, ready};
use crate::{Error, Result, kafka_folder};

/// A single-node cluster on loopback that belongs to the process that started it.
///
/// Dropping it kills it and removes its data; its log stays below `target/kafka`. Should its owner die
/// without dropping it (a panic in another thread, `kill -9`), a watchdog does the same.
#[derive(Debug)]
pub struct Node {
    layout: Layout,
    /// `None` while the node is stopped.
    process: Option<Supervised>,
}

impl Node {
    /// Starts a node with empty storage on free ports and waits until it can be worked with (about
    /// 6 s on 2 cores).
    pub fn start() -> Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = kafka_folder()
            .join("nodes")
            .join(format!("{}-{number}", process::id()));
        let layout = Layout {
            folder,
            client_port: ports::free()?,
            controller_port: ports::free()?,
            partitions: 4,
        };
        // A process before us may have had our id and died before it could clean up.
        layout.remove_data()?;
        layout.write()?;
        format(&layout)?;

        let mut node = Self {
            layout,
            process: None,
        };
        node.restart()?;
        Ok(node)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.layout.address()
    }

    /// The process id, or `None` while the node is stopped.
    pub fn process_id(&mut self) -> Option<u32> {
        Some(self.process.as_mut()?.child().id())
    }

    /// Stops the node in an orderly way (SIGTERM) and waits until it is gone. Its data stays.
    pub fn stop(&mut self) -> Result<()> {
        self.end(Signal::TERM)
    }

    /// Kills the node (SIGKILL) as a crash would. Its data stays as it is.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::KILL)
    }

    /// Starts the node again on the same address and data, after stopping it if it runs, and waits
    /// until it can be worked with.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        let process = self.process.insert(Supervised::start(&self.layout)?);
        ready::wait(&self.layout, process.child())
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        self.process
            .take()
            .map_or(Ok(()), |process| process.end(signal))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let ended = self.kill().and_then(|()| self.layout.remove_data());
        if let Err(error) = ended {
            report_leftover(&error);
        }
    }
}

/// Dropping must not panic, and a leftover must not pass in silence.
fn report_leftover(error: &Error) {
    eprintln!("a Kafka node may be left over: {error}");
}
