//! Slots of the report area: each holds a batch of reports on its way from the worker to a process.
//!
//! ```text
//! free -> filling -> ready -> taken -> free
//!      worker     worker   reader   reader
//! ```
//!
//! A slot is one word: its state, for whom it is or who took it, and the number of the batch, which
//! is given out once. So a batch is taken once, whoever asks for it how often, and what a dead
//! process left, the worker finds and frees.

use std::sync::atomic::Ordering;

use super::doorbell::Doorbell;
use super::memory::{Bytes, UNIT, Word};

/// The slots, as every process sees them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots<'a, W, B> {
    pub(super) states: &'a [W],
    /// Of all slots, one after another.
    pub(super) bytes: B,
    /// Where the worker waits for a free slot.
    pub(super) room: &'a Doorbell<W>,
}

/// A batch of reports: its slot, and its number, which no other batch ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Batch(u64);

impl Batch {
    pub(crate) fn word(self) -> u64 {
        self.0
    }

    pub(crate) fn from_word(word: u64) -> Self {
        Self(word)
    }
}

/// For whom a batch is: a seat, or [`ANYBODY`].
pub(super) type Addressee = u16;

/// Whoever has its number. No seat is so high.
pub(super) const ANYBODY: Addressee = 0xfff;

const FREE: u64 = 0;
const FILLING: u64 = 1;
const READY: u64 = 2;
const TAKEN: u64 = 3;

const STATE_BITS: u32 = 4;
const SEAT_BITS: u32 = 12;
const NUMBER_SHIFT: u32 = STATE_BITS + SEAT_BITS;

/// Before the reports: how many bytes they are.
pub(super) const HEAD: usize = UNIT;

impl<'a, W: Word, B: Bytes> Slots<'a, W, B> {
    /// For the worker: whether one more may wait for this seat: less than are free do. So readers that
    /// stand still, however many, leave something to the others.
    pub(super) fn has_share_for(&self, seat: Addressee) -> bool {
        let (mut free, mut its) = (0, 0);
        for state in self.states {
            let present = state.load(Ordering::Relaxed);
            let waits_for_it = word(READY, seat, number_of(present));
            free += usize::from(state_of(present) == FREE);
            its += usize::from(present == waits_for_it);
        }
        seat == ANYBODY || its < free
    }

    /// For the worker: a slot to fill.
    pub(super) fn begin(&self, first: usize) -> Option<usize> {
        let count = self.states.len();
        let mut slots = (0..count).map(|n| (first + n) % count);
        slots.find(|slot| {
            // Acquire: whoever had it has read it.
            let state = &self.states[*slot];
            let present = state.load(Ordering::Relaxed);
            let filling = word(FILLING, 0, number_of(present));
            state_of(present) == FREE && state.change(present, filling, Ordering::Acquire)
        })
    }

    /// For the worker: the bytes of a slot that it fills, those for the head included.
    pub(super) fn filling(&mut self, slot: usize) -> &mut [u8] {
        let size = self.slot_bytes();
        // SAFETY: only the worker looks into slots that it fills, and it fills them through this,
        // which is borrowed meanwhile.
        unsafe { self.bytes.exclusive(slot * size, size) }
    }

    /// For the worker: hands over what it filled.
    pub(super) fn publish(
        &mut self,
        slot: usize,
        used: usize,
        to: Addressee,
        number: u64,
    ) -> Batch {
        self.filling(slot)[..HEAD].copy_from_slice(&(used as u64).to_ne_bytes());
        // Release: whoever takes it sees the reports.
        let ready = word(READY, to, number);
        self.states[slot].store(ready, Ordering::Release);
        Batch::new(slot, number)
    }

    /// For the worker: gives back a slot that it would have filled.
    pub(super) fn discard(&self, slot: usize) {
        free(&self.states[slot]);
    }

    /// For the worker: takes back a batch for anybody, unless somebody has it.
    pub(super) fn recall(&self, batch: Batch) -> bool {
        let state = self.states.get(batch.slot());
        let ready = word(READY, ANYBODY, batch.number());
        let free = word(FREE, 0, batch.number());
        state.is_some_and(|state| state.change(ready, free, Ordering::Relaxed))
    }

    /// For the worker: frees what is for a dead process or was taken by it; how many batches.
    pub(super) fn forget(&self, seat: Addressee) -> usize {
        let freed = self.states.iter().filter(|state| {
            let present = state.load(Ordering::Relaxed);
            let number = number_of(present);
            let its = [READY, TAKEN].map(|state| word(state, seat, number));
            its.contains(&present)
                && state.change(present, word(FREE, 0, number), Ordering::Relaxed)
        });
        freed.count()
    }

