//! The threads of a `publish` and what they tell each other.
//!
//! One thread reads and publishes, one takes reports, one waits for signals, and this one listens
//! to them all. None is joined: the first may be blocked in a read for ever when Ctrl-C comes.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use event_kafka::Producer;

use super::input::Input;
use super::publisher::Publisher;
use super::reporter::Reporter;
use crate::console::{Console, Progress};
use crate::error::{Error, Exit};
use crate::interrupt;

pub(super) struct Session {
    producer: Producer,
    reporter: Arc<Reporter>,
    console: Console,
    progress: Progress,
    stop: Arc<AtomicBool>,
    inbox: Receiver<Event>,
    /// Reports written so far.
    reported: u64,
}

enum Event {
    /// The input has ended, and all that was accepted is settled.
    Published(Result<(), Error>),
    /// So many more reports were written.
    Reported(u64),
    Interrupted,
    /// A thread that others wait for is gone.
    Panicked(Box<dyn Any + Send>),
}

impl Session {
    pub(super) fn begin(
        publisher: Publisher,
        input: Input,
        console: &Console,
    ) -> Result<Self, Error> {
        let (events, inbox) = mpsc::channel();
        let session = Self {
            producer: publisher.producer.clone(),
            reporter: Arc::clone(&publisher.reporter),
            console: console.clone(),
            progress: console.progress(input.count()),
            stop: Arc::clone(&publisher.stop),
            inbox,
            reported: 0,
        };
        if input.is_typed() {
            console.line("every line is a message; Ctrl-D ends");
        }
        let interrupted = events.clone();
        interrupt::watch(move || send(&interrupted, Event::Interrupted)).map_err(Error::Signals)?;
        session.take_reports(events.clone());
        spawn(events, |events| {
            send(events, Event::Published(publisher.run(input)));
        });
        Ok(session)
    }

    /// Waits until everything is settled and reported, or until somebody interrupts.
    pub(super) fn end(mut self) -> Result<Exit, Error> {
        let mut published = None;
        while published.is_none() || !self.is_reported() {
            match self.next_event() {
                Some(Event::Published(result)) => published = Some(result),
                Some(Event::Reported(count)) => self.reported += count,
                Some(Event::Interrupted) => return Ok(self.give_up()),
                Some(Event::Panicked(panic)) => panic::resume_unwind(panic),
                None => {}
            }
            self.progress.update(&self.producer.balance());
        }
        self.progress.end();
        published.unwrap_or(Ok(()))?;
        Ok(self.conclude())
    }

    fn take_reports(&self, events: Sender<Event>) {
        let (reports, reporter) = (self.producer.reports(), Arc::clone(&self.reporter));
        spawn(events, move |events| {
            loop {
                let count = reporter.settle_all(reports.wait(Duration::MAX));
                send(events, Event::Reported(count));
            }
        });
    }

    fn next_event(&self) -> Option<Event> {
        self.inbox
            .recv_timeout(self.progress.next_update().unwrap_or(Duration::MAX))
            .ok()
    }

    /// Whether a report was written for everything that is settled and to be reported.
    fn is_reported(&self) -> bool {
        self.reported >= self.reporter.expected(&self.producer.balance())
    }

    fn conclude(&self) -> Exit {
        if let Some(error) = self.reporter.output_error() {
            self.console.line(&format!(
                "cannot write reports: {error}; all messages were tried"
            ));
            return Exit::SomeFailed;
        }
        let (refused, balance) = (self.reporter.refused(), self.producer.balance());
        let failed = refused + balance.failed;
        if failed == 0 {
            return Exit::Well;
        }
        if let Some(hint) = self.reporter.where_failures_are_named() {
            let total = refused + balance.accepted;
            self.console
                .line(&format!("{failed} of {total} messages failed; {hint}"));
        }
        Exit::SomeFailed
    }

    fn give_up(mut self) -> Exit {
        self.stop.store(true, Ordering::Relaxed);
        self.progress.end();
        let waiting = self.producer.balance().held;
        if waiting > 0 {
            let grace = GRACE.as_secs();
            self.console.line(&format!(
                "interrupted; {grace} s more for what was accepted ({waiting}), Ctrl-C ends at once"
            ));
        }
        match self.producer.clone().close(GRACE) {
            Ok(()) => self
                .console
                .line("interrupted; all accepted messages are settled"),
            Err(error) => {
                for left in &error.undelivered {
                    self.console
                        .line(&format!("interrupted; not delivered: {left}"));
                }
            }
        }
        self.write_last_reports();
        Exit::Interrupted
    }

    /// Reports of what closing has settled are still on their way to standard output, whose reader
    /// may be slow or stopped.
    fn write_last_reports(&mut self) {
        let deadline = Instant::now() + LAST_REPORTS;
        while !self.is_reported() {
            match self
                .inbox
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(Event::Reported(count)) => self.reported += count,
                Ok(Event::Published(_) | Event::Interrupted) => {}
                Ok(Event::Panicked(_)) | Err(_) => return,
            }
        }
    }
}

/// A panic is passed on: the main thread would wait for ever for what does not come any more. It
/// ends the process, so nobody sees what was left half done.
fn spawn(events: Sender<Event>, work: impl FnOnce(&Sender<Event>) + Send + 'static) {
    thread::spawn(move || {
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| work(&events))) {
            send(&events, Event::Panicked(panic));
        }
    });
}

/// The main thread listens until it leaves, and then the process is over.
fn send(events: &Sender<Event>, event: Event) {
    let _ = events.send(event);
}

/// What was accepted has this long to be delivered after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);
const LAST_REPORTS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::{self, BufReader, Read};

    use super::*;
    use crate::publish::Report;
    use crate::publish::publisher::Envelope;

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("the reader is broken")
        }
    }

    #[test]
    #[should_panic(expected = "the reader is broken")]
    fn a_panic_while_publishing_is_not_waited_out() {
        let builder = Producer::builder().set("bootstrap.servers", "127.0.0.1:1");
        let producer = builder.unwrap().start().unwrap();
        let console = Console::new();
        let publisher = Publisher {
            topic: producer.topic("t").unwrap(),
            producer,
            envelope: Envelope::default(),
            reporter: Arc::new(Reporter::new(Report::Errors, "t", console.clone())),
            stop: Arc::default(),
        };
        let input = Input::Lines {
            name: "test".into(),
            reader: Box::new(BufReader::new(Broken)),
            limit: 1000,
            typed: false,
        };
        let _ = Session::begin(publisher, input, &console).unwrap().end();
    }
}
