//! What a hostile process can do to its own lane, for tests and fuzzing.

use std::sync::atomic::{AtomicU64, Ordering};

use super::area::Area;
use super::process::Process;

impl Area {
    /// Has this process sit there, too, without knowing it: what is written there is only what
    /// [`Self::scribble`] writes.
    pub(crate) fn sit_at(&self, seat: usize) {
        let owner = &self.seats()[seat].owner;
        owner.store(Process::this().word(), Ordering::Release);
    }

    /// Overwrites a word of the lane of that seat: the first five say where writer and reader are, the
    /// `tail` first; the others are its bytes, and after the last comes the first again.
    pub(crate) fn scribble(&self, seat: usize, word: usize, value: u64) {
        let control = self.seats()[seat].lane.words();
        let bytes = self.lane_bytes(seat);
        let words: Vec<&AtomicU64> = control.into_iter().chain(bytes).collect();
        words[word % words.len()].store(value, Ordering::Release);
    }
}
