//! The memory that records live in: fixed segments from a pool, charged to the budget while in use.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::budget::Budget;

/// The first segment of a batch: an idle partition costs little.
pub(crate) const SMALL_SEGMENT: usize = 4 << 10;
/// Every further segment of a batch.
pub(crate) const LARGE_SEGMENT: usize = 64 << 10;

/// Large segments that wait in the pool at most; the rest goes back to the system.
const LARGE_KEPT: usize = 64;
const SMALL_KEPT: usize = 256;
/// Large segments that [`Memory::top_up`] keeps ready.
const LARGE_READY: usize = 16;

/// Who pays for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Funding {
    /// The budget, which may refuse.
    Budget,
    /// The budget, which is passed for a moment if need be: rewriting what was accepted never
    /// depends on room.
    Granted,
}

/// The memory of one producer.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: Budget,
    small: Mutex<Vec<Vec<u8>>>,
    large: Mutex<Vec<Vec<u8>>>,
}

impl Memory {
    pub(crate) fn new(budget: Budget) -> Arc<Self> {
        Arc::new(Self {
            budget,
            small: Mutex::default(),
            large: Mutex::default(),
        })
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// A segment of `ideal` bytes, or of just `least` where the budget allows no more.
    pub(crate) fn segment(
        self: &Arc<Self>,
        ideal: usize,
        least: usize,
        funding: Funding,
    ) -> Option<Segment> {
        let bytes = self.budget.bytes();
        let sizes = [ideal.max(least), least];
        let size = sizes
            .into_iter()
            .find(|size| bytes.charge(*size, funding))?;
        let pooled = self.shelf(size).and_then(|shelf| shelf.lock().pop());
        let bytes = pooled.unwrap_or_else(|| Vec::with_capacity(size));
        Some(Segment {
            bytes,
            size,
            memory: Arc::clone(self),
        })
    }

    /// Makes large segments ready whose pages are in memory, so that a publishing thread never
    /// waits for a page fault. Not for the publishing thread itself.
    pub(crate) fn top_up(&self) {
        let missing = LARGE_READY.saturating_sub(self.large.lock().len());
        for _ in 0..missing {
            let mut bytes = vec![0xff; LARGE_SEGMENT];
            bytes.clear();
            self.large.lock().push(bytes);
        }
    }

    /// Gives pooled memory back to the system.
    pub(crate) fn trim(&self) {
        *self.small.lock() = Vec::new();
        *self.large.lock() = Vec::new();
    }

    fn give_back(&self, mut bytes: Vec<u8>, size: usize) {
        if let Some(shelf) = self.shelf(size) {
            bytes.clear();
            let kept = if size == SMALL_SEGMENT {
                SMALL_KEPT
            } else {
                LARGE_KEPT
            };
            let mut shelf = shelf.lock();
            if shelf.len() < kept {
                shelf.push(bytes);
            }
        }
        self.budget.release_bytes(size);
    }

    fn shelf(&self, size: usize) -> Option<&Mutex<Vec<Vec<u8>>>> {
        match size {
            SMALL_SEGMENT => Some(&self.small),
            LARGE_SEGMENT => Some(&self.large),
            _ => None,
        }
    }
}

/// A piece of memory with room for whole records.
#[derive(Debug)]
pub(crate) struct Segment {
    bytes: Vec<u8>,
    size: usize,
    memory: Arc<Memory>,
}

impl Segment {
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.size - self.bytes.len() >= len
    }

    /// Where the next record goes; the caller has asked [`Segment::has_room`].
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The segment as shared bytes; its memory goes back to the pool with the last clone.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.memory
            .give_back(std::mem::take(&mut self.bytes), self.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_charged_while_any_clone_of_it_lives() {
        let memory = Memory::new(Budget::new(None, 10_000));
        let mut segment = memory
            .segment(SMALL_SEGMENT, 5, Funding::Budget)
            .expect("room");
        segment.tail().extend_from_slice(b"hello");
        let bytes = segment.freeze();
        let clone = bytes.clone();
        drop(bytes);
        assert_eq!(memory.budget().bytes().used(), SMALL_SEGMENT);
        assert_eq!(&clone[..], b"hello");
        drop(clone);
        assert_eq!(memory.budget().bytes().used(), 0);
    }

    #[test]
    fn a_tight_budget_still_gives_what_is_needed() {
        let memory = Memory::new(Budget::new(None, 1024));
        let segment = memory
            .segment(SMALL_SEGMENT, 1000, Funding::Budget)
            .expect("the record alone fits");
        assert!(segment.has_room(1000) && !segment.has_room(1001));
        assert!(
            memory
                .segment(SMALL_SEGMENT, 1000, Funding::Budget)
                .is_none()
        );
    }
    #[test]
    fn segments_are_used_again_and_given_back_by_a_trim() {
        let memory = Memory::new(Budget::new(None, usize::MAX));
        let taken = || {
            let segment = memory.segment(LARGE_SEGMENT, 1, Funding::Budget);
            segment.expect("room")
        };
        let mut first = taken();
        first.tail().extend_from_slice(b"old");
        let address = first.as_ref().as_ptr();
        drop(first);
        let mut second = taken();
        assert!(second.as_ref().is_empty());
        second.tail().push(b'n');
        assert_eq!(second.as_ref().as_ptr(), address);
        drop(second);
        memory.trim();
        assert!(memory.large.lock().is_empty());
        memory.top_up();
        assert_eq!(memory.large.lock().len(), LARGE_READY);
        assert_eq!(memory.budget().bytes().used(), 0);
    }

    #[test]
    fn the_pool_keeps_no_more_than_its_share() {
        let memory = Memory::new(Budget::new(None, usize::MAX));
        for size in [SMALL_SEGMENT, LARGE_SEGMENT, 3 * LARGE_SEGMENT] {
            let taken: Vec<Segment> = (0..300)
                .map(|_| memory.segment(size, size, Funding::Budget).expect("room"))
                .collect();
            drop(taken);
        }
        assert_eq!(memory.small.lock().len(), SMALL_KEPT);
        assert_eq!(memory.large.lock().len(), LARGE_KEPT);
    }

    #[test]
    fn granted_memory_passes_the_limit_and_is_given_back_all_the_same() {
        let memory = Memory::new(Budget::new(None, 10));
        let segment = memory.segment(SMALL_SEGMENT, 1, Funding::Granted);
        assert_eq!(memory.budget().bytes().used(), SMALL_SEGMENT);
        drop(segment);
        assert_eq!(memory.budget().bytes().used(), 0);
    }
}
