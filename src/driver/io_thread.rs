//! The one I/O thread: it owns the engine and joins it to sockets and timers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, mpsc};

use kafka_engine::accumulator::Accumulator;
use kafka_engine::compression::Done;
use kafka_engine::settings::Settings;
use kafka_engine::time::{Clock, Time};
use kafka_engine::{ConnId, Engine, Event, Purge, Undelivered};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::clock::SystemClock;
use super::compression::Compression;
use super::connection::{self, End};
use super::resolver::Resolver;

/// What other threads ask of the I/O thread.
#[derive(Debug)]
pub(super) enum Command {
    Purge(Purge, mpsc::Sender<()>),
    Close(mpsc::Sender<Vec<Undelivered>>),
}

/// The engine as the tasks of the I/O thread share it.
pub(super) struct Turn {
    engine: RefCell<Engine>,
    rouse: Arc<Notify>,
    accumulator: Arc<Accumulator>,
    resolver: Resolver,
}

impl Turn {
    /// Tells the engine something, and has the main task look at what follows.
    pub(super) fn with<T>(&self, tell: impl FnOnce(&mut Engine, Time) -> T) -> T {
        let told = tell(&mut self.engine.borrow_mut(), SystemClock.now());
        self.rouse.notify_one();
        told
    }

    pub(super) fn settings(&self) -> &Settings {
        self.accumulator.settings()
    }

    pub(super) fn resolver(&self) -> &Resolver {
        &self.resolver
    }
}

/// Runs the engine until it is closed.
pub(super) fn run(
    runtime: tokio::runtime::Runtime,
    accumulator: Arc<Accumulator>,
    rouse: Arc<Notify>,
    commands: UnboundedReceiver<Command>,
) {
    let turn = Rc::new(Turn {
        engine: RefCell::new(Engine::new(&accumulator, fastrand::u64(..))),
        rouse,
        resolver: Resolver::new(&accumulator),
        accumulator,
    });
    let (done, compressed) = unbounded_channel();
    let threads = turn.settings().compression_threads;
    let thread = IoThread {
        turn,
        links: HashMap::new(),
        compression: Compression::new(threads, done),
    };
    LocalSet::new().block_on(&runtime, thread.run(commands, compressed));
    // A resolver that hangs must not hold up the end.
    runtime.shutdown_background();
}

struct IoThread {
    turn: Rc<Turn>,
    links: HashMap<ConnId, Link>,
    compression: Compression,
}

/// A connection's task.
struct Link {
    output: Rc<Notify>,
    end: CancellationToken,
}

impl IoThread {
    async fn run(
        mut self,
        mut commands: UnboundedReceiver<Command>,
        mut compressed: UnboundedReceiver<Done>,
    ) {
        loop {
            let Some(next) = self.advance() else {
                // Busy publishers must not keep the sockets waiting.
                tokio::task::yield_now().await;
                continue;
            };
            tokio::select! {
                () = self.turn.rouse.notified() => {}
                () = sleep_until(next) => {}
                Some(done) = compressed.recv() => {
                    self.turn.engine.borrow_mut().compressed(done, SystemClock.now());
                }
                command = commands.recv() => match command {
                    Some(Command::Purge(purge, done)) => {
                        self.turn.engine.borrow_mut().purge(purge, SystemClock.now());
                        let _ = done.send(());
                    }
                    Some(Command::Close(done)) => {
                        let undelivered =
                            self.turn.engine.borrow_mut().close(SystemClock.now());
                        let _ = done.send(undelivered);
                        return self.disconnect_all();
                    }
                    None => return self.disconnect_all(),
                },
            }
        }
    }

    /// Does what is due, and returns when something is due next.
    fn advance(&mut self) -> Option<Time> {
        let mut engine = self.turn.engine.borrow_mut();
        engine.advance(SystemClock.now());
        while let Some(event) = engine.poll_event() {
            match event {
                Event::Connect { conn, endpoint } => {
                    let link = Link {
                        output: Rc::default(),
                        end: CancellationToken::new(),
                    };
                    let (turn, output) = (Rc::clone(&self.turn), Rc::clone(&link.output));
                    let end = link.end.clone();
                    tokio::task::spawn_local(async move {
                        let run = connection::run(&turn, conn, &endpoint, &output);
                        match end.run_until_cancelled(run).await {
                            None => {}
                            Some(End::Closed(reason)) => {
                                turn.with(|engine, now| engine.closed(conn, &reason, now));
                            }
                            Some(End::Garbled(error)) => {
                                let what = error.to_string();
                                turn.with(|engine, now| engine.garbled(conn, &what, now));
                            }
                        }
                    });
                    self.links.insert(conn, link);
                }
                Event::Disconnect { conn } => {
                    if let Some(link) = self.links.remove(&conn) {
                        link.end.cancel();
                    }
                }
            }
        }
        while let Some(conn) = engine.poll_sendable() {
            if let Some(link) = self.links.get(&conn) {
                link.output.notify_one();
            }
        }
        while let Some(job) = engine.poll_job() {
            self.compression.submit(job);
        }
        engine.rest()
    }

    fn disconnect_all(self) {
        self.links.into_values().for_each(|link| link.end.cancel());
    }
}

async fn sleep_until(time: Time) {
    if time == Time::NEVER {
        return std::future::pending().await;
    }
    tokio::time::sleep(time.since(SystemClock.now())).await;
}
