//! The area: one mapping that is made before the host forks, and that all its processes use.
//!
//! ```text
//! header | seats: who, and where it is in its lane | sockets | their texts
//! report slots: states | report slots: bytes | lanes: bytes
//! ```
//!
//! Sizes and places of things are kept by each process for itself: no process can make another one
//! reach beside them.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::doorbell::Doorbell;
use super::lane::Control;
use super::local::Local;
use super::mapping::{Mapping, Shareable};
use super::memory::{Padded, UNIT, round_up};
use super::slots::Slots;
use super::sockets::Slot as SocketSlot;
use super::totals::Totals;

/// How large an area is. It takes memory as it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// How many processes can publish and take reports at a time, 1 to 4095.
    pub(crate) lanes: usize,
    /// Bytes of each lane, rounded up to a power of two: 4 KiB to 1 GiB. A message takes at most
    /// half of it.
    pub(crate) lane_bytes: usize,
    /// How many sockets there can be at a time, 1 to 65536.
    pub(crate) sockets: usize,
    /// Bytes of the longest text of a socket, rounded up to a multiple of 8: up to 1 MiB.
    pub(crate) socket_bytes: usize,
    /// How many batches of up to 16 reports can wait for their readers, 2 to 65536. As many as there
    /// are processes, and some more, let all of them read at the same time.
    pub(crate) report_slots: usize,
    /// Bytes of a batch, rounded up to a multiple of 8: 1 KiB to 16 MiB. A report that is larger
    /// lacks the end of its message.
    pub(crate) report_bytes: usize,
}

/// The area, as each process inherits it. A clone is another reference.
#[derive(Clone, Debug)]
pub(crate) struct Area(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sizes: Sizes,
    places: Places,
    shared: Mapping,
    local: Local,
    /// Wakes the worker.
    wake: EventFd,
    /// Tell those who sit there of reports.
    bells: Vec<EventFd>,
}

/// Why there is no area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AreaError {
    Size {
        what: &'static str,
        given: usize,
        least: usize,
        most: usize,
    },
    /// All together are more than there can be.
    TooLarge,
    System {
        what: &'static str,
        errno: Errno,
    },
}

/// What there is once.
#[repr(C)]
pub(super) struct Header {
    /// The process that serves, as a [`super::process::Process`].
    pub(super) worker: Padded<AtomicU64>,
    pub(super) doorbell: Doorbell<AtomicU64>,
    /// How often a socket was put into the table or closed.
    pub(super) socket_changes: Padded<AtomicU64>,
    /// Where the worker waits for a free slot for reports.
    pub(super) report_room: Doorbell<AtomicU64>,
    pub(super) totals: Totals,
    /// How often a flush was asked for.
    pub(super) flushes: Padded<AtomicU64>,
}

/// What there is for each process.
#[repr(C)]
pub(super) struct Seat {
    /// The process that has it, as a [`super::process::Process`].
    pub(super) owner: Padded<AtomicU64>,
    pub(super) lane: Control<AtomicU64>,
}

// SAFETY: atomic words all of them.
unsafe impl Shareable for Header {}
// SAFETY: as before.
unsafe impl Shareable for Seat {}
// SAFETY: as before.
unsafe impl Shareable for AtomicU64 {}

/// Where things begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    seats: usize,
    sockets: usize,
    socket_texts: usize,
    report_states: usize,
    reports: usize,
    lanes: usize,
    end: NonZeroUsize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            lanes: 64,
            lane_bytes: 1 << 20,
            sockets: 256,
            socket_bytes: 2048,
            report_slots: 256,
            report_bytes: 64 << 10,
        }
    }
}

impl Area {
    /// Makes an area, for this process and the children that it forks from now on.
    pub(crate) fn create(sizes: &Sizes) -> Result<Self, AreaError> {
        let sizes = sizes.checked()?;
        let places = Places::of(&sizes).ok_or(AreaError::TooLarge)?;
        let memory = AreaError::system("get shared memory");
        Ok(Self(Arc::new(Inner {
            sizes,
            places,
            shared: Mapping::shared(places.end).map_err(memory)?,
            local: Local::new()
                .map_err(AreaError::system("detect forks (Linux 4.14 or newer can)"))?,
            wake: eventfd()?,
            bells: (0..sizes.lanes)
                .map(|_| eventfd())
                .collect::<Result<_, _>>()?,
        })))
    }

