//! What a process keeps for itself about an area, in a page that the kernel wipes in children: a
//! child has no seat, and holds no lock that a thread of its parent held.

use std::hint;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;

use super::mapping::{Mapping, Shareable};

#[derive(Debug)]
pub(super) struct Local(Mapping);

/// One thread of the process at a time writes to its lane.
#[derive(Debug)]
pub(super) struct Lock<'a>(&'a Page);

#[derive(Debug)]
#[repr(C)]
struct Page {
    locked: AtomicU64,
    /// One more than the number of the seat; 0: none yet.
    seat: AtomicU64,
}

// SAFETY: atomic words all of them.
unsafe impl Shareable for Page {}

impl Local {
    pub(super) fn new() -> Result<Self, Errno> {
        let len = NonZeroUsize::new(size_of::<Page>()).expect("it has words");
        Mapping::wiped_in_children(len).map(Self)
    }

    /// Waits for other threads, which need some 50 ns each, unless they are not running.
    #[inline]
    pub(super) fn lock(&self) -> Lock<'_> {
        let page = self.page();
        let mut tries = 0;
        while page
            .locked
            .compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            tries += 1;
            wait_a_little(tries);
        }
        Lock(page)
    }

    #[inline]
    fn page(&self) -> &Page {
        &self.0.array(0, 1)[0]
    }
}

impl Lock<'_> {
    #[inline]
    pub(super) fn seat(&self) -> Option<usize> {
        let seat = self.0.seat.load(Ordering::Relaxed);
        seat.checked_sub(1).map(|seat| seat as usize)
    }

    pub(super) fn set_seat(&self, seat: usize) {
        self.0.seat.store(seat as u64 + 1, Ordering::Relaxed);
    }
}

impl Drop for Lock<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.locked.store(0, Ordering::Release);
    }
}

/// Sleeps in the end, because a thread of higher priority would never let the other one run.
#[cold]
fn wait_a_little(tries: u32) {
    match tries {
        0..100 => hint::spin_loop(),
        100..200 => thread::yield_now(),
        _ => thread::sleep(Duration::from_micros(50)),
    }
}
