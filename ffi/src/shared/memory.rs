//! Memory that processes share: words, which are atomic, and bytes, which one side at a time owns.
//! Both are traits, so that loom explores the code that runs (`models`).

use std::ops::Deref;
use std::sync::atomic::{self, AtomicU64, Ordering};

/// A word that several processes read and write.
pub(crate) trait Word {
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    /// Whether it was `current`, and is `new` now.
    fn change(&self, current: u64, new: u64, order: Ordering) -> bool;
    fn fence(order: Ordering);
}

/// Bytes that several processes read and write, in units of eight.
pub(crate) trait Bytes {
    fn len(&self) -> usize;

    /// Copies what is there, whatever another process may be writing there at this moment.
    ///
    /// # Panics
    /// The place is not inside, or it or the length is no multiple of 8.
    fn copy_out(&self, at: usize, into: &mut [u8]);

    /// Bytes to write.
    ///
    /// # Safety
    /// As long as these are used, nothing in this process reads or writes them otherwise.
    ///
    /// # Panics
    /// They are not all inside.
    #[expect(clippy::mut_from_ref, reason = "they are shared, and lent by promise")]
    unsafe fn exclusive(&self, at: usize, len: usize) -> &mut [u8];
}

/// What has cache lines of its own: two, because processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

/// How much bytes are counted in: lengths and places are multiples of this.
pub(crate) const UNIT: usize = size_of::<u64>();

impl Word for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    #[inline]
    fn change(&self, current: u64, new: u64, order: Ordering) -> bool {
        let changed = self.compare_exchange(current, new, order, Ordering::Relaxed);
        changed.is_ok()
    }

    #[inline]
    fn fence(order: Ordering) {
        atomic::fence(order);
    }
}

/// Relaxed loads of whole words: bytes that another process scribbles on meanwhile come out as one
/// of its values or another, which is for the reader to check, and is no undefined behaviour.
impl Bytes for &[AtomicU64] {
    #[inline]
    fn len(&self) -> usize {
        size_of_val::<[AtomicU64]>(*self)
    }

    #[inline]
    fn copy_out(&self, at: usize, into: &mut [u8]) {
        assert!(at.is_multiple_of(UNIT) && into.len().is_multiple_of(UNIT));
        let words = &self[at / UNIT..][..into.len() / UNIT];
        for (bytes, word) in into.chunks_exact_mut(UNIT).zip(words) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
    }

    #[inline]
    unsafe fn exclusive(&self, at: usize, len: usize) -> &mut [u8] {
        let end = at.checked_add(len);
        assert!(end.is_some_and(|end| end <= Bytes::len(self)));
        let start = self.as_ptr().cast::<u8>().cast_mut();
        // SAFETY: it is inside.
        let start = unsafe { start.add(at) };
        // SAFETY: all are inside, and atomic words may be written through a shared reference; that
        // nobody else does so is promised. Other processes that break their promise are no part of
        // this program: what they can do is change bytes that we only write.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }
}

impl<T> Deref for Padded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// The next multiple of [`UNIT`].
pub(crate) const fn round_up(bytes: usize) -> usize {
    bytes.next_multiple_of(UNIT)
}