    /// As they were rounded.
    pub(crate) fn sizes(&self) -> &Sizes {
        &self.0.sizes
    }

    #[inline]
    pub(super) fn header(&self) -> &Header {
        &self.0.shared.array(0, 1)[0]
    }

    #[inline]
    pub(super) fn seats(&self) -> &[Seat] {
        self.0.shared.array(self.0.places.seats, self.0.sizes.lanes)
    }

    #[inline]
    pub(super) fn lane_bytes(&self, seat: usize) -> &[AtomicU64] {
        let size = self.0.sizes.lane_bytes;
        assert!(seat < self.0.sizes.lanes);
        let start = self.0.places.lanes + seat * size;
        self.0.shared.array(start, size / UNIT)
    }

    #[inline]
    pub(super) fn socket_slots(&self) -> &[SocketSlot] {
        let Places { sockets, .. } = self.0.places;
        self.0.shared.array(sockets, self.0.sizes.sockets)
    }

    pub(super) fn socket_text(&self, slot: usize) -> &[AtomicU64] {
        let Sizes {
            sockets,
            socket_bytes,
            ..
        } = self.0.sizes;
        assert!(slot < sockets);
        let start = self.0.places.socket_texts + slot * socket_bytes;
        self.0.shared.array(start, socket_bytes / UNIT)
    }

    pub(super) fn report_slots(&self) -> Slots<'_, AtomicU64, &[AtomicU64]> {
        let Places {
            report_states,
            reports,
            ..
        } = self.0.places;
        let Sizes {
            report_slots,
            report_bytes,
            ..
        } = self.0.sizes;
        let words = report_slots * report_bytes / UNIT;
        Slots {
            states: self.0.shared.array(report_states, report_slots),
            bytes: self.0.shared.array(reports, words),
            room: &self.header().report_room,
        }
    }

    #[inline]
    pub(super) fn local(&self) -> &Local {
        &self.0.local
    }

    pub(super) fn wake(&self) -> &EventFd {
        &self.0.wake
    }

    pub(super) fn bell(&self, seat: usize) -> &EventFd {
        &self.0.bells[seat]
    }

    /// Tells whoever sits there of reports.
    pub(super) fn tell(&self, seat: usize) {
        // It fails only where 2^64 reports are unread: then it tells of them.
        let _ = self.bell(seat).write(1);
    }

    /// To be called once something was left for the worker.
    #[inline]
    pub(super) fn after_leaving(&self) {
        self.header().doorbell.after_leaving(|| self.ring());
    }

    /// Wakes the worker, whether it sleeps or not.
    pub(super) fn ring(&self) {
        // It fails only where 2^64 rings are unread: then it rings.
        let _ = self.0.wake.write(1);
    }
}

impl Sizes {
    fn checked(self) -> Result<Self, AreaError> {
        within("lanes", self.lanes, 1, 4095)?;
        within("lane_bytes", self.lane_bytes, 4 << 10, 1 << 30)?;
        within("sockets", self.sockets, 1, 1 << 16)?;
        within("socket_bytes", self.socket_bytes, 1, 1 << 20)?;
        within("report_slots", self.report_slots, 2, 1 << 16)?;
        within("report_bytes", self.report_bytes, 1 << 10, 16 << 20)?;
        Ok(Self {
            lane_bytes: self.lane_bytes.next_power_of_two(),
            socket_bytes: round_up(self.socket_bytes),
            report_bytes: round_up(self.report_bytes),
            ..self
        })
    }
}

fn within(what: &'static str, given: usize, least: usize, most: usize) -> Result<(), AreaError> {
    match (least..=most).contains(&given) {
        true => Ok(()),
        false => Err(AreaError::Size {
            what,
            given,
            least,
            most,
        }),
    }
}

