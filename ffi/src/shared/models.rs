//! Lanes, doorbell and report slots under loom: every order in which two threads can come to the
//! words that they share, and every value that the memory model lets them see there. The code is the
//! one that runs; only the memory is loom's.
//!
//! Bytes are watched, too: reading some while they are written, or without having seen that they
//! were, is a failure, although the code would survive it.

use std::cell::UnsafeCell;
use std::sync::atomic::Ordering;
use std::sync::atomic::Ordering::SeqCst;

use loom::sync::atomic::{AtomicU64, fence};
use loom::sync::{Arc, Notify};
use loom::thread;

use super::doorbell::Doorbell;
use super::lane::{Control, LaneError, Reader, Writer};
use super::memory::{Bytes, UNIT, Word};
use super::slots::{ANYBODY, Batch, Slots};

/// Two records and what is skipped at the end fill it.
const LANE: usize = 64;
const RECORD: usize = 16;

#[test]
fn a_lane_hands_over_whole_records_in_order_around_its_end() {
    loom::model(|| {
        let lane = Arc::new(Lane::new());
        let writer = thread::spawn({
            let lane = Arc::clone(&lane);
            move || (1..=3).for_each(|n| lane.write(n))
        });
        let mut reader = Reader::default();
        for n in 1..=3 {
            assert_eq!(lane.read(&mut reader), n);
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_worker_that_falls_asleep_is_woken_by_what_is_left_meanwhile() {
    explore(|| {
        let door = Arc::new(Door::default());
        let visitor = thread::spawn({
            let door = Arc::clone(&door);
            move || {
                for n in 1..=2 {
                    door.left.store(n, Ordering::Release);
                    door.bell.after_leaving(|| door.ring.notify());
                }
            }
        });
        // Never woken, this waits for ever, which loom finds.
        let mut seen = 0;
        while seen < 2 {
            door.bell.fall_asleep();
            let left = door.left.load(Ordering::Acquire);
            if left == seen {
                door.ring.wait();
            }
            door.bell.wake();
            seen = left;
        }
        visitor.join().unwrap();
    });
}

#[test]
fn reports_arrive_once_and_in_order_though_their_slots_are_used_again() {
    explore(|| {
        let area = Arc::new(Reports::new());
        let worker = thread::spawn({
            let area = Arc::clone(&area);
            move || (1..=3).for_each(|n| area.send(n))
        });
        let mut buffer = Vec::new();
        for n in 1..=3 {
            let batch = loop {
                match area.slots().oldest_for(SEAT) {
                    Some(batch) => break batch,
                    None => thread::yield_now(),
                }
            };
            let taken = area.slots().take(batch, SEAT, &mut buffer, || ());
            assert_eq!(taken, Some(&[n; UNIT][..]));
        }
        worker.join().unwrap();
    });
}

#[test]
fn a_batch_for_anybody_goes_to_one_reader_or_back_to_the_worker() {
    explore(|| {
        let area = Arc::new(Reports::new());
        let readers = [1, 2].map(|seat| {
            let area = Arc::clone(&area);
            thread::spawn(move || {
                // The number may come by a way that orders nothing else.
                let number = area.number.load(Ordering::Relaxed);
                let mut buffer = Vec::new();
                let batch = Batch::from_id(number);
                let taken = area.slots().take(batch, seat, &mut buffer, || ());
                assert!(taken.is_none_or(|reports| reports == [9; UNIT]));
                usize::from(taken.is_some())
            })
        });
        let mut slots = area.slots();
        let slot = slots.begin(0).unwrap();
        slots.filling(slot)[UNIT..].fill(9);
        let batch = slots.publish(slot, UNIT, ANYBODY, 1);
        area.number.store(batch.id(), Ordering::Relaxed);
        let recalled = usize::from(slots.recall(batch));
        let taken = readers.map(|reader| reader.join().unwrap());
        assert_eq!(recalled + taken.iter().sum::<usize>(), 1);
    });
}

/// What takes too long to explore altogether is explored up to three switches of threads at places
/// where they could have gone on; every weakening that was tried is found so.
fn explore(run: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(run);
}

const SEAT: u16 = 7;

struct Lane {
    control: Control<AtomicU64>,
    bytes: Memory,
}

impl Lane {
    fn new() -> Self {
        Self {
            control: Control::default(),
            bytes: Memory::new(LANE),
        }
    }

    fn write(&self, n: u8) {
        let mut writer = Writer::new(&self.control, &self.bytes);
        loop {
            match writer.reserve(RECORD) {
                Ok(mut reserved) => {
                    reserved.bytes().fill(n);
                    return reserved.commit(RECORD);
                }
                Err(error) => assert_eq!(error, LaneError::Full),
            }
            thread::yield_now();
        }
    }

    fn read(&self, reader: &mut Reader) -> u8 {
        let mut buffer = Vec::new();
        loop {
            let bytes = &&self.bytes;
            if let Some(record) = reader.take(&self.control, bytes, &mut buffer).unwrap() {
                assert_eq!(record, [record[0]; RECORD]);
                return record[0];
            }
            thread::yield_now();
        }
    }
}

#[derive(Default)]
struct Door {
    left: AtomicU64,
    bell: Doorbell<AtomicU64>,
    ring: Notify,
}

/// Two slots, each with room for eight bytes.
struct Reports {
    states: [AtomicU64; 2],
    bytes: Memory,
    room: Doorbell<AtomicU64>,
    /// Of a batch for anybody.
    number: AtomicU64,
}

impl Reports {
    fn new() -> Self {
        Self {
            states: Default::default(),
            bytes: Memory::new(2 * 2 * UNIT),
            room: Doorbell::default(),
            number: AtomicU64::new(0),
        }
    }

    fn slots(&self) -> Slots<'_, AtomicU64, &Memory> {
        Slots {
            states: &self.states,
            bytes: &self.bytes,
            room: &self.room,
        }
    }

    fn send(&self, n: u8) {
        let mut slots = self.slots();
        let slot = loop {
            match slots.begin(0) {
                Some(slot) => break slot,
                None => thread::yield_now(),
            }
        };
        slots.filling(slot)[UNIT..].fill(n);
        slots.publish(slot, UNIT, SEAT, n.into());
    }
}

impl Word for AtomicU64 {
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    fn change(&self, current: u64, new: u64, order: Ordering) -> bool {
        let changed = self.compare_exchange(current, new, order, Ordering::Relaxed);
        changed.is_ok()
    }

    fn fence(order: Ordering) {
        assert_eq!(order, SeqCst);
        fence(order);
    }
}

/// Bytes, and for each word of them what tells loom who comes there.
struct Memory {
    words: Box<[UnsafeCell<u64>]>,
    watched: Box<[loom::cell::UnsafeCell<()>]>,
}

// SAFETY: loom fails when two threads come to a word at a time, and runs only one at a time.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(bytes: usize) -> Self {
        let words = bytes / UNIT;
        Self {
            words: (0..words).map(|_| UnsafeCell::new(0)).collect(),
            watched: (0..words)
                .map(|_| loom::cell::UnsafeCell::new(()))
                .collect(),
        }
    }

    fn watched(&self, at: usize, len: usize) -> &[loom::cell::UnsafeCell<()>] {
        &self.watched[at / UNIT..(at + len).div_ceil(UNIT)]
    }

    fn start(&self, at: usize) -> *mut u8 {
        let start = UnsafeCell::raw_get(self.words.as_ptr()).cast::<u8>();
        start.wrapping_add(at)
    }
}

impl Bytes for &Memory {
    fn len(&self) -> usize {
        self.words.len() * UNIT
    }

    fn copy_out(&self, at: usize, into: &mut [u8]) {
        let watched = self.watched(at, into.len());
        watched.iter().for_each(|word| word.with(|_| ()));
        // SAFETY: these are inside, as their words are; loom has just failed if they are written.
        let bytes = unsafe { std::slice::from_raw_parts(self.start(at), into.len()) };
        into.copy_from_slice(bytes);
    }

    unsafe fn exclusive(&self, at: usize, len: usize) -> &mut [u8] {
        let watched = self.watched(at, len);
        watched.iter().for_each(|word| word.with_mut(|_| ()));
        // SAFETY: as before.
        unsafe { std::slice::from_raw_parts_mut(self.start(at), len) }
    }
}