    /// For another worker: frees what the one before was filling. The highest number that it gave.
    pub(super) fn inherit(&self) -> u64 {
        let numbers = self.states.iter().map(|state| {
            let present = state.load(Ordering::Relaxed);
            if state_of(present) == FILLING {
                free(state);
            }
            number_of(present)
        });
        numbers.max().unwrap_or(0)
    }

    /// The oldest batch for this seat.
    pub(super) fn oldest_for(&self, seat: Addressee) -> Option<Batch> {
        self.look_for(seat)?;
        // Older ones may have come to slots that were looked at before. Whoever has seen a batch sees
        // those that were sent before it.
        self.look_for(seat)
    }

    fn look_for(&self, seat: Addressee) -> Option<Batch> {
        let slots = self.states.iter().enumerate();
        let ready = slots.filter_map(|(slot, state)| {
            // Acquire: what was sent before is there, too.
            let present = state.load(Ordering::Acquire);
            let number = number_of(present);
            (present == word(READY, seat, number)).then_some((number, slot))
        });
        let (number, slot) = ready.min()?;
        Some(Batch::new(slot, number))
    }

    /// For whoever sits at `seat`: copies a batch that is for it or for anybody, and frees its slot.
    /// The reports, or `None` if there is no such batch any more, or for somebody else. A process
    /// that dies in here has had the batch. `ring` wakes the worker if it waits for a slot.
    pub(super) fn take<'b>(
        &self,
        batch: Batch,
        seat: Addressee,
        into: &'b mut Vec<u8>,
        ring: impl FnOnce(),
    ) -> Option<&'b [u8]> {
        if !self.seize(batch, seat) {
            return None;
        }
        let used = self.copy(batch.slot(), into);
        let taken = word(TAKEN, seat, batch.number());
        let free = word(FREE, 0, batch.number());
        // Release: the worker overwrites it only after it was read.
        self.states[batch.slot()].change(taken, free, Ordering::Release);
        self.room.after_leaving(ring);
        Some(&into[..used])
    }

    /// Whether this one has the batch from now on, and nobody else.
    pub(super) fn seize(&self, batch: Batch, seat: Addressee) -> bool {
        let taken = word(TAKEN, seat, batch.number());
        let state = self.states.get(batch.slot());
        // Acquire: the reports are there.
        state.is_some_and(|state| {
            [seat, ANYBODY].into_iter().any(|to| {
                let ready = word(READY, to, batch.number());
                state.change(ready, taken, Ordering::Acquire)
            })
        })
    }

    fn copy(&self, slot: usize, into: &mut Vec<u8>) -> usize {
        let start = slot * self.slot_bytes();
        let mut head = [0; HEAD];
        self.bytes.copy_out(start, &mut head);
        let most = (self.slot_bytes() - HEAD) as u64;
        let used = u64::from_ne_bytes(head).min(most) as usize;
        let copied = used.next_multiple_of(UNIT);
        into.resize(into.len().max(copied), 0);
        self.bytes.copy_out(start + HEAD, &mut into[..copied]);
        used
    }

    pub(super) fn slot_bytes(&self) -> usize {
        self.bytes.len() / self.states.len()
    }
}

impl Batch {
    /// As a number for C, and for a host that hands it from process to process.
    pub(crate) fn id(self) -> u64 {
        self.0
    }

    pub(crate) fn from_id(id: u64) -> Self {
        Self(id)
    }

    fn new(slot: usize, number: u64) -> Self {
        Self(number << NUMBER_SHIFT | slot as u64)
    }

    fn slot(self) -> usize {
        self.0 as usize & ((1 << NUMBER_SHIFT) - 1)
    }

    fn number(self) -> u64 {
        self.0 >> NUMBER_SHIFT
    }
}

/// Frees a slot that nobody but the worker looks at. The number stays: none is given out twice.
fn free(state: &impl Word) {
    let number = number_of(state.load(Ordering::Relaxed));
    state.store(word(FREE, 0, number), Ordering::Relaxed);
}

fn word(state: u64, seat: Addressee, number: u64) -> u64 {
    number << NUMBER_SHIFT | u64::from(seat) << STATE_BITS | state
}

fn state_of(word: u64) -> u64 {
    word & ((1 << STATE_BITS) - 1)
}

fn number_of(word: u64) -> u64 {
    word >> NUMBER_SHIFT
}
