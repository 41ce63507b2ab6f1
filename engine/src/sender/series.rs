//! Sequence numbers of one partition (KIP-98): each batch has one for each of its records, given at
//! its first drain and kept from then on, so that a broker knows what it has already.
//!
//! A number whose batch is gone, and is not known to be in the log, breaks the series: the broker
//! takes nothing that comes behind. All that may be in the log is then sent again under its numbers
//! until the broker has said whether it is; only after that the rest is numbered anew, under another
//! epoch (KIP-360). So nothing is ever in the log twice.

use super::identity::Identities;
use crate::accumulator::{ProducerId, Stamp};

#[derive(Debug)]
pub(crate) struct Series {
    /// Which of the producer's identities this partition uses.
    variant: u32,
    /// Whose numbers these are; nobody's until a first batch goes.
    producer: Option<ProducerId>,
    /// Of the next record that has none.
    next: i32,
    broken: bool,
}

impl Series {
    pub(crate) fn new(variant: u32, first: i32) -> Self {
        Self {
            variant,
            producer: None,
            next: first,
            broken: false,
        }
    }

    /// Numbers are missing: none is given out until the series begins anew.
    pub(crate) fn interrupt(&mut self) {
        self.broken |= self.producer.is_some();
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether a batch can be numbered.
    pub(crate) fn can_go_on(&self, identities: &Identities) -> bool {
        let known = self.producer.or(identities.get(self.variant)).is_some();
        known && !self.broken
    }

    /// Begins anew with number 0 under another epoch, or under another producer id once that is
    /// known. Until then it stays as it is.
    pub(crate) fn begin_anew(&mut self, identities: &mut Identities) {
        if let Some(producer) = identities.succeed(self.variant, self.producer) {
            *self = Self {
                producer: Some(producer),
                ..Self::new(self.variant, 0)
            };
        }
    }

    /// Numbers for `count` records. The caller has asked whether it [can](Self::can_go_on).
    pub(crate) fn number(&mut self, count: u32, identities: &Identities) -> Option<Stamp> {
        let producer = self.producer.or(identities.get(self.variant))?;
        self.producer = Some(producer);
        let stamp = Stamp {
            producer,
            sequence: self.next,
        };
        self.next = stamp.skip(count).sequence;
        Some(stamp)
    }
}
