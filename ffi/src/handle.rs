//! Handles: numbers that C keeps, looked up without a lock. Each is given out once in the life of
//! the process, so that one that was freed is known as such for ever.

use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;

/// Handles of one kind.
pub(crate) struct Table<T> {
    chunks: [OnceLock<Box<[Slot<T>]>>; CHUNKS],
    free: Mutex<Free>,
}

type Slot<T> = ArcSwapOption<Entry<T>>;

pub(crate) struct Entry<T> {
    id: u64,
    value: T,
}

/// What a handle stands for. It stays as long as this is held, even if it is freed meanwhile.
pub(crate) struct Found<T>(Guard<Option<Arc<Entry<T>>>>);

/// Slots that nobody uses.
struct Free {
    used_before: Vec<u16>,
    never_used: usize,
    serial: u64,
}

const CHUNKS: usize = 64;
const CHUNK: usize = 1024;
/// How many there can be at a time.
const CAPACITY: usize = CHUNKS * CHUNK;
/// An id is a serial number above the number of its slot.
const SLOT_BITS: u32 = CAPACITY.ilog2();

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            free: Mutex::new(Free {
                used_before: Vec::new(),
                never_used: 0,
                serial: 0,
            }),
        }
    }

    /// The handle of something new, never 0; `None` if there are too many.
    pub(crate) fn insert(&self, value: T) -> Option<u64> {
        let mut free = self.free.lock();
        let slot = match free.used_before.pop() {
            Some(slot) => usize::from(slot),
            None if free.never_used < CAPACITY => {
                free.never_used += 1;
                free.never_used - 1
            }
            None => return None,
        };
        free.serial += 1;
        let id = free.serial << SLOT_BITS | slot as u64;
        let chunk = self.chunks[slot / CHUNK]
            .get_or_init(|| (0..CHUNK).map(|_| ArcSwapOption::empty()).collect());
        chunk[slot % CHUNK].store(Some(Arc::new(Entry { id, value })));
        Some(id)
    }

    #[inline]
    pub(crate) fn get(&self, id: u64) -> Option<Found<T>> {
        let entry = self.slot(id)?.load();
        entry.as_ref().filter(|entry| entry.id == id)?;
        Some(Found(entry))
    }

    /// Forgets a handle; whether there was one.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut free = self.free.lock();
        let Some(slot) = self.slot(id) else {
            return false;
        };
        if slot.load().as_ref().is_none_or(|entry| entry.id != id) {
            return false;
        }
        let removed = slot.swap(None);
        free.used_before.push(slot_number(id) as u16);
        drop(free);
        // What it stood for may take its time to end.
        drop(removed);
        true
    }

    fn slot(&self, id: u64) -> Option<&Slot<T>> {
        let slot = slot_number(id);
        Some(&self.chunks[slot / CHUNK].get()?[slot % CHUNK])
    }
}

impl<T> std::ops::Deref for Found<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let entry = self.0.as_ref().expect("looked at when it was found");
        &entry.value
    }
}

fn slot_number(id: u64) -> usize {
    id as usize & (CAPACITY - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_is_used_again_does_not_revive_old_handles() {
        let table = Table::new();
        let first = table.insert("first").unwrap();
        assert!(table.remove(first));
        let second = table.insert("second").unwrap();
        assert_eq!(slot_number(first), slot_number(second));
        assert!(table.get(first).is_none());
        assert!(!table.remove(first));
        assert_eq!(*table.get(second).unwrap(), "second");
    }

    #[test]
    fn numbers_that_are_no_handles_are_none() {
        let table = Table::new();
        let id = table.insert(()).unwrap();
        for stranger in [
            0,
            1,
            u64::MAX,
            id + 1,
            id + (1 << SLOT_BITS),
            id ^ (1 << 63),
        ] {
            assert!(table.get(stranger).is_none(), "{stranger:#x}");
        }
    }

    #[test]
    fn what_was_found_stays_though_its_handle_is_freed() {
        let table = Table::new();
        let id = table.insert("here").unwrap();
        let found = table.get(id).unwrap();
        assert!(table.remove(id));
        assert_eq!(*found, "here");
    }

    #[test]
    fn the_table_fills_up_and_has_room_again() {
        let table = Table::new();
        let ids: Vec<u64> = (0..CAPACITY).map(|n| table.insert(n).unwrap()).collect();
        assert!(table.insert(0).is_none());
        assert!(table.remove(ids[7]));
        assert!(table.insert(0).is_some());
    }
}
