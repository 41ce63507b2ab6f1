//! The socket table: where messages go, as text, in slots that any process fills and that only the
//! worker empties.
//!
//! Whoever publishes reads one word of it, the gate: which socket is there, and whether it takes
//! messages. A process that dies while it fills a slot has not opened the gate; another one takes
//! the slot over.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::area::Area;
use super::mapping::Shareable;
use super::memory::{Bytes, Padded, UNIT, round_up};
use super::process::Process;
use super::record::SocketId;
use super::shown::{Change, Condition, Shown};
use super::totals::Counted;

/// The table, as every process sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sockets<'a>(&'a Area);

/// What a socket does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketState {
    /// It takes messages.
    Open,
    /// It takes none until some are delivered or failed.
    Full,
    /// It was unsubscribed, and takes none. What it has taken is still delivered.
    Closing,
}

/// Messages of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketCounters {
    /// Handed to its producer, and accepted.
    pub(crate) accepted: u64,
    /// Refused, by whomever.
    pub(crate) refused: u64,
    pub(crate) delivered: u64,
    /// Failed after they were accepted.
    pub(crate) failed: u64,
}

/// Why a socket is not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketError {
    TooLong { bytes: usize, most: usize },
    NoSlot { sockets: usize },
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct Slot {
    gate: Padded<Gate>,
    filling: Padded<Filling>,
    counted: Padded<Counted>,
    /// By many at once, where its socket is full.
    refused: Padded<AtomicU64>,
    shown: Shown,
    flush: Padded<Flush>,
}

/// Flushes that were asked for, and the last of those that are over.
#[derive(Debug)]
#[repr(C)]
struct Flush {
    wanted: AtomicU64,
    done: AtomicU64,
}

/// Generation << 32 | state.
#[derive(Debug)]
#[repr(C)]
struct Gate(AtomicU64);

#[derive(Debug)]
#[repr(C)]
struct Filling {
    /// The process that fills it, as a [`Process`], or has filled it.
    by: AtomicU64,
    text_len: AtomicU64,
}

// SAFETY: atomic words all of them.
unsafe impl Shareable for Slot {}

const FREE: u32 = 0;
const OPEN: u32 = 1;
const FULL: u32 = 2;
const CLOSING: u32 = 3;

impl Area {
    pub(crate) fn sockets(&self) -> Sockets<'_> {
        Sockets(self)
    }
}

