//! Wakes the worker only when it sleeps: no system call otherwise.
//!
//! Who leaves something looks whether the worker sleeps; the worker says that it sleeps and looks
//! whether something was left. Each does so in this order, with a full fence between, so that one of
//! them sees the other (Dekker). A number of the nap, not a flag, because a process can be stopped
//! between ringing and noting that it rang: its late note must not hide that the worker sleeps again.

use std::sync::atomic::Ordering;

use super::memory::{Padded, Word};

/// Counts up as the worker falls asleep and wakes: odd while it sleeps.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Doorbell<W>(Padded<W>);

impl<W: Word> Doorbell<W> {
    /// To be called once something was left: `ring` wakes a worker that sleeps. Whoever is killed in
    /// here may have left the bell unrung, but not so that others do not ring.
    #[inline]
    pub(crate) fn after_leaving(&self, ring: impl FnOnce()) {
        W::fence(Ordering::SeqCst);
        let nap = self.0.load(Ordering::Relaxed);
        if is_asleep(nap) {
            ring();
            self.0.change(nap, nap.wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// From here on the worker has to be woken. It must look once more before it sleeps.
    pub(crate) fn fall_asleep(&self) {
        let nap = self.0.load(Ordering::Relaxed);
        // Odd already where a worker before this one was killed in its sleep.
        let next = nap.wrapping_add(if is_asleep(nap) { 2 } else { 1 });
        self.0.store(next, Ordering::Relaxed);
        W::fence(Ordering::SeqCst);
    }

    pub(crate) fn wake(&self) {
        let nap = self.0.load(Ordering::Relaxed);
        if is_asleep(nap) {
            // Unless who rang has noted it meanwhile.
            self.0.change(nap, nap.wrapping_add(1), Ordering::Relaxed);
        }
    }
}

fn is_asleep(nap: u64) -> bool {
    !nap.is_multiple_of(2)
}
