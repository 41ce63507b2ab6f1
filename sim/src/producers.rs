//! What a partition remembers of idempotent producers, by the rules of Kafka's brokers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kafka_engine::time::Time;
use kafka_wire::ErrorCode;
use kafka_wire::record::BatchHeader;

/// Batches of each producer that are recognised when they come again.
const REMEMBERED: usize = 5;

/// The producers that have written to a partition.
#[derive(Clone, Debug, Default)]
pub struct Producers {
    known: BTreeMap<i64, Producer>,
    /// All that they wrote, where and when.
    history: Vec<(BatchHeader, i64, Time)>,
    /// Whether any of them was forgotten.
    forgetful: bool,
}

#[derive(Clone, Debug)]
struct Producer {
    epoch: i16,
    /// Oldest first, all of this epoch.
    batches: VecDeque<Written>,
    wrote_at: Time,
}

#[derive(Clone, Copy, Debug)]
struct Written {
    first: i32,
    last: i32,
    base_offset: i64,
}

impl Producers {
    /// Forgets all of them.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Forgets those that have written nothing for so long (`producer.id.expiration.ms`). True if there
    /// are any.
    pub(crate) fn expire(&mut self, lifetime: Duration, now: Time) -> bool {
        let before = self.known.len();
        self.known
            .retain(|_, producer| producer.wrote_at.after(lifetime) > now);
        let forgets = self.known.len() < before;
        self.forgetful |= forgets;
        forgets
    }

    /// Forgets what was written at `end` and behind it, which another leader does not have.
    pub fn cut(&mut self, end: i64) {
        let Self {
            history, forgetful, ..
        } = std::mem::take(self);
        self.forgetful = forgetful;
        for (batch, base_offset, at) in history.iter().filter(|(_, offset, _)| *offset < end) {
            self.wrote(batch, *base_offset, *at);
        }
    }

    /// Whether a batch was written, and may not be recognised since its producer was forgotten.
    pub(crate) fn has_forgotten(&self, batch: &BatchHeader) -> bool {
        let identity = |batch: &BatchHeader| {
            let number = (batch.base_sequence, batch.record_count);
            (batch.producer_id, batch.producer_epoch, number)
        };
        let mut history = self.history.iter();
        batch.producer_id >= 0
            && self.forgetful
            && history.any(|(written, ..)| identity(written) == identity(batch))
    }

    /// Whether a batch comes in its turn: where it is if it came before, or what is wrong.
    /// `strict` is how brokers before Kafka 2.5 (KIP-360) meet a producer that they do not know.
    pub(crate) fn judge(
        &self,
        batch: &BatchHeader,
        strict: bool,
    ) -> Result<Option<i64>, ErrorCode> {
        if batch.producer_id < 0 {
            return Ok(None);
        }
        let Some(producer) = self.known.get(&batch.producer_id) else {
            return match strict && batch.base_sequence != 0 {
                true => Err(ErrorCode::UNKNOWN_PRODUCER_ID),
                false => Ok(None),
            };
        };
        if batch.producer_epoch < producer.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        let same_epoch = batch.producer_epoch == producer.epoch;
        let range = (batch.base_sequence, last_sequence(batch));
        let mut batches = producer.batches.iter().filter(|_| same_epoch);
        if let Some(twin) = batches.find(|written| (written.first, written.last) == range) {
            return Ok(Some(twin.base_offset));
        }
        let last = producer.batches.back().filter(|_| same_epoch);
        let expected = last.map_or(0, |written| next(written.last));
        match batch.base_sequence == expected {
            true => Ok(None),
            false => Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
        }
    }

    /// Remembers a batch that was written.
    pub(crate) fn wrote(&mut self, batch: &BatchHeader, base_offset: i64, now: Time) {
        if batch.producer_id < 0 {
            return;
        }
        self.history.push((*batch, base_offset, now));
        let epoch = batch.producer_epoch;
        let producer = self.known.entry(batch.producer_id).or_insert(Producer {
            epoch,
            batches: VecDeque::new(),
            wrote_at: now,
        });
        producer.wrote_at = now;
        if producer.epoch != epoch {
            producer.epoch = epoch;
            producer.batches.clear();
        }
        producer.batches.push_back(Written {
            first: batch.base_sequence,
            last: last_sequence(batch),
            base_offset,
        });
        if producer.batches.len() > REMEMBERED {
            producer.batches.pop_front();
        }
    }
}

/// The number of the record that is `position`th in a batch, counted from 0.
pub(crate) fn sequence_of(batch: &BatchHeader, position: usize) -> i32 {
    let sum = i64::from(batch.base_sequence) + position as i64;
    (sum % (i64::from(i32::MAX) + 1)) as i32
}

fn last_sequence(batch: &BatchHeader) -> i32 {
    sequence_of(batch, batch.record_count as usize - 1)
}

fn next(sequence: i32) -> i32 {
    sequence.checked_add(1).unwrap_or(0)
}