impl Sockets<'_> {
    /// Puts a socket into the table and wakes the worker, which finds it there, or learns of it by
    /// the first message that names it. The generation is never 0.
    ///
    /// Two processes that do this at the same moment get two slots, be it for the same text: what is
    /// the same is for the worker to say, who knows what the text means.
    pub(crate) fn insert(self, text: &str) -> Result<SocketId, SocketError> {
        let most = self.0.sizes().socket_bytes;
        if text.len() > most {
            let bytes = text.len();
            return Err(SocketError::TooLong { bytes, most });
        }
        let slots = self.0.socket_slots();
        let this = Process::this();
        let free = slots.iter().position(|slot| slot.begin(this, |_| false));
        // A dead process is looked for only where nothing else is left: that is slow.
        let free = free.or_else(|| {
            let is_dead = |process: Process| !process.is_alive();
            slots.iter().position(|slot| slot.begin(this, is_dead))
        });
        let sockets = slots.len();
        let slot = free.ok_or(SocketError::NoSlot { sockets })?;
        self.write_text(slot, text);
        let id = SocketId {
            slot: slot as u32,
            generation: slots[slot].finish(),
        };
        self.changed();
        Ok(id)
    }

    /// The first socket that takes messages and whose text is one of these.
    pub(crate) fn find(self, mut is_it: impl FnMut(&str) -> bool) -> Option<SocketId> {
        let mut open = self
            .all()
            .filter(|(_, state)| *state != SocketState::Closing);
        let found = open.find(|(id, _)| self.text(*id).is_some_and(|text| is_it(&text)));
        found.map(|(id, _)| id)
    }

    /// What is in the table at this moment.
    pub(crate) fn all(self) -> impl Iterator<Item = (SocketId, SocketState)> {
        let slots = self.0.socket_slots().iter().enumerate();
        slots.filter_map(|(slot, shared)| {
            let (generation, state) = shared.gate.read();
            let id = SocketId {
                slot: slot as u32,
                generation,
            };
            Some((id, SocketState::of(state)?))
        })
    }

    /// `None` if that socket is not in the table any more, or never was.
    #[inline]
    pub(crate) fn state(self, id: SocketId) -> Option<SocketState> {
        let slot = self.0.socket_slots().get(id.slot as usize)?;
        let (generation, state) = slot.gate.read();
        SocketState::of(state).filter(|_| generation == id.generation)
    }

    pub(crate) fn text(self, id: SocketId) -> Option<String> {
        self.state(id)?;
        let slot = &self.0.socket_slots()[id.slot as usize];
        let len = slot.filling.text_len.load(Ordering::Relaxed);
        let bytes = self.0.socket_text(id.slot as usize);
        let len = usize::try_from(len).ok()?.min(Bytes::len(&bytes));
        let mut text = vec![0; round_up(len)];
        bytes.copy_out(0, &mut text);
        text.truncate(len);
        // If any of this is of a later socket, the gate tells: see `Slot::begin`.
        fence(Ordering::Acquire);
        self.state(id)?;
        String::from_utf8(text).ok()
    }

    /// Has a socket take no more messages, and wakes the worker, which empties the slot in the end.
    /// Whether it had taken some before.
    pub(crate) fn close(self, id: SocketId) -> bool {
        let closed = self.change(id, |state| (state != CLOSING).then_some(CLOSING));
        if closed {
            self.changed();
        }
        closed
    }

    pub(crate) fn counters(self, id: SocketId) -> Option<SocketCounters> {
        self.state(id)?;
        let slot = &self.0.socket_slots()[id.slot as usize];
        let [accepted, delivered, failed] = slot.counted.read();
        let counters = SocketCounters {
            accepted,
            refused: slot.refused.load(Ordering::Relaxed),
            delivered,
            failed,
        };
        // If any of this is of a later socket, the gate tells.
        fence(Ordering::Acquire);
        self.state(id).map(|_| counters)
    }

    /// Counts a message that was refused before it came to the producer, or by it.
    #[cold]
    pub(crate) fn count_refused(self, id: SocketId) {
        if self.state(id).is_some() {
            let slot = &self.0.socket_slots()[id.slot as usize];
            slot.refused.fetch_add(1, Ordering::Relaxed);
            self.0.header().totals.count_refused();
        }
    }

    /// For the worker: counts what it accepted, delivered and failed.
    pub(crate) fn count(self, id: SocketId, accepted: u64, delivered: u64, failed: u64) {
        if self.state(id).is_none() {
            return;
        }
        let slot = &self.0.socket_slots()[id.slot as usize];
        for counted in [&slot.counted, &self.0.header().totals.counted] {
            counted.count(accepted, delivered, failed);
        }
    }

    /// How a socket is, as the worker showed it last.
    pub(crate) fn condition(self, id: SocketId) -> Option<Condition> {
        let condition = self.slot(id)?.shown.condition();
        // As in `counters`.
        fence(Ordering::Acquire);
        self.state(id).map(|_| condition)
    }

    /// Bytes of the messages that a socket holds, as the worker showed them last.
    pub(super) fn held_bytes(self, id: SocketId) -> u64 {
        self.slot(id).map_or(0, |slot| slot.shown.held_bytes())
    }

    /// For the worker: shows how a socket is. Whether that is a change that nobody has taken so far.
    pub(crate) fn show(self, id: SocketId, condition: &Condition) -> bool {
        let found = self.slot(id).zip(self.state(id));
        found.is_some_and(|(slot, state)| {
            slot.shown.show(condition);
            slot.shown.has_changed(state)
        })
    }

    /// Asks the worker to send what a socket holds without lingering. A number for
    /// [`Sockets::is_flushed`].
    pub(crate) fn flush(self, id: SocketId) -> Option<u64> {
        let slot = self.slot(id)?;
        let number = slot.flush.wanted.fetch_add(1, Ordering::AcqRel) + 1;
        self.0.header().flushes.fetch_add(1, Ordering::Release);
        self.0.ring();
        Some(number)
    }

    /// Whether all that was published before that flush has its outcome; also if the socket is gone.
    pub(crate) fn is_flushed(self, id: SocketId, number: u64) -> bool {
        let slot = self.slot(id);
        slot.is_none_or(|slot| slot.flush.done.load(Ordering::Acquire) >= number)
    }

    /// For the worker: the last flush of a socket that was asked for, if it is not over.
    pub(crate) fn wanted_flush(self, id: SocketId) -> Option<u64> {
        let flush = &self.slot(id)?.flush;
        let wanted = flush.wanted.load(Ordering::Acquire);
        (wanted > flush.done.load(Ordering::Relaxed)).then_some(wanted)
    }

    /// For the worker: flushes up to this one are over.
    pub(crate) fn flushed(self, id: SocketId, number: u64) {
        if let Some(slot) = self.slot(id) {
            slot.flush.done.store(number, Ordering::Release);
        }
    }

    /// In what a socket has changed since this was asked before, by whomever.
    pub(crate) fn take_change(self, id: SocketId) -> Change {
        let found = self.slot(id).zip(self.state(id));
        found.map_or(Change::default(), |(slot, state)| {
            slot.shown.take_change(state)
        })
    }

    /// Whether a change of one socket may be told by way of another, of which this takes note.
    ///
    /// Not if any socket of the changed one's producer carries such news. So each of them goes from
    /// a producer that carries none to one that does, whose own changes go nowhere: no news can have
    /// news as its consequence, round however many sockets.
    pub(crate) fn may_tell(self, changed: SocketId, by: SocketId) -> bool {
        let (Some(changed), Some(by)) = (self.slot(changed), self.slot(by)) else {
            return false;
        };
        by.shown.set_carries();
        // One that the worker has not looked at may be.
        let is_its = |slot: &&Slot| {
            let producer = slot.shown.producer();
            producer == 0 || producer == changed.shown.producer()
        };
        let carriers = self.0.socket_slots().iter().filter(|slot| {
            let is_there = slot.gate.read().1 != FREE;
            is_there && slot.shown.carries()
        });
        !std::ptr::eq(changed, by) && carriers.filter(is_its).count() == 0
    }

    /// For a new worker: what the one before had accepted and not settled is lost, and so has failed.
    pub(crate) fn fail_held(self) {
        let slots = self.all().filter_map(|(id, _)| self.slot(id));
        slots.for_each(|slot| slot.counted.settle());
        self.0.header().totals.counted.settle();
    }

    /// For the worker: whether the socket takes no more messages for now.
    pub(crate) fn set_full(self, id: SocketId, is_full: bool) {
        let (from, to) = if is_full { (OPEN, FULL) } else { (FULL, OPEN) };
        self.change(id, |state| (state == from).then_some(to));
    }

    /// For the worker: empties the slot of a socket that is closing, once nothing of it is left.
    /// Messages that name it from now on name nothing.
    pub(crate) fn remove(self, id: SocketId) -> bool {
        self.change(id, |state| (state == CLOSING).then_some(FREE))
    }

    fn slot(&self, id: SocketId) -> Option<&Slot> {
        self.state(id)?;
        self.0.socket_slots().get(id.slot as usize)
    }

    /// Whether the state was changed; not if there is no such socket, or no such change.
    fn change(self, id: SocketId, to: impl Fn(u32) -> Option<u32>) -> bool {
        let slot = self.0.socket_slots().get(id.slot as usize);
        slot.is_some_and(|slot| slot.gate.change(id.generation, to))
    }

    fn write_text(self, slot: usize, text: &str) {
        let words = self.0.socket_text(slot);
        let chunks = text.as_bytes().chunks(UNIT);
        for (word, bytes) in words.iter().zip(chunks) {
            let mut padded = [0; UNIT];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
        let len = &self.0.socket_slots()[slot].filling.text_len;
        len.store(text.len() as u64, Ordering::Relaxed);
    }

    fn changed(self) {
        let changes = &self.0.header().socket_changes;
        changes.fetch_add(1, Ordering::Release);
        self.0.ring();
    }
}

