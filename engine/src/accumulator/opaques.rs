//! The publishers' opaque values of a batch, charged to the budget until their reports were taken.

use std::ops::Range;
use std::sync::Arc;

use super::segment::{Funding, Memory};

const FIRST_CAPACITY: usize = 16;

#[derive(Debug)]
pub(crate) struct Opaques {
    values: Vec<u64>,
    charged: usize,
    memory: Arc<Memory>,
}

impl Opaques {
    pub(crate) fn new(memory: &Arc<Memory>) -> Self {
        Self {
            values: Vec::new(),
            charged: 0,
            memory: Arc::clone(memory),
        }
    }

    /// False if the budget has no memory for one more.
    pub(crate) fn push(&mut self, opaque: u64, funding: Funding) -> bool {
        if self.values.len() == self.values.capacity() && !self.grow(funding) {
            return false;
        }
        self.values.push(opaque);
        true
    }

    /// The least memory in bytes that one more needs.
    pub(crate) fn least_growth(&self) -> usize {
        match self.values.len() < self.values.capacity() {
            true => 0,
            false => self.fewest_more() * size_of::<u64>(),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u64] {
        &self.values
    }

    /// What tells these ones from others.
    pub(crate) fn checksum(&self) -> u32 {
        let values = self.values.iter();
        values.fold(0, |sum, value| {
            crc32c::crc32c_append(sum, &value.to_le_bytes())
        })
    }

    /// A copy of some, for a range that is settled before the rest of its batch.
    pub(crate) fn copy(&self, range: Range<u32>) -> Self {
        let mut copy = Self::new(&self.memory);
        for opaque in &self.values[range.start as usize..range.end as usize] {
            copy.push(*opaque, Funding::Granted);
        }
        copy
    }

    /// Makes room for many more, or for a few where the budget allows no more.
    fn grow(&mut self, funding: Funding) -> bool {
        let capacity = self.values.capacity();
        let counts = [
            (capacity.max(FIRST_CAPACITY), Funding::Budget),
            (self.fewest_more(), funding),
        ];
        let bytes = self.memory.budget().bytes();
        let affordable = counts
            .into_iter()
            .find(|(more, funding)| bytes.charge(more * size_of::<u64>(), *funding));
        let Some((more, _)) = affordable else {
            return false;
        };
        self.charged += more * size_of::<u64>();
        self.values.reserve_exact(more);
        true
    }

    fn fewest_more(&self) -> usize {
        self.values.capacity() / 8 + 1
    }
}

impl Drop for Opaques {
    fn drop(&mut self) {
        if self.charged > 0 {
            self.memory.budget().release_bytes(self.charged);
        }
    }
}
