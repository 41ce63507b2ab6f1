//! What a leader recognises a batch by (KIP-98).

use std::fmt;

/// What a leader knows a producer by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerId {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// Whose batch it is, and the numbers of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) producer: ProducerId,
    /// The number of the first record; the others follow.
    pub(crate) sequence: i32,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProducerId { id, epoch } = self.producer;
        let sequence = self.sequence;
        write!(f, "producer {id}, epoch {epoch}, sequence {sequence}")
    }
}

impl Stamp {
    /// The stamp of the record `count` records further: after 2³¹-1 comes 0.
    pub(crate) fn skip(self, count: u32) -> Self {
        let sequence = (self.sequence as u32).wrapping_add(count) & i32::MAX as u32;
        Self {
            sequence: sequence as i32,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_last_number_comes_0() {
        let producer = ProducerId { id: 7, epoch: 0 };
        let at = |sequence| Stamp { producer, sequence };
        for (first, count, next) in [
            (0, 1, 1),
            (i32::MAX, 1, 0),
            (i32::MAX - 1, 1, i32::MAX),
            (i32::MAX - 1, 3, 1),
            (i32::MAX, 10_000, 9_999),
        ] {
            assert_eq!(at(first).skip(count), at(next), "{first} + {count}");
        }
    }
}