impl Slot {
    /// Whether this slot is free, and ours from now on: nobody was filling it, or somebody of whom
    /// this is true.
    fn begin(&self, this: Process, may_take_from: impl Fn(Process) -> bool) -> bool {
        if self.gate.read().1 != FREE {
            return false;
        }
        let by = &self.filling.by;
        let before = by.load(Ordering::Relaxed);
        let taken = Process::from_word(before).is_none_or(may_take_from)
            && by
                .compare_exchange(before, this.word(), Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !taken {
            return false;
        }
        // Another process may have filled it since the first look.
        if self.gate.read().1 != FREE {
            by.store(0, Ordering::Release);
            return false;
        }
        // Release: whoever reads what is written from here on sees a gate that is not the old one.
        fence(Ordering::Release);
        true
    }

    /// Opens the gate for what was filled in; the generation.
    fn finish(&self) -> u32 {
        self.counted.clear();
        self.refused.store(0, Ordering::Relaxed);
        self.shown.clear();
        // Nobody asked for what comes, but numbers go on.
        let wanted = self.flush.wanted.load(Ordering::Relaxed);
        self.flush.done.store(wanted, Ordering::Relaxed);
        let (before, _) = self.gate.read();
        let generation = before.wrapping_add(1).max(1);
        self.gate.open(generation);
        self.filling.by.store(0, Ordering::Release);
        generation
    }
}

impl Gate {
    #[inline]
    fn read(&self) -> (u32, u32) {
        let word = self.0.load(Ordering::Acquire);
        ((word >> 32) as u32, word as u32)
    }

