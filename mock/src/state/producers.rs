//! What a partition remembers of idempotent producers: the rules of Kafka's `ProducerStateManager`.

use std::collections::{HashMap, VecDeque};

use kafka_protocol::ResponseError;

use super::batch::{Header, NO_PRODUCER_ID, Rejection};

/// Batches of each producer whose repetition is recognised.
const REMEMBERED: usize = 5;
/// Producers that one partition remembers; who wrote least recently is forgotten first.
const MOST_PRODUCERS: usize = 10_000;

/// The producers that have written to a partition.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    known: HashMap<i64, Producer>,
    /// Counts writes: says who wrote least recently.
    writes: u64,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// Oldest first, all of this epoch.
    batches: VecDeque<Written>,
    last_write: u64,
}

/// A batch that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    first_sequence: i32,
    last_sequence: i32,
    pub(crate) base_offset: i64,
    /// When log append time is on.
    pub(crate) append_time: Option<i64>,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Store,
    /// It is there already.
    Duplicate(Written),
}

/// What is said to a producer of which nothing is known and that does not begin at sequence 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strangers {
    /// Since Kafka 2.5 (KIP-360).
    Welcome,
    /// UNKNOWN_PRODUCER_ID, since Kafka 1.0.
    Unknown,
    /// OUT_OF_ORDER_SEQUENCE_NUMBER, in Kafka 0.11.
    OutOfOrder,
}

impl Producers {
    /// Whether a batch comes in its turn.
    pub(crate) fn judge(
        &self,
        header: &Header,
        strangers: Strangers,
    ) -> Result<Verdict, Rejection> {
        if header.producer_id == NO_PRODUCER_ID {
            return Ok(Verdict::Store);
        }
        let Some(producer) = self.known.get(&header.producer_id) else {
            return judge_stranger(header, strangers);
        };
        if let Some(written) = producer.duplicate(header) {
            return Ok(Verdict::Duplicate(written));
        }
        if header.producer_epoch < producer.epoch {
            return Err(Rejection::new(
                ResponseError::InvalidProducerEpoch,
                format!(
                    "producer {} has epoch {} by now, the batch has {}",
                    header.producer_id, producer.epoch, header.producer_epoch
                ),
            ));
        }
        let expected = producer.next_sequence(header.producer_epoch);
        if header.base_sequence != expected {
            return Err(Rejection::new(
                ResponseError::OutOfOrderSequenceNumber,
                format!(
                    "producer {} epoch {} sent sequence {}, next is {expected}",
                    header.producer_id, header.producer_epoch, header.base_sequence
                ),
            ));
        }
        Ok(Verdict::Store)
    }

    /// Remembers a batch that was stored at `base_offset`.
    pub(crate) fn wrote(&mut self, header: &Header, base_offset: i64, append_time: Option<i64>) {
        if header.producer_id == NO_PRODUCER_ID {
            return;
        }
        self.writes += 1;
        let producer = self
            .known
            .entry(header.producer_id)
            .or_insert_with(|| Producer {
                epoch: header.producer_epoch,
                batches: VecDeque::new(),
                last_write: 0,
            });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Written {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset,
            append_time,
        });
        producer.last_write = self.writes;
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        if self.known.len() > MOST_PRODUCERS {
            let oldest = self.known.iter().min_by_key(|(_, one)| one.last_write);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.known.remove(&id);
            }
        }
    }
}

impl Producer {
    fn duplicate(&self, header: &Header) -> Option<Written> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        self.batches
            .iter()
            .find(|written| {
                written.first_sequence == header.base_sequence
                    && written.last_sequence == header.last_sequence()
            })
            .copied()
    }

    fn next_sequence(&self, epoch: i16) -> i32 {
        match self.batches.back() {
            Some(last) if epoch == self.epoch => last.last_sequence.wrapping_add(1) & i32::MAX,
            _ => 0,
        }
    }
}

fn judge_stranger(header: &Header, strangers: Strangers) -> Result<Verdict, Rejection> {
    let error = match strangers {
        _ if header.base_sequence == 0 => return Ok(Verdict::Store),
        Strangers::Welcome => return Ok(Verdict::Store),
        Strangers::Unknown => ResponseError::UnknownProducerId,
        Strangers::OutOfOrder => ResponseError::OutOfOrderSequenceNumber,
    };
    Err(Rejection::new(
        error,
        format!(
            "nothing is known of producer {}, and it begins with sequence {}",
            header.producer_id, header.base_sequence
        ),
    ))
}
