//! The side of the worker: the one process that serves the lanes of all.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::area::Area;
use super::lane::{Broken, FRAME, Reader};
use super::outbox::{Asker, Outbox};
use super::process::Process;
use super::record::{Found, Message};

/// Serves all lanes in turn.
#[derive(Debug)]
pub(crate) struct Worker {
    area: Area,
    seats: Vec<Guest>,
    /// Which one is the first to be served.
    first: usize,
    /// Becomes ready when the worker is woken, or a process ends.
    poll: Epoll,
    /// The room of the record that is being looked at.
    record: Vec<u8>,
    socket_changes: u64,
    flushes: u64,
    outbox: Outbox,
    counters: WorkerCounters,
}

/// What a worker has seen since it was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkerCounters {
    /// Messages that were handed over.
    pub(crate) taken: u64,
    /// Records that were no messages.
    pub(crate) malformed: u64,
    /// Lanes that held nonsense, so that no more is read from them.
    pub(crate) broken: u64,
    /// Lanes whose process ended, and that others can take again.
    pub(crate) reclaimed: u64,
    /// Batches of reports that such a process had not read, or not to the end.
    pub(crate) unread: u64,
    /// How often the worker slept.
    pub(crate) naps: u64,
}

/// Why there is no worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttachError {
    /// That process serves the area.
    Attached {
        pid: i32,
    },
    System {
        what: &'static str,
        errno: Errno,
    },
}

/// Who sits at a seat, as far as the worker knows.
#[derive(Debug, Default)]
struct Guest {
    process: Option<Process>,
    reader: Reader,
    /// Becomes readable when the process ends.
    watch: Option<OwnedFd>,
    has_ended: bool,
    is_paused: bool,
}

/// The ready things of [`Worker::poll`]: a seat, or one of these.
const WOKEN: u64 = u64::MAX;
const OTHER: u64 = u64::MAX - 1;

/// How often it is looked whether processes live that cannot be watched.
const LOOK_AFTER: Duration = Duration::from_secs(1);

impl Worker {
    /// Makes this process the one that serves the area. If the one before is dead, this goes on
    /// where that one was.
    pub(crate) fn attach(area: &Area) -> Result<Self, AttachError> {
        become_worker(area)?;
        area.sockets().fail_held();
        let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map_err(AttachError::system("make an epoll descriptor"))?;
        let wake = EpollEvent::new(EpollFlags::EPOLLIN, WOKEN);
        poll.add(area.wake(), wake)
            .map_err(AttachError::system("wait for an eventfd"))?;
        let guest = |seat: &super::area::Seat| Guest {
            reader: Reader::new(&seat.lane),
            ..Guest::default()
        };
        Ok(Self {
            seats: area.seats().iter().map(guest).collect(),
            outbox: Outbox::new(area),
            area: area.clone(),
            first: 0,
            poll,
            record: Vec::new(),
            socket_changes: 0,
            flushes: 0,
            counters: WorkerCounters::default(),
        })
    }

    /// Where reports go out.
    pub(crate) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    pub(crate) fn counters(&self) -> WorkerCounters {
        self.counters
    }

