//! Knows a forked child: it has none of the parent's threads, and any of their locks may be held in
//! it for ever. `getpid` would cost a system call each time; a page that the kernel wipes in
//! children costs one load.

use std::num::NonZeroUsize;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::error::Error;

/// The first byte of a page of its own: 1 where it was made, 0 in children. Never unmapped.
static MARK: AtomicPtr<AtomicU8> = AtomicPtr::new(ptr::null_mut());

/// The kernel rounds it up to a page.
const PAGE: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// An error in a child of a process that came here before.
#[inline]
pub(crate) fn check() -> Result<(), Error> {
    let mark = MARK.load(Ordering::Acquire);
    if mark.is_null() {
        return make_mark().map_err(Error::system("detect forks (Linux 4.14 or newer can)"));
    }
    // SAFETY: what is not NULL there points to a page that stays for ever.
    let mark = unsafe { &*mark };
    match mark.load(Ordering::Relaxed) {
        0 => Err(Error::Forked),
        _ => Ok(()),
    }
}

/// Without a lock, which a child could inherit held.
fn make_mark() -> Result<(), Errno> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping, at an address that the kernel chooses, disturbs nobody.
    let page = unsafe { mmap_anonymous(None, PAGE, access, MapFlags::MAP_PRIVATE) }?;
    // SAFETY: the page is ours.
    let advised = unsafe { madvise(page, PAGE.get(), MmapAdvise::MADV_WIPEONFORK) };
    let mark = page.cast::<AtomicU8>();
    // SAFETY: the page is readable, writable and zeroed; an atomic byte has no other needs.
    unsafe { mark.as_ref() }.store(1, Ordering::Relaxed);
    let made = advised.and_then(|()| {
        let publish = MARK.compare_exchange(
            ptr::null_mut(),
            mark.as_ptr(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        publish.map(drop).map_err(|_| Errno::EEXIST)
    });
    if made.is_err() {
        // SAFETY: nobody but us has seen this page.
        let _ = unsafe { munmap(page, PAGE.get()) };
    }
    match made {
        // Another thread was faster.
        Err(Errno::EEXIST) => Ok(()),
        made => made,
    }
}