    fn open(&self, generation: u32) {
        // Release: whoever sees the gate open sees the text.
        self.0.store(word(generation, OPEN), Ordering::Release);
    }

    fn change(&self, generation: u32, to: impl Fn(u32) -> Option<u32>) -> bool {
        let change = |current: u64| {
            let state = current as u32;
            let is_it = (current >> 32) as u32 == generation && state != FREE;
            is_it.then(|| to(state))?.map(|to| word(generation, to))
        };
        let (set, fetch) = (Ordering::Release, Ordering::Relaxed);
        self.0.fetch_update(set, fetch, change).is_ok()
    }
}

fn word(generation: u32, state: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(state)
}

impl SocketState {
    #[inline]
    fn of(state: u32) -> Option<Self> {
        match state {
            OPEN => Some(Self::Open),
            FULL => Some(Self::Full),
            CLOSING => Some(Self::Closing),
            _ => None,
        }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes, most } => write!(
                f,
                "the socket has {bytes} bytes, of which {most} is the most: make the area with \
                 room for more"
            ),
            Self::NoSlot { sockets } => write!(
                f,
                "there are {sockets} sockets: unsubscribe some, or make the area with more"
            ),
        }
    }
}

impl std::error::Error for SocketError {}

#[cfg(test)]
mod tests {
    use super::super::area::Sizes;
    use super::super::shown::{Contact, Trouble};
    use super::*;

    const TEXT: &str = "kafka:127.0.0.1:9092/sip-events?key=callid";

    fn area() -> Area {
        let sizes = Sizes {
            sockets: 2,
            socket_bytes: 50,
            ..Sizes::default()
        };
        Area::create(&sizes).unwrap()
    }

    #[test]
    fn a_socket_is_found_by_its_text_until_it_is_closed_and_by_its_id_until_it_is_removed() {
        let area = area();
        let sockets = area.sockets();
        let id = sockets.insert(TEXT).unwrap();
        assert_eq!(sockets.find(|text| text == TEXT), Some(id));
        assert_eq!(sockets.state(id), Some(SocketState::Open));
        assert!(!sockets.remove(id));
        assert!(sockets.close(id));
        assert!(!sockets.close(id));
        assert_eq!(sockets.find(|text| text == TEXT), None);
        assert_eq!(sockets.text(id).as_deref(), Some(TEXT));
        assert_eq!(sockets.state(id), Some(SocketState::Closing));
        assert!(sockets.remove(id));
        assert_eq!((sockets.state(id), sockets.text(id)), (None, None));
        assert_eq!(sockets.all().count(), 0);
    }

    #[test]
    fn a_slot_that_is_used_again_does_not_revive_old_sockets() {
        let area = area();
        let sockets = area.sockets();
        let old = sockets.insert(TEXT).unwrap();
        sockets.count(old, 3, 2, 1);
        sockets.count_refused(old);
        sockets.close(old);
        sockets.remove(old);
        let new = sockets.insert("host/other").unwrap();
        assert_eq!(old.slot, new.slot);
        assert_eq!((sockets.state(old), sockets.text(old)), (None, None));
        assert!(!sockets.close(old));
        sockets.count(old, 1, 1, 1);
        sockets.count_refused(old);
        assert_eq!(sockets.text(new).as_deref(), Some("host/other"));
        assert_eq!(sockets.counters(new), Some(SocketCounters::default()));
        assert_eq!(sockets.counters(old), None);
    }

