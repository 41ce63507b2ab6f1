//! Names of events that no two of them share.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// The name of one event, so that who reads it twice knows it again: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId(pub u128);

impl EventId {
    /// It as text.
    pub(super) fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            pair.copy_from_slice(&hex(byte));
        }
        digits
    }
}

/// Names the events of one process.
#[derive(Debug)]
pub struct EventIds {
    /// The first half of every name: stands for the process.
    process: u64,
    /// The second half of the next.
    next: AtomicU64,
}

impl EventIds {
    /// Names for the events of the process `pid` of `node`, which began to raise them at `start`.
    /// A process that was forked has a pid and so names of its own.
    pub fn new(node: &[u8], pid: u32, start: SystemTime) -> Self {
        let mut hasher = DefaultHasher::new();
        (node, pid, start).hash(&mut hasher);
        Self {
            process: hasher.finish(),
            next: AtomicU64::new(0),
        }
    }

    /// A name that was not given before.
    pub fn next(&self) -> EventId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        EventId(u128::from(self.process) << 64 | u128::from(number))
    }
}

/// Two digits, lower case.
pub(super) fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 0xf)],
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn neither_node_nor_process_nor_start_shares_names_with_another() {
        let later = UNIX_EPOCH + Duration::from_nanos(1);
        let sources = [
            EventIds::new(b"a", 1, UNIX_EPOCH),
            EventIds::new(b"b", 1, UNIX_EPOCH),
            EventIds::new(b"a", 2, UNIX_EPOCH),
            EventIds::new(b"a", 1, later),
        ];
        let names = sources
            .iter()
            .flat_map(|source| [source.next(), source.next()]);
        assert_eq!(names.collect::<HashSet<_>>().len(), 2 * sources.len());
    }

    #[test]
    fn a_name_is_32_digits_in_lower_case() {
        let id = EventId(0x0123_4567_89ab_cdef_0000_0000_0000_0010);
        assert_eq!(&id.digits(), b"0123456789abcdef0000000000000010");
    }
}
