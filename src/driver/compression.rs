//! The threads that compress batches: started with the first one, ended with the I/O thread.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::{io, thread};

use kafka_engine::compression::{Done, Job};
use kafka_wire::compression::Compressor;
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

/// Where jobs go, oldest first.
pub(super) struct Compression {
    threads: usize,
    jobs: Option<Sender<Job>>,
    done: UnboundedSender<Done>,
}

impl Compression {
    /// Results go to `done`, in any order.
    pub(super) fn new(threads: usize, done: UnboundedSender<Done>) -> Self {
        Self {
            threads,
            jobs: None,
            done,
        }
    }

    /// Has a batch compressed. Where there can be no thread for it, it comes back as it is.
    pub(super) fn submit(&mut self, job: Job) {
        let refused = match self.sender() {
            Ok(jobs) => match jobs.send(job) {
                Ok(()) => return,
                Err(mpsc::SendError(job)) => job.fail("the threads for it have ended"),
            },
            Err(error) => job.fail(format!("there is no thread for it: {error}")),
        };
        // The I/O thread itself receives it.
        let _ = self.done.send(refused);
    }

    fn sender(&mut self) -> io::Result<&Sender<Job>> {
        let jobs = match self.jobs.take() {
            Some(jobs) => jobs,
            None => self.start()?,
        };
        Ok(self.jobs.insert(jobs))
    }

    fn start(&self) -> io::Result<Sender<Job>> {
        let (jobs, received) = mpsc::channel();
        let received = Arc::new(Mutex::new(received));
        for _ in 0..self.threads {
            let (received, done) = (Arc::clone(&received), self.done.clone());
            thread::Builder::new()
                .name("kafka-compress".into())
                .spawn(move || run(&received, &done))?;
        }
        Ok(jobs)
    }
}

/// Compresses until the I/O thread is gone.
fn run(jobs: &Mutex<Receiver<Job>>, done: &UnboundedSender<Done>) {
    let mut compressor = Compressor::new();
    // Whoever has the lock waits for the next job; the others wait for the lock.
    let next = || jobs.lock().recv();
    while let Ok(job) = next() {
        if done.send(job.run(&mut compressor)).is_err() {
            return;
        }
    }
}
