//! The side of those who publish.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::area::Area;
use super::lane::{LaneError, Writer};
use super::local::Lock;
use super::process::Process;
use super::record::{self, Message, SocketId};
use super::sockets::SocketState;

/// The lane of this process. Its other threads wait meanwhile.
#[derive(Debug)]
pub(crate) struct Lane<'a> {
    area: &'a Area,
    writer: Writer<'a, AtomicU64, &'a [AtomicU64]>,
    _lock: Lock<'a>,
}

/// A message whose value is being written in place. Dropped, it never was.
#[derive(Debug)]
pub(crate) struct Draft<'l, 'a> {
    area: &'a Area,
    draft: record::Draft<'l, 'a, AtomicU64, &'a [AtomicU64]>,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Lane(LaneError),
    /// So many processes have lanes.
    NoLane {
        lanes: usize,
    },
    /// The socket has as many messages as it may have.
    SocketFull,
    /// The socket was unsubscribed.
    NoSocket,
}

impl Area {
    /// Publishes a message, and waits for room in the lane for up to so long.
    ///
    /// It looks again and again, with pauses from 50 µs to 5 ms: if the worker woke those who wait,
    /// it would have to ask after each record whether somebody does.
    #[inline]
    pub(crate) fn publish(&self, message: &Message<'_>, wait: Duration) -> Result<(), Refusal> {
        match self.try_publish(message) {
            Err(refusal) if !wait.is_zero() && refusal.may_pass() => {
                self.publish_within(message, wait)
            }
            result => result,
        }
    }

    #[inline]
    fn try_publish(&self, message: &Message<'_>) -> Result<(), Refusal> {
        self.lane()?.publish(message)
    }

    #[cold]
    fn publish_within(&self, message: &Message<'_>, wait: Duration) -> Result<(), Refusal> {
        let start = Instant::now();
        let mut pause = Duration::from_micros(50);
        loop {
            let left = wait.saturating_sub(start.elapsed());
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(5));
            match self.try_publish(message) {
                Err(refusal) if refusal.may_pass() && !left.is_zero() => {}
                result => return result,
            }
        }
    }

    /// The lane of this process, which it takes at the first use.
    #[inline]
    pub(crate) fn lane(&self) -> Result<Lane<'_>, Refusal> {
        let lock = self.local().lock();
        let seat = self.seat_of(&lock)?;
        Ok(Lane {
            area: self,
            writer: Writer::new(&self.seats()[seat].lane, self.lane_bytes(seat)),
            _lock: lock,
        })
    }

    /// Where this process sits, from the first time that it asks.
    pub(super) fn seat(&self) -> Result<usize, Refusal> {
        self.seat_of(&self.local().lock())
    }

    #[inline]
    fn seat_of(&self, lock: &Lock<'_>) -> Result<usize, Refusal> {
        match lock.seat() {
            Some(seat) => Ok(seat),
            None => self.take_seat(lock),
        }
    }

    #[cold]
    fn take_seat(&self, lock: &Lock<'_>) -> Result<usize, Refusal> {
        let this = Process::this().word();
        let free = self.seats().iter().position(|seat| {
            // Acquire: the worker has left the lane empty.
            let taken = seat
                .owner
                .compare_exchange(0, this, Ordering::Acquire, Ordering::Relaxed);
            taken.is_ok()
        });
        // The worker has to watch who came, or to look who is dead.
        self.ring();
        let lanes = self.seats().len();
        let seat = free.ok_or(Refusal::NoLane { lanes })?;
        lock.set_seat(seat);
        Ok(seat)
    }
}

impl<'a> Lane<'a> {
    #[inline]
    pub(crate) fn publish(&mut self, message: &Message<'_>) -> Result<(), Refusal> {
        let value = message.record.value;
        let bytes = value.unwrap_or_default();
        let mut draft = self.draft(message, bytes.len())?;
        draft.value()[..bytes.len()].copy_from_slice(bytes);
        draft.commit(value.map(<[u8]>::len));
        Ok(())
    }

    /// Begins a message that is as `message`, but for its value, which is still to be written: at
    /// most so many bytes.
    #[inline]
    pub(crate) fn draft(
        &mut self,
        message: &Message<'_>,
        most: usize,
    ) -> Result<Draft<'_, 'a>, Refusal> {
        let begun = self.check(message.socket).and_then(|()| {
            record::Draft::begin(&mut self.writer, message, most).map_err(Refusal::Lane)
        });
        let draft = begun.inspect_err(|_| self.area.sockets().count_refused(message.socket))?;
        let area = self.area;
        Ok(Draft { area, draft })
    }

    #[inline]
    fn check(&self, socket: SocketId) -> Result<(), Refusal> {
        match self.area.sockets().state(socket) {
            Some(SocketState::Open) => Ok(()),
            Some(SocketState::Full) => Err(Refusal::SocketFull),
            Some(SocketState::Closing) | None => Err(Refusal::NoSocket),
        }
    }
}

impl Draft<'_, '_> {
    /// Room for the value: as many bytes as were asked for, or some more.
    #[inline]
    pub(crate) fn value(&mut self) -> &mut [u8] {
        self.draft.value()
    }

    /// Publishes the message; its value is the first so many bytes, or none at all.
    ///
    /// # Panics
    /// There is no room for so many.
    #[inline]
    pub(crate) fn commit(self, value: Option<usize>) {
        self.draft.commit(value);
        self.area.after_leaving();
    }
}

impl Refusal {
    /// Whether the same message may be taken a little later.
    pub(crate) fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Lane(LaneError::Full) | Self::NoLane { .. } | Self::SocketFull
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lane(error) => error.fmt(f),
            Self::NoLane { lanes } => write!(
                f,
                "all {lanes} lanes are taken by other processes: make the area with more lanes"
            ),
            Self::SocketFull => f.write_str(
                "the socket has as many messages as it may have: its brokers lag behind",
            ),
            Self::NoSocket => f.write_str("the socket was unsubscribed"),
        }
    }
}

impl std::error::Error for Refusal {}