    fn is_now(contact: Contact, producer: u64) -> Condition {
        Condition {
            contact,
            producer,
            ..Condition::default()
        }
    }

    #[test]
    fn what_is_shown_of_a_socket_stays_until_its_slot_is_another_ones() {
        let area = area();
        let sockets = area.sockets();
        let id = sockets.insert(TEXT).unwrap();
        assert_eq!(sockets.condition(id), Some(Condition::default()));
        let trouble = Trouble {
            code: -195,
            at_ms: 1_700_000_000_000,
            text: "é".repeat(200),
        };
        let shown = Condition {
            held_bytes: 7,
            trouble: Some(trouble.clone()),
            ..is_now(Contact::Down, 3)
        };
        assert!(sockets.show(id, &shown));
        let cut = Trouble {
            text: "é".repeat(128),
            ..trouble
        };
        let seen = sockets.condition(id).unwrap();
        assert_eq!(seen.trouble, Some(cut.clone()));
        assert_eq!((seen.contact, seen.held_bytes), (Contact::Down, 7));
        // Nothing new went wrong.
        sockets.show(id, &is_now(Contact::Up, 3));
        let seen = sockets.condition(id).unwrap();
        assert_eq!((seen.contact, seen.trouble), (Contact::Up, Some(cut)));
        sockets.close(id);
        sockets.remove(id);
        let next = sockets.insert(TEXT).unwrap();
        assert_eq!((next.slot, sockets.condition(id)), (id.slot, None));
        assert_eq!(sockets.condition(next), Some(Condition::default()));
    }

    #[test]
    fn a_change_is_taken_once_and_what_came_and_went_is_none() {
        let area = area();
        let sockets = area.sockets();
        let id = sockets.insert(TEXT).unwrap();
        assert!(!sockets.show(id, &is_now(Contact::Connecting, 1)));
        assert_eq!(sockets.take_change(id), Change::default());
        assert!(sockets.show(id, &is_now(Contact::Up, 1)));
        sockets.set_full(id, true);
        let change = Change {
            contact: Some(Contact::Up),
            is_full: Some(true),
        };
        assert_eq!(sockets.take_change(id), change);
        assert_eq!(sockets.take_change(id), Change::default());
        sockets.show(id, &is_now(Contact::Down, 1));
        sockets.set_full(id, false);
        sockets.set_full(id, true);
        assert!(!sockets.show(id, &is_now(Contact::Up, 1)));
        assert_eq!(sockets.take_change(id), Change::default());
        sockets.set_full(id, false);
        let change = Change {
            contact: None,
            is_full: Some(false),
        };
        assert_eq!(sockets.take_change(id), change);
    }

    #[test]
    fn news_have_no_news_as_their_consequence() {
        let sizes = Sizes {
            sockets: 4,
            ..Sizes::default()
        };
        let area = Area::create(&sizes).unwrap();
        let sockets = area.sockets();
        // Two of each of two producers.
        let [a, a_carrier, b, b_carrier] = [1, 1, 2, 2].map(|producer| {
            let id = sockets.insert(TEXT).unwrap();
            sockets.show(id, &is_now(Contact::Up, producer));
            id
        });
        assert!(!sockets.may_tell(a_carrier, a_carrier));
        assert!(!sockets.may_tell(a, a_carrier));
        assert!(sockets.may_tell(b, a_carrier));
        // From now on both producers carry news, and none is told of either.
        assert!(!sockets.may_tell(a, b_carrier));
        assert!(!sockets.may_tell(b, a_carrier));
    }

    #[test]
    fn what_a_worker_that_is_gone_had_accepted_has_failed() {
        let area = area();
        let sockets = area.sockets();
        let id = sockets.insert(TEXT).unwrap();
        sockets.count(id, 5, 2, 1);
        sockets.count_refused(id);
        sockets.fail_held();
        let counters = sockets.counters(id).unwrap();
        assert_eq!((counters.delivered, counters.failed), (2, 3));
        let all = area.overview();
        assert_eq!((all.accepted, all.delivered, all.failed), (5, 2, 3));
        assert_eq!((all.refused, all.sockets, all.has_worker), (1, 1, false));
    }

