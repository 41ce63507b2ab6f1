//! What a partition remembers of idempotent producers: the rules of Kafka's `ProducerStateManager`.

use std::collections::{HashMap, VecDeque};

use kafka_protocol::ResponseError;

use super::batch::{Header, NO_PRODUCER_ID, Rejection};

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
    /// The latest in it, in milliseconds since the epoch.
    pub(crate) timestamp: i64,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Store,
    /// It is there already.
    Duplicate(Written),
}

/// What has changed in the treatment of producers over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerRules {
    /// How many batches of each producer are recognised when they come again.
    remembered: usize,
    /// What is said to a producer of which nothing is known and that does not begin with sequence 0;
    /// `None`: it is welcome.
    stranger: Option<ResponseError>,
    /// A producer is forgotten with the last of its batches.
    forgotten_with_batches: bool,
}

impl ProducerRules {
    /// Kafka 0.11.
    pub(crate) const FIRST: Self = Self {
        remembered: 1,
        stranger: Some(ResponseError::OutOfOrderSequenceNumber),
        forgotten_with_batches: true,
    };
    /// Kafka 1.0 to 2.3.
    pub(crate) const FIVE_IN_FLIGHT: Self = Self {
        remembered: 5,
        stranger: Some(ResponseError::UnknownProducerId),
        forgotten_with_batches: true,
    };
    /// Since Kafka 2.5.
    pub(crate) const KIP_360: Self = Self {
        remembered: 5,
        stranger: None,
        forgotten_with_batches: false,
    };
}

impl Producers {
    /// Whether a batch comes in its turn.
    pub(crate) fn judge(
        &self,
        header: &Header,
        rules: ProducerRules,
    ) -> Result<Verdict, Rejection> {
        if header.producer_id == NO_PRODUCER_ID {
            return Ok(Verdict::Store);
        }
        let Some(producer) = self.known.get(&header.producer_id) else {
            return judge_stranger(header, rules);
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

    /// Remembers a batch by its header as it was stored.
    pub(crate) fn wrote(&mut self, header: &Header, rules: ProducerRules) {
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
        while producer.batches.len() >= rules.remembered {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Written {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            timestamp: header.max_timestamp,
        });
        producer.last_write = self.writes;
        self.forget_oldest();
    }

    /// The log begins with `offset` now.
    pub(crate) fn trimmed(&mut self, offset: i64, rules: ProducerRules) {
        if rules.forgotten_with_batches {
            self.known.retain(|_, producer| {
                producer
                    .batches
                    .back()
                    .is_some_and(|last| last.base_offset >= offset)
            });
        }
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

fn judge_stranger(header: &Header, rules: ProducerRules) -> Result<Verdict, Rejection> {
    match rules.stranger {
        Some(error) if header.base_sequence != 0 => Err(Rejection::new(
            error,
            format!(
                "nothing is known of producer {}, and it begins with sequence {}",
                header.producer_id, header.base_sequence
            ),
        )),
        _ => Ok(Verdict::Store),
    }
}