impl Places {
    /// `None` if that is more than memory can be.
    fn of(sizes: &Sizes) -> Option<Self> {
        let seats = after(0, 1, size_of::<Header>())?;
        let sockets = after(seats, sizes.lanes, size_of::<Seat>())?;
        let socket_texts = after(sockets, sizes.sockets, size_of::<SocketSlot>())?;
        let report_states = after(socket_texts, sizes.sockets, sizes.socket_bytes)?;
        let reports = after(report_states, sizes.report_slots, UNIT)?;
        let lanes = after(reports, sizes.report_slots, sizes.report_bytes)?;
        let end = after(lanes, sizes.lanes, sizes.lane_bytes)?;
        let end = NonZeroUsize::new(end).filter(|end| isize::try_from(end.get()).is_ok())?;
        Some(Self {
            seats,
            sockets,
            socket_texts,
            report_states,
            reports,
            lanes,
            end,
        })
    }
}

/// The page behind so many things of a size.
fn after(start: usize, count: usize, size: usize) -> Option<usize> {
    const PAGE: usize = 4096;
    let end = start.checked_add(count.checked_mul(size)?)?;
    end.checked_next_multiple_of(PAGE)
}

fn eventfd() -> Result<EventFd, AreaError> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    EventFd::from_value_and_flags(0, flags).map_err(AreaError::system("make an eventfd"))
}

impl AreaError {
    fn system(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System { what, errno }
    }
}

impl fmt::Display for AreaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size {
                what,
                given,
                least,
                most,
            } => write!(f, "{what} is {given}, and has to be {least} to {most}"),
            Self::TooLarge => f.write_str("the area would be larger than memory can be"),
            Self::System { what, errno } => write!(f, "cannot {what}: {}", errno.desc()),
        }
    }
}

impl std::error::Error for AreaError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked_and_rounded() {
        let sizes = Sizes {
            lanes: 2,
            lane_bytes: 5000,
            socket_bytes: 30,
            report_bytes: 1025,
            ..Sizes::default()
        };
        let area = Area::create(&sizes).unwrap();
        assert_eq!(area.sizes().lane_bytes, 8192);
        assert_eq!(area.sizes().socket_bytes, 32);
        assert_eq!(area.sizes().report_bytes, 1032);
        let none = Sizes { lanes: 0, ..sizes };
        let error = Area::create(&none).unwrap_err();
        assert_eq!(error.to_string(), "lanes is 0, and has to be 1 to 4095");
        for lane_bytes in [0, 4095, (1 << 30) + 1, usize::MAX] {
            let sizes = Sizes {
                lane_bytes,
                ..sizes
            };
            assert!(Area::create(&sizes).is_err(), "{lane_bytes}");
        }
    }

    #[test]
    fn lanes_that_nobody_uses_may_be_more_than_the_host_has_memory_for() {
        let sizes = Sizes {
            lanes: 256,
            lane_bytes: 1 << 30,
            ..Sizes::default()
        };
        Area::create(&sizes).unwrap();
    }

    #[test]
    fn what_there_is_does_not_overlap() {
        let sizes = Sizes {
            lanes: 3,
            lane_bytes: 4096,
            sockets: 5,
            socket_bytes: 8,
            report_slots: 2,
            report_bytes: 1024,
        };
        let area = Area::create(&sizes).unwrap();
        let mut spans = vec![
            span(std::slice::from_ref(area.header())),
            span(area.seats()),
            span(area.socket_slots()),
            span(area.report_slots().states),
            span(area.report_slots().bytes),
        ];
        spans.extend((0..5).map(|slot| span(area.socket_text(slot))));
        spans.extend((0..3).map(|seat| span(area.lane_bytes(seat))));
        spans.sort();
        for pair in spans.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{spans:x?}");
        }
    }

    fn span<T>(slice: &[T]) -> (usize, usize) {
        let range = slice.as_ptr_range();
        (range.start as usize, range.end as usize)
    }
}