    #[test]
    fn a_worker_that_was_killed_while_it_counted_leaves_no_gap() {
        for (accepted, delivered) in [(1, 0), (0, 1)] {
            let area = area();
            let sockets = area.sockets();
            let id = sockets.insert(TEXT).unwrap();
            sockets.count(id, 4, 2, 1);
            // For its socket alone.
            let counted = &area.socket_slots()[id.slot as usize].counted;
            counted.accepted.fetch_add(accepted, Ordering::Relaxed);
            counted.delivered.fetch_add(delivered, Ordering::Relaxed);
            sockets.fail_held();
            let all = area.overview();
            assert_eq!(all.accepted, all.delivered + all.failed);
        }
    }

    #[test]
    fn what_is_no_socket_names_none() {
        let area = area();
        let sockets = area.sockets();
        let real = sockets.insert(TEXT).unwrap();
        let zeroed = SocketId::default();
        let beside = SocketId { slot: 2, ..real };
        let far = SocketId {
            slot: u32::MAX,
            ..real
        };
        for id in [zeroed, beside, far] {
            assert_eq!(sockets.state(id), None, "{id:?}");
            assert!(!sockets.close(id));
            sockets.count_refused(id);
            sockets.count(id, 1, 1, 1);
        }
    }

    #[test]
    fn a_full_socket_says_so_and_what_is_closing_stays_so() {
        let area = area();
        let sockets = area.sockets();
        let id = sockets.insert(TEXT).unwrap();
        sockets.set_full(id, true);
        assert_eq!(sockets.state(id), Some(SocketState::Full));
        sockets.set_full(id, false);
        assert_eq!(sockets.state(id), Some(SocketState::Open));
        sockets.close(id);
        for is_full in [true, false] {
            sockets.set_full(id, is_full);
            assert_eq!(sockets.state(id), Some(SocketState::Closing));
        }
    }

    #[test]
    fn too_many_and_too_long_sockets_are_refused() {
        let area = area();
        let sockets = area.sockets();
        let most = sockets.0.sizes().socket_bytes;
        let long = "x".repeat(most + 1);
        let error = sockets.insert(&long).unwrap_err();
        let bytes = most + 1;
        assert_eq!(error, SocketError::TooLong { bytes, most });
        let longest = sockets.insert(&long[1..]).unwrap();
        assert_eq!(sockets.text(longest).as_deref(), Some(&long[1..]));
        sockets.insert(TEXT).unwrap();
        let error = sockets.insert(TEXT).unwrap_err();
        assert_eq!(error, SocketError::NoSlot { sockets: 2 });
    }

    #[test]
    fn a_slot_that_a_dead_process_was_filling_is_filled_by_another() {
        let area = area();
        let sockets = area.sockets();
        let slots = area.socket_slots();
        let dead = Process::nobody();
        assert!(slots.iter().all(|slot| slot.begin(dead, |_| false)));
        let ids = [0, 1].map(|_| sockets.insert(TEXT).unwrap());
        assert_eq!(ids.map(|id| (id.slot, id.generation)), [(0, 1), (1, 1)]);
        // One that lives is waited for by nobody, and loses nothing.
        sockets.close(ids[0]);
        sockets.remove(ids[0]);
        assert!(slots[0].begin(Process::this(), |_| false));
        let error = sockets.insert(TEXT).unwrap_err();
        assert_eq!(error, SocketError::NoSlot { sockets: 2 });
    }

    #[test]
    fn processes_that_insert_at_once_get_slots_of_their_own() {
        let sizes = Sizes {
            sockets: 400,
            ..Sizes::default()
        };
        let area = Area::create(&sizes).unwrap();
        let insert = |who: usize| {
            let text = |n: usize| format!("host/{who}-{n}");
            let insert = |n| (area.sockets().insert(&text(n)).unwrap(), text(n));
            (0..100).map(insert).collect::<Vec<_>>()
        };
        let inserted: Vec<_> = std::thread::scope(|scope| {
            let threads = [0, 1, 2, 3].map(|who| scope.spawn(move || insert(who)));
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(area.sockets().all().count(), 400);
        for (id, text) in inserted {
            assert_eq!(area.sockets().text(id), Some(text));
        }
    }
}
