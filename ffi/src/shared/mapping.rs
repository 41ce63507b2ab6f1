//! Memory from the kernel: zeroed, at the same address in all children.

use std::num::NonZeroUsize;
use std::os::raw::c_void;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

/// Pages that are unmapped, in this process only, once this is dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<c_void>,
    len: NonZeroUsize,
}

/// What may lie in pages that several threads and processes use.
///
/// # Safety
/// Zeroes are a valid value, it consists of atomic words, and is aligned to at most a page.
pub(super) unsafe trait Shareable {}

impl Mapping {
    /// Shared with all children. Pages count once they are used: with lanes for more processes than
    /// there are, most never are, and a small host would refuse them all.
    pub(super) fn shared(len: NonZeroUsize) -> Result<Self, Errno> {
        Self::new(len, MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE)
    }

    /// Of this process alone: a child finds it zeroed.
    pub(super) fn wiped_in_children(len: NonZeroUsize) -> Result<Self, Errno> {
        let mapping = Self::new(len, MapFlags::MAP_PRIVATE)?;
        // SAFETY: the pages are ours.
        unsafe { madvise(mapping.start, len.get(), MmapAdvise::MADV_WIPEONFORK) }?;
        Ok(mapping)
    }

    fn new(len: NonZeroUsize, flags: MapFlags) -> Result<Self, Errno> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the kernel chooses, disturbs nobody.
        let start = unsafe { mmap_anonymous(None, len, access, flags) }?;
        Ok(Self { start, len })
    }

    /// What lies at `offset`, so many of them.
    ///
    /// # Panics
    /// They are not all inside, or misaligned.
    #[inline]
    pub(super) fn array<T: Shareable>(&self, offset: usize, count: usize) -> &[T] {
        let len = count.checked_mul(size_of::<T>());
        let end = len.and_then(|len| offset.checked_add(len));
        assert!(end.is_some_and(|end| end <= self.len.get()));
        // SAFETY: it is inside.
        let start = unsafe { self.start.cast::<u8>().add(offset) }.cast::<T>();
        assert!(start.is_aligned());
        // SAFETY: all are inside, aligned, mapped as long as we are, and valid whatever is written
        // there, as they are atomic words.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), count) }
    }
}

// SAFETY: what can be reached through it is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as before.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what was lent from it is borrowed from it.
        let _ = unsafe { munmap(self.start, self.len.get()) };
    }
}
