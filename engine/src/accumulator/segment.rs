//! The memory that records live in: fixed segments from a pool, charged to the budget while in use.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::budget::Budget;

/// The first segment of a batch: an idle partition costs little.
pub(crate) const SMALL_SEGMENT: usize = 4 << 10;
/// Every further segment of a batch.
pub(crate) const LARGE_SEGMENT: usize = 64 << 10;

/// Large segments that [`Memory::top_up`] keeps ready.
const LARGE_READY: usize = 16;

/// Who pays for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Funding {
    /// The budget, which may refuse.
    Budget,
    /// The budget, which is passed for a moment by what is needed and no more: rewriting what was
    /// accepted never depends on room.
    Granted,
}

/// The memory of one producer.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: Budget,
    small: Mutex<Shelf>,
    large: Mutex<Shelf>,
}

/// Free segments of one size. What was in use comes back here and not to the allocator, which would
/// keep it for the thread that had asked for it: memory then stays at the most that was in use.
#[derive(Debug, Default)]
struct Shelf {
    free: Vec<Vec<u8>>,
    /// The fewest there were since the last trim: so many were not needed.
    fewest: usize,
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
        let sizes = [(ideal.max(least), Funding::Budget), (least, funding)];
        let (size, _) = sizes
            .into_iter()
            .find(|(size, funding)| bytes.charge(*size, *funding))?;
        let pooled = self.shelf(size).and_then(|shelf| shelf.lock().take());
        let bytes = pooled.unwrap_or_else(|| Vec::with_capacity(size));
        Some(Segment {
            bytes,
            size,
            memory: Arc::clone(self),
        })
    }

    /// Bytes that a codec wrote, in as many segments as they need; they may pass the budget, for
    /// they take the place of more.
    pub(crate) fn store(self: &Arc<Self>, bytes: &[u8]) -> Vec<Bytes> {
        let chunks = bytes.chunks(LARGE_SEGMENT);
        let segments = chunks.filter_map(|chunk| {
            let small = chunk.len() <= SMALL_SEGMENT;
            let ideal = if small { SMALL_SEGMENT } else { LARGE_SEGMENT };
            let mut segment = self.segment(ideal, chunk.len(), Funding::Granted)?;
            segment.tail().extend_from_slice(chunk);
            Some(segment.freeze())
        });
        segments.collect()
    }

    /// A segment of memory that somebody else allocated.
    pub(crate) fn hold(self: &Arc<Self>, bytes: Vec<u8>) -> Segment {
        let size = bytes.capacity();
        self.budget.bytes().charge(size, Funding::Granted);
        Segment {
            bytes,
            size,
            memory: Arc::clone(self),
        }
    }

    /// Makes large segments ready whose pages are in memory, so that a publishing thread never
    /// waits for a page fault. Not for the publishing thread itself.
    pub(crate) fn top_up(&self) {
        let missing = LARGE_READY.saturating_sub(self.large.lock().free.len());
        for _ in 0..missing {
            let mut bytes = vec![0xff; LARGE_SEGMENT];
            bytes.clear();
            self.large.lock().free.push(bytes);
        }
    }

    /// Gives memory that was not needed since the last call back to the system.
    pub(crate) fn trim(&self) {
        for shelf in [&self.small, &self.large] {
            shelf.lock().trim();
        }
    }

    /// Whether there is memory in the pool.
    pub(crate) fn has_free(&self) -> bool {
        [&self.small, &self.large]
            .into_iter()
            .any(|shelf| !shelf.lock().free.is_empty())
    }

    fn give_back(&self, mut bytes: Vec<u8>, size: usize) {
        if let Some(shelf) = self.shelf(size) {
            bytes.clear();
            shelf.lock().free.push(bytes);
        }
        self.budget.release_bytes(size);
    }

    fn shelf(&self, size: usize) -> Option<&Mutex<Shelf>> {
        match size {
            SMALL_SEGMENT => Some(&self.small),
            LARGE_SEGMENT => Some(&self.large),
            _ => None,
        }
    }
}

impl Shelf {
    fn take(&mut self) -> Option<Vec<u8>> {
        let taken = self.free.pop();
        self.fewest = self.fewest.min(self.free.len());
        taken
    }

    fn trim(&mut self) {
        self.free.truncate(self.free.len() - self.fewest);
        self.free.shrink_to_fit();
        self.fewest = self.free.len();
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

    impl Memory {
        /// Small and large segments in the pool.
        fn free(&self) -> (usize, usize) {
            (self.small.lock().free.len(), self.large.lock().free.len())
        }
    }

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
        assert!(memory.has_free(), "it was in use since the start");
        memory.trim();
        assert!(!memory.has_free());
        assert_eq!(memory.free(), (0, 0));
        memory.top_up();
        assert_eq!(memory.free(), (0, LARGE_READY));
        assert_eq!(memory.budget().bytes().used(), 0);
    }

    #[test]
    fn a_trim_gives_back_what_was_not_needed_since_the_last_one() {
        let memory = Memory::new(Budget::new(None, usize::MAX));
        let use_at_once = |count, size| {
            let segment = || memory.segment(size, size, Funding::Budget).expect("room");
            drop((0..count).map(|_| segment()).collect::<Vec<_>>());
        };
        use_at_once(300, LARGE_SEGMENT);
        use_at_once(300, SMALL_SEGMENT);
        use_at_once(300, 3 * LARGE_SEGMENT);
        assert_eq!(memory.free(), (300, 300));
        memory.trim();
        use_at_once(20, LARGE_SEGMENT);
        memory.trim();
        assert_eq!(memory.free(), (0, 20));
    }

    #[test]
    fn granted_memory_passes_the_limit_and_is_given_back_all_the_same() {
        let memory = Memory::new(Budget::new(None, 10));
        let segment = memory.segment(SMALL_SEGMENT, 30, Funding::Granted);
        assert_eq!(
            memory.budget().bytes().used(),
            30,
            "what is needed, no more"
        );
        drop(segment);
        assert_eq!(memory.budget().bytes().used(), 0);
    }
}
