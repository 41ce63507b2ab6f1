//! Joins the engine to the world: one I/O thread, its sockets, its clock.

mod clock;
mod compression;
mod connection;
mod frame;
mod io_thread;
mod resolver;
#[cfg(test)]
mod tests;
mod wait;

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use kafka_engine::accumulator::{Accumulator, Wake};
use kafka_engine::{Purge, Undelivered};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

pub(crate) use clock::SystemClock;
use io_thread::Command;
pub(crate) use wait::{block_on, wait_for};

/// A running I/O thread, from outside.
#[derive(Debug)]
pub(crate) struct Driver {
    rouse: Arc<Notify>,
    commands: UnboundedSender<Command>,
    thread: JoinHandle<()>,
}

impl Driver {
    pub(crate) fn start(accumulator: &Arc<Accumulator>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let rouse = Arc::new(Notify::new());
        let (commands, received) = unbounded_channel();
        let (accumulator, roused) = (Arc::clone(accumulator), Arc::clone(&rouse));
        let thread = thread::Builder::new()
            .name("event-kafka".into())
            .spawn(move || io_thread::run(runtime, accumulator, roused, received))?;
        Ok(Self {
            rouse,
            commands,
            thread,
        })
    }

    pub(crate) fn rouser(&self) -> Rouser {
        Rouser(Arc::clone(&self.rouse))
    }

    pub(crate) fn purge(&self, purge: Purge) {
        let (done, purged) = mpsc::channel();
        if self.commands.send(Command::Purge(purge, done)).is_ok() {
            // An error means that the thread has ended, and with it all that could be purged.
            let _ = purged.recv();
        }
    }

    /// Ends the I/O thread; what was not delivered fails and is returned.
    pub(crate) fn close(self) -> Vec<Undelivered> {
        let (done, closed) = mpsc::channel();
        let sent = self.commands.send(Command::Close(done));
        // The last handle may go on the I/O thread itself, with the future of a message.
        if sent.is_err() || thread::current().id() == self.thread.thread().id() {
            return Vec::new();
        }
        let undelivered = closed.recv().unwrap_or_default();
        // A panic there has been reported by its own hook.
        let _ = self.thread.join();
        undelivered
    }
}

/// Rouses the I/O thread, from any thread and without a lock.
#[derive(Clone, Debug)]
pub(crate) struct Rouser(Arc<Notify>);

impl Rouser {
    pub(crate) fn rouse(&self, wake: Wake) {
        if wake == Wake::Yes {
            self.0.notify_one();
        }
    }
}
