//! The bytes of a connection, as the faults let them pass.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{self, Instant};

use crate::fault::{Habits, Pace};
use crate::state::Shared;

/// Kafka's `socket.request.max.bytes`.
const LARGEST_REQUEST: usize = 100 * 1024 * 1024;
/// Room for one read.
const READ: usize = 16 * 1024;
/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) struct Wire {
    stream: TcpStream,
    /// What has arrived and is not taken yet.
    received: BytesMut,
    connection: u64,
    shared: Arc<Shared>,
    faults: watch::Receiver<u64>,
    habits: Habits,
    next_read: Option<Instant>,
    next_write: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Some,
    /// The client sends no more.
    End,
    /// Faults came or went; nothing was read.
    Interrupted,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, connection: u64, shared: Arc<Shared>) -> Self {
        let _ = stream.set_nodelay(true);
        let mut wire = Self {
            stream,
            received: BytesMut::new(),
            connection,
            faults: shared.look(|state| state.faults.watch()),
            shared,
            habits: Habits::default(),
            next_read: None,
            next_write: None,
        };
        wire.update();
        wire
    }

    /// As they are now.
    pub(super) fn habits(&mut self) -> &Habits {
        if self.faults.has_changed().unwrap_or(false) {
            self.faults.mark_unchanged();
            self.update();
        }
        &self.habits
    }

    /// The next request that is there in full, without its length; the error says why it is none.
    pub(super) fn take_request(&mut self) -> Result<Option<Bytes>, String> {
        let Some(mut length) = self.received.get(..4) else {
            return Ok(None);
        };
        let length = length.get_u32() as usize;
        if length > LARGEST_REQUEST {
            return Err(format!("a request of {length} bytes"));
        }
        if self.received.len() - 4 < length {
            return Ok(None);
        }
        self.received.advance(4);
        Ok(Some(self.received.split_to(length).freeze()))
    }

    /// What has arrived and is not taken.
    pub(super) fn backlog(&self) -> usize {
        self.received.len()
    }

    /// How many requests have arrived in full and are not taken.
    pub(super) fn waiting(&self) -> usize {
        let mut rest = &self.received[..];
        let mut count = 0;
        while let Some((length, after)) = rest.split_at_checked(4) {
            let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
            let Some(next) = after.get(length..) else {
                break;
            };
            rest = next;
            count += 1;
        }
        count
    }

    pub(super) fn discard(&mut self) {
        self.received.clear();
    }

    /// Takes in some of what has arrived. Nothing is lost when this is dropped.
    pub(super) async fn read(&mut self) -> io::Result<Read> {
        let habits = self.habits();
        let (never, pace) = (habits.never_read, habits.slow_read);
        let pause = rest(pace.and(self.next_read));
        let ready = async {
            if never {
                std::future::pending::<()>().await;
            }
            pause.await;
        };
        // Grows with what arrives, whatever was announced.
        self.received.reserve(READ);
        let mut room = (&mut self.received).limit(pace.map_or(usize::MAX, |pace| pace.bytes));
        let read = tokio::select! {
            // What was injected before the bytes were sent befalls them.
            biased;
            _ = self.faults.changed() => None,
            read = async {
                ready.await;
                self.stream.read_buf(&mut room).await
            } => Some(read?),
        };
        Ok(match read {
            None => {
                self.update();
                Read::Interrupted
            }
            Some(0) => Read::End,
            Some(_) => {
                self.next_read = pace.map(after);
                Read::Some
            }
        })
    }

    pub(super) async fn write(&mut self, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            let Some(pace) = self.habits().slow_write else {
                return self.stream.write_all(&mem::take(&mut bytes)).await;
            };
            let paused = self.next_write.is_some_and(|until| until > Instant::now());
            if paused {
                tokio::select! {
                    biased;
                    _ = self.faults.changed() => self.update(),
                    () = rest(self.next_write) => {}
                }
                continue;
            }
            let part = bytes.split_to(pace.bytes.min(bytes.len()));
            self.stream.write_all(&part).await?;
            self.next_write = Some(after(pace));
        }
        Ok(())
    }

    /// Ends the stream of answers.
    pub(super) async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// The client sees an orderly end. Bytes that nobody read would turn it into a reset.
    pub(super) fn close(self) {
        let mut rest = [0; READ];
        while matches!(self.stream.try_read(&mut rest), Ok(1..)) {}
    }

    pub(super) fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }

    fn update(&mut self) {
        let connection = self.connection;
        self.habits = self.shared.look(|state| state.faults.habits(connection));
    }
}

fn after(pace: Pace) -> Instant {
    Instant::now() + pace.pause.min(FOREVER)
}

async fn rest(until: Option<Instant>) {
    if let Some(until) = until {
        time::sleep_until(until).await;
    }
}