    /// Hands over what the lanes hold, at most some `quantum` bytes of each: one record more than
    /// fits into that. How many it were; 0: there is nothing.
    pub(crate) fn serve(
        &mut self,
        quantum: usize,
        mut each: impl FnMut(Asker, &Message<'_>, &mut Outbox),
    ) -> usize {
        let lanes = self.seats.len();
        let before = self.counters.taken + self.counters.malformed;
        for seat in (self.first..lanes).chain(0..self.first) {
            self.serve_lane(seat, quantum, &mut each);
        }
        self.first = (self.first + 1) % lanes;
        (self.counters.taken + self.counters.malformed - before) as usize
    }

    /// Leaves the lane of a process alone until told otherwise, or until the process has ended.
    pub(crate) fn pause(&mut self, seat: u32, pause: bool) {
        self.seats[seat as usize].is_paused = pause;
    }

    /// Whether a socket was put into the table or closed since the last time that this was asked.
    pub(crate) fn have_sockets_changed(&mut self) -> bool {
        let changes = self.area.header().socket_changes.load(Ordering::Acquire);
        changes != std::mem::replace(&mut self.socket_changes, changes)
    }

    /// Whether a flush was asked for since the last time that this was asked.
    pub(crate) fn are_flushes_wanted(&mut self) -> bool {
        let flushes = self.area.header().flushes.load(Ordering::Acquire);
        flushes != std::mem::replace(&mut self.flushes, flushes)
    }

    /// Has [`Self::sleep`] end when this becomes readable, too.
    pub(crate) fn also_wait_for(&self, fd: impl AsFd) -> Result<(), Errno> {
        self.poll
            .add(fd, EpollEvent::new(EpollFlags::EPOLLIN, OTHER))
    }

    /// Waits until there is something to serve, a process that published ended, a descriptor of
    /// [`Self::also_wait_for`] is readable, or the time is over. Not at all if there is something.
    pub(crate) fn sleep(&mut self, at_most: Option<Duration>) -> Result<(), Errno> {
        let doorbell = &self.area.header().doorbell;
        doorbell.fall_asleep();
        let slept = if self.is_anything_there() {
            Ok(())
        } else {
            self.counters.naps += 1;
            self.wait(at_most)
        };
        self.area.header().doorbell.wake();
        slept
    }

    fn wait(&mut self, at_most: Option<Duration>) -> Result<(), Errno> {
        let unwatched = self.seats.iter().any(Guest::is_unwatched);
        let at_most = match (at_most, unwatched) {
            (Some(at_most), true) => Some(at_most.min(LOOK_AFTER)),
            (None, true) => Some(LOOK_AFTER),
            (at_most, false) => at_most,
        };
        let timeout = at_most.map_or(EpollTimeout::NONE, |at_most| {
            // Not a moment too early, or the last millisecond is spent awake.
            let millis = at_most.as_nanos().div_ceil(1_000_000);
            EpollTimeout::try_from(millis.min(i32::MAX as u128) as i32)
                .unwrap_or(EpollTimeout::NONE)
        });
        let mut ready = [EpollEvent::empty(); 32];
        let count = match self.poll.wait(&mut ready, timeout) {
            Err(Errno::EINTR) => 0,
            result => result?,
        };
        for event in &ready[..count] {
            match event.data() {
                WOKEN => drop(self.area.wake().read()),
                OTHER => {}
                seat => self.seats[seat as usize].has_ended = true,
            }
        }
        for guest in self.seats.iter_mut().filter(|guest| guest.is_unwatched()) {
            guest.has_ended = guest.process.is_some_and(|process| !process.is_alive());
        }
        Ok(())
    }

    fn is_anything_there(&mut self) -> bool {
        let changes = self.area.header().socket_changes.load(Ordering::Acquire);
        let mut seats = self.area.seats().iter().zip(&mut self.seats);
        changes != self.socket_changes
            || seats.any(|(seat, guest)| {
                let owner = Process::from_word(seat.owner.load(Ordering::Acquire));
                let is_served = owner.is_some() && !guest.is_paused;
                let has_more = is_served && guest.reader.is_ready(&seat.lane);
                owner != guest.process || has_more || guest.has_ended
            })
    }

    #[inline]
    fn serve_lane(
        &mut self,
        seat: usize,
        quantum: usize,
        each: &mut impl FnMut(Asker, &Message<'_>, &mut Outbox),
    ) {
        let Some(process) = self.guest_at(seat) else {
            return;
        };
        let lane = &self.area.seats()[seat].lane;
        let bytes = self.area.lane_bytes(seat);
        let guest = &mut self.seats[seat];
        if guest.is_paused && !guest.has_ended {
            return;
        }
        let asker = Asker {
            seat: seat as u32,
            process,
        };
        let mut served = 0;
        while served < quantum {
            match guest.reader.take(lane, &bytes, &mut self.record) {
                Ok(Some(record)) => {
                    // Empty ones count, too, or they could keep the worker here for ever.
                    served += record.len() + FRAME;
                    match Found::decode(record) {
                        Some(found) => {
                            self.counters.taken += 1;
                            each(asker, &found.message(), &mut self.outbox);
                        }
                        None => self.counters.malformed += 1,
                    }
                }
                Ok(None) => {
                    if guest.has_ended {
                        self.give_back(seat);
                    }
                    return;
                }
                Err(Broken) => {
                    self.counters.broken += 1;
                    return;
                }
            }
        }
    }

    /// Who sits there. Somebody new is watched from now on.
    #[inline]
    fn guest_at(&mut self, seat: usize) -> Option<Process> {
        let owner = self.area.seats()[seat].owner.load(Ordering::Acquire);
        let process = Process::from_word(owner)?;
        if self.seats[seat].process != Some(process) {
            self.watch(seat, process);
        }
        Some(process)
    }

    #[cold]
    fn watch(&mut self, seat: usize, process: Process) {
        let guest = &mut self.seats[seat];
        guest.process = Some(process);
        match process.watch() {
            Ok(None) => guest.has_ended = true,
            Ok(Some(fd)) => {
                let ended = EpollEvent::new(EpollFlags::EPOLLIN, seat as u64);
                let watched = self.poll.add(&fd, ended);
                guest.watch = watched.is_ok().then_some(fd);
            }
            // Then it is looked for now and then.
            Err(_) => {}
        }
    }

    /// Lets another process have the seat, as this one has ended and its lane is empty.
    #[cold]
    fn give_back(&mut self, seat: usize) {
        let shared = &self.area.seats()[seat];
        let mut guest = std::mem::take(&mut self.seats[seat]);
        if let Some(watch) = &guest.watch {
            // Closing is not enough where this process has forked: its child has the same.
            let _ = self.poll.delete(watch);
        }
        // Before somebody else sits there, for whom they are not.
        self.counters.unread += self.outbox.forget(seat) as u64;
        guest.reader.clear(&shared.lane);
        // Release: whoever takes the seat finds its lane empty.
        shared.owner.store(0, Ordering::Release);
        self.counters.reclaimed += 1;
    }
}

fn become_worker(area: &Area) -> Result<(), AttachError> {
    let worker = &area.header().worker;
    let this = Process::this().word();
    loop {
        let before = worker.load(Ordering::Acquire);
        if let Some(process) = Process::from_word(before).filter(|process| process.is_alive()) {
            let pid = process.pid().as_raw();
            return Err(AttachError::Attached { pid });
        }
        let attached = worker.compare_exchange(before, this, Ordering::AcqRel, Ordering::Relaxed);
        if attached.is_ok() {
            return Ok(());
        }
    }
}

impl Guest {
    fn is_unwatched(&self) -> bool {
        self.process.is_some() && self.watch.is_none() && !self.has_ended
    }
}

/// Another one can be attached, even in this process.
impl Drop for Worker {
    fn drop(&mut self) {
        let this = Process::this().word();
        let worker = &self.area.header().worker;
        // A forked child that has a copy of us must not.
        let _ = worker.compare_exchange(this, 0, Ordering::Release, Ordering::Relaxed);
    }
}

impl AttachError {
    fn system(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System { what, errno }
    }
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attached { pid } => {
                write!(f, "process {pid} serves this area: one does at a time")
            }
            Self::System { what, errno } => write!(f, "cannot {what}: {}", errno.desc()),
        }
    }
}

impl std::error::Error for AttachError {}
